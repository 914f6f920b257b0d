/** Quantized operators against ONNX Runtime; results in codes may differ by one where a sum lies between two. */
import { describe, test } from "vitest";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const scale = (value: number) => tensorOf("f32", [], [value]);
const zero = (dtype: "u8" | "i8", value: number) => tensorOf(dtype, [], [value]);
/** Kernels of the oracle saturate products of u8 and i8 at 16 bits: its signed codes stay below 64 here. */
const codes = (shape: readonly number[], dtype: "u8" | "i8" = "u8", seed = 1) =>
  numbers(dtype, shape, dtype === "u8" ? [0, 255] : [-64, 63], seed);

const linear: readonly OperatorCase[] = [
  ...(["u8", "i8"] as const).map(
    (dtype): OperatorCase => ({
      op: "QuantizeLinear",
      about: dtype,
      inputs: [numbers("f32", [5, 30], [-20, 20]), scale(0.1), zero(dtype, 3)],
      outputs: [dtype],
    }),
  ),
  {
    op: "QuantizeLinear",
    about: "special values",
    inputs: [
      tensorOf("f32", [5], [Infinity, -Infinity, 1e30, -1e30, 0]),
      scale(0.1),
      zero("u8", 3),
    ],
    outputs: ["u8"],
  },
  {
    op: "QuantizeLinear",
    about: "ties",
    inputs: [tensorOf("f32", [6], [0.5, 1.5, 2.5, -0.5, -1.5, -2.5]), scale(1), zero("i8", 0)],
    outputs: ["i8"],
  },
  {
    op: "QuantizeLinear",
    about: "by axis",
    attributes: { axis: 1 },
    inputs: [numbers("f32", [4, 3, 5], [-9, 9]), numbers("f32", [3], [0.1, 1]), codes([3])],
    outputs: ["u8"],
  },
  {
    op: "QuantizeLinear",
    about: "in blocks",
    attributes: { axis: 1, block_size: 4 },
    inputs: [
      numbers("f32", [3, 8, 2], [-9, 9]),
      numbers("f32", [3, 2, 2], [0.1, 1]),
      codes([3, 2, 2]),
    ],
    outputs: ["u8"],
  },
  {
    op: "QuantizeLinear",
    about: "u16",
    inputs: [numbers("f32", [9], [-9, 9]), scale(0.001), tensorOf("u16", [], [300])],
    outputs: ["u16"],
  },
  {
    op: "DequantizeLinear",
    inputs: [codes([4, 9]), scale(0.1), zero("u8", 100)],
    outputs: ["f32"],
  },
  {
    op: "DequantizeLinear",
    about: "i32",
    inputs: [numbers("i32", [9], [-1e9, 1e9]), scale(0.1)],
    outputs: ["f32"],
  },
  {
    op: "DequantizeLinear",
    about: "by axis",
    attributes: { axis: 0 },
    inputs: [codes([4, 9], "i8"), numbers("f32", [4], [0.1, 1]), codes([4], "i8", 2)],
    outputs: ["f32"],
  },
  {
    op: "DequantizeLinear",
    about: "in blocks of which the last is cut",
    attributes: { axis: 1, block_size: 4 },
    inputs: [codes([3, 10]), numbers("f32", [3, 3], [0.1, 1]), codes([3, 3], "u8", 2)],
    outputs: ["f32"],
  },
  {
    op: "DynamicQuantizeLinear",
    inputs: [numbers("f32", [5, 30], [-3, 7])],
    outputs: ["u8", "f32", "u8"],
  },
  {
    op: "DynamicQuantizeLinear",
    about: "positive",
    inputs: [numbers("f32", [30], [3, 7])],
    outputs: ["u8", "f32", "u8"],
  },
  {
    op: "DynamicQuantizeLinear",
    about: "negative",
    inputs: [numbers("f32", [30], [-7, -3])],
    outputs: ["u8", "f32", "u8"],
  },
];

const contribLinear: readonly OperatorCase[] = [
  {
    op: "com.microsoft::QuantizeLinear",
    about: "u16",
    inputs: [numbers("f32", [9], [-9, 9]), scale(0.001), tensorOf("u16", [], [300])],
    outputs: ["u16"],
  },
  {
    op: "com.microsoft::DequantizeLinear",
    about: "by axis",
    attributes: { axis: 0 },
    inputs: [codes([4, 9], "i8"), numbers("f32", [4], [0.1, 1]), codes([4], "i8", 2)],
    outputs: ["f32"],
  },
];

const products: readonly OperatorCase[] = [
  {
    op: "MatMulInteger",
    inputs: [codes([2, 5, 70]), codes([70, 9], "i8", 2), zero("u8", 120)],
    outputs: ["i32"],
  },
  {
    op: "MatMulInteger",
    about: "zero points by row and column",
    inputs: [codes([5, 7]), codes([7, 9], "u8", 2), zero("u8", 120), codes([9], "u8", 3)],
    outputs: ["i32"],
  },
  {
    op: "QLinearMatMul",
    inputs: [
      codes([5, 70]),
      scale(0.02),
      zero("u8", 120),
      codes([70, 9], "u8", 2),
      scale(0.03),
      zero("u8", 7),
      scale(0.9),
      zero("u8", 90),
    ],
    tolerance: 1,
  },
  {
    op: "QLinearMatMul",
    about: "scales by column",
    inputs: [
      codes([5, 20]),
      scale(0.02),
      zero("u8", 120),
      codes([20, 9], "i8", 2),
      numbers("f32", [9], [0.01, 0.1]),
      codes([9], "i8", 3),
      scale(0.9),
      zero("u8", 90),
    ],
    tolerance: 1,
  },
  ...[
    { about: "padded", attributes: { pads: [1, 1, 1, 1] } },
    { about: "grouped", attributes: { group: 2, strides: [2, 2] }, grouped: true },
  ].flatMap(({ about, attributes, grouped }): OperatorCase[] => {
    const kernel = codes([6, grouped === true ? 2 : 4, 3, 3], "u8", 2);
    return [
      {
        op: "ConvInteger",
        about,
        attributes,
        inputs: [codes([1, 4, 8, 9]), kernel, zero("u8", 120), zero("u8", 7)],
        outputs: ["i32"],
      },
      {
        op: "QLinearConv",
        about,
        attributes,
        inputs: [
          codes([1, 4, 8, 9]),
          scale(0.02),
          zero("u8", 120),
          kernel,
          numbers("f32", [6], [0.01, 0.05]),
          tensorOf("u8", [6], [7, 7, 7, 7, 7, 7]),
          scale(0.9),
          zero("u8", 90),
          numbers("i32", [6], [-900, 900]),
        ],
        tolerance: 1,
      },
    ];
  }),
  {
    op: "com.microsoft::MatMulIntegerToFloat",
    inputs: [
      codes([5, 20]),
      codes([20, 9], "i8", 2),
      scale(0.1),
      numbers("f32", [9], [0.1, 1]),
      zero("u8", 120),
      codes([9], "i8", 3),
      numbers("f32", [9]),
    ],
    outputs: ["f32"],
  },
  {
    op: "com.microsoft::DynamicQuantizeMatMul",
    inputs: [
      numbers("f32", [5, 20]),
      codes([20, 9], "i8", 2),
      numbers("f32", [9], [0.1, 1]),
      codes([9], "i8", 3),
      numbers("f32", [9]),
    ],
    tolerance: 1e-5,
  },
  {
    op: "com.microsoft::QGemm",
    attributes: { transB: 1, alpha: { float: 0.5 } },
    inputs: [
      codes([5, 20]),
      scale(0.1),
      zero("u8", 120),
      codes([9, 20], "i8", 2),
      scale(0.02),
      zero("i8", 0),
      numbers("i32", [9], [-900, 900]),
      scale(0.7),
      zero("u8", 60),
    ],
    tolerance: 1,
  },
];

const quantizedPair = [
  codes([3, 20]),
  scale(0.1),
  zero("u8", 120),
  codes([20], "u8", 2),
  scale(0.05),
  zero("u8", 7),
  scale(0.2),
  zero("u8", 90),
];
const quantizedImage = [
  codes([1, 3, 8, 8]),
  scale(0.1),
  zero("u8", 120),
  scale(0.08),
  zero("u8", 100),
];

const functions: readonly OperatorCase[] = [
  ...["QLinearAdd", "QLinearMul"].map((name) => ({
    op: `com.microsoft::${name}`,
    inputs: quantizedPair,
    tolerance: 1,
  })),
  ...["QLinearSigmoid", "QLinearLeakyRelu"].map((name) => ({
    op: `com.microsoft::${name}`,
    inputs: [codes([40]), scale(0.05), zero("u8", 120), scale(0.01), zero("u8", 10)],
    constant: [1, 2, 3, 4],
    tolerance: 1,
  })),
  {
    op: "com.microsoft::QLinearSoftmax",
    attributes: { opset: 13 },
    inputs: [codes([3, 20]), scale(0.05), zero("u8", 120), scale(0.004), zero("u8", 0)],
    constant: [1, 2, 3, 4],
    tolerance: 1,
  },
  {
    op: "com.microsoft::QLinearConcat",
    attributes: { axis: 0 },
    inputs: [
      scale(0.1),
      zero("u8", 90),
      codes([2, 4]),
      scale(0.05),
      zero("u8", 7),
      codes([3, 4], "u8", 2),
      scale(0.2),
      zero("u8", 120),
    ],
    constant: [0, 1, 3, 4, 6, 7],
    outputs: ["u8"],
    tolerance: 1,
  },
  { op: "com.microsoft::QLinearGlobalAveragePool", inputs: quantizedImage, tolerance: 1 },
  {
    op: "com.microsoft::QLinearGlobalAveragePool",
    about: "channels last",
    attributes: { channels_last: 1 },
    inputs: quantizedImage,
    tolerance: 1,
  },
  {
    op: "com.microsoft::QLinearAveragePool",
    attributes: { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] },
    inputs: quantizedImage,
    tolerance: 1,
  },
];

const bytes = (shape: readonly number[], seed = 1) => numbers("u8", shape, [0, 255], seed);

const fewBits: readonly OperatorCase[] = [
  ...[
    { about: "weights of 2 bits", bits: 2, zeros: undefined },
    { about: "weights of 2 bits, zero points", bits: 2, zeros: bytes([6], 3) },
    { about: "zero points as numbers", bits: 4, zeros: numbers("f32", [12], [-1, 1], 3) },
    { about: "unknown weights", bits: 4, zeros: bytes([6], 3), constant: [] },
    {
      about: "scales chosen by row",
      bits: 4,
      zeros: undefined,
      groups: tensorOf(
        "i32",
        [64],
        Array.from({ length: 64 }, (_, i) => i % 2),
      ),
    },
  ].map(
    ({ about, bits, zeros, groups, constant }): OperatorCase => ({
      op: "com.microsoft::MatMulNBits",
      about,
      attributes: { N: 6, K: 64, bits, block_size: 32 },
      inputs: [
        numbers("f32", [3, 64]),
        bytes([6, 2, 4 * bits]),
        numbers("f32", [12], [0.01, 0.2]),
        zeros,
        groups,
      ],
      constant: constant ?? [1, 2, 3, 4],
      tolerance: 1e-5,
    }),
  ),
  {
    op: "com.microsoft::GatherBlockQuantized",
    about: "8 bits",
    attributes: { gather_axis: 0, quantize_axis: 1, block_size: 16, bits: 8 },
    inputs: [bytes([5, 32]), numbers("i64", [3], [0, 4]), numbers("f32", [5, 2], [0.1, 1])],
    constant: [0, 2],
    outputs: ["f32"],
  },
  {
    op: "com.microsoft::MatMulNBits",
    attributes: { N: 6, K: 64, bits: 4, block_size: 32 },
    inputs: [numbers("f32", [3, 64]), bytes([6, 2, 16]), numbers("f32", [12], [0.01, 0.2])],
    constant: [1, 2],
    tolerance: 1e-5,
  },
  {
    op: "com.microsoft::MatMulNBits",
    about: "zero points, last block cut, bias",
    attributes: { N: 6, K: 80, bits: 4, block_size: 32 },
    inputs: [
      numbers("f32", [2, 3, 80]),
      bytes([6, 3, 16]),
      numbers("f32", [18], [0.01, 0.2]),
      bytes([12], 2),
      undefined,
      numbers("f32", [6]),
    ],
    constant: [1, 2, 3, 5],
    tolerance: 1e-5,
  },
  {
    op: "com.microsoft::MatMulNBits",
    about: "8 bits",
    attributes: { N: 6, K: 64, bits: 8, block_size: 16 },
    inputs: [
      numbers("f32", [3, 64]),
      bytes([6, 4, 16]),
      numbers("f32", [24], [0.01, 0.2]),
      bytes([24], 2),
    ],
    constant: [1, 2, 3],
    tolerance: 1e-5,
  },
  ...[0, 1].map(
    (axis): OperatorCase => ({
      op: "com.microsoft::GatherBlockQuantized",
      about: `bytes, indices of rank ${axis + 1}`,
      attributes: { gather_axis: 0, quantize_axis: 1, block_size: 16, bits: 4 },
      inputs: [
        bytes([5, 16]),
        numbers("i64", axis === 0 ? [3] : [2, 2], [0, 4]),
        numbers("f32", [5, 2], [0.1, 1]),
        bytes([5, 1], 2),
      ],
      constant: [0, 2, 3],
      outputs: ["f32"],
    }),
  ),
  {
    op: "com.microsoft::FusedMatMul",
    attributes: { transB: 1, alpha: { float: 0.5 } },
    inputs: [numbers("f32", [2, 3, 8]), numbers("f32", [2, 5, 8])],
  },
];

describe.each(
  Object.entries({ linear, contribLinear, products, functions, "weights of few bits": fewBits }),
)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (__, c) => {
    await compareWithOnnxRuntime({ lowered: true, ...c });
  });
});
