import { describe, expect, test } from "vitest";
import type { GraphBuilder } from "../../src/ir/builder.js";
import { symbolDim } from "../../src/ir/dim.js";
import { evaluateGraph } from "../../src/ir/evaluate/evaluate.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Graph, Value } from "../../src/ir/graph.js";
import { buildLoop } from "../../src/ir/build/loop-builder.js";
import { valueRanges } from "../../src/ir/ranges/ranges.js";
import { decodeElement } from "../../src/numerics/convert.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { defaultRandomGraph, randomGraph } from "../support/random-graph.js";
import { randomLoop } from "../support/random-loop.js";

const noHost = () => {
  throw new Error("no host node expected");
};

/** Every value that a node computes, as an output. */
function withAllOutputs(graph: Graph): Graph {
  const values = graph.nodes.flatMap((node) => node.outputs);
  return { ...graph, outputs: values.map((value) => ({ name: value.name, value })) };
}

/** Every result lies in the range of its value. */
function expectInside(graph: Graph, inputs: ReadonlyMap<string, Tensor>): void {
  const ranges = valueRanges(graph);
  const results = evaluateGraph(graph, inputs, noHost);
  for (const { name, value } of graph.outputs) {
    const { dtype, data } = results.get(name)! as Tensor;
    const { low, high } = ranges.get(value)!;
    for (let i = 0; i < data.length; i++) {
      const x = decodeElement(dtype, data, i);
      if (Number.isNaN(x)) continue;
      expect(x, `${name} in [${low}, ${high}]`).toBeGreaterThanOrEqual(low);
      expect(x, `${name} in [${low}, ${high}]`).toBeLessThanOrEqual(high);
    }
  }
}

describe("the range of every value of a random graph holds what is computed", () => {
  const dtypes = ["f32", "f16", "i64", "i64", "u64", "u32", "i32", "i16", "u8", "bool"] as const;
  for (let seed = 0; seed < 150; seed++) {
    test(`seed ${seed}`, () => {
      const { graph, inputs } = randomGraph(seed, { ...defaultRandomGraph, dtypes, steps: 16 });
      expectInside(withAllOutputs(graph), inputs);
    });
  }
});

describe("the ranges of the states of a random loop hold what every trip takes and gives", () => {
  for (let seed = 0; seed < 200; seed++) {
    test(`seed ${seed}`, () => {
      const { graph, inputs } = randomLoop(seed);
      expectInside(graph, inputs);
    });
  }
});

describe("a loop", () => {
  const T = symbolDim({ name: "T", min: 1, max: 100, multipleOf: 1 });
  type Step = (b: GraphBuilder, state: Value, other: Value) => Value;
  const cases: Readonly<Record<string, readonly [Step, number, number]>> = {
    "counts as far as it has trips": [
      (b, n) => b.map("i64", [n, b.full("i64", 2)], (l, x, y) => l.addI(x!, y!)),
      3,
      203,
    ],
    "counts where a condition holds": [
      (b, n, other) =>
        b.map("i64", [n, other, b.full("i64", 1)], (l, x, y, one) =>
          l.selectI(l.ltI(y!, one!), l.addI(x!, one!), x!),
        ),
      3,
      103,
    ],
    "adds up what is bounded": [
      (b, n, other) =>
        b.map("i64", [n, other], (l, x, y) => l.subI(x!, l.minI(y!, l.maxI(y!, l.constI(0))))),
      3 - 100 * 5,
      3 + 100 * 5,
    ],
    "doubles up to what its body clamps to": [
      (b, n) =>
        b.map("i64", [n, b.full("i64", 1000)], (l, x, most) => l.minI(l.addI(x!, x!), most!)),
      3,
      1000,
    ],
    "takes whatever the body picks": [
      (b, _, other) => b.map("i64", [other, b.full("i64", 9)], (l, x, most) => l.maxI(x!, most!)),
      3,
      9,
    ],
  };
  test.each(Object.entries(cases))("%s", (_, [step, low, high]) => {
    const b = createGraphBuilder();
    const other = b.map("i64", [b.input("x", "i64", [])], (l, x) =>
      l.minI(l.maxI(x!, l.constI(-5)), l.constI(5)),
    );
    const { states } = buildLoop(b, {
      name: "loop",
      origins: [],
      trips: T,
      states: [b.full("i64", 3)],
      captured: [other],
      body: (inner, { states: [n], captured: [read] }) => ({
        states: [step(inner, n!, read!)],
        scanned: [],
      }),
    });
    const graph = b.finish("g", [{ name: "y", value: states[0]! }]);
    expect(valueRanges(graph).get(states[0]!)).toEqual({ low, high });
  });
});
