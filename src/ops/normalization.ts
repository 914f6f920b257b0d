/** Normalizations of ONNX. Those of com.microsoft share `layerNormalization` and are in `contrib-norms.ts`. */
import { dimExactDiv, dimText } from "../ir/dim.js";
import type { GraphBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import {
  alongAxis,
  computeType,
  inverseDeviation,
  meanSquare,
  moments,
  operator,
  operatorOfMany,
  range,
  requiredInt,
} from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export interface LayerNormForm {
  readonly x: Value;
  readonly axes: readonly number[];
  readonly scale: Value | undefined;
  readonly bias?: Value | undefined;
  readonly epsilon: number;
}

export interface LayerNormParts {
  readonly y: Value;
  readonly mean: Value;
  readonly inverseDeviation: Value;
}

/** (x - mean) / deviation * scale + bias, rounded once to the type of x. */
export function layerNormalization(b: GraphBuilder, form: LayerNormForm): LayerNormParts {
  const { centred, mean, variance } = moments(b, form.x, form.axes);
  const inverse = inverseDeviation(b, variance, form.epsilon);
  const y = scaleAndShift(b, centred, inverse, form);
  return { y, mean, inverseDeviation: inverse };
}

/** x / root mean square * scale. */
export function rmsNormalization(
  b: GraphBuilder,
  form: LayerNormForm,
): Omit<LayerNormParts, "mean"> {
  const inverse = inverseDeviation(b, meanSquare(b, form.x, form.axes), form.epsilon);
  return { y: scaleAndShift(b, form.x, inverse, form), inverseDeviation: inverse };
}

function scaleAndShift(
  b: GraphBuilder,
  centred: Value,
  inverse: Value,
  { x, scale, bias }: LayerNormForm,
): Value {
  const factors = [inverse, scale].filter((v) => v !== undefined);
  const inputs = bias === undefined ? [centred, ...factors] : [centred, ...factors, bias];
  return b.map(x.dtype, inputs, (l, value, ...rest) => {
    const scaled = rest.slice(0, factors.length).reduce((acc, f) => l.mul(acc, f), value!);
    return bias === undefined ? scaled : l.add(scaled, rest.at(-1)!);
  });
}

function lowerLayerNorm(c: LowerContext): readonly (Value | undefined)[] {
  const parts = layerNormalization(c.b, lastAxesForm(c, c.inputs[2]));
  return [parts.y, stashed(c, 1, parts.mean), stashed(c, 2, parts.inverseDeviation)];
}

/** Normalization of all axes from the attribute `axis` on; input 1 is the scale. */
function lastAxesForm(c: LowerContext, bias?: Value): LayerNormForm {
  const x = c.input(0);
  const rank = x.shape.length;
  const axes = range(c.axis(c.int("axis", -1), rank), rank);
  return { x, axes, scale: c.input(1), bias, epsilon: c.float("epsilon", 1e-5) };
}

/** Statistics are handed out as float, whatever x is. */
export function stashed(c: LowerContext, output: number, statistic: Value): Value | undefined {
  return c.wantsOutput(output) ? c.b.cast(statistic, "f32") : undefined;
}

/** A parameter beside x: a vector along the channels, or (spatial = 0) all dims but the batch. */
function beside(c: LowerContext, parameter: Value): Value {
  return alongAxis(c.b, parameter, 1, c.input(0).shape.length);
}

interface BatchNormForm {
  readonly scale: Value;
  readonly bias: Value;
  readonly mean: Value;
  readonly variance: Value;
}

function batchNormForm(c: LowerContext): BatchNormForm {
  const [scale, bias, average, variance] = range(1, 5).map((i) => beside(c, c.input(i)));
  return { scale: scale!, bias: bias!, mean: average!, variance: variance! };
}

/** x * factor + shift, where factor and shift are constants if the parameters are. */
function batchNormalization(c: LowerContext, form: BatchNormForm): Value {
  const x = c.input(0);
  const dtype = computeType(x.dtype);
  const epsilon = c.float("epsilon", 1e-5);
  const factor = c.b.map(dtype, [form.scale, form.variance], (l, s, v) =>
    l.div(s!, l.sqrt(l.add(v!, l.constF(epsilon)))),
  );
  const shift = c.b.map(dtype, [form.bias, form.mean, factor], (l, bias, m, f) =>
    l.sub(bias!, l.mul(m!, f!)),
  );
  return c.b.map(x.dtype, [x, factor, shift], (l, a, f, s) => l.add(l.mul(a!, f!), s!));
}

/** Statistics of the batch; the running ones move toward them. `momentum` is what stays. */
function lowerTrainingBatchNorm(c: LowerContext): readonly (Value | undefined)[] {
  const x = c.input(0);
  const given = batchNormForm(c);
  const axes = range(0, x.shape.length).filter((axis) => axis !== 1);
  const batch = moments(c.b, x, axes);
  const y = batchNormalization(c, { ...given, mean: batch.mean, variance: batch.variance });
  const momentum = c.float("momentum", 0.9);
  const moved = (input: number, of: Value) => {
    const old = c.input(input);
    return c.b.map(old.dtype, [old, c.b.reshape(of, old.shape)], (l, before, now) =>
      l.add(l.mul(before!, l.constF(momentum)), l.mul(now!, l.constF(1 - momentum))),
    );
  };
  return [y, moved(3, batch.mean), moved(4, batch.variance)].slice(0, c.outputCount);
}

function lowerInstanceNorm(c: LowerContext): Value {
  const x = c.input(0);
  const axes = range(2, x.shape.length);
  const [scale, bias] = [beside(c, c.input(1)), beside(c, c.input(2))];
  return layerNormalization(c.b, { x, axes, scale, bias, epsilon: c.float("epsilon", 1e-5) }).y;
}

/** Scale and bias are one number for each channel since opset 21, for each group before. */
function lowerGroupNorm(c: LowerContext): Value {
  const { b } = c;
  const x = c.input(0);
  const groups = requiredInt(c, "num_groups");
  const perGroup = dimExactDiv(x.shape[1]!, groups);
  if (perGroup === undefined) {
    c.invalid("L0201", `${groups} groups do not divide ${dimText(x.shape[1]!)} channels`);
  }
  const grouped = b.reshape(x, [x.shape[0]!, groups, perGroup, ...x.shape.slice(2)]);
  const rank = grouped.shape.length;
  const parameter = (value: Value) => {
    const each = c.opset < 21 ? value : b.reshape(value, [groups, perGroup]);
    return alongAxis(b, each, 1, rank);
  };
  const { y } = layerNormalization(b, {
    x: grouped,
    axes: range(2, rank),
    scale: parameter(c.input(1)),
    bias: parameter(c.input(2)),
    epsilon: c.float("epsilon", 1e-5),
  });
  return b.reshape(y, x.shape);
}

/** x divided by its 1- or 2-norm along an axis; where that is 0, so is x. */
function lowerLpNorm(c: LowerContext): Value {
  const x = c.input(0);
  const axis = c.axis(c.int("axis", -1), x.shape.length);
  const squares = c.int("p", 2) === 2;
  const dtype = computeType(x.dtype);
  const terms = c.b.map(dtype, [x], (l, a) => (squares ? l.mul(a!, a!) : l.abs(a!)));
  const norm = c.b.map(dtype, [c.b.reduce(terms, "sum", [axis], { keepDims: true })], (l, sum) => {
    const length = squares ? l.sqrt(sum!) : sum!;
    return l.select(l.eq(length, l.constF(0)), l.constF(1), length);
  });
  return c.b.map(x.dtype, [x, norm], (l, a, n) => l.div(a!, n!));
}

function lowerMeanVariance(c: LowerContext): Value {
  const x = c.input(0);
  const axes = c.ints("axes", [0, 2, 3]).map((axis) => c.axis(axis, x.shape.length));
  const { centred, variance } = moments(c.b, x, axes);
  return c.b.map(x.dtype, [centred, variance], (l, d, v) =>
    l.div(d!, l.add(l.sqrt(v!), l.constF(1e-9))),
  );
}

/** x / (bias + alpha / size * sum of squares over the neighbouring channels) ^ beta. */
function lowerLrn(c: LowerContext): Value {
  const x = c.input(0);
  const size = requiredInt(c, "size");
  const dtype = computeType(x.dtype);
  const squares = c.b.map(dtype, [x], (l, a) => l.mul(a!, a!));
  const low = x.shape.map((_, axis) => (axis === 1 ? Math.floor((size - 1) / 2) : 0));
  const high = x.shape.map((_, axis) => (axis === 1 ? Math.ceil((size - 1) / 2) : 0));
  const padded = c.b.pad(squares, low, high, 0);
  const windows = c.b.window(padded, [{ axis: 1, size, stride: 1, dilation: 1 }]);
  const sum = c.b.reduce(windows, "sum", [x.shape.length]);
  const factor = c.float("alpha", 1e-4) / size;
  return c.b.map(x.dtype, [x, sum], (l, a, s) => {
    const base = l.add(l.mul(s!, l.constF(factor)), l.constF(c.float("bias", 1)));
    return l.div(a!, l.pow(base, l.constF(c.float("beta", 0.75))));
  });
}

function lowerBatchNorm(c: LowerContext): readonly (Value | undefined)[] {
  return [batchNormalization(c, batchNormForm(c))];
}

/** x [n, channels, ..] or, as some write it, [channels]; scale, bias, mean and variance by channel. */
const batchRanks = ["1+", 1, 1, 1, 1] as const;

export const normalizationOperators: readonly OperatorRecord[] = [
  operatorOfMany("BatchNormalization", { since: 1, until: 6, ranks: batchRanks }, (c) =>
    c.int("is_test", 0) === 0 && c.outputCount > 1 ? lowerTrainingBatchNorm(c) : lowerBatchNorm(c),
  ),
  operatorOfMany("BatchNormalization", { since: 7, until: 13, ranks: batchRanks }, lowerBatchNorm),
  operatorOfMany("BatchNormalization", { since: 14, ranks: batchRanks }, (c) =>
    c.int("training_mode", 0) === 0 ? lowerBatchNorm(c) : lowerTrainingBatchNorm(c),
  ),
  operator("InstanceNormalization", { since: 1, ranks: ["2+", 1, 1] }, lowerInstanceNorm),
  operatorOfMany("LayerNormalization", 17, lowerLayerNorm),
  operator("RMSNormalization", 23, (c) => rmsNormalization(c.b, lastAxesForm(c)).y),
  operator("GroupNormalization", { since: 18, ranks: ["2+", 1, 1] }, lowerGroupNorm),
  operator("LpNormalization", 1, lowerLpNorm),
  operator("MeanVarianceNormalization", 9, lowerMeanVariance),
  operator("LRN", { since: 1, ranks: ["2+"] }, lowerLrn),
];
