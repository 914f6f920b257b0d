/**
 * What an accelerator offers to the runtime: memory, programs, launches. The simulator implements it; silicon would
 * do the same. Launches are ordered; `wait` resolves when all have finished.
 */
import type { Program } from "../isa/program.js";
import { requireSafe } from "../isa/verify.js";
import type { LaunchResult } from "../sim/engine.js";
import { deviceBytes, type Engine, type PreparedProgram } from "../sim/engine.js";

export interface Device {
  readonly name: string;
  /** A region of device memory of its own. Throws L0402 where there is not enough. */
  allocate(sizeBytes: number): DeviceRegion;
  wait(): Promise<void>;
}

/** Memory of one loaded executable with its programs. Offsets are bytes from the region's start. */
export interface DeviceRegion {
  readonly sizeBytes: number;
  write(offsetBytes: number, bytes: Uint8Array): void;
  /** A view, valid until the next call on the region. */
  read(offsetBytes: number, lengthBytes: number): Uint8Array;
  /** Throws L0501 for a program that is not safe to run. */
  load(program: Program): LoadedProgram;
  /** No program of the region is launched any more; what its memory holds can still be read. */
  release(): void;
}

export interface LoadedProgram {
  launch(bindingOffsetsBytes: readonly number[], scalars: Int32Array): LaunchResult;
}

/** A simulated device that runs programs on the given engine. */
export function createSimulatedDevice(engine: Engine): Device {
  return {
    name: `simulator (${engine.name})`,
    allocate: (sizeBytes) => {
      const memory = engine.allocate(Math.max(sizeBytes, 1));
      return {
        sizeBytes,
        write: (offset, bytes) => deviceBytes(memory).set(bytes, offset),
        read: (offset, length) => deviceBytes(memory).subarray(offset, offset + length),
        load: (program) => {
          requireSafe(program);
          const prepared: PreparedProgram = engine.prepare(program);
          return {
            launch: (offsets, scalars) =>
              prepared.run({
                memory,
                bindings: offsets.map((offsetBytes) => ({ offsetBytes })),
                scalars,
              }),
          };
        },
        release: memory.release,
      };
    },
    wait: () => Promise.resolve(),
  };
}
