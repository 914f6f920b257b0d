/** Rows of whole layers of com.microsoft: quantized, recurrent, with a state, mixtures of experts. */
import { each, type Generator, type Row, type TypedName } from "./generator.js";

const int = (g: Generator, low: number, high: number): number => g.r.integer(low, high);
const f32 = (g: Generator, ...shape: readonly number[]): TypedName => g.tensor("f32", shape);
const bytes = (g: Generator, ...shape: readonly number[]): TypedName =>
  g.numbers("u8", shape, 0, 256);
const scales = (g: Generator, ...shape: readonly number[]): TypedName =>
  g.numbers("f32", shape, 0.01, 0.1);

/** Weights of experts as codes, 8 / bits of them in a byte, their scales and bias. */
const experts = (g: Generator, count: number, outputs: number, inputs: number, bits: number) => [
  bytes(g, count, outputs, (inputs * bits) / 8),
  scales(g, count, outputs),
  g.maybe(0.5, () => f32(g, count, outputs)),
];

const causalConv: Row = (g, operator) => {
  const [n, c, length, size] = [int(g, 1, 2), int(g, 1, 4), int(g, 1, 6), int(g, 1, 4)];
  return {
    inputs: [
      f32(g, n, c, length),
      f32(g, c, 1, size),
      g.maybe(0.5, () => f32(g, c)),
      g.maybe(0.5, () => f32(g, n, c, size - 1)),
    ],
    attributes: {
      activation: g.maybe(0.5, () => g.r.pick(["none", "silu"])),
      ndim: operator.includes("::") ? 1 : undefined,
    },
    outputs: 2,
  };
};

const linearAttention: Row = (g) => {
  const [n, s, heads, shared] = [int(g, 1, 2), int(g, 1, 4), int(g, 1, 2), int(g, 1, 2)];
  const [d, e] = [int(g, 1, 6), int(g, 1, 6)];
  const rule = g.r.pick(["linear", "gated", "delta", "gated_delta"]);
  const perHead = (low: number): TypedName => g.numbers("f32", [n, s, heads], low, low + 1);
  return {
    inputs: [
      f32(g, n, s, heads * shared * d),
      f32(g, n, s, heads * d),
      f32(g, n, s, heads * e),
      g.maybe(0.6, () => f32(g, n, heads, d, e)),
      rule.startsWith("gated") ? perHead(-1) : undefined,
      rule.endsWith("delta") ? perHead(0) : undefined,
    ],
    attributes: { q_num_heads: heads * shared, kv_num_heads: heads, update_rule: rule },
    outputs: 2,
  };
};

const quantizedEmbedding: Row = (g) => {
  const [n, s, words, width] = [int(g, 1, 3), int(g, 1, 6), int(g, 1, 9), int(g, 1, 20)];
  const dtype = g.r.pick(["u8", "i8"] as const);
  const hasSegments = g.r.chance(0.6);
  const ifSegments = <T>(make: () => T): T | undefined => (hasSegments ? make() : undefined);
  const codes = (...shape: readonly number[]): TypedName => g.numbers(dtype, shape, 0, 100);
  const five = (make: () => TypedName) => [make(), make(), ifSegments(make), make(), make()];
  return {
    inputs: [
      g.numbers("i32", [n, s], 0, words),
      ifSegments(() => g.numbers("i32", [n, s], 0, 2)),
      codes(words, width),
      codes(s + int(g, 0, 2), width),
      ifSegments(() => codes(2, width)),
      codes(width),
      codes(width),
      g.maybe(0.5, () => g.numbers("i32", [n, s], 0, 2)),
      ...five(() => scales(g)),
      ...five(() => codes()),
    ],
    outputs: 2,
  };
};

const dynamicLstm: Row = (g) => {
  const [length, n, width, hidden] = [int(g, 1, 5), int(g, 1, 3), int(g, 1, 6), int(g, 1, 6)];
  const direction = g.r.pick(["forward", "reverse", "bidirectional"]);
  const directions = direction === "bidirectional" ? 2 : 1;
  const dtype = g.r.pick(["u8", "i8"] as const);
  const codes = (...shape: readonly number[]): TypedName => g.numbers(dtype, shape, 0, 60);
  const perColumn = g.r.chance(0.5) ? [directions, 4 * hidden] : [directions];
  const parameters = (): readonly TypedName[] => [scales(g, ...perColumn), codes(...perColumn)];
  const state = (): TypedName | undefined => g.maybe(0.5, () => f32(g, directions, n, hidden));
  return {
    inputs: [
      f32(g, length, n, width),
      codes(directions, width, 4 * hidden),
      codes(directions, hidden, 4 * hidden),
      g.maybe(0.5, () => f32(g, directions, 8 * hidden)),
      undefined,
      state(),
      state(),
      undefined,
      ...parameters(),
      ...parameters(),
    ],
    attributes: { hidden_size: hidden, direction },
    outputs: 3,
  };
};

const quantizedExperts: Row = (g) => {
  const bits = g.r.pick([4, 8]);
  const [tokens, count, hidden, inner] = [int(g, 1, 5), int(g, 1, 4), 16, 32];
  return {
    inputs: [
      f32(g, tokens, hidden),
      f32(g, tokens, count),
      ...experts(g, count, inner, hidden, bits),
      ...experts(g, count, hidden, inner, bits),
    ],
    attributes: {
      k: int(g, 1, count),
      activation_type: g.r.pick(["relu", "gelu", "silu", "identity"]),
      normalize_routing_weights: int(g, 0, 1),
      expert_weight_bits: bits,
    },
  };
};

export const contribLayerRows: Readonly<Record<string, Row>> = {
  ...each(["CausalConvWithState", "com.microsoft::CausalConvWithState"], causalConv),
  ...each(["LinearAttention", "com.microsoft::LinearAttention"], linearAttention),
  "com.microsoft::LinearAttentionGate"(g) {
    const shape = [int(g, 1, 2), int(g, 1, 4), int(g, 1, 5)];
    const width = shape[2]!;
    return {
      inputs: [f32(g, ...shape), f32(g, width), f32(g, width), f32(g, ...shape)],
      outputs: 2,
    };
  },
  "com.microsoft::QEmbedLayerNormalization": quantizedEmbedding,
  "com.microsoft::DynamicQuantizeLSTM": dynamicLstm,
  "com.microsoft::QMoE": quantizedExperts,
  "com.microsoft::MatMulBnb4"(g) {
    const [n, k, block] = [int(g, 1, 20), 16 * int(g, 1, 4), g.r.pick([16, 32])];
    const packed = Uint8Array.from({ length: Math.ceil((n * k) / 2) }, () => int(g, 0, 255));
    return {
      inputs: [
        f32(g, ...g.shape(0, 1), int(g, 1, 3), k),
        g.give({ dtype: "u8", shape: [packed.length], data: packed }, 1),
        g.numbers("f32", [Math.ceil((n * k) / block)], 0.1, 1),
      ],
      attributes: { N: n, K: k, block_size: block, quant_type: int(g, 0, 1) },
    };
  },
};
