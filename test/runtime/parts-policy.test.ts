/** What a session does with parts over many runs: few programs, memory given back, the host where parts do not pay. */
import { expect, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import { evaluateModel } from "../../src/compiler/1-import/evaluate-model.js";
import type { Executable } from "../../src/isa/executable.js";
import { createSimulatedDevice, type Device } from "../../src/runtime/device.js";
import { judgeOutputs, modelRule } from "../../src/runtime/judge.js";
import { createModelRunner, type RunnerOptions } from "../../src/runtime/model-runner.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { mini } from "../../src/target/machines/mini.js";
import { chosenRows, chosenTwice, lengthRegulator, numbers } from "../support/data-dependent.js";
import { f32, type ModelInit, node, onnxModel } from "../support/onnx-builder.js";

const jit = createSimulatedDevice(createJitEngine());

function runnerOf(model: ModelInit, changed: Partial<RunnerOptions> = {}) {
  return createModelRunner({
    model: onnxModel(model),
    machine: mini,
    precision: "fp32",
    dims: new Map(),
    device: jit,
    ...changed,
  });
}

const rows = (least: number, count = 50) =>
  new Map([
    ["x", numbers(11, count, 80)],
    ["least", f32([], [least])],
  ]);
const speech = (pace: number) =>
  new Map([
    ["x", numbers(3, 1, 5, 32)],
    ["pace", f32([], [pace])],
  ]);

test("counts that change with every run need two programs of a part", async () => {
  const runner = runnerOf(chosenRows);
  for (let i = 0; i < 12; i++) await runner.run(rows(i / 16));
  expect(runner.stats).toMatchObject({ runs: 12, compiles: 1, parts: [{ runs: 12, compiles: 2 }] });
});

test("preparing compiles all parts", async () => {
  const runner = runnerOf(chosenTwice);
  const parts = await runner.prepare(rows(0));
  expect(parts.map(({ executable }) => executable.later.length > 0)).toEqual([true, true, false]);
  const outcome = await runner.run(rows(0));
  expect(outcome.parts.map(({ executable }) => executable)).toEqual(
    parts.map(({ executable }) => executable),
  );
});

/** Without frames it would have nothing to stride over; the padding depends on how many there are. */
const strided: ModelInit = {
  ...lengthRegulator,
  nodes: lengthRegulator.nodes.map((one) =>
    one.output?.[0] === "h"
      ? node("Conv", ["channels", "w1"], ["h"], { auto_pad: "SAME_UPPER", strides: [3n] })
      : one,
  ),
};

test("a part that would be compiled at every run is left to the host in the end", async () => {
  const runner = runnerOf(strided);
  const places: number[] = [];
  for (let i = 0; i < 22; i++) {
    const inputs = speech(1 + i);
    const { outputs, parts } = await runner.run(inputs);
    const wanted = evaluateModel(onnxModel(strided), inputs);
    expect(judgeOutputs(outputs, wanted, modelRule).difference).toBeUndefined();
    places.push(parts.length);
  }
  expect(places.indexOf(1)).toBeGreaterThan(8);
  expect(places.slice(places.indexOf(1)).every((count) => count === 1)).toBe(true);
  expect(runner.stats.wholeBecause).toMatch("too often");
});

test("a part that does not fit the machine is left to the host", async () => {
  const small = { ...mini, hbm: { ...mini.hbm, capacityBytes: 48 * 1024 } };
  const runner = runnerOf(chosenRows, { machine: small });
  const inputs = rows(-2, 100);
  const { outputs, parts } = await runner.run(inputs);
  expect(parts).toHaveLength(1);
  expect(runner.stats.wholeBecause).toMatch(/memory|fit/);
  const wanted = evaluateModel(onnxModel(chosenRows), inputs);
  expect(judgeOutputs(outputs, wanted, modelRule).difference).toBeUndefined();
});

test("all memory is given back", async () => {
  let held = 0;
  const device: Device = {
    ...jit,
    allocate(sizeBytes) {
      const region = jit.allocate(sizeBytes);
      held++;
      return {
        ...region,
        release() {
          held--;
          region.release();
        },
      };
    },
  };
  const runner = runnerOf(chosenTwice, { device });
  for (const least of [0, 0.5, -0.5, 2]) await runner.run(rows(least));
  expect(held).toBeGreaterThan(3);
  await runner.release();
  expect(held).toBe(0);
});

test("runs that overlap do not mix", async () => {
  const runner = runnerOf(chosenTwice);
  const given = [0, 0.5, -0.25, 0.75].map((least) => rows(least));
  const together = await Promise.all(given.map((inputs) => runner.run(inputs)));
  for (const [i, inputs] of given.entries())
    expect(together[i]!.outputs).toEqual((await runnerOf(chosenTwice).run(inputs)).outputs);
});

test("programs of parts are kept apart in a store", async () => {
  const kept = new Map<string, Executable>();
  const store = { get: (key: string) => kept.get(key), put: kept.set.bind(kept) };
  const first = await runnerOf(chosenTwice, { store }).run(rows(0));
  expect(kept.size).toBe(3);
  const again = runnerOf(chosenTwice, { store });
  expect((await again.run(rows(0))).outputs).toEqual(first.outputs);
  expect(again.stats).toMatchObject({
    compiles: 0,
    parts: [{ compiles: 0, parts: [{ compiles: 0 }] }],
  });
});

test("dims that the caller sets hold in every part that has them", async () => {
  const runner = runnerOf(chosenRows, { dims: new Map([["N", { min: 1, max: 64 }]]) });
  const { parts } = await runner.run(rows(0));
  expect(parts[0]!.bindings.get("N")).toBe(50);
  await expect(runner.run(rows(0, 65))).rejects.toThrow('"N" is 65');
});

test("an integer that the device cannot hold is computed on the host, in its part alone", async () => {
  const model: ModelInit = {
    ...chosenRows,
    inputs: { ...chosenRows.inputs, k: "i64[1]" },
    nodes: [...chosenRows.nodes, node("Add", ["found", "k"], ["moved"])],
    outputs: { ...chosenRows.outputs, moved: "i64[1, M]" },
  };
  const k: Tensor = { dtype: "i64", shape: [1], data: BigInt64Array.of(2n ** 40n) };
  const inputs = new Map([...rows(0.5), ["k", k]]);
  const { outputs } = await runnerOf(model).run(inputs);
  const wanted = evaluateModel(onnxModel(model), inputs);
  expect(judgeOutputs(outputs, wanted, modelRule).difference).toBeUndefined();
});
