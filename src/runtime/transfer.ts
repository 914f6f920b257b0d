/** Tensors into device memory and out of it: strides, types, and the check that int64 fits int32. */
import { byteLength, type DeviceDType, type DType } from "../numerics/dtype.js";
import {
  allocateData,
  bytesFromData,
  convertData,
  dataFromBytes,
  type NumericData,
} from "../numerics/convert.js";
import { elementCount, rowMajorStrides, type Tensor } from "../numerics/tensor.js";
import { DiagnosticError, fail } from "../support/diagnostic.js";
import type { DeviceRegion } from "./device.js";

/** A dense or strided tensor in a region, all numbers known. */
export interface PlacedTensor {
  readonly offsetBytes: number;
  readonly dtype: DeviceDType;
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];
}

/** An integer that the compiler assumed to be small is not: this run has to be computed on the host. */
export class TooLargeForDevice extends DiagnosticError {}

/** Throws {@link TooLargeForDevice} where an element of an input exceeds `limit` in magnitude. */
export function checkLimit({ data }: Tensor, limit: number, name: string): void {
  for (let i = 0; i < data.length; i++) {
    if (Math.abs(Number(data[i])) <= limit) continue;
    throw new TooLargeForDevice([
      {
        code: "L0602",
        message: `input "${name}" holds ${data[i]}, the device takes integers up to ${limit}`,
        hint: "indices and lengths fit; other int64 data has to be computed on the host",
      },
    ]);
  }
}

export function writeTensor(
  region: DeviceRegion,
  place: PlacedTensor,
  tensor: Tensor,
  name: string,
): void {
  const { data } = conform(tensor, place.dtype, name);
  if (isDense(place)) {
    region.write(place.offsetBytes, bytesFromData(place.dtype, data));
    return;
  }
  const span = spanOf(place);
  const bytes = region.read(place.offsetBytes, byteLength(place.dtype, span));
  const whole = dataFromBytes(place.dtype, bytes, span);
  copyStrided(place.shape, data, rowMajorStrides(place.shape), whole, place.strides);
  region.write(place.offsetBytes, bytesFromData(place.dtype, whole));
}

/** As a tensor of `dtype` (the type that the caller knows). */
export function readTensor(region: DeviceRegion, place: PlacedTensor, dtype: DType): Tensor {
  const count = elementCount(place.shape);
  const span = isDense(place) ? count : spanOf(place);
  const bytes = region.read(place.offsetBytes, byteLength(place.dtype, span));
  let data = dataFromBytes(place.dtype, bytes, span);
  if (!isDense(place)) {
    const dense = allocateData(place.dtype, count);
    copyStrided(place.shape, data, place.strides, dense, rowMajorStrides(place.shape));
    data = dense;
  }
  return { dtype, shape: place.shape, data: convertData(place.dtype, data, dtype) };
}

/** Between the caller's type of a tensor and int32, to which the compiler has narrowed it. */
export function conform(tensor: Tensor, dtype: DType, name: string): NumericTensor {
  const { shape, data } = tensor;
  if (Array.isArray(data)) {
    fail("L0602", `"${name}" holds strings, the device takes ${dtype}`);
  }
  return { dtype, shape, data: convertData(tensor.dtype, data, dtype) };
}

type NumericTensor = Tensor & { readonly data: NumericData };

function isDense({ shape, strides }: PlacedTensor): boolean {
  const dense = rowMajorStrides(shape);
  return shape.every((extent, i) => extent === 1 || strides[i] === dense[i]);
}

function spanOf({ shape, strides }: PlacedTensor): number {
  if (elementCount(shape) === 0) return 0;
  return shape.reduce((span, extent, i) => span + (extent - 1) * strides[i]!, 1);
}

function copyStrided(
  shape: readonly number[],
  from: NumericData,
  fromStrides: readonly number[],
  to: NumericData,
  toStrides: readonly number[],
): void {
  const visit = (axis: number, at: number, target: number): void => {
    const extent = shape[axis] ?? 1;
    const step = fromStrides[axis] ?? 0;
    const stride = toStrides[axis] ?? 0;
    if (axis >= shape.length - 1) {
      for (let i = 0; i < extent; i++) to[target + i * stride] = from[at + i * step] as never;
      return;
    }
    for (let i = 0; i < extent; i++) visit(axis + 1, at + i * step, target + i * stride);
  };
  if (elementCount(shape) > 0) visit(0, 0, 0);
}
