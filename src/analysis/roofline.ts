/**
 * What a machine could do at best: peak rates per cycle of the whole device, the least time that work takes at them, and
 * the ceiling that memory sets for a given arithmetic intensity. An operation is a multiply-accumulate counted
 * twice, or a lane operation.
 */
import { type Tally } from "../sim/timing/tally.js";
import { type DeviceMachine, type TensorType, tileCount } from "../target/machine.js";

/** Types of multiply-accumulates, and where they are counted. */
export const macTypes = [
  ["f32", "macsF32"],
  ["f16", "macsF16"],
  ["bf16", "macsBf16"],
  ["f8", "macsF8"],
  ["i8", "macsI8"],
] as const satisfies readonly (readonly [TensorType, keyof Tally])[];

/** Per cycle. */
export interface Peak {
  readonly macs: { readonly [T in TensorType]: number };
  readonly laneOperations: number;
  readonly memoryBytes: number;
}

function peakOf(machine: DeviceMachine): Peak {
  const { tensor, vector, hbm, clock } = machine;
  const tiles = tileCount(machine);
  const macs = (type: TensorType) => tiles * tensor.rows * tensor.columns * tensor.rate[type];
  return {
    macs: {
      f32: macs("f32"),
      f16: macs("f16"),
      bf16: macs("bf16"),
      f8: macs("f8"),
      i8: macs("i8"),
    },
    laneOperations: (tiles * vector.lanes) / vector.simpleCycles,
    memoryBytes: hbm.bytesPerSecond / clock.frequencyHz,
  };
}

/** Cycles that each resource needs at least, were it alone and never idle. */
export interface LeastCycles {
  readonly tensor: number;
  readonly vector: number;
  readonly memory: number;
}

export function leastCycles(tally: Tally, machine: DeviceMachine): LeastCycles {
  const peak = peakOf(machine);
  const { vector } = machine;
  const slowdown = vector.transcendentalCycles / vector.simpleCycles;
  return {
    tensor: macTypes.reduce((sum, [type, field]) => sum + tally[field] / peak.macs[type], 0),
    vector: (tally.laneOperations + tally.transcendentals * slowdown) / peak.laneOperations,
    memory: (tally.loadedBytes + tally.storedBytes) / peak.memoryBytes,
  };
}

export interface Roofline {
  readonly operations: number;
  /** Operations per byte of memory moved; undefined where none is. */
  readonly intensity: number | undefined;
  /** Operations per cycle: what was reached, and what the slower of engines and memory allows. */
  readonly reached: number;
  readonly ceiling: number;
  readonly limit: "tensor" | "vector" | "memory";
  /** reached / ceiling. */
  readonly efficiency: number;
}

export function rooflineOf(tally: Tally, cycles: number, machine: DeviceMachine): Roofline {
  const least = leastCycles(tally, machine);
  const macs = macTypes.reduce((sum, [, field]) => sum + tally[field], 0);
  const operations = 2 * macs + tally.laneOperations + tally.transcendentals;
  const bytes = tally.loadedBytes + tally.storedBytes;
  const best = Math.max(least.tensor, least.vector, least.memory);
  const limit = best === least.memory ? "memory" : best === least.tensor ? "tensor" : "vector";
  return {
    operations,
    intensity: bytes === 0 ? undefined : operations / bytes,
    reached: cycles === 0 ? 0 : operations / cycles,
    ceiling: best === 0 ? 0 : operations / best,
    limit,
    efficiency: cycles === 0 ? 0 : best / cycles,
  };
}
