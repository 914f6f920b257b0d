/**
 * Resize and Upsample, axis by axis. Each axis has, per output position, a few input positions ("taps") and
 * weights, both constant: one tap is a repeat or a gather, few taps are gathers and a weighted sum, many (a
 * strong antialias filter) a contraction. Linear interpolation by a whole factor needs no gather: it weighs
 * the input with its neighbours. The positions and weights themselves are in `resize-taps.ts`.
 */
import { computeType, operator, range } from "./helpers.js";
import { decodeElement } from "../numerics/convert.js";
import type { DType } from "../numerics/dtype.js";
import { type Dim, dimFloorDiv, dimMul, dimSub, staticDim } from "../ir/dim.js";
import { shapeText } from "../ir/graph-shapes.js";
import type { Value } from "../ir/graph.js";
import { tensorOf } from "./host.js";
import { Decline, type LowerContext, type OperatorRecord } from "./record.js";
import {
  axisTaps,
  coordinateModes,
  type LinearPhases,
  linearPhases,
  repeatsWholly,
  type ResizeAxis,
  type ResizeMode,
  type ResizeRules,
  roundingModes,
  type Taps,
} from "./resize-taps.js";

export const resizeOperators: readonly OperatorRecord[] = [
  operator("Upsample", { since: 1, until: 9 }, (c) => {
    const scales = c.floats("scales") ?? floatsOf(c, 1) ?? c.invalid("L0108", "scales are missing");
    return resize(c, scaledAxes(c, scales, range(0, c.input(0).shape.length)), oldRules(c));
  }),
  operator("Resize", { since: 10, until: 10 }, (c) => {
    const scales = floatsOf(c, 1) ?? c.invalid("L0201", "scales are missing");
    const rules: ResizeRules = { ...oldRules(c), rounding: "simple" };
    return resize(c, scaledAxes(c, scales, range(0, c.input(0).shape.length)), rules);
  }),
  operator("Resize", 11, (c) => resize(c, axesOf(c), rulesOf(c))),
];

/** More taps than this are summed by a contraction with a dense matrix. */
const gatheredTapsMax = 6;

function oldRules(c: LowerContext): ResizeRules {
  return { ...rulesOf(c), coordinates: "asymmetric", rounding: "floor" };
}

function rulesOf(c: LowerContext): ResizeRules {
  const mode = c.string("mode", "nearest");
  if (mode !== "nearest" && mode !== "linear" && mode !== "cubic" && mode !== "bilinear") {
    return c.invalid("L0108", `mode "${mode}" does not exist`);
  }
  return {
    mode: (mode === "bilinear" ? "linear" : mode) satisfies ResizeMode,
    coordinates: oneOf(c, "coordinate_transformation_mode", coordinateModes),
    rounding: oneOf(c, "nearest_mode", roundingModes),
    cubicCoefficient: c.float("cubic_coeff_a", -0.75),
    excludeOutside: c.int("exclude_outside", 0) !== 0,
    antialias: c.int("antialias", 0) !== 0,
    extrapolation: c.float("extrapolation_value", 0),
  };
}

/** The attribute's string, which must be in the list; the first one is the default. */
function oneOf(c: LowerContext, name: string, allowed: readonly string[]): string {
  const value = c.string(name, allowed[0]!);
  if (!allowed.includes(value)) c.invalid("L0108", `${name} "${value}" does not exist`);
  return value;
}

/** Elements of a constant float input; undefined where it is absent or empty. */
function floatsOf(c: LowerContext, index: number): readonly number[] | undefined {
  if (c.inputs[index] === undefined) return undefined;
  const tensor = c.knownTensor(index, index === 1 ? "the region of interest" : "the scales");
  const count = tensor.data.length;
  if (count === 0) return undefined;
  return range(0, count).map((i) => decodeElement(tensor.dtype, tensor.data, i));
}

function axesOf(c: LowerContext): readonly ResizeAxis[] {
  const { shape } = c.input(0);
  const axes = (c.ints("axes") ?? range(0, shape.length)).map((axis) => c.axis(axis, shape.length));
  const sizes = c.knownDims(3, "the sizes");
  const scales = sizes === undefined || sizes.length === 0 ? scaleInput(c) : undefined;
  const plain =
    scales !== undefined ? scaledAxes(c, scales, axes) : sizedAxes(c, sizes ?? [], axes);
  const roi = c.string("coordinate_transformation_mode", "") === "tf_crop_and_resize";
  if (!roi) return plain;
  const region = floatsOf(c, 1) ?? c.invalid("L0201", "the region of interest is missing");
  return plain.map((axis) => {
    const at = axes.indexOf(axis.axis);
    return { ...axis, region: [region[at]!, region[axes.length + at]!] as const };
  });
}

function scaleInput(c: LowerContext): readonly number[] {
  return floatsOf(c, 2) ?? c.invalid("L0201", "neither scales nor sizes are given");
}

function scaledAxes(
  c: LowerContext,
  scales: readonly number[],
  axes: readonly number[],
): readonly ResizeAxis[] {
  requireOnePerAxis(c, scales, axes);
  return axes.map((axis, i) => {
    const input = c.input(0).shape[axis]!;
    const scale = scales[i]!;
    return { axis, input, scale, output: scaledExtent(input, scale), byScale: true };
  });
}

/** floor(extent * scale), also of a symbolic extent if the scale is a whole number or a fraction of 1. */
function scaledExtent(extent: Dim, scale: number): Dim {
  if (typeof extent === "number") return Math.floor(extent * scale);
  if (Number.isInteger(scale)) return dimMul(extent, scale);
  if (Number.isInteger(1 / scale)) return dimFloorDiv(extent, 1 / scale);
  return Math.floor(staticDim(extent, `a Resize scales it by ${scale}`) * scale);
}

function requireOnePerAxis(
  c: LowerContext,
  given: readonly unknown[],
  axes: readonly number[],
): void {
  if (given.length === axes.length) return;
  const text = shapeText(c.input(0).shape);
  c.invalid("L0201", `${given.length} scales or sizes for ${axes.length} axes of ${text}`);
}

function sizedAxes(
  c: LowerContext,
  sizes: readonly Dim[],
  axes: readonly number[],
): readonly ResizeAxis[] {
  requireOnePerAxis(c, sizes, axes);
  const { shape } = c.input(0);
  const policy = c.string("keep_aspect_ratio_policy", "stretch");
  if (policy === "stretch") {
    return axes.map((axis, i) => {
      const [input, output] = [shape[axis]!, sizes[i]!];
      if (typeof input !== "number" || typeof output !== "number") {
        return { axis, input, output, scale: ratioOf(output, input), byScale: false };
      }
      return { axis, input, output, scale: Math.fround(output / input), byScale: false };
    });
  }
  const reason = "a Resize that keeps the aspect ratio depends on it";
  const ratios = axes.map(
    (axis, i) => staticDim(sizes[i]!, reason) / staticDim(shape[axis]!, reason),
  );
  const scale = Math.fround(policy === "not_larger" ? Math.min(...ratios) : Math.max(...ratios));
  return axes.map((axis) => {
    const input = staticDim(shape[axis]!, reason);
    return { axis, input, scale, output: Math.floor(scale * input + 0.5), byScale: true };
  });
}

/** A whole ratio of two symbolic extents; binds their symbols if there is none. */
function ratioOf(output: Dim, input: Dim): number {
  if (typeof input !== "number" && typeof output !== "number") {
    const [a, b] = [output.max / input.max, output.min / input.min];
    if (Number.isInteger(a) && a === b && dimMul(input, a) !== undefined) {
      const scaled = dimMul(input, a);
      if (typeof scaled !== "number" && scaled.text === output.text) return a;
    }
  }
  const reason = "the scale of a Resize depends on it";
  return Math.fround(staticDim(output, reason) / staticDim(input, reason));
}

function resize(c: LowerContext, axes: readonly ResizeAxis[], rules: ResizeRules): Value {
  const x = c.input(0);
  const exact = rules.mode === "nearest";
  const dtype = exact ? x.dtype : computeType(x.dtype);
  let result = c.b.cast(x, dtype);
  const outside: Value[] = [];
  for (const axis of axes) {
    const moved = resizeAxis(c, result, axis, rules);
    result = moved.value;
    if (moved.outside !== undefined) outside.push(moved.outside);
  }
  const filled = outside.reduce(
    (value, mask) =>
      c.b.map(dtype, [value, mask], (l, v, isOutside) =>
        v!.type === "i32"
          ? l.selectI(isOutside!, l.constI(rules.extrapolation), v!)
          : l.select(isOutside!, l.constF(rules.extrapolation), v!),
      ),
    result,
  );
  return c.b.cast(filled, x.dtype);
}

/** Positions are computed in single precision, which has every integer up to here. */
const extentMax = 2 ** 24;

interface Resized {
  readonly value: Value;
  /** Which positions lie outside the region that was sampled; absent where none does. */
  readonly outside?: Value;
}

function resizeAxis(c: LowerContext, x: Value, axis: ResizeAxis, rules: ResizeRules): Resized {
  if (axis.scale === 1 && axis.region === undefined) return { value: x };
  const wholly = repeatsWholly(axis, rules);
  if (wholly !== undefined) return { value: repeatAxis(c, x, axis.axis, wholly) };
  if (typeof axis.output === "number" && axis.output > extentMax) {
    throw new Decline(`a Resize to ${axis.output} positions, more than single precision can count`);
  }
  const phases = linearPhases(axis, rules);
  if (phases !== undefined) return { value: interpolateWholly(c, x, axis.axis, phases) };
  const reason = "the positions that a Resize samples depend on it";
  const taps = axisTaps(staticDim(axis.input, reason), staticDim(axis.output, reason), axis, rules);
  const value = taps.isIdentity
    ? x
    : taps.weights === undefined
      ? gatherTap(c, x, axis.axis, taps, 0)
      : taps.count <= gatheredTapsMax
        ? weightedTaps(c, x, axis.axis, taps)
        : denseTaps(c, x, axis.axis, taps);
  if (taps.outside === undefined) return { value };
  const data = Uint8Array.from(taps.outside, Number);
  const mask = c.b.constant({ dtype: "bool", shape: [data.length], data });
  return { value, outside: alongAxis(c, mask, axis.axis, x.shape.length) };
}

/** [.., n, ..] as [.., n, 1, ..] broadcast to [.., n, times, ..]. */
function repeatAxis(c: LowerContext, x: Value, axis: number, times: number): Value {
  const apart = c.b.unsqueeze(x, [axis + 1]);
  const repeated = c.b.broadcast(
    apart,
    apart.shape.map((dim, i) => (i === axis + 1 ? times : dim)),
  );
  return c.b.reshape(
    repeated,
    x.shape.map((dim, i) => (i === axis ? dimMul(dim, times) : dim)),
  );
}

/** Each element with its neighbours gives `times` results, as a new axis that is then joined. */
function interpolateWholly(
  c: LowerContext,
  x: Value,
  axis: number,
  { times, own, other, isBefore }: LinearPhases,
): Value {
  const rest = dimSub(x.shape[axis]!, 1);
  const before = c.b.concat([c.b.sliceAxis(x, axis, 0, 1), c.b.sliceAxis(x, axis, 0, rest)], axis);
  const after = c.b.concat(
    [c.b.sliceAxis(x, axis, 1, rest), c.b.sliceAxis(x, axis, rest, 1)],
    axis,
  );
  const place = (dtype: DType, values: readonly number[]): Value =>
    alongAxis(c, c.b.constant(tensorOf(dtype, [times], values)), axis + 1, x.shape.length + 1);
  const apart = [x, before, after].map((value) => c.b.unsqueeze(value, [axis + 1]));
  const constants = [
    place(x.dtype, own),
    place(x.dtype, other),
    place("bool", isBefore.map(Number)),
  ];
  const results = c.b.map(x.dtype, [...apart, ...constants], (l, v, b, a, w, o, m) =>
    l.add(l.mul(v!, w!), l.mul(l.select(m!, b!, a!), o!)),
  );
  return c.b.reshape(
    results,
    x.shape.map((dim, i) => (i === axis ? dimMul(dim, times) : dim)),
  );
}

/** The input at the tap number `tap` of every output position. */
function gatherTap(c: LowerContext, x: Value, axis: number, taps: Taps, tap: number): Value {
  const { count, positions } = taps;
  const data = Int32Array.from({ length: taps.outputs }, (_, i) => positions[i * count + tap]!);
  const step = data.length > 1 ? data[1]! - data[0]! : 1;
  if (step !== 0 && data.every((position, i) => position === data[0]! + i * step)) {
    return c.b.sliceAxis(x, axis, data[0]!, data.length, step);
  }
  return c.b.gather(x, c.b.constant({ dtype: "i32", shape: [taps.outputs], data }), axis);
}

function weightedTaps(c: LowerContext, x: Value, axis: number, taps: Taps): Value {
  const inputs: Value[] = [];
  for (const tap of range(0, taps.count)) {
    const data = Float32Array.from(
      { length: taps.outputs },
      (_, i) => taps.weights![i * taps.count + tap]!,
    );
    const weight = c.b.constant({ dtype: "f32", shape: [taps.outputs], data });
    const placed = alongAxis(c, c.b.cast(weight, x.dtype), axis, x.shape.length);
    inputs.push(gatherTap(c, x, axis, taps, tap), placed);
  }
  return c.b.map(x.dtype, inputs, (l, ...lanes) => {
    let sum = l.mul(lanes[0]!, lanes[1]!);
    for (let i = 2; i < lanes.length; i += 2) sum = l.add(sum, l.mul(lanes[i]!, lanes[i + 1]!));
    return sum;
  });
}

function denseTaps(c: LowerContext, x: Value, axis: number, taps: Taps): Value {
  const inputs = staticDim(x.shape[axis]!, "the weights of a Resize depend on it");
  const data = new Float32Array(inputs * taps.outputs);
  for (const [i, position] of taps.positions.entries()) {
    const output = Math.floor(i / taps.count);
    data[position * taps.outputs + output]! += taps.weights![i]!;
  }
  const matrix = c.b.constant({ dtype: "f32", shape: [inputs, taps.outputs], data });
  const letters = [..."abcdefgh"].slice(0, x.shape.length);
  const at = letters.with(axis, "k").join("");
  return c.b.cast(
    c.b.contract(x, c.b.cast(matrix, x.dtype), {
      a: at,
      b: "ko",
      out: letters.with(axis, "o").join(""),
      order: "k",
    }),
    x.dtype,
  );
}

function alongAxis(c: LowerContext, vector: Value, axis: number, rank: number): Value {
  return c.b.reshape(vector, [vector.shape[0]!, ...new Array<number>(rank - axis - 1).fill(1)]);
}
