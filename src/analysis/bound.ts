/** What a kernel's time is spent on: the part of the machine that is busiest, unless none of them is. */
import type { KernelTiming } from "../sim/timing/timing.js";
import type { DeviceMachine } from "../target/machine.js";

export interface Bound {
  readonly by: BoundBy;
  /** How much of the kernel's time that part works. */
  readonly fraction: number;
}

/**
 * tensor, vector: the engine of the busiest member. read, write: the device's memory. channel: one load or store
 * channel, while memory could give more. latency: nothing is busy enough; engines wait for one another and for
 * first bytes. launch: the launch takes longer than the kernel.
 */
export type BoundBy = "tensor" | "vector" | "read" | "write" | "channel" | "latency" | "launch";

/** Below it, waiting outweighs the busiest part. */
const busyFractionMin = 0.5;

export function boundOf(kernel: KernelTiming, launchCycles: number, machine: DeviceMachine): Bound {
  const { cycles, engines, tally } = kernel;
  if (launchCycles > cycles) {
    return { by: "launch", fraction: launchCycles / (launchCycles + cycles) };
  }
  const fractions: Bound[] = engines.map(({ engine, busiest }) => ({
    by: engine.engine === "tensor" || engine.engine === "vector" ? engine.engine : "channel",
    fraction: busiest.moving / cycles,
  }));
  const memoryCycles = (bytes: number) =>
    (bytes * machine.clock.frequencyHz) / machine.hbm.bytesPerSecond;
  const { readBandwidthBytes, writeBandwidthBytes } = tally;
  // Both directions share the memory: it is the heavier one that is said to bound.
  const memory: Bound = {
    by: readBandwidthBytes >= writeBandwidthBytes ? "read" : "write",
    fraction: memoryCycles(readBandwidthBytes + writeBandwidthBytes) / cycles,
  };
  fractions.push(memory);
  const engine = fractions.reduce((a, b) => (b.fraction > a.fraction ? b : a));
  // A channel that waits for the memory's bandwidth is not what bounds.
  const isMemory = engine.by === "channel" && memory.fraction >= busyFractionMin;
  const busiest = isMemory ? memory : engine;
  if (busiest.fraction < busyFractionMin) return { by: "latency", fraction: busiest.fraction };
  return busiest;
}
