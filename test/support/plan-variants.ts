/**
 * One graph compiled in many ways: random plans, fusion on or off, several machines, both engines. No choice may
 * change a bit, so every variant is held against the graph's own meaning (the evaluator on the imported graph).
 */
import { isDeepStrictEqual } from "node:util";
import { compileGraph, type Stage } from "../../src/compiler/compile.js";
import { bestPlan, type PlanChooser } from "../../src/compiler/4-tile/plan-choice.js";
import { everyTiledStep } from "../../src/compiler/tiled.js";
import type { Graph } from "../../src/ir/graph.js";
import { decodeNumbers } from "../../src/numerics/convert.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { isTensor } from "../../src/ops/context.js";
import { evaluateHostGraph } from "../../src/ops/evaluate-node.js";
import type { HostValue } from "../../src/ops/record.js";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { type LoadedExecutable, loadExecutable } from "../../src/runtime/walk.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { mini, mini32 } from "../../src/target/machines/mini.js";
import { pf1 } from "../../src/target/machines/pf1.js";
import { Random } from "./random.js";
import { watchedPool } from "./threaded.js";

export const pool = watchedPool(3);
export const engines = {
  reference: createReferenceEngine(),
  jit: createJitEngine(),
  /** The JIT on three threads, which share even the shortest launches. */
  threads: createJitEngine({ pool, sharedWorkMin: 0 }),
};
const machines = { mini, mini32, pf1 };

export interface Variant {
  readonly machine: keyof typeof machines;
  readonly engine: keyof typeof engines;
  readonly fuse: boolean;
  /** Seed of the plans; undefined: the ones that the compiler prefers. */
  readonly plans: number | undefined;
}

/** Every pair of machine and engine occurs, with plans of the compiler's choice and random ones. */
export function variantsOf(seed: number): Variant[] {
  return [
    { machine: "mini", engine: "jit", fuse: true, plans: undefined },
    { machine: "pf1", engine: "jit", fuse: true, plans: undefined },
    { machine: "mini32", engine: "reference", fuse: true, plans: seed },
    { machine: "mini", engine: "reference", fuse: false, plans: seed + 1 },
    { machine: "pf1", engine: "reference", fuse: true, plans: seed + 2 },
    { machine: "mini32", engine: "jit", fuse: false, plans: seed + 3 },
    { machine: "mini", engine: "jit", fuse: true, plans: seed + 4 },
  ];
}

/** With threads, with plans of the compiler's choice and random ones. */
export function threadVariantsOf(seed: number): Variant[] {
  return [
    { machine: "pf1", engine: "threads", fuse: true, plans: undefined },
    { machine: "mini", engine: "threads", fuse: false, plans: seed },
  ];
}

/** The outputs in which the variant differs from the graph's meaning, in words; `met` gets the plans' texts. */
export async function differences(
  graph: Graph,
  inputs: ReadonlyMap<string, Tensor>,
  variant: Variant,
  expected = expectedOutputs(graph, inputs),
  met = new Set<string>(),
): Promise<string[]> {
  const executable = compileGraph(graph, {
    machine: machines[variant.machine],
    machineHash: "",
    precision: "fp32",
    fuse: variant.fuse,
    chooser: variant.plans === undefined ? bestPlan : randomPlans(variant.plans),
    observe: (stage) => plansOf(stage).forEach((plan) => met.add(plan)),
  });
  const device = createSimulatedDevice(engines[variant.engine]);
  const loaded = loadExecutable(executable, device);
  if (variant.engine === "threads") await startThreads(loaded, inputs);
  const outputs = await loaded.run(inputs);
  await loaded.release();
  return graph.outputs.flatMap(({ name }, i) => {
    const difference = differenceOf(outputs.get(name)!, expected[i]!);
    return difference === undefined ? [] : [`${name}: ${difference}`];
  });
}

/** The first run that threads can share starts them; they take part once they have got so far. */
async function startThreads(
  loaded: LoadedExecutable,
  inputs: ReadonlyMap<string, Tensor>,
): Promise<void> {
  await loaded.run(inputs);
  const before = pool.taken();
  for (let tries = 0; tries < 100 && pool.taken() === before; tries++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    await loaded.run(inputs);
  }
}

/** The plans of all launches, once they are chosen. */
export function plansOf(stage: Stage): string[] {
  if (stage.name !== "tile" || stage.kind !== "tiled") return [];
  const steps = everyTiledStep(stage.tiled.steps);
  return steps.flatMap((step) => (step.kind === "launch" ? [step.plan] : []));
}

export function expectedOutputs(
  graph: Graph,
  inputs: ReadonlyMap<string, Tensor>,
): readonly HostValue[] {
  return evaluateHostGraph(graph, inputs);
}

/** Any plan that fits. */
export function randomPlans(seed: number): PlanChooser {
  const random = new Random(seed);
  return (candidates, cyclesOf) => {
    const left = [...candidates];
    while (left.length > 0) {
      const [plan] = left.splice(random.integer(0, left.length - 1), 1);
      if (Number.isFinite(cyclesOf(plan!))) return plan;
    }
    return undefined;
  };
}

/** NaNs are equal whatever their bits: those are unspecified. Zeros differ by their sign. */
function differenceOf(got: HostValue, want: HostValue): string | undefined {
  if (!isTensor(got) || !isTensor(want)) {
    return isDeepStrictEqual(got, want) ? undefined : "no equal values";
  }
  if (got.dtype !== want.dtype || !isDeepStrictEqual([...got.shape], [...want.shape])) {
    return `${got.dtype}[${got.shape.join(", ")}] for ${want.dtype}[${want.shape.join(", ")}]`;
  }
  const a = decodeNumbers(got.dtype, got.data);
  const b = decodeNumbers(want.dtype, want.data);
  const at = a.findIndex((value, i) => !Object.is(value, b[i]));
  return at < 0 ? undefined : `element ${at} is ${a[at]}, not ${b[at]}`;
}
