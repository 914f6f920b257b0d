/**
 * A dense row-major tensor on the host. `data` is the natural typed array of the type where JavaScript has
 * one; f16 and bf16 are Uint16Array bit patterns; f8 and f4/i4/u4/i2/u2/bool are Uint8Array, where the
 * sub-byte types hold one element per byte (int4 sign-extended into Int8Array) so that indices are elements.
 */
import type { DType } from "./dtype.js";

export type TensorData =
  | Float64Array
  | Float32Array
  | Int32Array
  | Uint32Array
  | Int16Array
  | Uint16Array
  | Int8Array
  | Uint8Array
  | BigInt64Array
  | BigUint64Array
  | string[];

export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

/** Row-major strides in elements. */
export function rowMajorStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= shape[i]!;
  }
  return strides;
}
