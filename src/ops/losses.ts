/** Losses over classes: NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss. */
import type { Value } from "../ir/graph.js";
import { computeType, operator, operatorOfMany, range } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export const lossOperators: readonly OperatorRecord[] = [
  operator("NegativeLogLikelihoodLoss", { since: 12, ranks: ["2+", "1+", 1] }, (c) => {
    const x = c.input(0);
    return c.b.cast(likelihoodLoss(c, c.b.cast(x, computeType(x.dtype))), x.dtype);
  }),
  operatorOfMany("SoftmaxCrossEntropyLoss", { since: 12, ranks: ["2+", "1+", 1] }, (c) => {
    const { dtype } = c.input(0);
    const logs = logSoftmax(c, c.input(0));
    return [
      c.b.cast(likelihoodLoss(c, logs), dtype),
      c.wantsOutput(1) ? c.b.cast(logs, dtype) : undefined,
    ];
  }),
];

/** x - max - log(sum(exp(x - max))) over the classes, axis 1. */
function logSoftmax(c: LowerContext, given: Value): Value {
  const dtype = computeType(given.dtype);
  const x = c.b.cast(given, dtype);
  const largest = c.b.reduce(x, "max", [1], { keepDims: true });
  const shifted = c.b.map(dtype, [x, largest], (l, v, m) => l.sub(v!, m!));
  const powers = c.b.map(dtype, [shifted], (l, v) => l.exp(v!));
  const sum = c.b.reduce(powers, "sum", [1], { keepDims: true });
  return c.b.map(dtype, [shifted, sum], (l, v, s) => l.sub(v!, l.log(s!)));
}

/**
 * -weight[target] * logs[target], then "none", "sum" or "mean" (a weighted mean). `logs` is [n, classes, ..],
 * input 1 the targets [n, ..], input 2 the weights.
 */
function likelihoodLoss(c: LowerContext, logs: Value): Value {
  const target = c.b.unsqueeze(c.b.cast(c.input(1), "i32"), [1]);
  const ignored = c.int("ignore_index");
  const { dtype } = logs;
  const rank = logs.shape.length;
  const classes = logs.shape.map((dim, axis) => (axis === 1 ? dim : 1));
  const position = c.b.iota("i32", classes, 1);
  /** The element of the target's class along axis 1, 0 where the target is ignored. */
  const pick = (x: Value): Value => {
    const chosen = c.b.map(dtype, [x, position, target], (l, v, i, t) => {
      const isChosen = l.eqI(i!, t!);
      const counts =
        ignored === undefined
          ? isChosen
          : l.and(isChosen, l.xor(l.eqI(t!, l.constI(ignored)), l.constI(-1)));
      return l.select(counts, v!, l.constF(0));
    });
    return c.b.reduce(chosen, "sum", [1]);
  };
  const weights =
    c.inputs[2] === undefined
      ? c.b.broadcast(c.b.full(dtype, 1), classes)
      : c.b.reshape(c.b.cast(c.input(2), dtype), classes);
  const weight = pick(weights);
  const loss = c.b.map(dtype, [pick(logs), weight], (l, v, w) => l.neg(l.mul(v!, w!)));
  const reduction = c.string("reduction", "mean");
  if (reduction === "none") return loss;
  const all = range(0, rank - 1);
  const total = c.b.reduce(loss, "sum", all);
  if (reduction === "sum") return total;
  if (reduction !== "mean") return c.invalid("L0108", `reduction "${reduction}" does not exist`);
  return c.b.map(dtype, [total, c.b.reduce(weight, "sum", all)], (l, t, w) => l.div(t!, w!));
}
