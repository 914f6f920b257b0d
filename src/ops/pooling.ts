/**
 * Pools: a padded window and a reduction over it. Averages divide by counts that are constant once the
 * shape is known. Pools over regions of interest are in `regions.ts`.
 */
import { type DType, dtypes } from "../numerics/dtype.js";
import { integerLimits } from "../numerics/quantized-lanes.js";
import type { GraphBuilder } from "../ir/builder.js";
import { type Dim, dimAdd, dimMul, dimProduct, dimSub, staticShape } from "../ir/dim.js";
import { shapeText } from "../ir/graph-shapes.js";
import type { Value } from "../ir/graph.js";
import { computeType, mean, operator, operatorOfMany, range } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";
import { slidingWindow, span, type SpatialAxis, spatialAxes } from "./spatial.js";

export const poolingOperators: readonly OperatorRecord[] = [
  operatorOfMany("MaxPool", { since: 1, ranks: ["2+"] }, maxPool),
  operator("AveragePool", { since: 1, ranks: ["2+"] }, averagePool),
  operator("LpPool", { since: 1, ranks: ["2+"] }, (c) => {
    const axes = pooledAxes(c);
    return lpNorm(c, c.int("p", 2), (powers) => windowSum(c, powers, axes));
  }),
  operator("GlobalAveragePool", { since: 1, ranks: ["2+"] }, (c) => {
    return c.b.cast(mean(c.b, c.input(0), spatialOf(c.input(0))), c.input(0).dtype);
  }),
  operator("GlobalMaxPool", { since: 1, ranks: ["2+"] }, (c) => {
    return c.b.reduce(c.input(0), "max", spatialOf(c.input(0)), { keepDims: true });
  }),
  operator("GlobalLpPool", { since: 1, ranks: ["2+"] }, (c) => {
    const sum = (powers: Value): Value =>
      c.b.reduce(powers, "sum", spatialOf(c.input(0)), { keepDims: true });
    return lpNorm(c, c.int("p", 2), sum);
  }),
  operator("MaxUnpool", { since: 9, ranks: ["2+", "2+", 1] }, maxUnpool),
];

function spatialOf(x: Value): readonly number[] {
  return range(2, x.shape.length);
}

function pooledAxes(c: LowerContext): readonly SpatialAxis[] {
  const sizes = c.ints("kernel_shape") ?? c.invalid("L0108", "kernel_shape is missing");
  return spatialAxes(c, c.input(0).shape.slice(2), sizes);
}

function wide(b: GraphBuilder, x: Value): Value {
  return b.cast(x, computeType(x.dtype));
}

/** The window's elements added one by one. */
function windowSum(c: LowerContext, x: Value, axes: readonly SpatialAxis[]): Value {
  const { value, kept } = slidingWindow(c, x, axes, 0);
  if (kept.length === 0) return value;
  return c.b.reduce(value, "seqsum", range(x.shape.length, x.shape.length + kept.length));
}

export function averagePool(c: LowerContext): Value {
  const x = c.input(0);
  const axes = pooledAxes(c);
  const sum = windowSum(c, wide(c.b, x), axes);
  return c.b.map(x.dtype, [sum, windowCounts(c, axes, sum.dtype)], (l, s, n) => l.div(s!, n!));
}

/** How many elements each window counts, as [positions...]; a scalar where all windows are full. */
function windowCounts(c: LowerContext, axes: readonly SpatialAxis[], dtype: DType): Value {
  const includePad = c.int("count_include_pad", 0) !== 0;
  const full = axes.reduce((count, axis) => count * axis.size, 1);
  const padded = axes.some((axis) =>
    includePad ? axis.high > axis.highAsked : axis.low > 0 || axis.high > 0,
  );
  if (!padded) return c.b.full(dtype, full);
  const counts = axes.map((axis, i) => {
    const extent = c.input(0).shape[2 + i]!;
    const counted = includePad ? dimAdd(extent, axis.low + axis.highAsked) : extent;
    const ones = c.b.broadcast(c.b.full(dtype, 1), [counted]);
    const rest = includePad ? { low: 0, high: axis.high - axis.highAsked } : {};
    const count = windowSum(c, ones, [{ ...axis, ...rest }]);
    return c.b.reshape(count, [...count.shape, ...new Array<number>(axes.length - 1 - i).fill(1)]);
  });
  const product = counts.reduce((a, b) => c.b.map(dtype, [a, b], (l, x, y) => l.mul(x!, y!)));
  const elements = product.data?.data as ArrayLike<number> | undefined;
  const same = elements !== undefined && Array.from(elements).every((n) => n === full);
  return same ? c.b.full(dtype, full) : product;
}

/** (sum of |x|^p)^(1/p). */
function lpNorm(c: LowerContext, p: number, sum: (powers: Value) => Value): Value {
  const x = wide(c.b, c.input(0));
  const powers = c.b.map(x.dtype, [x], (l, v) => {
    if (p === 2) return l.mul(v!, v!);
    return p === 1 ? l.abs(v!) : l.pow(l.abs(v!), l.constF(p));
  });
  return c.b.map(c.input(0).dtype, [sum(powers)], (l, s) => {
    if (p === 2) return l.sqrt(s!);
    return p === 1 ? s! : l.pow(s!, l.constF(1 / p));
  });
}

export function maxPool(c: LowerContext): readonly (Value | undefined)[] {
  const x = c.input(0);
  const axes = pooledAxes(c);
  const { kind } = dtypes[x.dtype];
  const lowest = kind === "float" ? Number.NEGATIVE_INFINITY : integerLimits(x.dtype).low;
  const { value, kept } = slidingWindow(c, x, axes, lowest);
  const inWindow = range(x.shape.length, x.shape.length + kept.length);
  const maximum = kept.length === 0 ? value : c.b.reduce(value, "max", inWindow);
  if (!c.wantsOutput(1)) return [maximum];
  const position =
    kept.length === 0
      ? c.b.broadcast(c.b.full("i32", 0), maximum.shape)
      : c.b.reduce(value, "argmax", inWindow);
  return [maximum, inputPositions(c, position, axes)];
}

/** From positions inside the windows to int64 positions in the whole input. */
function inputPositions(c: LowerContext, inWindow: Value, axes: readonly SpatialAxis[]): Value {
  const x = c.input(0);
  const extents = x.shape.slice(2);
  const columnMajor = c.int("storage_order", 0) !== 0;
  const { shape } = inWindow;
  // Distance in the input between neighbours along each spatial axis.
  const strides = extents.map((_, i) =>
    dimProduct(columnMajor ? extents.slice(0, i) : extents.slice(i + 1)),
  );
  const rest = (i: number): number => axes.slice(i + 1).reduce((n, axis) => n * axis.size, 1);
  const image = c.b.map(
    "i32",
    [c.b.iota("i32", shape, 0), c.b.iota("i32", shape, 1), scalar(c, shape[1]!)],
    (l, n, channel, channels) => l.addI(l.mulI(n!, channels!), channel!),
  );
  const start = c.b.map("i32", [image, scalar(c, dimProduct(extents))], (l, i, size) =>
    l.mulI(i!, size!),
  );
  const sum = axes.reduce((total, axis, i) => {
    const position = c.b.iota("i32", shape, 2 + i);
    return c.b.map("i32", [total, inWindow, position, scalar(c, strides[i]!)], (l, t, w, p, s) => {
      const inside = l.remI(l.divI(w!, l.constI(rest(i))), l.constI(axis.size));
      const first = l.subI(l.mulI(p!, l.constI(axis.stride)), l.constI(axis.low));
      const at = l.addI(first, l.mulI(inside, l.constI(axis.dilation)));
      return l.addI(t!, l.mulI(at, s!));
    });
  }, start);
  return c.b.cast(sum, "i64");
}

function scalar(c: LowerContext, dim: Dim): Value {
  return c.b.cast(c.b.dims([dim], { scalar: true }), "i32");
}

/** A scatter into zeros; positions count in the tensor that the pool had as its input. */
function maxUnpool(c: LowerContext): Value {
  const x = c.input(0);
  const sizes = c.ints("kernel_shape") ?? c.invalid("L0108", "kernel_shape is missing");
  const lead = x.shape.slice(0, 2);
  const inferred = spatialAxes(c, x.shape.slice(2), sizes).map((axis, i) =>
    dimAdd(dimMul(dimSub(x.shape[2 + i]!, 1), axis.stride), span(axis) - axis.low - axis.highAsked),
  );
  const pooled = [...lead, ...inferred];
  const total = dimProduct(pooled);
  const count = dimProduct(x.shape);
  const zeros = c.b.broadcast(c.b.full(x.dtype, 0), [total]);
  const indices = c.b.reshape(c.input(1), [count]);
  const flat = c.b.scatter(zeros, indices, c.b.reshape(x, [count]), 0, "assign");
  const result = c.b.reshape(flat, pooled);
  const asked = c.knownInts(2, "the output shape");
  if (asked === undefined) return result;
  const known = staticShape(pooled, "a MaxUnpool with an output shape pads by it");
  if (asked.length !== known.length) {
    c.invalid("L0201", `the output shape ${shapeText(asked)} does not fit ${shapeText(pooled)}`);
  }
  return c.b.pad(
    result,
    known.map(() => 0),
    known.map((dim, i) => asked[i]! - dim),
    0,
  );
}
