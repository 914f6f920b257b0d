/**
 * How int32 registers stand for those of 64 bits whose numbers need not fit. Conversions from float saturate in both: the
 * same as far as int32 goes, and beyond it, on the same side, wherever one is. Sums keep that, with less room; what
 * compares with a number in between makes no difference of it any more.
 *
 *   x = toI f: the same within int32;  y = minI (addI x 8) 15: the same above -2^31 + 8;  ltI y 15: the same
 */
import type { LaneInstruction, LaneOpName, LaneProgram } from "../../numerics/lane.js";
import {
  clamped,
  everything,
  greatest,
  int32Range,
  intersection,
  interval,
  type Interval,
  least,
  sum,
  union,
  within,
} from "./intervals.js";
import { isAlike, type RegisterRange } from "./lane-ranges.js";

export interface Saturated {
  /** What the int32 register may hold. */
  readonly held: Interval;
  /** The two are equal where one is within this; where one lies beyond, so does the other, on the same side. */
  readonly same: Interval;
}

export function exactly(held: Interval): Saturated {
  return { held, same: everything };
}

export function isExact({ same }: Saturated): boolean {
  return same.low === -Infinity && same.high === Infinity;
}

/** Whichever of them; undefined where they have nothing in common. */
export function either(a: Saturated, b: Saturated): Saturated | undefined {
  return standIn(union(a.held, b.held), intersection(a.same, b.same));
}

/**
 * Of the result of a program with int64 registers that hold `wide`; undefined where its int32 form may be anything.
 * `inputs` has those that may be saturated.
 */
export function saturatedResult(
  { instructions, results }: LaneProgram,
  wide: readonly RegisterRange[],
  inputs: readonly (Saturated | undefined)[],
): Saturated | undefined {
  const registers: (Saturated | undefined)[] = [];
  instructions.forEach((instruction, i) => {
    const range = wide[i]!;
    const known = instruction.op === "input" ? inputs[instruction.imm!] : undefined;
    const args = instruction.args.map((register) => registers[register]);
    const ranges = instruction.args.map((register) => wide[register]!);
    const found = known ?? registerOf(instruction, range, args, ranges);
    registers.push(found && within(range, found.same) ? exactly(found.held) : found);
  });
  return registers[results[0]!];
}

function registerOf(
  { op, type }: LaneInstruction,
  range: RegisterRange,
  args: readonly (Saturated | undefined)[],
  ranges: readonly Interval[],
): Saturated | undefined {
  const known = args.filter((arg) => arg !== undefined);
  if (known.length < args.length) return undefined;
  const fits = type !== "i32" || within(range, int32Range);
  if (fits && known.every(isExact) && isAlike(op, ranges, false)) return exactly(range);
  const rule: Rule | undefined = rules[op as keyof typeof rules];
  return rule?.(known, ranges, range);
}

/** `range` is what the 64-bit register holds, `ranges` what its arguments hold. */
type Rule = (
  args: readonly Saturated[],
  ranges: readonly Interval[],
  range: Interval,
) => Saturated | undefined;

const int64Range = interval(-(2 ** 63), 2 ** 63 - 1);
/** An int32 at either end stands for all that is beyond it. */
const insideInt32 = interval(int32Range.low + 1, int32Range.high - 1);

const rules = {
  toI: ([x], _, range) =>
    isExact(x!) ? { held: clamped(range, int32Range), same: insideInt32 } : undefined,
  addI: ([a, b], [x, y]) =>
    isExact(b!) ? moved(a!, x!, y!) : isExact(a!) ? moved(b!, y!, x!) : undefined,
  subI: ([a, b], [x, y]) => (isExact(b!) ? moved(a!, x!, interval(-y!.high, -y!.low)) : undefined),
  minI: ([a, b]) =>
    standIn(least(a!.held, b!.held), {
      low: Math.max(a!.same.low, b!.same.low),
      high: isBelow(a!, b!) || isBelow(b!, a!) ? Infinity : Math.min(a!.same.high, b!.same.high),
    }),
  maxI: ([a, b]) =>
    standIn(greatest(a!.held, b!.held), {
      low: isAbove(a!, b!) || isAbove(b!, a!) ? -Infinity : Math.max(a!.same.low, b!.same.low),
      high: Math.min(a!.same.high, b!.same.high),
    }),
  ltI: compared,
  leI: compared,
  eqI: compared,
  selectI: ([condition, b, c], [chosen]) =>
    isExact(condition!) && within(chosen!, mask) ? either(b!, c!) : undefined,
} satisfies { readonly [Op in LaneOpName]?: Rule };

/** Plus a number of `by`, where neither of the two wraps. */
function moved({ held, same }: Saturated, wide: Interval, by: Interval): Saturated | undefined {
  const sums = sum(held, by);
  if (!within(sums, int32Range) || !within(sum(wide, by), int64Range)) return undefined;
  return standIn(sums, interval(same.low + by.high, same.high + by.low));
}

/** Whether `a` is known, and never more than what is the same of `b`. */
function isBelow(a: Saturated, b: Saturated): boolean {
  return isExact(a) && a.held.high <= b.same.high;
}

function isAbove(a: Saturated, b: Saturated): boolean {
  return isExact(a) && a.held.low >= b.same.low;
}

const mask = interval(-1, 0);

function compared([a, b]: readonly Saturated[]): Saturated | undefined {
  const known =
    (isExact(a!) && within(a!.held, b!.same)) || (isExact(b!) && within(b!.held, a!.same));
  return known ? exactly(mask) : undefined;
}

function standIn(held: Interval, same: Interval): Saturated | undefined {
  return same.low <= same.high ? { held, same } : undefined;
}
