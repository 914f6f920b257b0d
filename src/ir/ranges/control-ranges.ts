/**
 * What control flow makes of ranges: the results of branches together, and for a loop what holds before every trip.
 * That is found by running the body on ranges until they grow no more. What a state is counted up by is bounded by
 * the number of trips; what still grows after a few rounds is given up to its type.
 */
import { bodyOperands, tripResults } from "../control.js";
import { dimMax } from "../dim.js";
import type { ControlOperation, Graph, IfOperation, LoopOperation, Value } from "../graph.js";
import {
  everything,
  int32Range,
  interval,
  type Interval,
  product,
  sum,
  union,
  within,
} from "./intervals.js";
import type { Offset } from "./offsets.js";
import type { DType } from "../../numerics/dtype.js";

/** How bodies are looked at. */
export interface BodyRanges {
  /** In how many bodies the operation stands. */
  readonly depth: number;
  /** Ranges of the outputs of a body that is given such inputs. */
  readonly run: (body: Graph, given: readonly Interval[]) => readonly Interval[];
  /** Of all values of the body, as it was run last. */
  readonly offsets: (body: Graph) => ReadonlyMap<Value, Offset>;
  readonly stored: (range: Interval, dtype: DType) => Interval;
}

export function controlRanges(
  op: ControlOperation,
  operands: readonly Interval[],
  bodies: BodyRanges,
): readonly Interval[] {
  return op.kind === "if" ? ifRanges(op, operands, bodies) : loopRanges(op, operands, bodies);
}

function ifRanges(
  op: IfOperation,
  operands: readonly Interval[],
  { run }: BodyRanges,
): readonly Interval[] {
  const given = bodyOperands(op, operands);
  const [first, second] = op.bodies.map((body, i) => run(body, given[i]!));
  return first!.map((range, i) => union(range, second![i]!));
}

/** Rounds in which ranges may grow by what a trip adds, before a bound that grows goes to its type's. */
const preciseRounds = 4;
/** Rounds after which no state is believed to stay within anything. */
const roundsMax = 8;
/** Rounds of loops in loops multiply: deeper ones get one. */
const depthMax = 3;

function loopRanges(
  op: LoopOperation,
  operands: readonly Interval[],
  bodies: BodyRanges,
): readonly Interval[] {
  const operandsOfBody = bodyOperands(op, operands)[0]!;
  const loop: LoopRanges = {
    op,
    bodies,
    first: operandsOfBody.slice(0, op.states),
    captured: operandsOfBody.slice(op.states),
    trips: Math.max(1, op.trips === undefined ? op.index.max + 1 : dimMax(op.trips)),
  };
  const { last, scanned } = settled(loop);
  return [...last, ...scanned];
}

interface LoopRanges {
  readonly op: LoopOperation;
  readonly bodies: BodyRanges;
  readonly first: readonly Interval[];
  readonly captured: readonly Interval[];
  /** At most, and at least 1. */
  readonly trips: number;
}

/** A trip on ranges of what any trip may take. */
interface TripRanges {
  /** What a trip after one like this may take. */
  readonly next: readonly Interval[];
  /** States after any number of such trips. */
  readonly last: readonly Interval[];
  readonly scanned: readonly Interval[];
}

function settled(loop: LoopRanges): TripRanges {
  const { bodies, trips } = loop;
  let taken = bodies.depth < depthMax ? loop.first : typesOf(loop);
  for (let round = 1; ; round++) {
    const trip = tripOn(loop, taken);
    if (round >= trips || allWithin(trip.next, taken)) {
      return round > preciseRounds ? tightened(loop, taken, trip) : trip;
    }
    if (round >= roundsMax) taken = typesOf(loop);
    else if (round >= preciseRounds) taken = widened(loop, taken, trip.next);
    else taken = taken.map((range, i) => union(range, trip.next[i]!));
  }
}

function tripOn(loop: LoopRanges, taken: readonly Interval[]): TripRanges {
  const { op, bodies, first, captured, trips } = loop;
  const [body] = op.bodies as readonly [Graph];
  const { states, scanned } = tripResults(op, bodies.run(body, [...taken, ...captured]));
  const given = tripResults(op, body.outputs).states;
  const offsets = bodies.offsets(body);
  const after = (most: number): readonly Interval[] =>
    states.map((range, i) => {
      const offset = offsets.get(given[i]!.value);
      const counts = offset !== undefined && offset.from === body.inputs[i];
      const grown = counts ? sum(first[i]!, product(offset.by, interval(0, most))) : range;
      return bodies.stored(union(first[i]!, grown), body.inputs[i]!.dtype);
    });
  return { next: after(trips - 1), last: after(trips), scanned };
}

/** What grew too far shrinks again where the body itself bounds it. */
function tightened(loop: LoopRanges, taken: readonly Interval[], trip: TripRanges): TripRanges {
  const tighter = tripOn(loop, trip.next);
  return allWithin(tighter.next, trip.next) ? tighter : tripOn(loop, taken);
}

function typesOf({ op, bodies, first }: LoopRanges): readonly Interval[] {
  return first.map((_, i) => bodies.stored(everything, op.bodies[0]!.inputs[i]!.dtype));
}

/** Bounds that grow go to the end of int32, where sums do not wrap, and from there to that of the type. */
function widened(
  loop: LoopRanges,
  taken: readonly Interval[],
  next: readonly Interval[],
): readonly Interval[] {
  const types = typesOf(loop);
  return taken.map((before, i) => {
    const { low, high } = union(before, next[i]!);
    const ends = within({ low, high }, int32Range) ? int32Range : types[i]!;
    return interval(low < before.low ? ends.low : low, high > before.high ? ends.high : high);
  });
}

function allWithin(ranges: readonly Interval[], others: readonly Interval[]): boolean {
  return ranges.every((range, i) => within(range, others[i]!));
}
