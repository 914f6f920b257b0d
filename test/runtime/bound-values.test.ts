/** Inputs that decide shapes: programs made for their values, a few of them, and never for others. */
import { describe, expect, test } from "vitest";
import type { DType } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { readExecutable, writeExecutable } from "../../src/runtime/executable-file.js";
import { createModelRunner, type RanOn } from "../../src/runtime/model-runner.js";
import { loadExecutable } from "../../src/runtime/walk.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { mini } from "../../src/target/machines/mini.js";
import { type GraphInit, graphProto, node, onnxModel } from "../support/onnx-builder.js";

const model = onnxModel({
  inputs: { x: "f32[2, 6]", shape: "i64[2]" },
  nodes: [
    node("Add", ["shape", "zero"], ["sum"]),
    node("Reshape", ["x", "sum"], ["r"]),
    node("Exp", ["r"], ["y"]),
  ],
  initializers: { zero: { dtype: "i64", shape: [1], data: BigInt64Array.of(0n) } },
  outputs: { y: "f32[A, B]" },
});

const x: Tensor = {
  dtype: "f32",
  shape: [2, 6],
  data: Float32Array.from({ length: 12 }, (_, i) => i / 4),
};
const device = createSimulatedDevice(createReferenceEngine());

function shapeInput(...sizes: readonly bigint[]): Tensor {
  return { dtype: "i64", shape: [sizes.length], data: BigInt64Array.from(sizes) };
}

function runner() {
  return createModelRunner({ model, machine: mini, precision: "fp32", dims: new Map(), device });
}

function given(shape: Tensor): ReadonlyMap<string, Tensor> {
  return new Map([
    ["x", x],
    ["shape", shape],
  ]);
}

describe("an input that decides which branch fits the shapes", () => {
  /** Halves of six columns, or quarters of eight. */
  const branches = onnxModel({
    inputs: { x: "f32[2, n]", rate: "i64[]" },
    nodes: [
      node("Equal", ["rate", "six"], ["isSix"]),
      node("If", ["isSix"], ["y"], {
        then_branch: { graph: graphProto(columns("a")) },
        else_branch: { graph: graphProto(columns("b")) },
      }),
    ],
    initializers: {
      six: { dtype: "i64", shape: [], data: BigInt64Array.of(6n) },
      a: { dtype: "f32", shape: [6, 3], data: new Float32Array(18).fill(0.5) },
      b: { dtype: "f32", shape: [8, 2], data: new Float32Array(16).fill(0.25) },
    },
    outputs: { y: "f32[2, m]" },
  });

  function columns(weight: string): GraphInit {
    return { nodes: [node("MatMul", ["x", weight], ["r"])], outputs: { r: "f32[2, k]" } };
  }

  test("is taken for a constant, and the other branch for none", async () => {
    const options = { machine: mini, precision: "fp32", dims: new Map(), device } as const;
    const session = createModelRunner({ model: branches, ...options });
    for (const [rate, width] of [
      [6, 3],
      [8, 2],
    ] as const) {
      const data = new Float32Array(2 * rate).fill(1);
      const { outputs, ranOn, parts } = await session.run(
        new Map<string, Tensor>([
          ["x", { dtype: "f32", shape: [2, rate], data }],
          ["rate", { dtype: "i64", shape: [], data: BigInt64Array.of(BigInt(rate)) }],
        ]),
      );
      expect(ranOn).toBe("accelerator");
      expect(outputs.get("y")).toMatchObject({ shape: [2, width] });
      const { boundInputs, steps } = parts[0]!.executable;
      expect(boundInputs.map(({ name }) => name)).toEqual(["rate"]);
      expect(steps.map(({ kind }) => kind)).not.toContain("if");
    }
  });
});

describe("an input that decides a shape", () => {
  test("is taken for a constant, though it is computed with", async () => {
    const { outputs, ranOn, parts } = await runner().run(given(shapeInput(3n, 4n)));
    expect(ranOn).toBe("accelerator");
    expect((outputs.get("y") as Tensor).shape).toEqual([3, 4]);
    const records = parts[0]!.executable.records.filter(({ what }) => what === "bound-input");
    expect(records.map(({ why }) => why.split(":")[0])).toEqual(["shape = [3, 4]"]);
  });

  test("gets another program for another value, and the first one again", async () => {
    const session = runner();
    for (const rows of [3n, 4n, 3n]) {
      const { outputs } = await session.run(given(shapeInput(rows, -1n)));
      expect((outputs.get("y") as Tensor).shape[0]).toBe(Number(rows));
    }
    expect(session.stats.programs).toBe(2);
  });

  test("is data after a few values, and what needs it runs on the host", async () => {
    const session = runner();
    const places: RanOn[] = [];
    for (const rows of [1n, 2n, 3n, 4n, 6n, 12n]) {
      const { outputs, ranOn } = await session.run(given(shapeInput(rows, -1n)));
      expect((outputs.get("y") as Tensor).shape[0]).toBe(Number(rows));
      places.push(ranOn);
    }
    expect(places).toEqual([
      "accelerator",
      "accelerator",
      "accelerator",
      "mixed",
      "mixed",
      "mixed",
    ]);
    expect(session.stats.programs).toBe(4);
  });

  test("may be written to by its owner after the run", async () => {
    const session = runner();
    const shape = shapeInput(3n, 4n);
    await session.run(given(shape));
    (shape.data as BigInt64Array).set([4n, 3n]);
    const { outputs } = await session.run(given(shape));
    expect((outputs.get("y") as Tensor).shape).toEqual([4, 3]);
  });

  test("is written with the program, which takes no other value", async () => {
    const { parts } = await runner().run(given(shapeInput(3n, 4n)));
    const loaded = loadExecutable(readExecutable(writeExecutable(parts[0]!.executable)), device);
    const outputs = await loaded.run(given(shapeInput(3n, 4n)));
    expect((outputs.get("y") as Tensor).shape).toEqual([3, 4]);
    await expect(loaded.run(given(shapeInput(4n, 3n)))).rejects.toThrow(
      'L0602: the program was made for other values of "shape"',
    );
  });
});

describe("an input of data", () => {
  const kinds: readonly DType[] = ["f32", "i32"];
  test.each(kinds)("is no part of the program: %s", async (dtype) => {
    const sum = onnxModel({
      inputs: { x: `${dtype}[2]` },
      nodes: [node("Add", ["x", "x"], ["y"])],
      outputs: { y: `${dtype}[2]` },
    });
    const session = createModelRunner({
      model: sum,
      machine: mini,
      precision: "fp32",
      dims: new Map(),
      device,
    });
    const data = dtype === "f32" ? Float32Array.of(1, 2) : Int32Array.of(1, 2);
    const { parts } = await session.run(new Map([["x", { dtype, shape: [2], data }]]));
    expect(parts[0]!.executable.boundInputs).toEqual([]);
  });
});
