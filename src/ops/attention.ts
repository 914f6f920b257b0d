/** ONNX's Attention (opset 23 on). The computation is in `attention-core.ts`, com.microsoft's forms in `contrib-attention.ts`. */
import { staticDim } from "../ir/dim.js";
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
  keyCountStep,
  type Labelled,
  maskStep,
  padMask,
  positionScalar,
  type ScoreStep,
  splitKeys,
  splitQuery,
} from "./attention-core.js";
import { operatorOfMany, requiredInt } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

/** Inputs: Q, K, V, mask, past keys, past values, number of keys that are no padding. */
function lowerAttention(c: LowerContext): readonly (Value | undefined)[] {
  const { b } = c;
  const q = c.input(0);
  const heads = headCounts(c);
  const features = headFeatures(c, q, heads.queries);
  const query = splitQuery(b, q, heads, features);
  const key = behindPast(b, c.inputs[4], splitKeys(b, c.input(1), heads.keys, features, "d"));
  const valueFeatures = headFeatures(c, c.input(2), heads.keys);
  const value = behindPast(
    b,
    c.inputs[5],
    splitKeys(b, c.input(2), heads.keys, valueFeatures, "e"),
  );
  const form = {
    dtype: q.dtype,
    query,
    key,
    value,
    scale: c.float("scale") ?? 1 / Math.sqrt(staticDim(features, "scores are scaled by it")),
    softcap: c.float("softcap", 0),
    masks: masksOf(c, heads, query, key),
  };
  const attention = attend(b, form);
  const scores = [attention.scaled, attention.capped, attention.masked];
  const mode = c.int("qk_matmul_output_mode", 0);
  return [
    joinHeads(b, attention.result, q.shape.length === 3),
    c.wantsOutput(1) ? headsFirst(b, key) : undefined,
    c.wantsOutput(2) ? headsFirst(b, value) : undefined,
    c.wantsOutput(3)
      ? joinScores(b, scores[mode] ?? attention.probabilities(), q.dtype)
      : undefined,
  ].slice(0, c.outputCount);
}

function headCounts(c: LowerContext): HeadCounts {
  const of = (input: number, name: string): number => {
    const x = c.input(input);
    if (x.shape.length === 4) return staticDim(x.shape[1]!, "it is a number of heads");
    return requiredInt(c, name);
  };
  const counts = { queries: of(0, "q_num_heads"), keys: of(1, "kv_num_heads") };
  if (counts.queries % counts.keys !== 0) {
    c.invalid("L0201", `${counts.queries} heads of queries cannot share ${counts.keys} of keys`);
  }
  return counts;
}

function masksOf(
  c: LowerContext,
  heads: HeadCounts,
  query: Labelled,
  key: Labelled,
): readonly ScoreStep[] {
  const { b } = c;
  const keys = key.value.shape[key.labels.indexOf("t")]!;
  const queries = query.value.shape[query.labels.indexOf("s")]!;
  const [mask, past, count] = [c.inputs[3], c.inputs[4], c.inputs[6]];
  const steps: ScoreStep[] = [];
  if (mask !== undefined) steps.push(maskStep(b, padMask(b, mask, keys), heads));
  if (c.int("is_causal", 0) !== 0) {
    const before =
      past === undefined && count !== undefined
        ? b.map("i32", [byBatch(b, count), positionScalar(b, queries)], (l, n, s) => l.subI(n!, s!))
        : positionScalar(b, past?.shape[2] ?? 0);
    steps.push(causalStep(b, { queries, keys, offset: before }));
  }
  if (count !== undefined) steps.push(keyCountStep(b, keys, byBatch(b, count)));
  return steps;
}

export const attentionOperators: readonly OperatorRecord[] = [
  operatorOfMany("Attention", 23, lowerAttention),
];
