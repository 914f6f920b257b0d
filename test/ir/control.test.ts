import { describe, expect, test } from "vitest";
import { symbolDim } from "../../src/ir/dim.js";
import { evaluateGraph, type EvaluateHost, noHost } from "../../src/ir/evaluate/evaluate.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Graph } from "../../src/ir/graph.js";
import { buildLoop } from "../../src/ir/build/loop-builder.js";
import { parseGraph } from "../../src/ir/text/parse.js";
import { printGraph } from "../../src/ir/text/print.js";
import { verifyGraph } from "../../src/ir/verify.js";
import type { Tensor } from "../../src/numerics/tensor.js";

/** Running sums of the rows of x, and of those in reverse the last. */
const counted = `graph "sums"
symbol T in 0..8
input %x: f32[T, 2]
input %start: f32[1, 2]
%last: f32[1, 2], %sums: f32[T, 2], %back: f32[T, 2] = loop(%start, %x) index=trip in 0..7 trips=T condition=false states=1 scans=[0, 0 reverse] // Scan "s"
body
  graph "step"
  symbol T in 0..8
  symbol trip in 0..7
  input %sum: f32[1, 2]
  input %rows: f32[T, 2]
  %row: f32[1, 2] = slice(%rows) starts=[trip, 0] steps=[1, 1]
  %next: f32[1, 2] = map(%sum, %row) program={ r0 = input.f32 0; r1 = input.f32 1; r2 = add r0 r1; return r2 }
  output "sum" = %next
  output "scan" = %next
  output "reversed" = %next
end
output "last" = %last
output "sums" = %sums
output "back" = %back
`;

/** Halves x while it is larger than 1, at most five times; then doubled or not. */
const conditional = `graph "halves"
symbol n in 0..5
input %x: f32[1]
const %yes: bool[] = [true]
%half: f32[1], %all: f32[n] = loop(%yes, %x) index=trip in 0..4 trips=5 condition=true states=1 scans=[0] count=n in 0..5
body
  graph "step"
  input %x: f32[1]
  %next: f32[1] = map(%x) program={ r0 = input.f32 0; r1 = constF 0.5; r2 = mul r0 r1; return r2 }
  %above: bool[1] = map(%next) program={ r0 = input.f32 0; r1 = constF 1; r2 = lt r1 r0; return r2 }
  output "goes on" = %above
  output "x" = %next
  output "all" = %next
end
%large: bool[1] = map(%x) program={ r0 = input.f32 0; r1 = constF 16; r2 = lt r1 r0; return r2 }
%y: f32[1] = if(%large, %half) // If "twice"
body
  graph "then"
  input %h: f32[1]
  %twice: f32[1] = map(%h) program={ r0 = input.f32 0; r1 = add r0 r0; return r1 }
  output "y" = %twice
end
body
  graph "else"
  const %zero: f32[1] = [0]
  output "y" = %zero
end
output "y" = %y
output "all" = %all
`;

function floats(shape: readonly number[], values: readonly number[]): Tensor {
  return { dtype: "f32", shape, data: Float32Array.from(values) };
}

function run(graph: Graph, inputs: Record<string, Tensor>): Record<string, readonly unknown[]> {
  const results = evaluateGraph(graph, new Map(Object.entries(inputs)), noHost as EvaluateHost);
  return Object.fromEntries(
    [...results].map(([name, { shape, data }]) => [name, [shape, [...(data as Float32Array)]]]),
  );
}

describe("control flow", () => {
  for (const [name, text] of Object.entries({ counted, conditional })) {
    test(`${name}: printed as it is read, and valid`, () => {
      const graph = parseGraph(text);
      expect(verifyGraph(graph)).toEqual([]);
      expect(printGraph(graph)).toBe(text);
    });
  }

  test("a counted loop carries states, slices by its index and joins what it scans", () => {
    const graph = parseGraph(counted);
    const inputs = { x: floats([3, 2], [1, 2, 3, 4, 5, 6]), start: floats([1, 2], [10, 20]) };
    expect(run(graph, inputs)).toEqual({
      last: [
        [1, 2],
        [19, 32],
      ],
      sums: [
        [3, 2],
        [11, 22, 14, 26, 19, 32],
      ],
      back: [
        [3, 2],
        [19, 32, 14, 26, 11, 22],
      ],
    });
  });

  test("no trip at all gives the first states and nothing scanned", () => {
    const inputs = { x: floats([0, 2], []), start: floats([1, 2], [10, 20]) };
    expect(run(parseGraph(counted), inputs)).toEqual({
      last: [
        [1, 2],
        [10, 20],
      ],
      sums: [[0, 2], []],
      back: [[0, 2], []],
    });
  });

  test("a condition ends a loop, whose trips then bind a symbol; a branch is taken", () => {
    const graph = parseGraph(conditional);
    expect(run(graph, { x: floats([1], [6]) })).toEqual({
      y: [[1], [0]],
      all: [[3], [3, 1.5, 0.75]],
    });
    expect(run(graph, { x: floats([1], [1000]) })).toEqual({
      y: [[1], [62.5]],
      all: [[5], [500, 250, 125, 62.5, 31.25]],
    });
  });
});

describe("a loop that does not fit its body is a problem", () => {
  const cases = [
    ["states change their type", "input %start: f32[1, 2]", "input %start: f32[2, 1]"],
    ["a scan lacks its axis", "scans=[0, 0 reverse]", "scans=[0]"],
    ["more states than results", "states=1", "states=2"],
    ["a wrong extent", "%sums: f32[T, 2]", "%sums: f32[T, 3]"],
    ["something wrong inside", "starts=[trip, 0]", "starts=[trip, 5]"],
    ["an index of another range", "  symbol trip in 0..7\n", "  symbol trip in 0..6\n"],
  ] as const;
  for (const [name, from, to] of cases) {
    test(name, () => {
      expect(verifyGraph(parseGraph(counted.replace(from, to))).length).toBeGreaterThan(0);
    });
  }
});

test("a loop over constants folds; one over an open extent stays", () => {
  const build = (symbolic: boolean): Graph => {
    const T = symbolDim({ name: "T", min: 1, max: 9, multipleOf: 1 });
    const b = createGraphBuilder();
    const one = b.constant(floats([1], [1]));
    const x = symbolic ? b.input("x", "f32", [T]) : b.constant(floats([4], [1, 2, 3, 4]));
    const { states } = buildLoop(b, {
      name: "sum",
      trips: symbolic ? T : 4,
      origins: [],
      states: [one],
      captured: [x],
      body: (inner, { index, states: [sum], captured: [all] }) => {
        const own = inner.sliceAxis(all!, 0, index, 1);
        return { states: [inner.map("f32", [sum!, own], (l, p, q) => l.add(p!, q!))], scanned: [] };
      },
    });
    return b.finish("g", [{ name: "y", value: states[0]! }]);
  };
  expect(build(false).nodes).toEqual([]);
  expect(build(false).outputs[0]!.value.data!.data).toEqual(Float32Array.of(11));
  expect(build(true).nodes.map(({ op }) => op.kind)).toEqual(["loop"]);
  expect(verifyGraph(build(true))).toEqual([]);
});
