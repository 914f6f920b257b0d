import { describe, expect, test } from "vitest";
import { evaluateModel } from "../../src/compiler/1-import/evaluate-model.js";
import { importModel, type ImportOptions } from "../../src/compiler/1-import/import.js";
import { bodiesOf } from "../../src/ir/control.js";
import type { DimRange } from "../../src/compiler/1-import/symbols.js";
import { dimText } from "../../src/ir/dim.js";
import type { Graph } from "../../src/ir/graph.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import type { Init } from "../../src/onnx/wire.js";
import { decodeModel, encodeModel, type Model } from "../../src/onnx/model.js";
import type { ModelProto } from "../../src/onnx/schema.js";
import { tensorToProto } from "../../src/onnx/tensor.js";
import {
  attribute,
  bool,
  f32,
  type GraphInit,
  graphProto,
  i64,
  modelProto,
  type ModelInit,
  node,
  onnxModel,
} from "../support/onnx-builder.js";

function imported(init: ModelInit, options: ImportOptions = {}): Graph {
  return importModel(onnxModel(init), options).graph;
}

function run(model: Model, inputs: Record<string, Tensor>): Record<string, unknown> {
  return Object.fromEntries(evaluateModel(model, new Map(Object.entries(inputs))));
}

function outputShape(graph: Graph, index = 0): string {
  return graph.outputs[index]!.value.shape.map(dimText).join(",");
}

const add: ModelInit = {
  inputs: { x: "f32[N, 3]", y: "f32[N, 3]" },
  nodes: [node("Add", ["x", "y"], ["z"])],
  outputs: { z: "f32[N, 3]" },
};

describe("a graph", () => {
  test("keeps the model's names and origins", () => {
    const graph = imported({
      inputs: { x: "f32[2]" },
      nodes: [node("Neg", ["x"], ["n"]), node("Exp", ["n"], ["y"], {}, "exp")],
      outputs: { y: "f32[2]" },
    });
    expect(graph.nodes.map((n) => n.outputs[0]!.name)).toEqual(["n", "y"]);
    expect(graph.nodes.map((n) => n.origins)).toEqual([
      [{ node: "n", operator: "Neg" }],
      [{ node: "exp", operator: "Exp" }],
    ]);
  });

  test("has no dead nodes, and dead nodes need no operator", () => {
    const graph = imported({
      inputs: { x: "f32[2]" },
      nodes: [node("Neg", ["x"], ["y"]), node("NoSuchOperator", ["x"], ["unused"])],
      outputs: { y: "f32[2]" },
    });
    expect(graph.nodes).toHaveLength(1);
  });

  test("may list its nodes in any order", () => {
    const model = onnxModel({
      inputs: { x: "f32[1]" },
      nodes: [node("Neg", ["b"], ["c"]), node("Abs", ["x"], ["a"]), node("Exp", ["a"], ["b"])],
      outputs: { c: "f32[1]" },
    });
    expect(run(model, { x: f32([1], [0]) })).toEqual({ c: f32([1], [-1]) });
  });

  test("may give an input or an initializer back", () => {
    const model = onnxModel({
      inputs: { x: "f32[1]" },
      nodes: [],
      initializers: { w: f32([1], [7]) },
      outputs: { x: "f32[1]", w: "f32[1]" },
    });
    expect(run(model, { x: f32([1], [3]) })).toEqual({ x: f32([1], [3]), w: f32([1], [7]) });
  });

  test("folds what is constant", () => {
    const graph = imported({
      inputs: { x: "f32[2, 3]" },
      nodes: [
        node("Shape", ["x"], ["s"]),
        node("Gather", ["s", "one"], ["k"]),
        node("Unsqueeze", ["k", "axis"], ["v"]),
        node("Concat", ["minus", "v"], ["shape"], { axis: 0 }),
        node("Reshape", ["x", "shape"], ["y"]),
      ],
      initializers: { one: i64([], [1]), axis: i64([1], [0]), minus: i64([1], [-1]) },
      outputs: { y: "f32[2, 3]" },
    });
    expect(graph.nodes).toEqual([]);
    expect(graph.outputs[0]!.value).toBe(graph.inputs[0]);
  });
});

describe("dims", () => {
  test("are bound by name", () => {
    expect(outputShape(imported(add, { dims: new Map([["N", 5]]) }))).toBe("5,3");
  });

  test("are bound by the inputs at hand", () => {
    const inputShapes = new Map([
      ["x", [4, 3]],
      ["y", [4, 3]],
    ]);
    expect(outputShape(imported(add, { inputShapes }))).toBe("4,3");
  });

  test("stay open within a range", () => {
    const graph = imported(add, { dims: new Map([["N", { min: 1, max: 8 }]]) });
    expect(outputShape(graph)).toBe("N,3");
    expect(graph.symbols).toEqual([{ name: "N", min: 1, max: 8, multipleOf: 1 }]);
  });

  test("without a value are named, all of them", () => {
    const model = { ...add, inputs: { x: "f32[N, M]", y: "f32[N, ?]" } };
    expect(() => imported(model, { file: "m.onnx" })).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0203: the dimensions "N", "M", "y.1" have no value
        file: m.onnx
        hint: bind with --dim N=1 --dim M=1 --dim y.1=1, or give a range: --dim N=1..64]
    `);
  });

  test("that do not exist cannot be set", () => {
    expect(() => imported(add, { dims: new Map([["M", 1]]) })).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0204: the model's inputs have no dimension "M"
        note: they have N]
    `);
  });

  test("may be sums of others", () => {
    const model: ModelInit = {
      inputs: { past: "f32[past_length]", x: "f32[T]", both: "f32[past_length + 2*T]" },
      nodes: [
        node("Concat", ["past", "x", "x"], ["cat"], { axis: 0 }),
        node("Add", ["cat", "both"], ["y"]),
      ],
      outputs: { y: "f32[past_length + 2*T]" },
    };
    const dims = new Map<string, number | DimRange>([
      ["T", 2],
      ["past_length", { min: 0, max: 9 }],
    ]);
    expect(outputShape(imported(model, { dims }))).toBe("past_length + 4");
    expect(
      outputShape(
        imported(model, {
          dims: new Map([
            ["T", 2],
            ["past_length", 3],
          ]),
        }),
      ),
    ).toBe("7");
  });

  test("with names that are no expressions are names", () => {
    const model = { ...add, inputs: { x: "f32[batch size, 3]", y: "f32[batch size, 3]" } };
    expect(outputShape(imported(model, { dims: new Map([["batch size", 2]]) }))).toBe("2,3");
  });

  test("without a name are named after their input", () => {
    const model: ModelInit = {
      inputs: { x: "f32[?, 3]" },
      nodes: [node("Neg", ["x"], ["z"])],
      outputs: { z: "f32[?, 3]" },
    };
    expect(outputShape(imported(model, { dims: new Map([["x.0", 6]]) }))).toBe("6,3");
  });

  describe("that only make sense if they are related", () => {
    const model = onnxModel({
      inputs: { x: "f32[N]", y: "f32[M]" },
      nodes: [node("Add", ["x", "y"], ["z"])],
      outputs: { z: "f32[?]" },
    });
    const dims = new Map([
      ["N", { min: 1, max: 8 }],
      ["M", { min: 1, max: 8 }],
    ]);
    const shapes = (n: number, m: number) =>
      new Map([
        ["x", [n]],
        ["y", [m]],
      ]);

    test("are taken to be equal where the inputs at hand are", () => {
      const { graph } = importModel(model, { dims, inputShapes: shapes(4, 4) });
      expect(graph.symbols).toHaveLength(1);
      expect(outputShape(graph)).toBe(graph.symbols[0]!.name);
    });

    test("are bound to the inputs at hand otherwise, with the reason", () => {
      const { graph, notes } = importModel(model, { dims, inputShapes: shapes(4, 1) });
      expect(outputShape(graph)).toBe("4");
      expect(notes.map(({ symbol, value }) => [symbol, value])).toEqual([
        ["N", 4],
        ["M", 1],
      ]);
      expect(notes[0]!.reason).toContain("whether the shapes [N] and [M] can be broadcast");
    });

    test("need a value where no input is at hand", () => {
      expect(() => importModel(model, { dims })).toThrow(
        /L0203: dimension "N" cannot stay open and has no value/,
      );
    });
  });

  test("of inputs are checked", () => {
    const inputShapes = new Map([
      ["x", [4, 2]],
      ["y", [4, 3]],
    ]);
    expect(() => imported(add, { inputShapes })).toThrow(
      'L0602: input "x" has the shape [4, 2] where the model has [N, 3]',
    );
  });
});

describe("initializers", () => {
  const model: ModelInit = {
    inputs: { x: "f32[1]", w: "f32[1]" },
    nodes: [node("Add", ["x", "w"], ["y"])],
    initializers: { w: f32([1], [10]) },
    outputs: { y: "f32[1]" },
  };

  test("are the defaults of inputs", () => {
    expect(imported(model).inputs.map((i) => i.name)).toEqual(["x"]);
    expect(run(onnxModel(model), { x: f32([1], [1]) })).toEqual({ y: f32([1], [11]) });
  });

  test("give way to inputs that are given", () => {
    const inputs = { x: f32([1], [1]), w: f32([1], [2]) };
    expect(run(onnxModel(model), inputs)).toEqual({ y: f32([1], [3]) });
  });

  test("are not copied", () => {
    const large = onnxModel({
      inputs: { x: "f32[4]" },
      nodes: [node("Add", ["x", "w"], ["y"])],
      initializers: { w: f32([4], [1, 2, 3, 4]) },
      outputs: { y: "f32[4]" },
    });
    const proto = large.graph.initializer[0]!;
    const aligned = { ...proto, rawData: proto.rawData!.slice() };
    const copy = { ...large, graph: { ...large.graph, initializer: [aligned] } };
    const { graph } = importModel(copy);
    const weight = graph.nodes[0]!.inputs.find((v) => v.name === "w")!;
    expect((weight.data!.data as Float32Array).buffer).toBe(aligned.rawData.buffer);
  });

  test("may be sparse", () => {
    const init = modelProto({
      inputs: { x: "f32[3]" },
      nodes: [node("Add", ["x", "w"], ["y"])],
      outputs: { y: "f32[3]" },
    });
    const sparse = {
      values: tensorToProto(f32([1], [5]), "w"),
      indices: tensorToProto(i64([1], [2])),
      dims: [3],
    };
    const model = reencoded({ ...init, graph: { ...init.graph, sparseInitializer: [sparse] } });
    expect(run(model, { x: f32([3], [1, 1, 1]) })).toEqual({ y: f32([3], [1, 1, 6]) });
  });

  test("stay in another file until they are needed", () => {
    const init = modelProto({
      inputs: { x: "f32[2]" },
      nodes: [node("Add", ["x", "w"], ["y"]), node("Add", ["x", "v"], ["unused"])],
      outputs: { y: "f32[2]" },
    });
    const external = (name: string, offset: string) => ({
      name,
      dims: [2],
      dataType: 1,
      dataLocation: 1,
      externalData: [
        { key: "location", value: "weights" },
        { key: "offset", value: offset },
        { key: "length", value: "8" },
      ],
    });
    const initializer = [external("w", "8"), external("v", "16")];
    const model = reencoded({ ...init, graph: { ...init.graph, initializer } });
    const read: number[] = [];
    const graph = importModel(model, {
      externalData: {
        read(_, offset) {
          read.push(offset);
          return new Uint8Array(Float32Array.of(1, 2).buffer);
        },
      },
    }).graph;
    expect(read).toEqual([8]);
    expect(graph.nodes).toHaveLength(1);
  });
});

function reencoded(init: Init<ModelProto>): Model {
  return decodeModel(encodeModel(init));
}

describe("invalid graphs", () => {
  const broken = (init: Partial<ModelInit>) => () =>
    imported(
      { inputs: { x: "f32[1]" }, nodes: [], outputs: { y: "f32[1]" }, ...init },
      { file: "m.onnx" },
    );

  test("with a cycle", () => {
    const nodes = [
      node("Add", ["x", "b"], ["a"]),
      node("Neg", ["a"], ["b"]),
      node("Neg", ["a"], ["y"]),
    ];
    expect(broken({ nodes })).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0105 Add "a": the node needs its own result: the graph has a cycle
        file: m.onnx
        note: the cycle is "a" <- "b" <- "a"]
    `);
  });

  test("with an undefined name", () => {
    const nodes = [node("Add", ["x", "none"], ["y"], {}, "sum")];
    expect(broken({ nodes })).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0105 Add "sum": the input "none" is not defined anywhere
        file: m.onnx
        hint: an initializer may have been stripped from the file]
    `);
    expect(broken({})).toThrow('the output "y" is not defined anywhere');
  });

  test("with an undefined name in a subgraph", () => {
    const body = graphProto({ outputs: { r: "f32[1]" }, nodes: [node("Neg", ["none"], ["r"])] });
    const nodes = [
      node("If", ["c"], ["y"], { then_branch: { graph: body }, else_branch: { graph: body } }),
    ];
    const inputs = { c: "bool[]" };
    expect(broken({ inputs, nodes })).toThrow(
      'L0105 If "y": the input "none" is not defined anywhere',
    );
  });

  test("with a name defined twice", () => {
    const twice = [node("Neg", ["x"], ["y"], {}, "first"), node("Abs", ["x"], ["y"], {}, "second")];
    expect(broken({ nodes: twice })).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0105 Abs "second": the name "y" is also defined by node "first"
        file: m.onnx]
    `);
    expect(broken({ nodes: [node("Neg", ["x"], ["x"])] })).toThrow(
      "defined by an input or initializer",
    );
  });

  test("with operators that do not exist, or not yet", () => {
    expect(broken({ nodes: [node("Foo", ["x"], ["y"])] })).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0103 Foo "y": the operator does not exist in opset 21 of ai.onnx
        file: m.onnx]
    `);
    expect(
      broken({ opset: 12, nodes: [node("HardSwish", ["x"], ["y"])] }),
    ).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0103 HardSwish "y": the operator is not known in opset 12 of ai.onnx
        file: m.onnx
        hint: it is from opset 14 on: convert the model]
    `);
    expect(broken({ nodes: [node("my.domain::Foo", ["x"], ["y"])] })).toThrow(
      'L0104 Foo "y": the model imports no version of the domain "my.domain"',
    );
  });

  test("with several operators that do not exist name them all", () => {
    const nodes = [node("Foo", ["x"], ["a"]), node("Bar", ["a"], ["b"]), node("Foo", ["b"], ["y"])];
    expect(broken({ nodes })).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0103 Foo "a": the operator does not exist in opset 21 of ai.onnx
        file: m.onnx
      L0103 Bar "b": the operator does not exist in opset 21 of ai.onnx
        file: m.onnx]
    `);
  });

  test("of opsets that are too new", () => {
    const nodes = [node("Neg", ["x"], ["y"])];
    expect(broken({ opset: 29, nodes })).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0104: opset 29 of ai.onnx is not supported
        file: m.onnx
        note: supported are 7 to 28, and below 7 the operators that have not changed since
        hint: convert the model, or export it again with another opset]
    `);
  });

  test("with shapes that do not match say at which node", () => {
    const inputs = { x: "f32[2]", z: "f32[3]" };
    expect(
      broken({ inputs, nodes: [node("Add", ["x", "z"], ["y"], {}, "sum")] }),
    ).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0201 Add "sum": the shapes [2] and [3] cannot be broadcast together: 2 is not 3
        file: m.onnx]
    `);
  });

  test("with a missing input or a wrong attribute", () => {
    expect(broken({ nodes: [node("Add", ["x"], ["y"])] })).toThrow(
      'L0105 Add "y": input 1 is missing',
    );
    expect(broken({ nodes: [node("Softmax", ["x"], ["y"], { axis: "last" })] })).toThrow(
      'L0108 Softmax "y": attribute axis is of type string, not int',
    );
  });
});

describe("functions of the model", () => {
  const scale = {
    domain: "my",
    name: "Scale",
    input: ["a", "b"],
    output: ["r"],
    attribute: ["by"],
    attributeProto: [attribute("plus", { float: 1 })],
    opsetImport: [{ domain: "", version: 17 }],
    node: [
      node("Constant", [], ["k"], { value_float: { ref: "by", type: "float" } }),
      node("Constant", [], ["p"], { value_float: { ref: "plus", type: "float" } }),
      node("Mul", ["a", "k"], ["m"]),
      node("Add", ["m", "p"], ["r"]),
    ],
  };

  test("are put in place, with attributes and defaults", () => {
    const model = onnxModel({
      opset: { "": 21, my: 1 },
      functions: [scale],
      inputs: { x: "f32[1]" },
      nodes: [
        node("my::Scale", ["x"], ["m"], { by: { float: 2 } }, "one"),
        node("my::Scale", ["m"], ["y"], { by: { float: 3 }, plus: { float: 0.5 } }, "two"),
      ],
      outputs: { y: "f32[1]" },
    });
    expect(run(model, { x: f32([1], [5]) })).toEqual({ y: f32([1], [33.5]) });
    const { graph } = importModel(model);
    expect(graph.nodes.map((n) => n.origins[0]!.node)).toEqual([
      "one/m",
      "one/r",
      "two/m",
      "two/r",
    ]);
  });

  test("may leave inputs out, and call each other", () => {
    const clip = {
      domain: "my",
      name: "Clip",
      input: ["a", "low"],
      output: ["r"],
      opsetImport: [
        { domain: "", version: 17 },
        { domain: "my", version: 1 },
      ],
      node: [
        node("Clip", ["a", "low"], ["c"]),
        node("my::Scale", ["c"], ["r"], { by: { float: 2 } }),
      ],
    };
    const model = onnxModel({
      opset: { "": 21, my: 1 },
      functions: [scale, clip],
      inputs: { x: "f32[1]" },
      nodes: [node("my::Clip", ["x", ""], ["y"])],
      outputs: { y: "f32[1]" },
    });
    expect(run(model, { x: f32([1], [-5]) })).toEqual({ y: f32([1], [-9]) });
  });

  test("that call themselves are refused", () => {
    const endless = {
      domain: "my",
      name: "F",
      input: ["a"],
      output: ["r"],
      opsetImport: [{ domain: "my", version: 1 }],
      node: [node("my::F", ["a"], ["r"])],
    };
    const model = onnxModel({
      opset: { "": 21, my: 1 },
      functions: [endless],
      inputs: { x: "f32[1]" },
      nodes: [node("my::F", ["x"], ["y"])],
      outputs: { y: "f32[1]" },
    });
    expect(() => importModel(model)).toThrow('L0105 F "r": the function calls itself');
  });

  test("that become more nodes than memory holds are refused before they do", () => {
    const doubling = Array.from({ length: 60 }, (_, i) => ({
      domain: "my",
      name: `F${i}`,
      input: ["a"],
      output: ["r"],
      opsetImport: [
        { domain: "my", version: 1 },
        { domain: "", version: 21 },
      ],
      node:
        i === 0
          ? [node("Neg", ["a"], ["r"])]
          : [node(`my::F${i - 1}`, ["a"], ["m"]), node(`my::F${i - 1}`, ["m"], ["r"])],
    }));
    const model = onnxModel({
      opset: { "": 21, my: 1 },
      functions: doubling,
      inputs: { x: "f32[1]" },
      nodes: [node("my::F59", ["x"], ["y"])],
      outputs: { y: "f32[1]" },
    });
    expect(() => importModel(model)).toThrow(
      `L0105: its functions in place, the model has ${2 ** 59}`,
    );
  });
});

describe("an If", () => {
  const branch = (operator: string) => ({
    graph: graphProto({ outputs: { r: "f32[2]" }, nodes: [node(operator, ["x"], ["r"])] }),
  });
  const model = (initializers: Record<string, Tensor>): ModelInit => ({
    inputs: { x: "f32[2]", ...("c" in initializers ? {} : { c: "bool[]" }) },
    nodes: [
      node("If", ["c"], ["y"], { then_branch: branch("Neg"), else_branch: branch("Abs") }, "if1"),
      node("If", ["c"], ["z"], { then_branch: branch("Exp"), else_branch: branch("Abs") }, "if2"),
    ],
    initializers,
    outputs: { y: "f32[2]", z: "f32[2]" },
  });

  test("with a known condition is its branch", () => {
    const graph = imported(model({ c: bool([], [true]) }));
    expect(graph.nodes.map((n) => [n.op.kind, n.origins[0]!.operator])).toEqual([
      ["map", "Neg"],
      ["map", "Exp"],
    ]);
  });

  test("otherwise has both branches as bodies, which take what either captures", () => {
    const graph = imported(model({}));
    const [first] = graph.nodes;
    const bodies = bodiesOf(first!.op).map((body) => body.nodes.map((n) => n.origins[0]!.operator));
    expect(bodies).toEqual([["Neg"], ["Abs"]]);
    expect(first!.inputs.map((v) => v.name)).toEqual(["c", "x", "x"]);
    expect(first!.outputs[0]).toMatchObject({ name: "y", dtype: "f32", shape: [2] });
    const inputs = { x: f32([2], [-1, 0]), c: bool([], [false]) };
    const { y } = run(onnxModel(model({})), inputs);
    expect(y).toEqual(f32([2], [1, 0]));
  });

  test("has the type of the branch whose shapes fit", () => {
    const body = (init: GraphInit) => ({ graph: graphProto(init) });
    const graph = imported({
      inputs: { x: "f32[2]", c: "bool[]" },
      nodes: [
        node("If", ["c"], ["y"], {
          then_branch: body({ nodes: [node("Add", ["x", "w"], ["r"])], outputs: { r: "f32[3]" } }),
          else_branch: body({ nodes: [node("Neg", ["x"], ["r"])], outputs: { r: "f32[2]" } }),
        }),
      ],
      initializers: { w: f32([3], [1, 2, 3]) },
      outputs: { y: "f32[?]" },
    });
    expect(graph.nodes[0]!.outputs[0]!.shape).toEqual([2]);
    const [then, otherwise] = bodiesOf(graph.nodes[0]!.op);
    expect([then, otherwise].map((branch) => branch!.nodes[0]!.op.kind)).toEqual(["host", "map"]);
  });
});
