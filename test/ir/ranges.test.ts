import { describe, expect, test } from "vitest";
import { evaluateGraph } from "../../src/ir/evaluate.js";
import type { Graph } from "../../src/ir/graph.js";
import { valueRanges } from "../../src/ir/ranges.js";
import { decodeElement } from "../../src/numerics/convert.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { defaultRandomGraph, randomGraph } from "../support/random-graph.js";

const noHost = () => {
  throw new Error("no host node expected");
};

/** Every value that a node computes, as an output. */
function withAllOutputs(graph: Graph): Graph {
  const values = graph.nodes.flatMap((node) => node.outputs);
  return { ...graph, outputs: values.map((value) => ({ name: value.name, value })) };
}

describe("the range of every value of a random graph holds what is computed", () => {
  const dtypes = ["f32", "f16", "i64", "i64", "u64", "u32", "i32", "i16", "u8", "bool"] as const;
  for (let seed = 0; seed < 150; seed++) {
    test(`seed ${seed}`, () => {
      const { graph, inputs } = randomGraph(seed, { ...defaultRandomGraph, dtypes, steps: 16 });
      const whole = withAllOutputs(graph);
      const ranges = valueRanges(whole);
      const results = evaluateGraph(whole, inputs, noHost);
      for (const { name, value } of whole.outputs) {
        const { dtype, data } = results.get(name)! as Tensor;
        const { low, high } = ranges.get(value)!;
        for (let i = 0; i < data.length; i++) {
          const x = decodeElement(dtype, data, i);
          if (Number.isNaN(x)) continue;
          expect(x, `${name} in [${low}, ${high}]`).toBeGreaterThanOrEqual(low);
          expect(x, `${name} in [${low}, ${high}]`).toBeLessThanOrEqual(high);
        }
      }
    });
  }
});
