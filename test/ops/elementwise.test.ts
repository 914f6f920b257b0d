/** Elementwise operators, casts and activations against ONNX Runtime. */
import { describe, test } from "vitest";
import type { DType } from "../../src/numerics/dtype.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const special = tensorOf("f32", [8], [Number.NaN, Infinity, -Infinity, 0, -0, 1e-40, 3e38, -1.5]);

const specialNumbers = [Number.NaN, Infinity, -Infinity, 0, -0, 1e-40, 3e38, -1.5, -7e-45];

const domains: Readonly<Record<string, readonly [number, number]>> = {
  Log: [0.01, 50],
  Sqrt: [0, 100],
  Asin: [-1, 1],
  Acos: [-1, 1],
  Acosh: [1, 20],
  Atanh: [-0.99, 0.99],
  Reciprocal: [0.1, 5],
  Exp: [-20, 20],
};

const functions: readonly OperatorCase[] = [
  ...["Exp", "Log", "Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Tanh"],
  ...["Asinh", "Acosh", "Atanh", "Sigmoid", "Erf", "Abs", "Neg", "Sqrt", "Reciprocal"],
  ...["Floor", "Ceil", "Round", "Sign"],
].map((op) => ({ op, inputs: [numbers("f32", [3, 97], domains[op] ?? [-6, 6])] }));

const unaryTypes: readonly OperatorCase[] = [
  ...(["i8", "i32", "i64", "f64"] as const).flatMap((dtype) =>
    ["Abs", "Neg", "Sign"].map((op) => ({
      op,
      about: dtype,
      inputs: [numbers(dtype, [20], [-128, 127])],
    })),
  ),
  { op: "Abs", about: "u8", inputs: [numbers("u8", [20], [0, 255])] },
  { op: "Abs", about: "u32", inputs: [numbers("u32", [20], [0, 2 ** 32 - 1])] },
  { op: "Abs", about: "u64", inputs: [numbers("u64", [20], [0, 2 ** 64 - 2 ** 11])] },
  { op: "Round", about: "ties", inputs: [tensorOf("f32", [6], [0.5, 1.5, -0.5, -2.5, 2.5, 3])] },
  { op: "IsNaN", inputs: [special], outputs: ["bool"] },
  { op: "IsInf", inputs: [special], outputs: ["bool"] },
  {
    op: "IsInf",
    about: "negative only",
    inputs: [special],
    outputs: ["bool"],
    attributes: { detect_positive: 0 },
  },
  {
    op: "IsInf",
    about: "none",
    inputs: [special],
    outputs: ["bool"],
    attributes: { detect_positive: 0, detect_negative: 0 },
  },
  { op: "Relu", about: "special values", inputs: [special] },
  { op: "Not", inputs: [numbers("bool", [9], [0, 1])] },
  { op: "BitwiseNot", inputs: [numbers("i32", [9], [-1000, 1000])] },
];

function pair(op: string, dtype: DType, rest: Partial<OperatorCase> = {}): OperatorCase {
  const span: [number, number] = dtype.startsWith("u") ? [1, 120] : [-120, 120];
  return {
    op,
    about: dtype,
    inputs: [numbers(dtype, [2, 3, 4], span, 2), numbers(dtype, [3, 1], span, 3)],
    ...rest,
  };
}

const arithmetic: readonly OperatorCase[] = (
  ["f32", "f64", "i32", "i64", "u32", "u64", "i8", "u8", "i16", "u16"] as const
).flatMap((dtype) => ["Add", "Sub", "Mul", "Div"].map((op) => pair(op, dtype)));

const comparisons: readonly OperatorCase[] = [
  ...["Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual"].flatMap((op) =>
    (["f32", "i32", "i64"] as const).map((dtype) => pair(op, dtype, { outputs: ["bool"] })),
  ),
  {
    op: "Equal",
    about: "special values",
    inputs: [special, special],
    outputs: ["bool"],
  },
  ...["And", "Or", "Xor"].map((op) => ({
    op,
    inputs: [numbers("bool", [4, 3], [0, 1]), numbers("bool", [3], [0, 1], 5)],
  })),
  ...["BitwiseAnd", "BitwiseOr", "BitwiseXor"].flatMap((op) =>
    (["u8", "i32", "i64"] as const).map((dtype) => pair(op, dtype)),
  ),
];

const shifted = [numbers("u32", [9], [0, 4e9]), numbers("u32", [9], [0, 31], 4)];

const mixed: readonly OperatorCase[] = [
  { op: "BitShift", about: "left", attributes: { direction: "LEFT" }, inputs: shifted },
  { op: "BitShift", about: "right", attributes: { direction: "RIGHT" }, inputs: shifted },
  {
    op: "BitShift",
    about: "right, uint64",
    attributes: { direction: "RIGHT" },
    inputs: [
      tensorOf("u64", [8], new Array(8).fill(2 ** 63 + 2 ** 40)),
      tensorOf("u64", [8], [0, 1, 30, 31, 32, 40, 62, 63]),
    ],
  },
  ...["LEFT", "RIGHT"].map((direction) => ({
    op: "BitShift",
    about: `${direction}, by more bits than there are`,
    attributes: { direction },
    inputs: [numbers("u8", [9], [0, 255]), numbers("u8", [9], [0, 70], 4)],
  })),
  {
    op: "Pow",
    about: "far beyond 64 bits",
    lowered: true,
    inputs: [
      tensorOf("i32", [3], [1, -1, 0]),
      tensorOf("i64", [3], [2 ** 52, 2 ** 52 + 1, 2 ** 40]),
    ],
  },
  pair("Mod", "i32"),
  pair("Mod", "i64"),
  pair("Mod", "u8"),
  pair("Mod", "i32", { about: "fmod i32", attributes: { fmod: 1 } }),
  ...(["f32", "f16", "f64"] as const).map((dtype) =>
    pair("Mod", dtype, {
      about: `fmod ${dtype}`,
      attributes: { fmod: 1 },
      lowered: dtype !== "f64",
      tolerance: 0,
    }),
  ),
  {
    op: "Mod",
    about: "fmod, special values",
    attributes: { fmod: 1 },
    inputs: [tensorOf("f32", [9, 1], specialNumbers), tensorOf("f32", [9], specialNumbers)],
    lowered: true,
    tolerance: 0,
  },
  ...(["i8", "i16", "i32", "u8", "u16"] as const).flatMap((dtype) =>
    [0, 1].map((fmod) =>
      pair("Mod", dtype, { about: `${dtype}, fmod ${fmod}`, attributes: { fmod }, lowered: true }),
    ),
  ),
  ...(["i32", "i64"] as const).map(
    (dtype): OperatorCase => ({
      op: "Pow",
      about: `i32 to the power of ${dtype}`,
      inputs: [
        tensorOf("i32", [7, 1], [0, 1, -1, 2, -3, 7, 12]),
        tensorOf(dtype, [8], [0, 1, 2, 3, 5, 6, 7, 8]),
      ],
      lowered: true,
    }),
  ),
  ...(["f32", "f64"] as const).map(
    (dtype): OperatorCase => ({
      op: "Pow",
      about: `i32 to whole constants of ${dtype}`,
      inputs: [
        tensorOf("i32", [6, 1], [1, -1, 2, -3, 7, 12]),
        tensorOf(dtype, [8], [0, 1, 2, -3, 5, 6, 7, 8]),
      ],
      constant: [1],
      lowered: true,
    }),
  ),
  {
    op: "Pow",
    about: "i32 to whole numbers of f32 that come with the run",
    inputs: [tensorOf("i32", [3], [1, 2, 3]), tensorOf("f32", [3], [4, 5, 6])],
    lowered: true,
  },
  {
    op: "Pow",
    about: "i32 to fractions of f32 that come with the run",
    inputs: [tensorOf("i32", [3], [1, 4, 9]), tensorOf("f32", [3], [0.5, 0.5, 1.5])],
    lowered: false,
  },
  {
    op: "Pow",
    about: "of nothing",
    inputs: [tensorOf("i32", [0, 3], []), tensorOf("i32", [3], [1, 2, 3])],
    lowered: true,
  },
  ...[2, 3, 0.5, -1, 0, 1].map((exponent) => ({
    op: "Pow",
    about: `to ${exponent}`,
    constant: [1],
    inputs: [numbers("f32", [30], [0.1, 9]), tensorOf("f32", [], [exponent])],
  })),
  ...[2, 0.5, 1.5].map((exponent) => ({
    op: "Pow",
    about: `of f16 to ${exponent}`,
    constant: [1],
    inputs: [numbers("f16", [30], [0.1, 9]), tensorOf("f16", [], [exponent])],
  })),
  {
    op: "Pow",
    about: "half of special values",
    constant: [1],
    inputs: [special, tensorOf("f32", [1], [0.5])],
  },
  {
    op: "Pow",
    about: "tensor exponent",
    inputs: [numbers("f32", [5, 6], [0.1, 4]), numbers("f32", [6], [-3, 3])],
  },
  {
    op: "Pow",
    about: "i32 to i32",
    lowered: false,
    inputs: [numbers("i32", [9], [-9, 9]), numbers("i32", [9], [0, 5], 2)],
  },
  {
    op: "Pow",
    about: "f32 to i64",
    inputs: [numbers("f32", [9]), numbers("i64", [9], [-3, 5], 2)],
  },
  {
    op: "Pow",
    about: "i64 to f32",
    lowered: false,
    inputs: [numbers("i64", [9], [0, 9]), numbers("f32", [9], [0, 3], 2)],
  },
  {
    op: "Clip",
    inputs: [numbers("f32", [40]), tensorOf("f32", [], [-1]), tensorOf("f32", [], [0.5])],
  },
  {
    op: "Clip",
    about: "high only",
    inputs: [numbers("f32", [40]), undefined, tensorOf("f32", [], [0.5])],
  },
  {
    op: "Clip",
    about: "i32",
    inputs: [numbers("i32", [40], [-50, 50]), tensorOf("i32", [], [-9])],
  },
  {
    op: "Clip",
    about: "low above high",
    inputs: [numbers("f32", [9]), tensorOf("f32", [], [1]), tensorOf("f32", [], [-1])],
  },
  {
    op: "Clip",
    opset: 6,
    attributes: { min: { float: -0.5 }, max: { float: 1 } },
    inputs: [numbers("f32", [30])],
  },
  ...["Max", "Min", "Sum", "Mean"].map((op) => ({
    op,
    about: "eleven inputs",
    inputs: Array.from({ length: 11 }, (_, i) =>
      numbers("f32", i % 2 === 0 ? [4, 3] : [3], [-9, 9], i),
    ),
  })),
  ...["Max", "Min"].map((op) => ({
    op,
    about: "i64",
    inputs: [numbers("i64", [4, 3], [-9, 9]), numbers("i64", [3], [-9, 9], 2)],
  })),
  {
    op: "Where",
    inputs: [numbers("bool", [3, 1], [0, 1]), numbers("f32", [3, 4]), numbers("f32", [4], [5, 9])],
    outputs: ["f32"],
  },
  {
    op: "Where",
    about: "i64",
    inputs: [
      numbers("bool", [4], [0, 1]),
      numbers("i64", [3, 4], [0, 9]),
      numbers("i64", [], [5, 9]),
    ],
    outputs: ["i64"],
  },
];

const activations: readonly OperatorCase[] = [
  ...["Relu", "LeakyRelu", "ThresholdedRelu", "Elu", "Selu", "Celu", "HardSigmoid", "HardSwish"],
  ...["Softplus", "Softsign", "Shrink", "Mish", "Gelu"],
]
  .map((op): OperatorCase => ({ op, inputs: [numbers("f32", [3, 50], [-8, 8])] }))
  .concat([
    {
      op: "Softplus",
      about: "far from zero",
      inputs: [tensorOf("f32", [5], [-30, -12, 12, 30, 100])],
    },
    {
      op: "Mish",
      about: "far from zero",
      inputs: [tensorOf("f32", [5], [-30, -12, 19.5, 30, 100])],
    },
    {
      op: "LeakyRelu",
      about: "alpha",
      attributes: { alpha: { float: 0.3 } },
      inputs: [numbers("f32", [30])],
    },
    {
      op: "Gelu",
      about: "tanh",
      attributes: { approximate: "tanh" },
      inputs: [numbers("f32", [90], [-8, 8])],
    },
    {
      op: "Shrink",
      about: "bias",
      attributes: { lambd: { float: 1 }, bias: { float: 0.5 } },
      inputs: [numbers("f32", [30])],
    },
    { op: "PRelu", inputs: [numbers("f32", [2, 3, 4]), numbers("f32", [3, 1], [0, 1])] },
    {
      op: "com.microsoft::FastGelu",
      inputs: [numbers("f32", [2, 7], [-5, 5]), numbers("f32", [7])],
    },
    { op: "com.microsoft::FastGelu", about: "no bias", inputs: [numbers("f32", [2, 7], [-5, 5])] },
    {
      op: "com.microsoft::BiasGelu",
      inputs: [numbers("f32", [2, 7], [-5, 5]), numbers("f32", [7])],
    },
    { op: "com.microsoft::Gelu", inputs: [numbers("f32", [2, 7], [-5, 5])] },
    { op: "com.microsoft::QuickGelu", inputs: [numbers("f32", [2, 7], [-5, 5])] },
  ]);

const softmaxes: readonly OperatorCase[] = ["Softmax", "LogSoftmax", "Hardmax"].flatMap((op) => [
  { op, opset: 13, inputs: [numbers("f32", [3, 4, 21], [-9, 9])] },
  {
    op,
    opset: 13,
    about: "axis 1",
    attributes: { axis: 1 },
    inputs: [numbers("f32", [3, 40, 2], [-9, 9])],
  },
  { op, opset: 11, about: "from axis 1", inputs: [numbers("f32", [3, 4, 5], [-9, 9])] },
  {
    op,
    opset: 11,
    about: "from axis 0",
    attributes: { axis: 0 },
    inputs: [numbers("f32", [3, 4], [-9, 9])],
  },
]);

const byType: readonly OperatorCase[] = (["f16", "f64"] as const).flatMap((dtype) => [
  { op: "Softmax", about: dtype, inputs: [numbers(dtype, [3, 40], [-3, 3])] },
  { op: "Tanh", about: dtype, inputs: [numbers(dtype, [3, 40], [-3, 3])] },
  { op: "Exp", about: dtype, inputs: [numbers(dtype, [3, 40], [-3, 3])] },
  {
    op: "LayerNormalization",
    about: dtype,
    inputs: [1, 2, 3].map((seed) => numbers(dtype, seed === 1 ? [3, 40] : [40], [0.5, 2], seed)),
  },
]);

const castTypes = ["f32", "f64", "f16", "i64", "i32", "i8", "u8", "bool"] as const;
const onnxNumbers = { f32: 1, f64: 11, f16: 10, i64: 7, i32: 6, i8: 3, u8: 2, bool: 9 };

const casts: readonly OperatorCase[] = castTypes.flatMap((from) =>
  castTypes
    .filter((to) => to !== from)
    .map((to) => ({
      op: "Cast",
      about: `${from} to ${to}`,
      attributes: { to: onnxNumbers[to] },
      inputs: [numbers(from, [25], from === "bool" ? [0, 1] : [0, 120])],
      outputs: [to],
    })),
);

describe.each(
  Object.entries({
    functions,
    "unary operators by type": unaryTypes,
    arithmetic,
    "comparisons and logic": comparisons,
    "other operators": mixed,
    activations,
    softmaxes,
    "f16 and f64": byType,
    casts,
  }),
)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (__, c) => {
    await compareWithOnnxRuntime({ lowered: true, ...c });
  });
});
