/**
 * What the registers of a lane program can hold, given what its inputs can. Integers are taken as they would be
 * without wrapping: a register within int32 for every input computes the same in 32 and in 64 bits.
 */
import type { LaneInstruction, LaneOpName, LaneProgram } from "../../numerics/lane.js";
import {
  bitwise,
  bitwiseAnd,
  clamped,
  difference,
  everything,
  greatest,
  int32Range,
  integerQuotient,
  interval,
  type Interval,
  least,
  magnitude,
  product,
  quotient,
  remainder,
  rising,
  sum,
  union,
  within,
} from "./intervals.js";

export interface RegisterRange extends Interval {
  /** The same in 32 bits as in the 64 of the host. */
  readonly exact: boolean;
}

/** What registers for integers hold. An unsigned one may be taken as negative, where that makes no difference. */
const domains = {
  i32: int32Range,
  i64: interval(-(2 ** 63), 2 ** 63 - 1),
  u64: interval(-(2 ** 63), 2 ** 64 - 1),
};

/** One range per instruction, of a program whose integer registers are of type `integer`. */
export function laneRanges(
  { instructions }: LaneProgram,
  inputs: readonly Interval[],
  integer: keyof typeof domains,
): readonly RegisterRange[] {
  const ranges: RegisterRange[] = [];
  const domain = domains[integer];
  for (const instruction of instructions) {
    const args = instruction.args.map((register) => ranges[register]!);
    const computed = rangeOf(instruction, args, inputs);
    const alike = isAlike(instruction.op, args, integer === "u64");
    const whole = instruction.type === "i32";
    const range = whole ? heldRange(instruction.op, computed, alike, domain) : computed;
    const exact = args.every((arg) => arg.exact) && alike && (!whole || within(range, int32Range));
    ranges.push({ ...range, exact });
  }
  return ranges;
}

/** What is computed may wrap; conversions from float saturate. */
function heldRange(op: LaneOpName, computed: Interval, alike: boolean, domain: Interval): Interval {
  if (op === "input" || op === "constI") return computed;
  if (op === "toI") return clamped(computed, domain);
  return alike && within(computed, domain) ? computed : domain;
}

const mask = interval(-1, 0);
/** With room for the last bits of the functions' own roundings. */
const logRoom = interval(-0.001, 0.001);
const unit = interval(-0.001, 1.001);
const signedUnit = interval(-1.001, 1.001);

/** Whether the operation is the same in 32 and 64 bits on operands that fit both. */
export function isAlike(op: LaneOpName, args: readonly Interval[], unsigned: boolean): boolean {
  const signs = !(unsigned && args.some((arg) => arg.low < 0));
  switch (op) {
    case "shl":
      return within(args[1]!, interval(0, 31));
    case "shrS":
      return within(args[1]!, interval(0, 31)) && signs;
    case "shrU":
      return within(args[1]!, interval(0, 31)) && args[0]!.low >= 0;
    case "divI":
    case "remI":
    case "minI":
    case "maxI":
    case "ltI":
    case "leI":
    case "toF":
      return signs;
    case "toI":
      return within(args[0]!, int32Range) && !(unsigned && args[0]!.low < 0);
    default:
      return true;
  }
}

function rangeOf(
  { op, args: registers, imm, type }: LaneInstruction,
  args: readonly Interval[],
  inputs: readonly Interval[],
): Interval {
  const [a, b, c] = args as readonly [Interval, Interval, Interval];
  if (op === "input") return inputs[imm!]!;
  if (op === "constF" || op === "constI") {
    return Number.isNaN(imm) ? everything : interval(imm!, imm!);
  }
  if (op === "mul" && registers[0] === registers[1]) return rounded(squared(a));
  const range = rules[op as keyof typeof rules]?.(a, b, c);
  if (range === undefined) return type === "i32" ? int32Range : everything;
  return type === "f32" ? rounded(range) : range;
}

function squared(a: Interval): Interval {
  const { low, high } = magnitude(a);
  return interval(low * low, high * high);
}

/** Rounding never swaps two numbers, so rounded bounds bound what is rounded. */
function rounded({ low, high }: Interval): Interval {
  return interval(Math.fround(low), Math.fround(high));
}

type Rule = (a: Interval, b: Interval, c: Interval) => Interval;

const rules = {
  add: sum,
  sub: difference,
  mul: product,
  div: quotient,
  neg: (a) => interval(-a.high, -a.low),
  abs: magnitude,
  sqrt: (a) => rising(greatest(a, interval(0, 0)), Math.sqrt),
  min: least,
  max: greatest,
  floor: (a) => rising(a, Math.floor),
  ceil: (a) => rising(a, Math.ceil),
  trunc: (a) => rising(a, Math.trunc),
  rint: (a) => interval(Math.floor(a.low), Math.ceil(a.high)),
  addI: sum,
  subI: difference,
  mulI: product,
  divI: integerQuotient,
  remI: remainder,
  minI: least,
  maxI: greatest,
  and: bitwiseAnd,
  or: bitwise,
  xor: bitwise,
  shl: (a, b) => product(a, interval(2 ** Math.max(0, b.low), 2 ** Math.max(0, b.high))),
  shrS: (a) => union(a, interval(a.low < 0 ? -1 : 0, 0)),
  shrU: (a) => interval(0, a.high),
  eq: () => mask,
  lt: () => mask,
  le: () => mask,
  eqI: () => mask,
  ltI: () => mask,
  leI: () => mask,
  select: (a, b, c) => (within(a, mask) ? union(b, c) : everything),
  selectI: selected,
  toF: (a) => a,
  toI: (a) => union(rising(a, Math.trunc), interval(0, 0)),
  log: (a) => sum(rising(greatest(a, interval(0, 0)), Math.log), logRoom),
  sigmoid: () => unit,
  tanh: () => signedUnit,
  erf: () => signedUnit,
  sin: () => signedUnit,
  cos: () => signedUnit,
} satisfies { readonly [Op in LaneOpName]?: Rule };

/** Bit by bit: one of the two only where the condition is a mask. */
function selected(condition: Interval, b: Interval, c: Interval): Interval {
  return within(condition, mask) ? union(b, c) : bitwise(b, c);
}
