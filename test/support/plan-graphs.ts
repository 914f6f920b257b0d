/**
 * Graphs of real operators whose shapes make plans matter: contractions of several segments, ragged everything,
 * rows longer than a tile, halos, dims that are open to run time. Imported from ONNX, with inputs to run them on.
 */
import { importModel } from "../../src/compiler/1-import/import.js";
import { encodeArray } from "../../src/numerics/convert.js";
import { type DType, isFloat } from "../../src/numerics/dtype.js";
import { elementCount, type Tensor } from "../../src/numerics/tensor.js";
import { f32, i64, type ModelInit, node, onnxModel } from "./onnx-builder.js";
import type { RandomGraph } from "./random-graph.js";
import { Random } from "./random.js";

/** A type as text with the shape that this run has: `f32[N, 70]` is run with N from `dims`. */
interface PlanModel extends Omit<ModelInit, "initializers"> {
  readonly inputs: Readonly<Record<string, string>>;
  /** Constants by type as text, or as they are. */
  readonly weights?: Readonly<Record<string, string | Tensor>>;
  /** Open dims: their range and what they are in this run. */
  readonly dims?: Readonly<Record<string, { min: number; max: number; now: number }>>;
}

/** A LayerNormalization spelt out, as older opsets have it; `e` is what it adds to the variance. */
function normalization(x: string, y: string, scale: string, bias: string) {
  return [
    node("ReduceMean", [x], [`${y}.mean`], { axes: [-1] }),
    node("Sub", [x, `${y}.mean`], [`${y}.centred`]),
    node("Mul", [`${y}.centred`, `${y}.centred`], [`${y}.square`]),
    node("ReduceMean", [`${y}.square`], [`${y}.variance`], { axes: [-1] }),
    node("Add", [`${y}.variance`, "e"], [`${y}.more`]),
    node("Sqrt", [`${y}.more`], [`${y}.deviation`]),
    node("Div", [`${y}.centred`, `${y}.deviation`], [`${y}.quotient`]),
    node("Mul", [`${y}.quotient`, scale], [`${y}.scaled`]),
    node("Add", [`${y}.scaled`, bias], [y]),
  ];
}

const models: Readonly<Record<string, PlanModel>> = {
  "product of several segments, bias and gelu": {
    inputs: { x: "f32[9, 4500]" },
    weights: { w: "f32[4500, 21]", bias: "f32[21]" },
    nodes: [
      node("MatMul", ["x", "w"], ["p"]),
      node("Add", ["p", "bias"], ["s"]),
      node("Gelu", ["s"], ["y"]),
    ],
    outputs: { y: "f32[9, 21]" },
  },
  "product with weights of four bits in blocks, the last one cut": {
    opset: { "": 21, "com.microsoft": 1 },
    inputs: { x: "f32[2, 5, 150]" },
    weights: { w: "u8[21, 5, 16]", scale: "f32[105]", zero: "u8[63]" },
    nodes: [
      node("com.microsoft::MatMulNBits", ["x", "w", "scale", "zero"], ["p"], {
        ...{ K: 150, N: 21, bits: 4, block_size: 32 },
      }),
      node("Relu", ["p"], ["y"]),
    ],
    outputs: { y: "f32[2, 5, 21]" },
  },
  "product with weights of eight bits, scaled by column": {
    inputs: { x: "f32[9, 70]" },
    weights: { w: "i8[70, 33]", scale: "f32[33]", zero: "i8[33]" },
    nodes: [
      node("DequantizeLinear", ["w", "scale", "zero"], ["numbers"], { axis: 1 }),
      node("MatMul", ["x", "numbers"], ["y"]),
    ],
    outputs: { y: "f32[9, 33]" },
  },
  "numbers of codes that a product and something else read": {
    inputs: { x: "f32[9, 70]" },
    weights: { w: "i8[70, 33]", scale: "f32[33]" },
    nodes: [
      node("DequantizeLinear", ["w", "scale"], ["numbers"], { axis: 1 }),
      node("MatMul", ["x", "numbers"], ["y"]),
      node("ReduceMax", ["numbers"], ["z"], { keepdims: 0 }),
    ],
    outputs: { y: "f32[9, 33]", z: "f32[]" },
  },
  "batched product of open rows, both operands given": {
    inputs: { x: "f32[3, N, 70]", y: "f32[3, 70, 33]" },
    dims: { N: { min: 1, max: 90, now: 41 } },
    nodes: [node("MatMul", ["x", "y"], ["p"]), node("Relu", ["p"], ["z"])],
    outputs: { z: "f32[3, ?, 33]" },
  },
  "product of a transposed operand into a transposed result": {
    inputs: { x: "f32[130, 67]", y: "f32[51, 130]" },
    nodes: [
      node("Gemm", ["x", "y"], ["p"], { transA: 1, transB: 1, alpha: { float: 0.5 } }),
      node("Transpose", ["p"], ["z"], { perm: [1, 0] }),
    ],
    outputs: { z: "f32[51, 67]" },
  },
  "convolution with stride, halo, residual and relu": {
    inputs: { x: "f32[2, 70, 11, 9]", r: "f32[2, 19, 6, 5]" },
    weights: { w: "f32[19, 70, 3, 3]", bias: "f32[19]" },
    nodes: [
      node("Conv", ["x", "w", "bias"], ["c"], { strides: [2, 2], pads: [1, 1, 1, 1] }),
      node("Add", ["c", "r"], ["s"]),
      node("Relu", ["s"], ["y"]),
    ],
    outputs: { y: "f32[2, 19, 6, 5]" },
  },
  "grouped convolution, uneven pads, dilation": {
    inputs: { x: "f32[1, 24, 17, 15]" },
    weights: { w: "f32[30, 8, 3, 2]" },
    nodes: [node("Conv", ["x", "w"], ["y"], { group: 3, pads: [2, 0, 1, 1], dilations: [2, 1] })],
    outputs: { y: "f32[1, 30, ?, ?]" },
  },
  "depthwise convolution and sigmoid gate": {
    inputs: { x: "f32[1, 20, 14, 11]" },
    weights: { w: "f32[20, 1, 5, 5]", bias: "f32[20]" },
    nodes: [
      node("Conv", ["x", "w", "bias"], ["c"], { group: 20, pads: [2, 2, 2, 2] }),
      node("Sigmoid", ["c"], ["s"]),
      node("Mul", ["c", "s"], ["y"]),
    ],
    outputs: { y: "f32[1, 20, 14, 11]" },
  },
  "transposed convolution of a transposed batch, whose six axes have no common runs": {
    inputs: { a: "f32[2, 16, 8]" },
    weights: { w: "f32[8, 8, 4, 4]", bias: "f32[8]", shape: i64([4], [2, 8, 4, 4]) },
    nodes: [
      node("Transpose", ["a"], ["t"], { perm: [0, 2, 1] }),
      node("Reshape", ["t", "shape"], ["x"]),
      node("ConvTranspose", ["x", "w", "bias"], ["y"], { strides: [2, 2], pads: [1, 1, 1, 1] }),
    ],
    outputs: { y: "f32[2, 8, 8, 8]" },
  },
  "transposed convolution": {
    inputs: { x: "f32[1, 20, 9, 7]" },
    weights: { w: "f32[20, 13, 4, 4]" },
    nodes: [node("ConvTranspose", ["x", "w"], ["y"], { strides: [2, 2], pads: [1, 1, 1, 1] })],
    outputs: { y: "f32[1, 13, 18, 14]" },
  },
  "softmax of a row longer than L1": {
    inputs: { x: "f32[1, 70001]" },
    nodes: [node("Softmax", ["x"], ["y"])],
    outputs: { y: "f32[1, 70001]" },
  },
  "softmax of rows longer than a tile": {
    inputs: { x: "f32[2, 20011]" },
    nodes: [node("Softmax", ["x"], ["y"])],
    outputs: { y: "f32[2, 20011]" },
  },
  "layer normalization of open rows": {
    inputs: { x: "f32[2, T, 300]" },
    dims: { T: { min: 1, max: 40, now: 17 } },
    weights: { g: "f32[300]", b: "f32[300]" },
    nodes: [node("LayerNormalization", ["x", "g", "b"], ["y"])],
    outputs: { y: "f32[2, ?, 300]" },
  },
  "layer normalizations in a row, with more operands than a statement reads": {
    opset: 17,
    inputs: { x: "f32[2, 9, 32]", r: "f32[2, 9, 32]" },
    weights: { g: "f32[32]", b: "f32[32]", g2: "f32[32]", b2: "f32[32]", e: f32([], [1e-5]) },
    nodes: [
      node("Add", ["x", "r"], ["s"]),
      ...normalization("s", "n", "g", "b"),
      ...normalization("n", "y", "g2", "b2"),
    ],
    outputs: { y: "f32[2, 9, 32]" },
  },
  "attention of heads with a mask": {
    inputs: {
      q: "f32[1, 4, 37, 16]",
      k: "f32[1, 4, 53, 16]",
      v: "f32[1, 4, 53, 16]",
      m: "f32[37, 53]",
    },
    opset: 23,
    nodes: [node("Attention", ["q", "k", "v", "m"], ["y"])],
    outputs: { y: "f32[1, 4, 37, 16]" },
  },
  "attention of heads in fp16": {
    inputs: {
      q: "f16[1, 3, 19, 24]",
      k: "f16[1, 3, 45, 24]",
      v: "f16[1, 3, 45, 24]",
    },
    opset: 23,
    nodes: [node("Attention", ["q", "k", "v"], ["y"], { is_causal: 1 })],
    outputs: { y: "f16[1, 3, 19, 24]" },
  },
  "product and softmax of open rows in bf16": {
    inputs: { x: "bf16[N, 300]" },
    dims: { N: { min: 1, max: 60, now: 23 } },
    weights: { w: "bf16[300, 70]" },
    nodes: [node("MatMul", ["x", "w"], ["p"]), node("Softmax", ["p"], ["y"])],
    outputs: { y: "bf16[?, 70]" },
  },
  "convolution, bias and relu in fp16": {
    inputs: { x: "f16[1, 70, 12, 13]" },
    weights: { w: "f16[40, 70, 3, 3]", bias: "f16[40]" },
    nodes: [
      node("Conv", ["x", "w", "bias"], ["c"], { pads: [1, 1, 1, 1] }),
      node("Relu", ["c"], ["y"]),
    ],
    outputs: { y: "f16[1, 40, 12, 13]" },
  },
  "integer convolution of open rows": {
    inputs: { x: "u8[1, 33, H, 9]" },
    dims: { H: { min: 3, max: 30, now: 17 } },
    weights: {
      w: "i8[20, 33, 3, 3]",
      zero: { dtype: "u8", shape: [], data: Uint8Array.of(9) },
    },
    nodes: [node("ConvInteger", ["x", "w", "zero"], ["y"], { pads: [1, 1, 1, 1] })],
    outputs: { y: "i32[1, 20, ?, 9]" },
  },
  "integer product with zero points, rescaled": {
    inputs: { x: "u8[29, 200]" },
    weights: {
      w: "i8[200, 40]",
      xScale: f32([], [0.02]),
      xZero: { dtype: "u8", shape: [], data: Uint8Array.of(7) },
      wScale: f32([], [0.011]),
      wZero: { dtype: "i8", shape: [], data: Int8Array.of(-3) },
      yScale: f32([], [0.4]),
      yZero: { dtype: "u8", shape: [], data: Uint8Array.of(120) },
    },
    nodes: [
      node(
        "QLinearMatMul",
        ["x", "xScale", "xZero", "w", "wScale", "wZero", "yScale", "yZero"],
        ["y"],
      ),
    ],
    outputs: { y: "u8[29, 40]" },
  },
  "pools, concat and mean": {
    inputs: { x: "f32[2, 19, 14, 15]" },
    nodes: [
      node("MaxPool", ["x"], ["a"], { kernel_shape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] }),
      node("AveragePool", ["x"], ["b"], {
        kernel_shape: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
      }),
      node("Concat", ["a", "b"], ["c"], { axis: 1 }),
      node("ReduceMean", ["c", "axes"], ["y"], { keepdims: 0 }),
    ],
    weights: { axes: i64([2], [2, 3]) },
    outputs: { c: "f32[2, 38, 7, 8]", y: "f32[2, 38]" },
  },
  "slices by steps, of open columns and backwards": {
    inputs: { x: "f32[2, 40, W]" },
    dims: { W: { min: 9, max: 80, now: 61 } },
    weights: {
      from: i64([2], [1, 2]),
      to: i64([2], [1000, 1000]),
      axes: i64([2], [1, 2]),
      steps: i64([2], [3, 2]),
      end: i64([1], [-1]),
      start: i64([1], [-1000]),
      back: i64([1], [-2]),
    },
    nodes: [
      node("Slice", ["x", "from", "to", "axes", "steps"], ["y"]),
      node("Slice", ["y", "end", "start", "end", "back"], ["b"]),
      node("Exp", ["b"], ["z"]),
    ],
    outputs: { y: "f32[2, 13, ?]", z: "f32[2, 13, ?]" },
  },
  "shuffled channels between two products": {
    inputs: { x: "f32[33, 24]" },
    weights: {
      v: "f32[24, 60]",
      w: "f32[60, 31]",
      shape: i64([3], [33, 4, 15]),
      flat: i64([2], [33, 60]),
    },
    nodes: [
      node("MatMul", ["x", "v"], ["p"]),
      node("Reshape", ["p", "shape"], ["q"]),
      node("Transpose", ["q"], ["r"], { perm: [0, 2, 1] }),
      node("Reshape", ["r", "flat"], ["s"]),
      node("MatMul", ["s", "w"], ["y"]),
    ],
    outputs: { y: "f32[33, 31]" },
  },
  "running sums and picked rows": {
    inputs: { x: "f32[40, 33]", at: "i64[3, 9]" },
    weights: { axis: i64([], [1]) },
    nodes: [node("CumSum", ["x", "axis"], ["s"]), node("Gather", ["s", "at"], ["y"])],
    outputs: { y: "f32[3, 9, 33]" },
  },
  "recurrent layer of open length, both directions": {
    inputs: { x: "f32[T, 3, 10]" },
    weights: { w: "f32[2, 36, 10]", r: "f32[2, 36, 9]", b: "f32[2, 72]" },
    dims: { T: { min: 1, max: 12, now: 7 } },
    nodes: [
      node("LSTM", ["x", "w", "r", "b"], ["y", "h", "c"], {
        hidden_size: 9,
        direction: "bidirectional",
      }),
    ],
    outputs: { y: "f32[?, 2, 3, 9]", h: "f32[2, 3, 9]", c: "f32[2, 3, 9]" },
  },
  "recurrent layer in reverse, with weights and lengths given, batch first": {
    inputs: {
      x: "f32[3, 6, 10]",
      w: "f32[1, 27, 10]",
      r: "f32[1, 27, 9]",
      lengths: "i32[3]",
      first: "f32[3, 1, 9]",
    },
    nodes: [
      node("GRU", ["x", "w", "r", "", "lengths", "first"], ["y", "h"], {
        hidden_size: 9,
        direction: "reverse",
        layout: 1,
      }),
    ],
    outputs: { y: "f32[3, 6, 1, 9]", h: "f32[3, 1, 9]" },
  },
};

/** Each with dims as said; where there are open ones, also with other maxima, and bound. */
export const planGraphs: Readonly<Record<string, () => RandomGraph[]>> = Object.fromEntries(
  Object.entries(models).map(([name, model], i) => [
    name,
    () => dimSettings(model).map((dims) => importPlanModel(model, i, dims)),
  ]),
);

type DimSettings = Readonly<Record<string, number | { min: number; max: number }>>;

function dimSettings({ dims = {} }: PlanModel): DimSettings[] {
  const all = (
    of: (dim: { min: number; max: number; now: number }) => DimSettings[string],
  ): DimSettings => Object.fromEntries(Object.entries(dims).map(([name, dim]) => [name, of(dim)]));
  const declared = all(({ min, max }) => ({ min, max }));
  if (Object.keys(dims).length === 0) return [declared];
  return [
    declared,
    all(({ min, max }) => ({ min, max: 3 * max + 1 })),
    all(({ min, now }) => ({ min, max: now })),
    all(({ now }) => now),
  ];
}

function importPlanModel(model: PlanModel, seed: number, settings: DimSettings): RandomGraph {
  const { weights = {}, dims = {}, ...init } = model;
  const random = new Random(seed);
  const initializers = Object.fromEntries(
    Object.entries(weights).map(([name, weight]) => [
      name,
      typeof weight === "string" ? randomTensor(random, weight, {}) : weight,
    ]),
  );
  const { graph } = importModel(onnxModel({ ...init, initializers }), {
    dims: new Map(Object.entries(settings)),
  });
  const inputs = new Map(
    Object.entries(model.inputs).map(([name, type]) => [name, randomTensor(random, type, dims)]),
  );
  return { graph, inputs };
}

function randomTensor(
  random: Random,
  type: string,
  dims: Readonly<Record<string, { now: number }>>,
): Tensor {
  const [, dtype, list] = /^(\w+)\[(.*)\]$/.exec(type)! as unknown as [string, DType, string];
  const shape = list.split(",").map((dim) => dims[dim.trim()]?.now ?? Number(dim));
  const most = dtype === "i64" ? 30 : 100;
  const element = isFloat(dtype)
    ? () => (random.unit() - 0.5) * 4
    : () => random.integer(dtype === "i8" ? -most : 0, most);
  const data = Array.from({ length: elementCount(shape) }, element);
  return { dtype, shape, data: encodeArray(dtype, data) };
}
