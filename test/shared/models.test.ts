/**
 * Real models through the command line's own path, on every recorded set: the largest difference is at most 1e-3 of the
 * largest value of an output (fp16: 1e-2), integers are equal, the same class is on top. States and caches that a
 * set takes from the outputs of the one before it are also fed back from our own outputs.
 */
import { describe, expect, test } from "vitest";
import type { NumericData } from "../../src/numerics/convert.js";
import { isTensor } from "../../src/ops/context.js";
import type { HostValue } from "../../src/ops/record.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { judgeOutputs, modelRule } from "../../src/runtime/judge.js";
import { createModelRunner, type RanOn } from "../../src/runtime/model-runner.js";
import { openFiles } from "../../src/runtime/node/files.js";
import { sharedJit } from "../../src/runtime/node/services.js";
import {
  externalDataOf,
  findTestCases,
  readTestModel,
  readTestSet,
  type TestCase,
  type TestSet,
} from "../../src/runtime/test-case.js";
import type { Engine } from "../../src/sim/engine.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { findDevice } from "../../src/target/machines.js";

const source = openFiles("../shared/models");
const models = findTestCases(source).map((model) => [model.path, model] as const);

/** Not all on the accelerator: an encoder of any length. */
const partly: ReadonlySet<string> = new Set(["g2p-en-encoder"]);

/** Inputs that are outputs of the set before: recurrent state in and out, and growing caches. */
const chainedInputs: Readonly<Record<string, number>> = {
  "dtln-1": 1,
  "dtln-2": 1,
  "gpt2-tiny-random-fp32": 5,
  "silero-vad-v6": 1,
  "stories260k-fp32": 10,
  "stories260k-int4": 10,
  "stories260k-int8dyn": 10,
  "stories260k-opset23": 10,
};

type Values = ReadonlyMap<string, HostValue>;

function load([path, testCase]: readonly [string, TestCase], machine: string, engine: Engine) {
  const model = readTestModel(source, testCase);
  const runner = createModelRunner({
    model,
    machine: findDevice(machine),
    precision: "fp32",
    dims: new Map(),
    device: createSimulatedDevice(engine),
    externalData: externalDataOf(source, testCase.modelPath),
  });
  const sets = testCase.sets.map((files) => readTestSet(source, model, files));
  return { runner, sets, rule: modelRule, mayUseHost: partly.has(path) };
}

type LoadedModel = ReturnType<typeof load>;

/** Runs a set and judges it; returns our outputs. */
async function check(
  { runner, rule, mayUseHost }: LoadedModel,
  inputs: Values,
  outputs: Values,
): Promise<Values> {
  const result = await runner.run(inputs);
  const expected: readonly RanOn[] = mayUseHost ? ["accelerator", "mixed"] : ["accelerator"];
  expect(expected).toContain(result.ranOn);
  expect(result.reason).toBeUndefined();
  expect([...result.outputs.keys()]).toEqual(expect.arrayContaining([...outputs.keys()]));
  expect(judgeOutputs(result.outputs, outputs, rule).difference).toBeUndefined();
  return result.outputs;
}

/** By input of `set`, the output of `before` that holds the same elements. Zeros and scalars say nothing. */
function chainOf(set: TestSet, before: TestSet): ReadonlyMap<string, string> {
  const links = new Map<string, string>();
  for (const [input, value] of set.inputs) {
    for (const [output, earlier] of before.outputs) {
      if (areSame(value, earlier)) links.set(input, output);
    }
  }
  return links;
}

function areSame(a: HostValue, b: HostValue): boolean {
  if (!isTensor(a) || !isTensor(b) || a.dtype !== b.dtype) return false;
  if (a.shape.join() !== b.shape.join() || new Set(a.data as Float32Array).size < 2) return false;
  return (a.data as NumericData).every((element, i) => element === b.data[i]);
}

describe.each(["pf1", "mini"])("%s", (machine) => {
  test.each(models)("%s", async (path, testCase) => {
    const loaded = load([path, testCase], machine, sharedJit());
    let chained = 0;
    let before: { readonly set: TestSet; readonly ours: Values } | undefined;
    for (const set of loaded.sets) {
      const ours = await check(loaded, set.inputs, set.outputs);
      const links = before === undefined ? new Map() : chainOf(set, before.set);
      if (links.size > 0) {
        const fed = [...links].map(
          ([input, output]) => [input, before!.ours.get(output)!] as const,
        );
        await check(loaded, new Map([...set.inputs, ...fed]), set.outputs);
      }
      chained += links.size;
      before = { set, ours };
    }
    expect(chained).toBe(chainedInputs[path] ?? 0);
  });
});

/** Small enough for the reference simulator: under ten seconds a set. */
const small = models.filter(([path]) =>
  /^(bert|dtln|g2p|gpt2|mlperf|mujoco|silero|stories)/.test(path),
);

describe("the reference simulator gives the JIT's bits", () => {
  test.each(small)("%s", async (path, testCase) => {
    const plain = load([path, testCase], "mini", createReferenceEngine());
    const fast = load([path, testCase], "mini", sharedJit());
    for (const { inputs, outputs } of plain.sets) {
      expect(await check(plain, inputs, outputs)).toEqual(await check(fast, inputs, outputs));
    }
  });
});
