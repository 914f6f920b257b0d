/**
 * The meaning of what kernels and programs share: affine expressions, counts, loop ranges, positions of axes.
 * What the bodies of instructions do is beside it: load.ts, store.ts, mma.ts, vec.ts. The kernel
 * evaluator and the reference simulator call these and nothing else, so there is one meaning.
 */
import type { DeviceDType } from "../../numerics/dtype.js";
import { isFloat } from "../../numerics/dtype.js";
import { undefinedBehaviour } from "./cells.js";
import type { Affine, Count, LoopHead } from "../tile.js";

/** Where execution stands on one member. */
export interface Environment {
  readonly scalars: ArrayLike<number>;
  /** Current trip of each enclosing loop, by loop id. */
  readonly trips: ReadonlyMap<number, Trip>;
}

export interface Trip {
  /** Number of this trip, and of all trips. */
  readonly number: number;
  readonly count: number;
  readonly index: number;
  readonly extent: number;
}

/** What all trips of a loop are derived from. */
export interface LoopRange {
  readonly start: number;
  readonly total: number;
  readonly step: number;
  readonly count: number;
}

export function evaluateAffine(affine: Affine, environment: Environment): number {
  let value = affine.constant;
  for (const term of affine.terms) {
    value += term.coefficient * termValue(term.of, term.id, environment);
  }
  return value;
}

function termValue(of: "scalar" | "index" | "extent", id: number, environment: Environment) {
  if (of === "scalar") {
    const scalar = environment.scalars[id];
    return scalar ?? undefinedBehaviour(`runtime scalar ${id} was not given`);
  }
  const trip = environment.trips.get(id);
  if (trip === undefined) return undefinedBehaviour(`loop ${id} does not enclose its use`);
  return trip[of];
}

export function evaluateCount(count: Count, environment: Environment): number {
  return Math.min(Math.max(evaluateAffine(count.value, environment), 0), count.max);
}

export function evaluateCounts(
  axes: readonly { readonly count: Count }[],
  environment: Environment,
): number[] {
  return axes.map((axis) => evaluateCount(axis.count, environment));
}

export function loopRange(head: LoopHead, environment: Environment): LoopRange {
  const start = evaluateAffine(head.start, environment);
  if (start < 0) undefinedBehaviour(`loop ${head.name} starts at ${start}`);
  const least = Math.min(...head.total.map((total) => evaluateAffine(total, environment)));
  const total = Math.min(Math.max(least, head.minTotal), head.maxTotal);
  const count = Math.max(0, Math.ceil((total - start) / head.step));
  return { start, total, step: head.step, count };
}

export function tripOf(range: LoopRange, number: number): Trip {
  const index = range.start + number * range.step;
  return { number, count: range.count, index, extent: Math.min(range.step, range.total - index) };
}

/** Calls `visit` at every position of the axes, in row-major order. The array is the same at each call. */
export function forEachPosition(
  counts: readonly number[],
  visit: (position: readonly number[]) => void,
): void {
  if (counts.some((count) => count <= 0)) return;
  const position = new Array<number>(counts.length).fill(0);
  for (;;) {
    visit(position);
    let axis = counts.length - 1;
    while (axis >= 0 && position[axis]! + 1 === counts[axis]) position[axis--] = 0;
    if (axis < 0) return;
    position[axis]!++;
  }
}

/** Offset of a position: the sum of position times stride. */
export function offsetAt(position: readonly number[], strides: readonly number[]): number {
  let offset = 0;
  for (let axis = 0; axis < strides.length; axis++) offset += position[axis]! * strides[axis]!;
  return offset;
}

/**
 * A value between memory and a slot of another type. Between two floats and between two integers the slot's or the
 * binding's own rounding says it all; an integer becomes the nearest fp32 number, a float an int32 toward
 * zero, saturating (NaN: 0), both like the lane operations toF and toI. A bool is 0 or 1: 1 for what is not 0.
 */
export function transferValue(value: number, from: DeviceDType, to: DeviceDType): number {
  if (to === "bool") return value === 0 ? 0 : 1;
  if (isFloat(from) === isFloat(to)) return value;
  return isFloat(to) ? Math.fround(value) : floatToInt(value);
}

function floatToInt(value: number): number {
  if (value !== value) return 0;
  return Math.trunc(Math.min(Math.max(value, -(2 ** 31)), 2 ** 31 - 1));
}
