/**
 * Lane arithmetic at 64 bits, for maps that the host evaluates on i64, u64 or f64: fp32 registers become
 * doubles, int32 registers become 64-bit integers (bigint, wrapping), masks 0n and -1n. The device has neither.
 */
import { decodeFloat, encodeFloat } from "./float-formats.js";
import type { FunctionName, LaneAlgebra } from "./lane.js";
import { roundToEven } from "./scalar.js";

/** A number where the register is a float, a bigint where it is an integer. */
export type WideValue = number | bigint;

export type WideAlgebra = LaneAlgebra<WideValue>;

const word = new DataView(new ArrayBuffer(8));
const one = (1n << 64n) - 1n;

/** `signed` says how 64-bit integers compare, divide, shift right and convert. */
export function wideAlgebra(signed: boolean): WideAlgebra {
  const wrap = signed ? (a: bigint) => BigInt.asIntN(64, a) : (a: bigint) => BigInt.asUintN(64, a);
  return { ...floatRows(wrap), ...integerRows(wrap), ...conversionRows(signed, wrap) };
}

type Wrap = (a: bigint) => bigint;
type FloatFunction = (a: number, b: number) => number;
type IntegerFunction = (a: bigint, b: bigint) => bigint;

const onFloats = (f: FloatFunction) => f as (...args: WideValue[]) => WideValue;
const onIntegers = (f: IntegerFunction) => f as (...args: WideValue[]) => WideValue;

function floatRows(wrap: Wrap) {
  const compare = (f: (a: number, b: number) => boolean) =>
    ((a: number, b: number) => (f(a, b) ? wrap(-1n) : 0n)) as unknown as (
      ...args: WideValue[]
    ) => WideValue;
  const round = (format: "f16" | "bf16" | "f8e4m3fn" | "f8e5m2") =>
    onFloats((a) => decodeFloat(format, encodeFloat(format, a)));
  return {
    constF: (value: number): WideValue => value,
    add: onFloats((a, b) => a + b),
    sub: onFloats((a, b) => a - b),
    mul: onFloats((a, b) => a * b),
    div: onFloats((a, b) => a / b),
    neg: onFloats((a) => -a),
    abs: onFloats(Math.abs),
    sqrt: onFloats(Math.sqrt),
    min: onFloats((a, b) => Math.min(a, b)),
    max: onFloats((a, b) => Math.max(a, b)),
    floor: onFloats(Math.floor),
    ceil: onFloats(Math.ceil),
    trunc: onFloats(Math.trunc),
    rint: onFloats(roundToEven),
    eq: compare((a, b) => a === b),
    lt: compare((a, b) => a < b),
    le: compare((a, b) => a <= b),
    roundF16: round("f16"),
    roundBF16: round("bf16"),
    roundE4M3: round("f8e4m3fn"),
    roundE5M2: round("f8e5m2"),
  };
}

function integerRows(wrap: Wrap) {
  const wrapped = (f: IntegerFunction) => onIntegers((a, b) => wrap(f(a, b)));
  const compare = (f: (a: bigint, b: bigint) => boolean) =>
    onIntegers((a, b) => (f(a, b) ? wrap(-1n) : 0n));
  const bitsOf = (a: bigint) => BigInt.asUintN(64, a);
  return {
    constI: (value: number): WideValue => wrap(BigInt(value)),
    addI: wrapped((a, b) => a + b),
    subI: wrapped((a, b) => a - b),
    mulI: wrapped((a, b) => a * b),
    divI: wrapped((a, b) => (b === 0n ? 0n : a / b)),
    remI: wrapped((a, b) => (b === 0n ? a : a % b)),
    minI: onIntegers((a, b) => (a < b ? a : b)),
    maxI: onIntegers((a, b) => (a > b ? a : b)),
    and: wrapped((a, b) => a & b),
    or: wrapped((a, b) => a | b),
    xor: wrapped((a, b) => a ^ b),
    shl: wrapped((a, b) => a << (b & 63n)),
    shrS: wrapped((a, b) => BigInt.asIntN(64, a) >> (b & 63n)),
    shrU: wrapped((a, b) => bitsOf(a) >> (b & 63n)),
    eqI: compare((a, b) => a === b),
    ltI: compare((a, b) => a < b),
    leI: compare((a, b) => a <= b),
  };
}

function conversionRows(signed: boolean, wrap: Wrap) {
  const lowest = signed ? -(1n << 63n) : 0n;
  const highest = signed ? (1n << 63n) - 1n : one;
  return {
    select: (...[m, a, b]: WideValue[]): WideValue => (m === 0n ? b! : a!),
    selectI: (...[m, a, b]: WideValue[]): WideValue => {
      const mask = m as bigint;
      return wrap(((a as bigint) & mask) | ((b as bigint) & ~mask));
    },
    toF: (a: WideValue): WideValue => Number(a),
    toI: (a: WideValue): WideValue => {
      if (Number.isNaN(a)) return 0n;
      if (a >= highest) return highest;
      return a <= lowest ? lowest : BigInt(Math.trunc(a as number));
    },
    bitsF: (a: WideValue): WideValue => {
      word.setBigUint64(0, BigInt.asUintN(64, a as bigint));
      return word.getFloat64(0);
    },
    bitsI: (a: WideValue): WideValue => {
      word.setFloat64(0, a as number);
      return wrap(word.getBigUint64(0));
    },
  };
}

/** The functions on doubles, as good as `Math` has them. */
export const wideFunctions: {
  readonly [F in FunctionName]: (...args: WideValue[]) => WideValue;
} = {
  exp: onFloats(Math.exp),
  log: onFloats(Math.log),
  sin: onFloats(Math.sin),
  cos: onFloats(Math.cos),
  tan: onFloats(Math.tan),
  asin: onFloats(Math.asin),
  acos: onFloats(Math.acos),
  atan: onFloats(Math.atan),
  sinh: onFloats(Math.sinh),
  cosh: onFloats(Math.cosh),
  tanh: onFloats(Math.tanh),
  asinh: onFloats(Math.asinh),
  acosh: onFloats(Math.acosh),
  atanh: onFloats(Math.atanh),
  sigmoid: onFloats((a) => 1 / (1 + Math.exp(-a))),
  erf: onFloats(erfDouble),
  pow: onFloats(powDouble),
};

/** As C's pow: 1 to any power is 1, and -1 to an infinite one, where JavaScript says NaN. */
export function powDouble(a: number, b: number): number {
  if (a === 1 || (a === -1 && Math.abs(b) === Infinity)) return 1;
  return a ** b;
}

/** Error function to about 1e-15: its series near 0, a continued fraction of the complement farther out. */
export function erfDouble(x: number): number {
  const a = Math.abs(x);
  if (!(a < 6)) return Number.isNaN(x) ? x : Math.sign(x);
  if (a < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17 && n < 100; n++) {
      term *= (2 * x * x) / (2 * n + 1);
      sum += term;
    }
    return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let fraction = a;
  for (let n = 60; n > 0; n--) fraction = a + n / 2 / fraction;
  return Math.sign(x) * (1 - Math.exp(-x * x) / (Math.sqrt(Math.PI) * fraction));
}
