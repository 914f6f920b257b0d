/** Reductions, running sums and normalizations against ONNX Runtime. */
import { describe, test } from "vitest";
import { i64 } from "../support/onnx-builder.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
} from "./against-onnxruntime.js";

const reduceNames = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd"];
const derivedNames = ["ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"];
const positive = [0.1, 2] as const;

const reduceOperators: readonly OperatorCase[] = [...reduceNames, ...derivedNames].flatMap((op) => [
  {
    op,
    opset: 18,
    about: "one axis",
    constant: [1],
    inputs: [numbers("f32", [3, 70, 5], positive), i64([1], [1])],
  },
  { op, opset: 18, about: "all axes", inputs: [numbers("f32", [3, 4, 5], positive)] },
  {
    op,
    opset: 18,
    about: "two axes dropped",
    constant: [1],
    attributes: { keepdims: 0 },
    inputs: [numbers("f32", [3, 4, 5], positive), i64([2], [-1, 0])],
  },
  {
    op,
    opset: 18,
    about: "no axes, no operation",
    constant: [1],
    attributes: { noop_with_empty_axes: 1 },
    inputs: [numbers("f32", [3, 4], positive), i64([0], [])],
  },
  {
    op,
    opset: 12,
    about: "axes as attribute",
    attributes: { axes: [1] },
    inputs: [numbers("f32", [3, 40], positive)],
  },
  {
    op,
    opset: 18,
    about: "i32",
    constant: [1],
    inputs: [numbers("i32", [3, 4], [1, 9]), i64([1], [1])],
  },
]);

const otherReductions: readonly OperatorCase[] = [
  ...["ReduceMax", "ReduceMin"].map((op) => ({
    op,
    opset: 20,
    about: "bool",
    inputs: [numbers("bool", [3, 4], [0, 1]), i64([1], [1])],
    constant: [1],
  })),
  ...["ReduceSum", "ReduceMax"].map((op) => ({
    op,
    about: "seven of eight axes",
    opset: 13,
    attributes: op === "ReduceMax" ? { axes: [0, 1, 2, 4, 5, 6, 7] } : {},
    inputs: [
      numbers("f32", [2, 1, 3, 2, 2, 3, 2, 2]),
      ...(op === "ReduceMax" ? [] : [i64([7], [0, 1, 2, 4, 5, 6, 7])]),
    ],
    lowered: true,
    constant: op === "ReduceMax" ? [] : [1],
  })),
  ...["ReduceSum", "ReduceMean", "ReduceProd"].map((op) => ({
    op,
    opset: 18,
    about: "i64",
    inputs: [numbers("i64", [3, 4], [-9, 9]), i64([1], [1])],
    constant: [1],
  })),
  ...["ArgMax", "ArgMin"].flatMap((op): OperatorCase[] => [
    { op, inputs: [numbers("f32", [4, 9])], outputs: ["i64"] },
    {
      op,
      about: "last of equals",
      attributes: { axis: 1, select_last_index: 1, keepdims: 0 },
      inputs: [numbers("i32", [4, 30], [0, 3])],
      outputs: ["i64"],
    },
    {
      op,
      about: "first of equals",
      attributes: { axis: -1 },
      inputs: [numbers("i32", [4, 30], [0, 3])],
      outputs: ["i64"],
    },
  ]),
  ...[{}, { exclusive: 1 }, { reverse: 1 }, { exclusive: 1, reverse: 1 }].map((attributes) => ({
    op: "CumSum",
    about: Object.keys(attributes).join(" "),
    attributes,
    inputs: [numbers("f32", [3, 20]), i64([], [1])],
    constant: [1],
  })),
];

const image = numbers("f32", [2, 6, 5, 4], [-3, 5]);
const channels = (low: number, seed: number) => numbers("f32", [6], [low, 2], seed);
const row = numbers("f32", [2, 3, 40], [-3, 5]);
const weights = (seed: number) => numbers("f32", [40], [0.5, 2], seed);

const normalizations: readonly OperatorCase[] = [
  {
    op: "BatchNormalization",
    inputs: [image, channels(0.5, 1), channels(-1, 2), channels(-1, 3), channels(0.1, 4)],
  },
  {
    op: "BatchNormalization",
    opset: 8,
    attributes: { epsilon: { float: 0.01 } },
    inputs: [image, channels(0.5, 1), channels(-1, 2), channels(-1, 3), channels(0.1, 4)],
  },
  { op: "InstanceNormalization", inputs: [image, channels(0.5, 1), channels(-1, 2)] },
  {
    op: "GroupNormalization",
    attributes: { num_groups: 3 },
    inputs: [image, channels(0.5, 1), channels(-1, 2)],
  },
  {
    op: "LayerNormalization",
    inputs: [row, weights(1), weights(2)],
    outputs: ["f32", "f32", "f32"],
  },
  {
    op: "LayerNormalization",
    about: "no bias, axis 1",
    attributes: { axis: 1 },
    inputs: [row, numbers("f32", [3, 40])],
  },
  { op: "RMSNormalization", opset: 23, inputs: [row, weights(1)] },
  { op: "SimplifiedLayerNormalization", inputs: [row, weights(1)], outputs: ["f32", "f32"] },
  { op: "LpNormalization", opset: 22, inputs: [row] },
  {
    op: "LpNormalization",
    opset: 22,
    about: "p = 1",
    attributes: { p: 1, axis: 1 },
    inputs: [row],
  },
  { op: "MeanVarianceNormalization", inputs: [image] },
  { op: "LRN", attributes: { size: 3, alpha: { float: 0.1 } }, inputs: [image] },
  {
    op: "com.microsoft::SkipLayerNormalization",
    inputs: [row, numbers("f32", [2, 3, 40]), weights(1), weights(2), weights(3)],
    outputs: ["f32", "f32", "f32", "f32"],
  },
  {
    op: "com.microsoft::SkipLayerNormalization",
    about: "no bias",
    attributes: { epsilon: { float: 1e-5 } },
    inputs: [row, numbers("f32", [2, 3, 40]), weights(1)],
  },
  {
    op: "com.microsoft::SkipSimplifiedLayerNormalization",
    inputs: [row, numbers("f32", [2, 3, 40]), weights(1), weights(2)],
    outputs: ["f32", undefined, undefined, "f32"],
  },
  {
    op: "com.microsoft::EmbedLayerNormalization",
    inputs: [
      numbers("i32", [2, 3], [0, 8]),
      numbers("i32", [2, 3], [0, 1], 2),
      numbers("f32", [9, 12]),
      numbers("f32", [5, 12], [-2, 2], 3),
      numbers("f32", [2, 12], [-2, 2], 4),
      numbers("f32", [12], [0.5, 1]),
      numbers("f32", [12], [-1, 1], 5),
      numbers("i32", [2, 3], [0, 1], 6),
    ],
    outputs: ["f32", "i32"],
  },
];

describe.each(
  Object.entries({
    "reductions over axes": reduceOperators,
    "other reductions": otherReductions,
    normalizations,
  }),
)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (__, c) => {
    await compareWithOnnxRuntime({ lowered: true, ...c });
  });
});
