import { expect, test } from "vitest";
import { compileModel } from "../../src/compiler/compile.js";
import type { Executable } from "../../src/isa/executable.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { readExecutable, writeExecutable } from "../../src/runtime/executable-file.js";
import { loadExecutable } from "../../src/runtime/walk.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { mini } from "../../src/target/machines/mini.js";
import { bool, f32, graphProto, node, onnxModel } from "../support/onnx-builder.js";

/** The condition depends on data, so the branches run on the host; one of them captures a value of the device. */
const model = onnxModel({
  inputs: { x: "f32[3]", c: "bool[]" },
  nodes: [
    node("Mul", ["x", "two"], ["doubled"]),
    node("If", ["c"], ["z"], {
      then_branch: {
        graph: graphProto({
          nodes: [node("Add", ["doubled", "weights"], ["t"])],
          initializers: { weights: f32([3], [10, 20, 30]) },
          outputs: { t: "f32[3]" },
        }),
      },
      else_branch: {
        graph: graphProto({ nodes: [node("Neg", ["doubled"], ["e"])], outputs: { e: "f32[3]" } }),
      },
    }),
    node("Add", ["z", "x"], ["y"]),
  ],
  initializers: { two: f32([1], [2]) },
  outputs: { y: "f32[3]" },
});

function run(executable: Executable, c: boolean) {
  const loaded = loadExecutable(executable, createSimulatedDevice(createReferenceEngine()));
  return loaded.run(inputsOf(f32([3], [1, 2, 3]), c));
}

function inputsOf(x: Tensor, c: boolean): ReadonlyMap<string, Tensor> {
  return new Map([
    ["x", x],
    ["c", bool([], [c])],
  ]);
}

test("control flow on the host survives being written and read", async () => {
  const executable = compileModel(model, {
    machine: mini,
    machineHash: "mini",
    precision: "fp32",
    dims: new Map(),
  });
  expect(executable.steps.some((step) => step.kind === "host")).toBe(true);
  const copy = readExecutable(writeExecutable(executable));
  for (const c of [true, false]) expect(await run(copy, c)).toEqual(await run(executable, c));
  expect(await run(copy, true)).toEqual(new Map([["y", f32([3], [13, 26, 39])]]));
  expect(writeExecutable(copy)).toEqual(writeExecutable(executable));
});

test("runs that overlap wait for one another", async () => {
  const options = {
    machine: mini,
    machineHash: "mini",
    precision: "fp32",
    dims: new Map(),
  } as const;
  const device = createSimulatedDevice(createReferenceEngine());
  const loaded = loadExecutable(compileModel(model, options), device);
  const values = [1, 2, 3, 4];
  const results = await Promise.all(
    values.map((v) => loaded.run(inputsOf(f32([3], [v, v, v]), v % 2 === 0))),
  );
  const alone = [];
  for (const v of values) alone.push(await loaded.run(inputsOf(f32([3], [v, v, v]), v % 2 === 0)));
  expect(results).toEqual(alone);
});
