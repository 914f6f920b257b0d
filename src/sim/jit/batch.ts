/**
 * Programs and kernels that are compiled together, because a module costs more than a function: one module of control
 * code, and one of the kernels that no earlier batch has. A batch is instantiated once per memory.
 */
import { ModuleBuilder } from "./wasm/module.js";
import { instantiateControl, instantiateKernels } from "./threads/protocol.mjs";
import type { Instance } from "./threads/threads.js";

export interface Batch {
  readonly control: ModuleBuilder;
  readonly kernels: ModuleBuilder;
  /** So many programs it has; they are exported as p0, p1, .. */
  programs: number;
  /** Batches whose kernels the control code calls, this one perhaps among them. */
  readonly uses: Set<Batch>;
  modules?: { readonly control: WebAssembly.Module; readonly kernels: WebAssembly.Module };
  readonly kernelsIn: WeakMap<WebAssembly.Memory, WebAssembly.Exports>;
  readonly controlIn: WeakMap<WebAssembly.Memory, ControlInstance>;
}

export interface ControlInstance extends Instance {
  readonly exports: WebAssembly.Exports;
}

export function createBatch(isMemoryShared: boolean): Batch {
  return {
    control: new ModuleBuilder(isMemoryShared),
    kernels: new ModuleBuilder(isMemoryShared),
    programs: 0,
    uses: new Set(),
    kernelsIn: new WeakMap(),
    controlIn: new WeakMap(),
  };
}

export function compileBatch(batch: Batch, optimised: <T>(compile: () => T) => T): void {
  const kernels = batch.kernels.encode();
  batch.modules = {
    control: new WebAssembly.Module(batch.control.encode()),
    kernels: optimised(() => new WebAssembly.Module(kernels)),
  };
}

/** The control code of a compiled batch over a memory. Instances are shared by all programs that run there. */
export function controlIn(batch: Batch, memory: WebAssembly.Memory): ControlInstance {
  let known = batch.controlIn.get(memory);
  if (known === undefined) {
    const { control } = batch.modules!;
    const kernels = [...batch.uses].map((used) => used.modules!.kernels);
    const functions = [...batch.uses].map((used) => kernelsIn(used, memory));
    known = { memory, control, kernels, exports: instantiateControl(memory, control, functions) };
    batch.controlIn.set(memory, known);
  }
  return known;
}

function kernelsIn(batch: Batch, memory: WebAssembly.Memory): WebAssembly.Exports {
  let known = batch.kernelsIn.get(memory);
  if (known === undefined) {
    known = instantiateKernels(memory, batch.modules!.kernels);
    batch.kernelsIn.set(memory, known);
  }
  return known;
}
