/**
 * The fast functional simulator: programs as WebAssembly. What is prepared before the first launch is compiled
 * together (batch.ts), without the kernels that an earlier program has used. Equal programs share everything.
 */
import type { Program } from "../../isa/program.js";
import { createDeviceMemory, type Engine, type PreparedProgram } from "../engine.js";
import { type Batch, compileBatch, createBatch } from "./batch.js";
import { addControl } from "./control.js";
import type { Kernel } from "./kernels.js";
import { programKey } from "./keys.js";
import { launchProgram, sharingOf } from "./launch.js";
import { createThreads, type Threads, type WorkerPool } from "./threads/threads.js";
import { sharedWorkMin } from "./threads/work.js";

export interface JitOptions {
  /**
   * Runs `compile`, which compiles kernels, such that they are compiled by the optimising compiler and at once; how
   * to ask for that is up to the host. Without it they start in the baseline compiler's code.
   */
  readonly optimised?: <T>(compile: () => T) => T;
  /** Threads that share the members of a launch. Without it: one thread, and memory that is not shared. */
  readonly pool?: WorkerPool;
  /** The work from which on a launch is shared (threads/work.ts). Default: what has been found to pay off. */
  readonly sharedWorkMin?: number;
}

export function createJitEngine(options: JitOptions = {}): Engine {
  const prepared = new Map<string, PreparedProgram>();
  const kernels = new Map<string, PlacedKernel>();
  const threads = options.pool && createThreads(options.pool);
  const isShared = threads !== undefined;
  let batch = createBatch(isShared);
  const link = (unfinished: Batch): void => {
    if (batch === unfinished) batch = createBatch(isShared);
    compileBatch(unfinished, options.optimised ?? ((compile) => compile()));
  };
  const workMin = options.sharedWorkMin ?? sharedWorkMin;
  return {
    name: "jit",
    allocate: (sizeBytes) =>
      createDeviceMemory(sizeBytes, {
        isShared,
        ...(threads === undefined ? {} : { onRelease: threads.release }),
      }),
    prepare(program) {
      const key = programKey(program);
      let known = prepared.get(key);
      if (known === undefined) {
        known = prepareProgram(program, { batch, kernels, link, threads, workMin });
        prepared.set(key, known);
      }
      return known;
    },
  };
}

/** A kernel's name is unique in its engine. */
interface PlacedKernel {
  readonly batch: Batch;
  readonly name: string;
}

interface Preparation {
  readonly batch: Batch;
  readonly kernels: Map<string, PlacedKernel>;
  readonly link: (batch: Batch) => void;
  readonly threads: Threads | undefined;
  readonly workMin: number;
}

function prepareProgram(
  program: Program,
  { batch, kernels, link, threads, workMin }: Preparation,
): PreparedProgram {
  const nameOf = (kernel: Kernel): string => {
    let placed = kernels.get(kernel.key);
    if (placed === undefined) {
      placed = { batch, name: `k${kernels.size}` };
      kernel.add(batch.kernels, placed.name);
      kernels.set(kernel.key, placed);
    }
    batch.uses.add(placed.batch);
    return placed.name;
  };
  const number = batch.programs++;
  const code = addControl(batch.control, program, `p${number}`, nameOf);
  const shared = sharingOf(program, code, threads, workMin);
  const compiled = { program, code, batch, number, ...(shared === undefined ? {} : { shared }) };
  return {
    run(launch) {
      if (batch.modules === undefined) link(batch);
      return launchProgram(compiled, launch);
    },
  };
}
