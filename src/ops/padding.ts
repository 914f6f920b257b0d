/**
 * Pad in all its modes. Constant padding is a core operation; the others are joined from slices of the input,
 * or gathered where the padding is wider than the input.
 */
import { decodeElement } from "../numerics/convert.js";
import { type Dim, dimAdd, dimMin, dimSub, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { operator, range, selectLike } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export const paddingOperators: readonly OperatorRecord[] = [operator("Pad", 1, pad)];

interface Padding {
  readonly low: readonly number[];
  readonly high: readonly number[];
}

function pad(c: LowerContext): Value {
  const x = c.input(0);
  const padding = paddingOf(c, x.shape.length);
  const mode = c.string("mode", "constant");
  if (mode === "constant") return padConstant(c, x, padding);
  const extend = extensions[mode as keyof typeof extensions];
  if (extend === undefined) return c.invalid("L0108", `mode "${mode}" does not exist`);
  let result = x;
  for (const axis of range(0, x.shape.length)) {
    const [low, high] = [padding.low[axis]!, padding.high[axis]!];
    const from = Math.max(0, -low);
    const kept = dimSub(x.shape[axis]!, from + Math.max(0, -high));
    const cut = c.b.sliceAxis(result, axis, from, kept);
    result = padAxis(c, cut, axis, Math.max(0, low), Math.max(0, high), extend);
  }
  return result;
}

function paddingOf(c: LowerContext, rank: number): Padding {
  const pads = c.ints("pads") ?? c.ints("paddings") ?? c.knownInts(1, "the padding");
  const axes = c.knownInts(3, "the axes") ?? range(0, rank);
  if (pads?.length !== 2 * axes.length) {
    return c.invalid("L0201", `${pads?.length ?? 0} paddings for ${axes.length} axes`);
  }
  const low = new Array<number>(rank).fill(0);
  const high = [...low];
  for (const [i, axis] of axes.entries()) {
    low[c.axis(axis, rank)] = pads[i]!;
    high[c.axis(axis, rank)] = pads[axes.length + i]!;
  }
  return { low, high };
}

function padConstant(c: LowerContext, x: Value, { low, high }: Padding): Value {
  const fill = c.constant(2);
  if (c.inputs[2] === undefined || fill !== undefined) {
    const given = fill === undefined ? undefined : decodeElement(fill.dtype, fill.data, 0);
    return c.b.pad(x, low, high, given ?? c.float("value", 0));
  }
  // The padding depends on data: it is chosen where a padded mask of ones is 0.
  const inside = c.b.pad(c.b.broadcast(c.b.full("bool", 1), x.shape), low, high, 0);
  const scalar = c.b.reshape(c.input(2), []);
  return c.b.map(x.dtype, [inside, c.b.pad(x, low, high, 0), scalar], (l, isInside, v, f) =>
    selectLike(l, isInside!, v!, f!),
  );
}

interface Extension {
  /** Input position that stands at `position` of the extended axis; the input begins at 0. */
  source(position: number, extent: number): number;
  /** Slices of x to join before or after it, while the padding is no wider than `reach`. */
  reach(extent: Dim): Dim;
  before(c: LowerContext, x: Value, axis: number, count: number): Value;
  after(c: LowerContext, x: Value, axis: number, count: number): Value;
}

const modulo = (a: number, b: number): number => ((a % b) + b) % b;

const extensions = {
  reflect: {
    source(position, extent) {
      if (extent === 1) return 0;
      const folded = modulo(position, 2 * (extent - 1));
      return folded < extent ? folded : 2 * (extent - 1) - folded;
    },
    reach: (extent) => dimSub(extent, 1),
    before: (c, x, axis, count) => c.b.sliceAxis(x, axis, count, count, -1),
    after: (c, x, axis, count) => c.b.sliceAxis(x, axis, dimSub(x.shape[axis]!, 2), count, -1),
  },
  edge: {
    source: (position, extent) => Math.min(Math.max(position, 0), extent - 1),
    reach: () => Number.POSITIVE_INFINITY,
    before: (c, x, axis, count) => repeat(c, x, axis, 0, count),
    after: (c, x, axis, count) => repeat(c, x, axis, dimSub(x.shape[axis]!, 1), count),
  },
  wrap: {
    source: modulo,
    reach: (extent) => extent,
    before: (c, x, axis, count) => c.b.sliceAxis(x, axis, dimSub(x.shape[axis]!, count), count),
    after: (c, x, axis, count) => c.b.sliceAxis(x, axis, 0, count),
  },
} satisfies Record<string, Extension>;

function repeat(c: LowerContext, x: Value, axis: number, at: Dim, count: number): Value {
  const shape = x.shape.map((dim, i) => (i === axis ? count : dim));
  return c.b.broadcast(c.b.sliceAxis(x, axis, at, 1), shape);
}

function padAxis(
  c: LowerContext,
  x: Value,
  axis: number,
  low: number,
  high: number,
  extend: Extension,
): Value {
  if (low === 0 && high === 0) return x;
  const extent = x.shape[axis]!;
  const reach = extend.reach(extent);
  const widest = Math.max(low, high);
  if (reach === Number.POSITIVE_INFINITY || dimMin(dimAdd(reach, -widest)) >= 0) {
    const parts = [x];
    if (low > 0) parts.unshift(extend.before(c, x, axis, low));
    if (high > 0) parts.push(extend.after(c, x, axis, high));
    return c.b.concat(parts, axis);
  }
  const size = staticDim(extent, "the padding may be wider than the axis that it extends");
  const sources = range(-low, size + high).map((position) => extend.source(position, size));
  const shape = [sources.length];
  const indices = c.b.constant({ dtype: "i32", shape, data: Int32Array.from(sources) });
  return c.b.gather(x, indices, axis);
}
