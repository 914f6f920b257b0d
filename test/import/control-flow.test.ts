import { bodiesOf } from "../../src/ir/control.js";
import { dimText } from "../../src/ir/dim.js";
import { describe, expect, test } from "vitest";
import { evaluateModel } from "../../src/compiler/1-import/evaluate-model.js";
import { importModel } from "../../src/compiler/1-import/import.js";
import { templateSource } from "../../src/compiler/1-import/model-context.js";
import type { HostValue } from "../../src/ops/record.js";
import {
  type AttributeInit,
  bool,
  f32,
  graphProto,
  i64,
  type GraphInit,
  type ModelInit,
  node,
  onnxModel,
} from "../support/onnx-builder.js";

function run(init: ModelInit, inputs: Record<string, HostValue> = {}): Record<string, HostValue> {
  return Object.fromEntries(evaluateModel(onnxModel(init), new Map(Object.entries(inputs))));
}

function graph(init: GraphInit): AttributeInit {
  return { graph: graphProto(init) };
}

test("an If whose branch needs a dim as a number binds it, and stays on the device", () => {
  const padded = onnxModel({
    inputs: { x: "f32[1, N]", mirrored: "bool[]" },
    nodes: [
      node("If", ["mirrored"], ["z"], {
        then_branch: graph({
          nodes: [
            node("Pad", ["x", "four"], ["mirror"], { mode: "reflect" }),
            node("Exp", ["mirror"], ["a"]),
          ],
          outputs: { a: "f32[1, ?]" },
        }),
        else_branch: graph({
          nodes: [node("Pad", ["x", "four"], ["b"])],
          outputs: { b: "f32[1, ?]" },
        }),
      }),
    ],
    initializers: { four: i64([4], [0, 4, 0, 0]) },
    outputs: { z: "f32[1, ?]" },
  });
  const { graph: imported } = importModel(padded, {
    dims: new Map([["N", { min: 2, max: 64 }]]),
    inputShapes: new Map([
      ["x", [1, 8]],
      ["mirrored", []],
    ]),
  });
  expect(imported.nodes.map(({ op }) => op.kind)).toEqual(["if"]);
  expect(imported.symbols).toEqual([]);
});

describe("an If whose condition follows from shapes is its branch", () => {
  const branch = (operator: string): AttributeInit =>
    graph({ nodes: [node(operator, ["x"], ["b"])], outputs: { b: "f32[N]" } });
  const isLong = [node("Shape", ["x"], ["shape"]), node("Greater", ["shape", "four"], ["isLong"])];
  const choice = node("If", ["isLong"], ["y"], {
    then_branch: branch("Exp"),
    else_branch: branch("Neg"),
  });
  const initializers = { four: i64([1], [4]) };
  const kinds = (init: ModelInit, length: number) => {
    const { graph: imported } = importModel(onnxModel(init), {
      inputShapes: new Map([["x", [length]]]),
    });
    return imported.nodes.map(({ op, origins }) => [op.kind, origins[0]!.operator]);
  };
  const plain: ModelInit = {
    inputs: { x: "f32[N]" },
    nodes: [...isLong, choice],
    initializers,
    outputs: { y: "f32[N]" },
  };

  test.each([
    [3, "Neg"],
    [5, "Exp"],
  ])("of %i elements: %s", (length, operator) => {
    expect(kinds(plain, length)).toEqual([["map", operator]]);
  });

  test("in the branch of another one, and in the body of a loop", () => {
    const nested: ModelInit = {
      inputs: { x: "f32[N]", flag: "bool[]" },
      nodes: [
        node("If", ["flag"], ["z"], {
          then_branch: graph({ nodes: plain.nodes, outputs: { y: "f32[N]" } }),
          else_branch: branch("Abs"),
        }),
        node("Loop", ["three", "", "z"], ["last"], {
          body: graph({
            inputs: { i: "i64[]", go: "bool[]", s: "f32[N]" },
            nodes: [...plain.nodes, node("Add", ["y", "s"], ["next"])],
            outputs: { go: "bool[]", next: "f32[N]" },
          }),
        }),
      ],
      initializers: { ...initializers, three: i64([], [3]) },
      outputs: { last: "f32[N]" },
    };
    const { graph: imported } = importModel(onnxModel(nested), {
      inputShapes: new Map([
        ["x", [5]],
        ["flag", []],
      ]),
    });
    const inside = imported.nodes.map(({ op }) => [
      op.kind,
      bodiesOf(op).map((body) => body.nodes.flatMap(({ origins }) => origins[0]!.operator)),
    ]);
    expect(inside).toEqual([
      ["if", [["Exp"], ["Abs"]]],
      ["loop", [["Exp", "Add"]]],
    ]);
  });
});

describe("Loop", () => {
  /** s = s + w each trip, stops when s reaches `limit`; gives each s. */
  const body = graph({
    inputs: { i: "i64[]", go: "bool[]", s: "f32[1]" },
    nodes: [
      node("Add", ["s", "w"], ["next"]),
      node("Less", ["next", "limit"], ["on"]),
      node("Squeeze", ["on"], ["go_on"]),
      node("Identity", ["next"], ["each"]),
    ],
    outputs: { go_on: "bool[]", next: "f32[1]", each: "f32[1]" },
  });
  const model: ModelInit = {
    inputs: { start: "f32[1]", limit: "f32[1]" },
    nodes: [node("Loop", ["trips", "", "start"], ["end", "all"], { body })],
    initializers: { trips: i64([], [10]), w: f32([1], [2]) },
    outputs: { end: "f32[1]", all: "f32[?, 1]" },
  };

  test("carries states, stops by its condition, stacks what it gives", () => {
    const result = run(model, { start: f32([1], [0]), limit: f32([1], [5]) });
    expect(result).toEqual({ end: f32([1], [6]), all: f32([3, 1], [2, 4, 6]) });
  });

  test("of no trips gives its start, and nothing stacked", () => {
    const none = { ...model, initializers: { trips: i64([], [0]), w: f32([1], [2]) } };
    const result = run(none, { start: f32([1], [7]), limit: f32([1], [5]) });
    expect(result).toEqual({ end: f32([1], [7]), all: f32([0, 1], []) });
  });

  test("that stops at some time stacks as many as a symbol says", () => {
    const { graph } = importModel(onnxModel(model));
    expect(graph.symbols).toEqual([{ name: "trips", min: 0, max: 10, multipleOf: 1 }]);
    expect(graph.outputs[1]!.value.shape.map(dimText)).toEqual(["trips", "1"]);
  });

  test("on the host has states of known shape, and stacks of unknown length", () => {
    const trips = i64([], [2 ** 40]);
    const endless = { ...model, initializers: { ...model.initializers, trips } };
    const { graph } = importModel(onnxModel(endless));
    const [loop] = graph.nodes;
    expect(loop!.outputs[0]).toMatchObject({ dtype: "f32", shape: [1] });
    expect(loop!.outputs[0]!.unknownShape).toBeUndefined();
    expect(loop!.outputs[1]).toMatchObject({ dtype: "f32", unknownShape: true });
    const { op } = loop!;
    const attribute = op.kind === "host" ? op.node.attributes.get("body") : undefined;
    expect(attribute?.kind).toBe("graph");
    const template = attribute?.kind === "graph" ? attribute.value : undefined;
    expect(template!.captures).toEqual(["w", "limit"]);
    expect(templateSource(template!).graph.node).toHaveLength(4);
  });

  test("that never stops stacks as many as it has trips", () => {
    const forever = graph({
      inputs: { i: "i64[]", go: "bool[]", s: "f32[1]" },
      nodes: [node("Add", ["s", "s"], ["next"])],
      initializers: { on: bool([], [true]) },
      outputs: { on: "bool[]", next: "f32[1]", s: "f32[1]" },
    });
    const counted: ModelInit = {
      ...model,
      inputs: { start: "f32[1]" },
      nodes: [node("Loop", ["trips", "", "start"], ["end", "all"], { body: forever })],
    };
    const [loop] = importModel(onnxModel(counted)).graph.nodes;
    expect(loop!.outputs[1]).toMatchObject({ shape: [10, 1] });
    expect(run(counted, { start: f32([1], [1]) }).end).toEqual(f32([1], [1024]));
  });

  test.each([
    ["a constant", "on"],
    ["what it was before", "go"],
  ])("without a trip count, whose condition is always %s, is refused", (_, condition) => {
    const body = graph({
      inputs: { i: "i64[]", go: "bool[]", s: "f32[1]" },
      nodes: [node("Add", ["s", "s"], ["next"])],
      initializers: { on: bool([], [true]) },
      outputs: { [condition]: "bool[]", next: "f32[1]" },
    });
    const forever = onnxModel({
      ...model,
      inputs: { start: "f32[1]" },
      nodes: [node("Loop", ["", "", "start"], ["end"], { body })],
      outputs: { end: "f32[1]" },
    });
    expect(() => importModel(forever)).toThrow(/never ends/);
  });

  test("may change the shape of a state", () => {
    const growing: ModelInit = {
      inputs: { start: "f32[1]" },
      nodes: [
        node("Loop", ["trips", "", "start"], ["end"], {
          body: graph({
            inputs: { i: "i64[]", go: "bool[]", s: "f32[?]" },
            nodes: [node("Concat", ["s", "s"], ["next"], { axis: 0 })],
            outputs: { go: "bool[]", next: "f32[?]" },
          }),
        }),
        node("Shape", ["end"], ["length"]),
      ],
      initializers: { trips: i64([], [3]) },
      outputs: { length: "i64[1]" },
    };
    const { graph: imported } = importModel(onnxModel(growing));
    expect(imported.nodes.map((n) => n.op.kind === "host" && n.op.reason)).toEqual([
      "a state changes its type or shape",
      'the shape of "end" depends on data',
    ]);
    expect(run(growing, { start: f32([1], [1]) })).toEqual({ length: i64([1], [8]) });
  });

  test("bodies nest and capture across levels", () => {
    const inner = graph({
      inputs: { j: "i64[]", go2: "bool[]", t: "f32[]" },
      nodes: [node("Add", ["t", "k"], ["t2"])],
      outputs: { go2: "bool[]", t2: "f32[]" },
    });
    const outer = graph({
      inputs: { i: "i64[]", go1: "bool[]", s: "f32[]" },
      nodes: [node("Loop", ["trips", "", "s"], ["s2"], { body: inner })],
      outputs: { go1: "bool[]", s2: "f32[]" },
    });
    const nested: ModelInit = {
      inputs: { x: "f32[]", k: "f32[]" },
      nodes: [node("Loop", ["trips", "", "x"], ["y"], { body: outer })],
      initializers: { trips: i64([], [3]) },
      outputs: { y: "f32[]" },
    };
    expect(run(nested, { x: f32([], [1]), k: f32([], [2]) })).toEqual({ y: f32([], [19]) });
  });

  test("counts its trips", () => {
    const squares: ModelInit = {
      nodes: [
        node("Loop", ["trips", ""], ["y"], {
          body: graph({
            inputs: { i: "i64[]", go: "bool[]" },
            nodes: [node("Mul", ["i", "i"], ["sq"])],
            outputs: { go: "bool[]", sq: "i64[]" },
          }),
        }),
      ],
      initializers: { trips: i64([], [4]) },
      outputs: { y: "i64[4]" },
    };
    expect(run(squares)).toEqual({ y: i64([4], [0, 1, 4, 9]) });
  });
});

describe("Scan", () => {
  const body = graph({
    inputs: { s: "f32[2]", x: "f32[2]" },
    nodes: [node("Add", ["s", "x"], ["next"]), node("Identity", ["next"], ["each"])],
    outputs: { next: "f32[2]", each: "f32[2]" },
  });
  const model = (attributes: Record<string, AttributeInit>, x = "f32[3, 2]"): ModelInit => ({
    inputs: { start: "f32[2]", xs: x },
    nodes: [
      node("Scan", ["start", "xs"], ["end", "all"], { body, num_scan_inputs: 1, ...attributes }),
    ],
    outputs: { end: "f32[2]", all: "f32[?]" },
  });
  const start = f32([2], [0, 0]);

  test("runs along the first axis", () => {
    const xs = f32([3, 2], [1, 2, 3, 4, 5, 6]);
    expect(run(model({}), { start, xs })).toEqual({
      end: f32([2], [9, 12]),
      all: f32([3, 2], [1, 2, 4, 6, 9, 12]),
    });
    const [scan] = importModel(onnxModel(model({}))).graph.nodes;
    expect(scan!.outputs.map((v) => v.shape)).toEqual([[2], [3, 2]]);
  });

  test("runs along any axis, either way", () => {
    const xs = f32([2, 3], [1, 3, 5, 2, 4, 6]);
    const attributes = {
      scan_input_axes: [1],
      scan_output_axes: [-1],
      scan_input_directions: [1],
      scan_output_directions: [1],
    };
    expect(run(model(attributes, "f32[2, 3]"), { start, xs })).toEqual({
      end: f32([2], [9, 12]),
      all: f32([2, 3], [9, 8, 5, 12, 10, 6]),
    });
    const [scan] = importModel(onnxModel(model(attributes, "f32[2, 3]"))).graph.nodes;
    expect(scan!.outputs[1]!.shape).toEqual([2, 3]);
  });

  test("of opset 8 has a batch, with lengths", () => {
    const batched: ModelInit = {
      opset: 8,
      inputs: { lengths: "i64[2]", start: "f32[2, 2]", xs: "f32[2, 2, 2]" },
      nodes: [
        node("Scan", ["lengths", "start", "xs"], ["end", "all"], { body, num_scan_inputs: 1 }),
      ],
      outputs: { end: "f32[2, 2]", all: "f32[2, 2, 2]" },
    };
    const result = run(batched, {
      lengths: i64([2], [2, 1]),
      start: f32([2, 2], [0, 0, 10, 10]),
      xs: f32([2, 2, 2], [1, 2, 3, 4, 5, 6, 7, 8]),
    });
    expect(result).toEqual({
      end: f32([2, 2], [4, 6, 15, 16]),
      all: f32([2, 2, 2], [1, 2, 4, 6, 15, 16, 0, 0]),
    });
  });
});

test("SequenceMap runs its body on each item", () => {
  const model: ModelInit = {
    inputs: { xs: "seq(f32[1])", k: "f32[1]" },
    nodes: [
      node("SequenceMap", ["xs", "k"], ["ys"], {
        body: graph({
          inputs: { a: "f32[1]", b: "f32[1]" },
          nodes: [node("Add", ["a", "b"], ["c"])],
          outputs: { c: "f32[1]" },
        }),
      }),
    ],
    outputs: { ys: "seq(f32[1])" },
  };
  const items = [f32([1], [1]), f32([1], [2])];
  const xs: HostValue = { kind: "sequence", elementType: "f32", items };
  expect(run(model, { xs, k: f32([1], [10]) }).ys).toEqual({
    kind: "sequence",
    elementType: "f32",
    items: [f32([1], [11]), f32([1], [12])],
  });
});
