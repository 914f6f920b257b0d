/**
 * Lane arithmetic on JavaScript numbers, exact to the bit: what the rows of `lane.ts` mean. The reference
 * simulator, constant folding and the host's evaluation compute with it, everything faster is checked against it.
 * Arithmetic at 64 bits, for the host only, is in `wide.ts`.
 */
import { bitsFloat, floatBits, rounder } from "./float-formats.js";
import type { LaneAlgebra } from "./lane.js";

const fround = Math.fround;
const mask = (condition: boolean): number => (condition ? -1 : 0);

export const scalarAlgebra: LaneAlgebra<number> = {
  constF: (value) => fround(value),
  constI: (value) => value | 0,

  add: (a, b) => fround(a + b),
  sub: (a, b) => fround(a - b),
  mul: (a, b) => fround(a * b),
  div: (a, b) => fround(a / b),
  neg: (a) => -a,
  abs: (a) => Math.abs(a),
  sqrt: (a) => fround(Math.sqrt(a)),
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  floor: (a) => Math.floor(a),
  ceil: (a) => Math.ceil(a),
  trunc: (a) => Math.trunc(a),
  rint: (a) => roundToEven(a),

  addI: (a, b) => (a + b) | 0,
  subI: (a, b) => (a - b) | 0,
  mulI: (a, b) => Math.imul(a, b),
  divI: (a, b) => (b === 0 ? 0 : (a / b) | 0),
  remI: (a, b) => (b === 0 ? a : (a % b) | 0),
  minI: (a, b) => (a < b ? a : b),
  maxI: (a, b) => (a > b ? a : b),
  and: (a, b) => a & b,
  or: (a, b) => a | b,
  xor: (a, b) => a ^ b,
  shl: (a, b) => a << b,
  shrS: (a, b) => a >> b,
  shrU: (a, b) => (a >>> b) | 0,

  eq: (a, b) => mask(a === b),
  lt: (a, b) => mask(a < b),
  le: (a, b) => mask(a <= b),
  eqI: (a, b) => mask(a === b),
  ltI: (a, b) => mask(a < b),
  leI: (a, b) => mask(a <= b),

  select: (m, a, b) =>
    m === -1 ? a : m === 0 ? b : bitsFloat(blend(m, floatBits(a), floatBits(b))),
  selectI: (m, a, b) => blend(m, a, b),

  toF: (a) => fround(a),
  toI: (a) => saturatingInt(a),
  bitsF: (a) => bitsFloat(a),
  bitsI: (a) => floatBits(a) | 0,
  roundF16: rounder("f16"),
  roundBF16: rounder("bf16"),
  roundE4M3: rounder("f8e4m3fn"),
  roundE5M2: rounder("f8e5m2"),
};

function blend(m: number, a: number, b: number): number {
  return (a & m) | (b & ~m);
}

/** Nearest integer, ties to even; keeps the sign of zero. Right for fp32 and for doubles. */
export function roundToEven(x: number): number {
  const magnitude = Math.abs(x);
  if (!(magnitude < 2 ** 52)) return x;
  const rounded = magnitude + 2 ** 52 - 2 ** 52;
  return x < 0 || Object.is(x, -0) ? -rounded : rounded;
}

function saturatingInt(x: number): number {
  if (x >= 2147483647) return 2147483647;
  if (x <= -2147483648) return -2147483648;
  return x | 0;
}
