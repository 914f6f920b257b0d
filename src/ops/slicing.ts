/**
 * Operators that cut and join tensors: Slice, Split, Concat, CenterCropPad, ReverseSequence. Padding is in
 * `padding.ts`, what takes elements at computed positions in `gather.ts`.
 */
import { shapeText } from "../ir/graph-shapes.js";
import {
  type Dim,
  dimAdd,
  dimCeilDiv,
  dimExactDiv,
  dimFloorDiv,
  dimMax,
  dimMin,
  dimMul,
  dimSub,
  dimSymbols,
  NeedsBinding,
  staticDim,
} from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { allInputs, operator, operatorOfMany, range } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export const slicingOperators: readonly OperatorRecord[] = [
  operator("Slice", 1, slice),
  operatorOfMany("Split", 1, split),
  operator("Concat", 1, (c) => {
    const inputs = allInputs(c);
    return c.b.concat(inputs, c.axis(c.int("axis", 1), inputs[0]!.shape.length));
  }),
  operator("CenterCropPad", 18, centerCropPad),
  operator("ReverseSequence", 10, reverseSequence),
];

function slice(c: LowerContext): Value {
  const x = c.input(0);
  const rank = x.shape.length;
  const byAttribute = c.opset < 10;
  const from = byAttribute ? c.ints("starts") : c.knownDims(1, "the starts");
  const to = byAttribute ? c.ints("ends") : c.knownDims(2, "the ends");
  if (from === undefined || to === undefined || from.length !== to.length) {
    return c.invalid("L0201", "the starts and the ends do not match");
  }
  const axes = (byAttribute ? c.ints("axes") : c.knownInts(3, "the axes")) ?? range(0, from.length);
  const given = byAttribute ? undefined : c.knownInts(4, "the steps");
  for (const list of [axes, given ?? axes]) {
    if (list.length !== from.length) {
      c.invalid(
        "L0201",
        `${from.length} starts, ${axes.length} axes, ${given?.length ?? "no"} steps`,
      );
    }
  }
  const starts: Dim[] = x.shape.map(() => 0);
  const sizes = [...x.shape];
  const steps = x.shape.map(() => 1);
  for (const [i, axis] of axes.entries()) {
    const at = c.axis(axis, rank);
    const step = given?.[i] ?? 1;
    if (step === 0) c.invalid("L0201", `the step of axis ${axis} is 0`);
    const cut = sliceRange(x.shape[at]!, from[i]!, to[i]!, step);
    starts[at] = cut.start;
    sizes[at] = cut.size;
    steps[at] = step;
  }
  return c.b.slice(x, starts, sizes, steps);
}

/**
 * Of one axis: counted from the end where negative, clamped to the axis. Backwards too, a start before the axis is the
 * first element, other than NumPy has it.
 */
function sliceRange(
  extent: Dim,
  from: Dim,
  to: Dim,
  step: number,
): { readonly start: Dim; readonly size: Dim } {
  const last = dimSub(extent, 1);
  const [low, high]: readonly [Dim, Dim] = step > 0 ? [0, extent] : [-1, last];
  const start = clampDim(fromEnd(from, extent), 0, high);
  const end = clampDim(fromEnd(to, extent), low, high);
  const distance = dimMul(dimSub(end, start), Math.sign(step));
  const size = dimCeilDiv(clampDim(distance, 0, extent), Math.abs(step));
  return { start: size === 0 ? 0 : start, size };
}

function fromEnd(at: Dim, extent: Dim): Dim {
  if (dimMin(at) >= 0) return at;
  if (dimMax(at) < 0) return dimAdd(at, extent);
  return fromEnd(staticDim(at, "whether a slice counts from the end depends on it"), extent);
}

/** min(max(value, low), high) where ranges decide it; narrows or binds the symbols otherwise. */
function clampDim(value: Dim, low: Dim, high: Dim): Dim {
  if (dimMax(dimSub(value, low)) <= 0) return low;
  if (dimMin(dimSub(value, high)) >= 0) return high;
  const above = dimMin(dimSub(value, low)) >= 0;
  const below = dimMax(dimSub(value, high)) <= 0;
  if (above && below) return value;
  // Beyond any extent, as the 2^63 - 1 that stands for "to the end".
  if (dimMin(value) >= dimMax(high)) return high;
  const reason = "where a slice ends depends on it";
  if (above && typeof high === "number") {
    const symbols = [...dimSymbols(value)].map(({ name }) => name);
    throw new NeedsBinding(symbols, reason, { limit: { dim: value, most: high } });
  }
  const [v, l, h] = [value, low, high].map((dim) => staticDim(dim, reason));
  return Math.min(Math.max(v!, l!), h!);
}

function split(c: LowerContext): readonly Value[] {
  const x = c.input(0);
  const axis = c.axis(c.int("axis", 0), x.shape.length);
  const given = c.ints("split") ?? c.knownDims(1, "the sizes of the parts");
  const sizes = given ?? evenParts(c, x.shape[axis]!);
  if (sizes.length !== c.outputCount) {
    c.invalid("L0201", `${sizes.length} parts for ${c.outputCount} outputs`);
  }
  const total = sizes.reduce<Dim>((sum, size) => dimAdd(sum, size), 0);
  const rest = dimSub(x.shape[axis]!, total);
  if (dimMin(rest) > 0 || dimMax(rest) < 0) {
    const parts = shapeText(sizes);
    c.invalid("L0201", `parts ${parts} do not add up to axis ${axis} of ${shapeText(x.shape)}`);
  }
  let start: Dim = 0;
  return sizes.map((size) => {
    const part = c.b.sliceAxis(x, axis, start, size);
    start = dimAdd(start, size);
    return part;
  });
}

/** Equal parts; where the extent is no multiple, the last one is smaller. */
function evenParts(c: LowerContext, extent: Dim): Dim[] {
  const count = c.int("num_outputs", c.outputCount);
  const exact = dimExactDiv(extent, count);
  if (exact !== undefined) return new Array<Dim>(count).fill(exact);
  const whole = staticDim(extent, "the sizes of a Split depend on it");
  const part = Math.ceil(whole / count);
  return range(0, count).map((i) => Math.max(0, Math.min(part, whole - i * part)));
}

function centerCropPad(c: LowerContext): Value {
  const x = c.input(0);
  const rank = x.shape.length;
  const axes = (c.ints("axes") ?? range(0, rank)).map((axis) => c.axis(axis, rank));
  const target = c.knownDims(1, "the shape") ?? c.invalid("L0201", "the shape is missing");
  let result = x;
  for (const [i, axis] of axes.entries()) result = centerAxis(c, result, axis, target[i]!);
  return result;
}

function centerAxis(c: LowerContext, x: Value, axis: number, target: Dim): Value {
  const surplus = dimSub(x.shape[axis]!, target);
  if (dimMin(surplus) >= 0) return c.b.sliceAxis(x, axis, dimFloorDiv(surplus, 2), target);
  const missing = -staticDim(surplus, "how much CenterCropPad pads depends on it");
  if (missing <= 0) return c.b.sliceAxis(x, axis, Math.floor(-missing / 2), target);
  const low = x.shape.map((_, i) => (i === axis ? Math.floor(missing / 2) : 0));
  const high = x.shape.map((_, i) => (i === axis ? Math.ceil(missing / 2) : 0));
  return c.b.pad(x, low, high, 0);
}

/** The first `length` elements of each sequence in reverse: a gather over time and batch as one axis. */
function reverseSequence(c: LowerContext): Value {
  const x = c.input(0);
  const timeAxis = c.axis(c.int("time_axis", 0), x.shape.length);
  const batchAxis = c.axis(c.int("batch_axis", 1), x.shape.length);
  const others = range(0, x.shape.length).filter((i) => i !== timeAxis && i !== batchAxis);
  const perm = [timeAxis, batchAxis, ...others];
  const leading = c.b.transpose(x, perm);
  const [time, batch, ...rest] = leading.shape;
  const flat = c.b.reshape(leading, [dimMul(time!, batch!), ...rest]);
  const index = c.b.map(
    "i32",
    [
      c.b.iota("i32", [time!, 1], 0),
      c.b.iota("i32", [1, batch!], 1),
      c.b.reshape(c.b.cast(c.input(1), "i32"), [1, batch!]),
      c.b.cast(c.b.dims([batch!], { scalar: true }), "i32"),
    ],
    (l, t, n, length, stride) => {
      const reversed = l.subI(l.subI(length!, l.constI(1)), t!);
      const source = l.selectI(l.ltI(t!, length!), reversed, t!);
      return l.addI(l.mulI(source, stride!), n!);
    },
  );
  const back = range(0, x.shape.length).map((axis) => perm.indexOf(axis));
  return c.b.transpose(c.b.gather(flat, index, 0), back);
}
