import { describe, expect, test } from "vitest";
import type { Graph, Node, Operation, Value } from "../../src/ir/graph.js";
import { parseGraph } from "../../src/ir/text/parse.js";
import { verifyGraph } from "../../src/ir/verify.js";

const valid = parseGraph(`graph "valid"
symbol W in 1..8
input %x: f32[2, W]
const %one: f32[] = [1]
%y: f32[2, W] = map(%x, %one) program={ r0 = input.f32 0; r1 = input.f32 1; r2 = add r0 r1; return r2 }
%z: f32[W, 2] = transpose(%y) perm=[1, 0]
output "z" = %z
`);

const [x, one] = [valid.inputs[0]!, valid.nodes[0]!.inputs[1]!];
const [mapNode, transposeNode] = valid.nodes as [Node, Node];
const y = mapNode.outputs[0]!;
const z = transposeNode.outputs[0]!;

/** The valid graph with its last node replaced, and its output with it. */
function ending(op: Operation, inputs: readonly Value[], output: Partial<Value>): Graph {
  const value = { ...z, ...output };
  const node: Node = { op, inputs, outputs: [value], origins: [] };
  return { ...valid, nodes: [mapNode, node], outputs: [{ name: "z", value }] };
}

function constant(value: Partial<Value>): Value {
  return { ...one, ...value };
}

test("a valid graph has no problems", () => {
  expect(verifyGraph(valid)).toEqual([]);
});

describe("each broken rule is one problem", () => {
  const other = constant({ name: "x" });
  const graphs: readonly (readonly [string, Graph])[] = [
    ["names", { ...valid, nodes: [{ ...mapNode, inputs: [x, other] }, transposeNode] }],
    ["no name", ending(transposeNode.op, [y], { name: "" })],
    ["output names", { ...valid, outputs: [...valid.outputs, ...valid.outputs] }],
    ["order", { ...valid, nodes: [transposeNode, mapNode] }],
    ["produced twice", { ...valid, nodes: [mapNode, mapNode, transposeNode] }],
    ["unknown value", { ...valid, nodes: [transposeNode] }],
    ["unused", { ...valid, outputs: [{ name: "y", value: y }] }],
    ["undeclared symbol", { ...valid, symbols: [] }],
    ["empty range", { ...valid, symbols: [{ ...valid.symbols[0]!, multipleOf: 0 }] }],
    [
      "data",
      {
        ...valid,
        nodes: [{ ...mapNode, inputs: [x, constant({ dtype: "f16" })] }, transposeNode],
      },
    ],
    ["layout", ending(transposeNode.op, [y], { layout: [0, 0] })],
    ["type", ending(transposeNode.op, [y], { dtype: "f16" })],
    ["shape", ending(transposeNode.op, [y], { shape: y.shape })],
    ["permutation", ending({ kind: "transpose", perm: [0, 0] }, [y], {})],
    ["inputs", ending(transposeNode.op, [y, y], {})],
    ["reshape", ending({ kind: "reshape" }, [y], { shape: [3] })],
    ["axis", ending({ kind: "concat", axis: 2 }, [y, y], {})],
    ["order of axes", ending({ kind: "reduce", reduction: "sum", axes: [1, 0] }, [y], {})],
    ["logic on floats", ending({ kind: "reduce", reduction: "and", axes: [0] }, [y], {})],
    ["negative padding", ending({ kind: "pad", low: [-1, 0], high: [0, 0], value: 0 }, [y], {})],
    [
      "window",
      ending({ kind: "window", axes: [{ axis: 0, size: 3, stride: 1, dilation: 1 }] }, [y], {}),
    ],
    ["labels", ending({ kind: "contract", a: "ab", b: "ab", out: "a", order: "" }, [y, y], {})],
    ["indices", ending({ kind: "gather", axis: 0 }, [y, y], {})],
    ["unknown shape", ending(transposeNode.op, [y], { shape: [], unknownShape: true })],
  ];
  test.each(graphs)("%s", (_, graph) => {
    expect(verifyGraph(graph)).toMatchSnapshot();
    expect(verifyGraph(graph)).not.toEqual([]);
  });

  const programs = [
    "{ r0 = input.f32 1; return r0 }",
    "{ r0 = input.i32 0; return r0 }",
    "{ r0 = constF 1; return r0 }",
    "{ r0 = input.f32 0; r1 = toI r0; return r1 }",
    "{ r0 = input.f32 0; r1 = index 0; return r0 }",
    "{ r0 = input.f32 0; return r0, r0 }",
  ];
  test.each(programs)("map program %s", (program) => {
    const graph = parseGraph(`graph "g"
input %x: f32[2]
%y: f32[2] = map(%x) program=${program}
output "y" = %y`);
    expect(verifyGraph(graph)).toMatchSnapshot();
    expect(verifyGraph(graph)).toHaveLength(1);
  });
});
