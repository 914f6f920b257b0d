/** A value that a kernel reads twice, as it is and moved in a way that no walk follows, is written before. */
import { expect, test } from "vitest";
import { evaluateModel } from "../../src/compiler/1-import/evaluate-model.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { createModelRunner } from "../../src/runtime/model-runner.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { mini } from "../../src/target/machines/mini.js";
import { numbers } from "../support/data-dependent.js";
import { i64, node, onnxModel } from "../support/onnx-builder.js";

test("the difference of a mask and the mask one row on", async () => {
  const model = onnxModel({
    inputs: { a: "f32[6, 1]", b: "f32[1, 9]" },
    initializers: {
      shape: i64([3], [1, 6, 9]),
      pads: i64([6], [0, 1, 0, 0, 0, 0]),
      start: i64([1], [0]),
      end: i64([1], [-1]),
      axis: i64([1], [1]),
    },
    nodes: [
      node("Less", ["b", "a"], ["isLess"]),
      node("Cast", ["isLess"], ["mask"], { to: 1 }),
      node("Reshape", ["mask", "shape"], ["rows"]),
      node("Pad", ["rows", "pads"], ["padded"]),
      node("Slice", ["padded", "start", "end", "axis"], ["before"]),
      node("Sub", ["rows", "before"], ["y"]),
    ],
    outputs: { y: "f32[1, 6, 9]" },
  });
  const inputs = new Map([
    ["a", numbers(1, 6, 1)],
    ["b", numbers(2, 1, 9)],
  ]);
  const runner = createModelRunner({
    model,
    machine: mini,
    precision: "fp32",
    dims: new Map(),
    device: createSimulatedDevice(createReferenceEngine()),
  });
  const { outputs, ranOn } = await runner.run(inputs);
  expect(ranOn).toBe("accelerator");
  expect(outputs).toEqual(evaluateModel(model, inputs));
});
