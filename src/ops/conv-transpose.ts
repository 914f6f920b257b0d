/**
 * Transposed convolution, one contraction per phase. With stride s an output position p = s q + r meets the
 * taps k with k * dilation = r modulo s only, and these form a window over the input: so each residue r (per
 * axis) is a convolution of its own, and the results are interleaved. Where the kernel is a multiple of the
 * stride all phases see the same window and are one contraction whose result has the residues as axes.
 */
import { type Dim, dimAdd, dimCeilDiv, dimMul, dimSub, staticDim, staticShape } from "../ir/dim.js";
import { requireEqual, shapeText } from "../ir/graph-shapes.js";
import type { Value } from "../ir/graph.js";
import { addBias, splitChannels } from "./convolution.js";
import { operator, range } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";
import {
  listOf,
  stepsOf,
  positionLabels,
  slidingWindow,
  type SpatialAxis,
  windowLabels,
} from "./spatial.js";

export const convTransposeOperators: readonly OperatorRecord[] = [
  operator("ConvTranspose", { since: 1, ranks: ["2+", "2+", 1] }, (c) =>
    addBias(c, convTranspose(c), c.inputs[2]),
  ),
];

/** One spatial axis of a transposed convolution. */
interface TransposedAxis {
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
  readonly input: Dim;
  readonly output: Dim;
  /** Elements cut off before the first output. */
  readonly low: number;
}

function convTranspose(c: LowerContext): Value {
  const x = c.input(0);
  const kernel = c.input(1);
  const group = c.int("group", 1);
  const [channels, outputs] = kernel.shape;
  const sentence = `kernels ${shapeText(kernel.shape)} do not fit ${shapeText(x.shape)}`;
  requireEqual(x.shape[1]!, channels!, sentence);
  const axes = transposedAxes(c, x.shape.slice(2), kernel.shape.slice(2));
  const input = splitChannels(c, x, group);
  const sizes = axes.map((axis) => axis.size);
  const perGroup = group === 1 ? [channels!] : [group, staticDim(channels!, sentence) / group];
  const weights = c.b.reshape(kernel, [...perGroup, outputs!, ...sizes]);
  const together = axes.every((axis) => axis.dilation === 1 && axis.size % axis.stride === 0);
  const spread = together
    ? allPhases(c, input, weights, axes, group)
    : eachPhase(c, input, weights, axes, group);
  return c.b.reshape(spread, [
    x.shape[0]!,
    dimMul(outputs!, group),
    ...axes.map((axis) => axis.output),
  ]);
}

function transposedAxes(
  c: LowerContext,
  extents: readonly Dim[],
  kernel: readonly Dim[],
): readonly TransposedAxis[] {
  const rank = extents.length;
  const sizes = staticShape(kernel, "it is the extent of a kernel");
  const strides = stepsOf(c, "strides", rank);
  const dilations = stepsOf(c, "dilations", rank);
  const pads = listOf(c, "pads", 2 * rank, 0);
  const more = listOf(c, "output_padding", rank, 0);
  const asked = c.ints("output_shape")?.slice(-rank);
  const mode = c.string("auto_pad", "NOTSET");
  return sizes.map((size, i) => {
    const [stride, dilation, input] = [strides[i]!, dilations[i]!, extents[i]!];
    const covered = (size - 1) * dilation + 1 + more[i]!;
    const full = dimAdd(dimMul(dimSub(input, 1), stride), covered);
    const same = mode === "SAME_UPPER" || mode === "SAME_LOWER";
    const wanted = asked?.[i] ?? (same ? dimMul(input, stride) : undefined);
    const axis = { size, stride, dilation, input };
    if (wanted === undefined) {
      const [low, high] = mode === "VALID" ? [0, 0] : [pads[i]!, pads[rank + i]!];
      return { ...axis, low, output: dimSub(full, low + high) };
    }
    const total = staticDim(dimSub(full, wanted), "the padding of a ConvTranspose depends on it");
    const surplus = Math.max(0, total);
    const less = Math.floor(surplus / 2);
    return { ...axis, low: mode === "SAME_UPPER" ? less : surplus - less, output: wanted };
  });
}

/** Output positions per residue. */
function positionsOf(axis: TransposedAxis): Dim {
  return dimCeilDiv(dimAdd(axis.output, axis.low), axis.stride);
}

/** All residues at once: [n, o, q.., r..] interleaved to [n, o, q * stride + r..], then cut. */
function allPhases(
  c: LowerContext,
  x: Value,
  weights: Value,
  axes: readonly TransposedAxis[],
  group: number,
): Value {
  const lead = weights.shape.slice(0, group === 1 ? 2 : 3);
  const windows = axes.map((axis) => {
    const size = axis.size / axis.stride;
    const high = staticDim(dimSub(positionsOf(axis), axis.input), "a ConvTranspose pads by it");
    return { size, stride: 1, dilation: 1, low: size - 1, high, highAsked: high };
  });
  const { value, kept } = slidingWindow(c, x, windows, 0);
  const inWindow = kept.map((i) => windowLabels[i]!).join("");
  const positions = [...positionLabels.slice(0, axes.length)];
  const residues = axes.map(({ stride }, i) => (stride === 1 ? "" : residueLabels[i]!));
  const g = group === 1 ? "" : "g";
  const kernelLabels = residues.map((r, i) => (kept.includes(i) ? windowLabels[i]! : "") + r);
  const result = c.b.contract(value, kernelByPhase(c, weights, windows, axes), {
    a: `n${g}c${positions.join("")}${inWindow}`,
    b: `${g}co${kernelLabels.join("")}`,
    out: `n${g}o${positions.map((p, i) => p + residues[i]!).join("")}`,
    order: `c${inWindow}`,
  });
  const first = result.shape.slice(0, lead.length);
  const whole = axes.map((axis) => dimMul(positionsOf(axis), axis.stride));
  const joined = c.b.reshape(result, [...first, ...whole]);
  const starts = [...first.map(() => 0), ...axes.map((axis) => axis.low)];
  return c.b.slice(joined, starts, [...first, ...axes.map((axis) => axis.output)]);
}

const residueLabels = "prqsij";

/** Each kernel axis as taps, the last one first since later taps meet earlier inputs, and residues. */
function kernelByPhase(
  c: LowerContext,
  weights: Value,
  windows: readonly SpatialAxis[],
  axes: readonly TransposedAxis[],
): Value {
  const shape = weights.shape.slice(0, -axes.length);
  const taps: number[] = [];
  for (const [i, { stride }] of axes.entries()) {
    const { size } = windows[i]!;
    if (size > 1) taps.push(shape.push(size) - 1);
    if (stride > 1) shape.push(stride);
  }
  return taps.reduce(
    (kernel, axis) => {
      const size = shape[axis]!;
      return c.b.sliceAxis(kernel, axis, dimSub(size, 1), size, -1);
    },
    c.b.reshape(weights, shape),
  );
}

/** Every residue by itself; recursion over the axes, innermost last. */
function eachPhase(
  c: LowerContext,
  x: Value,
  weights: Value,
  axes: readonly TransposedAxis[],
  group: number,
): Value {
  const first = group === 1 ? 2 : 3;
  const interleave = (depth: number, phases: readonly Phase[]): Value => {
    if (depth === axes.length) return phaseOf(c, x, weights, phases, group);
    const axis = axes[depth]!;
    const at = first + depth;
    const parts = range(0, axis.stride).map((residue) =>
      interleave(depth + 1, [...phases, phaseAxis(axis, residue)]),
    );
    if (axis.stride === 1) return parts[0]!;
    const apart = parts.map((part) => c.b.unsqueeze(part, [at + 1]));
    const joined = c.b.concat(apart, at + 1);
    const shape = [...parts[0]!.shape];
    shape[at] = dimMul(shape[at]!, axis.stride);
    return c.b.sliceAxis(c.b.reshape(joined, shape), at, 0, axis.output);
  };
  return interleave(0, []);
}

/** The taps that the outputs with one residue meet along an axis, and where these stand in the input. */
interface Phase {
  /** First tap and distance between taps, in the kernel. */
  readonly tap: number;
  readonly tapStep: number;
  readonly count: number;
  readonly window: SpatialAxis;
  readonly positions: Dim;
}

function phaseAxis(axis: TransposedAxis, residue: number): Phase {
  const { size, stride, dilation, low } = axis;
  const taps = range(0, size).filter((k) => (low + residue - k * dilation) % stride === 0);
  const positions = dimCeilDiv(axis.output, stride);
  const count = taps.length;
  const [tap = 0, second = tap] = taps;
  const spacing = Math.max(1, ((second - tap) * dilation) / stride);
  // Input position that the first output meets at the last tap, which is the earliest of its inputs.
  const start = (low + residue - (taps.at(-1) ?? 0) * dilation) / stride;
  const reach = start + (Math.max(count, 1) - 1) * spacing;
  const high =
    count === 0
      ? 0
      : staticDim(dimSub(dimAdd(positions, reach), axis.input), "a ConvTranspose pads by it");
  const window = { size: count, stride: 1, dilation: spacing, low: -start, high, highAsked: high };
  return { tap, tapStep: Math.max(1, second - tap), count, window, positions };
}

function phaseOf(
  c: LowerContext,
  x: Value,
  weights: Value,
  phases: readonly Phase[],
  group: number,
): Value {
  const first = group === 1 ? 2 : 3;
  if (phases.some((phase) => phase.count === 0)) {
    const outer = group === 1 ? [] : [group];
    const shape = [x.shape[0]!, ...outer, weights.shape[first - 1]!];
    const dtype = x.dtype === "f64" ? "f64" : "f32";
    return c.b.broadcast(c.b.full(dtype, 0), [...shape, ...phases.map((p) => p.positions)]);
  }
  let kernel = weights;
  for (const [i, phase] of phases.entries()) {
    const last = phase.tap + (phase.count - 1) * phase.tapStep;
    kernel = c.b.sliceAxis(kernel, first + i, last, phase.count, -phase.tapStep);
  }
  const { value, kept } = slidingWindow(
    c,
    x,
    phases.map((phase) => phase.window),
    0,
  );
  const single = range(0, phases.length).filter((i) => !kept.includes(i));
  if (single.length > 0)
    kernel = c.b.squeeze(
      kernel,
      single.map((i) => first + i),
    );
  const inWindow = kept.map((i) => windowLabels[i]!).join("");
  const positions = positionLabels.slice(0, phases.length);
  const g = group === 1 ? "" : "g";
  return c.b.contract(value, kernel, {
    a: `n${g}c${positions}${inWindow}`,
    b: `${g}co${inWindow}`,
    out: `n${g}o${positions}`,
    order: `c${inWindow}`,
  });
}
