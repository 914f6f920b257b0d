/** Operators whose sizes stay open to run time: nothing needs a number that comes from them. */
import { describe, test } from "vitest";
import { i64 } from "../support/onnx-builder.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const f32 = (shape: readonly number[], seed = 1) => numbers("f32", shape, [-2, 2], seed);
const positive = (shape: readonly number[], seed = 1) => numbers("f32", shape, [0.1, 2], seed);
const scale = tensorOf("f32", [], [0.05]);
const zero = tensorOf("u8", [], [120]);
const image = f32([2, 6, 5, 4]);
const openImage = ["N", 6, "H", "W"];

const elementwise: readonly OperatorCase[] = [
  { op: "Gelu", inputs: [f32([3, 5])], open: ["N", "T"] },
  { op: "Add", inputs: [f32([3, 5]), f32([5], 2)], open: ["N", 5], constant: [1] },
  { op: "Clip", inputs: [f32([3, 5]), tensorOf("f32", [], [-1])], open: ["N", "T"], constant: [1] },
  { op: "Softmax", inputs: [f32([3, 5])], open: ["N", "T"] },
  { op: "LogSoftmax", attributes: { axis: 0 }, inputs: [f32([3, 5])], open: ["N", "T"] },
  { op: "Hardmax", inputs: [f32([3, 5])], open: ["N", "T"] },
];

const reductions: readonly OperatorCase[] = [
  ...["ReduceSum", "ReduceMean", "ReduceMax", "ReduceL2", "ReduceLogSumExp"].map((op) => ({
    op,
    opset: 18,
    inputs: [positive([3, 5]), i64([1], [1])],
    constant: [1],
    open: ["N", "T"],
  })),
  {
    op: "ArgMax",
    attributes: { axis: 1, select_last_index: 1 },
    inputs: [numbers("i32", [3, 9], [0, 2])],
    outputs: ["i64"],
    open: ["N", "T"],
  },
  {
    op: "CumSum",
    attributes: { reverse: 1 },
    inputs: [f32([3, 5]), i64([], [1])],
    constant: [1],
    open: ["N", "T"],
  },
];

const normalizations: readonly OperatorCase[] = [
  { op: "LayerNormalization", inputs: [f32([3, 40]), f32([40]), f32([40])], open: ["N", 40] },
  { op: "RMSNormalization", opset: 23, inputs: [f32([3, 40]), f32([40])], open: ["N", 40] },
  {
    op: "BatchNormalization",
    inputs: [image, positive([6]), f32([6]), f32([6]), positive([6], 2)],
    constant: [1, 2, 3, 4],
    open: openImage,
  },
  { op: "InstanceNormalization", inputs: [image, f32([6]), f32([6])], open: openImage },
  {
    op: "GroupNormalization",
    attributes: { num_groups: 3 },
    inputs: [image, f32([6]), f32([6])],
    open: openImage,
  },
  { op: "LRN", attributes: { size: 3 }, inputs: [image], open: openImage },
  { op: "MeanVarianceNormalization", inputs: [image], open: openImage },
];

const codes = (shape: readonly number[], seed = 1) => numbers("u8", shape, [0, 255], seed);

const quantized: readonly OperatorCase[] = [
  { op: "QuantizeLinear", inputs: [f32([3, 5]), scale, zero], outputs: ["u8"], open: ["N", "T"] },
  {
    op: "DequantizeLinear",
    inputs: [codes([3, 5]), scale, zero],
    outputs: ["f32"],
    open: ["N", "T"],
  },
  {
    op: "DynamicQuantizeLinear",
    inputs: [f32([3, 5])],
    outputs: ["u8", "f32", "u8"],
    open: ["N", "T"],
  },
  {
    op: "MatMulInteger",
    inputs: [codes([3, 8]), codes([8, 5], 2), zero],
    outputs: ["i32"],
    open: ["N", 8],
  },
  {
    op: "QLinearConv",
    attributes: { pads: [1, 1, 1, 1] },
    inputs: [
      codes([1, 2, 6, 6]),
      scale,
      zero,
      codes([3, 2, 3, 3], 2),
      scale,
      zero,
      tensorOf("f32", [], [2]),
      zero,
    ],
    constant: [1, 2, 3, 4, 5, 6, 7],
    tolerance: 1,
    open: ["N", 2, "H", "W"],
  },
  {
    op: "ConvInteger",
    about: "unknown zero point",
    attributes: { pads: [1, 1, 1, 1] },
    inputs: [codes([1, 2, 6, 6]), codes([3, 2, 3, 3], 2), zero, tensorOf("u8", [], [7])],
    constant: [1, 3],
    outputs: ["i32"],
    open: ["N", 2, "H", "W"],
  },
  {
    op: "com.microsoft::MatMulNBits",
    attributes: { N: 6, K: 64, bits: 4, block_size: 32 },
    inputs: [f32([3, 64]), codes([6, 2, 16]), positive([12])],
    constant: [1, 2],
    tolerance: 1e-5,
    open: ["N", 64],
  },
];

const attention: readonly OperatorCase[] = [
  {
    op: "Attention",
    opset: 23,
    attributes: { is_causal: 1 },
    inputs: [f32([1, 4, 6, 8]), f32([1, 2, 6, 8], 2), f32([1, 2, 6, 8], 3)],
    open: [1, 4, "S", 8],
    tolerance: 1e-5,
  },
];

describe.each(Object.entries({ elementwise, reductions, normalizations, quantized, attention }))(
  "%s",
  (_, cases) => {
    test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (__, c) => {
      await compareWithOnnxRuntime({ lowered: true, ...c });
    });
  },
);
