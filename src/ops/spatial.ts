/**
 * What convolutions and pools share: the attributes of a sliding window, padding by auto_pad and ceil_mode,
 * and the window itself over the last axes of a tensor. It knows nothing of what happens in the window.
 */
import { type Dim, dimAdd, dimCeilDiv, dimFloorDiv, dimMul, dimSub, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { range } from "./helpers.js";
import type { LowerContext } from "./record.js";

/** A window along one spatial axis. */
export interface SpatialAxis {
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
  /** Padding before and after; `high` may be negative where the last elements meet no window. */
  readonly low: number;
  readonly high: number;
  /** How much of `high` was asked for; the rest is there for ceil_mode. */
  readonly highAsked: number;
}

/** Extent that a window of the axis covers. */
export function span({ size, dilation }: Pick<SpatialAxis, "size" | "dilation">): number {
  return (size - 1) * dilation + 1;
}

/** The windows of a node over `extents`, from strides, dilations, pads, auto_pad and ceil_mode. */
export function spatialAxes(
  c: LowerContext,
  extents: readonly Dim[],
  sizes: readonly number[],
): readonly SpatialAxis[] {
  const rank = extents.length;
  if (sizes.length !== rank) {
    c.invalid("L0201", `a window over ${sizes.length} axes for ${rank} spatial axes`);
  }
  const strides = stepsOf(c, "strides", rank);
  const dilations = stepsOf(c, "dilations", rank);
  const pads = listOf(c, "pads", 2 * rank, 0);
  const ceil = c.int("ceil_mode", 0) !== 0;
  return sizes.map((size, i) => {
    const axis = { size, stride: strides[i]!, dilation: dilations[i]! };
    const asked = autoPadding(c, extents[i]!, axis, [pads[i]!, pads[rank + i]!]);
    const [low, highAsked] = asked;
    const extra = ceil ? ceilPadding(extents[i]!, axis, asked) : 0;
    return { ...axis, low, highAsked, high: highAsked + extra };
  });
}

export function listOf(
  c: LowerContext,
  name: string,
  length: number,
  defaultValue: number,
): readonly number[] {
  const list = c.ints(name) ?? [];
  if (list.length === 0) return new Array<number>(length).fill(defaultValue);
  if (list.length !== length) {
    c.invalid("L0108", `${name} has ${list.length} elements where ${length} are needed`);
  }
  return list;
}

/** Strides or dilations, 1 where there are none. */
export function stepsOf(
  c: LowerContext,
  name: "strides" | "dilations",
  rank: number,
): readonly number[] {
  const steps = listOf(c, name, rank, 1);
  for (const step of steps) if (!(step >= 1)) c.invalid("L0108", `${name} of ${step}`);
  return steps;
}

type Stepped = Pick<SpatialAxis, "size" | "stride" | "dilation">;

function autoPadding(
  c: LowerContext,
  extent: Dim,
  axis: Stepped,
  pads: readonly [number, number],
): readonly [number, number] {
  const mode = c.string("auto_pad", "NOTSET");
  if (mode === "NOTSET" || mode === "") return pads;
  if (mode === "VALID") return [0, 0];
  if (mode !== "SAME_UPPER" && mode !== "SAME_LOWER") {
    return c.invalid("L0108", `auto_pad "${mode}" does not exist`);
  }
  const positions = dimCeilDiv(extent, axis.stride);
  const covered = dimAdd(dimMul(dimSub(positions, 1), axis.stride), span(axis));
  const missing = staticDim(dimSub(covered, extent), "the padding by auto_pad depends on it");
  const total = Math.max(0, missing);
  const less = Math.floor(total / 2);
  return mode === "SAME_UPPER" ? [less, total - less] : [total - less, less];
}

/** Padding that lets a last, incomplete window in, if it starts inside the input or its low padding. */
function ceilPadding(extent: Dim, axis: Stepped, [low, high]: readonly [number, number]): number {
  const slack = dimAdd(extent, low + high - span(axis));
  const whole = dimFloorDiv(slack, axis.stride);
  const rest = staticDim(
    dimSub(slack, dimMul(whole, axis.stride)),
    "with ceil_mode the number of windows depends on it",
  );
  if (rest === 0) return 0;
  const start = dimMul(dimAdd(whole, 1), axis.stride);
  const inside = staticDim(
    dimSub(dimAdd(extent, low), start),
    "with ceil_mode the number of windows depends on it",
  );
  return inside > 0 ? axis.stride - rest : 0;
}

/**
 * x, padded, with a window over its last axes: these become positions, and the axes of the window that have
 * more than one element are appended. `kept` lists them: indices into `axes`.
 */
export function slidingWindow(
  c: LowerContext,
  x: Value,
  axes: readonly SpatialAxis[],
  fill: number,
): { readonly value: Value; readonly kept: readonly number[] } {
  const first = x.shape.length - axes.length;
  const none = new Array<number>(first).fill(0);
  const padded = c.b.pad(
    x,
    [...none, ...axes.map((a) => a.low)],
    [...none, ...axes.map((a) => a.high)],
    fill,
  );
  const kept = range(0, axes.length).filter((i) => axes[i]!.size > 1);
  const stepped = skip(c, padded, axes, first);
  const windows = kept.map((i) => {
    const { size, stride, dilation } = axes[i]!;
    return { axis: first + i, size, stride, dilation };
  });
  return { value: windows.length === 0 ? stepped : c.b.window(stepped, windows), kept };
}

/** A window of one element is a slice with a step. */
function skip(c: LowerContext, x: Value, axes: readonly SpatialAxis[], first: number): Value {
  const steps = x.shape.map((_, i) => {
    const axis = axes[i - first];
    return axis !== undefined && axis.size === 1 ? axis.stride : 1;
  });
  if (steps.every((step) => step === 1)) return x;
  const sizes = x.shape.map((dim, i) => dimCeilDiv(dim, steps[i]!));
  return c.b.slice(
    x,
    x.shape.map(() => 0),
    sizes,
    steps,
  );
}

/** Letters for contractions over windows: spatial axes, and the axes inside the window. */
export const positionLabels = "hwdtuv";
export const windowLabels = "yxzklm";

/** A vector over the channels of a tensor [n, channels, spatial...]. */
export function perChannel(c: LowerContext, vector: Value, spatialRank: number): Value {
  const ones = new Array<number>(spatialRank).fill(1);
  return c.b.reshape(vector, [vector.shape[0]!, ...ones]);
}
