/**
 * Movement on tensors of any type: which input element stands at each output position, and the one strided
 * copy that all of it comes down to. Computes nothing.
 */
import { allocateData, encodeArray } from "../../numerics/convert.js";
import type { DType } from "../../numerics/dtype.js";
import {
  elementCount,
  rowMajorStrides,
  type Tensor,
  type TensorData,
} from "../../numerics/tensor.js";
import type { WindowAxis } from "../graph.js";

/** A walk over data: element (i, j, ..) is at offset + i * strides[0] + j * strides[1] + .. */
export interface StridedView {
  readonly data: TensorData;
  readonly offset: number;
  readonly strides: readonly number[];
}

export function allocate(dtype: DType, length: number): TensorData {
  return dtype === "string" ? new Array<string>(length).fill("") : allocateData(dtype, length);
}

function denseView({ data, shape }: Tensor): StridedView {
  return { data, offset: 0, strides: rowMajorStrides(shape) };
}

/** The elements of a view in row-major order; the same data where they stand so already. */
export function materialize(dtype: DType, view: StridedView, shape: readonly number[]): Tensor {
  const length = elementCount(shape);
  const dense = rowMajorStrides(shape);
  const inPlace = shape.every((extent, axis) => extent === 1 || view.strides[axis] === dense[axis]);
  if (inPlace && view.offset === 0 && view.data.length === length) {
    return { dtype, shape, data: view.data };
  }
  const data = allocate(dtype, length);
  copyStrided(view, { data, offset: 0, strides: dense }, shape);
  return { dtype, shape, data };
}

export function transposeTensor(x: Tensor, perm: readonly number[]): Tensor {
  const view = denseView(x);
  const strides = perm.map((axis) => view.strides[axis]!);
  const shape = perm.map((axis) => x.shape[axis]!);
  return materialize(x.dtype, { ...view, strides }, shape);
}

/** x may have fewer dims than `shape`. */
function broadcastView(x: Tensor, shape: readonly number[]): StridedView {
  const lead = shape.length - x.shape.length;
  const own = rowMajorStrides(x.shape);
  const strides = shape.map((_, axis) => {
    const from = axis - lead;
    return from < 0 || x.shape[from] === 1 ? 0 : own[from]!;
  });
  return { data: x.data, offset: 0, strides };
}

export function broadcastTensor(x: Tensor, shape: readonly number[]): Tensor {
  return materialize(x.dtype, broadcastView(x, shape), shape);
}

export function sliceTensor(
  x: Tensor,
  starts: readonly number[],
  steps: readonly number[],
  shape: readonly number[],
): Tensor {
  const own = rowMajorStrides(x.shape);
  const offset = elementCount(shape) === 0 ? 0 : starts.reduce((sum, s, i) => sum + s * own[i]!, 0);
  const strides = own.map((stride, axis) => stride * steps[axis]!);
  return materialize(x.dtype, { data: x.data, offset, strides }, shape);
}

export function padTensor(
  x: Tensor,
  low: readonly number[],
  value: number,
  shape: readonly number[],
): Tensor {
  const data = allocate(x.dtype, elementCount(shape));
  if (!Array.isArray(data)) data.fill(encodeArray(x.dtype, [value])[0] as never);
  const strides = rowMajorStrides(shape);
  const offset = low.reduce((sum, before, axis) => sum + before * strides[axis]!, 0);
  copyStrided(denseView(x), { data, offset, strides }, x.shape);
  return { dtype: x.dtype, shape, data };
}

export function windowTensor(
  x: Tensor,
  axes: readonly WindowAxis[],
  shape: readonly number[],
): Tensor {
  const own = rowMajorStrides(x.shape);
  const strides = [...own];
  for (const { axis, stride, dilation } of axes) {
    strides[axis] = own[axis]! * stride;
    strides.push(own[axis]! * dilation);
  }
  return materialize(x.dtype, { data: x.data, offset: 0, strides }, shape);
}

export function concatTensors(
  xs: readonly Tensor[],
  axis: number,
  dtype: DType,
  shape: readonly number[],
): Tensor {
  const data = allocate(dtype, elementCount(shape));
  const strides = rowMajorStrides(shape);
  let position = 0;
  for (const x of xs) {
    copyStrided(denseView(x), { data, offset: position * strides[axis]!, strides }, x.shape);
    position += x.shape[axis]!;
  }
  return { dtype, shape, data };
}

/** to[..] = from[..] for every position of `shape`. */
export function copyStrided(from: StridedView, to: StridedView, shape: readonly number[]): void {
  if (shape.includes(0)) return;
  const axes = mergedAxes(from.strides, to.strides, shape);
  const inner = axes.pop() ?? { count: 1, from: 1, to: 1 };
  const index = new Array<number>(axes.length).fill(0);
  let source = from.offset;
  let target = to.offset;
  for (;;) {
    copyRun(from.data, source, inner.from, to.data, target, inner.to, inner.count);
    let axis = axes.length - 1;
    for (; axis >= 0; axis--) {
      const { count, from: fromStride, to: toStride } = axes[axis]!;
      source += fromStride;
      target += toStride;
      if (++index[axis]! < count) break;
      index[axis] = 0;
      source -= fromStride * count;
      target -= toStride * count;
    }
    if (axis < 0) return;
  }
}

interface CopyAxis {
  readonly count: number;
  readonly from: number;
  readonly to: number;
}

/** Axes of 1 dropped, neighbours that continue each other on both sides made one. */
function mergedAxes(
  from: readonly number[],
  to: readonly number[],
  shape: readonly number[],
): CopyAxis[] {
  const axes: CopyAxis[] = [];
  shape.forEach((count, axis) => {
    if (count === 1) return;
    const next = { count, from: from[axis]!, to: to[axis]! };
    const last = axes.at(-1);
    const continues =
      last !== undefined && last.from === next.from * count && last.to === next.to * count;
    if (continues) axes[axes.length - 1] = { ...next, count: last.count * count };
    else axes.push(next);
  });
  return axes;
}

/** Runs from which a block copy beats a loop. */
const blockCopyMin = 32;

function copyRun(
  source: TensorData,
  sourceStart: number,
  sourceStride: number,
  target: TensorData,
  targetStart: number,
  targetStride: number,
  count: number,
): void {
  const block = targetStride === 1 && count >= blockCopyMin && !Array.isArray(target);
  if (block && sourceStride === 1 && !Array.isArray(source)) {
    target.set(source.subarray(sourceStart, sourceStart + count) as never, targetStart);
  } else if (block && sourceStride === 0) {
    target.fill(source[sourceStart] as never, targetStart, targetStart + count);
  } else {
    copyLoop(source, sourceStart, sourceStride, target, targetStart, targetStride, count);
  }
}

function copyLoop(
  source: TensorData,
  sourceStart: number,
  sourceStride: number,
  target: TensorData,
  targetStart: number,
  targetStride: number,
  count: number,
): void {
  let from = sourceStart;
  let to = targetStart;
  for (let i = 0; i < count; i++) {
    target[to] = source[from]!;
    from += sourceStride;
    to += targetStride;
  }
}
