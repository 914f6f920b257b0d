/** Gathering, scattering and choosing elements against ONNX Runtime. */
import { describe, test } from "vitest";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const x = numbers("f32", [3, 4, 5]);
const i64 = (shape: readonly number[], ...values: number[]) => tensorOf("i64", shape, values);
const i32 = (shape: readonly number[], ...values: number[]) => tensorOf("i32", shape, values);
const scalar = (value: number) => i64([], value);

const gathering: readonly OperatorCase[] = [
  { op: "Gather", inputs: [x, i64([2, 2], 0, 2, 1, -1)], lowered: true, open: ["N", 4, "W"] },
  { op: "Gather", attributes: { axis: -1 }, inputs: [x, i32([3], 4, 0, -5)] },
  {
    op: "Gather",
    about: "six dimensions",
    attributes: { axis: 1 },
    inputs: [numbers("f32", [2, 5, 3, 2, 2]), i64([2, 2], 4, 0, -5, 1)],
    lowered: true,
  },
  { op: "Gather", about: "scalar", attributes: { axis: 1 }, inputs: [x, scalar(2)] },
  {
    op: "GatherElements",
    attributes: { axis: 1 },
    inputs: [x, numbers("i64", [3, 2, 5], [-4, 3])],
    lowered: true,
  },
  {
    op: "GatherElements",
    about: "fewer rows",
    inputs: [x, numbers("i64", [2, 3, 4], [0, 2], 5)],
    open: ["N", 4, "W"],
  },
  { op: "GatherND", inputs: [x, i64([2, 2], 0, 3, -1, -2)], lowered: true, open: ["N", 4, "W"] },
  { op: "GatherND", about: "whole tuples", inputs: [x, i64([2, 1, 3], 0, 3, 4, 2, 1, 0)] },
  {
    op: "GatherND",
    about: "batch",
    attributes: { batch_dims: 1 },
    inputs: [x, i64([3, 2, 1], 0, 3, 1, 1, 2, -1)],
    lowered: true,
  },
  {
    op: "OneHot",
    inputs: [i64([2, 3], 0, 3, -1, 7, 2, -4), scalar(4), tensorOf("f32", [2], [0, 1])],
    constant: [1],
    outputs: ["f32"],
  },
  {
    op: "OneHot",
    about: "axis, f32 indices",
    attributes: { axis: 0 },
    inputs: [
      tensorOf("f32", [3], [0, 2, 1]),
      tensorOf("f32", [1], [3]),
      tensorOf("f32", [2], [-1, 5]),
    ],
    constant: [1],
    lowered: true,
  },
];

const scattering: readonly OperatorCase[] = [
  ...["none", "add", "mul", "min", "max"].flatMap((reduction): OperatorCase[] => [
    {
      op: "ScatterElements",
      opset: 18,
      about: reduction,
      attributes: { axis: 1, reduction },
      inputs: [
        numbers("f32", [2, 5]),
        i64([2, 3], 1, -1, reduction === "none" ? 0 : 1, 0, 2, 3),
        numbers("f32", [2, 3], [-2, 2], 3),
      ],
      lowered: true,
    },
    {
      op: "ScatterND",
      opset: 18,
      about: reduction,
      attributes: { reduction },
      inputs: [
        x,
        i64([3, 2], 0, 1, 2, -1, reduction === "none" ? 1 : 0, 1),
        numbers("f32", [3, 5], [-2, 2], 3),
      ],
      lowered: true,
    },
  ]),
  {
    op: "ScatterND",
    about: "slices",
    inputs: [x, i64([1, 1], 1), numbers("f32", [1, 4, 5], [0, 1], 4)],
    open: ["N", 4, 5],
  },
  {
    op: "ScatterElements",
    about: "i64",
    inputs: [numbers("i64", [3, 3], [-9, 9]), i64([1, 3], 2, 0, 1), i64([1, 3], 7, 8, 9)],
  },
  {
    op: "Scatter",
    opset: 10,
    attributes: { axis: 1 },
    inputs: [numbers("f32", [1, 5]), i64([1, 2], 1, 3), numbers("f32", [1, 2])],
  },
];

const ties = tensorOf("f32", [2, 6], [3, 1, 3, -1, 1, 3, 0, 0, -0, 5, 5, -2]);

const choosing: readonly OperatorCase[] = [
  ...[1, 3].flatMap((k) =>
    [0, 1].flatMap((largest) =>
      [-1, 0].map(
        (axis): OperatorCase => ({
          op: "TopK",
          about: `k ${k}, largest ${largest}, axis ${axis}`,
          attributes: { largest, axis },
          inputs: [numbers("f32", [4, 6]), i64([1], k)],
          constant: [1],
          outputs: ["f32", "i64"],
          lowered: true,
        }),
      ),
    ),
  ),
  {
    op: "TopK",
    about: "ties",
    inputs: [ties, i64([1], 4)],
    constant: [1],
    outputs: ["f32", "i64"],
    lowered: true,
  },
  {
    op: "TopK",
    about: "ties, smallest",
    attributes: { largest: 0 },
    inputs: [ties, i64([1], 6)],
    constant: [1],
    outputs: ["f32", "i64"],
  },
  {
    op: "TopK",
    about: "a long row",
    inputs: [numbers("f32", [2, 1000]), i64([1], 20)],
    constant: [1],
    outputs: ["f32", "i64"],
  },
  {
    op: "TopK",
    about: "one of an open row",
    inputs: [numbers("f32", [2, 20]), i64([1], 1)],
    constant: [1],
    open: ["N", "T"],
    outputs: ["f32", "i64"],
    lowered: true,
  },
  {
    op: "TopK",
    about: "i64",
    inputs: [numbers("i64", [3, 9], [-4, 4]), i64([1], 5)],
    constant: [1],
    outputs: ["i64", "i64"],
  },
  { op: "NonZero", inputs: [numbers("i32", [3, 4], [0, 1])], outputs: ["i64"] },
  { op: "NonZero", about: "bool vector", inputs: [numbers("bool", [9], [0, 1])], outputs: ["i64"] },
  ...[undefined, 0, 1].flatMap((axis) =>
    [0, 1].map(
      (sorted): OperatorCase => ({
        op: "Unique",
        about: `axis ${axis}, sorted ${sorted}`,
        attributes: { sorted, ...(axis !== undefined && { axis }) },
        inputs: [tensorOf("f32", [3, 4], [2, 1, 1, 2, 0, 3, 3, 0, 2, 1, 1, 2])],
        outputs: ["f32", "i64", "i64", "i64"],
      }),
    ),
  ),
  { op: "Compress", inputs: [x, tensorOf("bool", [7], [0, 1, 1, 0, 0, 0, 1])] },
  {
    op: "Compress",
    about: "axis",
    attributes: { axis: 1 },
    inputs: [x, tensorOf("bool", [3], [1, 0, 1])],
    constant: [1],
    lowered: true,
  },
  ...[0, 1].map(
    (center_point_box): OperatorCase => ({
      op: "NonMaxSuppression",
      about: `center_point_box ${center_point_box}`,
      attributes: { center_point_box },
      inputs: [
        numbers("f32", [2, 20, 4], [0, 4]),
        numbers("f32", [2, 3, 20], [0, 1], 2),
        scalar(5),
        tensorOf("f32", [], [0.3]),
        tensorOf("f32", [], [0.4]),
      ],
      outputs: ["i64"],
    }),
  ),
  {
    op: "NonMaxSuppression",
    about: "an overlap that is the limit once it is rounded to fp32",
    inputs: [
      tensorOf("f32", [1, 2, 4], [0, 0, 10, 1, 0, 0, 7, 1]),
      tensorOf("f32", [1, 1, 2], [0.9, 0.8]),
      scalar(2),
      tensorOf("f32", [], [0.7]),
    ],
    outputs: ["i64"],
  },
];

describe.each([
  ["gathering", gathering],
  ["scattering", scattering],
  ["choosing", choosing],
] as const)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (_name, c) => {
    await compareWithOnnxRuntime(c);
  });
});
