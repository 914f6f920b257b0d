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

/** The condition depends on data; one branch captures a value that is computed before. */
function branching(type: "f32" | "f64") {
  const vector = (values: readonly number[]): Tensor => tensorOf(type, values);
  const typed = `${type}[3]`;
  return onnxModel({
    inputs: { x: typed, c: "bool[]" },
    nodes: [
      node("Mul", ["x", "two"], ["doubled"]),
      node("If", ["c"], ["z"], {
        then_branch: {
          graph: graphProto({
            nodes: [node("Add", ["doubled", "weights"], ["t"])],
            initializers: { weights: vector([10, 20, 30]) },
            outputs: { t: typed },
          }),
        },
        else_branch: {
          graph: graphProto({ nodes: [node("Neg", ["doubled"], ["e"])], outputs: { e: typed } }),
        },
      }),
      node("Add", ["z", "x"], ["y"]),
    ],
    initializers: { two: vector([2]) },
    outputs: { y: typed },
  });
}

function tensorOf(dtype: "f32" | "f64", values: readonly number[]): Tensor {
  const data = dtype === "f32" ? Float32Array.from(values) : Float64Array.from(values);
  return { dtype, shape: [values.length], data };
}

function run(executable: Executable, x: Tensor, c: boolean) {
  const loaded = loadExecutable(executable, createSimulatedDevice(createReferenceEngine()));
  return loaded.run(inputsOf(x, c));
}

function inputsOf(x: Tensor, c: boolean): ReadonlyMap<string, Tensor> {
  return new Map([
    ["x", x],
    ["c", bool([], [c])],
  ]);
}

test.each([
  ["on the device", "f32", "if"],
  ["on the host", "f64", "host"],
] as const)("control flow %s survives being written and read", async (_, type, kind) => {
  const executable = compileModel(branching(type), {
    machine: mini,
    machineHash: "mini",
    precision: "fp32",
    dims: new Map(),
  });
  expect(executable.steps.map((step) => step.kind)).toContain(kind);
  const copy = readExecutable(writeExecutable(executable));
  const x = tensorOf(type, [1, 2, 3]);
  for (const c of [true, false]) {
    expect(await run(copy, x, c)).toEqual(await run(executable, x, c));
  }
  expect(await run(copy, x, true)).toEqual(new Map([["y", tensorOf(type, [13, 26, 39])]]));
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
  const loaded = loadExecutable(compileModel(branching("f32"), options), device);
  const values = [1, 2, 3, 4];
  const results = await Promise.all(
    values.map((v) => loaded.run(inputsOf(f32([3], [v, v, v]), v % 2 === 0))),
  );
  const alone = [];
  for (const v of values) alone.push(await loaded.run(inputsOf(f32([3], [v, v, v]), v % 2 === 0)));
  expect(results).toEqual(alone);
});
