/** Bisection of real models: it finds nothing where nothing is wrong, and a weight that is. */
import { expect, test } from "vitest";
import { bisect } from "../../src/analysis/bisect.js";
import { withAllOutputs } from "../../src/analysis/bisect-operators.js";
import { encodeModel, type Model } from "../../src/onnx/model.js";
import { tensorFromProto, tensorToProto } from "../../src/onnx/tensor.js";
import { modelRule } from "../../src/runtime/judge.js";
import { openFiles } from "../../src/runtime/node/files.js";
import { runOnnxRuntime } from "../../src/runtime/node/onnxruntime.js";
import { sharedJit } from "../../src/runtime/node/services.js";
import { findTestCases, readTestModel, readTestSet } from "../../src/runtime/test-case.js";
import { findDevice } from "../../src/target/machines.js";

const source = openFiles("../shared/models");

async function load(name: string) {
  const testCase = findTestCases(source).find(({ path }) => path === name)!;
  const model = readTestModel(source, testCase);
  const { inputs, outputs: expected } = readTestSet(source, model, testCase.sets[0]!);
  const file = encodeModel(withAllOutputs(model));
  const host = await runOnnxRuntime(file, model, inputs, { runs: 1, threads: 1 });
  return {
    model,
    inputs,
    expected,
    intermediates: host!.outputs,
    rule: modelRule,
    machine: findDevice("mini"),
    machineHash: "",
    precision: "fp32",
    engine: sharedJit(),
  } as const;
}

test.each([
  "mujoco-go1-policy",
  "mlperf-tiny-kws-int8",
  "g2p-en-greedy-loop",
  "silero-vad-v6",
  "stories260k-fp32",
  "ultraface-rfb-320",
])("%s: nothing is wrong", async (name) => {
  expect((await bisect(await load(name))).finding).toBeUndefined();
});

/** One weight of convolution number `at` is changed; that node has no name but its output's. */
function spoilt(model: Model, at: number): { readonly model: Model; readonly node: string } {
  const conv = model.graph.node.filter(({ opType }) => opType === "Conv")[at]!;
  const initializer = model.graph.initializer.map((proto) => {
    if (proto.name !== conv.input[1]) return proto;
    const tensor = tensorFromProto(proto);
    const data = Float32Array.from(tensor.data as Float32Array);
    data[0]! += 10;
    return { ...proto, ...tensorToProto({ ...tensor, data }), name: proto.name };
  });
  const graph = { ...model.graph, initializer } as Model["graph"];
  return { model: { ...model, graph }, node: conv.output[0]! };
}

test("a weight in the middle of a network is found by its convolution", async () => {
  const options = await load("ultraface-rfb-320");
  const { model, node } = spoilt(options.model, 20);
  const { finding, checked } = await bisect({ ...options, model });
  expect(checked).toEqual(["operator"]);
  expect(finding).toMatchObject({ level: "operator", nodes: [{ node, operator: "Conv" }] });
  expect(finding!.notes).toEqual([]);
});
