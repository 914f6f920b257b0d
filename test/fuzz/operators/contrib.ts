/** Rows of operators that ONNX Runtime's optimizer and converters make, and of classical models. */
import type { DType } from "../../../src/numerics/dtype.js";
import {
  each,
  float,
  type Generator,
  type NodeDraft,
  type Row,
  type TypedName,
} from "./generator.js";

const int = (g: Generator, low: number, high: number): number => g.r.integer(low, high);
const real = (g: Generator): DType => g.r.pick(["f32", "f32", "f16"] as const);
const code = (g: Generator): DType => g.r.pick(["u8", "i8"] as const);
const codes = (g: Generator, dtype: DType, shape: readonly number[] = []): TypedName =>
  g.numbers(dtype, shape, dtype === "i8" ? -60 : 0, dtype === "i8" ? 60 : 255);
const scale = (g: Generator): TypedName => g.numbers("f32", [], 0.01, 0.5);

/** Codes, their scale and zero point. */
const coded = (g: Generator, dtype: DType, shape: readonly number[]): readonly TypedName[] => [
  codes(g, dtype, shape),
  scale(g),
  codes(g, dtype),
];

/** An image with channels last; so are those of the kernels, unless the node is fused. */
const channelsLastConv: Row = (g, operator) => {
  const [c, m, k] = [int(g, 1, 4), int(g, 1, 4), int(g, 1, 3)];
  const size = (): number => k + int(g, 0, 4);
  return {
    inputs: [
      g.tensor("f32", [int(g, 1, 2), size(), size(), c]),
      g.tensor("f32", operator.endsWith("FusedConv") ? [m, c, k, k] : [m, k, k, c]),
      g.maybe(0.5, () => g.tensor("f32", [m])),
    ],
    attributes: {
      pads: g.maybe(0.4, () => [1, 0, 1, 0]),
      strides: g.maybe(0.4, () => [2, 1]),
      activation: operator.endsWith("FusedConv") ? g.maybe(0.8, () => "Relu") : undefined,
    },
  };
};

const groupNorm: Row = (g, operator) => {
  const groups = int(g, 1, 3);
  const channels = groups * int(g, 1, 3);
  const shape = [int(g, 1, 2), int(g, 1, 4), int(g, 1, 4), channels];
  const dtype = real(g);
  const parameter = (): TypedName => g.numbers("f32", [channels], 0.2, 2);
  const skip = operator.includes("Skip")
    ? [g.tensor(dtype, shape), g.maybe(0.5, () => g.tensor(dtype, [channels]))]
    : [];
  return {
    inputs: [g.tensor(dtype, shape), parameter(), parameter(), ...skip],
    attributes: { groups, activation: int(g, 0, 1), epsilon: g.maybe(0.4, () => float(1e-2)) },
  };
};

const fourier: Row = (g, operator) => {
  const n = 2 * int(g, 1, 5);
  const shape = [
    ...g.shape(0, 1).map((e) => Math.min(e, 3)),
    ...(operator.endsWith("Irfft") ? [n / 2 + 1, 2] : [n]),
  ];
  return {
    inputs: [g.tensor("f32", shape)],
    attributes: { normalized: 0, onesided: 1, signal_ndim: 1 },
  };
};

const halves: Row = (g, operator) => {
  const dtype = real(g);
  const [n, s, c] = [int(g, 1, 2), int(g, 1, 4), int(g, 1, 6)];
  const width = operator.endsWith("SplitGelu") ? 2 * c : c;
  const x = g.tensor(dtype, [n, s, width]);
  const bias = g.tensor(dtype, [width]);
  return { inputs: operator.endsWith("BiasAdd") ? [x, bias, g.tensor(dtype, x.shape)] : [x, bias] };
};

/** Scores of classes or targets from rows of features. */
function classified(g: Generator, operator: string): NodeDraft {
  const [classes, features, vectors] = [int(g, 2, 3), int(g, 1, 4), int(g, 1, 4)];
  const floats = (count: number): { readonly floats: readonly number[] } => ({
    floats: Array.from({ length: count }, () => g.r.unit() * 2 - 1),
  });
  const x = g.tensor(g.r.pick(["f32", "i64", "f64"] as const), [int(g, 0, 4), features]);
  const transform = g.maybe(0.4, () => g.r.pick(["NONE", "SOFTMAX", "LOGISTIC"]));
  if (operator.endsWith("LinearClassifier")) {
    return {
      inputs: [x],
      attributes: {
        coefficients: floats(classes * features),
        intercepts: floats(classes),
        classlabels_ints: Array.from({ length: classes }, (_, i) => i),
        post_transform: transform,
      },
      outputs: 2,
    };
  }
  return {
    inputs: [x],
    attributes: {
      coefficients: floats(vectors),
      support_vectors: floats(vectors * features),
      n_supports: vectors,
      rho: floats(1),
      kernel_type: g.r.pick(["LINEAR", "RBF", "POLY", "SIGMOID"]),
      kernel_params: { floats: [0.5, 1, 2] },
    },
  };
}

export const contribRows: Readonly<Record<string, Row>> = {
  ...each(
    ["NhwcConv", "NhwcFusedConv"].map((n) => `com.microsoft::${n}`),
    channelsLastConv,
  ),
  ...each(
    ["GroupNorm", "SkipGroupNorm"].map((n) => `com.microsoft::${n}`),
    groupNorm,
  ),
  ...each(
    ["Rfft", "Irfft"].map((n) => `com.microsoft::${n}`),
    fourier,
  ),
  ...each(
    ["BiasAdd", "BiasSplitGelu"].map((n) => `com.microsoft::${n}`),
    halves,
  ),
  ...each(
    ["LinearClassifier", "SVMRegressor"].map((n) => `ai.onnx.ml::${n}`),
    classified,
  ),
  "ai.onnx.ml::ZipMap"(g) {
    const classes = int(g, 1, 4);
    return {
      inputs: [g.tensor("f32", [int(g, 0, 3), classes])],
      attributes: { classlabels_int64s: Array.from({ length: classes }, (_, i) => i) },
    };
  },
  "com.microsoft::NhwcMaxPool": (g) => ({
    inputs: [codes(g, code(g), [int(g, 1, 2), int(g, 2, 6), int(g, 2, 6), int(g, 1, 4)])],
    attributes: { kernel_shape: [2, 2], strides: g.maybe(0.5, () => [2, 1]) },
  }),
  "com.microsoft::QLinearReduceMean"(g) {
    const dtype = code(g);
    const shape = g.shape(1, 4);
    return {
      inputs: [...coded(g, dtype, shape), scale(g), codes(g, dtype)],
      attributes: { axes: [g.axis(shape.length)], keepdims: int(g, 0, 1) },
    };
  },
  "com.microsoft::QLinearConv"(g) {
    const [c, m, k] = [int(g, 1, 3), int(g, 1, 3), int(g, 1, 2)];
    const [a, b] = [code(g), code(g)];
    return {
      inputs: [
        ...coded(g, a, [1, k + int(g, 0, 3), k + int(g, 0, 3), c]),
        ...coded(g, b, [m, c, k, k]),
        scale(g),
        codes(g, a),
      ],
      attributes: { channels_last: 1 },
    };
  },
  "com.microsoft::QLinearWhere"(g) {
    const dtype = code(g);
    const shape = g.shape(0, 3);
    return {
      inputs: [
        g.tensor("bool", g.like(shape)),
        ...coded(g, dtype, shape),
        ...coded(g, dtype, g.like(shape)),
        scale(g),
        codes(g, dtype),
      ],
    };
  },
  "com.microsoft::MulInteger"(g) {
    const dtype = code(g);
    const shape = g.shape(0, 3);
    return {
      inputs: [
        codes(g, dtype, shape),
        codes(g, dtype),
        codes(g, dtype, g.like(shape)),
        codes(g, dtype),
      ],
    };
  },
  "com.microsoft::BiasSoftmax"(g) {
    const x = g.tensor(real(g), g.shape(2, 4));
    const axis = x.shape.length - 1;
    return {
      inputs: [x, g.tensor(x.dtype, [...x.shape.slice(0, -1).map(() => 1), x.shape.at(-1)!])],
      attributes: { axis, is_inner_broadcast: 0 },
    };
  },
  "com.microsoft::GemmFastGelu"(g) {
    const [m, k, n] = [g.extent(), g.extent(), g.extent()];
    const dtype = real(g);
    return {
      inputs: [
        g.tensor(dtype, [m, k]),
        g.tensor(dtype, [k, n]),
        g.maybe(0.5, () => g.tensor(dtype, [n])),
      ],
    };
  },
  "com.microsoft::CDist"(g) {
    const dtype = g.r.pick(["f32", "f64"] as const);
    const k = int(g, 1, 6);
    return {
      inputs: [g.tensor(dtype, [int(g, 1, 5), k]), g.tensor(dtype, [int(g, 1, 5), k])],
      attributes: { metric: g.r.pick(["euclidean", "sqeuclidean"]) },
    };
  },
  "com.microsoft::UnfoldTensor"(g) {
    const x = g.tensor(
      g.number(),
      g.shape(1, 3).map((n) => n + 1),
    );
    return {
      inputs: [x],
      attributes: { dim: g.axis(x.shape.length), size: int(g, 1, 2), step: int(g, 1, 3) },
    };
  },
  "com.microsoft::MoE"(g) {
    const [rows, hidden, experts, inner] = [int(g, 1, 4), int(g, 1, 6), int(g, 1, 4), int(g, 1, 6)];
    return {
      inputs: [
        g.tensor("f32", [rows, hidden]),
        g.tensor("f32", [rows, experts]),
        g.tensor("f32", [experts, inner, hidden]),
        undefined,
        g.tensor("f32", [experts, hidden, inner]),
      ],
      attributes: { k: int(g, 1, experts), activation_type: g.r.pick(["relu", "gelu", "silu"]) },
    };
  },
};
