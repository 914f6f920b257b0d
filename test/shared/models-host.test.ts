/** Real models: all import, and the smaller ones give the recorded outputs on the host evaluation alone. */
import { describe, expect, test } from "vitest";
import { evaluateModel, optionsFor } from "../../src/compiler/1-import/evaluate-model.js";
import { importModel } from "../../src/compiler/1-import/import.js";
import { verifyGraph } from "../../src/ir/verify.js";
import { describeDifference } from "../../src/runtime/compare.js";
import { openFiles } from "../../src/runtime/node/files.js";
import { findTestCases, readTestModel, readTestSet } from "../../src/runtime/test-case.js";

const source = openFiles("../shared/models");
const models = findTestCases(source);

describe("every model imports", () => {
  test.each(models.map((model) => [model.path, model] as const))("%s", (path, testCase) => {
    const model = readTestModel(source, testCase);
    const { inputs } = readTestSet(source, model, testCase.sets[0]!);
    const { graph } = importModel(model, { ...optionsFor(model, inputs), file: path });
    expect(verifyGraph(graph)).toEqual([]);
    const host = graph.nodes.flatMap(({ op }) => (op.kind === "host" ? [op.node.operator] : []));
    expect(host).toEqual([]);
    expect(graph.outputs.map((output) => output.name)).toEqual(
      model.graph.output.map((output) => output.name),
    );
  });
});

/** Small enough for a plain evaluation. */
const small = models.filter(({ path }) =>
  /^(bert|dtln|g2p|gpt2|mlperf|mujoco|silero|stories)/.test(path),
);

describe("the recorded outputs come out on the host", () => {
  test.each(small.map((model) => [model.path, model] as const))("%s", (_, testCase) => {
    const model = readTestModel(source, testCase);
    for (const files of testCase.sets) {
      const { inputs, outputs } = readTestSet(source, model, files);
      const results = evaluateModel(model, inputs);
      for (const [name, expected] of outputs) {
        const tolerance = { rtol: 1e-3, atol: 1e-4 };
        expect(describeDifference(results.get(name), expected, tolerance), name).toBeUndefined();
      }
    }
  });
});
