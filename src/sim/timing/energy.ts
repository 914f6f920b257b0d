/** Energy of what was counted, and of the time that it took. */
import type { DeviceMachine } from "../../target/machine.js";
import type { Tally } from "./tally.js";

/** In picojoules. */
export interface Energy {
  readonly tensor: number;
  readonly vector: number;
  readonly l1: number;
  readonly accumulators: number;
  readonly network: number;
  readonly hbm: number;
  /** What the device draws while it does nothing, over the time. */
  readonly idle: number;
}

export function energyOf(tally: Tally, cycles: number, { energy, clock }: DeviceMachine): Energy {
  const mac = energy.macPicojoules;
  return {
    tensor:
      tally.macsF32 * mac.f32 +
      tally.macsF16 * mac.f16 +
      tally.macsBf16 * mac.bf16 +
      tally.macsF8 * mac.f8 +
      tally.macsI8 * mac.i8,
    vector:
      tally.laneOperations * energy.laneOperationPicojoules +
      tally.transcendentals * energy.transcendentalPicojoules,
    l1: 8 * (tally.l1ReadBytes + tally.l1WriteBytes) * energy.l1PicojoulesPerBit,
    accumulators:
      8 *
      (tally.accumulatorReadBytes + tally.accumulatorWriteBytes) *
      energy.accumulatorPicojoulesPerBit,
    network: 8 * tally.linkBytes * energy.hopPicojoulesPerBit,
    hbm: 8 * (tally.readAccessBytes + tally.writeAccessBytes) * energy.hbmPicojoulesPerBit,
    idle: energy.idleWatts * 1e12 * (cycles / clock.frequencyHz),
  };
}

export function sumEnergies(energies: Iterable<Energy>): Energy {
  const sum = { tensor: 0, vector: 0, l1: 0, accumulators: 0, network: 0, hbm: 0, idle: 0 };
  for (const energy of energies) {
    for (const part of energyParts) sum[part] += energy[part];
  }
  return sum;
}

export const energyParts = [
  "tensor",
  "vector",
  "l1",
  "accumulators",
  "network",
  "hbm",
  "idle",
] as const satisfies readonly (keyof Energy)[];

export function totalEnergy(energy: Energy): number {
  return energyParts.reduce((sum, part) => sum + energy[part], 0);
}
