/** Convolutions of codes: ConvInteger and QLinearConv, by the convolution of `convolution.ts` on integers. */
import { staticShape } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { convolve } from "./convolution.js";
import { operator, range } from "./helpers.js";
import { zeroPoint } from "./product.js";
import { requantize, scaleFactor } from "./quantization.js";
import type { LowerContext, OperatorRecord } from "./record.js";
import { perChannel, spatialAxes } from "./spatial.js";

/**
 * The exact i32 convolution of (x - its zero point) and (kernel - its zero point). Padding holds the zero
 * point of x, so that it contributes nothing.
 */
function convolveCodes(
  c: LowerContext,
  x: Value,
  xZero: Value | undefined,
  kernel: Value,
  kernelZero: Value | undefined,
): Value {
  const left = zeroPoint(c.b, xZero);
  const right = zeroPoint(c.b, kernelZero);
  const grouped = c.int("group", 1) !== 1;
  const alongGroups = grouped && right !== undefined && right.shape.length > 0;
  const weights = alongGroups ? centred(c, kernel, perOutput(c, right, kernel)) : kernel;
  const zeros = alongGroups || right === undefined ? {} : { b: right };
  if (left === undefined) return convolve(c, x, weights, zeros);
  const fill = left.shape.length === 0 ? left.data?.data[0] : undefined;
  if (fill !== undefined || !isPadded(c, x, kernel)) {
    return convolve(c, x, weights, { ...zeros, a: left }, Number(fill ?? 0));
  }
  if (grouped) return convolve(c, centred(c, x, left), weights, zeros);
  return convolveWithUnknownZero(c, x, left, weights, zeros);
}

/**
 * With a zero point that is not known beforehand padding cannot hold it: it holds 0, and the zero point times
 * the sum of the weights that lie inside is subtracted. That sum depends on the position alone.
 */
function convolveWithUnknownZero(
  c: LowerContext,
  x: Value,
  zero: Value,
  kernel: Value,
  zeros: { readonly b?: Value },
): Value {
  const { b } = c;
  const raw = convolve(c, x, kernel, zeros);
  const exact = zeros.b === undefined ? kernel : centred(c, kernel, perOutput(c, zeros.b, kernel));
  const weights = b.reduce(b.cast(exact, "i32"), "sum", [1], { keepDims: true });
  const ones = b.broadcast(b.full("i32", 1), [1, 1, ...x.shape.slice(2)]);
  return b.map("i32", [raw, convolve(c, ones, weights), zero], (l, sum, w, z) =>
    l.subI(sum!, l.mulI(w!, z!)),
  );
}

function isPadded(c: LowerContext, x: Value, kernel: Value): boolean {
  const sizes = staticShape(kernel.shape.slice(2), "it is the extent of a kernel");
  return spatialAxes(c, x.shape.slice(2), sizes).some(({ low, high }) => low > 0 || high > 0);
}

function centred(c: LowerContext, x: Value, zero: Value): Value {
  return c.b.map("i32", [x, zero], (l, q, z) => l.subI(q!, z!));
}

/** A vector over the output channels of a kernel [outputs, ...]. */
function perOutput(c: LowerContext, vector: Value, kernel: Value): Value {
  if (vector.shape.length === 0) return vector;
  return c.b.unsqueeze(vector, range(1, kernel.shape.length));
}

export function lowerQLinearConv(c: LowerContext): Value {
  const [x, xScale, xZero, w, wScale, wZero, yScale, yZero] = range(0, 8).map((i) => c.input(i));
  const sum = convolveCodes(c, x!, xZero, w!, wZero);
  const spatialRank = x!.shape.length - 2;
  const factor = scaleFactor(c.b, xScale!, wScale!, yScale!);
  const each = factor.shape.every((dim) => dim === 1)
    ? c.b.reshape(factor, [])
    : perChannel(c, factor, spatialRank);
  const bias = c.inputs[8];
  const biased =
    bias === undefined
      ? sum
      : c.b.map("i32", [sum, perChannel(c, bias, spatialRank)], (l, y, z) => l.addI(y!, z!));
  return requantize(c.b, biased, each, yZero, yZero!.dtype);
}

export const quantizedConvOperators: readonly OperatorRecord[] = [
  operator("ConvInteger", { since: 10, ranks: ["2+", "2+"] }, (c) =>
    convolveCodes(c, c.input(0), c.inputs[2], c.input(1), c.inputs[3]),
  ),
  operator(
    "QLinearConv",
    { since: 10, ranks: ["2+", undefined, undefined, "2+"] },
    lowerQLinearConv,
  ),
];
