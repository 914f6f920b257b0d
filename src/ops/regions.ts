/**
 * Boxes in images: NonMaxSuppression and MaxRoiPool. On the host, since what they read depends on the
 * boxes. RoiAlign has a file of its own.
 */
import type { Tensor } from "../numerics/tensor.js";
import { range } from "./helpers.js";
import { hostOperator, hostScalar, int64Tensor, numbersOf, shapeless, tensorOf } from "./host.js";
import type { EvaluateContext, OperatorRecord } from "./record.js";

export const regionOperators: readonly OperatorRecord[] = [
  hostOperator("NonMaxSuppression", { since: 10 }, nonMaxSuppression, () => shapeless("i64")),
  hostOperator("MaxRoiPool", { since: 1 }, maxRoiPool, (c) => {
    const [rois, x] = [c.input(1), c.input(0)];
    const size = c.ints("pooled_shape") ?? c.invalid("L0108", "pooled_shape is missing");
    return [{ dtype: x.dtype, shape: [rois.shape[0]!, x.shape[1]!, ...size] }];
  }),
];

const { fround } = Math;

/** Corners: y1 <= y2, x1 <= x2. */
type Box = readonly [y1: number, x1: number, y2: number, x2: number];

function nonMaxSuppression(c: EvaluateContext): readonly Tensor[] {
  const boxes = c.tensorInput(0);
  const scores = c.tensorInput(1);
  const boxNumbers = numbersOf(boxes);
  const scoreNumbers = numbersOf(scores);
  const [batches, classes, count] = scores.shape as [number, number, number];
  const limit = hostScalar(c, 2) ?? 0;
  const overlapMax = hostScalar(c, 3) ?? 0;
  const scoreMin = hostScalar(c, 4) ?? Number.NEGATIVE_INFINITY;
  const centred = c.int("center_point_box", 0) !== 0;
  const selected: number[] = [];
  for (let batch = 0; batch < batches; batch++) {
    const corners = range(0, count).map((i) =>
      boxOf(boxNumbers.subarray(4 * (batch * count + i), 4 * (batch * count + i) + 4), centred),
    );
    for (let category = 0; category < classes; category++) {
      const first = (batch * classes + category) * count;
      const order = range(0, count)
        .filter((i) => scoreNumbers[first + i]! > scoreMin)
        .sort((i, j) => scoreNumbers[first + j]! - scoreNumbers[first + i]! || i - j);
      const kept: number[] = [];
      for (const candidate of order) {
        if (kept.length >= limit) break;
        const box = corners[candidate]!;
        if (kept.every((other) => overlap(box, corners[other]!) <= overlapMax))
          kept.push(candidate);
      }
      for (const box of kept) selected.push(batch, category, box);
    }
  }
  return [int64Tensor([selected.length / 3, 3], selected)];
}

function boxOf(values: ArrayLike<number>, centred: boolean): Box {
  const [a, b, d, e] = [values[0]!, values[1]!, values[2]!, values[3]!];
  if (!centred) return [Math.min(a, d), Math.min(b, e), Math.max(a, d), Math.max(b, e)];
  return [fround(b - e / 2), fround(a - d / 2), fround(b + e / 2), fround(a + d / 2)];
}

/** Intersection over union, rounded to fp32 at every step: it may come out as the very limit. */
function overlap(a: Box, b: Box): number {
  const height = fround(Math.min(a[2], b[2]) - Math.max(a[0], b[0]));
  const width = fround(Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
  if (height <= 0 || width <= 0) return 0;
  const both = fround(height * width);
  return fround(both / fround(fround(areaOf(a) + areaOf(b)) - both));
}

function areaOf(box: Box): number {
  return fround(fround(box[2] - box[0]) * fround(box[3] - box[1]));
}

function maxRoiPool(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const rois = c.tensorInput(1);
  const values = numbersOf(x);
  const [, channels, height, width] = x.shape as [number, number, number, number];
  const size = c.ints("pooled_shape") ?? c.invalid("L0108", "pooled_shape is missing");
  const [rows, columns] = size as readonly [number, number];
  const scale = c.float("spatial_scale", 1);
  const count = rois.shape[0]!;
  const result: number[] = [];
  for (let roi = 0; roi < count; roi++) {
    const box = numbersOf(rois).subarray(5 * roi, 5 * roi + 5);
    const [x1, y1, x2, y2] = Array.from(box.subarray(1), (v) => Math.round(v * scale));
    const binHeight = Math.max(y2! - y1! + 1, 1) / rows;
    const binWidth = Math.max(x2! - x1! + 1, 1) / columns;
    for (let channel = 0; channel < channels; channel++) {
      const start = (box[0]! * channels + channel) * height * width;
      for (let row = 0; row < rows; row++) {
        const ys = binRange(y1!, binHeight, row, height);
        for (let column = 0; column < columns; column++) {
          const xs = binRange(x1!, binWidth, column, width);
          const inBin = ys.flatMap((y) => xs.map((at) => values[start + y * width + at]!));
          result.push(inBin.length === 0 ? 0 : Math.max(...inBin));
        }
      }
    }
  }
  return [tensorOf(x.dtype, [count, channels, rows, columns], result)];
}

/** The elements of one bin along an axis, cut to the image. */
function binRange(start: number, bin: number, index: number, extent: number): readonly number[] {
  const clamp = (v: number): number => Math.min(Math.max(v + start, 0), extent);
  return range(clamp(Math.floor(index * bin)), clamp(Math.ceil((index + 1) * bin)));
}
