/**
 * Real models compiled with plans picked at random, fused and not, on both machines: the bits of the plans that
 * the compiler prefers.
 */
import { expect, test } from "vitest";
import { compileModel } from "../../src/compiler/compile.js";
import { bestPlan } from "../../src/compiler/4-tile/plan-choice.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { isTensor } from "../../src/ops/context.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { openFiles } from "../../src/runtime/node/files.js";
import { findTestCases, readTestModel, readTestSet } from "../../src/runtime/test-case.js";
import { loadExecutable } from "../../src/runtime/walk.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { findDevice } from "../../src/target/machines.js";
import { plansOf, randomPlans } from "../support/plan-variants.js";

const source = openFiles("../shared/models");
const device = createSimulatedDevice(createJitEngine());

interface Variant {
  readonly machine: string;
  readonly fuse: boolean;
  readonly seed: number | undefined;
}

const variants: readonly Variant[] = [
  { machine: "mini", fuse: true, seed: undefined },
  { machine: "mini", fuse: true, seed: 1 },
  { machine: "pf1", fuse: false, seed: 2 },
];

test.each(findTestCases(source).map((model) => [model.path, model] as const))(
  "%s",
  async (_, testCase) => {
    const model = readTestModel(source, testCase);
    const { inputs } = readTestSet(source, model, testCase.sets[0]!);
    const shapes = [...inputs].flatMap(([name, value]) =>
      isTensor(value) ? [[name, value.shape] as const] : [],
    );
    const plans = new Set<string>();
    const run = async ({ machine, fuse, seed }: Variant) => {
      const executable = compileModel(model, {
        machine: findDevice(machine),
        machineHash: "",
        precision: "fp32",
        inputShapes: new Map(shapes),
        fuse,
        chooser: seed === undefined ? bestPlan : randomPlans(seed),
        observe: (stage) => plans.add(plansOf(stage).join("\n")),
      });
      const outputs = await loadExecutable(executable, device).run(inputs);
      return [...outputs.values()].map((value) => bytesOf(value as Tensor));
    };
    const preferred = await run({ machine: "pf1", fuse: true, seed: undefined });
    for (const variant of variants) {
      expect(await run(variant), JSON.stringify(variant)).toEqual(preferred);
    }
    // One of each variant, and the stages that have none.
    expect(plans.size).toBe(variants.length + 2);
  },
);

function bytesOf({ data }: Tensor): Uint8Array {
  const { buffer, byteOffset, byteLength } = data as Float32Array;
  return new Uint8Array(buffer, byteOffset, byteLength).slice();
}
