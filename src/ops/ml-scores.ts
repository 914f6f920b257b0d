/** What the classifiers and regressors of ai.onnx.ml do last: transforms of scores, names of classes. */
import type { GraphBuilder, Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import type { AttributeValue } from "../ir/onnx-node.js";
import { range } from "./helpers.js";
import { int64Tensor, stringTensor } from "./host.js";
import type { LowerContext, NodeContext } from "./record.js";
import { softmax } from "./softmax.js";

/** Scores [n, classes] after the transform that the attribute names. */
export function transformScores(c: LowerContext, scores: Value, name = postTransform(c)): Value {
  const { b } = c;
  switch (name) {
    case "NONE":
      return scores;
    case "LOGISTIC":
      return b.map(scores.dtype, [scores], (l, s) => l.sigmoid(s!));
    case "SOFTMAX":
      return softmax(b, scores, [1]);
    case "SOFTMAX_ZERO":
      return softmaxOfOthers(b, scores);
    case "PROBIT":
      return b.map(scores.dtype, [scores], (l, s) => probit(l, s!));
    default:
      return c.invalid("L0108", `post_transform "${name}" does not exist`);
  }
}

export function postTransform(c: NodeContext): string {
  return c.string("post_transform", "NONE");
}

/** A softmax in which zeros take no part. */
function softmaxOfOthers(b: GraphBuilder, scores: Value): Value {
  const top = b.reduce(scores, "max", [1], { keepDims: true });
  const powers = b.map(scores.dtype, [scores, top], (l, s, m) =>
    l.select(l.lt(l.constF(1e-7), l.abs(s!)), l.exp(l.sub(s!, m!)), l.constF(0)),
  );
  const sum = b.reduce(powers, "sum", [1], { keepDims: true });
  return b.map(scores.dtype, [powers, sum], (l, p, z) =>
    l.select(l.eq(z!, l.constF(0)), l.constF(0), l.div(p!, z!)),
  );
}

/** The quantile of a normal distribution, by Winitzki's formula for the inverse of erf. */
function probit(l: LaneBuilder, score: Lane): Lane {
  const x = l.sub(l.mul(l.constF(2), score), l.constF(1));
  const log = l.log(l.mul(l.sub(l.constF(1), x), l.add(l.constF(1), x)));
  const a = l.add(l.constF(2 / (Math.PI * 0.147)), l.mul(l.constF(0.5), log));
  const inner = l.sub(l.mul(a, a), l.mul(log, l.constF(1 / 0.147)));
  const size = l.mul(l.constF(Math.SQRT2), l.sqrt(l.sub(l.sqrt(inner), a)));
  return l.select(l.lt(x, l.constF(0)), l.neg(size), size);
}

export interface ClassLabels {
  readonly ints: readonly number[];
  /** Undefined where classes are numbers. */
  readonly strings: readonly string[] | undefined;
  readonly count: number;
}

export function classLabels(c: NodeContext, ints: string): ClassLabels {
  const strings = c.strings("classlabels_strings") ?? [];
  if (strings.length > 0) return { ints: [], strings, count: strings.length };
  const given = c.ints(ints) ?? [];
  return { ints: given, strings: undefined, count: given.length };
}

/** The classes at positions [n] of i32. Strings are looked up on the host. */
export function namesOf(c: LowerContext, position: Value, labels: ClassLabels): Value {
  const { b } = c;
  const { ints, strings } = labels;
  if (strings === undefined) {
    const known = ints.length === 0 ? range(0, 2) : ints;
    return b.gather(b.constant(int64Tensor([known.length], known)), position, 0);
  }
  if (position.data !== undefined) {
    const names = Array.from(position.data.data as ArrayLike<number>, (i) => strings[i]!);
    return b.constant(stringTensor(position.data.shape, names));
  }
  return lookedUp(c, b.cast(position, "i64"), strings);
}

function lookedUp(c: LowerContext, position: Value, strings: readonly string[]): Value {
  const name = `${c.node.name}/labels`;
  const attributes = new Map<string, AttributeValue>([
    ["keys_int64s", { kind: "ints", value: strings.map((_, i) => BigInt(i)) }],
    ["values_strings", { kind: "strings", value: strings }],
  ]);
  const node = {
    name,
    operator: "LabelEncoder",
    domain: "ai.onnx.ml",
    opset: 2,
    attributes,
    inputNames: [`${name}/positions`],
    outputNames: [name],
  };
  const outputs = [{ name, dtype: "string" as const, shape: position.shape }];
  return c.b.host(node, "names of classes are strings", [position], outputs)[0]!;
}

/** Both scores of two classes of which one score is known. */
export function twoScores(c: LowerContext, score: Value, other: (l: LaneBuilder, s: Lane) => Lane) {
  return c.b.concat([c.b.map("f32", [score], (l, s) => other(l, s!)), score], 1);
}
