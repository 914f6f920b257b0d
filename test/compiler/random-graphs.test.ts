/**
 * Random graphs compiled, run on the reference simulator and evaluated: the same bits, but for the sign and payload
 * of a NaN. A graph whose symbol a kernel needs as a number is tried with that symbol bound.
 */
import { describe, expect, test } from "vitest";
import { compileGraph } from "../../src/compiler/compile.js";
import { NeedsBinding } from "../../src/ir/dim.js";
import { evaluateGraph } from "../../src/ir/evaluate/evaluate.js";
import { decodeElement, encodeArray } from "../../src/numerics/convert.js";
import { isFloat } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { loadExecutable } from "../../src/runtime/walk.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { mini } from "../../src/target/machines/mini.js";
import {
  defaultRandomGraph,
  randomGraph,
  type RandomGraphOptions,
} from "../support/random-graph.js";

const noHost = () => {
  throw new Error("no host node expected");
};

/** Every NaN the same one. */
function canonical(tensor: Tensor): Tensor {
  const { dtype, shape, data } = tensor;
  if (!isFloat(dtype)) return tensor;
  const values = Array.from(data as ArrayLike<unknown>, (_, i) => decodeElement(dtype, data, i));
  return { dtype, shape, data: encodeArray(dtype, values) };
}

async function check(seed: number, options: RandomGraphOptions): Promise<void> {
  const { graph, inputs } = randomGraph(seed, options);
  let executable: ReturnType<typeof compileGraph>;
  try {
    executable = compileGraph(graph, { machine: mini, machineHash: "mini", precision: "fp32" });
  } catch (error) {
    if (!(error instanceof NeedsBinding) || !options.symbolic) throw error;
    return check(seed, { ...options, symbolic: false });
  }
  const loaded = loadExecutable(executable, createSimulatedDevice(createReferenceEngine()));
  const computed = await loaded.run(inputs);
  for (const [name, expected] of evaluateGraph(graph, inputs, noHost)) {
    expect(canonical(computed.get(name) as Tensor), name).toEqual(canonical(expected as Tensor));
  }
}

describe("floats and device integers", () => {
  const dtypes = ["f32", "f32", "f16", "bf16", "i32", "i8", "u8", "bool"] as const;
  for (let seed = 2000; seed < 2060; seed++) {
    test(`seed ${seed}`, async () => {
      await check(seed, { ...defaultRandomGraph, dtypes, steps: 6, empty: false });
    });
  }
});

describe("integers that are narrowed or left to the host", () => {
  const dtypes = ["f32", "i64", "i64", "u32", "i16", "u64", "bool"] as const;
  for (let seed = 0; seed < 60; seed++) {
    test(`seed ${seed}`, async () => {
      await check(seed, { ...defaultRandomGraph, dtypes, steps: 6 });
    });
  }
});
