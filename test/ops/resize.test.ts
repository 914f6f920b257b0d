/** Resize, Upsample and sampling at computed positions against ONNX Runtime. */
import { describe, test } from "vitest";
import type { AttributeInit } from "../support/onnx-builder.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

type Attributes = Readonly<Record<string, AttributeInit>>;

const image = numbers("f32", [1, 2, 5, 6], [0, 10]);
const floats = (...values: number[]) => tensorOf("f32", [values.length], values);
const i64 = (...values: number[]) => tensorOf("i64", [values.length], values);

function byScale(scales: readonly number[], attributes: Attributes): OperatorCase {
  const about = [...Object.values(attributes), `scales ${scales}`].join(" ");
  const inputs = [image, undefined, floats(1, 1, ...scales)];
  return { op: "Resize", about, attributes, inputs, constant: [2], lowered: true, tolerance: 1e-5 };
}

function bySize(sizes: readonly number[], attributes: Attributes): OperatorCase {
  const about = [...Object.values(attributes), `sizes ${sizes}`].join(" ");
  const inputs = [image, undefined, undefined, i64(1, 2, ...sizes)];
  return { op: "Resize", about, attributes, inputs, constant: [3], lowered: true, tolerance: 1e-5 };
}

const coordinates = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"];
const roundings = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"];

const nearest = coordinates.flatMap((coordinate_transformation_mode) =>
  roundings.flatMap((nearest_mode) => {
    const attributes = { mode: "nearest", coordinate_transformation_mode, nearest_mode };
    return [byScale([2, 3], attributes), bySize([7, 4], attributes), bySize([3, 9], attributes)];
  }),
);

const smooth = ["linear", "cubic"].flatMap((mode) =>
  [...coordinates, "half_pixel_symmetric"].flatMap((coordinate_transformation_mode) => {
    const attributes = { mode, coordinate_transformation_mode };
    return [byScale([2, 3], attributes), bySize([7, 4], attributes), bySize([3, 9], attributes)];
  }),
);

const special: readonly OperatorCase[] = [
  byScale([2, 2], { mode: "cubic", cubic_coeff_a: { float: -0.5 } }),
  bySize([3, 4], { mode: "cubic", exclude_outside: 1 }),
  bySize([2, 3], { mode: "linear", antialias: 1 }),
  bySize([2, 3], { mode: "cubic", antialias: 1 }),
  {
    op: "Resize",
    about: "crop",
    attributes: {
      mode: "linear",
      coordinate_transformation_mode: "tf_crop_and_resize",
      extrapolation_value: { float: 10 },
    },
    inputs: [image, floats(0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7), undefined, i64(1, 2, 3, 3)],
    constant: [1, 3],
    tolerance: 1e-5,
  },
  ...["not_larger", "not_smaller"].map(
    (keep_aspect_ratio_policy): OperatorCase => ({
      op: "Resize",
      about: keep_aspect_ratio_policy,
      attributes: { mode: "linear", keep_aspect_ratio_policy, axes: [2, 3] },
      inputs: [image, undefined, undefined, i64(7, 8)],
      constant: [3],
      tolerance: 1e-5,
    }),
  ),
  {
    op: "Resize",
    about: "axes",
    attributes: { mode: "nearest", axes: [3, 2] },
    inputs: [image, undefined, floats(2, 0.6)],
    constant: [2],
  },
  {
    op: "Resize",
    about: "whole scales, open dims",
    attributes: {
      mode: "nearest",
      coordinate_transformation_mode: "asymmetric",
      nearest_mode: "floor",
    },
    inputs: [image, undefined, floats(1, 1, 2, 2)],
    constant: [2],
    open: ["N", 2, "H", "W"],
    lowered: true,
  },
  {
    op: "Resize",
    about: "linear by whole scales, open dims",
    attributes: { mode: "linear" },
    inputs: [image, undefined, floats(1, 1, 2, 4)],
    constant: [2],
    open: ["N", 2, "H", "W"],
    lowered: true,
    tolerance: 1e-5,
  },
  {
    op: "Resize",
    about: "linear, from one element",
    attributes: { mode: "linear" },
    inputs: [numbers("f32", [1, 1, 1, 2]), undefined, floats(1, 1, 3, 2)],
    constant: [2],
    tolerance: 1e-5,
  },
  {
    op: "Resize",
    about: "three axes",
    attributes: { mode: "linear" },
    inputs: [numbers("f32", [1, 1, 3, 4, 2]), undefined, floats(1, 1, 2, 1.5, 2)],
    constant: [2],
    tolerance: 1e-5,
  },
  {
    op: "Resize",
    about: "u8",
    attributes: { mode: "nearest" },
    inputs: [numbers("u8", [1, 1, 3, 4], [0, 255]), undefined, floats(1, 1, 2, 1.5)],
    constant: [2],
  },
  { op: "Resize", opset: 10, inputs: [image, floats(1, 1, 2, 1.5)], constant: [1] },
  {
    op: "Resize",
    opset: 10,
    about: "smaller",
    inputs: [image, floats(1, 1, 0.6, 0.5)],
    constant: [1],
  },
  {
    op: "Resize",
    opset: 10,
    about: "linear",
    attributes: { mode: "linear" },
    inputs: [image, floats(1, 1, 2, 1.5)],
    constant: [1],
    tolerance: 1e-5,
  },
  {
    op: "Upsample",
    opset: 7,
    attributes: { mode: "nearest", scales: { floats: [1, 1, 2, 3] } },
    inputs: [image],
    open: ["N", 2, "H", "W"],
  },
  {
    op: "Upsample",
    opset: 9,
    attributes: { mode: "linear" },
    inputs: [image, floats(1, 1, 2, 3)],
    constant: [1],
    tolerance: 1e-5,
  },
];

const grids = ["linear", "nearest", "cubic"].flatMap((mode) =>
  ["zeros", "border", "reflection"].flatMap((padding_mode) =>
    [0, 1].map(
      (align_corners): OperatorCase => ({
        op: "GridSample",
        opset: 20,
        about: `${mode} ${padding_mode} ${align_corners}`,
        attributes: { mode, padding_mode, align_corners },
        inputs: [numbers("f32", [2, 3, 4, 5]), numbers("f32", [2, 3, 4, 2], [-1.9, 1.9], 2)],
        lowered: true,
        tolerance: 1e-5,
      }),
    ),
  ),
);

const sampling: readonly OperatorCase[] = [
  ...grids,
  {
    op: "GridSample",
    opset: 16,
    attributes: { mode: "bicubic" },
    inputs: [numbers("f32", [1, 1, 4, 5]), numbers("f32", [1, 3, 4, 2], [-1.2, 1.2], 2)],
    open: ["N", 1, "H", "W"],
    tolerance: 1e-5,
  },
  {
    op: "GridSample",
    opset: 20,
    about: "three axes",
    inputs: [numbers("f32", [1, 2, 3, 4, 5]), numbers("f32", [1, 2, 3, 4, 3], [-1.2, 1.2], 2)],
    tolerance: 1e-5,
  },
  ...[0, 1].map(
    (align_corners): OperatorCase => ({
      op: "AffineGrid",
      opset: 20,
      about: `align_corners ${align_corners}`,
      attributes: { align_corners },
      inputs: [numbers("f32", [2, 2, 3]), i64(2, 1, 4, 5)],
      constant: [1],
      tolerance: 1e-5,
    }),
  ),
  {
    op: "AffineGrid",
    opset: 20,
    about: "three axes",
    inputs: [numbers("f32", [1, 3, 4]), i64(1, 1, 2, 3, 4)],
    constant: [1],
    tolerance: 1e-5,
  },
  {
    op: "MaxRoiPool",
    attributes: { pooled_shape: [2, 3], spatial_scale: { float: 0.5 } },
    inputs: [
      numbers("f32", [2, 2, 6, 7]),
      tensorOf("f32", [2, 5], [0, 0, 0, 8, 9, 1, 2, 3, 11, 10]),
    ],
  },
];

describe.each([
  ["nearest", nearest],
  ["smooth", smooth],
  ["special", special],
  ["sampling", sampling],
] as const)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (_name, c) => {
    await compareWithOnnxRuntime(c);
  });
});
