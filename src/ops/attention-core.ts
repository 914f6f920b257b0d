/**
 * Scaled dot-product attention in core operations, for every operator that contains it: scores, masks, a
 * softmax by rows and the weighted sum. Heads lie where the caller has them (labels say where), so neither
 * queries nor results are transposed, and heads of queries share a head of keys without repeating it.
 *
 * A row takes its exact maximum first, then e^(score - max), and divides once, after the sum over the values.
 * A row that is masked wholly gives zeros. The powers have the type of the tensors, as an ONNX Softmax has.
 */
import type { GraphBuilder, Lane, LaneBuilder } from "../ir/builder.js";
import { type Dim, dimMul, dimText } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { type DType, isFloat } from "../numerics/dtype.js";
import { asFloat, computeType } from "./helpers.js";
import { exactQuotient } from "./movement.js";
import type { LowerContext } from "./record.js";

/**
 * A tensor and one letter for each of its axes: n batch, h heads of keys, g heads of queries that share one,
 * s queries, t keys, d and e features of keys and of values.
 */
export interface Labelled {
  readonly value: Value;
  readonly labels: string;
}

/** A change of the scores, whose axes are n, h, g, s, t. */
export interface ScoreStep {
  readonly inputs: readonly Value[];
  readonly apply: (l: LaneBuilder, score: Lane, ...inputs: Lane[]) => Lane;
}

export interface AttentionForm {
  /** Of the result. */
  readonly dtype: DType;
  /** n, h, g, s, d in any order; as the result, which has e for d. */
  readonly query: Labelled;
  /** n, h, t, d in any order. */
  readonly key: Labelled;
  /** n, h, t, e in any order. */
  readonly value: Labelled;
  readonly scale: number;
  /** Scores are cut smoothly at this; 0: they are not. */
  readonly softcap: number;
  readonly masks: readonly ScoreStep[];
  /** A score of each head [h, g, 1, 1] that takes part in the sum of every row and has no value. */
  readonly sink?: Value | undefined;
}

export interface Attention {
  readonly result: Value;
  /** Scores before the softmax: scaled only, cut too, masked too. */
  readonly scaled: Value;
  readonly capped: Value;
  readonly masked: Value;
  /** Computed where it is asked for: the result does not need it. */
  readonly probabilities: () => Value;
}

const scoreLabels = "nhgst";

/** Masks say "out" by -inf or by the lowest number of fp32, which swallows any score that it is added to. */
export const maskedScore = -3.4028234663852886e38;

export function attend(b: GraphBuilder, form: AttentionForm): Attention {
  const { query, key, value, dtype } = form;
  const wide = computeType(dtype);
  const products = b.contract(query.value, key.value, {
    a: query.labels,
    b: key.labels,
    out: scoreLabels,
    order: "d",
  });
  const scaled = b.map(wide, [products], (l, s) => scale(l, s!, form.scale));
  const capped = b.map(wide, [scaled], (l, s) => softcap(l, s!, form.softcap));
  const masked = applySteps(b, capped, form.masks);
  const { powers, sum } = rowPowers(b, masked, form);
  const weighted = b.contract(powers, value.value, {
    a: scoreLabels,
    b: value.labels,
    out: query.labels.replace("d", "e"),
    order: "t",
  });
  const sums = arrange(b, sum, query.labels);
  return {
    result: b.map(dtype, [weighted, sums], (l, y, z) => divideUnlessEmpty(l, y!, z!)),
    scaled,
    capped,
    masked,
    probabilities: () => b.map(dtype, [powers, sum], (l, p, z) => divideUnlessEmpty(l, p!, z!)),
  };
}

export function applySteps(b: GraphBuilder, scores: Value, steps: readonly ScoreStep[]): Value {
  return steps.reduce(
    (x, { inputs, apply }) =>
      b.map(scores.dtype, [x, ...inputs], (l, s, ...given) => apply(l, s!, ...given)),
    scores,
  );
}

/** e^(score - largest) and its sum by rows. */
function rowPowers(
  b: GraphBuilder,
  scores: Value,
  { dtype, masks, sink }: AttentionForm,
): { readonly powers: Value; readonly sum: Value } {
  const wide = scores.dtype;
  const top = b.reduce(scores, "max", [4], { keepDims: true });
  const largest = sink === undefined ? top : b.map(wide, [top, sink], (l, m, s) => l.max(m!, s!));
  // A row that is masked wholly has no maximum to subtract: without one, all its powers are 0.
  const offset =
    masks.length === 0
      ? largest
      : b.map(wide, [largest], (l, m) =>
          l.select(l.le(m!, l.constF(maskedScore)), l.constF(0), m!),
        );
  const powers = b.map(dtype, [scores, offset], (l, s, m) => l.exp(l.sub(s!, m!)));
  const sum = b.reduce(b.cast(powers, wide as "f32"), "sum", [4], { keepDims: true });
  if (sink === undefined) return { powers, sum };
  const all = b.map(wide, [sum, sink, offset], (l, z, s, m) => l.add(z!, l.exp(l.sub(s!, m!))));
  return { powers, sum: all };
}

function scale(l: LaneBuilder, score: Lane, factor: number): Lane {
  return factor === 1 ? score : l.mul(score, l.constF(factor));
}

function softcap(l: LaneBuilder, score: Lane, limit: number): Lane {
  if (limit === 0) return score;
  return l.mul(l.tanh(l.div(score, l.constF(limit))), l.constF(limit));
}

function divideUnlessEmpty(l: LaneBuilder, x: Lane, sum: Lane): Lane {
  return l.select(l.eq(sum, l.constF(0)), l.constF(0), l.div(x, sum));
}

/** Sums [n, h, g, s, 1] with the axes of the result. */
function arrange(b: GraphBuilder, sum: Value, queryLabels: string): Value {
  const order = [...queryLabels].map((label) => (label === "d" ? 4 : scoreLabels.indexOf(label)));
  return order.every((axis, i) => axis === i) ? sum : b.transpose(sum, order);
}

export interface HeadCounts {
  readonly queries: number;
  readonly keys: number;
}

/** Queries [n, heads, s, d] or (packed) [n, s, heads * d] with their heads apart. */
export function splitQuery(b: GraphBuilder, x: Value, heads: HeadCounts, features: Dim): Labelled {
  const shared = [heads.keys, heads.queries / heads.keys];
  if (x.shape.length === 4) {
    const [n, , s] = x.shape;
    return { value: b.reshape(x, [n!, ...shared, s!, features]), labels: "nhgsd" };
  }
  const [n, s] = x.shape;
  return { value: b.reshape(x, [n!, s!, ...shared, features]), labels: "nshgd" };
}

/** Keys or values, packed or not, with their heads apart. `feature` is d or e. */
export function splitKeys(
  b: GraphBuilder,
  x: Value,
  heads: number,
  features: Dim,
  feature: "d" | "e",
): Labelled {
  if (x.shape.length === 4) return { value: x, labels: `nht${feature}` };
  const [n, t] = x.shape;
  return { value: b.reshape(x, [n!, t!, heads, features]), labels: `nth${feature}` };
}

/** Features of one head of a tensor [n, heads, t, features] or [n, t, heads * features]. */
export function headFeatures(c: LowerContext, x: Value, heads: number): Dim {
  const last = x.shape.at(-1)!;
  if (x.shape.length === 4) return last;
  const sentence = () => `${dimText(last)} features cannot be split over ${heads} heads`;
  return exactQuotient(c, last, heads, sentence);
}

/** Keys or values behind those of the past [n, heads, t, features]. */
export function behindPast(b: GraphBuilder, past: Value | undefined, now: Labelled): Labelled {
  if (past === undefined) return now;
  const value = b.concat([past, headsFirst(b, now)], 2);
  return { value, labels: `nht${now.labels.at(-1)!}` };
}

/** The tensor with its axes in the order n, h, t, feature. */
export function headsFirst(b: GraphBuilder, { value, labels }: Labelled): Value {
  return labels.startsWith("nh") ? value : b.transpose(value, [0, 2, 1, 3]);
}

/** The result of packed queries as [n, s, heads * e], of others as [n, heads, s, e]. */
export function joinHeads(b: GraphBuilder, result: Value, packed: boolean): Value {
  const [n, x, y, z, features] = result.shape as readonly [Dim, Dim, Dim, Dim, Dim];
  if (packed) return b.reshape(result, [n, x, dimMul(dimMul(y, z), features)]);
  return b.reshape(result, [n, dimMul(x, y), z, features]);
}

/** Scores that a caller sees: [n, heads, s, t]. */
export function joinScores(b: GraphBuilder, scores: Value, dtype: DType): Value {
  const [n, h, g, s, t] = scores.shape as readonly [Dim, Dim, Dim, Dim, Dim];
  return b.cast(b.reshape(scores, [n, dimMul(h, g), s, t]), dtype);
}

/** A mask or bias [n or 1, heads or 1, s, t] (leading axes may lack) beside the scores. */
function besideScores(b: GraphBuilder, mask: Value, heads: HeadCounts): Value {
  const rank = mask.shape.length;
  if (rank < 3) return mask;
  const [h, s, t] = mask.shape.slice(-3) as [Dim, Dim, Dim];
  const split = h === 1 ? [1, 1] : [heads.keys, heads.queries / heads.keys];
  return b.reshape(mask, [...mask.shape.slice(0, rank - 3), ...split, s, t]);
}

/** A number for each batch entry beside the scores. */
export function byBatch(b: GraphBuilder, vector: Value): Value {
  return b.unsqueeze(b.cast(vector, "i32"), [1, 2, 3, 4]);
}

/** False in a bool mask takes a score out, any other mask is added. */
export function maskStep(b: GraphBuilder, mask: Value, heads: HeadCounts): ScoreStep {
  const inputs = [besideScores(b, mask, heads)];
  if (mask.dtype !== "bool") return { inputs, apply: (l, s, m) => l.add(s, asFloat(l, m!)) };
  return { inputs, apply: (l, s, m) => l.select(m!, s, l.constF(-Infinity)) };
}

/** Where a query and a key stand: query i is position i + offset among the keys. */
export interface Positions {
  readonly queries: Dim;
  readonly keys: Dim;
  /** Of i32, without dims or beside the scores. */
  readonly offset: Value;
}

/**
 * No query sees a key after its own position, nor one that is `window` or more positions before it: the score
 * becomes `hidden`.
 */
export function causalStep(
  b: GraphBuilder,
  { queries, keys, offset }: Positions,
  window = -1,
  hidden = -Infinity,
): ScoreStep {
  const i = b.iota("i32", [queries, 1], 0);
  const j = b.iota("i32", [keys], 0);
  return {
    inputs: [i, j, offset],
    apply: (l, score, query, key, before) => {
      const position = l.addI(query!, before!);
      const seen = l.leI(key!, position);
      const near = window < 0 ? seen : l.and(seen, l.ltI(l.subI(position, key!), l.constI(window)));
      return l.select(near, score, l.constF(hidden));
    },
  };
}

/** Keys from `count` on are no keys: a number for each batch entry, beside the scores. */
export function keyCountStep(b: GraphBuilder, keys: Dim, count: Value): ScoreStep {
  return {
    inputs: [b.iota("i32", [keys], 0), count],
    apply: (l, score, key, n) => l.select(l.ltI(key!, n!), score, l.constF(-Infinity)),
  };
}

/** A mask or bias over fewer keys than there are: the others are out. Integers have no -inf to say so. */
export function padMask(b: GraphBuilder, given: Value, keys: Dim): Value {
  const mask = isFloat(given.dtype) || given.dtype === "bool" ? given : b.cast(given, "f32");
  const last = mask.shape.length - 1;
  const extent = mask.shape[last]!;
  if (extent === 1 || typeof extent !== "number" || typeof keys !== "number" || extent >= keys) {
    return mask;
  }
  const none = mask.shape.map(() => 0);
  const high = none.map((_, axis) => (axis === last ? keys - extent : 0));
  return b.pad(mask, none, high, mask.dtype === "bool" ? 0 : -Infinity);
}

/** A number of positions as an i32 without dims. */
export function positionScalar(b: GraphBuilder, dim: Dim): Value {
  return b.cast(b.dims([dim], { scalar: true }), "i32");
}
