import { expect, test } from "vitest";
import { compileModel } from "../../src/compiler/compile.js";
import type { Executable } from "../../src/isa/executable.js";
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
  return loaded.run(
    new Map([
      ["x", f32([3], [1, 2, 3])],
      ["c", bool([], [c])],
    ]),
  );
}

test("control flow on the host survives being written and read", () => {
  const executable = compileModel(model, {
    machine: mini,
    machineHash: "mini",
    precision: "fp32",
    dims: new Map(),
  });
  expect(executable.steps.some((step) => step.kind === "host")).toBe(true);
  const copy = readExecutable(writeExecutable(executable));
  for (const c of [true, false]) expect(run(copy, c)).toEqual(run(executable, c));
  expect(run(copy, true)).toEqual(new Map([["y", f32([3], [13, 26, 39])]]));
  expect(writeExecutable(copy)).toEqual(writeExecutable(executable));
});
