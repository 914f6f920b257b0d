/** What only the host has (strings, sequences, optionals) passes between regions, callers and the device. */
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import type { Model } from "../../src/onnx/model.js";
import type { HostValue } from "../../src/ops/record.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { hostRuntimeChoices } from "../../src/runtime/host-runtime.js";
import { createModelRunner } from "../../src/runtime/model-runner.js";
import { onnxRuntimeHost } from "../../src/runtime/node/onnxruntime-host.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { mini } from "../../src/target/machines/mini.js";
import { f32, node, onnxModel } from "../support/onnx-builder.js";

const strings = (...data: string[]): Tensor => ({ dtype: "string", shape: [data.length], data });
const int64 = (...values: number[]): Tensor => {
  return { dtype: "i64", shape: [values.length], data: BigInt64Array.from(values, BigInt) };
};

interface Case {
  readonly name: string;
  readonly model: Model;
  readonly inputs: Readonly<Record<string, HostValue>>;
  readonly outputs: Readonly<Record<string, HostValue>>;
}

const cases: readonly Case[] = [
  {
    name: "strings, past a model that computes",
    model: onnxModel({
      inputs: { text: "string[2]", x: "f32[3]" },
      nodes: [
        node("StringConcat", ["text", "text"], ["twice"]),
        node("Neg", ["x"], ["y"]),
        node("Identity", ["twice"], ["again"]),
      ],
      outputs: { again: "string[2]", y: "f32[3]", text: "string[2]" },
    }),
    inputs: { text: strings("a", "é"), x: f32([3], [1, 2, 3]) },
    outputs: {
      again: strings("aa", "éé"),
      y: f32([3], [-1, -2, -3]),
      text: strings("a", "é"),
    },
  },
  {
    name: "a sequence that the device's results make, and one of them comes back",
    model: onnxModel({
      inputs: { x: "f32[3]" },
      nodes: [
        node("Neg", ["x"], ["y"]),
        node("SequenceConstruct", ["x", "y"], ["all"]),
        node("SequenceAt", ["all", "last"], ["picked"]),
        node("Abs", ["picked"], ["z"]),
        node("SequenceLength", ["all"], ["count"]),
      ],
      initializers: { last: { dtype: "i64", shape: [], data: BigInt64Array.of(-1n) } },
      outputs: { z: "f32[3]", count: "i64[]" },
    }),
    inputs: { x: f32([3], [1, -2, 3]) },
    outputs: {
      z: f32([3], [1, 2, 3]),
      count: { dtype: "i64", shape: [], data: BigInt64Array.of(2n) },
    },
  },
  {
    name: "tokens to numbers, which the device uses as indices",
    model: onnxModel({
      opset: { "": 21, "ai.onnx.ml": 4 },
      inputs: { words: "string[3]" },
      nodes: [
        node("ai.onnx.ml::LabelEncoder", ["words"], ["ids"], {
          keys_strings: ["one", "two"],
          values_int64s: [1n, 2n],
          default_int64: 0n,
        }),
        node("Gather", ["table", "ids"], ["rows"]),
        node("Neg", ["rows"], ["y"]),
      ],
      initializers: { table: f32([3, 2], [5, 1, 10, 11, 20, 21]) },
      outputs: { y: "f32[3, 2]", ids: "i64[3]" },
    }),
    inputs: { words: strings("two", "none", "one") },
    outputs: { y: f32([3, 2], [-20, -21, -5, -1, -10, -11]), ids: int64(2, 0, 1) },
  },
];

describe.each(hostRuntimeChoices)("host runtime %s", (choice) => {
  test.each(cases.map((one) => [one.name, one] as const))("%s", async (_, one) => {
    const runner = createModelRunner({
      model: one.model,
      machine: mini,
      precision: "fp32",
      dims: new Map(),
      device: createSimulatedDevice(createReferenceEngine()),
      host: { choice, load: onnxRuntimeHost },
    });
    const { outputs, hostRegions } = await runner.run(new Map(Object.entries(one.inputs)));
    expect(Object.fromEntries(outputs)).toEqual(one.outputs);
    expect(hostRegions.length).toBeGreaterThan(0);
    if (choice === "reference")
      expect(hostRegions.every(({ by }) => by === "reference")).toBe(true);
    await runner.release();
  });
});

test("sequences and optionals are inputs and outputs", async () => {
  const model = onnxModel({
    inputs: { items: "seq(f32[2])", maybe: "opt(f32[2])", x: "f32[2]" },
    nodes: [
      node("SequenceInsert", ["items", "x"], ["longer"]),
      node("OptionalHasElement", ["maybe"], ["there"]),
    ],
    outputs: { longer: "seq(f32[2])", there: "bool[]", items: "seq(f32[2])" },
  });
  const items: HostValue = { kind: "sequence", elementType: "f32", items: [f32([2], [1, 2])] };
  const runner = createModelRunner({
    model,
    machine: mini,
    precision: "fp32",
    dims: new Map(),
    device: createSimulatedDevice(createReferenceEngine()),
    host: { choice: "onnxruntime", load: onnxRuntimeHost },
  });
  const inputs = new Map<string, HostValue>([
    ["items", items],
    ["maybe", { kind: "optional", item: undefined }],
    ["x", f32([2], [3, 4])],
  ]);
  const { outputs, hostRegions } = await runner.run(inputs);
  expect(outputs.get("longer")).toMatchObject({
    kind: "sequence",
    items: [f32([2], [1, 2]), f32([2], [3, 4])],
  });
  expect(outputs.get("items")).toEqual(items);
  expect((outputs.get("there") as Tensor).data).toEqual(Uint8Array.of(0));
  expect(hostRegions.map(({ by }) => by)).toEqual(hostRegions.map(() => "reference"));
});
