import { describe, expect, test } from "vitest";
import {
  hostInputNames,
  hostNodeFromModel,
  hostNodeModel,
} from "../../src/compiler/1-import/host-node.js";
import { importModel } from "../../src/compiler/1-import/import.js";
import type { HostOperation, Node } from "../../src/ir/graph.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { decodeModel, encodeModel, type Model } from "../../src/onnx/model.js";
import { evaluateHostOperation } from "../../src/ops/evaluate-node.js";
import { attribute, bool, graphProto, node, onnxModel } from "../support/onnx-builder.js";

/** The device has no doubles, so nothing of an If over them leaves the host. */
function f64(shape: readonly number[], values: readonly number[]): Tensor {
  return { dtype: "f64", shape, data: Float64Array.from(values) };
}

function hostNode(model: Model, dims = new Map<string, number>()): Node & { op: HostOperation } {
  const { graph } = importModel(model, {
    dims,
    externalData: { read: () => new Uint8Array(Float64Array.of(100).buffer) },
  });
  return graph.nodes.find((n): n is Node & { op: HostOperation } => n.op.kind === "host")!;
}

/** Written, read again, and evaluated both ways. */
function bothWays(original: Node & { op: HostOperation }, inputs: readonly Tensor[]) {
  const model = decodeModel(encodeModel(hostNodeModel(original)));
  const copy = { ...original.op, node: hostNodeFromModel(model) };
  expect(hostInputNames(copy)).toEqual(hostInputNames(original.op));
  return { model, results: [original.op, copy].map((op) => evaluateHostOperation(op, inputs)) };
}

const conditional = (then: Parameters<typeof graphProto>[0]) =>
  node("If", ["c"], ["y"], {
    then_branch: { graph: graphProto(then) },
    else_branch: {
      graph: graphProto({ nodes: [node("Neg", ["x"], ["r"])], outputs: { r: "f64[1]" } }),
    },
  });

describe("a host node as a model of its own", () => {
  test("keeps attributes of every kind", () => {
    const original = hostNode(
      onnxModel({
        inputs: { text: "string[N]" },
        nodes: [
          node("StringNormalizer", ["text"], ["y"], {
            case_change_action: "UPPER",
            is_case_sensitive: 1,
            stopwords: ["b"],
          }),
        ],
        outputs: { y: "string[?]" },
      }),
      new Map([["N", 2]]),
    );
    const text: Tensor = { dtype: "string", shape: [2], data: ["a", "b"] };
    const { model, results } = bothWays(original, [text]);
    expect(results[0]).toEqual([{ dtype: "string", shape: [1], data: ["A"] }]);
    expect(results[1]).toEqual(results[0]);
    expect(model.graph.input[0]!.type!.tensorType!.shape!.dim).toEqual([{ dimValue: 2 }]);
  });

  test("takes what its subgraphs capture, each name once", () => {
    const original = hostNode(
      onnxModel({
        inputs: { c: "bool[]", x: "f64[1]" },
        nodes: [conditional({ nodes: [node("Add", ["x", "w"], ["r"])], outputs: { r: "f64[1]" } })],
        initializers: { w: f64([1], [10]) },
        outputs: { y: "f64[1]" },
      }),
    );
    expect(hostInputNames(original.op)).toEqual(["c", "x", "w", "x"]);
    const x = f64([1], [1]);
    const { model, results } = bothWays(original, [bool([], [true]), x, f64([1], [10]), x]);
    expect(results).toEqual([[f64([1], [11])], [f64([1], [11])]]);
    expect(model.graph.input.map((i) => i.name)).toEqual(["c", "x", "w"]);
  });

  test("has external tensors inside", () => {
    const external = {
      name: "w",
      dims: [1],
      dataType: 11,
      dataLocation: 1,
      externalData: [{ key: "location", value: "weights" }],
    };
    const then = graphProto({ nodes: [node("Add", ["x", "w"], ["r"])], outputs: { r: "f64[1]" } });
    const branch = attribute("then_branch", { graph: { ...then, initializer: [external] } });
    const original = hostNode(
      onnxModel({
        inputs: { c: "bool[]", x: "f64[1]" },
        nodes: [
          {
            ...node("If", ["c"], ["y"]),
            attribute: [
              branch,
              attribute("else_branch", { graph: { ...then, initializer: [external] } }),
            ],
          },
        ],
        outputs: { y: "f64[1]" },
      }),
    );
    const inputs = [bool([], [true]), f64([1], [1]), f64([1], [1])];
    expect(bothWays(original, inputs).results).toEqual([[f64([1], [101])], [f64([1], [101])]]);
  });

  test("has the attributes of the call that it stands in", () => {
    const original = hostNode(
      onnxModel({
        opset: { "": 21, my: 1 },
        functions: [
          {
            domain: "my",
            name: "F",
            input: ["c", "x"],
            output: ["y"],
            attribute: ["by"],
            opsetImport: [{ domain: "", version: 21 }],
            node: [
              conditional({
                nodes: [
                  node("Constant", [], ["k"], { value_float: { ref: "by", type: "float" } }),
                  node("Cast", ["k"], ["wide"], { to: 11 }),
                  node("Mul", ["x", "wide"], ["r"]),
                ],
                outputs: { r: "f64[1]" },
              }),
            ],
          },
        ],
        inputs: { c: "bool[]", x: "f64[1]" },
        nodes: [node("my::F", ["c", "x"], ["y"], { by: { float: 3 } })],
        outputs: { y: "f64[1]" },
      }),
    );
    const inputs = [bool([], [true]), f64([1], [2]), f64([1], [2])];
    expect(bothWays(original, inputs).results).toEqual([[f64([1], [6])], [f64([1], [6])]]);
  });
});
