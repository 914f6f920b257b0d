/**
 * RoiAlign: regions of images, resampled to one size. A fixed number of samples per bin is gathered like the samples of
 * GridSample. Where the size of a region sets the number, a bin's average is a product of the image with two
 * matrices of weights: whatever the number, no pixel has more than a few samples beside it.
 */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import { type Dim, dimMax, dimMul, dimProduct } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import type { Tensor } from "../numerics/tensor.js";
import { dimValue } from "./gather.js";
import { computeType, operator, range } from "./helpers.js";
import { numbersOf, tensorOf } from "./host.js";
import {
  Decline,
  type EvaluateContext,
  type LowerContext,
  type NodeContext,
  type OperatorRecord,
} from "./record.js";
import { rowsOf, sampleRows, type SampleTap } from "./sampling.js";

export const roiAlignOperators: readonly OperatorRecord[] = [
  {
    ...operator(
      "RoiAlign",
      {
        since: 10,
        ranks: [4, 2, 1],
        note: "with `sampling_ratio` 0 a maximum is the host's, and an average takes in the whole image: one that is not finite spreads",
      },
      roiAlign,
    ),
    evaluate: evaluateRoiAlign,
    infer: (c) => [{ dtype: c.input(0).dtype, shape: outputShape(c) }],
  },
];

interface Rules {
  /** Bins along y and x. */
  readonly bins: readonly [number, number];
  readonly scale: number;
  /** Samples per bin and axis; 0: as many as the bin has pixels. */
  readonly sampling: number;
  readonly isMax: boolean;
  /** Pixels' centres lie at halves. Otherwise regions are one pixel large at least. */
  readonly isHalf: boolean;
}

function rulesOf(c: NodeContext): Rules {
  const mode = c.string("mode", "avg");
  if (mode !== "avg" && mode !== "max") c.invalid("L0108", `mode "${mode}" does not exist`);
  const fallback = c.opset < 16 ? "output_half_pixel" : "half_pixel";
  const coordinates = c.string("coordinate_transformation_mode", fallback);
  if (coordinates !== "half_pixel" && coordinates !== "output_half_pixel") {
    c.invalid("L0108", `coordinate_transformation_mode "${coordinates}" does not exist`);
  }
  return {
    bins: [c.int("output_height", 1), c.int("output_width", 1)],
    scale: c.float("spatial_scale", 1),
    sampling: Math.max(0, c.int("sampling_ratio", 0)),
    isMax: mode === "max",
    isHalf: coordinates === "half_pixel",
  };
}

function outputShape(c: LowerContext): Dim[] {
  return [c.input(1).shape[0]!, c.input(0).shape[1]!, ...rulesOf(c).bins];
}

/** More elements than this are not laid out between the two products of an adaptive average. */
const wideMax = 2 ** 28;

function roiAlign(c: LowerContext): Value {
  const x = c.input(0);
  const rules = rulesOf(c);
  if (rules.sampling === 0 && rules.isMax) {
    throw new Decline("a maximum over as many samples as a region has pixels has no bound");
  }
  const result = rules.sampling > 0 ? sampledBins(c, rules) : adaptiveBins(c, rules);
  return c.b.cast(result, x.dtype);
}

/** Along one axis, as values of [regions, 1..]: where the region begins, and the size of a bin. */
interface RegionAxis {
  readonly start: Value;
  readonly bin: Value;
}

/** The regions along y and x, laid out for tensors of `rank` axes, the first of them regions. */
function regionAxes(c: LowerContext, rules: Rules, rank: number): readonly RegionAxis[] {
  const dtype = computeType(c.input(0).dtype);
  const rois = c.b.cast(c.input(1), dtype);
  const corner = (column: number): Value => {
    const at = c.b.sliceAxis(rois, 1, column, 1);
    const placed = c.b.reshape(at, [rois.shape[0]!, ...new Array<number>(rank - 1).fill(1)]);
    return c.b.map(dtype, [placed], (l, v) =>
      l.sub(l.mul(v!, l.constF(rules.scale)), l.constF(rules.isHalf ? 0.5 : 0)),
    );
  };
  return rules.bins.map((bins, i) => {
    const start = corner(1 - i);
    const bin = c.b.map(dtype, [start, corner(3 - i)], (l, low, high) => {
      const size = l.sub(high!, low!);
      return l.div(rules.isHalf ? size : l.max(size, l.constF(1)), l.constF(bins));
    });
    return { start, bin };
  });
}

/** Position of sample `k` (as a float) of `count` in bin number `index`; the order of the steps is ONNX Runtime's. */
function samplePosition(
  l: LaneBuilder,
  { start, bin }: { readonly start: Lane; readonly bin: Lane },
  index: Lane,
  k: Lane,
  count: Lane,
): Lane {
  const first = l.add(start, l.mul(l.toF(index), bin));
  return l.add(first, l.div(l.mul(l.add(k, l.constF(0.5)), bin), count));
}

/** Whether a sample counts: those up to one pixel outside the image do. */
function isNear(l: LaneBuilder, at: Lane, extent: Lane): Lane {
  return l.and(l.le(l.constF(-1), at), l.le(at, extent));
}

function intoImage(l: LaneBuilder, at: Lane, extent: Lane): Lane {
  return l.min(l.max(at, l.constF(0)), l.sub(extent, l.constF(1)));
}

/** Samples are [regions, bins of y, samples, bins of x, samples, channels]. */
function sampledBins(c: LowerContext, rules: Rules): Value {
  const x = c.input(0);
  const dtype = computeType(x.dtype);
  const extents = x.shape.slice(2);
  const rank = 5;
  const taps = regionAxes(c, rules, rank).map((region, i) =>
    regionTaps(c, region, extents[i]!, { axis: 1 + 2 * i, bins: rules.bins[i]!, rank, rules }),
  );
  const batches = c.b.reshape(c.input(2), [c.input(2).shape[0]!, 1, 1, 1, 1]);
  const row = c.b.map("i32", [batches, dimValue(c, dimProduct(extents))], (l, n, size) =>
    l.mulI(n!, size!),
  );
  const rows = c.b.cast(rowsOf(c, x), dtype);
  const samples = sampleRows(c, rows, row, extents, taps, rules.isMax ? "max" : "add");
  const perBin = c.b.reduce(samples, rules.isMax ? "max" : "sum", [2, 4]);
  const placed = c.b.transpose(perBin, [0, 3, 1, 2]);
  if (rules.isMax) return placed;
  return c.b.map(dtype, [placed], (l, sum) => l.div(sum!, l.constF(rules.sampling ** 2)));
}

interface BinAxis {
  /** The axis of bins; that of their samples follows. */
  readonly axis: number;
  readonly bins: number;
  readonly rank: number;
  readonly rules: Rules;
}

/** The two pixels beside each sample along one axis; outside the image they weigh nothing. */
function regionTaps(
  c: LowerContext,
  region: RegionAxis,
  extent: Dim,
  { axis, bins, rank, rules }: BinAxis,
): readonly SampleTap[] {
  const { dtype } = region.start;
  const size = dimValue(c, extent);
  const along = (i: number, count: number) =>
    c.b.iota(
      "i32",
      range(0, rank).map((at) => (at === i ? count : 1)),
      i,
    );
  const places = [along(axis, bins), along(axis + 1, rules.sampling)];
  const at = c.b.map(dtype, [region.start, region.bin, ...places], (l, start, bin, index, k) => {
    const count = l.constF(rules.sampling);
    return samplePosition(l, { start: start!, bin: bin! }, index!, l.toF(k!), count);
  });
  return [0, 1].map((step) => ({
    position: c.b.map(dtype, [at, size], (l, p, n) => {
      const low = l.floor(intoImage(l, p!, l.toF(n!)));
      return step === 0 ? low : l.min(l.add(low, l.constF(1)), l.sub(l.toF(n!), l.constF(1)));
    }),
    weight: c.b.map(dtype, [at, size], (l, p, n) => {
      const inside = intoImage(l, p!, l.toF(n!));
      const part = l.sub(inside, l.floor(inside));
      const weight = step === 0 ? l.sub(l.constF(1), part) : part;
      return l.select(isNear(l, p!, l.toF(n!)), weight, l.constF(0));
    }),
  }));
}

/** [regions, bins of y, rows of all images] with the images, then [regions, bins of x, columns] with that. */
function adaptiveBins(c: LowerContext, rules: Rules): Value {
  const x = c.input(0);
  const dtype = computeType(x.dtype);
  const [n, channels, height, width] = x.shape as [Dim, Dim, Dim, Dim];
  const regions = c.input(1).shape[0]!;
  const [rows, columns] = rules.bins;
  if (dimMax(dimProduct([regions, rows, width, channels])) > wideMax) {
    throw new Decline("an average over as many samples as a region has pixels needs small images");
  }
  const [regionY, regionX] = regionAxes(c, rules, 4) as [RegionAxis, RegionAxis];
  const image = c.b.iota("i32", [1, 1, n, 1], 2);
  const ofBatch = c.b.map(
    "bool",
    [c.b.reshape(c.input(2), [regions, 1, 1, 1]), image],
    (l, batch, i) => l.eqI(batch!, i!),
  );
  const perRow = c.b.map(
    dtype,
    [pixelWeights(c, regionY, height, rows), ofBatch],
    (l, weight, holds) => l.select(holds!, weight!, l.constF(0)),
  );
  const weightsY = c.b.reshape(perRow, [regions, rows, dimMul(n, height)]);
  const perColumn = pixelWeights(c, regionX, width, columns);
  const weightsX = c.b.reshape(perColumn, [regions, columns, width]);
  const images = c.b.reshape(c.b.transpose(c.b.cast(x, dtype), [0, 2, 3, 1]), [
    dimMul(n, height),
    width,
    channels,
  ]);
  const along = { a: "rpy", b: "yxc", out: "rpxc", order: "y" };
  const strips = c.b.contract(weightsY, images, along);
  const across = { a: "rpxc", b: "rqx", out: "rcpq", order: "x" };
  const sum = c.b.contract(strips, weightsX, across);
  return c.b.map(dtype, [sum, regionY.bin, regionX.bin], (l, s, y, w) =>
    l.div(s!, l.max(l.mul(l.ceil(y!), l.ceil(w!)), l.constF(1))),
  );
}

/** Samples beside one pixel: three at most, and two for the rounding of the first one's number. */
const besideMax = 5;

/** How much the samples of each bin weigh each pixel, summed: [regions, bins, 1, pixels]. */
function pixelWeights(c: LowerContext, region: RegionAxis, extent: Dim, bins: number): Value {
  const inputs = [
    region.start,
    region.bin,
    c.b.iota("i32", [1, bins, 1, 1], 1),
    c.b.iota("i32", [1, 1, 1, extent], 3),
    dimValue(c, extent),
  ];
  return c.b.map(region.start.dtype, inputs, (l, start, bin, index, pixel, size) => {
    const [zero, one] = [l.constF(0), l.constF(1)];
    const count = l.ceil(bin!);
    const here = l.toF(pixel!);
    const extentF = l.toF(size!);
    // The number of the first sample that lies less than one pixel before this one.
    const ahead = l.sub(l.sub(here, one), l.add(start!, l.mul(l.toF(index!), bin!)));
    const number = l.floor(l.sub(l.div(l.mul(ahead, count), bin!), l.constF(0.5)));
    const first = l.max(l.min(number, l.sub(count, one)), zero);
    return range(0, besideMax)
      .map((j) => {
        const k = l.add(first, l.constF(j));
        const at = samplePosition(l, { start: start!, bin: bin! }, index!, k, count);
        const distance = l.abs(l.sub(intoImage(l, at, extentF), here));
        const counts = l.and(l.lt(k, count), isNear(l, at, extentF));
        return l.select(counts, l.max(l.sub(one, distance), zero), zero);
      })
      .reduce((sum, weight) => l.add(sum, weight));
  });
}

/** More samples in one bin than images have pixels in a row come from regions that are none. */
const samplesMax = 2 ** 16;

function evaluateRoiAlign(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const rois = c.tensorInput(1);
  const values = numbersOf(x);
  const corners = numbersOf(rois);
  const images = numbersOf(c.tensorInput(2));
  const [, channels, height, width] = x.shape as [number, number, number, number];
  const { bins, scale, sampling, isMax, isHalf } = rulesOf(c);
  const [rows, columns] = bins;
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
      sampling > 0 ? sampling : Math.max(0, Math.ceil(bin)),
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
          result[at++] =
            isMax && samples.length > 0
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
