/**
 * When two walks through memory cannot meet. An address is read like a number: its strides are the places of the
 * digits (row, column, ...), and where no digit runs over into the next, two addresses are equal only if all their
 * digits are. So walks are apart if one digit tells them apart, although their ranges interleave.
 */
import type { Affine, LoopHead } from "../ir/tile.js";
import {
  addForms,
  type Bounds,
  constantForm,
  type Form,
  formOf,
  type Interval,
  type WalkAxis,
} from "./bounds.js";

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

/** The digits of two walks, at the same places. */
export interface SplitPair {
  readonly a: readonly Digit[];
  readonly b: readonly Digit[];
}

/**
 * The pair's digits at several choices of places: what one choice cannot tell apart, another may. `unit`: elements
 * that cannot be told apart, such as two int4 in one byte; a power of two.
 */
export function splitPairs(a: Footprint, b: Footprint, unit: number): readonly SplitPair[] {
  const [fixedA, fixedB] = [withoutScalars(a), withoutScalars(b)];
  if (fixedA.scalars !== fixedB.scalars) return [];
  const walks = [fixedA.walk, fixedB.walk];
  const strides = walks.flatMap(stridesOf);
  const spatial = walks.flatMap(spatialStridesOf);
  const choices = [chain(strides, unit), chainDown(strides, unit), chain(spatial, unit)];
  const known = new Set<string>();
  return choices.flatMap((places) => {
    if (known.has(places.join())) return [];
    known.add(places.join());
    return [splitAt(fixedA.walk, fixedB.walk, places)];
  });
}

/** The digits at the places, less those that a lower digit would run over into. */
function splitAt(a: Footprint, b: Footprint, wanted: readonly number[]): SplitPair {
  let places = wanted;
  for (;;) {
    const { split, overflow } = digitsAt(a, b, places);
    if (overflow < 0) return split;
    places = places.filter((_, i) => i !== overflow);
  }
}

/** Scalars are the same for all of a launch, so walks that begin at the same ones differ by the rest only. */
function withoutScalars(walk: Footprint): { readonly walk: Footprint; readonly scalars: string } {
  const terms = new Map<string, number>();
  const scalars: string[] = [];
  for (const [key, coefficient] of walk.base.terms) {
    if (key.startsWith("s")) scalars.push(`${coefficient}${key}`);
    else terms.set(key, coefficient);
  }
  const base = { constant: walk.base.constant, terms };
  return { walk: { ...walk, base }, scalars: scalars.sort().join() };
}

function stridesOf({ base, axes }: Footprint): number[] {
  const indices = [...base.terms].filter(([key]) => key.startsWith("i"));
  return [...indices.map(([, coefficient]) => coefficient), ...axes.map((axis) => axis.stride)];
}

/** How far the walk moves from one member to the next. */
function spatialStridesOf({ base, loops }: Footprint): number[] {
  return loops
    .filter((loop) => loop.over !== "time")
    .map((loop) => (base.terms.get(`i${loop.id}`) ?? 0) * loop.step);
}

/** Places of digits, ascending from `unit`, each a multiple of the one before: taken up wherever possible. */
function chain(strides: readonly number[], unit: number): number[] {
  const places = [unit];
  for (const size of ascending(strides)) {
    const below = places.at(-1)!;
    if (size > below && size % below === 0) places.push(size);
  }
  return places;
}

/** The same, chosen from the greatest downwards. */
function chainDown(strides: readonly number[], unit: number): number[] {
  const places: number[] = [];
  for (const size of ascending(strides).reverse()) {
    if (size > unit && size % unit === 0 && (places[0] ?? size) % size === 0) places.unshift(size);
  }
  return [unit, ...places];
}

function ascending(strides: readonly number[]): number[] {
  return [...new Set(strides.map(Math.abs))].filter((s) => s > 0).sort((x, y) => x - y);
}

/**
 * The digits at these places, lowest first. What is below a place stays within a window of that size, the same for
 * both walks; then digits are unique. `overflow`: number of the first place where it does not, -1 where all do.
 */
function digitsAt(
  a: Footprint,
  b: Footprint,
  places: readonly number[],
): { readonly split: SplitPair; readonly overflow: number } {
  const split: { a: Digit[]; b: Digit[] } = { a: [], b: [] };
  let [restA, restB] = [a.base.constant, b.base.constant];
  for (const [i, place] of places.entries()) {
    const next = places[i + 1];
    const [digitA, digitB] = [digitAt(a, places, i), digitAt(b, places, i)];
    const partA = restA / place;
    let partB = restB / place;
    if (next !== undefined) {
      const left = a.bounds.walk(digitA.base, digitA.axes);
      const right = b.bounds.walk(digitB.base, digitB.axes);
      const shift = windowShift(shifted(left, partA), shifted(right, partB), next / place);
      if (shift === undefined) return { split, overflow: i + 1 };
      partB += shift;
    }
    split.a.push({ ...digitA, base: addForms(digitA.base, constantForm(partA)) });
    split.b.push({ ...digitB, base: addForms(digitB.base, constantForm(partB)) });
    [restA, restB] = [restA - partA * place, restB - partB * place];
  }
  return { split, overflow: -1 };
}

function shifted({ low, high }: Interval, by: number): Interval {
  return { low: low + by, high: high + by };
}

/** What multiple of `size` brings b so close to a that one window of that size holds both. */
function windowShift(a: Interval, b: Interval, size: number): number | undefined {
  if (![a, b].every(({ low, high }) => Number.isFinite(high - low))) return undefined;
  for (const start of [a.low, b.low - size * Math.ceil((b.low - a.low) / size)]) {
    const shift = start + modulo(b.low - start, size) - b.low;
    const fits = ({ low, high }: Interval) => low >= start && high < start + size;
    if (fits(a) && fits(shifted(b, shift))) return shift;
  }
  return undefined;
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
  return { coefficient, rest: whole(bounds.walk({ constant: base.constant, terms }, axes)) };
}

/** In whole units, such as the bytes that int4 elements lie in. */
function whole({ low, high }: Interval): Interval {
  return { low: Math.floor(low), high: Math.floor(high) };
}

/** Apart whatever the trips on both sides. */
export function areApart(pair: SplitPair, a: Footprint, b: Footprint): boolean {
  return pair.a.some((digit, i) => {
    const other = pair.b[i]!;
    const left = whole(a.bounds.walk(digit.base, digit.axes));
    return disjoint(left, whole(b.bounds.walk(other.base, other.axes)));
  });
}

type InLoop = readonly [Footprint, LoopHead];

/** Apart in different trips of a loop that both stand in (perhaps as two loops of one class). */
export function areApartAcross(pair: SplitPair, a: InLoop, b: InLoop): boolean {
  return someDigit(pair, a, b, (left, right) => {
    const step = Math.abs(left.coefficient) * a[1].step;
    const overlap = Math.max(left.rest.high - right.rest.low, right.rest.high - left.rest.low);
    return overlap < step;
  });
}

/** Apart in the same trip of such a loop. */
export function areApartWithin(pair: SplitPair, a: InLoop, b: InLoop): boolean {
  return someDigit(pair, a, b, (left, right) => disjoint(left.rest, right.rest));
}

/** Some digit that moves with the loops alike, by whole units, satisfies the test. */
function someDigit(
  pair: SplitPair,
  [a, loopA]: InLoop,
  [b, loopB]: InLoop,
  test: (left: Moving, right: Moving) => boolean,
): boolean {
  return pair.a.some((digit, i) => {
    const left = moving(digit, loopA.id, a.bounds);
    const right = moving(pair.b[i]!, loopB.id, b.bounds);
    const alike = left.coefficient === right.coefficient && Number.isInteger(left.coefficient);
    return alike && test(left, right);
  });
}

function disjoint(a: Interval, b: Interval): boolean {
  return a.high < b.low || b.high < a.low;
}

export function footprintOf(
  walk: { readonly base: Affine; readonly axes: readonly WalkAxis[] },
  loops: readonly LoopHead[],
  bounds: Bounds,
): Footprint {
  return { base: formOf(walk.base), axes: walk.axes, bounds, loops };
}
