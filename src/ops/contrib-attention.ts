/**
 * Attention of com.microsoft: Attention (with its projections), MultiHeadAttention, GroupQueryAttention. The
 * computation is in `attention-core.ts`; here is where queries, keys, masks and caches come from.
 */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import { type Dim, dimAdd, dimEquals, dimMul, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import {
  attend,
  behindPast,
  byBatch,
  causalStep,
  type HeadCounts,
  headFeatures,
  headsFirst,
  joinHeads,
  joinScores,
  type Labelled,
  maskedScore,
  maskStep,
  positionScalar,
  type ScoreStep,
  splitKeys,
  splitQuery,
} from "./attention-core.js";
import { operatorOfMany, requiredInt } from "./helpers.js";
import { integerProduct, matrixProduct } from "./product.js";
import { Decline, type LowerContext, type OperatorRecord } from "./record.js";

const contrib = { domain: "com.microsoft", since: 1 };

/** Packed tensors [n, positions, heads * features], or keys and values with their heads first. */
interface Projected {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
}

interface Options {
  readonly past?: { readonly key: Value; readonly value: Value } | undefined;
  readonly mask: Value | undefined;
  readonly bias: Value | undefined;
}

interface Attended {
  readonly result: Value;
  readonly key: Labelled;
  readonly value: Labelled;
  readonly scores: Value;
}

/** Attention with as many heads of keys as of queries. */
function attendAll(c: LowerContext, { query, key, value }: Projected, options: Options): Attended {
  const { b } = c;
  const count = requiredInt(c, "num_heads");
  const heads = { queries: count, keys: count };
  const features = headFeatures(c, query, count);
  const keys = behindPast(b, options.past?.key, splitKeys(b, key, count, features, "d"));
  const valueFeatures = headFeatures(c, value, count);
  const values = behindPast(b, options.past?.value, splitKeys(b, value, count, valueFeatures, "e"));
  const attention = attend(b, {
    dtype: query.dtype,
    query: splitQuery(b, query, heads, features),
    key: keys,
    value: values,
    scale: scaleOf(c, features),
    softcap: 0,
    masks: masksOf(c, heads, query.shape[1]!, keys, options),
  });
  return {
    result: joinHeads(b, attention.result, true),
    key: keys,
    value: values,
    scores: joinScores(b, attention.masked, query.dtype),
  };
}

function scaleOf(c: LowerContext, features: Dim): number {
  const given = c.float("scale", 0);
  return given === 0 ? 1 / Math.sqrt(staticDim(features, "scores are scaled by it")) : given;
}

function masksOf(
  c: LowerContext,
  heads: HeadCounts,
  queries: Dim,
  keys: Labelled,
  { past, mask, bias }: Options,
): readonly ScoreStep[] {
  const { b } = c;
  const keyCount = keys.value.shape[keys.labels.indexOf("t")]!;
  const steps: ScoreStep[] = [];
  if (bias !== undefined) steps.push(maskStep(b, bias, heads));
  const before = past?.key.shape[2] ?? 0;
  if (mask !== undefined && !isPlaceholder(mask, keyCount)) {
    steps.push(paddingStep(c, mask, { queries, keys: keyCount, before }));
  }
  if (c.int("unidirectional", 0) !== 0) {
    if (!dimEquals(keyCount, dimAdd(before, queries))) {
      throw new Decline("which keys of another sequence a query may see is not defined");
    }
    steps.push(causalStep(b, { queries, keys: keyCount, offset: positionScalar(b, before) }));
  }
  return steps;
}

/** A mask of one column where there are more keys: exporters write it where none is meant. */
function isPlaceholder({ shape }: Value, keys: Dim): boolean {
  if (shape.length !== 2 || shape[1] !== 1) return false;
  return staticDim(keys, "a mask of one column is read only if there is one key") !== 1;
}

interface Extents {
  readonly queries: Dim;
  readonly keys: Dim;
  /** Keys before those of the queries. */
  readonly before: Dim;
}

/** A padding mask of integers: 0 adds mask_filter_value. [n, t], [n, s, t], or [n, 1, positions, positions]. */
function paddingStep(c: LowerContext, mask: Value, extents: Extents): ScoreStep {
  const { b } = c;
  const rank = mask.shape.length;
  if (rank === 1) return rangeStep(c, mask, extents.keys);
  const cut = (x: Value) =>
    b.sliceAxis(b.sliceAxis(x, 2, extents.before, extents.queries), 3, 0, extents.keys);
  const beside = b.unsqueeze(
    rank === 4 ? cut(mask) : mask,
    rank === 2 ? [1, 2, 3] : rank === 3 ? [1, 2] : [1],
  );
  return {
    inputs: [beside],
    apply: (l, s, m) => l.select(l.eqI(m!, l.constI(0)), l.add(s, l.constF(filterOf(c))), s),
  };
}

/** Where the keys of each batch entry end [n], or where they end and then where they start [2n]. */
function rangeStep(c: LowerContext, mask: Value, keys: Dim): ScoreStep {
  const { b } = c;
  const batch = c.input(0).shape[0]!;
  const position = b.iota("i32", [keys], 0);
  const add = (l: LaneBuilder, s: Lane) => l.add(s, l.constF(filterOf(c)));
  if (dimEquals(mask.shape[0]!, batch)) {
    return {
      inputs: [position, byBatch(b, mask)],
      apply: (l, s, key, end) => l.select(l.ltI(key!, end!), s, add(l, s)),
    };
  }
  if (!dimEquals(mask.shape[0]!, dimMul(batch, 2))) {
    throw new Decline("a mask of cumulated lengths is not lowered");
  }
  const part = (start: Dim) => byBatch(b, b.sliceAxis(mask, 0, start, batch));
  return {
    inputs: [position, part(0), part(batch)],
    apply: (l, s, key, end, start) =>
      l.select(l.and(l.ltI(key!, end!), l.leI(start!, key!)), s, add(l, s)),
  };
}

/** Above the score that excludes a key: a row of filtered scores alone is a softmax as any other. */
function filterOf(c: LowerContext): number {
  return Math.max(c.float("mask_filter_value", -10000), maskedScore / 2);
}

/** Queries, keys and values of one projection: [n, s, q + k + v]. */
function projected(c: LowerContext, all: Value): Projected {
  const total = staticDim(all.shape[2]!, "queries, keys and values are parts of it");
  const sizes = c.ints("qkv_hidden_sizes") ?? [total / 3, total / 3, total / 3];
  const part = (i: number) => {
    const start = sizes.slice(0, i).reduce((sum, size) => sum + size, 0);
    return c.b.sliceAxis(all, 2, start, sizes[i]!);
  };
  return { query: part(0), key: part(1), value: part(2) };
}

/** `past` is [2, n, heads, t, features], as is the second output. */
function attendProjected(
  c: LowerContext,
  all: Value,
  options: { readonly past: Value | undefined } & Pick<Options, "mask" | "bias">,
): readonly (Value | undefined)[] {
  const { b } = c;
  if (c.int("do_rotary", 0) !== 0 || c.int("past_present_share_buffer", 0) !== 0) {
    throw new Decline("do_rotary and past_present_share_buffer are not lowered");
  }
  const given = options.past;
  const half = (i: number) => b.squeeze(b.sliceAxis(given!, 0, i, 1), [0]);
  const past = given === undefined ? undefined : { key: half(0), value: half(1) };
  const attended = attendAll(c, projected(c, all), { ...options, past });
  const present = () =>
    b.concat(
      [attended.key, attended.value].map((x) => b.unsqueeze(headsFirst(b, x), [0])),
      0,
    );
  return [attended.result, c.wantsOutput(1) ? present() : undefined].slice(0, c.outputCount);
}

/** Inputs: x, weights [in, q + k + v], bias, mask, past, bias of scores. */
function lowerAttention(c: LowerContext): readonly (Value | undefined)[] {
  const { b } = c;
  const { dtype } = c.input(0);
  const product = matrixProduct(b, c.input(0), c.input(1));
  const bias = c.inputs[2];
  const all =
    bias === undefined
      ? b.cast(product, dtype)
      : b.map(dtype, [product, bias], (l, y, z) => l.add(y!, z!));
  return attendProjected(c, all, { past: c.inputs[4], mask: c.inputs[3], bias: c.inputs[5] });
}

/** Inputs: codes of x and weights, bias, scale of x, scale of weights, mask, zero points, past. */
function lowerQAttention(c: LowerContext): readonly (Value | undefined)[] {
  const acc = integerProduct(
    c.b,
    { value: c.input(0), zero: c.inputs[6] },
    { value: c.input(1), zero: c.inputs[7] },
  );
  const inputs = [acc, c.input(3), c.input(4), c.input(2)];
  const all = c.b.map(c.input(3).dtype, inputs, (l, y, x, w, z) =>
    l.add(l.mul(l.toF(y!), l.mul(x!, w!)), z!),
  );
  return attendProjected(c, all, { past: c.inputs[8], mask: c.inputs[5], bias: undefined });
}

/** Inputs: query, key, value, bias, padding mask, bias of scores, past keys, past values. */
function lowerMultiHead(c: LowerContext): readonly (Value | undefined)[] {
  const { b } = c;
  const [pastKey, pastValue] = [c.inputs[6], c.inputs[7]];
  if (c.inputs[8] !== undefined || c.inputs[9] !== undefined) {
    throw new Decline("a cache that is shared or searched is not lowered");
  }
  const past =
    pastKey === undefined || pastValue === undefined
      ? undefined
      : { key: pastKey, value: pastValue };
  const attended = attendAll(c, withBias(c, unpacked(c)), {
    past,
    mask: c.inputs[4],
    bias: c.inputs[5],
  });
  return [
    attended.result,
    c.wantsOutput(1) ? headsFirst(b, attended.key) : undefined,
    c.wantsOutput(2) ? headsFirst(b, attended.value) : undefined,
    c.wantsOutput(3) ? attended.scores : undefined,
  ].slice(0, c.outputCount);
}

/** Queries, keys and values that come apart, or packed in one input [n, s, heads, 2 or 3, features]. */
function unpacked(c: LowerContext): Projected {
  const { b } = c;
  const [query, key, value] = [c.input(0), c.inputs[1], c.inputs[2]];
  const part = (x: Value, i: number) => {
    const [n, s, heads, , features] = x.shape as readonly [Dim, Dim, Dim, Dim, Dim];
    return b.reshape(b.sliceAxis(x, 3, i, 1), [n, s, dimMul(heads, features)]);
  };
  if (key === undefined)
    return { query: part(query, 0), key: part(query, 1), value: part(query, 2) };
  if (value === undefined) return { query, key: part(key, 0), value: part(key, 1) };
  return { query, key, value };
}

/** One bias vector for the features of queries, keys and values, one after the other. */
function withBias(c: LowerContext, { query, key, value }: Projected): Projected {
  const bias = c.inputs[3];
  if (bias === undefined) return { query, key, value };
  let start: Dim = 0;
  const shifted = (x: Value) => {
    const heads = x.shape.length === 4 ? x.shape[1]! : 1;
    const size = dimMul(heads, x.shape.at(-1)!);
    const part = c.b.sliceAxis(bias, 0, start, size);
    start = dimAdd(start, size);
    const beside = x.shape.length === 4 ? c.b.reshape(part, [heads, 1, x.shape[3]!]) : part;
    return c.b.map(x.dtype, [x, beside], (l, a, z) => l.add(a!, z!));
  };
  return { query: shifted(query), key: shifted(key), value: shifted(value) };
}

export const contribAttentionOperators: readonly OperatorRecord[] = [
  operatorOfMany("Attention", { ...contrib, ranks: [3, 2, 1] }, lowerAttention),
  operatorOfMany("QAttention", { ...contrib, ranks: [3, 2, 1] }, lowerQAttention),
  operatorOfMany("MultiHeadAttention", { ...contrib, ranks: ["3+"] }, lowerMultiHead),
];
