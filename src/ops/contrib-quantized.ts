/**
 * Quantized operators of com.microsoft: integer products, and functions of numbers between codes. Products
 * with weights of few bits are in `weight-only.ts`.
 */
import type { GraphBuilder, Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import type { DType } from "../numerics/dtype.js";
import { encodeSteps } from "../numerics/quantized-lanes.js";
import { leakyRelu } from "./activations.js";
import { channelsLast } from "./channels-last.js";
import {
  type LaneFunction,
  mean,
  operator,
  operatorOfMany,
  range,
  requiredInt,
  withInputs,
} from "./helpers.js";
import { averagePool } from "./pooling.js";
import { integerProduct } from "./product.js";
import {
  dequantize,
  quantizeDynamically,
  requantize,
  scaleFactor,
  zeroAsFloat,
} from "./quantization.js";
import type { LowerContext, OperatorRecord } from "./record.js";
import { recurrentOperators } from "./recurrent.js";
import { softmax } from "./softmax.js";

const contrib = { domain: "com.microsoft", since: 1 };

/** Integer sums as numbers: acc * factor, plus a bias. */
function toFloat(b: GraphBuilder, acc: Value, factor: Value, bias: Value | undefined): Value {
  if (bias === undefined) return b.map("f32", [acc, factor], (l, y, f) => l.mul(l.toF(y!), f!));
  return b.map("f32", [acc, factor, bias], (l, y, f, z) => l.add(l.mul(l.toF(y!), f!), z!));
}

function scalesProduct(b: GraphBuilder, left: Value, right: Value): Value {
  return b.map("f32", [left, right], (l, x, w) => l.mul(x!, w!));
}

/** Inputs: A, B, B's scale, B's zero point, bias. */
function lowerDynamicQuantizeMatMul(c: LowerContext): Value {
  const { codes, scale, zero } = quantizeDynamically(c.b, c.input(0));
  const acc = integerProduct(c.b, { value: codes, zero }, { value: c.input(1), zero: c.inputs[3] });
  return toFloat(c.b, acc, scalesProduct(c.b, scale, c.input(2)), c.inputs[4]);
}

/** Inputs: A, B, their scales, their zero points, bias. */
function lowerMatMulIntegerToFloat(c: LowerContext): Value {
  const acc = integerProduct(
    c.b,
    { value: c.input(0), zero: c.inputs[4] },
    { value: c.input(1), zero: c.inputs[5] },
  );
  return toFloat(c.b, acc, scalesProduct(c.b, c.input(2), c.input(3)), c.inputs[6]);
}

/** Inputs: A, scale, zero point, B, scale, zero point, C (int32), scale and zero point of the result. */
function lowerQGemm(c: LowerContext): Value {
  const { b } = c;
  const turned = (x: Value, name: string) => (c.int(name, 0) === 0 ? x : b.transpose(x, [1, 0]));
  const acc = integerProduct(
    b,
    { value: turned(c.input(0), "transA"), zero: c.inputs[2] },
    { value: turned(c.input(3), "transB"), zero: c.inputs[5] },
  );
  const bias = c.inputs[6];
  const sum = bias === undefined ? acc : b.map("i32", [acc, bias], (l, y, z) => l.addI(y!, z!));
  const alpha = c.float("alpha", 1);
  const scales = b.map("f32", [c.input(1), c.input(4)], (l, x, w) =>
    alpha === 1 ? l.mul(x!, w!) : l.mul(l.mul(x!, w!), l.constF(alpha)),
  );
  const yScale = c.inputs[7];
  if (yScale === undefined) return toFloat(b, sum, scales, undefined);
  const dtype = c.inputs[8]?.dtype ?? c.input(0).dtype;
  return requantize(b, sum, scaleFactor(b, scales, b.full("f32", 1), yScale), c.inputs[8], dtype);
}

/** Numbers as codes of a scale and a zero point. */
function encode(
  b: GraphBuilder,
  x: Value,
  { scale, zero, dtype }: { scale: Value; zero: Value | undefined; dtype: DType },
): Value {
  const offset = zeroAsFloat(b, zero);
  const inputs = offset === undefined ? [x, scale] : [x, scale, offset];
  return b.map(dtype, inputs, (l, a, s, z) => encodeSteps(l, l.div(a!, s!), z, dtype));
}

/** A function of numbers between codes. Inputs: X, its scale, its zero point, scale and zero point of Y. */
function lowerQLinear(c: LowerContext, body: (numbers: Value) => Value): Value {
  const x = c.input(0);
  const numbers = dequantize(c.b, x, c.input(1), c.inputs[2], "f32");
  return encode(c.b, body(numbers), { scale: c.input(3), zero: c.inputs[4], dtype: x.dtype });
}

function qLinear(
  name: string,
  body: (l: LaneBuilder, x: Lane, c: LowerContext) => Lane,
): OperatorRecord {
  return operator(name, contrib, (c) =>
    lowerQLinear(c, (x) => c.b.map("f32", [x], (l, a) => body(l, a!, c))),
  );
}

/** As `lowerQLinear`, of A and B: inputs A, scale, zero, B, scale, zero, then scale and zero of C. */
function lowerQLinearPair(c: LowerContext, body: LaneFunction): Value {
  const left = dequantize(c.b, c.input(0), c.input(1), c.inputs[2], "f32");
  const right = dequantize(c.b, c.input(3), c.input(4), c.inputs[5], "f32");
  const result = c.b.map("f32", [left, right], body);
  const { dtype } = c.input(0);
  return encode(c.b, result, { scale: c.input(6), zero: c.inputs[7], dtype });
}

/** Inputs: scale and zero point of Y, then tensor, scale and zero point of each part. */
function lowerQLinearConcat(c: LowerContext): Value {
  const [scale, zero] = [c.input(0), c.input(1)];
  const parts = range(0, Math.floor((c.inputs.length - 2) / 3)).map((i) => {
    const [x, xScale, xZero] = [c.input(2 + 3 * i), c.input(3 + 3 * i), c.inputs[4 + 3 * i]];
    const numbers = dequantize(c.b, x, xScale, xZero, "f32");
    return encode(c.b, numbers, { scale, zero, dtype: zero.dtype });
  });
  const rank = parts[0]!.shape.length;
  return c.b.concat(parts, c.axis(requiredInt(c, "axis"), rank));
}

/** An average pool of numbers between codes; with channels_last the channels are the last axis. */
function lowerQLinearPool(c: LowerContext, pool: (c: LowerContext) => Value): Value {
  return lowerQLinear(c, (x) => {
    const inner = withInputs(c, { 0: x });
    return c.int("channels_last", 0) === 0 ? pool(inner) : channelsLast(inner, [0], pool);
  });
}

/** The attribute `opset` says which Softmax is meant: over all axes from one on before 13. */
function softmaxAxes(c: LowerContext, x: Value): readonly number[] {
  const rank = x.shape.length;
  const axis = c.axis(c.int("axis", -1), rank);
  return c.int("opset", 13) < 13 ? range(axis, rank) : [axis];
}

function globalAverage(c: LowerContext): Value {
  return mean(c.b, c.input(0), range(2, c.input(0).shape.length));
}

/** The mean over the attribute `axes`. */
function meanOver(c: LowerContext, x: Value): Value {
  const axes = c.ints("axes")?.map((axis) => c.axis(axis, x.shape.length));
  const dropped = axes ?? range(0, x.shape.length);
  const kept = mean(c.b, x, dropped);
  return c.int("keepdims", 1) === 0 ? c.b.squeeze(kept, dropped) : kept;
}

/** Inputs: condition, then X, its scale and zero point, the same of Y, scale and zero point of the result. */
function lowerQLinearWhere(c: LowerContext): Value {
  const { dtype } = c.input(1);
  const form = { scale: c.input(7), zero: c.inputs[8], dtype };
  const [x, y] = [1, 4].map((i) =>
    encode(c.b, dequantize(c.b, c.input(i), c.input(i + 1), c.inputs[i + 2], "f32"), form),
  );
  return c.b.map(dtype, [c.input(0), x!, y!], (l, m, a, b) => l.selectI(m!, a!, b!));
}

/** Inputs: A, its zero point, B, its zero point. */
function lowerMulInteger(c: LowerContext): Value {
  const centred = (x: Value, zero: Value | undefined) =>
    zero === undefined ? x : c.b.map("i32", [x, zero], (l, q, z) => l.subI(q!, z!));
  const factors = [centred(c.input(0), c.inputs[1]), centred(c.input(2), c.inputs[3])];
  return c.b.map("i32", factors, (l, x, y) => l.mulI(x!, y!));
}

function lowerReduceSumInteger(c: LowerContext): Value {
  const x = c.input(0);
  const axes = c.ints("axes")?.map((axis) => c.axis(axis, x.shape.length));
  const keepDims = c.int("keepdims", 1) !== 0;
  return c.b.reduce(c.b.cast(x, "i32"), "sum", axes ?? range(0, x.shape.length), { keepDims });
}

const lstm = recurrentOperators.find((record) => record.name === "LSTM")!;

/**
 * An LSTM whose weights are codes [directions, inputs, 4 * hidden]; inputs 8 to 11 are their scales and zero
 * points, by direction or by column. What the weights meet is not rounded to codes.
 */
function lowerDynamicQuantizeLstm(c: LowerContext): readonly (Value | undefined)[] {
  const weights = (index: number, scale: Value, zero: Value | undefined): Value => {
    const along = (p: Value) =>
      p.shape.length === 1 ? c.b.unsqueeze(p, [1, 2]) : c.b.unsqueeze(p, [1]);
    const numbers = dequantize(c.b, c.input(index), along(scale), zero && along(zero), "f32");
    return c.b.transpose(numbers, [0, 2, 1]);
  };
  const decoded = {
    1: weights(1, c.input(8), c.inputs[9]),
    2: weights(2, c.input(10), c.inputs[11]),
  };
  const inner = withInputs(c, decoded);
  return lstm.lower!({ ...inner, inputs: inner.inputs.slice(0, 8) });
}

export const contribQuantizedOperators: readonly OperatorRecord[] = [
  operator("DynamicQuantizeMatMul", contrib, lowerDynamicQuantizeMatMul),
  operator("MatMulIntegerToFloat", contrib, lowerMatMulIntegerToFloat),
  operator("QGemm", contrib, lowerQGemm),
  operator("QLinearAdd", contrib, (c) => lowerQLinearPair(c, (l, x, y) => l.add(x!, y!))),
  operator("QLinearMul", contrib, (c) => lowerQLinearPair(c, (l, x, y) => l.mul(x!, y!))),
  qLinear("QLinearSigmoid", (l, x) => l.sigmoid(x)),
  qLinear("QLinearLeakyRelu", (l, x, c) => leakyRelu(l, x, c.float("alpha", 0.01))),
  operator("QLinearSoftmax", contrib, (c) =>
    lowerQLinear(c, (x) => softmax(c.b, x, softmaxAxes(c, x))),
  ),
  operator("QLinearConcat", contrib, lowerQLinearConcat),
  operator("QLinearAveragePool", contrib, (c) => lowerQLinearPool(c, averagePool)),
  operator("QLinearGlobalAveragePool", contrib, (c) => lowerQLinearPool(c, globalAverage)),
  operator("QLinearReduceMean", contrib, (c) => lowerQLinear(c, (x) => meanOver(c, x))),
  {
    ...operatorOfMany("DynamicQuantizeLSTM", contrib, lowerDynamicQuantizeLstm),
    note: "inputs and states stay numbers",
  },
  operator("QLinearWhere", contrib, lowerQLinearWhere),
  operator("MulInteger", contrib, lowerMulInteger),
  operator("ReduceSumInteger", contrib, lowerReduceSumInteger),
  operator("MatMulInteger16", contrib, (c) =>
    integerProduct(
      c.b,
      { value: c.b.cast(c.input(0), "i32"), zero: undefined },
      { value: c.b.cast(c.input(1), "i32"), zero: undefined },
    ),
  ),
];
