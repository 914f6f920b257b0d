/**
 * Real models with `--precision bf16`: contractions read bf16, the bits are those of every machine, and the loss that the
 * report states is the one that rounding the same operands brings about in ONNX Runtime.
 */
import { expect, test } from "vitest";
import { type AccuracyLoss, accuracyLosses, printAccuracy } from "../../src/analysis/accuracy.js";
import type { Precision } from "../../src/compiler/pipeline.js";
import type { Executable } from "../../src/isa/executable.js";
import { sitesOf } from "../../src/isa/sites.js";
import type { Model } from "../../src/onnx/model.js";
import type { HostValue } from "../../src/ops/record.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { createModelRunner } from "../../src/runtime/model-runner.js";
import { openFiles } from "../../src/runtime/node/files.js";
import { runOnnxRuntime } from "../../src/runtime/node/onnxruntime.js";
import { sharedJit } from "../../src/runtime/node/services.js";
import { findTestCases, readTestModel, readTestSet } from "../../src/runtime/test-case.js";
import { findDevice } from "../../src/target/machines.js";
import { withBf16Operands } from "../support/bf16-operands.js";

const source = openFiles("../shared/models");
const device = createSimulatedDevice(sharedJit());

type Values = ReadonlyMap<string, HostValue>;

/**
 * Largest root mean square of the loss, relative to that of the output, measured and rounded up. Scores that a softmax
 * decides lose least; regressions over whole pictures after thirty convolutions lose most.
 */
const lossMax: Readonly<Record<string, number>> = {
  "bert-mlm-random": 0.005,
  "magika-v3-3": 1e-5,
  "mlsd-tiny-320": 0.2,
  "mujoco-go1-policy": 0.02,
  "ppocr-cls": 1e-6,
  "ppocr-det-en-v3": 0.1,
  "ppocr-rec-ch-v4": 0.05,
  "stories260k-fp32": 0.01,
  "ultraface-rfb-320": 0.002,
  "yolox-nano": 0.05,
};

function load(name: string) {
  const testCase = findTestCases(source).find(({ path }) => path === name)!;
  const model = readTestModel(source, testCase);
  const { inputs } = readTestSet(source, model, testCase.sets[0]!);
  const run = (precision: Precision, machine: string) =>
    createModelRunner({
      model,
      machine: findDevice(machine),
      precision,
      dims: new Map(),
      device,
    }).run(inputs);
  return { model, inputs, bytes: source.read(testCase.modelPath), run };
}

async function runOrt(model: Model, file: Uint8Array, inputs: Values): Promise<Values> {
  const run = await runOnnxRuntime(file, model, inputs, { runs: 1, threads: 1 });
  return run!.outputs;
}

/** `a, b` of every instruction of the tensor engine. */
function operandTypes({ programs }: Executable): ReadonlySet<string> {
  const types = programs.flatMap((program) =>
    sitesOf(program).flatMap(({ instruction: { body } }) => {
      if (body.op !== "mma") return [];
      return [body.a, body.b].map(({ queue }) => program.queues[queue]!.dtype).join(", ");
    }),
  );
  return new Set(types);
}

function worst(losses: readonly AccuracyLoss[], of: "worstRelative" | "rootMeanSquareRelative") {
  return Math.max(...losses.map((loss) => loss[of]));
}

test.each(Object.keys(lossMax))("%s", async (name) => {
  const { model, inputs, bytes, run } = load(name);
  const exact = await run("fp32", "pf1");
  const lower = await run("bf16", "pf1");
  expect(operandTypes(exact.parts[0]!.executable)).toEqual(new Set(["f32, f32"]));
  expect(operandTypes(lower.parts[0]!.executable)).toEqual(new Set(["bf16, bf16"]));
  expect(lower.ranOn).toBe("accelerator");
  expect((await run("bf16", "mini")).outputs).toEqual(lower.outputs);

  const losses = accuracyLosses(exact.outputs, lower.outputs);
  expect(losses.map(({ output }) => output)).toEqual([...exact.outputs.keys()]);
  const text = printAccuracy(losses);
  for (const { output, worstRelative } of losses) {
    expect(text).toContain(`${output}: worst ${worstRelative.toExponential(1)} of the largest`);
  }
  const loss = worst(losses, "rootMeanSquareRelative");
  expect(loss).toBeGreaterThan(0);
  expect(loss).toBeLessThan(lossMax[name]!);
  const rounded = await runOrt(model, withBf16Operands(model), inputs);
  const elsewhere = accuracyLosses(await runOrt(model, bytes, inputs), rounded);
  const other = worst(elsewhere, "rootMeanSquareRelative");
  // Roundings that fall the other way are amplified like all others: equal in size, not in sign.
  expect(loss).toBeLessThan(2 * other);
  expect(loss).toBeGreaterThan(other / 2);
});

test("squeezenet-fp16 reads fp16 already, and loses nothing", async () => {
  const { run } = load("squeezenet-fp16");
  const exact = await run("fp32", "pf1");
  const lower = await run("bf16", "pf1");
  expect(operandTypes(lower.parts[0]!.executable)).toEqual(new Set(["f16, f16"]));
  expect(lower.outputs).toEqual(exact.outputs);
  expect((await run("bf16", "mini")).outputs).toEqual(lower.outputs);
  expect(worst(accuracyLosses(exact.outputs, lower.outputs), "worstRelative")).toBe(0);
});
