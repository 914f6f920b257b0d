/**
 * Convolutions as one contraction over a window: Conv of any rank, group, stride, dilation and padding.
 * A grouped convolution carries its group as a label that input, kernel and result share; the compiler
 * chooses the engine. Transposed convolution is in `conv-transpose.ts`.
 */
import { type Dim, dimMul, staticDim, staticShape } from "../ir/dim.js";
import { requireEqual, shapeText } from "../ir/graph-shapes.js";
import type { Value } from "../ir/graph.js";
import { operator } from "./helpers.js";
import { exactQuotient } from "./movement.js";
import { namedActivation } from "./named-activations.js";
import type { LowerContext, OperatorRecord } from "./record.js";
import {
  perChannel,
  positionLabels,
  slidingWindow,
  type SpatialAxis,
  spatialAxes,
  windowLabels,
} from "./spatial.js";

export const convolutionOperators: readonly OperatorRecord[] = [
  operator("Conv", { since: 1, ranks: ["2+", "2+", 1] }, (c) =>
    addBias(c, convolve(c, c.input(0), c.input(1)), c.inputs[2]),
  ),
  operator(
    "FusedConv",
    { domain: "com.microsoft", since: 1, ranks: ["2+", "2+", 1] },
    lowerFusedConv,
  ),
];

/** Inputs: x, kernel, bias, a tensor that is added before the activation. */
export function lowerFusedConv(c: LowerContext): Value {
  const biased = addBias(c, convolve(c, c.input(0), c.input(1)), c.inputs[2]);
  const sum =
    c.inputs[3] === undefined
      ? biased
      : c.b.map(biased.dtype, [biased, c.input(3)], (l, y, z) => l.add(y!, z!));
  return activate(c, sum);
}

export interface Zeros {
  readonly a?: Value;
  readonly b?: Value;
}

/**
 * x [n, channels, spatial...] with kernels [outputs, channels / group, sizes...], both float or both integer,
 * by the node's attributes. The result is f32, or i32 from integers. `fill` is what padding holds.
 */
export function convolve(
  c: LowerContext,
  x: Value,
  kernel: Value,
  zeros: Zeros = {},
  fill = 0,
): Value {
  const sizes = staticShape(kernel.shape.slice(2), "it is the extent of a kernel");
  const axes = spatialAxes(c, x.shape.slice(2), sizes);
  return convolveOver(c, x, kernel, axes, { zeros, fill, group: c.int("group", 1) });
}

export interface ConvolveOptions {
  readonly zeros: Zeros;
  readonly fill: number;
  readonly group: number;
}

function convolveOver(
  c: LowerContext,
  x: Value,
  kernel: Value,
  axes: readonly SpatialAxis[],
  { zeros, fill, group }: ConvolveOptions,
): Value {
  const [outputs, channels] = kernel.shape;
  const sentence = `kernels ${shapeText(kernel.shape)} in ${group} groups do not fit ${shapeText(x.shape)}`;
  requireEqual(x.shape[1]!, dimMul(channels!, group), sentence);
  const { value, kept } = slidingWindow(c, splitChannels(c, x, group), axes, fill);
  const inWindow = kept.map((i) => windowLabels[i]!).join("");
  const positions = positionLabels.slice(0, axes.length);
  const g = group === 1 ? "" : "g";
  const perGroup = exactQuotient(c, outputs!, group, () => sentence);
  const kernelSizes = kept.map((i) => axes[i]!.size);
  const outer: Dim[] = group === 1 ? [outputs!] : [group, perGroup];
  const weights = c.b.reshape(kernel, [...outer, channels!, ...kernelSizes]);
  const result = c.b.contract(
    value,
    weights,
    {
      a: `n${g}c${positions}${inWindow}`,
      b: `${g}oc${inWindow}`,
      out: `n${g}o${positions}`,
      order: `c${inWindow}`,
    },
    zeros,
  );
  if (group === 1) return result;
  const spatial = result.shape.slice(3);
  return c.b.reshape(result, [x.shape[0]!, outputs!, ...spatial]);
}

/** [n, channels, ...] as [n, group, channels / group, ...]. */
export function splitChannels(c: LowerContext, x: Value, group: number): Value {
  if (group === 1) return x;
  const [n, channels, ...spatial] = x.shape;
  const perGroup = staticDim(channels!, "it is the number of channels of a grouped convolution");
  return c.b.reshape(x, [n!, group, perGroup / group, ...spatial]);
}

/** The accumulated sum plus bias, rounded once to the input's type. */
export function addBias(c: LowerContext, sum: Value, bias: Value | undefined): Value {
  const { dtype } = c.input(0);
  if (bias === undefined) return c.b.cast(sum, dtype);
  const channels = perChannel(c, bias, sum.shape.length - 2);
  return c.b.map(dtype, [sum, channels], (l, y, z) => l.add(y!, z!));
}

/** The activation that the node's attributes name. */
function activate(c: LowerContext, x: Value): Value {
  const name = c.string("activation", "");
  if (name === "") return x;
  const [alpha, beta] = c.floats("activation_params") ?? [];
  const activation = namedActivation(name, alpha, beta);
  if (activation === undefined) return c.invalid("L0108", `activation "${name}" does not exist`);
  return c.b.map(x.dtype, [x], (l, v) => activation(l, v!));
}
