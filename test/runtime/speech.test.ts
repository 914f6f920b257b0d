/** Text to speech, sentence after sentence: the frames of each follow from the data. */
import { expect, test } from "vitest";
import { decodeModel } from "../../src/onnx/model.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { judgeOutputs, modelRule } from "../../src/runtime/judge.js";
import { createModelRunner, type RunnerStats } from "../../src/runtime/model-runner.js";
import { onnxRuntimeHost } from "../../src/runtime/node/onnxruntime-host.js";
import { runOnnxRuntime } from "../../src/runtime/node/onnxruntime.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { mini } from "../../src/target/machines/mini.js";
import { onnxFile } from "../support/onnx-builder.js";
import { speechInputs, speechModel } from "../support/speech-model.js";

const file = onnxFile(speechModel);
const model = decodeModel(file);
const contractions = new Set(["Conv", "ConvTranspose", "MatMul"]);

function compilesOf({ compiles, parts = [] }: RunnerStats): number {
  return parts.reduce((sum, part) => sum + compilesOf(part), compiles);
}

test("sentences of any length agree with ONNX Runtime, on the device, and soon compile nothing", async () => {
  const runner = createModelRunner({
    model,
    machine: mini,
    precision: "fp32",
    dims: new Map(),
    device: createSimulatedDevice(createJitEngine()),
    host: { choice: "auto", load: onnxRuntimeHost },
  });
  const sentences = [
    [3, 0.01],
    [4, 0.02],
    [5, 0.01],
    [7, 0.03],
    [8, 0.02],
    [9, 0.01],
    [6, 0.02],
    [8, 0.03],
  ] as const;
  const compiles: number[] = [];
  for (const [tokens, pace] of sentences) {
    const inputs = speechInputs(tokens, pace);
    const { outputs, parts } = await runner.run(inputs);
    const wanted = await runOnnxRuntime(file, model, inputs, { runs: 1, threads: 1 });
    expect(judgeOutputs(outputs, wanted!.outputs, modelRule).difference).toBeUndefined();
    const onHost = parts.flatMap(({ executable }) =>
      executable.records.flatMap(({ what, origins }) => (what === "host" ? origins : [])),
    );
    expect(onHost.filter(({ operator }) => contractions.has(operator))).toEqual([]);
    compiles.push(compilesOf(runner.stats));
  }
  expect(compiles.at(-1)).toBe(compiles.at(-3));
});
