/** Products, convolutions and pools against ONNX Runtime. */
import { describe, test } from "vitest";
import type { AttributeInit } from "../support/onnx-builder.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
} from "./against-onnxruntime.js";

type Shape = readonly number[];
type Attributes = Readonly<Record<string, AttributeInit>>;

function product(
  about: string,
  a: Shape,
  b: Shape,
  rest: Partial<OperatorCase> = {},
): OperatorCase {
  const inputs = [numbers("f32", a), numbers("f32", b, [-1, 1], 2)];
  return { op: "MatMul", about, inputs, lowered: true, ...rest };
}

const products: readonly OperatorCase[] = [
  product("matrices", [5, 7], [7, 3], { open: ["M", 7] }),
  product("vectors", [7], [7]),
  product("vector and matrix", [7], [2, 7, 3]),
  product("matrix and vector", [2, 5, 7], [7]),
  product("broadcast batches", [2, 1, 5, 7], [3, 7, 4], { open: ["N", 1, "M", 7] }),
  product("both batches", [3, 2, 5, 7], [3, 2, 7, 4], { open: [3, 2, "M", 7] }),
  product("long sums", [2, 5000], [5000, 3], { tolerance: 1e-5 }),
  { op: "MatMul", about: "f64", inputs: [numbers("f64", [4, 6]), numbers("f64", [6, 2])] },
  {
    op: "MatMul",
    about: "i32",
    inputs: [numbers("i32", [4, 6], [-9, 9]), numbers("i32", [6, 2], [-9, 9])],
  },
  {
    op: "MatMul",
    about: "i64",
    inputs: [numbers("i64", [4, 6], [-9, 9]), numbers("i64", [6, 2], [-9, 9])],
  },
  { op: "MatMul", about: "f16", inputs: [numbers("f16", [4, 6]), numbers("f16", [6, 2])] },
  {
    op: "Gemm",
    inputs: [numbers("f32", [5, 4]), numbers("f32", [4, 3]), numbers("f32", [3])],
    open: ["M", 4],
    lowered: true,
  },
  {
    op: "Gemm",
    about: "transposed, scaled",
    attributes: { transA: 1, transB: 1, alpha: { float: 0.5 }, beta: { float: -2 } },
    inputs: [numbers("f32", [4, 5]), numbers("f32", [3, 4]), numbers("f32", [5, 1])],
  },
  {
    op: "Gemm",
    about: "without C",
    attributes: { alpha: { float: 3 } },
    inputs: [numbers("f32", [5, 4]), numbers("f32", [4, 3])],
  },
];

function einsum(equation: string, ...shapes: readonly Shape[]): OperatorCase {
  const inputs = shapes.map((shape, i) => numbers("f32", shape, [-1, 1], i + 1));
  return { op: "Einsum", about: equation, attributes: { equation }, inputs, lowered: true };
}

const einsums: readonly OperatorCase[] = [
  einsum("ij,jk->ik", [3, 4], [4, 5]),
  einsum("ij, jk", [3, 4], [4, 5]),
  einsum("bhqd,bhkd->bhqk", [2, 3, 4, 5], [2, 3, 6, 5]),
  einsum("...ij,...jk->...ik", [2, 3, 4], [2, 4, 5]),
  einsum("i,j->ji", [3], [4]),
  einsum("ij,ij->ij", [3, 4], [3, 4]),
  einsum("ij->", [3, 4]),
  einsum("ii->i", [4, 4]),
  einsum("iji->j", [4, 3, 4]),
  einsum("ij,jk,kl->il", [2, 3], [3, 4], [4, 5]),
  einsum("abc,cd->abd", [2, 3, 4], [4, 5]),
  einsum("ijk,j->ik", [2, 3, 4], [3]),
];

function conv(
  about: string,
  x: Shape,
  kernel: Shape,
  attributes: Attributes = {},
  rest: Partial<OperatorCase> = {},
): OperatorCase {
  const bias = numbers("f32", [kernel[0]!], [-1, 1], 3);
  const inputs = [numbers("f32", x), numbers("f32", kernel, [-1, 1], 2), bias];
  return { op: "Conv", about, attributes, inputs, lowered: true, tolerance: 1e-5, ...rest };
}

const convolutions: readonly OperatorCase[] = [
  conv("plain", [2, 3, 7, 8], [4, 3, 3, 3], {}, { open: ["N", 3, "H", "W"] }),
  conv(
    "without bias",
    [1, 2, 5, 5],
    [3, 2, 3, 3],
    {},
    {
      inputs: [numbers("f32", [1, 2, 5, 5]), numbers("f32", [3, 2, 3, 3])],
    },
  ),
  conv("1 by 1", [2, 70, 4, 5], [6, 70, 1, 1]),
  conv("1 by 1, stride 2", [2, 3, 5, 6], [4, 3, 1, 1], { strides: [2, 2] }),
  conv("1 by 3", [1, 3, 5, 6], [4, 3, 1, 3], { pads: [0, 1, 0, 1] }),
  conv(
    "strides, pads",
    [2, 3, 7, 9],
    [4, 3, 3, 3],
    { strides: [2, 2], pads: [1, 1, 1, 1] },
    {
      open: ["N", 3, "H", "W"],
    },
  ),
  conv("asymmetric pads", [1, 3, 7, 9], [4, 3, 3, 2], { strides: [2, 1], pads: [0, 1, 2, 1] }),
  conv("dilations", [1, 3, 9, 9], [4, 3, 3, 3], { dilations: [2, 3], pads: [1, 2, 1, 2] }),
  conv("groups", [2, 6, 6, 5], [4, 3, 3, 3], { group: 2 }),
  conv(
    "depthwise",
    [2, 5, 6, 5],
    [5, 1, 3, 3],
    { group: 5, pads: [1, 1, 1, 1] },
    {
      open: ["N", 5, "H", "W"],
    },
  ),
  conv("depthwise, twice the channels", [1, 3, 6, 5], [6, 1, 3, 3], { group: 3 }),
  conv("1-D", [2, 4, 11], [3, 4, 5], { strides: [3], pads: [2, 2] }, { open: ["N", 4, "T"] }),
  conv("3-D", [1, 2, 5, 6, 4], [3, 2, 2, 3, 2], { strides: [1, 2, 1] }),
  ...["SAME_UPPER", "SAME_LOWER", "VALID"].map((mode) =>
    conv(mode, [1, 2, 6, 7], [3, 2, 3, 4], { auto_pad: mode, strides: [2, 3] }),
  ),
  conv(
    "SAME_UPPER, open dims",
    [1, 2, 6, 7],
    [3, 2, 3, 4],
    { auto_pad: "SAME_UPPER" },
    {
      open: ["N", 2, "H", "W"],
    },
  ),
  {
    op: "com.microsoft::FusedConv",
    about: "relu",
    attributes: { activation: "Relu" },
    inputs: [numbers("f32", [1, 3, 5, 5]), numbers("f32", [2, 3, 3, 3]), numbers("f32", [2])],
  },
  {
    op: "com.microsoft::FusedConv",
    about: "hard sigmoid",
    attributes: { activation: "HardSigmoid", activation_params: { floats: [0.3, 0.4] } },
    inputs: [numbers("f32", [1, 3, 5, 5]), numbers("f32", [2, 3, 3, 3])],
  },
];

function deconv(
  about: string,
  x: Shape,
  kernel: Shape,
  attributes: Attributes = {},
  rest: Partial<OperatorCase> = {},
): OperatorCase {
  const outputs = kernel[1]! * Number(attributes.group ?? 1);
  const bias = numbers("f32", [outputs], [-1, 1], 3);
  const inputs = [numbers("f32", x), numbers("f32", kernel, [-1, 1], 2), bias];
  const op = "ConvTranspose";
  return { op, about, attributes, inputs, lowered: true, tolerance: 1e-5, ...rest };
}

const transposed: readonly OperatorCase[] = [
  deconv("plain", [2, 3, 4, 5], [3, 4, 3, 3], {}, { open: ["N", 3, "H", "W"] }),
  deconv(
    "stride 2, kernel 2",
    [1, 3, 4, 5],
    [3, 4, 2, 2],
    { strides: [2, 2] },
    {
      open: ["N", 3, "H", "W"],
    },
  ),
  deconv(
    "stride 2, kernel 4",
    [1, 3, 4, 5],
    [3, 4, 4, 4],
    { strides: [2, 2], pads: [1, 1, 1, 1] },
    {
      open: ["N", 3, "H", "W"],
    },
  ),
  deconv(
    "stride 2, kernel 3",
    [1, 3, 4, 5],
    [3, 4, 3, 3],
    { strides: [2, 2], pads: [1, 0, 1, 1] },
    {
      open: ["N", 3, "H", "W"],
    },
  ),
  deconv("output padding", [1, 3, 4, 5], [3, 2, 3, 3], {
    strides: [2, 2],
    pads: [1, 1, 1, 1],
    output_padding: [1, 1],
  }),
  deconv("kernel smaller than stride", [1, 3, 4, 5], [3, 2, 2, 1], { strides: [3, 2] }),
  deconv("stride 3, kernel 5", [1, 2, 4, 3], [2, 2, 5, 5], { strides: [3, 3], pads: [2, 1, 0, 3] }),
  deconv("dilations", [1, 2, 4, 5], [2, 3, 3, 2], { dilations: [2, 3] }),
  deconv("dilations and strides", [1, 2, 4, 5], [2, 3, 3, 3], {
    dilations: [2, 3],
    strides: [3, 2],
    pads: [1, 1, 1, 1],
  }),
  deconv("groups", [2, 6, 3, 4], [6, 2, 3, 3], { group: 3, strides: [2, 2] }),
  deconv("groups, kernel 4", [2, 6, 3, 4], [6, 2, 4, 4], { group: 3, strides: [2, 2] }),
  deconv("1-D", [1, 3, 6], [3, 2, 8], { strides: [4], pads: [2, 2] }, { open: ["N", 3, "T"] }),
  deconv("1-D, kernel 7", [1, 3, 6], [3, 2, 7], { strides: [4] }),
  deconv("3-D", [1, 2, 3, 2, 3], [2, 2, 3, 2, 2], { strides: [2, 1, 2] }),
  deconv("output shape", [1, 2, 3, 3], [2, 2, 3, 3], { strides: [3, 2], output_shape: [10, 8] }),
  ...["SAME_UPPER", "SAME_LOWER"].map((mode) =>
    deconv(mode, [1, 2, 3, 4], [2, 2, 4, 3], { strides: [2, 2], auto_pad: mode }),
  ),
];

function pool(
  op: string,
  about: string,
  x: Shape,
  attributes: Attributes,
  rest: Partial<OperatorCase> = {},
): OperatorCase {
  return { op, about, attributes, inputs: [numbers("f32", x)], lowered: true, ...rest };
}

const geometries: readonly (readonly [string, Attributes])[] = [
  ["plain", { kernel_shape: [3, 2] }],
  ["pads", { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 0, 1, 1] }],
  ["ceil", { kernel_shape: [3, 3], strides: [2, 2], ceil_mode: 1 }],
  ["ceil and pads", { kernel_shape: [3, 3], strides: [3, 2], ceil_mode: 1, pads: [1, 1, 1, 1] }],
  ["dilations", { kernel_shape: [2, 3], dilations: [2, 2], strides: [1, 2] }],
  ["same upper", { kernel_shape: [3, 4], strides: [2, 2], auto_pad: "SAME_UPPER" }],
  ["same lower", { kernel_shape: [3, 4], strides: [2, 2], auto_pad: "SAME_LOWER" }],
];

const pools: readonly OperatorCase[] = [
  ...geometries.flatMap(([about, attributes]) => [
    pool("MaxPool", about, [2, 3, 8, 7], attributes),
    pool("MaxPool", `${about}, indices`, [2, 3, 8, 7], attributes, { outputs: ["f32", "i64"] }),
    pool("AveragePool", about, [2, 3, 8, 7], attributes),
    pool("AveragePool", `${about}, counting pads`, [2, 3, 8, 7], {
      ...attributes,
      count_include_pad: 1,
    }),
    pool("LpPool", about, [2, 3, 8, 7], attributes, { opset: 18 }),
  ]),
  pool("LpPool", "p 1", [1, 2, 5, 5], { kernel_shape: [2, 2], p: 1 }),
  pool("LpPool", "p 3", [1, 2, 5, 5], { kernel_shape: [2, 2], p: 3 }, { tolerance: 1e-5 }),
  pool(
    "MaxPool",
    "1-D",
    [2, 3, 9],
    { kernel_shape: [3], strides: [2] },
    {
      open: ["N", 3, "T"],
      outputs: ["f32", "i64"],
    },
  ),
  pool(
    "MaxPool",
    "3-D",
    [1, 2, 5, 4, 6],
    { kernel_shape: [2, 2, 3] },
    {
      outputs: ["f32", "i64"],
    },
  ),
  pool(
    "MaxPool",
    "column-major indices",
    [1, 2, 5, 4],
    { kernel_shape: [2, 2], storage_order: 1 },
    {
      outputs: ["f32", "i64"],
    },
  ),
  pool(
    "MaxPool",
    "i8",
    [1, 2, 5, 4],
    { kernel_shape: [2, 2], pads: [1, 1, 1, 1] },
    {
      inputs: [numbers("i8", [1, 2, 5, 4], [-128, -100])],
    },
  ),
  pool(
    "AveragePool",
    "open dims",
    [1, 2, 8, 9],
    { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
    {
      open: ["N", 2, "H", "W"],
    },
  ),
  pool("GlobalAveragePool", "", [2, 3, 4, 5], {}, { open: ["N", 3, "H", "W"] }),
  pool("GlobalMaxPool", "", [2, 3, 4, 5], {}, { open: ["N", 3, "H", "W"] }),
  pool("GlobalLpPool", "", [2, 3, 4, 5], {}),
];

describe.each([
  ["products", products],
  ["einsum", einsums],
  ["convolutions", convolutions],
  ["transposed convolutions", transposed],
  ["pools", pools],
] as const)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (_name, c) => {
    await compareWithOnnxRuntime(c);
  });
});
