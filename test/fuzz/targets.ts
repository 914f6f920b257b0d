/** What a case runs on: both machines, with engines by turns, so that many cases see every pair of them. */
import { everyStep, type Executable } from "../../src/isa/executable.js";
import { createSimulatedDevice, type Device } from "../../src/runtime/device.js";
import { createWorkerPool } from "../../src/runtime/node/worker-pool.js";
import type { Engine } from "../../src/sim/engine.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import type { DeviceMachine } from "../../src/target/machine.js";
import { mini } from "../../src/target/machines/mini.js";
import { pf1 } from "../../src/target/machines/pf1.js";

export interface Target {
  readonly machine: DeviceMachine;
  readonly device: Device;
}

/** Every launch is shared, however small. */
const threaded = (): Engine => createJitEngine({ pool: createWorkerPool(2), sharedWorkMin: 0 });

/** On `mini`, then on `pf1`. */
const turns: readonly (readonly [() => Engine, () => Engine])[] = [
  [createReferenceEngine, createJitEngine],
  [createJitEngine, createReferenceEngine],
  [createReferenceEngine, createJitEngine],
  [createJitEngine, threaded],
];

/** Work from which on the reference simulator takes too long. */
const referenceWorkMax = 5e4;

/** Engines are new: programs of earlier cases are worth nothing to this one, and their code would pile up. */
export function targetsFor(number: number, work: number): readonly Target[] {
  const engines = turns[number % turns.length]!;
  return [mini, pf1].map((machine, i) => {
    const isSlow = engines[i] === createReferenceEngine && work > referenceWorkMax;
    const engine = isSlow ? createJitEngine : engines[i]!;
    return { machine, device: createSimulatedDevice(engine()) };
  });
}

/** Names of the model's nodes of which a part runs on the host. */
export function nodesOnHost(executable: Executable): readonly string[] {
  return everyStep(executable.steps).flatMap((step) =>
    step.kind === "host"
      ? step.graph.nodes.flatMap(({ origins }) => origins.map(({ node }) => node))
      : [],
  );
}
