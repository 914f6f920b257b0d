/**
 * Walks a program with all members in lock-step at each instruction, as plain order says: for programs whose members
 * push to one another or share memory. Every member has slots of its own, cursors are kept in memory, and where a
 * member stands is worked out anew at every instruction.
 */
import type { Delivery, LoopHead } from "../../../ir/tile.js";
import type { Instruction, ProgramNode, SlotDest, SlotSource } from "../../../isa/program.js";
import {
  emitCondition,
  emitRange,
  emitTrip,
  type Environment,
  type RangeCode,
} from "./environment.js";
import { InternalError } from "../../../support/diagnostic.js";
import type { I32 } from "../wasm/function.js";
import { emitInstruction } from "./instruction.js";
import * as ints from "./ints.js";
import { boundsOf, type Int } from "./ints.js";
import { cursorOf, operandsOf, stageOf, within, type WalkContext } from "./walk.js";

/** A loop around an instruction, and which of its trips is run. */
interface Frame {
  readonly head: LoopHead;
  /** Temporal: number of the loop's present trip. */
  readonly trip: Int;
  readonly by: number;
}

interface Member {
  readonly number: Int;
  readonly row: Int;
  readonly column: Int;
}

export function walkLockStep(context: WalkContext): void {
  const { f, layout } = context;
  const { rows, columns } = context.program.grid;
  const cursorBytes = layout.slotsOffset - layout.cursorsOffset;
  const start = ints.add(f, context.scratch, ints.constant(layout.cursorsOffset));
  f.op("memory.fill", ints.push(f, start), f.i32(0), f.i32(cursorBytes));
  if (rows * columns === 0) return;
  for (const node of context.program.body) walkNode(context, node, []);
}

function walkNode(context: WalkContext, node: ProgramNode, frames: readonly Frame[]): void {
  switch (node.kind) {
    case "barrier":
      return;
    case "instruction":
      return walkInstruction(context, node.instruction, frames);
    case "loop": {
      const { head, body } = node;
      if (head.over === "time") return walkTemporal(context, head, body, frames);
      for (const child of body) {
        walkNode(context, child, [...frames, { head, trip: ints.zero, by: 0 }]);
      }
      return;
    }
    default:
      return node satisfies never;
  }
}

/** The loop makes as many trips as the member that makes most. */
function walkTemporal(
  context: WalkContext,
  head: LoopHead,
  body: readonly ProgramNode[],
  frames: readonly Frame[],
): void {
  const { f } = context;
  const stages = body.map((node) => stageOf(node, head.id));
  const late = Math.max(0, ...stages);
  const trips = f.keep("i32", f.i32(0));
  eachMember(context, (member) => {
    enter(context, member, frames, (environment) => {
      const { count } = emitRange(f, head, environment);
      const most = ints.maximum(f, count, ints.ofLocal(trips));
      f.set(trips, ints.push(f, most));
    });
  });
  f.increase(trips, () => f.i32(late));
  const number = f.keep("i32", f.i32(0));
  const trip = ints.ofLocal(number, { least: 0, most: head.maxTotal + late });
  f.countUp(
    number,
    () => f.get(trips),
    1,
    () => {
      body.forEach((node, i) =>
        walkNode(context, node, [...frames, { head, trip, by: stages[i]! }]),
      );
    },
  );
}

function eachMember({ f, program }: WalkContext, body: (member: Member) => void): void {
  const { rows, columns } = program.grid;
  const count = rows * columns;
  const number = f.keep("i32", f.i32(0));
  f.loop((again) => {
    const at = ints.ofLocal(number, { least: 0, most: count - 1 });
    const row = ints.floorDivide(f, at, columns);
    const column = ints.subtract(f, at, ints.scale(f, row, columns));
    body({ number: at, row, column: withBounds(column, columns) });
    f.increase(number, () => f.i32(1));
    f.branchIf(again, f.op("i32.lt_s", f.get(number), f.i32(count)));
  });
}

function withBounds(x: Int, count: number): Int {
  return x.kind === "constant" ? x : ints.ofLocal(x.local, { least: 0, most: count - 1 });
}

/** Runs the code for a member where all its trips exist. */
function enter(
  context: WalkContext,
  member: Member,
  frames: readonly Frame[],
  body: (environment: Environment, ranges: ReadonlyMap<number, RangeCode>) => void,
): void {
  const { f, program } = context;
  const ranges = new Map<number, RangeCode>();
  const step = (depth: number, environment: Environment): void => {
    const frame = frames[depth];
    if (frame === undefined) return body(environment, ranges);
    const { head, trip, by } = frame;
    const range = emitRange(f, head, environment);
    ranges.set(head.id, range);
    const number = {
      rows: member.row,
      columns: member.column,
      members: ints.add(f, ints.scale(f, member.row, program.grid.columns), member.column),
      time: ints.subtract(f, trip, ints.constant(by)),
    }[head.over];
    const isStarted = ints.isLess(f, ints.constant(-1), number);
    const exists = ints.both(f, isStarted, ints.isLess(f, number, range.count));
    ints.when(f, exists, () =>
      step(depth + 1, within(environment, head, emitTrip(f, head, range, number))),
    );
  };
  step(0, { scalars: context.scalars, trips: new Map() });
}

function walkInstruction(
  context: WalkContext,
  instruction: Instruction,
  frames: readonly Frame[],
): void {
  const { body } = instruction;
  const delivery = body.op === "load" ? body.delivery : undefined;
  if (delivery === undefined || delivery.kind === "multicast") {
    eachMember(context, (member) =>
      enter(context, member, frames, (environment) => {
        emitWork(context, instruction, environment, member, member);
        emitSteps(context, instruction, environment, member, member);
      }),
    );
    return;
  }
  eachMember(context, (member) =>
    enter(context, member, frames, (environment, ranges) =>
      eachReceiver(
        context,
        delivery,
        member,
        ranges,
        (receiver) => emitWork(context, instruction, environment, member, receiver),
        () => emitWork(context, instruction, environment, member, undefined),
      ),
    ),
  );
  eachMember(context, (member) =>
    enter(context, member, frames, (environment, ranges) => {
      emitPops(context, instruction, environment, member);
      if (delivery.kind === "gather") {
        return emitPublishes(context, instruction, environment, member);
      }
      eachReceiver(context, delivery, member, ranges, (receiver) =>
        emitPublishes(context, instruction, environment, receiver),
      );
    }),
  );
}

/** The members that get what `member` loads; `nobody` where it goes over the edge of the grid. */
function eachReceiver(
  context: WalkContext,
  delivery: Exclude<Delivery, { readonly kind: "multicast" }>,
  member: Member,
  ranges: ReadonlyMap<number, RangeCode>,
  body: (receiver: Member) => void,
  nobody: () => void = () => {},
): void {
  const { f, program } = context;
  const { rows, columns } = program.grid;
  const memberAt = (row: Int, column: Int): Member => ({
    number: ints.add(f, ints.scale(f, row, columns), column),
    row,
    column,
  });
  if (delivery.kind === "neighbour") {
    const { axis, by, wrap } = delivery;
    const size = axis === "rows" ? rows : columns;
    const moved = ints.add(f, axis === "rows" ? member.row : member.column, ints.constant(by));
    const isThere = ints.both(
      f,
      ints.isLess(f, ints.constant(-1), moved),
      ints.isLess(f, moved, ints.constant(size)),
    );
    const to = wrap ? wrapped(context, moved, size) : moved;
    const receiver = axis === "rows" ? memberAt(to, member.column) : memberAt(member.row, to);
    ints.when(f, wrap ? ints.one : isThere, () => body(receiver));
    return ints.when(f, wrap ? ints.zero : ints.not(f, isThere), nobody);
  }
  const range = ranges.get(delivery.loop);
  const head = loopOf(context.program.body, delivery.loop);
  if (range === undefined || head === undefined) throw new InternalError("no loop to gather along");
  const place = f.keep("i32", f.i32(0));
  f.countUp(
    place,
    () => ints.push(f, range.count),
    1,
    () => {
      const at = ints.ofLocal(place);
      if (head.over === "rows") body(memberAt(at, member.column));
      else if (head.over === "columns") body(memberAt(member.row, at));
      else body({ number: at, row: ints.zero, column: ints.zero });
    },
  );
}

function wrapped({ f }: WalkContext, place: Int, size: number): Int {
  const raised = ints.add(f, place, ints.constant(size));
  const rounds = ints.floorDivide(f, raised, size);
  return ints.subtract(f, raised, ints.scale(f, rounds, size));
}

function loopOf(nodes: readonly ProgramNode[], id: number): LoopHead | undefined {
  for (const node of nodes) {
    if (node.kind !== "loop") continue;
    if (node.head.id === id) return node.head;
    const inner = loopOf(node.body, id);
    if (inner !== undefined) return inner;
  }
  return undefined;
}

/** The instruction's work, with its destination on `receiver`; what goes to nobody still reads and may fault. */
function emitWork(
  context: WalkContext,
  instruction: Instruction,
  environment: Environment,
  member: Member,
  receiver: Member | undefined,
): void {
  const slot = (operand: SlotSource | SlotDest): Int => {
    if (!("publish" in operand)) return slotAddress(context, instruction, operand, member);
    if (receiver !== undefined) return slotAddress(context, instruction, operand, receiver);
    return ints.add(context.f, context.scratch, ints.constant(context.layout.nowhereOffset));
  };
  const number = context.numbers.get(instruction)!;
  emitInstruction({ ...context, number, environment, slot }, instruction);
}

function slotAddress(
  context: WalkContext,
  instruction: Instruction,
  operand: SlotSource | SlotDest,
  member: Member,
): Int {
  const { f, layout } = context;
  const queue = layout.queues[operand.queue]!;
  const first = ints.add(
    f,
    ints.add(f, context.scratch, ints.constant(layout.slotsOffset + queue.offset)),
    ints.scale(f, member.number, layout.memberBytes),
  );
  if (context.program.queues[operand.queue]!.depth === 1) return first;
  const cursor = cursorAddress(context, instruction, operand, member);
  return ints.add(f, first, ints.ofLocal(f.keep("i32", f.load("i32.load", cursor()))));
}

/** Where the distance of the cursor's slot from the queue's first is kept. */
function cursorAddress(
  context: WalkContext,
  instruction: Instruction,
  operand: SlotSource | SlotDest,
  member: Member,
): () => I32 {
  const { f, layout, program } = context;
  const members = program.grid.rows * program.grid.columns;
  const cursor = layout.queues[operand.queue]!.cursor + cursorOf(program, instruction, operand);
  const start = ints.constant(layout.cursorsOffset + 4 * members * cursor);
  const address = ints.add(f, ints.add(f, context.scratch, start), ints.scale(f, member.number, 4));
  return () => ints.push(f, address);
}

function emitSteps(
  context: WalkContext,
  instruction: Instruction,
  environment: Environment,
  member: Member,
  receiver: Member,
): void {
  emitPops(context, instruction, environment, member);
  emitPublishes(context, instruction, environment, receiver);
}

function emitPops(
  context: WalkContext,
  instruction: Instruction,
  environment: Environment,
  member: Member,
): void {
  for (const source of operandsOf(instruction).sources) {
    const condition = emitCondition(context.f, source.pop, environment);
    emitStep(context, instruction, source, member, condition);
  }
}

function emitPublishes(
  context: WalkContext,
  instruction: Instruction,
  environment: Environment,
  member: Member,
): void {
  for (const dest of operandsOf(instruction).dests) {
    if (dest.update) continue;
    const condition = emitCondition(context.f, dest.publish, environment);
    emitStep(context, instruction, dest, member, condition);
  }
}

function emitStep(
  context: WalkContext,
  instruction: Instruction,
  operand: SlotSource | SlotDest,
  member: Member,
  condition: Int,
): void {
  const { f, layout, program } = context;
  const { depth, elements } = program.queues[operand.queue]!;
  if (depth === 1 || elements === 0 || boundsOf(condition).most === 0) return;
  const { pitchBytes } = layout.queues[operand.queue]!;
  ints.when(f, condition, () => {
    const address = cursorAddress(context, instruction, operand, member);
    const next = f.op("i32.add", f.load("i32.load", address()), f.i32(pitchBytes));
    const at = f.keep("i32", next);
    const isBelow = f.keep("i32", f.op("i32.lt_s", f.get(at), f.i32(pitchBytes * depth)));
    f.store("i32.store", address(), f.select(f.get(at), f.i32(0), f.get(isBelow)));
  });
}
