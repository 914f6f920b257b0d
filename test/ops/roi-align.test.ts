/** RoiAlign against ONNX Runtime, and what its lowering leaves to the host. */
import { describe, test } from "vitest";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const images = numbers("f32", [2, 3, 6, 7]);
const batches = tensorOf("i64", [8], [0, 1, 1, 0, 1, 0, 1, 0]);
/** Whole images, inner parts, parts that leave the image on each side, a point, far outside, corners exchanged. */
const regions = tensorOf(
  "f32",
  [8, 4],
  [
    [0, 0, 14, 12],
    [2, 3, 9.5, 7.25],
    [-3, -4, 8, 9],
    [6, 5, 31, 40],
    [4, 4, 4, 4],
    [60, 70, 90, 95],
    [9, 8, 3, 2],
    [-40, -30, 70, 80],
  ].flat(),
);

const cases = ["half_pixel", "output_half_pixel"].flatMap((coordinate_transformation_mode) =>
  ["avg", "max"].flatMap((mode) =>
    [0, 1, 2, 3].map(
      (sampling_ratio): OperatorCase => ({
        op: "RoiAlign",
        ...(sampling_ratio === 3 ? { opset: 22, instead: { opset: 16 } } : { opset: 16 }),
        about: `${mode}, ${sampling_ratio} samples, ${coordinate_transformation_mode}`,
        attributes: {
          mode,
          sampling_ratio,
          coordinate_transformation_mode,
          output_height: 3,
          output_width: 2,
          spatial_scale: { float: 0.5 },
        },
        inputs: [images, regions, batches],
        lowered: sampling_ratio > 0 || mode === "avg",
        tolerance: 1e-5,
      }),
    ),
  ),
);

const more = [0, 2].flatMap((sampling_ratio): readonly OperatorCase[] => [
  {
    op: "RoiAlign",
    opset: 10,
    about: `${sampling_ratio} samples`,
    attributes: { output_height: 2, output_width: 2, sampling_ratio },
    inputs: [
      numbers("f32", [1, 2, 6, 7]),
      tensorOf("f32", [2, 4], [0, 0, 4, 5, 2, 2, 2.2, 2.1]),
      tensorOf("i64", [2], [0, 0]),
    ],
    lowered: true,
    tolerance: 1e-5,
  },
  {
    op: "RoiAlign",
    opset: 16,
    about: `${sampling_ratio} samples, open dims`,
    attributes: { output_height: 2, output_width: 3, sampling_ratio },
    inputs: [
      numbers("f32", [2, 2, 5, 1]),
      tensorOf("f32", [2, 4], [0, 0, 4, 5, -1, -1, 1, 5]),
      tensorOf("i64", [2], [1, 0]),
    ],
    open: ["N", 2, "H", "W"],
    lowered: true,
    tolerance: 1e-5,
  },
]);

describe("RoiAlign", () => {
  test.each([...cases, ...more].map((c) => [nameOf(c), c] as const))("%s", async (_name, c) => {
    await compareWithOnnxRuntime(c);
  });
});
