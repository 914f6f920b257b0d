/**
 * Lane instructions over chunks of fp32 and int32 registers: the same bits as `numerics/scalar.ts`, which says
 * what each row means, at the speed of typed arrays. Storing into one rounds to fp32 or wraps to int32, so most
 * rows need nothing else.
 */
import type { ArithmeticOp } from "../../numerics/lane.js";
import { roundToEven, scalarAlgebra } from "../../numerics/scalar.js";

export type Lanes = Float32Array | Int32Array;

/** out[i] = op(a[i], b[i], c[i]) for i below count; operands that the operation lacks are not looked at. */
export type LaneRow = (out: Lanes, a: Lanes, b: Lanes, c: Lanes, count: number) => void;

export const laneRows: { readonly [Op in ArithmeticOp]: LaneRow } = {
  add: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! + b[i]!;
  },
  sub: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! - b[i]!;
  },
  mul: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! * b[i]!;
  },
  div: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! / b[i]!;
  },
  neg: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = -a[i]!;
  },
  abs: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.abs(a[i]!);
  },
  sqrt: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.sqrt(a[i]!);
  },
  min: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.min(a[i]!, b[i]!);
  },
  max: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.max(a[i]!, b[i]!);
  },
  floor: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.floor(a[i]!);
  },
  ceil: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.ceil(a[i]!);
  },
  trunc: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.trunc(a[i]!);
  },
  rint: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = roundToEven(a[i]!);
  },
  addI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! + b[i]!;
  },
  subI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! - b[i]!;
  },
  mulI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.imul(a[i]!, b[i]!);
  },
  divI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = b[i] === 0 ? 0 : a[i]! / b[i]!;
  },
  remI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = b[i] === 0 ? a[i]! : a[i]! % b[i]!;
  },
  minI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.min(a[i]!, b[i]!);
  },
  maxI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.max(a[i]!, b[i]!);
  },
  and: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! & b[i]!;
  },
  or: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! | b[i]!;
  },
  xor: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! ^ b[i]!;
  },
  shl: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! << b[i]!;
  },
  shrS: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! >> b[i]!;
  },
  shrU: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! >>> b[i]!;
  },
  eq: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! === b[i]! ? -1 : 0;
  },
  lt: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! < b[i]! ? -1 : 0;
  },
  le: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! <= b[i]! ? -1 : 0;
  },
  eqI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! === b[i]! ? -1 : 0;
  },
  ltI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! < b[i]! ? -1 : 0;
  },
  leI: (out, a, b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! <= b[i]! ? -1 : 0;
  },
  selectI: (out, a, b, c, count) => {
    for (let i = 0; i < count; i++) out[i] = (b[i]! & a[i]!) | (c[i]! & ~a[i]!);
  },
  toF: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]!;
  },
  toI: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = toInt(a[i]!);
  },
  roundF16: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = scalarAlgebra.roundF16(a[i]!);
  },
  roundBF16: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = scalarAlgebra.roundBF16(a[i]!);
  },
  roundE4M3: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = scalarAlgebra.roundE4M3(a[i]!);
  },
  roundE5M2: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = scalarAlgebra.roundE5M2(a[i]!);
  },
  select: (out, a, b, c, count) => {
    for (let i = 0; i < count; i++) {
      const mask = a[i]!;
      if (mask === -1) out[i] = b[i]!;
      else out[i] = mask === 0 ? c[i]! : scalarAlgebra.select(mask, b[i]!, c[i]!);
    }
  },
  bitsF: (out, a, _b, _c, count) => {
    new Int32Array(out.buffer, out.byteOffset, count).set(a.subarray(0, count));
  },
  bitsI: (out, a, _b, _c, count) => {
    out.set(new Int32Array(a.buffer, a.byteOffset, count));
  },
};

/** Saturating; stored into int32, a NaN becomes 0. */
function toInt(x: number): number {
  return x >= 2147483647 ? 2147483647 : x <= -2147483648 ? -2147483648 : x;
}
