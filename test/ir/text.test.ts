import { describe, expect, test } from "vitest";
import { dimAdd, dimFloorDiv, symbolDim } from "../../src/ir/dim.js";
import { evaluateGraph } from "../../src/ir/evaluate/evaluate.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Graph } from "../../src/ir/graph.js";
import { parseGraph } from "../../src/ir/text/parse.js";
import { printGraph, printWithReferences } from "../../src/ir/text/print.js";
import { verifyGraph } from "../../src/ir/verify.js";
import type { AttributeValue } from "../../src/ir/onnx-node.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { randomGraph } from "../support/random-graph.js";

const noHost = () => {
  throw new Error("no host node expected");
};

function reparsed(graph: Graph): Graph {
  const { text, references } = printWithReferences(graph);
  return parseGraph(text, references);
}

describe("random graphs", () => {
  for (let seed = 0; seed < 150; seed++) {
    test(`seed ${seed}: valid, printed, parsed, and of the same meaning`, () => {
      const { graph, inputs } = randomGraph(seed);
      expect(verifyGraph(graph)).toEqual([]);
      const again = reparsed(graph);
      expect(printGraph(again)).toBe(printGraph(graph));
      expect(again).toEqual(graph);
      expect(evaluateGraph(again, inputs, noHost)).toEqual(evaluateGraph(graph, inputs, noHost));
    });
  }
});

describe("the text form", () => {
  test("of symbols, odd names, known dims, constants and origins", () => {
    const T = symbolDim({ name: "past length", min: 0, max: 64, multipleOf: 8 });
    const W = symbolDim({ name: "W", min: 1, max: 1000, multipleOf: 1 });
    const b = createGraphBuilder();
    const x = b.input("x:0", "f32", [1, T, W]);
    b.setOrigins([
      { operator: "Slice", node: "cut /1" },
      { operator: "odd op", node: 'a "quoted" name' },
    ]);
    const half = b.window(x, [{ axis: 2, size: 1, stride: 2, dilation: 1 }]);
    const rows = b.reshape(
      half,
      [T, dimFloorDiv(dimAdd(W, -1), 2)].map((d, i) => (i ? dimAdd(d, 1) : d)),
    );
    const scale = b.constant(
      { dtype: "f16", shape: [], data: Uint16Array.of(0x2e66) },
      "scale factor",
    );
    const scaled = b.map("f32", [rows, scale], (l, p, q) => l.mul(l.add(p!, l.constF(-0)), q!));
    const weight = b.constant({ dtype: "i8", shape: [5, 4], data: new Int8Array(20).fill(3) }, "w");
    const outputs = [
      { name: "y", value: scaled },
      { name: "size", value: b.dims([T, 7]) },
      { name: "w", value: weight },
    ];
    const graph = b.finish("text", outputs);
    expect(printGraph(graph)).toMatchInlineSnapshot(`
      "graph "text"
      symbol "past length" in 0..64 multiple 8
      symbol W in 1..1000
      input %x:0: f32[1, "past length", W]
      %v0: f32[1, "past length", floor((W + -1) / 2) + 1, 1] = window(%x:0) axes=[2 size 1 stride 2 dilation 1] // Slice "cut /1", "odd op" "a \\"quoted\\" name"
      %v1: f32["past length", floor((W + -1) / 2) + 1] = reshape(%v0) // Slice "cut /1", "odd op" "a \\"quoted\\" name"
      const %"scale factor": f16[] = [0.099975586]
      %v2: f32["past length", floor((W + -1) / 2) + 1] = map(%v1, %"scale factor") program={ r0 = input.f32 0; r1 = input.f32 1; r2 = mul r0 r1; return r2 } // Slice "cut /1", "odd op" "a \\"quoted\\" name"
      output "y" = %v2
      dims %v3: i64[2] = ["past length", 7]
      output "size" = %v3
      const %w: i8[5, 4] = #5ab72e6a5b5df0c7fce7a6e932e2e370
      output "w" = %w
      "
    `);
    expect(reparsed(graph)).toEqual(graph);
  });

  test("of a host operation with every kind of attribute", () => {
    const tensor: Tensor = { dtype: "string", shape: [2], data: ["a", 'b"]'] };
    const large: Tensor = {
      dtype: "u64",
      shape: [17],
      data: new BigUint64Array(17).fill(2n ** 63n),
    };
    const body = {
      inputNames: [],
      outputNames: ["z"],
      captures: ["x"],
      instantiate: () => {
        throw new Error("not instantiated");
      },
      inline: () => {
        throw new Error("not inlined");
      },
    };
    const attributes = new Map<string, AttributeValue>([
      ["i", { kind: "int", value: -(2n ** 63n) }],
      ["f", { kind: "float", value: -Infinity }],
      ["s", { kind: "string", value: "x ] // %" }],
      ["t", { kind: "tensor", value: tensor }],
      ["is", { kind: "ints", value: [1n, -2n] }],
      ["fs", { kind: "floats", value: [0.1, NaN] }],
      ["ss", { kind: "strings", value: [""] }],
      ["ts", { kind: "tensors", value: [tensor, large] }],
      ["body", { kind: "graph", value: body }],
    ]);
    const node = {
      name: "",
      operator: "Custom",
      domain: "my.domain",
      opset: 3,
      attributes,
      inputNames: ["x", ""],
      outputNames: ["y", "", "z"],
    };
    const b = createGraphBuilder();
    const x = b.input("x", "i64", []);
    const [y, z] = b.host(
      node,
      "nobody knows it",
      [x, undefined],
      [
        { name: "y", dtype: "f64" },
        { name: "z", dtype: "bool", shape: [2] },
      ],
    );
    const graph = b.finish("host", [
      { name: "y", value: y! },
      { name: "z", value: z! },
    ]);
    expect(verifyGraph(graph)).toEqual([]);
    expect(reparsed(graph)).toEqual(graph);
    expect(printGraph(graph).split("\n")[2]).toMatchInlineSnapshot(
      `"%y: f64[?], %z: bool[2] = host(%x) operator="Custom" node="" domain="my.domain" opset=3 inputs=["x", ""] outputs=["y", "", "z"] reason="nobody knows it" attributes=[i=int -9223372036854775808, f=float -inf, s=string "x ] // %", t=tensor string[2] ["a", "b\\"]"], is=ints [1, -2], fs=floats [0.1, nan], ss=strings [""], ts=tensors [string[2] ["a", "b\\"]"], u64[17] #fb61352b7684ead54a36ef3c6098decb], body=graph #0]"`,
    );
  });

  test("says where it does not parse", () => {
    const messages = [
      "input %x: f32[1, W]",
      "input %x: f33[1]",
      "input %x: f32[1] oops",
      "const %c: f32[2] = [1]",
      "const %c: f32[2] = #00",
      "%y: f32[2] = map(%x) program={ r0 = input.f32 0; return r0 }",
    ].map((line) => {
      try {
        parseGraph(`graph "g"\n${line}`);
      } catch (error) {
        return (error as Error).message;
      }
      return "parsed";
    });
    expect(messages).toMatchInlineSnapshot(`
      [
        "L0109: line 2 does not parse at "]": the symbol W is not declared",
        "L0109: line 2 does not parse at "[1]": "f33" is none of f64, f32, f16, bf16, f8e4m3fn, f8e4m3fnuz, f8e5m2, f8e5m2fnuz, f8e8m0, f4e2m1, i64, u64, i32, u32, i16, u16, i8, u8, i4, u4, i2, u2, bool, string",
        "L0109: line 2 does not parse at "oops": the line should end here",
        "L0109: line 2 does not parse at its end: 1 elements do not fill the shape",
        "L0109: line 2 does not parse at its end: the tensor #00 is not known",
        "L0109: line 2 does not parse at ") program={ r0 = input.f32 0; return r0 ": %x is not defined",
      ]
    `);
  });
});
