/**
 * Broadcasting outside the builder: the attributes that opsets 1 to 6 had for it, and elementwise evaluation
 * on the host for what lanes cannot do (strings, exact remainders, powers of integers).
 */
import type { Value } from "../ir/graph.js";
import { allocateData, convertData, decodeElement, encodeArray } from "../numerics/convert.js";
import { type DType, dtypes, isFloat } from "../numerics/dtype.js";
import { elementCount, rowMajorStrides, type Tensor, type TensorData } from "../numerics/tensor.js";
import { broadcastShapes } from "../ir/graph-shapes.js";
import { fail } from "../support/diagnostic.js";
import { allInputs } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

/**
 * The second operand of an operator before opset 7: with broadcast = 1 its dims line up with those of x from
 * `axis` on (default: the last ones).
 */
export function alignOldBroadcast(c: LowerContext, x: Value, y: Value): Value {
  const axis = c.int("axis");
  if (c.int("broadcast", 0) === 0 || axis === undefined) return y;
  const after = x.shape.length - c.axis(axis, x.shape.length) - y.shape.length;
  if (after < 0) c.invalid("L0201", `the second input has too many dims for axis ${axis}`);
  return c.b.reshape(y, [...y.shape, ...new Array<number>(after).fill(1)]);
}

/** The type of what `evaluateBroadcast` gives for all inputs of a node. */
export function inferBroadcast(
  dtypeOf: (c: LowerContext) => DType,
): NonNullable<OperatorRecord["infer"]> {
  return (c) => [{ dtype: dtypeOf(c), shape: c.b.broadcastShape(...allInputs(c)) }];
}

type Element = number | bigint | string;

/**
 * Element by element on the host: numbers (bigints of 64-bit integers, strings), broadcast by NumPy's rule.
 * Results are brought to `dtype`; integers wrap.
 */
export function evaluateBroadcast(
  dtype: DType,
  inputs: readonly Tensor[],
  body: (...x: Element[]) => Element | boolean,
): Tensor {
  const shape = broadcastShapes(inputs.map((x) => x.shape)) as number[];
  const readers = inputs.map((x) => elementReader(x, shape));
  const results = Array.from({ length: elementCount(shape) }, (_, i) =>
    body(...readers.map((read) => read(i))),
  );
  return { dtype, shape, data: dataOf(dtype, results) };
}

/** The same for arithmetic of two operands, with results of the first one's type. */
export function evaluateArithmetic(
  inputs: readonly [Tensor, Tensor],
  body: (a: number | bigint, b: number | bigint) => number | bigint,
): Tensor {
  if (inputs.some((x) => x.dtype === "string")) fail("L0202", "strings have no arithmetic");
  return evaluateBroadcast(inputs[0].dtype, inputs, body as (...x: Element[]) => number | bigint);
}

/** Reads the element of x that belongs to a row-major position of `shape`. */
function elementReader(x: Tensor, shape: readonly number[]): (position: number) => Element {
  const strides = rowMajorStrides(shape);
  const missing = shape.length - x.shape.length;
  const own = rowMajorStrides(x.shape).map((stride, axis) => (x.shape[axis] === 1 ? 0 : stride));
  const raw = dtypes[x.dtype].kind !== "float";
  return (position) => {
    let offset = 0;
    for (const [axis, stride] of own.entries()) {
      const extent = shape[axis + missing]!;
      offset += (Math.floor(position / strides[axis + missing]!) % extent) * stride;
    }
    return raw ? x.data[offset]! : decodeElement(x.dtype, x.data, offset);
  };
}

/** What does not fit saturates, as conversions from floats do. */
function wideInteger(result: Element | boolean, dtype: "i64" | "u64"): bigint {
  if (typeof result !== "number") return BigInt(result);
  return convertData("f64", Float64Array.of(result), dtype)[0] as bigint;
}

function dataOf(dtype: DType, results: readonly (Element | boolean)[]): TensorData {
  if (dtype === "string") return results as string[];
  if (dtype === "i64" || dtype === "u64") {
    const data = allocateData(dtype, results.length) as BigInt64Array;
    for (const [i, result] of results.entries()) data[i] = wideInteger(result, dtype);
    return data;
  }
  if (isFloat(dtype)) return encodeArray(dtype, results.map(Number));
  const data = allocateData(dtype, results.length) as Int32Array;
  for (const [i, result] of results.entries()) data[i] = Number(result);
  return data;
}
