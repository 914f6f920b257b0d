/**
 * Layers of com.microsoft for images: convolutions and pools whose channels are the last axis, and group
 * normalizations with what follows them. Those on codes are here too where only the axes differ.
 */
import { dimExactDiv, dimText } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { swish } from "./activations.js";
import { channelsLast, channelsSecond } from "./channels-last.js";
import { addBias, convolve, lowerFusedConv } from "./convolution.js";
import { computeType, operator, operatorOfMany, range, requiredInt } from "./helpers.js";
import { layerNormalization } from "./normalization.js";
import { maxPool } from "./pooling.js";
import { lowerQLinearConv } from "./quantized-conv.js";
import type { LowerContext, OperatorRecord } from "./record.js";

const contrib = { domain: "com.microsoft", since: 1 };

/** Kernels are [outputs, sizes..., channels / group] here, as the optimizer that makes the node writes them. */
function lowerNhwcConv(c: LowerContext): Value {
  const kernel = channelsSecond(c, c.input(1));
  return channelsLast(c, [0], (inner) =>
    addBias(inner, convolve(inner, inner.input(0), kernel), inner.inputs[2]),
  );
}

/** Inputs: x, scale and bias of the channels. */
function groupNorm(c: LowerContext, x: Value): Value {
  const { b } = c;
  const groups = requiredInt(c, "groups");
  const isLast = c.int("channels_last", 1) !== 0;
  const axis = isLast ? x.shape.length - 1 : 1;
  const channels = x.shape[axis]!;
  const perGroup = dimExactDiv(channels, groups);
  if (perGroup === undefined) {
    c.invalid("L0201", `${groups} groups do not divide ${dimText(channels)} channels`);
  }
  const grouped = b.reshape(x, x.shape.toSpliced(axis, 1, groups, perGroup));
  const rank = grouped.shape.length;
  const parameter = (index: number) => {
    const each = b.reshape(c.input(index), [groups, perGroup]);
    return isLast ? each : b.unsqueeze(each, range(2, rank - 1));
  };
  const { y } = layerNormalization(b, {
    x: b.cast(grouped, computeType(x.dtype)),
    axes: isLast ? [...range(1, rank - 2), rank - 1] : range(2, rank),
    scale: parameter(1),
    bias: parameter(2),
    epsilon: c.float("epsilon", 1e-5),
  });
  const activated =
    requiredInt(c, "activation") === 0 ? y : b.map(y.dtype, [y], (l, v) => swish(l, v!, 1));
  return b.cast(b.reshape(activated, x.shape), c.input(0).dtype);
}

/** Inputs: x, scale, bias, what is added to x ([n, 1, 1, channels] and [n, channels] too), another bias. */
function lowerSkipGroupNorm(c: LowerContext): readonly (Value | undefined)[] {
  const { b } = c;
  const x = c.input(0);
  const skip = c.input(3);
  const spatial = range(1, x.shape.length - 1);
  const beside = skip.shape.length === 2 ? b.unsqueeze(skip, spatial) : skip;
  const added = [beside, c.inputs[4]].filter((v) => v !== undefined);
  const sum = b.map(computeType(x.dtype), [x, ...added], (l, first, ...rest) =>
    rest.reduce((total, v) => l.add(total, v), first!),
  );
  return [groupNorm(c, sum), c.wantsOutput(1) ? b.cast(sum, x.dtype) : undefined].slice(
    0,
    c.outputCount,
  );
}

export const contribLayerOperators: readonly OperatorRecord[] = [
  operator("NhwcConv", { ...contrib, ranks: ["3+", "3+", 1] }, lowerNhwcConv),
  operator("NhwcFusedConv", { ...contrib, ranks: ["3+", "3+", 1] }, (c) =>
    channelsLast(c, [0, 3], lowerFusedConv),
  ),
  operator("NhwcMaxPool", { ...contrib, ranks: ["3+"] }, (c) =>
    channelsLast(c, [0], (inner) => maxPool(inner)[0]!),
  ),
  operator("QLinearConv", { ...contrib, ranks: ["2+", undefined, undefined, "2+"] }, (c) =>
    c.int("channels_last", 0) === 0 ? lowerQLinearConv(c) : channelsLast(c, [0], lowerQLinearConv),
  ),
  operator("GroupNorm", { ...contrib, ranks: ["3+", 1, 1] }, (c) => groupNorm(c, c.input(0))),
  operatorOfMany("SkipGroupNorm", { ...contrib, ranks: ["3+", 1, 1, "2+", 1] }, lowerSkipGroupNorm),
];
