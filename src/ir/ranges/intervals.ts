/** Closed intervals of numbers, for values whose elements are not known. Bounds may be infinite; NaN is outside. */
export interface Interval {
  readonly low: number;
  readonly high: number;
}

export const everything: Interval = { low: -Infinity, high: Infinity };
export const int32Range: Interval = { low: -(2 ** 31), high: 2 ** 31 - 1 };

export function interval(low: number, high: number): Interval {
  return { low, high };
}

export function union(a: Interval, b: Interval): Interval {
  return { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) };
}

export function within(a: Interval, b: Interval): boolean {
  return a.low >= b.low && a.high <= b.high;
}

export function contains(a: Interval, x: number): boolean {
  return a.low <= x && x <= a.high;
}

export function sum(a: Interval, b: Interval): Interval {
  return known(sumBelow(a.low, b.low), 0 - sumBelow(-a.high, -b.high));
}

export function difference(a: Interval, b: Interval): Interval {
  return sum(a, interval(-b.high, -b.low));
}

/** a + b, or less than that where a double cannot hold it. */
function sumBelow(a: number, b: number): number {
  const total = a + b;
  const added = total - a;
  const rest = a - (total - added) + (b - added);
  return rest < 0 ? total - lost(total) : total;
}

export function product(a: Interval, b: Interval): Interval {
  const corners = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high];
  // 0 times an infinite bound: the elements are finite, so 0.
  const finite = corners.map((corner) => (Number.isNaN(corner) ? 0 : corner));
  return outward({ low: Math.min(...finite), high: Math.max(...finite) });
}

/** Room for what a bound lost when it was rounded to a double, so that sums near the ends of int64 are seen to wrap. */
function outward({ low, high }: Interval): Interval {
  return { low: low - lost(low), high: high + lost(high) };
}

function lost(bound: number): number {
  const size = Math.abs(bound);
  return size > Number.MAX_SAFE_INTEGER && size < Infinity ? size * Number.EPSILON : 0;
}

/** a / b of floats; everything where b may be 0. */
export function quotient(a: Interval, b: Interval): Interval {
  if (contains(b, 0)) return everything;
  return product(a, { low: 1 / b.high, high: 1 / b.low });
}

/** a / b toward zero; x / 0 = 0. */
export function integerQuotient(a: Interval, b: Interval): Interval {
  const most = Math.max(Math.abs(a.low), Math.abs(a.high));
  if (b.low < 1) return { low: a.low >= 0 && b.low >= 0 ? 0 : -most, high: most };
  const corners = [a.low / b.low, a.low / b.high, a.high / b.low, a.high / b.high].map(toZero);
  return { low: Math.min(...corners), high: Math.max(...corners) };
}

function toZero(x: number): number {
  return Number.isNaN(x) ? 0 : Math.trunc(x);
}

/** a - (a / b toward zero) * b: the sign of a; a where b is 0. */
export function remainder(a: Interval, b: Interval): Interval {
  const most = Math.max(Math.abs(b.low), Math.abs(b.high)) - 1;
  const bound = contains(b, 0) ? Infinity : most;
  return {
    low: a.low >= 0 ? 0 : Math.max(a.low, -bound),
    high: a.high <= 0 ? 0 : Math.min(a.high, bound),
  };
}

export function least(a: Interval, b: Interval): Interval {
  return { low: Math.min(a.low, b.low), high: Math.min(a.high, b.high) };
}

export function greatest(a: Interval, b: Interval): Interval {
  return { low: Math.max(a.low, b.low), high: Math.max(a.high, b.high) };
}

/** What is beyond a bound becomes that bound. */
export function clamped(a: Interval, { low, high }: Interval): Interval {
  return least(greatest(a, interval(low, low)), interval(high, high));
}

export function intersection(a: Interval, b: Interval): Interval {
  return { low: Math.max(a.low, b.low), high: Math.min(a.high, b.high) };
}

export function magnitude(a: Interval): Interval {
  const high = Math.max(Math.abs(a.low), Math.abs(a.high));
  return { low: contains(a, 0) ? 0 : Math.min(Math.abs(a.low), Math.abs(a.high)), high };
}

/** f of every element, f not decreasing. */
export function rising(a: Interval, f: (x: number) => number): Interval {
  return known(f(a.low), f(a.high));
}

/** Any combination of the bits of a and b. */
export function bitwise(a: Interval, b: Interval): Interval {
  const both = union(a, b);
  const high = powerOf2Above(Math.max(both.high, -both.low - 1)) - 1;
  return { low: both.low < 0 ? -high - 1 : 0, high };
}

export function bitwiseAnd(a: Interval, b: Interval): Interval {
  if (a.low >= 0 && b.low >= 0) return { low: 0, high: Math.min(a.high, b.high) };
  if (a.low >= 0) return { low: 0, high: a.high };
  if (b.low >= 0) return { low: 0, high: b.high };
  return bitwise(a, b);
}

function powerOf2Above(x: number): number {
  let power = 1;
  while (power <= x && power < Infinity) power *= 2;
  return power;
}

function known(low: number, high: number): Interval {
  return { low: Number.isNaN(low) ? -Infinity : low, high: Number.isNaN(high) ? Infinity : high };
}
