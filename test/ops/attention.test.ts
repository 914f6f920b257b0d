/** Attention, rotary embedding and caches against ONNX Runtime. */
import { describe, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
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
    {
      op: "com.microsoft::RotaryEmbedding",
      about: `interleaved ${interleaved}`,
      attributes: { interleaved },
      inputs: [f32([2, 3, 16]), positions, cache(2), cache(3)],
    },
  ]),
  {
    op: "com.microsoft::RotaryEmbedding",
    about: "one first position",
    inputs: [f32([2, 2, 3, 8]), tensorOf("i64", [1], [5]), cache(2), cache(3)],
  },
];

function multiHead(
  about: string,
  inputs: readonly (Tensor | undefined)[],
  rest: Partial<OperatorCase> = {},
): OperatorCase {
  const attributes = { num_heads: 3, ...rest.attributes };
  return {
    op: "com.microsoft::MultiHeadAttention",
    about,
    tolerance: 1e-5,
    ...rest,
    attributes,
    inputs,
  };
}

const multiHeads: readonly OperatorCase[] = [
  multiHead("plain", packed),
  multiHead("bias", [...packed, f32([72], 4)]),
  multiHead("padding mask", [
    ...packed,
    undefined,
    tensorOf("i32", [2, 6], [1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1]),
  ]),
  multiHead("lengths of keys", [...packed, undefined, tensorOf("i32", [2], [4, 6])]),
  multiHead("bias of scores", [...packed, undefined, undefined, f32([2, 3, 4, 6], 9)]),
  multiHead("causal", [f32([2, 4, 24]), f32([2, 4, 24], 2), f32([2, 4, 24], 3)], {
    attributes: { unidirectional: 1 },
  }),
  multiHead("padding mask by query", [...packed, undefined, numbers("i32", [2, 4, 6], [0, 1], 3)]),
  multiHead("keys and values with their heads first", [
    packed[0],
    f32([2, 3, 6, 8], 2),
    f32([2, 3, 6, 8], 3),
  ]),
  multiHead(
    "causal with past, bias and scale",
    [
      f32([2, 4, 24]),
      f32([2, 4, 24], 2),
      f32([2, 4, 24], 3),
      f32([72], 4),
      undefined,
      undefined,
      f32([2, 3, 5, 8], 5),
      f32([2, 3, 5, 8], 6),
    ],
    {
      attributes: { unidirectional: 1, scale: { float: 0.2 } },
      outputs: ["f32", "f32", "f32"],
    },
  ),
  multiHead(
    "past and present",
    [...packed, undefined, undefined, undefined, f32([2, 3, 5, 8], 4), f32([2, 3, 5, 8], 5)],
    { outputs: ["f32", "f32", "f32"] },
  ),
  {
    op: "com.microsoft::Attention",
    attributes: { num_heads: 2 },
    inputs: [f32([2, 4, 12]), f32([12, 48], 2), f32([48], 3)],
    tolerance: 1e-5,
  },
  {
    op: "com.microsoft::Attention",
    about: "past, causal, mask",
    attributes: { num_heads: 2, unidirectional: 1 },
    inputs: [
      f32([2, 4, 12]),
      f32([12, 48], 2),
      f32([48], 3),
      tensorOf("i32", [2, 7], [1, 1, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1]),
      f32([2, 2, 2, 3, 8], 4),
    ],
    outputs: ["f32", "f32"],
    tolerance: 1e-5,
  },
];

interface GroupQuery {
  readonly about: string;
  readonly length: number;
  /** Positions in the cache before, of each batch entry. */
  readonly past: readonly number[];
  /** For how many positions the cache has room; default: for those that are in it. */
  readonly room?: number;
  readonly attributes?: OperatorCase["attributes"];
  readonly rotary?: boolean;
  readonly packed?: boolean;
  /** Positions, bias of scores, score of the sink. */
  readonly more?: readonly (Tensor | undefined)[];
}

const features = 16;

function groupQuery({ about, length, past, ...rest }: GroupQuery): OperatorCase {
  const { room = Math.max(...past), attributes = {}, rotary: turn, packed: joined } = rest;
  const more = rest.more ?? [];
  const batch = past.length;
  const apart = [4, 2, 2].map((heads, i) => f32([batch, length, heads * features], i + 1));
  const tables =
    turn === true
      ? [f32([16, features / 2], 6), f32([16, features / 2], 7)]
      : [undefined, undefined];
  const totals = past.map((before) => before + length);
  return {
    op: "com.microsoft::GroupQueryAttention",
    about,
    attributes: { num_heads: 4, kv_num_heads: 2, do_rotary: turn === true ? 1 : 0, ...attributes },
    inputs: [
      ...(joined === true ? [f32([batch, length, 8 * features]), undefined, undefined] : apart),
      cacheOf(past, room, 4),
      cacheOf(past, room, 5),
      tensorOf(
        "i32",
        [batch],
        totals.map((total) => total - 1),
      ),
      tensorOf("i32", [], [Math.max(...totals)]),
      ...tables,
      ...more,
    ],
    constant: [6],
    outputs: ["f32", "f32", "f32"],
    tolerance: 1e-5,
  };
}

/** Zero where nothing is in it yet: what ONNX Runtime leaves there. */
function cacheOf(past: readonly number[], room: number, seed: number): Tensor | undefined {
  if (room === 0) return undefined;
  const cached = f32([past.length, 2, room, features], seed);
  const data = (cached.data as Float32Array).map((value, i) => {
    const position = Math.floor(i / features) % room;
    return position < past[Math.floor(i / (2 * room * features))]! ? value : 0;
  });
  return { ...cached, data };
}

const quantized: readonly OperatorCase[] = [
  {
    op: "com.microsoft::QAttention",
    attributes: { num_heads: 2 },
    inputs: [
      numbers("u8", [2, 4, 12], [0, 255]),
      numbers("i8", [12, 48], [-64, 63]),
      f32([48], 3),
      tensorOf("f32", [], [0.01]),
      numbers("f32", [48], [0.001, 0.01]),
      undefined,
      tensorOf("u8", [], [120]),
      numbers("i8", [48], [-9, 9], 2),
    ],
    outputs: ["f32"],
    tolerance: 1e-5,
  },
];

const groupQueries: readonly OperatorCase[] = [
  groupQuery({ about: "prompt", length: 5, past: [0] }),
  groupQuery({ about: "prompt with rotation", length: 5, past: [0], rotary: true }),
  groupQuery({ about: "packed prompt", length: 5, past: [0, 0], packed: true, rotary: true }),
  groupQuery({ about: "next position", length: 1, past: [6], rotary: true }),
  groupQuery({ about: "next position of a batch", length: 1, past: [6, 6], rotary: true }),
  groupQuery({ about: "different lengths", length: 1, past: [4, 6], rotary: true }),
  groupQuery({
    about: "local window",
    length: 8,
    past: [0],
    attributes: { local_window_size: 3 },
  }),
  groupQuery({
    about: "softcap and scale",
    length: 4,
    past: [0],
    attributes: { softcap: { float: 1.5 }, scale: { float: 0.2 } },
  }),
  groupQuery({
    about: "chunk of a prompt, interleaved, local window",
    length: 3,
    past: [5],
    rotary: true,
    attributes: { rotary_interleaved: 1, local_window_size: 4 },
  }),
  groupQuery({
    about: "positions given",
    length: 3,
    past: [5],
    rotary: true,
    more: [tensorOf("i64", [1, 3], [4, 5, 9])],
  }),
  groupQuery({
    about: "bias of scores",
    length: 5,
    past: [0],
    more: [undefined, f32([1, 4, 5, 5], 8)],
  }),
  groupQuery({ about: "sink", length: 5, past: [0], more: [undefined, undefined, f32([4], 8)] }),
  groupQuery({ about: "smooth softmax", length: 4, past: [0], attributes: { smooth_softmax: 1 } }),
];

describe.each(
  Object.entries({
    "ONNX's Attention": onnx,
    "rotary embedding": rotary,
    "attention with as many heads of keys": multiHeads,
    "attention on codes": quantized,
    "group query attention": groupQueries,
  }),
)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (__, c) => {
    await compareWithOnnxRuntime({ lowered: true, ...c });
  });
});
