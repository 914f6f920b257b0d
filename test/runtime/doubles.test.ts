/** Models in doubles: on the host, or where it is asked for in fp32 on the device. */
import * as ort from "onnxruntime-node";
import { describe, expect, test } from "vitest";
import { decodeModel } from "../../src/onnx/model.js";
import { numbers } from "../ops/against-onnxruntime.js";
import { createModelRunner } from "../../src/runtime/model-runner.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { findDevice } from "../../src/target/machines.js";
import type { Float64 } from "../../src/compiler/pipeline.js";

import { graphProto, type ModelInit, node, onnxFile } from "../support/onnx-builder.js";

const f64 = (shape: readonly number[], seed: number) => numbers("f64", shape, [-2, 2], seed);

interface DoubleModel {
  readonly about: string;
  readonly model: ModelInit;
  readonly x: readonly number[];
}

const body = {
  inputs: { i: "i64[]", c: "bool[]", s: "f64[4]" },
  nodes: [
    node("Identity", ["c"], ["go"]),
    node("Mul", ["s", "half"], ["m"]),
    node("Add", ["m", "half"], ["next"]),
  ],
  outputs: { go: "bool[]", next: "f64[4]" },
};

const models: readonly DoubleModel[] = [
  {
    about: "a layer with a softmax",
    x: [3, 8],
    model: {
      inputs: { x: "f64[N, 8]" },
      initializers: { w: f64([8, 5], 2), b: f64([5], 3) },
      nodes: [
        node("Gemm", ["x", "w", "b"], ["h"]),
        node("Softmax", ["h"], ["p"], { axis: 1 }),
        node("ReduceMean", ["p"], ["m"], { axes: [1], keepdims: 1 }),
        node("Sub", ["p", "m"], ["y"]),
      ],
      outputs: { y: "f64[N, 5]" },
      opset: 17,
    },
  },
  {
    about: "conversions, comparisons, padding",
    x: [3, 8],
    model: {
      inputs: { x: "f64[3, 8]" },
      initializers: { tenth: f64([1], 4) },
      nodes: [
        node("Cast", ["x"], ["narrow"], { to: 1 }),
        node("Exp", ["narrow"], ["e"]),
        node("Cast", ["e"], ["wide"], { to: 11 }),
        node("Less", ["x", "tenth"], ["m"]),
        node("Where", ["m", "wide", "x"], ["y"]),
      ],
      outputs: { y: "f64[3, 8]" },
      opset: 17,
    },
  },
  {
    about: "a loop",
    x: [4],
    model: {
      inputs: { x: "f64[4]" },
      initializers: {
        trips: { dtype: "i64", shape: [], data: BigInt64Array.of(5n) },
        half: { dtype: "f64", shape: [1], data: Float64Array.of(0.55) },
      },
      nodes: [node("Loop", ["trips", "", "x"], ["y"], { body: { graph: graphProto(body) } })],
      outputs: { y: "f64[4]" },
      opset: 17,
    },
  },
];

async function run({ model, x }: DoubleModel, float64: Float64) {
  const runner = createModelRunner({
    model: decodeModel(onnxFile(model)),
    machine: findDevice("mini"),
    precision: "fp32",
    float64,
    dims: new Map(),
    device: createSimulatedDevice(createReferenceEngine()),
  });
  const { outputs, ranOn, parts } = await runner.run(new Map([["x", f64(x, 1)]]));
  await runner.release();
  const records = parts.flatMap(({ executable }) => executable.records);
  return { y: outputs.get("y")!, ranOn, records };
}

describe.each(models.map((m) => [m.about, m] as const))("%s", (_, given) => {
  test("is computed on the device in fp32 where that is asked for", async () => {
    const session = await ort.InferenceSession.create(onnxFile(given.model));
    const x = f64(given.x, 1);
    const fed = new ort.Tensor("float64", x.data as Float64Array, x.shape);
    const wanted = (await session.run({ x: fed }))["y"]!.data as Float64Array;
    const { y, ranOn, records } = await run(given, "fp32");
    expect(ranOn).toBe("accelerator");
    expect(records.map(({ why }) => why)).toContain("doubles are computed in fp32, as asked");
    expect(y).toMatchObject({ dtype: "f64" });
    const { data } = y as { data: Float64Array };
    expect(data.length).toBe(wanted.length);
    for (const [i, value] of wanted.entries())
      expect(Math.abs(data[i]! - value)).toBeLessThan(2e-6);
    expect([...data]).not.toEqual([...wanted]);
  });

  test("is computed by the host else, to the last bit of a double", async () => {
    const { ranOn, records } = await run(given, "host");
    expect(ranOn).not.toBe("accelerator");
    expect(records.map(({ what }) => what)).not.toContain("precision");
  });
});
