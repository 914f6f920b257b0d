/**
 * The first instruction of a program that writes something else to its slot than the statement of the kernel that it was
 * emitted from: both run in plain order, and every slot is compared after every write to it.
 */
import type { SlotCells } from "../ir/semantics/cells.js";
import type { SlotObserver, SlotWritten } from "../ir/semantics/slot-observer.js";
import type { LoopHead } from "../ir/tile.js";
import type { Program, ProgramNode } from "../isa/program.js";

export interface TracedRuns {
  readonly program: Program;
  runKernel(observe: SlotObserver): void;
  /** May end early, where the program does something undefined. */
  runProgram(observe: SlotObserver): void;
}

export interface WrongInstruction {
  readonly number: number;
  /** Member and loop indices. */
  readonly at: string;
}

export function firstWrongInstruction(runs: TracedRuns): WrongInstruction | undefined {
  const wanted = new Map<string, number>();
  runs.runKernel((written) => wanted.set(keyOf(written), hashOf(written.cells)));
  let wrong: WrongInstruction | undefined;
  runs.runProgram((written) => {
    if (wrong !== undefined || wanted.get(keyOf(written)) === hashOf(written.cells)) return;
    wrong = { number: written.instruction, at: placeText(written, runs.program) };
  });
  return wrong;
}

/** One execution: which instruction, who, in which trips, which of its results. */
function keyOf({ instruction, member, value }: SlotWritten): string {
  const trips = [...member.trips].map(([loop, { index }]) => `${loop}:${index}`);
  return [instruction, member.number, value, ...trips].join(" ");
}

const word = new DataView(new ArrayBuffer(8));

/** Of all elements that are written, and of the open segments of accumulators. */
function hashOf(cells: SlotCells & { getOpen?(element: number): number }): number {
  let hash = 0x811c9dc5;
  const add = (value: number): void => {
    word.setFloat64(0, value);
    hash = Math.imul(hash ^ word.getInt32(0), 0x01000193);
    hash = Math.imul(hash ^ word.getInt32(4), 0x01000193);
  };
  for (let i = 0; i < cells.elements; i++) {
    if (!cells.isWritten(i)) continue;
    add(i);
    add(cells.get(i));
    const open = cells.getOpen?.(i);
    if (open !== undefined) add(open);
  }
  return hash;
}

function placeText({ member }: SlotWritten, program: Program): string {
  const loops = loopsOf(program.body);
  const trips = [...member.trips].map(
    ([id, { index }]) => `${loops.get(id)?.name ?? id} = ${index}`,
  );
  return [`member ${member.row}, ${member.column}`, ...trips].join("; ");
}

function loopsOf(nodes: readonly ProgramNode[]): Map<number, LoopHead> {
  const loops = new Map<number, LoopHead>();
  for (const node of nodes) {
    if (node.kind !== "loop") continue;
    loops.set(node.head.id, node.head);
    for (const [id, head] of loopsOf(node.body)) loops.set(id, head);
  }
  return loops;
}
