/**
 * How much a launch has to do, roughly, from the program and its runtime scalars: to tell launches that several threads
 * finish sooner from those that are over before another thread has woken up. Never too small by more than what a
 * ragged edge saves.
 */
import type { Affine, Count, LoopHead } from "../../../ir/tile.js";
import type { Instruction, Program, ProgramNode } from "../../../isa/program.js";
import type { Layout } from "../slots/storage.js";

/** Multiplications and additions of a float matrix product, or what takes as long: about 0.1 ns each. */
export type WorkEstimate = (scalars: Int32Array) => number;

/**
 * From this work on, about 80 us, a launch is shared. To wake a thread and to wait for it was seen to cost 10 us, and 50
 * where other processes wanted the cores.
 */
export const sharedWorkMin = 800_000;

/** Measured beside one multiplication and addition of a matrix product. */
const perInstruction = 1000;
const perMovedElement = 5;
const perLanePosition = 1;
const perLaneInstruction = 0.4;

export function createWorkEstimate(program: Program, layout: Layout): WorkEstimate {
  let known: { readonly scalars: Int32Array; readonly work: number } | undefined;
  return (scalars) => {
    const isKnown = known?.scalars.every((value, i) => value === scalars[i]) ?? false;
    if (!isKnown) {
      const own = scalars.slice(0, program.scalarCount);
      known = { scalars: own, work: workOf(program.body, { layout, scalars: own }) };
    }
    return known!.work;
  };
}

interface Context {
  readonly layout: Layout;
  readonly scalars: Int32Array;
}

function workOf(nodes: readonly ProgramNode[], context: Context): number {
  let work = 0;
  for (const node of nodes) {
    if (node.kind === "instruction") {
      work += perInstruction + instructionWork(node.instruction, context);
    }
    if (node.kind === "loop") work += trips(node.head, context) * workOf(node.body, context);
  }
  return work;
}

function instructionWork({ body }: Instruction, { layout, scalars }: Context): number {
  const positions = body.axes.reduce((product, axis) => product * most(axis.count, scalars), 1);
  switch (body.op) {
    case "mma":
      return positions;
    case "vec":
      return positions * (perLanePosition + perLaneInstruction * body.program.instructions.length);
    case "load":
      return layout.queues[body.dest.queue]!.map ? 0 : positions * perMovedElement;
    case "store":
      return layout.queues[body.source.queue]!.stored ? 0 : positions * perMovedElement;
    default:
      return body satisfies never;
  }
}

function most({ value, max }: Count, scalars: Int32Array): number {
  return Math.min(max, Math.max(0, valueOf(value, scalars) ?? max));
}

/** A loop that begins late or depends on another one is taken for as long as it can be. */
function trips({ total, minTotal, maxTotal, step }: LoopHead, { scalars }: Context): number {
  const totals = total.map((affine) => valueOf(affine, scalars) ?? maxTotal);
  const least = Math.max(minTotal, Math.min(maxTotal, ...totals));
  return Math.ceil(least / step);
}

/** Undefined where it depends on a loop. */
function valueOf({ constant, terms }: Affine, scalars: Int32Array): number | undefined {
  if (terms.some(({ of }) => of !== "scalar")) return undefined;
  return terms.reduce((sum, { coefficient, id }) => sum + coefficient * scalars[id]!, constant);
}
