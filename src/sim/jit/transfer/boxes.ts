/**
 * The positions of a clipped walk as boxes: one that lies inside all bounds, and slabs that together are the rest. For
 * two clipped axes, in order: rows above and below over the full width, then what is left and right between.
 */
import type { FunctionBuilder } from "../wasm/function.js";
import * as ints from "../walk/ints.js";
import { boundsOf, type Int } from "../walk/ints.js";

export interface ClippedAxis {
  readonly count: Int;
  /** Position i is inside iff 0 <= origin + i * step < limit. */
  readonly clip?: { readonly origin: Int; readonly step: number; readonly limit: Int };
}

/** Per axis: the first position and the number of positions. */
export type Box = readonly { readonly start: Int; readonly count: Int }[];

export function boxesOf(
  f: FunctionBuilder,
  axes: readonly ClippedAxis[],
): { readonly inside: Box; readonly outside: readonly Box[] } {
  const full: Box = axes.map(({ count }) => ({ start: ints.zero, count }));
  const inside = axes.map((axis) => {
    const { first, end } = insideOf(f, axis);
    return { start: first, count: ints.subtract(f, end, first) };
  });
  const outside: Box[] = [];
  axes.forEach((axis, number) => {
    if (axis.clip === undefined) return;
    const { start, count } = inside[number]!;
    const end = ints.add(f, start, count);
    const slab = (part: Box[number]): Box => [
      ...inside.slice(0, number),
      part,
      ...full.slice(number + 1),
    ];
    outside.push(slab({ start: ints.zero, count: start }));
    outside.push(slab({ start: end, count: ints.subtract(f, axis.count, end) }));
  });
  return { inside, outside };
}

/** The positions [first, end) that are inside, with 0 <= first <= end <= count. */
function insideOf(
  f: FunctionBuilder,
  { count, clip }: ClippedAxis,
): { readonly first: Int; readonly end: Int } {
  if (clip === undefined) return { first: ints.zero, end: count };
  const { origin, step, limit } = clip;
  const clamp = (x: Int, least: Int): Int => ints.minimum(f, ints.maximum(f, x, least), count);
  if (step === 0) {
    const isBelow = ints.isLess(f, origin, limit);
    const isInside = ints.both(f, isBelow, ints.isLess(f, ints.constant(-1), origin));
    return { first: ints.zero, end: ints.minimum(f, scaleBy(f, isInside, count), count) };
  }
  if (step > 0) {
    const first = clamp(ints.ceilDivide(f, ints.subtract(f, ints.zero, origin), step), ints.zero);
    const end = clamp(ints.ceilDivide(f, ints.subtract(f, limit, origin), step), first);
    return { first, end };
  }
  const after = (x: Int): Int => ints.add(f, ints.floorDivide(f, x, -step), ints.one);
  const first = clamp(after(ints.subtract(f, origin, limit)), ints.zero);
  return { first, end: clamp(after(origin), first) };
}

function scaleBy(f: FunctionBuilder, isTrue: Int, count: Int): Int {
  if (isTrue.kind === "constant") return isTrue.value === 0 ? ints.zero : count;
  return ints.ofLocal(
    f.keep("i32", f.select(ints.push(f, count), f.i32(0), ints.push(f, isTrue))),
    { least: 0, most: boundsOf(count).most },
  );
}

/**
 * Whether the strides surely lead every position to an element of its own: each stride is larger than all that
 * the smaller ones reach together.
 */
export function isInjective(
  axes: readonly { readonly count: Int }[],
  strides: readonly number[],
): boolean {
  const moving = axes
    .map(({ count }, i) => ({ most: boundsOf(count).most, stride: Math.abs(strides[i]!) }))
    .filter(({ most }) => most > 1)
    .sort((a, b) => a.stride - b.stride);
  let reach = 0;
  for (const { most, stride } of moving) {
    if (stride <= reach) return false;
    reach += stride * (most - 1);
  }
  return true;
}
