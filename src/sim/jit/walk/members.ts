/**
 * Walks a program member by member: right where members do not wait for one another, because then each computes
 * the same whatever the others do. Members take turns with one set of slots; cursors are locals.
 */
import type {
  Instruction,
  Program,
  ProgramNode,
  SlotDest,
  SlotSource,
} from "../../../isa/program.js";
import type { LoopHead } from "../../../ir/tile.js";
import {
  emitCondition,
  emitRange,
  emitTrip,
  type Environment,
  type RangeCode,
  type TripCode,
} from "./environment.js";
import { emitInstruction } from "./instruction.js";
import type { Local } from "../wasm/function.js";
import * as ints from "./ints.js";
import { boundsOf, type Int } from "./ints.js";
import type { QueueLayout } from "../slots/storage.js";
import { cursorOf, operandsOf, stageOf, within, type WalkContext } from "./walk.js";

/** No member sees what another does: nothing is pushed to it, nothing shared with it. */
export function runsByMembers(program: Program): boolean {
  const isAlone = (node: ProgramNode): boolean => {
    if (node.kind === "barrier") return true;
    if (node.kind === "loop") return node.body.every(isAlone);
    const { body } = node.instruction;
    const delivery = body.op === "load" ? body.delivery?.kind : undefined;
    return delivery === undefined || delivery === "multicast";
  };
  const isShared = program.bindings.some((binding) => binding.access === "shared");
  const { rows, columns } = program.grid;
  return rows * columns === 1 || (!isShared && program.body.every(isAlone));
}

interface MemberWalk extends WalkContext {
  readonly member: Int;
  readonly row: Int;
  readonly column: Int;
  /** Address of the slot at each cursor; a constant distance from scratch where the queue has one slot. */
  readonly cursors: readonly (readonly Cursor[])[];
}

interface Cursor {
  readonly first: Int;
  /** Present where there are several slots. */
  readonly at: Local<"i32"> | undefined;
  readonly layout: QueueLayout;
  readonly depth: number;
}

/** The members of the range, one after the other; there is one at least. */
export function walkMembers(context: WalkContext, range: MemberRange): void {
  const { f, program } = context;
  const { columns } = program.grid;
  const cursors = program.queues.map((queue, number) => {
    const layout = context.layout.queues[number]!;
    const offset = ints.constant(context.layout.slotsOffset + layout.offset);
    const first = ints.add(f, context.scratch, offset);
    return Array.from({ length: 1 + queue.consumers.length }, (): Cursor => {
      const isRing = queue.depth > 1 && queue.elements > 0;
      return { first, at: isRing ? f.local("i32") : undefined, layout, depth: queue.depth };
    });
  });
  eachMember(context, range, (member) => {
    for (const { at, first } of cursors.flat()) if (at) f.set(at, ints.push(f, first));
    const row = ints.floorDivide(f, member, columns);
    const column = ints.remainder(f, member, row, columns);
    const walk: MemberWalk = { ...context, member, row, column, cursors };
    const environment = { scalars: context.scalars, trips: new Map() };
    for (const node of program.body) walkNode(walk, node, environment);
  });
}

/** Numbers of members: from the first on, up to the end. */
export interface MemberRange {
  readonly first: Int;
  readonly end: Int;
}

function eachMember(
  { f, program }: WalkContext,
  { first, end }: MemberRange,
  body: (member: Int) => void,
): void {
  const members = program.grid.rows * program.grid.columns;
  if (members === 1) return body(ints.zero);
  const number = ints.variable(f, first);
  f.loop((again) => {
    body(ints.ofLocal(number, { least: 0, most: members - 1 }));
    f.increase(number, () => f.i32(1));
    f.branchIf(again, f.op("i32.lt_s", f.get(number), ints.push(f, end)));
  });
}

function walkNode(walk: MemberWalk, node: ProgramNode, environment: Environment): void {
  switch (node.kind) {
    case "barrier":
      return;
    case "instruction":
      return walkInstruction(walk, node.instruction, environment);
    case "loop":
      return node.head.over === "time"
        ? walkTemporal(walk, node.head, node.body, environment)
        : walkSpatial(walk, node.head, node.body, environment);
    default:
      return node satisfies never;
  }
}

function walkSpatial(
  walk: MemberWalk,
  head: LoopHead,
  body: readonly ProgramNode[],
  environment: Environment,
): void {
  const { f, row, column, member } = walk;
  const place = { rows: row, columns: column, members: member, time: ints.zero }[head.over];
  const range = emitRange(f, head, environment);
  ints.when(f, ints.isLess(f, place, range.count), () => {
    const inside = within(environment, head, emitTrip(f, head, range, place));
    for (const node of body) walkNode(walk, node, inside);
  });
}

function walkTemporal(
  walk: MemberWalk,
  head: LoopHead,
  body: readonly ProgramNode[],
  environment: Environment,
): void {
  const { f } = walk;
  const range = emitRange(f, head, environment);
  const stages = body.map((node) => stageOf(node, head.id));
  const late = Math.max(0, ...stages);
  if (ints.isValue(range.count, 0)) return;
  const runTrip = (number: Int): void => {
    const trips = new Map(
      stages.map((by) => [by, lateTrip(walk, head, { range, number, by, late })]),
    );
    body.forEach((node, i) => {
      const { exists, trip } = trips.get(stages[i]!)!;
      ints.when(f, exists, () => walkNode(walk, node, within(environment, head, trip)));
    });
  };
  if (ints.isValue(range.count, 1) && late === 0) return runTrip(ints.zero);
  const trips = ints.variable(f, ints.add(f, range.count, ints.constant(late)));
  const number = f.keep("i32", f.i32(0));
  const most = boundsOf(range.count).most + late;
  f.countUp(
    number,
    () => f.get(trips),
    1,
    () => runTrip(ints.ofLocal(number, { least: 0, most: Math.max(0, most - 1) })),
  );
}

interface LateTrip {
  readonly range: RangeCode;
  /** Number of the loop's present trip. */
  readonly number: Int;
  readonly by: number;
  /** How many trips more than its range the loop makes. */
  readonly late: number;
}

/** The trip of a node that runs `by` trips late, and whether there is one. */
function lateTrip(
  { f }: MemberWalk,
  head: LoopHead,
  { range, number, by, late }: LateTrip,
): { readonly exists: Int; readonly trip: TripCode } {
  const own = ints.subtract(f, number, ints.constant(by));
  const isStarted = ints.isLess(f, ints.constant(-1), own);
  const exists = ints.both(f, isStarted, ints.isLess(f, own, range.count));
  return { exists: late === 0 ? ints.one : exists, trip: emitTrip(f, head, range, own) };
}

function walkInstruction(
  walk: MemberWalk,
  instruction: Instruction,
  environment: Environment,
): void {
  const { f, program } = walk;
  const cursor = (operand: SlotSource | SlotDest): Cursor =>
    walk.cursors[operand.queue]![cursorOf(program, instruction, operand)]!;
  emitInstruction(
    {
      ...walk,
      number: walk.numbers.get(instruction)!,
      environment,
      slot: (operand) => {
        const { at, first } = cursor(operand);
        return at === undefined ? first : ints.ofLocal(at);
      },
    },
    instruction,
  );
  const { sources, dests } = operandsOf(instruction);
  for (const source of sources) {
    step(walk, cursor(source), emitCondition(f, source.pop, environment));
  }
  for (const dest of dests) {
    if (!dest.update) step(walk, cursor(dest), emitCondition(f, dest.publish, environment));
  }
}

function step({ f }: MemberWalk, { at, first, layout, depth }: Cursor, condition: Int): void {
  if (at === undefined) return;
  ints.when(f, condition, () => {
    f.increase(at, () => f.i32(layout.pitchBytes));
    const end = ints.add(f, first, ints.constant(layout.pitchBytes * depth));
    f.if(f.op("i32.eq", f.get(at), ints.push(f, end)), () => f.set(at, ints.push(f, first)));
  });
}
