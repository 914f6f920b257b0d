/** Models whose shapes depend on data run in parts, whose shapes are those of the data at hand. */
import { describe, expect, test } from "vitest";
import { evaluateModel } from "../../src/compiler/1-import/evaluate-model.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { decodeModel } from "../../src/onnx/model.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { judgeOutputs, modelRule } from "../../src/runtime/judge.js";
import { createModelRunner, type ModelRunner } from "../../src/runtime/model-runner.js";
import { InferenceSession } from "../../src/runtime/inference-session.js";
import { tensorToOrt } from "../../src/runtime/ort-tensors.js";
import { onnxRuntimeHost } from "../../src/runtime/node/onnxruntime-host.js";
import { runOnnxRuntime } from "../../src/runtime/node/onnxruntime.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { mini } from "../../src/target/machines/mini.js";
import { findDevice } from "../../src/target/machines.js";
import * as models from "../support/data-dependent.js";
import { f32, type ModelInit, onnxFile } from "../support/onnx-builder.js";

const device = createSimulatedDevice(createJitEngine());
const { numbers } = models;

type Inputs = Readonly<Record<string, Tensor>>;

interface Case {
  readonly model: ModelInit;
  readonly parts: number;
  /** One run after the other. */
  readonly runs: readonly Inputs[];
}

const scalar = (value: number): Tensor => f32([], [value]);
const rows = (least: number, seed = 11, count = 50): Inputs => ({
  x: numbers(seed, count, 80),
  least: scalar(least),
});
const speech = (tokens: number, pace: number): Inputs => ({
  x: numbers(tokens, 1, tokens, 32),
  pace: scalar(pace),
});

function boxes(count: number, least: number): Inputs {
  const corners = Array.from({ length: count }, (_, i) => {
    const [y, x] = [(i * 7) % 16, (i * 5) % 17];
    return [y, x, y + 4 + (i % 3), x + 3 + (i % 4)];
  });
  return {
    image: numbers(count, 1, 8, 24, 24),
    boxes: f32([1, count, 4], corners.flat()),
    scores: f32(
      [1, 1, count],
      Array.from({ length: count }, (_, i) => ((i * 13) % 31) / 31),
    ),
    least: scalar(least),
  };
}

const cases: Readonly<Record<string, Case>> = {
  chosenRows: {
    model: models.chosenRows,
    parts: 2,
    runs: [rows(0), rows(0.5), rows(0.5, 12, 33), rows(2), rows(-2)],
  },
  compressedRows: {
    model: models.compressedRows,
    parts: 2,
    runs: [rows(0), rows(0.5), rows(2), rows(0.25)],
  },
  chosenTwice: {
    model: models.chosenTwice,
    parts: 3,
    runs: [rows(0), rows(0.5), rows(2), rows(-0.5)],
  },
  lengthRegulator: {
    model: models.lengthRegulator,
    parts: 2,
    runs: [speech(6, 1), speech(6, 2), speech(9, 1.5), speech(7, 1)],
  },
  detector: {
    model: models.detector,
    parts: 2,
    runs: [boxes(30, 0.2), boxes(30, 0.5), boxes(25, 0.1), boxes(30, 2)],
  },
  stackedTrips: {
    model: models.stackedTrips,
    parts: 2,
    runs: [0.3, 0.1, 0.02, 2].map((least) => ({ x: numbers(13, 64), least: scalar(least) })),
  },
};

function runnerOf(file: Uint8Array, changed: object = {}): ModelRunner {
  const model = decodeModel(file);
  return createModelRunner({
    model,
    machine: mini,
    precision: "fp32",
    dims: new Map(),
    device,
    ...changed,
  });
}

describe.each(Object.entries(cases))("%s", (_, { model, parts, runs }) => {
  const file = onnxFile(model);

  test.each(["reference", "onnxruntime"] as const)(
    "agrees with ONNX Runtime, host: %s",
    async (choice) => {
      const runner = runnerOf(file, { host: { choice, load: onnxRuntimeHost } });
      for (const [i, run] of runs.entries()) {
        const inputs = new Map(Object.entries(run));
        const outcome = await runner.run(inputs);
        const wanted = await runOnnxRuntime(file, decodeModel(file), inputs, {
          runs: 1,
          threads: 1,
        });
        const { difference } = judgeOutputs(outcome.outputs, wanted!.outputs, modelRule);
        expect(difference, `run ${i}`).toBeUndefined();
        expect(outcome.parts.length, `run ${i}`).toBe(parts);
      }
      await runner.release();
    },
  );

  test("gives the same bits on any machine, with any number of threads", async () => {
    const inputs = new Map(Object.entries(runs[0]!));
    const { outputs } = await runnerOf(file).run(inputs);
    expect((await runnerOf(file, { machine: findDevice("pf1") }).run(inputs)).outputs).toEqual(
      outputs,
    );
    const session = await InferenceSession.create(file, { threads: 2, cacheDir: false });
    const feeds = Object.fromEntries(
      [...inputs].map(([name, value]) => [name, tensorToOrt(value, name)]),
    );
    const results = await session.run(feeds);
    for (const [name, value] of outputs)
      expect(results[name]!.data).toEqual((value as Tensor).data);
    await session.release();
  });
});

test("what the data make impossible is refused at its node, and the next run is as good as any", async () => {
  const runner = runnerOf(onnxFile(models.lengthRegulator));
  const run = (pace: number) => runner.run(new Map(Object.entries(speech(6, pace))));
  await expect(run(0)).rejects.toThrow('L0201 Conv "h": a window of 3 does not fit');
  expect(((await run(1)).outputs.get("y") as Tensor).shape).toEqual([1, 1, 13]);
});

test("a Loop with a state that nobody reads is run by ONNX Runtime, which writes it nevertheless", async () => {
  const { y } = models.stackedTrips.outputs;
  const file = onnxFile({ ...models.stackedTrips, outputs: { y: y! } });
  const runner = runnerOf(file, { host: { choice: "onnxruntime", load: onnxRuntimeHost } });
  const inputs = new Map([
    ["x", numbers(13, 64)],
    ["least", scalar(0.1)],
  ]);
  const { outputs, hostRegions } = await runner.run(inputs);
  expect(hostRegions.map(({ by }) => by)).toEqual(["ONNX Runtime"]);
  const wanted = evaluateModel(decodeModel(file), inputs);
  expect(judgeOutputs(outputs, wanted, modelRule).difference).toBeUndefined();
});
