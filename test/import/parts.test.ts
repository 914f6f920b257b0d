/** Where a model is cut because shapes depend on data, and what the two models are. */
import { expect, test } from "vitest";
import { importModel } from "../../src/compiler/1-import/import.js";
import { firstPart, laterPart } from "../../src/compiler/1-import/part-models.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { numbers } from "../support/data-dependent.js";
import { i64, type ModelInit, node, onnxModel } from "../support/onnx-builder.js";

const x: Tensor = numbers(1, 20, 64);
const parts = { weightsMin: 4096 };

function cut(nodes: ModelInit["nodes"], initializers: ModelInit["initializers"] = {}) {
  const model = onnxModel({
    inputs: { x: "f32[N, 64]" },
    initializers: { w: numbers(2, 64, 64), flat: i64([1], [-1]), ...initializers },
    nodes,
    outputs: { y: "f32" },
  });
  const inputShapes = new Map([["x", x.shape]]);
  const { later, graph } = importModel(model, { inputShapes, parts });
  const operators = later.map((number) => model.graph.node[number]!.opType);
  return { model, later, operators, outputs: graph.outputs.map(({ name }) => name) };
}

const chosen = [
  node("NonZero", ["x"], ["found"]),
  node("Reshape", ["found", "flat"], ["places"]),
  node("Gather", ["x", "places"], ["rows"]),
];

test("what waits for a shape and reads weights is cut off, with what only it waits for", () => {
  const { operators, outputs } = cut([...chosen, node("MatMul", ["rows", "w"], ["y"])]);
  expect(operators).toEqual(["Reshape", "Gather", "MatMul"]);
  expect(outputs).toEqual(["found"]);
});

test("post-processing is not worth a part of its own", () => {
  const { operators, outputs } = cut([...chosen, node("Mul", ["rows", "rows"], ["y"])]);
  expect(operators).toEqual([]);
  expect(outputs).toEqual(["y"]);
});

test("a chain of nodes that only the host runs is one part", () => {
  const { operators } = cut([
    ...chosen,
    node("Unique", ["places"], ["some"]),
    node("NonZero", ["some"], ["last"]),
    node("Reshape", ["last", "flat"], ["index"]),
    node("Gather", ["x", "index"], ["few"]),
    node("MatMul", ["few", "w"], ["y"]),
  ]);
  expect(operators).toEqual(["Reshape", "Gather", "MatMul"]);
});

test("weights that are computed from constants are computed where they are read", () => {
  const codes: Tensor = { dtype: "i8", shape: [64, 64], data: new Int8Array(4096).fill(3) };
  const { operators } = cut(
    [
      node("DequantizeLinear", ["codes", "scale"], ["weights"]),
      ...chosen,
      node("MatMul", ["rows", "weights"], ["y"]),
    ],
    { codes, scale: { dtype: "f32", shape: [], data: Float32Array.of(0.5) } },
  );
  expect(operators).toEqual(["DequantizeLinear", "Reshape", "Gather", "MatMul"]);
});

test("dims are worked out in both parts, so that they may stay open in both", () => {
  const { operators, outputs } = cut(
    [
      node("Shape", ["x"], ["shape"]),
      ...chosen,
      node("MatMul", ["rows", "w"], ["h"]),
      node("Slice", ["shape", "one", "two"], ["width"]),
      node("Concat", ["flat", "width"], ["target"], { axis: 0 }),
      node("Reshape", ["h", "target"], ["y"]),
    ],
    { one: i64([1], [1]), two: i64([1], [2]) },
  );
  expect(operators).toEqual(["Shape", "Reshape", "Gather", "MatMul", "Slice", "Concat", "Reshape"]);
  expect(outputs).toEqual(["found"]);
});

test("the later model has the weights that it reads, and names for dims that can be written", () => {
  const { model, later } = cut([
    node("NonZero", ["x"], ["/a-1/found"]),
    node("NonZero", ["x"], ["_a_1_found"]),
    node("Concat", ["/a-1/found", "_a_1_found"], ["found"], { axis: 1 }),
    node("Reshape", ["found", "flat"], ["places"]),
    node("Gather", ["x", "places"], ["rows"]),
    node("MatMul", ["rows", "w"], ["y"]),
  ]);
  expect(firstPart(model, later).graph.node.map(({ opType }) => opType)).toEqual([
    "NonZero",
    "NonZero",
  ]);
  const found = i64([2, 1], [0, 0]);
  const values = new Map([
    ["x", x],
    ["/a-1/found", found],
    ["_a_1_found", found],
  ]);
  const { graph } = laterPart(model, later, values);
  expect(graph.initializer.map(({ name }) => name)).toEqual(["w", "flat"]);
  expect(
    graph.input.map(({ name, type }) => [
      name,
      type!.tensorType!.shape!.dim.map(({ dimParam, dimValue }) => dimParam ?? dimValue),
    ]),
  ).toEqual([
    ["x", ["N", 64]],
    ["/a-1/found", ["_a_1_found.0", "_a_1_found.1"]],
    ["_a_1_found", ["_a_1_found_1.0", "_a_1_found_1.1"]],
  ]);
});

test("without being asked nothing is cut", () => {
  const { model } = cut([...chosen, node("MatMul", ["rows", "w"], ["y"])]);
  const { later, graph } = importModel(model, { inputShapes: new Map([["x", x.shape]]) });
  expect(later).toEqual([]);
  expect(graph.outputs.map(({ name }) => name)).toEqual(["y"]);
});
