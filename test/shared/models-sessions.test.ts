/** Sessions of real models whose shapes change with every run, which must not compile again and again. */
import { Tensor } from "onnxruntime-common";
import { expect, test } from "vitest";
import { decodeNumbers } from "../../src/numerics/convert.js";
import type { Tensor as HostTensor } from "../../src/numerics/tensor.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { InferenceSession } from "../../src/runtime/inference-session.js";
import { createModelRunner } from "../../src/runtime/model-runner.js";
import { openFiles } from "../../src/runtime/node/files.js";
import { sharedJit } from "../../src/runtime/node/services.js";
import { findTestCases, readTestModel, readTestSet } from "../../src/runtime/test-case.js";
import { findDevice } from "../../src/target/machines.js";

const source = openFiles("../shared/models");
const models = findTestCases(source);
const options = { cacheDir: false } as const;

function ids(values: readonly number[]): Tensor {
  return new Tensor("int64", BigInt64Array.from(values, BigInt), [1, values.length]);
}

/** Greedy decoding with the cache handed back, as a client of ONNX Runtime does it. */
async function decode(session: InferenceSession, steps: number): Promise<number[]> {
  let tokens = [1, 403, 407, 261, 378];
  let past = 0;
  const story: number[] = [];
  let cache: Record<string, Tensor> = Object.fromEntries(
    session.inputNames
      .filter((name) => name.startsWith("past_key_values"))
      .map((name) => [name, new Tensor("float32", new Float32Array(0), [1, 4, 0, 8])]),
  );
  for (let step = 0; step < steps; step++) {
    const total = past + tokens.length;
    const results = await session.run({
      input_ids: ids(tokens),
      attention_mask: ids(new Array<number>(total).fill(1)),
      position_ids: ids(tokens.map((_, i) => past + i)),
      ...cache,
    });
    const logits = results["logits"]!;
    const classes = logits.dims.at(-1)!;
    const last = (logits.data as Float32Array).subarray(-classes);
    const best = last.indexOf(Math.max(...last));
    story.push(best);
    past = total;
    tokens = [best];
    cache = Object.fromEntries(
      Object.keys(cache).map((name) => [
        name,
        results[name.replace("past_key_values", "present")]! as Tensor,
      ]),
    );
  }
  return story;
}

test("64 tokens of a story: two programs, none after the second step", async () => {
  const path = "../shared/models/stories260k-fp32/model.onnx";
  const session = await InferenceSession.create(path, options);
  const begin = await decode(session, 2);
  expect(session.stats.programs).toBe(2);
  const story = await decode(session, 64);
  expect(story.slice(0, 2)).toEqual(begin);
  expect(session.stats.programs).toBe(2);
  // Every step compiled for its own shape gives the same tokens.
  const exact = await InferenceSession.create(path, options);
  expect(await decode(exact, 6)).toEqual(story.slice(0, 6));
});

test("lines of ten widths: two programs", async () => {
  const testCase = models.find((model) => model.path === "ppocr-rec-ch-v4")!;
  const model = readTestModel(source, testCase);
  const { inputs } = readTestSet(source, model, testCase.sets[0]!);
  const [[name, line]] = [...inputs] as [[string, HostTensor]];
  const width = line.shape[3]!;
  const runner = createModelRunner({
    model,
    machine: findDevice("pf1"),
    precision: "fp32",
    dims: new Map(),
    device: createSimulatedDevice(sharedJit()),
  });
  const scores = async (columns: number) => {
    const values = decodeNumbers(line.dtype, line.data);
    const data = Float32Array.from({ length: 3 * 48 * columns }, (_, i) => {
      return values[Math.floor(i / columns) * width + ((i % columns) % width)]!;
    });
    const narrowed: HostTensor = { dtype: "f32", shape: [1, 3, 48, columns], data };
    const { outputs } = await runner.run(new Map([[name, narrowed]]));
    const [result] = outputs.values();
    return result as HostTensor;
  };
  const whole = await scores(width);
  for (let i = 1; i < 10; i++) {
    const { shape } = await scores(width - 16 * i);
    expect(shape).toEqual([1, expect.any(Number), 6625]);
  }
  expect(runner.stats.programs).toBe(2);
  // The program for any width gives the bits of the one for this width.
  const wider = createModelRunner({
    model,
    machine: findDevice("pf1"),
    precision: "fp32",
    dims: new Map(),
    device: createSimulatedDevice(sharedJit()),
  });
  const [alone] = (await wider.run(inputs)).outputs.values();
  expect((alone as HostTensor).data).toEqual(whole.data);
});
