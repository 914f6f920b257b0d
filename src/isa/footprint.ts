/**
 * When two walks through memory cannot meet. An address is read like a number: its strides are the places of the
 * digits (row, column, ...), and where no digit runs over into the next, two addresses are equal only if all their
 * digits are. So walks are apart if one digit tells them apart, although their ranges interleave.
 */
import type { LoopHead } from "../ir/tile.js";
import { addForms, type Bounds, constantForm, type Form, formOf, type Interval } from "./bounds.js";
import type { WalkAxis } from "./sites.js";

/** A walk, with the loops around it. */
export interface Footprint {
  readonly base: Form;
  readonly axes: readonly WalkAxis[];
  readonly bounds: Bounds;
  readonly loops: readonly LoopHead[];
}

/** One digit of an address: how it moves, in units of its place. */
interface Digit {
  readonly base: Form;
  readonly axes: readonly WalkAxis[];
}

/**
 * The digits of two walks, at the same places. Undefined where the scalars that the walks begin at differ: then
 * nothing can be told from the digits.
 */
export interface SplitPair {
  readonly a: readonly Digit[];
  readonly b: readonly Digit[];
}

/** `unit`: elements that cannot be told apart, such as two int4 in one byte; a power of two. */
export function splitPair(a: Footprint, b: Footprint, unit: number): SplitPair | undefined {
  const [fixedA, fixedB] = [withoutScalars(a), withoutScalars(b)];
  if (fixedA === undefined || fixedB === undefined) return undefined;
  if (fixedA.scalars !== fixedB.scalars) return undefined;
  let places = placesOf([fixedA.walk, fixedB.walk], unit);
  for (;;) {
    const digitsA = digitsAt(fixedA.walk, places);
    const digitsB = digitsAt(fixedB.walk, places);
    const overflow = Math.max(digitsA.overflow, digitsB.overflow);
    if (overflow < 0) return { a: digitsA.digits, b: digitsB.digits };
    places = places.filter((_, i) => i !== overflow);
  }
}

/** Scalars are the same for all of a launch, so walks that begin at the same ones differ by the rest only. */
function withoutScalars(
  walk: Footprint,
): { readonly walk: Footprint; readonly scalars: string } | undefined {
  const terms = new Map<string, number>();
  const scalars: string[] = [];
  for (const [key, coefficient] of walk.base.terms) {
    if (key.startsWith("s")) scalars.push(`${coefficient}${key}`);
    else terms.set(key, coefficient);
  }
  const base = { constant: walk.base.constant, terms };
  return { walk: { ...walk, base }, scalars: scalars.sort().join() };
}

/** Places of the digits, ascending from `unit`, each a multiple of the one before. */
function placesOf(walks: readonly Footprint[], unit: number): readonly number[] {
  const sizes = new Set<number>();
  for (const { base, axes } of walks) {
    for (const [key, coefficient] of base.terms)
      if (key.startsWith("i")) sizes.add(Math.abs(coefficient));
    for (const { stride } of axes) sizes.add(Math.abs(stride));
  }
  const places = [unit];
  for (const size of [...sizes].sort((x, y) => x - y)) {
    const below = places.at(-1)!;
    if (size > below && size % below === 0) places.push(size);
  }
  return places;
}

/**
 * The digits at these places, lowest first, each beginning at 0 or above within the next place. `overflow`: number
 * of the place that a lower digit runs over into, -1 where none does.
 */
function digitsAt(
  walk: Footprint,
  places: readonly number[],
): { readonly digits: readonly Digit[]; readonly overflow: number } {
  const digits: Digit[] = [];
  let constant = walk.base.constant;
  for (const [i, place] of places.entries()) {
    const digit = digitAt(walk, places, i);
    const next = places[i + 1];
    if (next === undefined) {
      digits.push({
        ...digit,
        base: addForms(digit.base, constantForm(Math.floor(constant / place))),
      });
      break;
    }
    const radix = next / place;
    const { low, high } = walk.bounds.walk(digit.base, digit.axes);
    if (!Number.isFinite(low) || !Number.isFinite(high)) return { digits, overflow: i + 1 };
    // The part of the constant that brings the lowest value into [0, radix).
    const own = Math.floor(constant / place);
    const least = modulo(own + low, radix);
    if (least + (high - low) >= radix) return { digits, overflow: i + 1 };
    const part = least - low;
    digits.push({ ...digit, base: addForms(digit.base, constantForm(part)) });
    constant -= part * place;
  }
  return { digits, overflow: -1 };
}

function modulo(value: number, radix: number): number {
  return ((value % radix) + radix) % radix;
}

/** The terms and axes that belong to place `i`: those whose stride is a multiple of it and of none above. */
function digitAt(walk: Footprint, places: readonly number[], i: number): Digit {
  const place = places[i]!;
  const belongs = (stride: number) => {
    const own = places.findLastIndex((p) => stride % p === 0);
    return Math.max(own, 0) === i;
  };
  const terms = new Map<string, number>();
  for (const [key, coefficient] of walk.base.terms) {
    if (belongs(coefficient)) terms.set(key, coefficient / place);
  }
  const axes = walk.axes
    .filter(({ stride }) => stride !== 0 && belongs(stride))
    .map((axis) => ({ ...axis, stride: axis.stride / place }));
  return { base: { constant: 0, terms }, axes };
}

/** How a digit moves with one loop, and where it lies beside that. */
interface Moving {
  readonly coefficient: number;
  readonly rest: Interval;
}

function moving({ base, axes }: Digit, loop: number, bounds: Bounds): Moving {
  const terms = new Map(base.terms);
  const coefficient = terms.get(`i${loop}`) ?? 0;
  terms.delete(`i${loop}`);
  return { coefficient, rest: bounds.walk({ constant: base.constant, terms }, axes) };
}

/** Apart whatever the trips on both sides. */
export function areApart(pair: SplitPair, a: Footprint, b: Footprint): boolean {
  return pair.a.some((digit, i) => {
    const other = pair.b[i]!;
    return disjoint(a.bounds.walk(digit.base, digit.axes), b.bounds.walk(other.base, other.axes));
  });
}

/** Apart in different trips of a loop that both stand in (perhaps as two loops of one class). */
export function areApartAcross(
  pair: SplitPair,
  [a, loopA]: readonly [Footprint, LoopHead],
  [b, loopB]: readonly [Footprint, LoopHead],
): boolean {
  return pair.a.some((digit, i) => {
    const left = moving(digit, loopA.id, a.bounds);
    const right = moving(pair.b[i]!, loopB.id, b.bounds);
    if (left.coefficient !== right.coefficient) return false;
    const step = Math.abs(left.coefficient) * loopA.step;
    const overlap = Math.max(left.rest.high - right.rest.low, right.rest.high - left.rest.low);
    return overlap < step;
  });
}

/** Apart in the same trip of such a loop. */
export function areApartWithin(
  pair: SplitPair,
  [a, loopA]: readonly [Footprint, LoopHead],
  [b, loopB]: readonly [Footprint, LoopHead],
): boolean {
  return pair.a.some((digit, i) => {
    const left = moving(digit, loopA.id, a.bounds);
    const right = moving(pair.b[i]!, loopB.id, b.bounds);
    return left.coefficient === right.coefficient && disjoint(left.rest, right.rest);
  });
}

function disjoint(a: Interval, b: Interval): boolean {
  return a.high < b.low || b.high < a.low;
}

export function footprintOf(
  walk: { readonly base: Parameters<typeof formOf>[0]; readonly axes: readonly WalkAxis[] },
  loops: readonly LoopHead[],
  bounds: Bounds,
): Footprint {
  return { base: formOf(walk.base), axes: walk.axes, bounds, loops };
}
