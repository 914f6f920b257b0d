/** Attention of com.microsoft against ONNX Runtime, whose CPU kernels know fp32 best; fp16 where they have it. */
import { describe, test } from "vitest";
import type { DType } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

type Attributes = NonNullable<OperatorCase["attributes"]>;

const f32 = (shape: readonly number[], seed = 1) => numbers("f32", shape, [-1, 1], seed);

interface Lengths {
  readonly about: string;
  readonly length: number;
  /** Positions in the cache before, of each batch entry. */
  readonly past: readonly number[];
  /** For how many positions the cache has room; default: for those that are in it. */
  readonly room?: number;
}

const lengths: readonly Lengths[] = [
  { about: "prompt", length: 5, past: [0] },
  { about: "prompts", length: 4, past: [0, 0] },
  { about: "chunk of a prompt", length: 3, past: [5] },
  { about: "next position", length: 1, past: [6] },
  { about: "next position of a batch", length: 1, past: [6, 6] },
  { about: "next position after different lengths", length: 1, past: [4, 6] },
  { about: "room in the cache", length: 1, past: [5], room: 9 },
  { about: "prompt with room in the cache", length: 4, past: [0], room: 9 },
];

interface QueryForm {
  readonly about: string;
  readonly packed?: boolean;
  /** Features that are rotated. */
  readonly turned?: number;
  readonly attributes?: Attributes;
}

const queryForms: readonly QueryForm[] = [
  { about: "" },
  { about: "packed", packed: true },
  { about: "rotated", turned: 32 },
  { about: "rotated, interleaved", turned: 32, attributes: { rotary_interleaved: 1 } },
  { about: "packed, rotated in part", packed: true, turned: 16 },
];

interface ScoreForm {
  readonly about: string;
  readonly attributes?: Attributes;
  readonly bias?: "one" | "each";
  readonly sink?: true;
  readonly scores?: 1 | 2;
}

const scoreForms: readonly ScoreForm[] = [
  { about: "" },
  { about: "local window", attributes: { local_window_size: 3 } },
  { about: "softcap, scale", attributes: { softcap: { float: 1.5 }, scale: { float: 0.4 } } },
  { about: "smooth softmax", attributes: { smooth_softmax: 1 } },
  { about: "bias", bias: "one" },
  { about: "bias by head, softcap", bias: "each", attributes: { softcap: { float: 2 } } },
  { about: "sink", sink: true },
  { about: "not causal", attributes: { causal: 0 } },
  { about: "scores", scores: 1 },
  {
    about: "scores, window, bias",
    bias: "one",
    attributes: { local_window_size: 3, softcap: { float: 2 } },
    scores: 1,
  },
  { about: "scores, not causal", attributes: { causal: 0 }, scores: 1 },
  { about: "probabilities", scores: 2 },
  {
    about: "sink, window, probabilities",
    sink: true,
    attributes: { local_window_size: 4 },
    scores: 2,
  },
];

const features = 32;

function groupQuery(
  { length, past, ...rest }: Lengths,
  form: QueryForm,
  score: ScoreForm,
  dtype: DType = "f32",
): OperatorCase {
  const room = rest.room ?? Math.max(...past);
  const batch = past.length;
  const make = (shape: readonly number[], seed: number) => numbers(dtype, shape, [-1, 1], seed);
  const totals = past.map((before) => before + length);
  const total = Math.max(...totals);
  const apart = [4, 2, 2].map((heads, i) => make([batch, length, heads * features], i + 1));
  const tables =
    form.turned === undefined ? [] : [6, 7].map((s) => make([16, form.turned! / 2], s));
  const bias =
    score.bias === undefined
      ? undefined
      : make(score.bias === "one" ? [1, 1, length, total] : [batch, 4, length, total], 8);
  return {
    op: "com.microsoft::GroupQueryAttention",
    about: [rest.about, form.about, score.about, dtype === "f32" ? "" : dtype]
      .filter((s) => s !== "")
      .join(", "),
    attributes: {
      num_heads: 4,
      kv_num_heads: 2,
      do_rotary: form.turned === undefined ? 0 : 1,
      ...(score.scores === undefined ? {} : { qk_output: score.scores }),
      ...form.attributes,
      ...score.attributes,
    },
    inputs: [
      ...(form.packed === true
        ? [make([batch, length, 8 * features], 1), undefined, undefined]
        : apart),
      cacheOf(dtype, past, room, 4),
      cacheOf(dtype, past, room, 5),
      tensorOf(
        "i32",
        [batch],
        totals.map((count) => count - 1),
      ),
      tensorOf("i32", [], [total]),
      tables[0],
      tables[1],
      undefined,
      bias,
      score.sink === true ? make([4], 9) : undefined,
    ],
    constant: [6],
    outputs: score.scores === undefined ? [dtype, dtype, dtype] : [dtype, dtype, dtype, dtype],
    tolerance: dtype === "f32" ? 1e-5 : 4e-3,
    lowered: true,
  };
}

/** Zero where nothing is in it yet: what ONNX Runtime leaves there. */
function cacheOf(
  dtype: DType,
  past: readonly number[],
  room: number,
  seed: number,
): Tensor | undefined {
  if (room === 0) return undefined;
  const shape = [past.length, 2, room, features];
  const cached = numbers(dtype, shape, [-1, 1], seed);
  const data = (cached.data as Float32Array).map((value, i) => {
    const position = Math.floor(i / features) % room;
    return position < past[Math.floor(i / (2 * room * features))]! ? value : 0;
  });
  return { ...cached, data };
}

/** Scores after the end of a shorter cache are whatever the oracle's memory held. */
const hasUndefinedScores = ({ past }: Lengths, { scores }: ScoreForm) =>
  scores !== undefined && past.some((before) => before !== past[0]);

const groupQueries = lengths.flatMap((l) => [
  ...queryForms.map((q) => groupQuery(l, q, scoreForms[0]!)),
  ...queryForms.slice(1, 3).map((q) => groupQuery(l, q, scoreForms[0]!, "f16")),
  ...scoreForms
    .filter((s) => s.about !== "" && !hasUndefinedScores(l, s))
    .map((s) => groupQuery(l, queryForms[0]!, s)),
]);

interface HeadsForm {
  readonly about: string;
  /** Query, key and value. */
  readonly inputs: readonly (Tensor | undefined)[];
  /** The same apart, where they are packed. */
  readonly apart?: readonly Tensor[];
  readonly past?: true;
  /** Without a bias of the projections. */
  readonly plain?: true;
  /** Keys in all. */
  readonly keys: number;
}

/** Part `index` of [n, s, heads, parts, features] as [n, s, heads * features]. */
function unpacked(x: Tensor, index: number): Tensor {
  const [n, s, heads, parts, size] = x.shape as readonly [number, number, number, number, number];
  const data = (x.data as Float32Array).filter((_, i) => Math.floor(i / size) % parts === index);
  return { dtype: x.dtype, shape: [n, s, heads * size], data };
}

const packedAll = f32([2, 4, 3, 3, 8]);
const packedKeys = f32([2, 6, 3, 2, 8], 2);

const headsForms: readonly HeadsForm[] = [
  { about: "", inputs: [f32([2, 4, 24]), f32([2, 6, 24], 2), f32([2, 6, 24], 3)], keys: 6 },
  {
    about: "wider values",
    inputs: [f32([2, 4, 24]), f32([2, 6, 24], 2), f32([2, 6, 30], 3)],
    keys: 6,
  },
  {
    about: "all packed",
    inputs: [packedAll],
    apart: [0, 1, 2].map((i) => unpacked(packedAll, i)),
    keys: 4,
  },
  {
    about: "keys packed with values",
    inputs: [f32([2, 4, 24]), packedKeys],
    apart: [f32([2, 4, 24]), unpacked(packedKeys, 0), unpacked(packedKeys, 1)],
    keys: 6,
  },
  {
    about: "heads of keys first",
    inputs: [f32([2, 4, 24]), f32([2, 3, 6, 8], 2), f32([2, 3, 6, 8], 3)],
    plain: true,
    keys: 6,
  },
  {
    about: "past",
    inputs: [f32([2, 4, 24]), f32([2, 4, 24], 2), f32([2, 4, 24], 3)],
    past: true,
    keys: 9,
  },
];

interface MaskForm {
  readonly about: string;
  readonly mask?: (batch: number, queries: number, keys: number) => Tensor;
  readonly bias?: (batch: number, queries: number, keys: number) => Tensor;
  readonly attributes?: Attributes;
  readonly projectionBias?: true;
  readonly scores?: true;
}

const bits = (shape: readonly number[], seed: number) => {
  const { data, ...rest } = numbers("i32", shape, [0, 1], seed);
  const keys = shape.at(-1)!;
  // The first key is never masked: a row without keys is whatever the filter value makes of it.
  return { ...rest, data: (data as Int32Array).map((bit, i) => (i % keys === 0 ? 1 : bit)) };
};

const maskForms: readonly MaskForm[] = [
  { about: "" },
  { about: "lengths of keys", mask: (n, _, t) => tensorOf("i32", [n], [t - 2, t]) },
  { about: "padding", mask: (n, _, t) => bits([n, t], 7) },
  { about: "padding by query", mask: (n, s, t) => bits([n, s, t], 7) },
  {
    about: "padding, filter value",
    mask: (n, _, t) => bits([n, t], 7),
    attributes: { mask_filter_value: { float: -2 } },
  },
  {
    about: "padding of all keys, the lowest filter value",
    mask: (n, _, t) => tensorOf("i32", [n, t], new Array<number>(n * t).fill(0)),
    attributes: { mask_filter_value: { float: -3.4028234663852886e38 } },
  },
  { about: "bias of scores", bias: (n, s, t) => f32([n, 3, s, t], 8) },
  { about: "one bias of scores", bias: (_, s, t) => f32([1, 1, s, t], 8) },
  {
    about: "bias of scores by head, padding",
    bias: (_, s, t) => f32([1, 3, s, t], 8),
    mask: (n, _, t) => bits([n, t], 7),
  },
  { about: "causal", attributes: { unidirectional: 1 } },
  {
    about: "causal, scale, padding",
    attributes: { unidirectional: 1, scale: { float: 0.2 } },
    mask: (n, _, t) => bits([n, t], 7),
  },
  { about: "bias", projectionBias: true },
  { about: "scores", scores: true },
];

function multiHead(form: HeadsForm, mask: MaskForm): OperatorCase {
  const { inputs, keys } = form;
  const [query, key, value] = inputs;
  const [batch, length] = query!.shape as readonly [number, number];
  const width = 48 + (value?.shape.length === 3 ? value.shape[2]! : 24);
  const cache = (seed: number) => (form.past === true ? f32([batch, 3, 5, 8], seed) : undefined);
  const rest = [
    mask.projectionBias === true ? f32([width], 4) : undefined,
    mask.mask?.(batch, length, keys),
    mask.bias?.(batch, length, keys),
    cache(5),
    cache(6),
  ];
  return {
    op: "com.microsoft::MultiHeadAttention",
    about: [form.about, mask.about].filter((s) => s !== "").join(", "),
    attributes: { num_heads: 3, ...mask.attributes },
    inputs: [query, key, value, ...rest],
    ...(form.apart && { instead: { inputs: [...form.apart, ...rest] } }),
    outputs: [
      "f32",
      ...(form.past === true || mask.scores ? (["f32", "f32"] as const) : []),
      ...(mask.scores === true ? (["f32"] as const) : []),
    ],
    tolerance: 1e-5,
    lowered: true,
  };
}

const isCausal = ({ attributes }: MaskForm) => attributes?.["unidirectional"] === 1;

const multiHeads = headsForms.flatMap((form) => {
  const [query, key] = form.inputs;
  const fits = (mask: MaskForm) =>
    !(form.plain === true && mask.projectionBias === true) &&
    !(isCausal(mask) && key !== undefined && key.shape.at(-2) !== query!.shape[1]);
  return maskForms.filter(fits).map((mask) => multiHead(form, mask));
});

interface ProjectionForm extends Pick<MaskForm, "about" | "mask" | "bias" | "attributes"> {
  /** What ONNX Runtime gets in place of the mask. */
  readonly maskInstead?: MaskForm["mask"];
  readonly noBias?: true;
  readonly width?: number;
}

/** Rows and columns of a mask over all positions. */
const square = (n: number, positions: number) => bits([n, 1, positions, positions], 7);

const projections: readonly ProjectionForm[] = [
  ...maskForms.filter((m) => m.projectionBias !== true && m.scores !== true),
  { about: "no bias", noBias: true },
  { about: "a placeholder of a mask", mask: (n) => tensorOf("i32", [n, 1], new Array(n).fill(0)) },
  { about: "sizes", attributes: { qkv_hidden_sizes: [16, 16, 24] }, width: 56 },
  { about: "start and end", mask: (n, _, t) => tensorOf("i32", [2 * n], [t - 1, t, 1, 0]) },
  {
    about: "over all positions",
    mask: (n) => square(n, 9),
    maskInstead: (n, s, t) => {
      const { data } = square(n, 9);
      const rows = Array.from({ length: n * s * t }, (_, i) => {
        const [entry, query, key] = [Math.floor(i / (s * t)), Math.floor(i / t) % s, i % t];
        return data[(entry * 9 + query + t - s) * 9 + key] as number;
      });
      return tensorOf("i32", [n, s, t], rows);
    },
  },
];

function attention(form: ProjectionForm, past: boolean): OperatorCase {
  const width = form.width ?? 48;
  const keys = past ? 7 : 4;
  const inputs = [
    f32([2, 4, 12]),
    f32([12, width], 2),
    form.noBias === true ? undefined : f32([width], 3),
    form.mask?.(2, 4, keys),
    past ? f32([2, 2, 2, 3, width / 6], 4) : undefined,
    form.bias?.(2, 4, keys) && f32([1, 2, 4, keys], 8),
  ];
  const noBias =
    form.noBias === true ? { 2: tensorOf("f32", [width], new Float32Array(width)) } : {};
  const otherMask = form.maskInstead === undefined ? {} : { 3: form.maskInstead(2, 4, keys) };
  return {
    op: "com.microsoft::Attention",
    about: [form.about, past ? "past" : ""].filter((s) => s !== "").join(", "),
    attributes: { num_heads: 2, ...form.attributes },
    inputs,
    instead: { inputs: Object.assign([...inputs], noBias, otherMask) },
    outputs: past ? ["f32", "f32"] : ["f32"],
    tolerance: 1e-5,
    lowered: true,
  };
}

const attentions = projections.flatMap((form) => [
  attention(form, false),
  ...(form.about === "sizes" || form.bias !== undefined ? [] : [attention(form, true)]),
]);

const codesAttention = [
  ...maskForms.filter((m) => m.bias === undefined && !m.projectionBias && !m.scores),
].flatMap((form) =>
  [false, true].map(
    (past): OperatorCase => ({
      op: "com.microsoft::QAttention",
      about: [form.about, past ? "past" : ""].filter((s) => s !== "").join(", "),
      attributes: { num_heads: 2, ...form.attributes },
      inputs: [
        numbers("u8", [2, 4, 12], [0, 255]),
        numbers("i8", [12, 48], [-64, 63]),
        f32([48], 3),
        tensorOf("f32", [], [0.01]),
        past ? tensorOf("f32", [], [0.01]) : numbers("f32", [48], [0.001, 0.01]),
        form.mask?.(2, 4, past ? 7 : 4),
        tensorOf("u8", [], [120]),
        past ? tensorOf("i8", [], [3]) : numbers("i8", [48], [-9, 9], 2),
        past ? f32([2, 2, 2, 3, 8], 4) : undefined,
      ],
      outputs: past ? ["f32", "f32"] : ["f32"],
      tolerance: 1e-5,
      lowered: true,
    }),
  ),
);

const positions = numbers("i64", [2, 3], [0, 15]);
const rotations = [0, 1].flatMap((interleaved) =>
  (["f32", "f16"] as const).flatMap((dtype): OperatorCase[] => {
    const make = (shape: readonly number[], seed = 1) => numbers(dtype, shape, [-1, 1], seed);
    const turned = { op: "com.microsoft::RotaryEmbedding", lowered: true };
    const about = `${dtype}, interleaved ${interleaved}`;
    return [
      {
        ...turned,
        about,
        attributes: { interleaved },
        inputs: [make([2, 3, 16]), positions, make([16, 4], 2), make([16, 4], 3)],
      },
      {
        ...turned,
        about: `${about}, heads first`,
        attributes: { interleaved },
        inputs: [make([2, 2, 3, 8]), positions, make([16, 4], 2), make([16, 4], 3)],
      },
      {
        ...turned,
        about: `${about}, one first position`,
        attributes: { interleaved },
        inputs: [make([2, 3, 16]), tensorOf("i64", [1], [5]), make([16, 4], 2), make([16, 4], 3)],
      },
      {
        ...turned,
        about: `${about}, in part`,
        attributes: { interleaved, num_heads: 2, rotary_embedding_dim: 8 },
        inputs: [make([2, 3, 32]), positions, make([16, 4], 2), make([16, 4], 3)],
      },
      {
        ...turned,
        about: `${about}, in part, heads first`,
        attributes: { interleaved, num_heads: 2, rotary_embedding_dim: 8 },
        inputs: [make([2, 2, 3, 16]), positions, make([16, 4], 2), make([16, 4], 3)],
      },
      {
        ...turned,
        about: `${about}, scaled, packed in batches`,
        attributes: { interleaved, scale: { float: 0.5 }, is_packed_batching: 1 },
        inputs: [make([2, 3, 16]), positions, make([16, 4], 2), make([16, 4], 3)],
      },
    ];
  }),
);

describe.each(Object.entries({ groupQueries, multiHeads, attentions, codesAttention, rotations }))(
  "%s",
  (_, cases) => {
    test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (__, c) => {
      await compareWithOnnxRuntime(c);
    });
  },
);
