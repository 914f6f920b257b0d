/**
 * FlexAttention of ai.onnx.preview: attention whose scores and probabilities may pass through subgraphs. Without
 * those it is lowered; with them it runs on the host, the subgraphs between the two products.
 */
import type { GraphBuilder } from "../ir/builder.js";
import { staticDim } from "../ir/dim.js";
import { createGraphBuilder } from "../ir/build/graph-builder.js";
import type { Value } from "../ir/graph.js";
import type { Tensor } from "../numerics/tensor.js";
import { InternalError } from "../support/diagnostic.js";
import { attend, joinHeads, splitKeys, splitQuery } from "./attention-core.js";
import { isTensor } from "./context.js";
import { computeType } from "./helpers.js";
import { matrixProduct } from "./product.js";
import {
  Decline,
  type EvaluateContext,
  type LowerContext,
  type NodeContext,
  type OperatorRecord,
} from "./record.js";
import { runnerOf } from "./subgraph.js";
import { softmax } from "./softmax.js";

const modifiers = ["score_mod", "mask_mod", "prob_mod"];

function scaleOf(c: NodeContext, features: number): number {
  return c.float("scale") ?? 1 / Math.sqrt(features);
}

function lowerFlexAttention(c: LowerContext): readonly Value[] {
  const { b } = c;
  if (modifiers.some((name) => c.graph(name) !== undefined)) {
    throw new Decline("scores or probabilities pass through a subgraph");
  }
  const [q, k, v] = [c.input(0), c.input(1), c.input(2)];
  const [queries, keys] = [q, k].map((x) => staticDim(x.shape[1]!, "it is a number of heads"));
  const features = staticDim(q.shape[3]!, "scores are scaled by it");
  const { result } = attend(b, {
    dtype: q.dtype,
    query: splitQuery(b, q, { queries: queries!, keys: keys! }, features),
    key: splitKeys(b, k, keys!, features, "d"),
    value: splitKeys(b, v, keys!, v.shape[3]!, "e"),
    scale: scaleOf(c, features),
    softcap: 0,
    masks: [],
  });
  return [joinHeads(b, result, false)];
}

function evaluateFlexAttention(c: EvaluateContext): readonly Tensor[] {
  const [q, k, v] = [c.tensorInput(0), c.tensorInput(1), c.tensorInput(2)];
  const shared = q.shape[1]! / k.shape[1]!;
  const wide = computeType(q.dtype);
  const scores = fold([q, k], (b, [query, key]) => {
    const product = matrixProduct(b, query!, repeatHeads(b, key!, shared), { transposeW: true });
    return b.map(wide, [product], (l, s) => l.mul(s!, l.constF(scaleOf(c, q.shape[3]!))));
  });
  const masked = modify(c, "mask_mod", modify(c, "score_mod", scores));
  const weights = modify(
    c,
    "prob_mod",
    fold([masked], (b, [s]) => softmax(b, s!, [3])),
  );
  return [
    fold([weights, v], (b, [w, value]) =>
      b.cast(matrixProduct(b, w!, repeatHeads(b, value!, shared)), q.dtype),
    ),
  ];
}

/** What a lowering gives for tensors at hand. */
function fold(
  tensors: readonly Tensor[],
  body: (b: GraphBuilder, values: readonly Value[]) => Value,
): Tensor {
  const b = createGraphBuilder({ foldAll: true });
  const { data } = body(
    b,
    tensors.map((tensor) => b.constant(tensor)),
  );
  if (data === undefined) throw new InternalError("constants did not fold");
  return data;
}

function modify(c: EvaluateContext, name: string, x: Tensor): Tensor {
  if (c.graph(name) === undefined) return x;
  const [result] = runnerOf(c, name).run([x]);
  if (result === undefined || !isTensor(result)) {
    return c.invalid("L0202", `the result of ${name} is no tensor`);
  }
  return result;
}

/** Each head `times` times, one after the other. */
function repeatHeads(b: GraphBuilder, x: Value, times: number): Value {
  if (times === 1) return x;
  const [n, heads, t, features] = x.shape as readonly [number, number, number, number];
  const repeated = b.broadcast(b.unsqueeze(x, [2]), [n, heads, times, t, features]);
  return b.reshape(repeated, [n, heads * times, t, features]);
}

export const flexAttentionOperators: readonly OperatorRecord[] = [
  {
    name: "FlexAttention",
    domain: "ai.onnx.preview",
    since: 1,
    lower: lowerFlexAttention,
    evaluate: evaluateFlexAttention,
    infer: (c) => {
      const { dtype, shape } = c.input(0);
      return [{ dtype, shape: [...shape.slice(0, 3), c.input(2).shape[3]!] }];
    },
  },
];
