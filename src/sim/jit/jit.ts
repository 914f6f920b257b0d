/**
 * The fast functional simulator: programs as WebAssembly. What is prepared before the first launch is compiled
 * together, because a module costs more than a function: one module of control code, a function per program, and one of
 * the kernels that no earlier program has used. Equal programs share everything.
 */
import type { Program } from "../../isa/program.js";
import { InternalError } from "../../support/diagnostic.js";
import type {
  DeviceMemory,
  Engine,
  Fault,
  Launch,
  LaunchResult,
  PreparedProgram,
} from "../engine.js";
import { addControl, type ControlCode } from "./control.js";
import type { Kernel } from "./kernels.js";
import { ModuleBuilder } from "./wasm/module.js";
import { programKey } from "./keys.js";

export interface JitOptions {
  /**
   * Runs `compile`, which compiles kernels, such that they are compiled by the optimising compiler and at once; how
   * to ask for that is up to the host. Without it they start in the baseline compiler's code.
   */
  readonly optimised?: <T>(compile: () => T) => T;
}

export function createJitEngine(options: JitOptions = {}): Engine {
  const prepared = new Map<string, PreparedProgram>();
  const kernels = new Map<string, PlacedKernel>();
  let batch = createBatch();
  const link = (unfinished: Batch): void => {
    if (batch === unfinished) batch = createBatch();
    compileBatch(unfinished, options.optimised ?? ((compile) => compile()));
  };
  return {
    name: "jit",
    prepare(program) {
      const key = programKey(program);
      let known = prepared.get(key);
      if (known === undefined) {
        known = prepareProgram(program, batch, kernels, link);
        prepared.set(key, known);
      }
      return known;
    },
  };
}

/** Programs and kernels that are compiled together. */
interface Batch {
  readonly control: ModuleBuilder;
  readonly kernels: ModuleBuilder;
  programs: number;
  /** Batches whose kernels the control code calls, this one perhaps among them. */
  readonly uses: Set<Batch>;
  modules?: { readonly control: WebAssembly.Module; readonly kernels: WebAssembly.Module };
  readonly instances: WeakMap<WebAssembly.Memory, Instances>;
}

interface Instances {
  readonly kernels: WebAssembly.Exports;
  control?: WebAssembly.Exports;
}

/** A kernel's name is unique in its engine. */
interface PlacedKernel {
  readonly batch: Batch;
  readonly name: string;
}

function createBatch(): Batch {
  return {
    control: new ModuleBuilder(),
    kernels: new ModuleBuilder(),
    programs: 0,
    uses: new Set(),
    instances: new WeakMap(),
  };
}

function prepareProgram(
  program: Program,
  batch: Batch,
  kernels: Map<string, PlacedKernel>,
  link: (batch: Batch) => void,
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
  const name = `p${batch.programs++}`;
  const code = addControl(batch.control, program, name, nameOf);
  return {
    run(launch) {
      if (batch.modules === undefined) link(batch);
      const exports = controlIn(launch.memory.memory, batch);
      return runProgram(program, code, exports[name] as Run, launch);
    },
  };
}

function compileBatch(batch: Batch, optimised: <T>(compile: () => T) => T): void {
  const kernels = batch.kernels.encode();
  batch.modules = {
    control: new WebAssembly.Module(batch.control.encode()),
    kernels: optimised(() => new WebAssembly.Module(kernels)),
  };
}

/** Instances are shared by all programs that run in a memory. */
function instancesIn(memory: WebAssembly.Memory, batch: Batch): Instances {
  let known = batch.instances.get(memory);
  if (known === undefined) {
    const imports = { m: { m: memory } };
    const { exports } = new WebAssembly.Instance(batch.modules!.kernels, imports);
    known = { kernels: exports };
    batch.instances.set(memory, known);
  }
  return known;
}

function controlIn(memory: WebAssembly.Memory, batch: Batch): WebAssembly.Exports {
  const own = instancesIn(memory, batch);
  if (own.control === undefined) {
    const functions: WebAssembly.ModuleImports = {};
    for (const used of batch.uses) Object.assign(functions, instancesIn(memory, used).kernels);
    const imports = { m: { m: memory }, f: functions };
    own.control = new WebAssembly.Instance(batch.modules!.control, imports).exports;
  }
  return own.control;
}

type Run = (scratch: number, ...args: number[]) => void;

function runProgram(program: Program, code: ControlCode, run: Run, launch: Launch): LaunchResult {
  const { memory, bindings, scalars } = launch;
  if (bindings.length !== program.bindings.length || scalars.length < program.scalarCount) {
    throw new InternalError(`launch of ${program.name} with wrong bindings or scalars`);
  }
  const scratch = scratchOf(memory, code.layout.totalBytes);
  const args = bindings.map(({ offsetBytes }) => memory.baseBytes + offsetBytes);
  for (let i = 0; i < program.scalarCount; i++) args.push(scalars[i]!);
  if (!code.mayFault) {
    run(scratch, ...args);
    return noFaults;
  }
  const { faultsOffset, faultsBytes } = code.layout;
  const flags = new Uint8Array(memory.buffer, scratch + faultsOffset, faultsBytes);
  flags.fill(0);
  run(scratch, ...args);
  const faults: Fault[] = [];
  flags.forEach((isRaised, instruction) => {
    if (isRaised === 0) return;
    const { role } = code.instructions[instruction]!;
    faults.push({ kind: "index-out-of-range", instruction, role });
  });
  return { faults };
}

const noFaults: LaunchResult = { faults: [] };

const pageBytes = 65_536;

/** Address of the scratch area, which begins after device memory. All launches use the same. */
function scratchOf({ memory, baseBytes, sizeBytes }: DeviceMemory, bytes: number): number {
  const start = Math.ceil((baseBytes + sizeBytes) / pageBytes) * pageBytes;
  const missing = start + bytes - memory.buffer.byteLength;
  if (missing > 0) memory.grow(Math.ceil(missing / pageBytes));
  return start;
}
