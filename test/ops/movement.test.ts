/** Reshaping, slicing, padding and what makes tensors from shapes, against ONNX Runtime. */
import { describe, expect, test } from "vitest";
import {
  compareWithOnnxRuntime,
  evaluate,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const x = numbers("f32", [2, 3, 4, 5]);
const i64 = (...values: number[]) => tensorOf("i64", [values.length], values);
const scalar = (value: number) => tensorOf("i64", [], [value]);

const shaping: readonly OperatorCase[] = [
  { op: "Reshape", inputs: [x, i64(4, 30)], constant: [1] },
  {
    op: "Reshape",
    about: "-1 and copied dims",
    inputs: [x, i64(0, 0, -1)],
    constant: [1],
    open: ["N", 3, "H", 5],
    lowered: true,
  },
  { op: "Reshape", about: "shape as an input", inputs: [x, i64(6, 20)] },
  {
    op: "Reshape",
    about: "allowzero",
    inputs: [numbers("f32", [0, 3]), i64(3, 0)],
    attributes: { allowzero: 1 },
    constant: [1],
  },
  { op: "Flatten", attributes: { axis: 2 }, inputs: [x], open: ["N", 3, "H", 5], lowered: true },
  { op: "Flatten", about: "negative axis", attributes: { axis: -1 }, inputs: [x] },
  { op: "Flatten", about: "axis 0", attributes: { axis: 0 }, inputs: [x] },
  { op: "Squeeze", inputs: [numbers("f32", [1, 3, 1]), i64(-1)], constant: [1] },
  { op: "Squeeze", about: "all", inputs: [numbers("f32", [1, 3, 1])] },
  {
    op: "Squeeze",
    opset: 11,
    attributes: { axes: [0] },
    inputs: [numbers("f32", [1, 3, 1])],
    open: [1, "T", 1],
  },
  { op: "Unsqueeze", inputs: [x, i64(0, -1)], constant: [1], open: ["N", 3, "H", 5] },
  { op: "Unsqueeze", opset: 11, attributes: { axes: [4, 1] }, inputs: [x] },
  { op: "Transpose", inputs: [x] },
  { op: "Transpose", attributes: { perm: [2, 0, 3, 1] }, inputs: [x], open: ["N", 3, "H", 5] },
  { op: "Expand", inputs: [numbers("f32", [3, 1]), i64(2, 1, 6)], constant: [1], lowered: true },
  { op: "Expand", about: "fewer dims", inputs: [x, i64(5)], constant: [1] },
  { op: "Tile", inputs: [numbers("f32", [2, 3]), i64(2, 3)], constant: [1], open: ["N", 3] },
  { op: "Tile", about: "once", inputs: [x, i64(1, 1, 1, 1)], constant: [1] },
  { op: "Identity", inputs: [x] },
  { op: "DepthToSpace", inputs: [numbers("f32", [1, 8, 2, 3])], attributes: { blocksize: 2 } },
  {
    op: "DepthToSpace",
    about: "CRD",
    inputs: [numbers("f32", [2, 12, 2, 3])],
    attributes: { blocksize: 2, mode: "CRD" },
    open: ["N", 12, "H", "W"],
    lowered: true,
  },
  {
    op: "SpaceToDepth",
    inputs: [numbers("f32", [2, 2, 4, 6])],
    attributes: { blocksize: 2 },
    open: ["N", 2, 4, 6],
  },
  ...[-1, 0, 2].flatMap((k) =>
    [0, 1].map((upper) => ({
      op: "Trilu",
      about: `k ${k}, upper ${upper}`,
      inputs: [numbers("f32", [2, 3, 5]), scalar(k)],
      attributes: { upper },
      open: ["N", "R", 5],
    })),
  ),
  { op: "Trilu", about: "i64, k left out", inputs: [numbers("i64", [4, 4], [-9, 9])] },
];

const making: readonly OperatorCase[] = [
  { op: "Shape", inputs: [x], outputs: ["i64"], open: ["N", 3, "H", 5], lowered: true },
  {
    op: "Shape",
    about: "part",
    attributes: { start: -3, end: -1 },
    inputs: [x],
    outputs: ["i64"],
  },
  { op: "Shape", about: "beyond", attributes: { start: 1, end: 9 }, inputs: [x], outputs: ["i64"] },
  { op: "Size", inputs: [x], outputs: ["i64"], open: ["N", 3, "H", 5] },
  {
    op: "ConstantOfShape",
    inputs: [i64(2, 3)],
    attributes: { value: tensorOf("i32", [1], [7]) },
    outputs: ["i32"],
  },
  { op: "ConstantOfShape", about: "default", inputs: [i64(2, 0)], outputs: ["f32"] },
  { op: "EyeLike", inputs: [numbers("f32", [3, 4])], attributes: { k: 1 }, open: ["R", 4] },
  {
    op: "EyeLike",
    about: "other type",
    inputs: [numbers("f32", [4, 3])],
    attributes: { k: -1, dtype: 7 },
    outputs: ["i64"],
  },
  ...(["i64", "i32", "i16", "f32", "f64"] as const).map((dtype) => ({
    op: "Range",
    about: dtype,
    inputs: [1, 12, 3].map((v) => tensorOf(dtype, [], [v])),
    lowered: true,
  })),
  {
    op: "Range",
    about: "downwards",
    inputs: [10, 2, -3].map((v) => tensorOf("i64", [], [v])),
    constant: [0, 1, 2],
  },
  { op: "Range", about: "empty", inputs: [3, 3, 1].map((v) => tensorOf("f32", [], [v])) },
  {
    op: "Range",
    about: "fractions",
    inputs: [0.1, 2.05, 0.15].map((v) => tensorOf("f32", [], [v])),
    lowered: true,
  },
];

const slices: readonly OperatorCase[] = [
  {
    op: "Slice",
    inputs: [x, i64(1, 0), i64(2, 3), i64(1, 3), i64(1, 2)],
    constant: [1, 2, 3, 4],
    open: ["N", 3, "H", 5],
    lowered: true,
  },
  {
    op: "Slice",
    about: "negative steps",
    inputs: [x, i64(-1, 10), i64(-100, 0), i64(2, -1), i64(-1, -2)],
    constant: [1, 2, 3, 4],
  },
  {
    op: "Slice",
    about: "open to the end",
    inputs: [x, i64(1), tensorOf("i64", [1], [9e18]), i64(2)],
    constant: [1, 2, 3],
    open: ["N", 3, "H", "W"],
    lowered: true,
  },
  {
    op: "Slice",
    about: "the last ones",
    inputs: [x, i64(-2), tensorOf("i64", [1], [9e18]), i64(2)],
    constant: [1, 2, 3],
    open: ["N", 3, "H", 5],
  },
  {
    op: "Slice",
    about: "without the last one, reversed",
    inputs: [x, i64(-2), tensorOf("i64", [1], [-9e18]), i64(3), i64(-1)],
    constant: [1, 2, 3, 4],
    open: ["N", 3, 4, "W"],
  },
  {
    op: "Slice",
    about: "backwards from before the axis",
    inputs: [x, i64(-9, -5), i64(-100, -4), i64(1, 2), i64(-1, -2)],
    constant: [1, 2, 3, 4],
  },
  { op: "Slice", about: "empty", inputs: [x, i64(3), i64(2), i64(3)], constant: [1, 2, 3] },
  {
    op: "Slice",
    about: "without axes",
    inputs: [x, i64(0, 1), i64(1, 3)],
    constant: [1, 2],
  },
  {
    op: "Slice",
    opset: 9,
    attributes: { starts: [1, -3], ends: [1000, -1], axes: [0, 3] },
    inputs: [x],
  },
  {
    op: "Split",
    attributes: { axis: 1 },
    inputs: [numbers("f32", [2, 6, 3]), i64(1, 2, 3)],
    constant: [1],
    outputs: ["f32", "f32", "f32"],
    open: ["N", 6, "W"],
    lowered: true,
  },
  {
    op: "Split",
    about: "even",
    opset: 13,
    attributes: { axis: -1 },
    inputs: [numbers("f32", [2, 6])],
    outputs: ["f32", "f32", "f32"],
  },
  {
    op: "Split",
    opset: 11,
    attributes: { axis: 0, split: [3, 1] },
    inputs: [numbers("f32", [4, 2])],
    outputs: ["f32", "f32"],
  },
  {
    op: "Split",
    about: "num_outputs, uneven",
    opset: 18,
    attributes: { num_outputs: 3 },
    inputs: [numbers("f32", [7, 2])],
    outputs: ["f32", "f32", "f32"],
  },
  {
    op: "Concat",
    attributes: { axis: -2 },
    inputs: [numbers("f32", [2, 3, 4]), numbers("f32", [2, 1, 4]), numbers("f32", [2, 2, 4])],
  },
  {
    op: "Concat",
    about: "one input",
    attributes: { axis: 0 },
    inputs: [numbers("f32", [2, 3])],
  },
  {
    op: "ReverseSequence",
    inputs: [numbers("f32", [4, 3, 2]), i64(4, 1, 3)],
    lowered: true,
  },
  {
    op: "ReverseSequence",
    about: "batch first",
    attributes: { batch_axis: 0, time_axis: 1 },
    inputs: [numbers("f32", [3, 4, 2]), i64(2, 4, 0)],
  },
];

const modes = ["constant", "reflect", "edge", "wrap"];

const paddings: readonly OperatorCase[] = [
  ...modes.map(
    (mode): OperatorCase => ({
      op: "Pad",
      about: mode,
      attributes: { mode },
      inputs: [numbers("f32", [2, 4, 5]), i64(0, 2, 1, 0, 3, 2)],
      constant: [1],
      lowered: true,
    }),
  ),
  ...modes.slice(0, 3).map(
    (mode): OperatorCase => ({
      op: "Pad",
      about: `${mode}, open dims`,
      attributes: { mode },
      inputs: [numbers("f32", [2, 6, 8]), i64(0, 2, 1, 0, 1, 2)],
      constant: [1],
      open: ["N", "H", "W"],
      lowered: true,
    }),
  ),
  {
    op: "Pad",
    about: "negative",
    inputs: [numbers("f32", [3, 5]), i64(-1, 2, 0, -1), tensorOf("f32", [], [1.5])],
    constant: [1, 2],
  },
  {
    op: "Pad",
    about: "a value known only at run time",
    inputs: [numbers("f32", [3, 5]), i64(1, 0, 0, 2), tensorOf("f32", [], [1.5])],
    constant: [1],
    lowered: true,
  },
  {
    op: "Pad",
    about: "axes",
    inputs: [x, i64(1, 2, 0, 1), undefined, i64(1, -1)],
    constant: [1, 3],
  },
  {
    op: "Pad",
    opset: 10,
    attributes: { pads: [0, 1, 2, 0], value: { float: -3 } },
    inputs: [numbers("f32", [2, 3])],
  },
  {
    op: "Pad",
    about: "int64",
    inputs: [numbers("i64", [2, 3], [-9, 9]), i64(1, 1, 0, 0), scalar(5)],
    constant: [1, 2],
  },
];

describe.each([
  ["shaping", shaping],
  ["making", making],
  ["slicing", slices],
  ["padding", paddings],
] as const)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (_name, c) => {
    await compareWithOnnxRuntime(c);
  });
});

test("a wrap or reflection wider than the input goes around it again", () => {
  const wide = (mode: string): number[] => {
    const given = tensorOf("f32", [3], [1, 2, 3]);
    return Array.from(
      evaluateCase({ op: "Pad", attributes: { mode }, inputs: [given, i64(7, 5)] }),
    );
  };
  expect(wide("wrap")).toEqual([3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]);
  expect(wide("reflect")).toEqual([2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2, 1, 2, 3, 2]);
});

function evaluateCase(operatorCase: OperatorCase): Float32Array {
  return evaluate(operatorCase)[0]!.data as Float32Array;
}
