/** Attention and rotary embedding of ONNX against ONNX Runtime. */
import { describe, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
} from "./against-onnxruntime.js";

const f32 = (shape: readonly number[], seed = 1) => numbers("f32", shape, [-1, 1], seed);
const mask = (shape: readonly number[]) => numbers("bool", shape, [0, 1], 7);

interface AttentionRest {
  readonly about: string;
  readonly attributes?: OperatorCase["attributes"];
  readonly more?: readonly (Tensor | undefined)[];
  readonly outputs?: OperatorCase["outputs"];
}

function attention(rest: AttentionRest, ...qkv: readonly Tensor[]): OperatorCase {
  const { about, attributes = {}, more = [], outputs = ["f32"] } = rest;
  return {
    op: "Attention",
    opset: 23,
    about,
    attributes,
    inputs: [...qkv, ...more],
    outputs,
    tolerance: 1e-5,
  };
}

const heads = [f32([2, 3, 4, 8]), f32([2, 3, 6, 8], 2), f32([2, 3, 6, 10], 3)];
const packed = [f32([2, 4, 24]), f32([2, 6, 24], 2), f32([2, 6, 24], 3)];
const counts = { q_num_heads: 3, kv_num_heads: 3 };
const past = [f32([2, 3, 5, 8], 4), f32([2, 3, 5, 10], 5)];

const onnx: readonly OperatorCase[] = [
  attention({ about: "4-D" }, ...heads),
  attention({ about: "3-D", attributes: counts }, ...packed),
  attention({ about: "causal", attributes: { is_causal: 1 } }, ...heads),
  attention({ about: "float mask", more: [f32([4, 6], 9)] }, ...heads),
  attention({ about: "bool mask by batch", more: [mask([2, 1, 4, 6])] }, ...heads),
  attention(
    { about: "softcap and scale", attributes: { softcap: { float: 2 }, scale: { float: 0.3 } } },
    ...heads,
  ),
  attention(
    {
      about: "past, present and scores",
      attributes: { is_causal: 1, qk_matmul_output_mode: 3 },
      more: [f32([4, 11], 9), ...past],
      outputs: ["f32", "f32", "f32", "f32"],
    },
    ...heads,
  ),
  attention(
    {
      about: "shared heads of keys",
      attributes: { q_num_heads: 6, kv_num_heads: 2, is_causal: 1 },
    },
    f32([2, 4, 48]),
    f32([2, 6, 16], 2),
    f32([2, 6, 16], 3),
  ),
];

const cache = (seed: number) => f32([16, 4], seed);
const positions = numbers("i64", [2, 3], [0, 15]);

const rotary: readonly OperatorCase[] = [
  ...[0, 1].flatMap((interleaved): OperatorCase[] => [
    {
      op: "RotaryEmbedding",
      opset: 23,
      about: `4-D, interleaved ${interleaved}`,
      attributes: { interleaved },
      inputs: [f32([2, 2, 3, 8]), cache(2), cache(3), positions],
    },
    {
      op: "RotaryEmbedding",
      opset: 23,
      about: `part, 3-D, interleaved ${interleaved}`,
      attributes: { interleaved, num_heads: 2, rotary_embedding_dim: 8 },
      inputs: [f32([2, 3, 20]), cache(2), cache(3), positions],
    },
  ]),
];

describe.each(
  Object.entries({
    "ONNX's Attention": onnx,
    "rotary embedding": rotary,
  }),
)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (__, c) => {
    await compareWithOnnxRuntime({ lowered: true, ...c });
  });
});
