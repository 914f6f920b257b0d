/** Rows of quantized operators, attention and recurrent layers. */
import { allocateData } from "../../../src/numerics/convert.js";
import { type DType, isFloat } from "../../../src/numerics/dtype.js";
import { elementCount } from "../../../src/numerics/tensor.js";
import { each, float, type Generator, type Row, type TypedName } from "./generator.js";

const int = (g: Generator, low: number, high: number): number => g.r.integer(low, high);
const codeType = (g: Generator): "u8" | "i8" => g.r.pick(["u8", "i8"] as const);
const scale = (g: Generator, shape: readonly number[] = [], dtype: DType = "f32"): TypedName =>
  g.numbers(dtype, shape, 0.01, 0.5);
const codes = (g: Generator, dtype: DType, shape: readonly number[] = []): TypedName =>
  dtype === "i8" ? g.numbers(dtype, shape, -60, 60) : g.numbers(dtype, shape, 0, 255);
const f32 = (g: Generator, ...shape: readonly number[]): TypedName => g.tensor("f32", shape);

const quantize: Row = (g, operator) => {
  const isTo = operator.endsWith("::QuantizeLinear") || operator === "QuantizeLinear";
  const wide = operator.includes("::") || g.opset < 19 ? ["f32"] : ["f32", "f16", "bf16"];
  const real = g.r.pick(wide as readonly DType[]);
  const code: DType = g.r.pick(
    g.opset >= 21
      ? (["u8", "i8", "u16", "i16", "u4", "i4", "f8e4m3fn", "f8e5m2"] as const)
      : (["u8", "i8"] as const),
  );
  const low = code === "i8" || code === "i16" || code === "i4" ? -8 : 0;
  const coded = (shape: readonly number[]): TypedName => g.numbers(code, shape, low, 8);
  const shape = g.shape(0, 4);
  const axis = g.axis(shape.length);
  const byAxis = shape.length > 0 && g.r.chance(0.5) && g.opset >= 13;
  const block =
    byAxis && g.opset >= 21 && !operator.includes("::") && g.r.chance(0.3) ? int(g, 1, 3) : 0;
  const parameters = !byAxis
    ? []
    : block === 0
      ? [shape.at(axis)!]
      : shape.with(axis, Math.ceil(shape.at(axis)! / block));
  const x = isTo ? g.tensor(real, shape) : coded(shape);
  const zeroPoint = (): TypedName | undefined => {
    if (g.r.chance(0.2)) return undefined;
    const zeros = allocateData(code, elementCount(parameters));
    const isZero = isFloat(code) || g.r.chance(0.1);
    return isZero
      ? g.give({ dtype: code, shape: parameters, data: zeros }, 0.5)
      : coded(parameters);
  };
  return {
    inputs: [x, scale(g, parameters, real), zeroPoint()],
    attributes: {
      axis: byAxis ? axis : undefined,
      block_size: block === 0 ? undefined : block,
    },
  };
};

const integerProduct: Row = (g, operator) => {
  const [m, k, n] = [g.extent(), g.extent(), g.extent()];
  const [a, b] = [codeType(g), codeType(g)];
  const zero = (dtype: DType, count: number): TypedName | undefined =>
    g.maybe(0.7, () => codes(g, dtype, g.r.chance(0.3) ? [count] : []));
  const [x, w] = [codes(g, a, [m, k]), codes(g, b, [k, n])];
  if (operator === "MatMulInteger") return { inputs: [x, w, zero(a, m), zero(b, n)] };
  return {
    inputs: [
      x,
      w,
      scale(g),
      scale(g, g.r.chance(0.5) ? [n] : []),
      codes(g, a),
      codes(g, b),
      g.maybe(0.5, () => f32(g, n)),
    ],
  };
};

const quantizedConv: Row = (g, operator) => {
  const [c, m, k] = [int(g, 1, 4), int(g, 1, 4), int(g, 1, 3)];
  const [a, b] = [codeType(g), codeType(g)];
  const x = codes(g, a, [int(g, 1, 2), c, k + int(g, 0, 5), k + int(g, 0, 5)]);
  const w = codes(g, b, [m, c, k, k]);
  const attributes = {
    pads: g.maybe(0.5, () => [1, 1, 1, 1]),
    strides: g.maybe(0.4, () => [2, 2]),
  };
  if (operator === "ConvInteger")
    return {
      inputs: [x, w, g.maybe(0.6, () => codes(g, a)), g.maybe(0.6, () => codes(g, b))],
      attributes,
    };
  const bias = g.maybe(0.5, () => g.numbers("i32", [m], -100, 100));
  return {
    inputs: [
      x,
      scale(g),
      codes(g, a),
      w,
      scale(g, g.r.chance(0.5) ? [m] : []),
      codes(g, b),
      scale(g),
      codes(g, a),
      bias,
    ],
    attributes,
  };
};

const quantizedPair: Row = (g) => {
  const dtype = codeType(g);
  const shape = g.shape(0, 4);
  const one = (s: readonly number[]): readonly TypedName[] => [
    codes(g, dtype, s),
    scale(g),
    codes(g, dtype),
  ];
  return { inputs: [...one(shape), ...one(g.like(shape)), scale(g), codes(g, dtype)] };
};

const quantizedFunction: Row = (g, operator) => {
  const dtype = codeType(g);
  const isPool = operator.includes("Pool");
  const x = codes(g, dtype, isPool ? g.shape(4, 4).map((n) => Math.max(2, n)) : g.shape(1, 4));
  return {
    inputs: [x, scale(g), codes(g, dtype), scale(g), codes(g, dtype)],
    attributes: {
      kernel_shape: operator.endsWith("LinearAveragePool") ? [2, 2] : undefined,
      axis: operator.endsWith("Softmax") ? -1 : undefined,
      opset: operator.endsWith("Softmax") ? 13 : undefined,
    },
  };
};

const recurrent: Row = (g, operator) => {
  const gates = { LSTM: 4, GRU: 3, RNN: 1 }[operator]!;
  const [time, batch, inputs, hidden] = [
    g.r.chance(0.05) ? 0 : int(g, 1, 5),
    int(g, 1, 3),
    int(g, 1, 5),
    int(g, 1, 6),
  ];
  const direction = g.r.pick(["forward", "reverse", "bidirectional"]);
  const d = direction === "bidirectional" ? 2 : 1;
  const dtype = g.r.pick(["f32", "f32", "f32", "f16", "f64"] as const);
  const t = (...shape: readonly number[]): TypedName => g.numbers(dtype, shape, -1, 1);
  const state = g.maybe(0.5, () => t(d, batch, hidden));
  const cell =
    operator === "LSTM" ? [state && t(d, batch, hidden), g.maybe(0.3, () => t(d, 3 * hidden))] : [];
  return {
    inputs: [
      t(time, batch, inputs),
      t(d, gates * hidden, inputs),
      t(d, gates * hidden, hidden),
      g.maybe(0.5, () => t(d, 2 * gates * hidden)),
      g.maybe(0.3, () => g.numbers("i32", [batch], Math.min(1, time), time + 1)),
      state,
      ...cell,
    ],
    attributes: {
      hidden_size: hidden,
      direction,
      clip: g.maybe(0.2, () => float(0.5)),
      linear_before_reset: operator === "GRU" ? g.maybe(0.4, () => 1) : undefined,
      input_forget: operator === "LSTM" ? g.maybe(0.2, () => 1) : undefined,
    },
    outputs: int(g, 1, operator === "LSTM" ? 3 : 2),
  };
};

const attention: Row = (g) => {
  const [n, s, t, kv] = [int(g, 1, 2), int(g, 1, 5), int(g, 1, 6), int(g, 1, 3)];
  const q = kv * int(g, 1, 2);
  const [d, e] = [int(g, 1, 9), int(g, 1, 9)];
  const is4d = g.r.chance(0.5);
  const dtype = g.r.pick(["f32", "f32", "f16"] as const);
  const heads = (count: number, length: number, width: number): TypedName =>
    g.tensor(dtype, is4d ? [n, count, length, width] : [n, length, count * width]);
  const past = g.maybe(0.3, () => int(g, 0, 4));
  const total = t + (past ?? 0);
  const mask = g.maybe(0.4, () =>
    g.tensor(g.r.pick(["bool", dtype] as const), g.like([n, q, s, total]).slice(-4)),
  );
  const caches =
    past === undefined
      ? []
      : [g.tensor(dtype, [n, kv, past, d]), g.tensor(dtype, [n, kv, past, e])];
  return {
    inputs: [heads(q, s, d), heads(kv, t, d), heads(kv, t, e), mask, ...caches],
    attributes: {
      ...(is4d ? {} : { q_num_heads: q, kv_num_heads: kv }),
      is_causal: g.maybe(0.4, () => 1),
      scale: g.maybe(0.3, () => float(0.3)),
      softcap: g.maybe(0.2, () => float(2)),
    },
    outputs: past === undefined ? 1 : 3,
  };
};

const rotary: Row = (g, operator) => {
  const [n, heads, s, half] = [int(g, 1, 2), int(g, 1, 3), int(g, 1, 4), int(g, 1, 4)];
  const x = f32(g, n, heads, s, 2 * half);
  const tables = [f32(g, 8, half), f32(g, 8, half)];
  const positions = g.indices([n, s], 8, "i64");
  const attributes = { interleaved: g.maybe(0.5, () => g.r.integer(0, 1)) };
  return {
    inputs: operator.includes("::") ? [x, positions, ...tables] : [x, ...tables, positions],
    attributes,
  };
};

export const layerRows: Readonly<Record<string, Row>> = {
  ...each(
    [
      "QuantizeLinear",
      "DequantizeLinear",
      "com.microsoft::QuantizeLinear",
      "com.microsoft::DequantizeLinear",
    ],
    quantize,
  ),
  ...each(["MatMulInteger", "com.microsoft::MatMulIntegerToFloat"], integerProduct),
  ...each(["ConvInteger", "QLinearConv"], quantizedConv),
  ...each(["com.microsoft::QLinearAdd", "com.microsoft::QLinearMul"], quantizedPair),
  ...each(
    ["LeakyRelu", "Sigmoid", "Softmax", "AveragePool", "GlobalAveragePool"].map(
      (n) => `com.microsoft::QLinear${n}`,
    ),
    quantizedFunction,
  ),
  ...each(["LSTM", "GRU", "RNN"], recurrent),
  ...each(["RotaryEmbedding", "com.microsoft::RotaryEmbedding"], rotary),
  Attention: attention,
  QLinearMatMul(g) {
    const [m, k, n] = [g.extent(), g.extent(), g.extent()];
    const [a, b] = [codeType(g), codeType(g)];
    return {
      inputs: [
        codes(g, a, [m, k]),
        scale(g),
        codes(g, a),
        codes(g, b, [k, n]),
        scale(g),
        codes(g, b),
        scale(g),
        codes(g, a),
      ],
    };
  },
  DynamicQuantizeLinear: (g) => ({ inputs: [g.value("f32")], outputs: 3 }),
  "com.microsoft::DynamicQuantizeMatMul"(g) {
    const [m, k, n] = [g.extent(), g.extent(), g.extent()];
    const b = codeType(g);
    return {
      inputs: [
        f32(g, m, k),
        codes(g, b, [k, n]),
        scale(g),
        g.maybe(0.5, () => codes(g, b)),
        g.maybe(0.4, () => f32(g, n)),
      ],
    };
  },
  "com.microsoft::QGemm"(g) {
    const [m, k, n] = [g.extent(), g.extent(), g.extent()];
    const b = codeType(g);
    return {
      inputs: [
        codes(g, "u8", [m, k]),
        scale(g),
        codes(g, "u8"),
        codes(g, b, [k, n]),
        scale(g),
        codes(g, b),
        undefined,
        scale(g),
        codes(g, "u8"),
      ],
    };
  },
  "com.microsoft::QLinearConcat"(g) {
    const dtype = codeType(g);
    const part = (): readonly TypedName[] => [
      codes(g, dtype, [2, int(g, 1, 4)]),
      scale(g),
      codes(g, dtype),
    ];
    return { inputs: [scale(g), codes(g, dtype), ...part(), ...part()], attributes: { axis: 1 } };
  },
  "com.microsoft::MatMulNBits"(g) {
    const [k, n] = [g.r.pick([16, 32, 40]), int(g, 1, 8)];
    const blocks = Math.ceil(k / 16);
    return {
      inputs: [
        f32(g, int(g, 1, 3), k),
        g.numbers("u8", [n, blocks, 8], 0, 255),
        scale(g, [n * blocks]),
      ],
      attributes: { K: k, N: n, bits: 4, block_size: 16 },
    };
  },
  "com.microsoft::GatherBlockQuantized": (g) => ({
    inputs: [
      g.numbers("u8", [6, 16], 0, 255),
      g.indices(g.shape(0, 2), 6, "i64"),
      scale(g, [6, 2]),
    ],
    attributes: { gather_axis: 0, quantize_axis: 1, block_size: 16, bits: 4 },
  }),
  "com.microsoft::Attention"(g) {
    const [n, s, heads, d] = [int(g, 1, 2), int(g, 1, 5), int(g, 1, 3), int(g, 1, 6)];
    const hidden = heads * d;
    return {
      inputs: [f32(g, n, s, hidden), f32(g, hidden, 3 * hidden), f32(g, 3 * hidden)],
      attributes: { num_heads: heads, unidirectional: g.maybe(0.5, () => 1) },
    };
  },
  "com.microsoft::QAttention"(g) {
    const [n, s, heads, d] = [int(g, 1, 2), int(g, 1, 4), int(g, 1, 2), int(g, 1, 4)];
    const hidden = heads * d;
    return {
      inputs: [
        codes(g, "u8", [n, s, hidden]),
        codes(g, "i8", [hidden, 3 * hidden]),
        f32(g, 3 * hidden),
        scale(g),
        scale(g),
      ],
      attributes: { num_heads: heads },
    };
  },
  "com.microsoft::MultiHeadAttention"(g) {
    const [n, s, t, heads, d] = [
      int(g, 1, 2),
      int(g, 1, 4),
      int(g, 1, 5),
      int(g, 1, 3),
      int(g, 1, 6),
    ];
    return {
      inputs: [f32(g, n, s, heads * d), f32(g, n, t, heads * d), f32(g, n, t, heads * d)],
      attributes: { num_heads: heads, scale: g.maybe(0.3, () => float(0.2)) },
    };
  },
  "com.microsoft::GroupQueryAttention"(g) {
    const [n, s, past, kv, d] = [
      int(g, 1, 2),
      int(g, 1, 4),
      int(g, 0, 3),
      int(g, 1, 2),
      2 * int(g, 1, 4),
    ];
    const heads = kv * int(g, 1, 2);
    const cache = (): TypedName => f32(g, n, kv, past, d);
    const total = past + s;
    return {
      inputs: [
        f32(g, n, s, heads * d),
        f32(g, n, s, kv * d),
        f32(g, n, s, kv * d),
        ...(past === 0 ? [undefined, undefined] : [cache(), cache()]),
        g.ints(new Array<number>(n).fill(total - 1), "i32"),
        g.scalar("i32", total),
      ],
      attributes: {
        num_heads: heads,
        kv_num_heads: kv,
        local_window_size: g.maybe(0.3, () => int(g, 1, 4)),
      },
      outputs: 3,
    };
  },
  "com.microsoft::EmbedLayerNormalization"(g) {
    const [n, s, hidden] = [int(g, 1, 2), int(g, 1, 4), int(g, 1, 8)];
    return {
      inputs: [
        g.numbers("i32", [n, s], 0, 9),
        g.numbers("i32", [n, s], 0, 2),
        f32(g, 9, hidden),
        f32(g, 6, hidden),
        f32(g, 2, hidden),
        f32(g, hidden),
        f32(g, hidden),
      ],
      outputs: 2,
    };
  },
  "ai.onnx.preview::FlexAttention"(g) {
    const [n, heads, s, t, d] = [
      int(g, 1, 2),
      int(g, 1, 3),
      int(g, 1, 4),
      int(g, 1, 4),
      int(g, 1, 6),
    ];
    return { inputs: [f32(g, n, heads, s, d), f32(g, n, heads, t, d), f32(g, n, heads, t, d)] };
  },
};
