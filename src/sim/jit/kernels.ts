/**
 * Kernels: the small functions of i32 parameters that do the work. A program's own code only runs loops and calls them.
 * Kernels depend on structure, not on sizes, so programs share them; they are compiled by the optimising
 * compiler at once, while a program's own code runs as the baseline compiler makes it.
 */
import { nestKey } from "./keys.js";
import type { ModuleBuilder } from "./wasm/module.js";
import { emitNest } from "./nest/nest.js";
import { nestParams, type NestSpec } from "./nest/spec.js";

export interface Kernel {
  /** Equal keys, equal kernels. */
  readonly key: string;
  /** Number of parameters. */
  readonly params: number;
  /** Adds the kernel to a module, exported by that name. */
  add(module: ModuleBuilder, exported: string): void;
}

export function nestKernel(spec: NestSpec): Kernel {
  return {
    key: nestKey(spec),
    params: nestParams(spec).length,
    add: (module, exported) => void emitNest(module, spec, exported),
  };
}
