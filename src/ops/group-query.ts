/**
 * GroupQueryAttention of com.microsoft: attention over a cache of keys and values that the node itself extends.
 * The cache [n, heads, length, features] grows by the new positions, or has room for them (shared buffers).
 */
import { type Dim, dimAdd, dimEquals, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import {
  applySteps,
  attend,
  byBatch,
  causalStep,
  type HeadCounts,
  joinHeads,
  joinScores,
  keyCountStep,
  maskStep,
  padMask,
  positionScalar,
  type ScoreStep,
} from "./attention-core.js";
import { operatorOfMany, requiredInt } from "./helpers.js";
import { exactQuotient } from "./movement.js";
import { rmsNormalization } from "./normalization.js";
import { Decline, type LowerContext, type OperatorRecord } from "./record.js";
import { rotate, rotationOf } from "./rotary.js";

interface Parts {
  /** [n, s, heads, features]. */
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
}

/** Where in the cache the new positions stand. */
interface Cache {
  /** Positions before the new ones, [n] of i32. */
  readonly before: Value;
  /** Length of the cache afterwards. */
  readonly length: Dim;
  readonly key: Value;
  readonly value: Value;
}

/**
 * Inputs: query (or all packed), key, value, past keys, past values, last position of each batch entry, total
 * length, cosines, sines, positions, bias of scores, score of the sink of each head.
 */
function lowerGroupQuery(c: LowerContext): readonly (Value | undefined)[] {
  const { b } = c;
  declineUnknownForms(c);
  const heads = { queries: requiredInt(c, "num_heads"), keys: requiredInt(c, "kv_num_heads") };
  const parts = splitHeads(c, heads);
  const length = parts.query.shape[1]!;
  const before = positionsBefore(c, length);
  const turned = rotated(c, normalized(c, parts), before);
  const cache = extend(c, turned, before);
  const [n, s, , features] = turned.query.shape as readonly [Dim, Dim, Dim, Dim];
  const grouped = [n, s, heads.keys, heads.queries / heads.keys, features];
  const attention = attend(b, {
    dtype: turned.query.dtype,
    query: { value: b.reshape(turned.query, grouped), labels: "nshgd" },
    key: { value: cache.key, labels: "nhtd" },
    value: { value: cache.value, labels: "nhte" },
    scale: c.float("scale", 0) || 1 / Math.sqrt(staticDim(features, "scores are scaled by it")),
    softcap: c.float("softcap", 0),
    masks: masksOf(c, heads, length, cache),
    sink: sinkOf(c, heads),
  });
  const scores = () => {
    const all =
      c.int("qk_output", 0) === 2
        ? attention.probabilities()
        : scoresSeen(c, heads, attention.capped, cache);
    const joined = joinScores(b, all, turned.query.dtype);
    return b.sliceAxis(joined, 3, 0, c.dims(6)?.[0] ?? cache.length);
  };
  return [
    joinHeads(b, attention.result, true),
    cache.key,
    cache.value,
    c.wantsOutput(3) ? scores() : undefined,
  ].slice(0, c.outputCount);
}

/** Scores as the caller sees them before the softmax: 0 where a query does not look. */
function scoresSeen(c: LowerContext, heads: HeadCounts, scores: Value, cache: Cache): Value {
  const biased = applySteps(c.b, scores, biasSteps(c, heads, cache));
  if (c.int("causal", 1) === 0) return biased;
  const positions = {
    queries: scores.shape[3]!,
    keys: cache.length,
    offset: byBatch(c.b, cache.before),
  };
  return applySteps(c.b, biased, [causalStep(c.b, positions, c.int("local_window_size", -1), 0)]);
}

function declineUnknownForms(c: LowerContext): void {
  const quantized = ["k_quant_type", "v_quant_type"].some(
    (name) => c.string(name, "NONE") !== "NONE",
  );
  if (quantized) throw new Decline("a quantized cache is not lowered");
  if (c.int("sliding_window_cache", 0) !== 0) throw new Decline("a windowed cache is not lowered");
}

function splitHeads(c: LowerContext, heads: HeadCounts): Parts {
  const { b } = c;
  const apart = (x: Value, count: number): Value => {
    const [n, s, last] = x.shape as readonly [Dim, Dim, Dim];
    const sentence = () => `${count} heads do not divide the features`;
    return b.reshape(x, [n, s, count, exactQuotient(c, last, count, sentence)]);
  };
  if (c.inputs[1] !== undefined) {
    return {
      query: apart(c.input(0), heads.queries),
      key: apart(c.input(1), heads.keys),
      value: apart(c.input(2), heads.keys),
    };
  }
  const all = apart(c.input(0), heads.queries + 2 * heads.keys);
  return {
    query: b.sliceAxis(all, 2, 0, heads.queries),
    key: b.sliceAxis(all, 2, heads.queries, heads.keys),
    value: b.sliceAxis(all, 2, heads.queries + heads.keys, heads.keys),
  };
}

/** The first prompt may be padded on the right: its positions count from 0 whatever its length is. */
function positionsBefore(c: LowerContext, length: Dim): Value {
  const last = c.b.reshape(c.input(5), [c.input(0).shape[0]!]);
  return c.b.map("i32", [last, positionScalar(c.b, length)], (l, position, count) =>
    l.maxI(l.subI(l.addI(position!, l.constI(1)), count!), l.constI(0)),
  );
}

/** Queries and keys normalized head by head, where weights for that are given. */
function normalized(c: LowerContext, parts: Parts): Parts {
  const epsilon = c.float("qk_norm_epsilon", 1e-6);
  const apply = (x: Value, scale: Value | undefined) =>
    scale === undefined ? x : rmsNormalization(c.b, { x, axes: [3], scale, epsilon }).y;
  return { ...parts, query: apply(parts.query, c.inputs[14]), key: apply(parts.key, c.inputs[15]) };
}

function rotated(c: LowerContext, parts: Parts, before: Value): Parts {
  if (c.int("do_rotary", 0) === 0) return parts;
  const { b } = c;
  const index = b.iota("i32", [1, parts.query.shape[1]!], 1);
  const positions =
    c.inputs[9] ??
    b.map("i32", [b.unsqueeze(before, [1]), index], (l, start, i) => l.addI(start!, i!));
  const rotation = rotationOf(b, {
    cos: c.input(7),
    sin: c.input(8),
    positions,
    interleaved: c.int("rotary_interleaved", 0) !== 0,
  });
  return {
    query: rotate(b, parts.query, rotation, 2),
    key: rotate(b, parts.key, rotation, 2),
    value: parts.value,
  };
}

function extend(c: LowerContext, { key, value }: Parts, before: Value): Cache {
  const { b } = c;
  const [pastKey, pastValue] = [c.inputs[3], c.inputs[4]];
  const turned = [key, value].map((x) => b.transpose(x, [0, 2, 1, 3])) as [Value, Value];
  const length = key.shape[1]!;
  if (pastKey === undefined || pastValue === undefined || pastKey.shape[2] === 0) {
    return { before, length, key: turned[0], value: turned[1] };
  }
  const past = pastKey.shape[2]!;
  const roomy = hasRoom(c, past);
  const total = roomy ? past : dimAdd(past, length);
  const joined = (cache: Value, now: Value): Value => {
    if (!roomy && now.shape[0] === 1) return b.concat([cache, now], 2);
    const room = roomy ? cache : widened(c, cache, length);
    return b.scatter(room, cachePositions(c, now, before), now, 2, "assign");
  };
  return {
    before,
    length: total,
    key: joined(pastKey, turned[0]),
    value: joined(pastValue, turned[1]),
  };
}

/** Whether the total length fits into the cache as it is. */
function hasRoom(c: LowerContext, past: Dim): boolean {
  const total = c.dims(6)?.[0];
  if (total === undefined) return false;
  if (typeof total === "number" && typeof past === "number") return total <= past;
  return dimEquals(total, past);
}

function widened(c: LowerContext, cache: Value, by: Dim): Value {
  const shape = cache.shape.map((dim, axis) => (axis === 2 ? by : dim));
  return c.b.concat([cache, c.b.broadcast(c.b.full(cache.dtype, 0), shape)], 2);
}

/** Position in the cache of every element of new keys or values [n, heads, s, features]. */
function cachePositions(c: LowerContext, now: Value, before: Value): Value {
  const { b } = c;
  const start = b.unsqueeze(before, [1, 2, 3]);
  const index = b.iota("i32", [now.shape[2]!, 1], 0);
  const positions = b.map("i32", [start, index], (l, first, i) => l.addI(first!, i!));
  return b.broadcast(positions, now.shape);
}

function masksOf(
  c: LowerContext,
  heads: HeadCounts,
  queries: Dim,
  cache: Cache,
): readonly ScoreStep[] {
  const { b } = c;
  const steps = biasSteps(c, heads, cache);
  const offset = byBatch(b, cache.before);
  if (c.int("causal", 1) !== 0) {
    const positions = { queries, keys: cache.length, offset };
    return [...steps, causalStep(b, positions, c.int("local_window_size", -1))];
  }
  const last = byBatch(b, b.reshape(c.input(5), [c.input(0).shape[0]!]));
  const count = b.map("i32", [last], (l, position) => l.addI(position!, l.constI(1)));
  return [...steps, keyCountStep(b, cache.length, count)];
}

function biasSteps({ b, inputs }: LowerContext, heads: HeadCounts, cache: Cache) {
  const bias = inputs[10];
  return bias === undefined ? [] : [maskStep(b, padMask(b, bias, cache.length), heads)];
}

function sinkOf(c: LowerContext, heads: HeadCounts): Value | undefined {
  const shape = [heads.keys, heads.queries / heads.keys, 1, 1];
  const sink = c.inputs[11];
  if (sink !== undefined) return c.b.reshape(sink, shape);
  return c.int("smooth_softmax", 0) === 1 ? c.b.full("f32", 0) : undefined;
}

export const groupQueryOperators: readonly OperatorRecord[] = [
  operatorOfMany(
    "GroupQueryAttention",
    { domain: "com.microsoft", since: 1, ranks: [3, 3, 3, 4, 4] },
    lowerGroupQuery,
  ),
];
