/** What the reference evaluations share: tensors from and to plain numbers, elements by position. */
import { allocateData, decodeNumbers, encodeArray } from "../numerics/convert.js";
import type { DType } from "../numerics/dtype.js";
import { elementCount, rowMajorStrides, type Tensor } from "../numerics/tensor.js";
import type { EvaluateContext, HostType, OperatorRecord } from "./record.js";

export function numbersOf(x: Tensor): Float64Array | Float32Array {
  return decodeNumbers(x.dtype, x.data);
}

export function tensorOf(
  dtype: DType,
  shape: readonly number[],
  values: ArrayLike<number>,
): Tensor {
  return { dtype, shape, data: encodeArray(dtype, values) };
}

export function int64Tensor(shape: readonly number[], values: ArrayLike<number>): Tensor {
  return { dtype: "i64", shape, data: BigInt64Array.from(values, BigInt) };
}

export function stringTensor(shape: readonly number[], data: string[]): Tensor {
  return { dtype: "string", shape, data };
}

/** The elements at row-major positions of x, in a new shape. */
export function takeElements(
  x: Tensor,
  positions: ArrayLike<number>,
  shape: readonly number[],
): Tensor {
  const { dtype, data } = x;
  if (Array.isArray(data)) {
    return { dtype, shape, data: Array.from(positions, (position) => data[position]!) };
  }
  const taken = allocateData(dtype, positions.length);
  for (let i = 0; i < positions.length; i++) taken[i] = data[positions[i]!]!;
  return { dtype, shape, data: taken };
}

/** Row-major positions of the slice of `shape` that has `index` along `axis`. */
export function positionsAlong(shape: readonly number[], axis: number, index: number): number[] {
  const inner = rowMajorStrides(shape)[axis]!;
  const outer = elementCount(shape.slice(0, axis));
  const positions: number[] = [];
  for (let o = 0; o < outer; o++) {
    const start = (o * shape[axis]! + index) * inner;
    for (let i = 0; i < inner; i++) positions.push(start + i);
  }
  return positions;
}

/** A negative axis counted from the end. */
export function hostAxis(c: EvaluateContext, value: number, rank: number): number {
  const axis = value < 0 ? value + rank : value;
  if (axis >= 0 && axis < rank) return axis;
  return c.invalid("L0108", `axis ${value} is outside a tensor of rank ${rank}`);
}

/** The one element of a tensor as a number; undefined where the input is left out. */
export function hostScalar(c: EvaluateContext, index: number): number | undefined {
  const x = c.optionalTensor(index);
  return x === undefined ? undefined : numbersOf(x)[0];
}

/** A record that only the host runs. */
export function hostOperator(
  name: string,
  versions: { readonly domain?: string; readonly since: number; readonly note?: string },
  evaluate: NonNullable<OperatorRecord["evaluate"]>,
  infer?: NonNullable<OperatorRecord["infer"]>,
): OperatorRecord {
  const { domain = "", ...rest } = versions;
  return { name, domain, ...rest, evaluate, ...(infer && { infer }) };
}

/** Outputs whose types are known and whose shapes depend on data. */
export function shapeless(...dtypes: readonly DType[]): readonly HostType[] {
  return dtypes.map((dtype) => ({ dtype }));
}
