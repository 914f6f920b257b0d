/**
 * Linear quantization: the operators that go between numbers and codes, and the integer products (QOperator
 * and dynamic forms). Convolutions of codes are in `quantized-conv.ts`.
 *
 * Codes are brought back to a scale in one way everywhere: one conversion of the exact integer to fp32, one
 * multiplication by a factor that was computed before, rounding half to even, the zero point, saturation.
 */
import type { GraphBuilder } from "../ir/builder.js";
import { dimCeilDiv, dimEquals, dimExactDiv, dimMul } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { type DType, isFloat } from "../numerics/dtype.js";
import { decodeCode, encodeSteps } from "../numerics/quantized-lanes.js";
import {
  alongAxis,
  asFloat,
  operator,
  operatorOfMany,
  optionalDtypeAttribute,
  range,
} from "./helpers.js";
import { integerProduct, isKnownZero } from "./product.js";
import type { LowerContext, OperatorRecord } from "./record.js";

/** A zero point as fp32; undefined where it is absent or known to be 0 everywhere. */
export function zeroAsFloat(b: GraphBuilder, zero: Value | undefined): Value | undefined {
  if (zero === undefined || isFloat(zero.dtype) || isKnownZero(zero)) return undefined;
  return b.cast(zero, "f32");
}

/** Codes of integer sums: acc * factor, encoded. */
export function requantize(
  b: GraphBuilder,
  acc: Value,
  factor: Value,
  zero: Value | undefined,
  dtype: DType,
): Value {
  const offset = zeroAsFloat(b, zero);
  const inputs = offset === undefined ? [acc, factor] : [acc, factor, offset];
  return b.map(dtype, inputs, (l, sum, f, z) =>
    encodeSteps(l, l.mul(asFloat(l, sum!), f!), z, dtype),
  );
}

/** a * b / c in fp32: the factor between the codes of a product and those of its result. */
export function scaleFactor(b: GraphBuilder, left: Value, right: Value, result: Value): Value {
  return b.map("f32", [left, right, result], (l, x, w, y) => l.div(l.mul(x!, w!), y!));
}

/** A tensor with its scales and zero points, shaped so that broadcasting pairs them. */
export interface Paired {
  readonly x: Value;
  readonly scale: Value;
  readonly zero: Value | undefined;
}

/** Scalar: for the whole tensor. Vector: along `axis`. Same rank: one for each block along `axis`. */
function pair(c: LowerContext): Paired {
  const [x, scale, zero] = [c.input(0), c.input(1), c.inputs[2]];
  const rank = x.shape.length;
  if (scale.shape.every((dim) => dim === 1)) {
    const view = (p: Value) => c.b.reshape(p, []);
    return { x, scale: view(scale), zero: zero === undefined ? undefined : view(zero) };
  }
  const axis = c.axis(c.int("axis", 1), rank);
  const blockSize = c.int("block_size", 0);
  if (blockSize !== 0) return pairBlocks(c, { x, scale, zero }, { axis, blockSize });
  const view = (p: Value) => alongAxis(c.b, p, axis, rank);
  return { x, scale: view(scale), zero: zero === undefined ? undefined : view(zero) };
}

export interface Blocks {
  readonly axis: number;
  readonly blockSize: number;
}

/** One scale for each block along the axis: the blocks become an axis, or the scales are repeated. */
export function pairBlocks(c: LowerContext, given: Paired, { axis, blockSize }: Blocks): Paired {
  const { b } = c;
  const { x } = given;
  const each = (view: (p: Value) => Value): Paired => ({
    x,
    scale: view(given.scale),
    zero: given.zero === undefined ? undefined : view(given.zero),
  });
  const extent = x.shape[axis]!;
  if (!dimEquals(given.scale.shape[axis]!, dimCeilDiv(extent, blockSize))) {
    c.invalid("L0201", `the scales have not one element for each block of ${blockSize}`);
  }
  const whole = dimExactDiv(extent, blockSize);
  if (whole === undefined) {
    return each((p) => repeatBlocks(b, p, { axis, blockSize, shape: x.shape }));
  }
  const shape = [...x.shape.slice(0, axis), whole, blockSize, ...x.shape.slice(axis + 1)];
  return { ...each((p) => b.unsqueeze(p, [axis + 1])), x: b.reshape(x, shape) };
}

/** Every element of a parameter `blockSize` times along the axis, the last block cut. */
function repeatBlocks(
  b: GraphBuilder,
  parameter: Value,
  form: { readonly axis: number; readonly blockSize: number; readonly shape: Value["shape"] },
): Value {
  const { axis, blockSize, shape } = form;
  const blocks = parameter.shape[axis]!;
  const spread = b.unsqueeze(parameter, [axis + 1]);
  const repeated = b.broadcast(
    spread,
    spread.shape.map((dim, i) => (i === axis + 1 ? blockSize : dim)),
  );
  const flat = b.reshape(
    repeated,
    parameter.shape.map((dim, i) => (i === axis ? dimMul(blocks, blockSize) : dim)),
  );
  return b.sliceAxis(flat, axis, 0, shape[axis]!);
}

function lowerQuantize(c: LowerContext): Value {
  const { b } = c;
  const { x, scale, zero } = pair(c);
  const dtype = zero?.dtype ?? optionalDtypeAttribute(c, "output_dtype") ?? "u8";
  const shape = c.input(0).shape;
  const precision = optionalDtypeAttribute(c, "precision") ?? "f32";
  if (isFloat(dtype)) {
    const scaled = b.map(precision, [x, scale], (l, a, s) => l.div(asFloat(l, a!), s!));
    return b.reshape(b.cast(scaled, dtype, { saturate: c.int("saturate", 1) !== 0 }), shape);
  }
  const offset = zeroAsFloat(b, zero);
  const inputs = offset === undefined ? [x, scale] : [x, scale, offset];
  const codes = b.map(dtype, inputs, (l, a, s, z) =>
    encodeSteps(l, l.div(asFloat(l, a!), s!), z, dtype),
  );
  return b.reshape(codes, shape);
}

function lowerDequantize(c: LowerContext): Value {
  const { x, scale, zero } = pair(c);
  const dtype = optionalDtypeAttribute(c, "output_dtype") ?? scale.dtype;
  return c.b.reshape(dequantize(c.b, x, scale, zero, dtype), c.input(0).shape);
}

/** (x - zero) * scale, the difference in integers. Constants stay codes. */
export function dequantize(
  b: GraphBuilder,
  x: Value,
  scale: Value,
  zero: Value | undefined,
  dtype: DType,
): Value {
  const keep = { keep: true };
  if (isFloat(x.dtype)) return b.map(dtype, [x, scale], (l, q, s) => l.mul(q!, s!), keep);
  const inputs = zero === undefined || isKnownZero(zero) ? [x, scale] : [x, scale, zero];
  return b.map(dtype, inputs, (l, q, s, z) => decodeCode(l, q!, s!, z), keep);
}

export interface DynamicCodes {
  readonly codes: Value;
  readonly scale: Value;
  readonly zero: Value;
}

/** Codes of type u8 whose range is the tensor's own, stretched to contain 0. */
export function quantizeDynamically(b: GraphBuilder, x: Value): DynamicCodes {
  const axes = range(0, x.shape.length);
  const [top, bottom] = [b.reduce(x, "max", axes), b.reduce(x, "min", axes)];
  const low = b.map("f32", [bottom], (l, m) => l.min(m!, l.constF(0)));
  const scale = b.map("f32", [top, low], (l, m, n) => {
    const width = l.sub(l.max(m!, l.constF(0)), n!);
    return l.select(l.eq(width, l.constF(0)), l.constF(1), l.div(width, l.constF(255)));
  });
  const zero = b.map("u8", [low, scale], (l, m, s) =>
    encodeSteps(l, l.div(l.sub(l.constF(0), m!), s!), undefined, "u8"),
  );
  const codes = b.map("u8", [x, scale, zero], (l, a, s, z) =>
    encodeSteps(l, l.div(a!, s!), l.toF(z!), "u8"),
  );
  return { codes, scale, zero };
}

/** A vector of scales lies along the rows of the left operand, along the columns of the right one. */
function rowParameter(b: GraphBuilder, parameter: Value): Value {
  return parameter.shape.length === 1 && parameter.shape[0] !== 1
    ? b.unsqueeze(parameter, [1])
    : parameter;
}

function lowerQLinearMatMul(c: LowerContext): Value {
  const [x, xScale, xZero, w, wScale, wZero, yScale, yZero] = range(0, 8).map((i) => c.input(i));
  const acc = integerProduct(c.b, { value: x!, zero: xZero! }, { value: w!, zero: wZero! });
  const factor = scaleFactor(c.b, rowParameter(c.b, xScale!), wScale!, yScale!);
  return requantize(c.b, acc, factor, yZero, yZero!.dtype);
}

export const quantizationOperators: readonly OperatorRecord[] = [
  operator("QuantizeLinear", 10, lowerQuantize),
  operator("DequantizeLinear", 10, lowerDequantize),
  operator("QuantizeLinear", { domain: "com.microsoft", since: 1 }, lowerQuantize),
  operator("DequantizeLinear", { domain: "com.microsoft", since: 1 }, lowerDequantize),
  operatorOfMany("DynamicQuantizeLinear", 11, (c) => {
    const { codes, scale, zero } = quantizeDynamically(c.b, c.input(0));
    return [codes, scale, zero];
  }),
  operator("MatMulInteger", 10, (c) =>
    integerProduct(
      c.b,
      { value: c.input(0), zero: c.inputs[2] },
      { value: c.input(1), zero: c.inputs[3] },
    ),
  ),
  operator("QLinearMatMul", 10, lowerQLinearMatMul),
];
