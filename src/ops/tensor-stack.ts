/** Slices of tensors along one axis and back again, as Scan, Loop and the sequence operators need them. */
import { concatTensors, sliceTensor } from "../ir/evaluate/movement.js";
import type { DType } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";

/** x[.., at, ..] without that axis. */
export function takeSlice(x: Tensor, axis: number, at: number): Tensor {
  const extents = x.shape.with(axis, 1);
  const starts = x.shape.map((_, i) => (i === axis ? at : 0));
  const slice = sliceTensor(
    x,
    starts,
    x.shape.map(() => 1),
    extents,
  );
  return { ...slice, shape: x.shape.toSpliced(axis, 1) };
}

export interface StackOptions {
  /** Of the result; negative counts from the end. */
  readonly axis: number;
  readonly reverse: boolean;
}

/** The slices along a new axis. There is at least one, and all have the first one's type. */
export function stackTensors(slices: readonly Tensor[], { axis, reverse }: StackOptions): Tensor {
  const first = slices[0]!;
  const at = axis < 0 ? axis + first.shape.length + 1 : axis;
  const ordered = reverse ? slices.toReversed() : slices;
  const parts = ordered.map((x) => ({ ...x, shape: x.shape.toSpliced(at, 0, 1) }));
  const shape = first.shape.toSpliced(at, 0, slices.length);
  return concatTensors(parts, at, first.dtype, shape);
}

/** What {@link stackTensors} would give for no slices of this type. */
export function emptyStack(dtype: DType, slice: readonly number[], axis: number): Tensor {
  const at = axis < 0 ? axis + slice.length + 1 : axis;
  return concatTensors([], at, dtype, slice.toSpliced(at, 0, 0));
}
