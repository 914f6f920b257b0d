/** Rows of operators that work element by element, or over axes: arithmetic, logic, reductions, normalizations. */
import { each, float, type Generator, type NodeDraft, type Row } from "./generator.js";

const unary: Row = (g) => ({ inputs: [g.valueOf(() => g.float())] });

const signed: Row = (g) => ({
  inputs: [
    g.valueOf(() => (g.r.chance(0.7) ? g.float() : g.r.pick(["i32", "i64", "i8", "i16"] as const))),
  ],
});

function pairOf(g: Generator, x = g.valueOf(() => g.number())): NodeDraft {
  const other = g.tensor(x.dtype, g.like(x.shape));
  return { inputs: g.r.chance(0.5) ? [x, other] : [other, x] };
}

const pair: Row = (g) => pairOf(g);
const truthPair: Row = (g) => pairOf(g, g.value("bool"));
const integerPair: Row = (g) =>
  pairOf(
    g,
    g.valueOf(() => g.integer()),
  );

const several: Row = (g) => {
  const first = g.valueOf(() => g.number());
  const more = Array.from({ length: g.r.integer(0, 3) }, () =>
    g.tensor(first.dtype, g.like(first.shape)),
  );
  return { inputs: [first, ...more] };
};

const reduction: Row = (g, operator) => {
  const x = g.valueOf(() => g.number());
  const axes = g.maybe(0.8, () => g.axes(x.shape.length));
  const asInput = g.opset >= (operator === "ReduceSum" ? 13 : 18);
  const attributes = { keepdims: g.maybe(0.6, () => g.r.integer(0, 1)) };
  if (asInput) {
    const noop = g.maybe(0.2, () => 1);
    return {
      inputs: [x, axes && g.ints(axes)],
      attributes: { ...attributes, noop_with_empty_axes: noop },
    };
  }
  return { inputs: [x], attributes: { ...attributes, ...(axes?.length ? { axes } : {}) } };
};

const position: Row = (g) => {
  const x = g.valueOf(() => g.number(), 1);
  return {
    inputs: [x],
    attributes: {
      axis: g.maybe(0.8, () => g.axis(x.shape.length)),
      keepdims: g.maybe(0.5, () => g.r.integer(0, 1)),
      select_last_index: g.opset >= 12 ? g.maybe(0.3, () => 1) : undefined,
    },
  };
};

const alongAxis: Row = (g) => {
  const x = g.valueOf(() => g.float(), 1);
  return { inputs: [x], attributes: { axis: g.maybe(0.7, () => g.axis(x.shape.length)) } };
};

const running: Row = (g) => {
  const x = g.valueOf(() => g.number(), 1);
  const attributes = {
    exclusive: g.maybe(0.5, () => g.r.integer(0, 1)),
    reverse: g.maybe(0.5, () => g.r.integer(0, 1)),
  };
  return { inputs: [x, g.scalar(g.index(), g.axis(x.shape.length))], attributes };
};

/** A float function with parameters, each given or not. */
function parameterized(...names: readonly string[]): Row {
  return (g) => ({
    inputs: [g.valueOf(() => g.float())],
    attributes: Object.fromEntries(
      names.map((name) => [name, g.maybe(0.6, () => float(g.r.pick([0.5, 1, 2, -0.25, 0.1])))]),
    ),
  });
}

const channels = (g: Generator, n: number, dtype = g.float()) => g.numbers(dtype, [n], 0.2, 2);

const byChannel: Row = (g, operator) => {
  const x = g.value(g.float(), operator === "GroupNormalization" ? 3 : 2);
  const n = x.shape[1]!;
  if (operator === "GroupNormalization") {
    const groups = g.r.pick([1, 2, 3, n].filter((count) => n % count === 0 && count > 0));
    const parameters = g.opset >= 21 ? n : groups;
    return {
      inputs: [x, channels(g, parameters, x.dtype), channels(g, parameters, x.dtype)],
      attributes: { num_groups: groups, epsilon: g.maybe(0.3, () => float(1e-2)) },
    };
  }
  const count = operator === "InstanceNormalization" ? 2 : 4;
  return {
    inputs: [x, ...Array.from({ length: count }, () => channels(g, n, x.dtype))],
    attributes: { epsilon: g.maybe(0.3, () => float(1e-2)) },
  };
};

const lastAxes: Row = (g, operator) => {
  const x = g.value(g.float(), 1);
  const axis = g.axis(x.shape.length);
  const shape = x.shape.slice(axis < 0 ? axis + x.shape.length : axis);
  const bias =
    operator === "LayerNormalization" ? g.maybe(0.5, () => g.tensor(x.dtype, shape)) : undefined;
  return {
    inputs: [x, g.tensor(x.dtype, shape), bias],
    attributes: { axis, epsilon: g.maybe(0.3, () => float(1e-3)) },
    outputs: operator === "LayerNormalization" ? g.r.pick([1, 1, 3]) : 1,
  };
};

const skipNorm: Row = (g, operator) => {
  const dtype = g.r.pick(["f32", "f32", "f16"] as const);
  const x = g.tensor(dtype, g.shape(3, 3));
  const hidden = [x.shape[2]!];
  const beta = operator.includes("Simplified") ? [] : [g.maybe(0.6, () => g.tensor(dtype, hidden))];
  return {
    inputs: [
      x,
      g.tensor(dtype, x.shape),
      g.tensor(dtype, hidden),
      ...beta,
      g.maybe(0.4, () => g.tensor(dtype, hidden)),
    ],
  };
};

const loss: Row = (g, operator) => {
  const scores = g.value(g.float(), 2, 4);
  const [n, classes, ...rest] = scores.shape as [number, number, ...number[]];
  return {
    inputs: [
      scores,
      g.numbers(g.index(), [n, ...rest], 0, Math.max(1, classes)),
      g.maybe(0.4, () => channels(g, classes, scores.dtype)),
    ],
    attributes: {
      reduction: g.maybe(0.8, () => g.r.pick(["none", "sum", "mean"])),
      ignore_index: g.maybe(0.3, () => g.r.integer(-1, 2)),
    },
    outputs: operator === "SoftmaxCrossEntropyLoss" ? g.r.integer(1, 2) : 1,
  };
};

const optimizer: Row = (g, operator) => {
  const dtype = g.r.pick(["f32", "f64"] as const);
  const x = g.tensor(dtype, g.shape());
  const roles = operator.endsWith("Adam") ? 4 : 3;
  const own = Array.from({ length: roles - 1 }, () => g.numbers(dtype, x.shape, 0.1, 2));
  return {
    inputs: [g.scalar("f32", 1), g.scalar("i64", g.r.integer(0, 3)), x, ...own],
    attributes: {
      norm_coefficient: g.maybe(0.5, () => float(0.1)),
      epsilon: float(1e-3),
      ...(operator.endsWith("Momentum")
        ? {
            alpha: float(0.9),
            beta: float(1),
            mode: g.r.pick(["standard", "nesterov"]),
            norm_coefficient: float(0.1),
          }
        : {}),
    },
    outputs: roles - 1,
  };
};

export const elementwiseRows: Readonly<Record<string, Row>> = {
  ...each(
    [
      "Acos",
      "Acosh",
      "Asin",
      "Asinh",
      "Atan",
      "Atanh",
      "Ceil",
      "Cos",
      "Cosh",
      "Erf",
      "Exp",
      "Floor",
    ],
    unary,
  ),
  ...each(
    [
      "HardSwish",
      "IsNaN",
      "Log",
      "Mish",
      "Reciprocal",
      "Round",
      "Sigmoid",
      "Sin",
      "Sinh",
      "Softplus",
    ],
    unary,
  ),
  ...each(["Softsign", "Sqrt", "Tan", "Tanh", "com.microsoft::QuickGelu"], unary),
  ...each(["Neg", "Sign", "Relu"], signed),
  Abs: (g) => ({ inputs: [g.valueOf(() => g.number())] }),
  ...each(["Add", "Sub", "Mul", "Div", "Pow"], pair),
  ...each(["Less", "LessOrEqual", "Greater", "GreaterOrEqual"], pair),
  ...each(["And", "Or", "Xor"], truthPair),
  ...each(["BitwiseAnd", "BitwiseOr", "BitwiseXor"], integerPair),
  ...each(["Max", "Min", "Mean", "Sum"], several),
  ...each(
    ["L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare"].map(
      (n) => `Reduce${n}`,
    ),
    reduction,
  ),
  ...each(["ArgMax", "ArgMin"], position),
  ...each(["Softmax", "LogSoftmax", "Hardmax"], alongAxis),
  ...each(["CumSum", "CumProd"], running),
  ...each(["BatchNormalization", "InstanceNormalization", "GroupNormalization"], byChannel),
  ...each(["LayerNormalization", "RMSNormalization", "SimplifiedLayerNormalization"], lastAxes),
  ...each(
    ["SkipLayerNormalization", "SkipSimplifiedLayerNormalization"].map(
      (n) => `com.microsoft::${n}`,
    ),
    skipNorm,
  ),
  ...each(["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"], loss),
  ...each(
    ["Adagrad", "Adam", "Momentum"].map((n) => `ai.onnx.preview.training::${n}`),
    optimizer,
  ),
  Celu: parameterized("alpha"),
  Elu: parameterized("alpha"),
  HardSigmoid: parameterized("alpha", "beta"),
  LeakyRelu: parameterized("alpha"),
  Selu: parameterized("alpha", "gamma"),
  Shrink: parameterized("lambd", "bias"),
  Swish: parameterized("alpha"),
  ThresholdedRelu: parameterized("alpha"),
  Gelu: (g) => ({
    inputs: [g.value(g.float())],
    attributes: { approximate: g.maybe(0.6, () => g.r.pick(["none", "tanh"])) },
  }),
  "com.microsoft::Gelu": unary,
  "com.microsoft::FastGelu": (g) => biased(g, 0.5),
  "com.microsoft::BiasGelu": (g) => biased(g, 1),
  BitwiseNot: (g) => ({ inputs: [g.value(g.integer())] }),
  Not: (g) => ({ inputs: [g.value("bool")] }),
  Equal: (g) =>
    pairOf(
      g,
      g.valueOf(() => g.any()),
    ),
  IsInf: (g) => ({
    inputs: [g.value(g.float())],
    attributes: {
      detect_negative: g.maybe(0.5, () => g.r.integer(0, 1)),
      detect_positive: g.maybe(0.5, () => g.r.integer(0, 1)),
    },
  }),
  BitShift(g) {
    const x = g.value(g.r.pick(["u8", "u16", "u32", "u64"] as const));
    const by = g.numbers(x.dtype, g.like(x.shape), 0, 9);
    return { inputs: [x, by], attributes: { direction: g.r.pick(["LEFT", "RIGHT"]) } };
  },
  Mod(g) {
    const x = g.value(g.number());
    const fmod = ["f32", "f16", "f64", "bf16"].includes(x.dtype) ? 1 : g.r.integer(0, 1);
    return { inputs: [x, g.numbers(x.dtype, g.like(x.shape), 1, 5)], attributes: { fmod } };
  },
  PRelu(g) {
    const x = g.value(g.number());
    return { inputs: [x, g.tensor(x.dtype, g.like(x.shape))] };
  },
  Clip(g) {
    const x = g.value(g.number());
    if (g.opset < 11) return { inputs: [x], attributes: { min: float(-0.5), max: float(1) } };
    const limit = (low: number) => g.maybe(0.7, () => g.numbers(x.dtype, [], low, low + 1));
    return { inputs: [x, limit(0), limit(1)] };
  },
  Where(g) {
    const x = g.value(g.any());
    return { inputs: [g.tensor("bool", g.like(x.shape)), x, g.tensor(x.dtype, g.like(x.shape))] };
  },
  LpNormalization(g) {
    const x = g.value(g.float(), 1);
    return {
      inputs: [x],
      attributes: { axis: g.axis(x.shape.length), p: g.r.integer(1, 2) },
    };
  },
  MeanVarianceNormalization(g) {
    const x = g.value(g.float(), 4, 4);
    return { inputs: [x], attributes: { axes: g.maybe(0.5, () => g.axes(4)) } };
  },
  LRN: (g) => ({
    inputs: [g.value(g.float(), 3, 4)],
    attributes: { size: g.r.pick([1, 3, 5]), alpha: g.maybe(0.5, () => float(0.01)) },
  }),
  SwiGLU(g) {
    const x = g.value(g.float(), 1);
    return { inputs: [x, g.tensor(x.dtype, x.shape)] };
  },
  Dropout(g) {
    const x = g.value(g.float());
    return {
      inputs: [x, g.opset >= 12 ? g.maybe(0.5, () => g.scalar("f32", 0.5)) : undefined],
      outputs: g.r.integer(1, 2),
    };
  },
  "ai.onnx.ml::Binarizer": parameterized("threshold"),
  "ai.onnx.ml::Imputer"(g) {
    const x = g.value("f32", 2, 2);
    const count = g.r.chance(0.5) ? 1 : x.shape[1]!;
    return {
      inputs: [x],
      attributes: {
        imputed_value_floats: { floats: Array.from({ length: count }, () => 7) },
        replaced_value_float: float(1),
      },
    };
  },
  "ai.onnx.ml::LinearRegressor"(g) {
    const x = g.value("f32", 2, 2);
    const targets = g.r.integer(1, 3);
    const coefficients = Array.from({ length: targets * x.shape[1]! }, () => g.r.unit());
    return {
      inputs: [x],
      attributes: {
        targets,
        coefficients: { floats: coefficients },
        intercepts: { floats: Array.from({ length: targets }, () => 1) },
      },
    };
  },
  "ai.onnx.ml::FeatureVectorizer"(g) {
    const rows = g.r.integer(0, 3);
    const widths = Array.from({ length: g.r.integer(1, 3) }, () => g.r.integer(1, 4));
    return {
      inputs: widths.map((width) => g.tensor("f32", [rows, width])),
      attributes: { inputdimensions: widths },
    };
  },
  "ai.onnx.ml::OneHotEncoder": (g) => ({
    inputs: [g.numbers(g.r.pick(["i64", "i32", "f32"] as const), g.shape(0, 3), 0, 4)],
    attributes: { cats_int64s: [0, 1, 2], zeros: g.maybe(0.7, () => 1) },
  }),
  "ai.onnx.ml::Normalizer": (g) => ({
    inputs: [g.value(g.r.pick(["f32", "i64", "i32"] as const), 1, 2)],
    attributes: { norm: g.r.pick(["MAX", "L1", "L2"]) },
  }),
  "ai.onnx.ml::Scaler"(g) {
    const x = g.value(g.r.pick(["f32", "i64"] as const), 2, 2);
    const list = { floats: Array.from({ length: x.shape[1]! }, () => g.r.unit() + 0.5) };
    return { inputs: [x], attributes: { offset: list, scale: list } };
  },
};

function biased(g: Generator, chance: number): NodeDraft {
  const x = g.value(g.r.pick(["f32", "f16"] as const), 1);
  return { inputs: [x, g.maybe(chance, () => g.tensor(x.dtype, x.shape.slice(-1)))] };
}
