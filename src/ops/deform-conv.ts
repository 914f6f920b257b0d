/**
 * Deformable convolution: each tap of the kernel reads the image where its offset says. The samples,
 * [n, offset group, taps, positions.., channels], are then contracted like the window of an ordinary
 * convolution.
 */
import { type Dim, dimMul, dimProduct, staticDim, staticShape } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { addBias } from "./convolution.js";
import { dimValue } from "./gather.js";
import { computeType, operator, range } from "./helpers.js";
import { exactQuotient } from "./movement.js";
import type { LowerContext, OperatorRecord } from "./record.js";
import { rowsOf, sampleRows, type SampleTap } from "./sampling.js";
import { type SpatialAxis, spatialAxes } from "./spatial.js";

export const deformConvOperators: readonly OperatorRecord[] = [
  operator("DeformConv", { since: 19, ranks: [4, 4, 4, 1, 4] }, deformConv),
];

function deformConv(c: LowerContext): Value {
  const [x, kernel, offset] = [c.input(0), c.input(1), c.input(2)];
  const offsetGroup = c.int("offset_group", 1);
  const sizes = staticShape(kernel.shape.slice(2), "it is the extent of a kernel");
  const extents = x.shape.slice(2);
  const axes = spatialAxes(c, extents, sizes);
  const [n, channels] = x.shape;
  const positions = offset.shape.slice(2);
  const taps = sizes.reduce((product, size) => product * size, 1);
  const reason = "it is a number of channels of a deformable convolution";
  const perOffset = staticDim(channels!, reason) / offsetGroup;
  const split = c.b.reshape(x, [dimMul(n!, offsetGroup), perOffset, ...extents]);
  const rows = c.b.cast(rowsOf(c, split), computeType(x.dtype));
  const shape: Dim[] = [n!, offsetGroup, taps, ...positions];
  const row = firstRows(c, shape, extents);
  const sampled = sampleRows(c, rows, row, extents, sampleTaps(c, offset, axes, shape));
  const mask = c.inputs[4];
  const masked = mask === undefined ? sampled : applyMask(c, sampled, mask, shape);
  return addBias(c, contractSamples(c, masked, kernel, { positions, taps }), c.inputs[3]);
}

/** Sizes of an axis of a tensor that has one axis of `shape` and 1 everywhere else. */
function only(shape: readonly Dim[], axis: number): Dim[] {
  return shape.map((dim, i) => (i === axis ? dim : 1));
}

/** Number of the first row of each image, [n, offset group, 1..]. */
function firstRows(c: LowerContext, shape: readonly Dim[], extents: readonly Dim[]): Value {
  const batch = c.b.iota("i32", only(shape, 0), 0);
  const part = c.b.iota("i32", only(shape, 1), 1);
  const parts = dimValue(c, shape[1]!);
  return c.b.map(
    "i32",
    [batch, part, parts, dimValue(c, dimProduct(extents))],
    (l, i, j, m, size) => l.mulI(l.addI(l.mulI(i!, m!), j!), size!),
  );
}

/** Per axis the two whole positions around each sample, and their weights. */
function sampleTaps(
  c: LowerContext,
  offset: Value,
  axes: readonly SpatialAxis[],
  shape: readonly Dim[],
): readonly (readonly SampleTap[])[] {
  const dtype = computeType(offset.dtype);
  const [n, groups, taps, ...positions] = shape;
  const perAxis = [n!, groups!, taps!, axes.length, ...positions];
  const offsets = c.b.reshape(c.b.cast(offset, dtype), perAxis);
  return axes.map((axis, i) => {
    const inner = axes.slice(i + 1).reduce((product, { size }) => product * size, 1);
    const moved = c.b.squeeze(c.b.sliceAxis(offsets, 3, i, 1), [3]);
    const tapNumber = c.b.iota("i32", only(shape, 2), 2);
    const position = c.b.iota("i32", only(shape, 3 + i), 3 + i);
    const at = c.b.map(dtype, [moved, tapNumber, position], (l, by, tap, p) => {
      const k = l.remI(l.divI(tap!, l.constI(inner)), l.constI(axis.size));
      const start = l.subI(l.mulI(p!, l.constI(axis.stride)), l.constI(axis.low));
      return l.add(l.toF(l.addI(start, l.mulI(k, l.constI(axis.dilation)))), by!);
    });
    return [0, 1].map((step) => ({
      position: c.b.map(dtype, [at], (l, p) => l.add(l.floor(p!), l.constF(step))),
      weight: c.b.map(dtype, [at], (l, p) => {
        const part = l.sub(p!, l.floor(p!));
        return step === 1 ? part : l.sub(l.constF(1), part);
      }),
    }));
  });
}

function applyMask(c: LowerContext, x: Value, mask: Value, shape: readonly Dim[]): Value {
  const placed = c.b.reshape(mask, [...shape, 1]);
  return c.b.map(x.dtype, [x, placed], (l, v, m) => l.mul(v!, m!));
}

interface SampleShape {
  readonly positions: readonly Dim[];
  readonly taps: number;
}

/** [n, offset group, taps, positions.., channels] with [outputs, channels / group, taps..]. */
function contractSamples(
  c: LowerContext,
  samples: Value,
  kernel: Value,
  { positions, taps }: SampleShape,
): Value {
  const group = c.int("group", 1);
  const [n, offsetGroup] = samples.shape;
  const rank = samples.shape.length;
  const [outputs, channels] = kernel.shape;
  const leading = c.b.transpose(samples, [0, 1, rank - 1, 2, ...range(3, rank - 1)]);
  const all = dimMul(offsetGroup!, samples.shape.at(-1)!);
  const perGroup = exactQuotient(c, all, group, () => "the channels do not divide into groups");
  const grouped = c.b.reshape(leading, [n!, group, perGroup, taps, ...positions]);
  const perOutput = exactQuotient(
    c,
    outputs!,
    group,
    () => "the kernels do not divide into groups",
  );
  const weights = c.b.reshape(kernel, [group, perOutput, channels!, taps]);
  const axes = "dhw".slice(3 - positions.length);
  const sum = c.b.contract(grouped, weights, {
    a: `ngck${axes}`,
    b: "gock",
    out: `ngo${axes}`,
    order: "ck",
  });
  return c.b.reshape(sum, [n!, outputs!, ...positions]);
}
