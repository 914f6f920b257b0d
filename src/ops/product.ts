/**
 * Matrix products with NumPy's batch rules, each as one contraction. A batch axis that only one operand has,
 * or that is 1 in the other, carries its label there alone: nothing is repeated in memory.
 */
import type { GraphBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { type DType, isFloat } from "../numerics/dtype.js";

const batchLabels = "abcdefghij";

export interface ProductOptions {
  /** The last two axes of the operand are swapped. */
  readonly transposeX?: boolean;
  readonly transposeW?: boolean;
  /** Subtracted from every element of an integer operand: scalars, or for w a vector over its columns. */
  readonly zeros?: { readonly a?: Value; readonly b?: Value };
}

/** x @ w as NumPy's matmul: f32 from floats (f64 from f64), i32 from integers. */
export function matrixProduct(
  b: GraphBuilder,
  x: Value,
  w: Value,
  options: ProductOptions = {},
): Value {
  const rank = Math.max(x.shape.length, w.shape.length, 2);
  const [left, right] = splitBatch(b, x, w, rank - 2);
  const xMatrix = x.shape.length === 1 ? "k" : options.transposeX === true ? "km" : "mk";
  const wMatrix = w.shape.length === 1 ? "k" : options.transposeW === true ? "nk" : "kn";
  const rows = x.shape.length === 1 ? "" : "m";
  const columns = w.shape.length === 1 ? "" : "n";
  const labels = {
    a: left.labels + xMatrix,
    b: right.labels + wMatrix,
    out: batchLabels.slice(0, rank - 2) + rows + columns,
    order: "k",
  };
  return b.contract(left.value, right.value, labels, options.zeros);
}

/** The product rounded to `dtype`, the type of an ONNX operator's output. */
export function matrixProductAs(
  b: GraphBuilder,
  dtype: DType,
  x: Value,
  w: Value,
  options: ProductOptions = {},
): Value {
  return b.cast(matrixProduct(b, x, w, options), dtype);
}

interface Operand {
  readonly value: Value;
  /** Of its batch axes, outermost first. */
  readonly labels: string;
}

function splitBatch(
  b: GraphBuilder,
  x: Value,
  w: Value,
  batchRank: number,
): readonly [Operand, Operand] {
  const operands = [x, w].map((value) => {
    const missing = batchRank - Math.max(value.shape.length - 2, 0);
    return { value, missing, labels: "", dropped: [] as number[] };
  });
  for (let axis = 0; axis < batchRank; axis++) {
    const [left, right] = operands as [(typeof operands)[0], (typeof operands)[0]];
    const [dimX, dimW] = [left, right].map(({ value, missing }) =>
      axis < missing ? undefined : value.shape[axis - missing],
    );
    const inX = dimX !== undefined && !(dimX === 1 && dimW !== undefined);
    const inW = dimW !== undefined && !(dimW === 1 && inX);
    if (inX) left.labels += batchLabels[axis]!;
    else if (dimX !== undefined) left.dropped.push(axis - left.missing);
    if (inW) right.labels += batchLabels[axis]!;
    else if (dimW !== undefined) right.dropped.push(axis - right.missing);
  }
  const [left, right] = operands.map(({ value, labels, dropped }) => ({
    value: dropped.length === 0 ? value : b.squeeze(value, dropped),
    labels,
  }));
  return [left!, right!];
}

export interface IntegerOperand {
  readonly value: Value;
  /** Scalar, or a vector along the operand's rows (the left one) or columns (the right one). */
  readonly zero: Value | undefined;
}

/** The exact i32 product of (x - its zero point) and (w - its zero point). */
export function integerProduct(b: GraphBuilder, x: IntegerOperand, w: IntegerOperand): Value {
  const left = zeroPoint(b, x.zero);
  const right = zeroPoint(b, w.zero);
  const vectorFits = right === undefined || right.shape.length === 0 || w.value.shape.length === 2;
  const xValue =
    left === undefined || left.shape.length === 0 ? x.value : centre(b, x.value, left, 1);
  const wValue = vectorFits ? w.value : centre(b, w.value, right, 0);
  const a = xValue === x.value ? left : undefined;
  const zeroB = vectorFits ? right : undefined;
  const zeros = { ...(a !== undefined && { a }), ...(zeroB !== undefined && { b: zeroB }) };
  return matrixProduct(b, xValue, wValue, { zeros });
}

/** A zero point, without dims if it has one element; undefined if there is none or it is known to be 0. */
export function zeroPoint(b: GraphBuilder, zero: Value | undefined): Value | undefined {
  if (zero === undefined || isKnownZero(zero)) return undefined;
  return zero.shape.every((dim) => dim === 1) ? b.reshape(zero, []) : zero;
}

export function isKnownZero({ data }: Value): boolean {
  return (
    data !== undefined && Array.from(data.data as ArrayLike<number>).every((x) => Number(x) === 0)
  );
}

/** x - zero in i32; a vector lies along the axis that has `after` more axes behind it. */
function centre(b: GraphBuilder, x: Value, zero: Value, after: 0 | 1): Value {
  const placed = zero.shape.length === 1 && after === 1 ? b.unsqueeze(zero, [1]) : zero;
  return b.map("i32", [x, placed], (l, q, z) => l.subI(q!, z!));
}

/** True for the types whose products are exact integers. */
export function isInteger(dtype: DType): boolean {
  return !isFloat(dtype) && dtype !== "string" && dtype !== "bool";
}
