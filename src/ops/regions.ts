/**
 * Boxes in images: NonMaxSuppression, RoiAlign, MaxRoiPool. On the host, since what they read depends on the
 * boxes.
 */
import type { Tensor } from "../numerics/tensor.js";
import { range } from "./helpers.js";
import { hostOperator, hostScalar, int64Tensor, numbersOf, shapeless, tensorOf } from "./host.js";
import { Decline, type EvaluateContext, type OperatorRecord } from "./record.js";

export const regionOperators: readonly OperatorRecord[] = [
  hostOperator("NonMaxSuppression", { since: 10 }, nonMaxSuppression, () => shapeless("i64")),
  hostOperator("RoiAlign", { since: 10 }, roiAlign, (c) => {
    const [rois, x] = [c.input(1), c.input(0)];
    const size = [c.int("output_height", 1), c.int("output_width", 1)];
    return [{ dtype: x.dtype, shape: [rois.shape[0]!, x.shape[1]!, ...size] }];
  }),
  hostOperator("MaxRoiPool", { since: 1 }, maxRoiPool, (c) => {
    const [rois, x] = [c.input(1), c.input(0)];
    const size = c.ints("pooled_shape") ?? c.invalid("L0108", "pooled_shape is missing");
    return [{ dtype: x.dtype, shape: [rois.shape[0]!, x.shape[1]!, ...size] }];
  }),
];

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
  if (centred) return [b - e / 2, a - d / 2, b + e / 2, a + d / 2];
  return [Math.min(a, d), Math.min(b, e), Math.max(a, d), Math.max(b, e)];
}

/** Intersection over union. */
function overlap(a: Box, b: Box): number {
  const height = Math.min(a[2], b[2]) - Math.max(a[0], b[0]);
  const width = Math.min(a[3], b[3]) - Math.max(a[1], b[1]);
  if (height <= 0 || width <= 0) return 0;
  const area = (box: Box): number => (box[2] - box[0]) * (box[3] - box[1]);
  const both = height * width;
  return both / (area(a) + area(b) - both);
}

/** More samples in one bin than images have pixels in a row come from regions that are none. */
const samplesMax = 2 ** 16;

function roiAlign(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const rois = c.tensorInput(1);
  const values = numbersOf(x);
  const corners = numbersOf(rois);
  const images = numbersOf(c.tensorInput(2));
  const [, channels, height, width] = x.shape as [number, number, number, number];
  const [rows, columns] = [c.int("output_height", 1), c.int("output_width", 1)];
  const scale = c.float("spatial_scale", 1);
  const sampling = c.int("sampling_ratio", 0);
  const isMax = c.string("mode", "avg") === "max";
  const fallback = c.opset < 16 ? "output_half_pixel" : "half_pixel";
  const isHalf = c.string("coordinate_transformation_mode", fallback) === "half_pixel";
  const shift = isHalf ? 0.5 : 0;
  const count = rois.shape[0]!;
  const result = new Float64Array(count * channels * rows * columns);
  let at = 0;
  for (let roi = 0; roi < count; roi++) {
    const [x1, y1, x2, y2] = Array.from(
      corners.subarray(4 * roi, 4 * roi + 4),
      (v) => v * scale - shift,
    ) as [number, number, number, number];
    const least = isHalf ? Number.NEGATIVE_INFINITY : 1;
    const binHeight = Math.max(y2 - y1, least) / rows;
    const binWidth = Math.max(x2 - x1, least) / columns;
    const [gridY, gridX] = [binHeight, binWidth].map((bin) =>
      sampling > 0 ? sampling : Math.ceil(bin),
    ) as [number, number];
    if (!(gridY * gridX <= samplesMax)) {
      throw new Decline(`a bin of region ${roi} has more than ${samplesMax} samples`);
    }
    for (let channel = 0; channel < channels; channel++) {
      const start = (images[roi]! * channels + channel) * height * width;
      const image = values.subarray(start, start + height * width);
      for (let row = 0; row < rows; row++) {
        for (let column = 0; column < columns; column++) {
          const samples = range(0, gridY * gridX).map((s) => {
            const y = y1 + binHeight * (row + (Math.floor(s / gridX) + 0.5) / gridY);
            const sx = x1 + binWidth * (column + ((s % gridX) + 0.5) / gridX);
            return sample(image, height, width, y, sx);
          });
          result[at++] = isMax
            ? Math.max(...samples.map((terms) => Math.max(...terms)))
            : samples.flat().reduce((sum, v) => sum + v, 0) / Math.max(1, samples.length);
        }
      }
    }
  }
  return [tensorOf(x.dtype, [count, channels, rows, columns], result)];
}

/** The four weighted neighbours of a position; nothing where it lies outside the image by more than 1. */
function sample(
  image: ArrayLike<number>,
  height: number,
  width: number,
  y: number,
  x: number,
): readonly number[] {
  if (y < -1 || y > height || x < -1 || x > width) return [0, 0, 0, 0];
  const [top, bottom, partY] = neighbours(y, height);
  const [left, right, partX] = neighbours(x, width);
  return [
    image[top * width + left]! * (1 - partY) * (1 - partX),
    image[top * width + right]! * (1 - partY) * partX,
    image[bottom * width + left]! * partY * (1 - partX),
    image[bottom * width + right]! * partY * partX,
  ];
}

function neighbours(at: number, extent: number): readonly [number, number, number] {
  const inside = Math.max(at, 0);
  const low = Math.floor(inside);
  if (low >= extent - 1) return [extent - 1, extent - 1, 0];
  return [low, low + 1, inside - low];
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
