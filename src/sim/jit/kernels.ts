/**
 * Kernels: the small modules that do the work, each exporting one function "k" of i32 parameters. A program's own
 * module only runs loops and calls them. Kernels depend on structure, not on sizes, so programs share them; they
 * are compiled by the optimising compiler at once, while a program's own code is run as it comes.
 */
import { ModuleBuilder } from "./module.js";
import { emitNest } from "./nest.js";
import { nestParams, type NestSpec } from "./nest-spec.js";
import { stableText } from "./stable-text.js";

export interface Kernel {
  /** Equal keys, equal kernels. */
  readonly key: string;
  /** Number of parameters. */
  readonly params: number;
  encode(): Uint8Array<ArrayBuffer>;
}

export function nestKernel(spec: NestSpec): Kernel {
  return {
    key: `nest ${stableText(spec)}`,
    params: nestParams(spec).length,
    encode() {
      const module = new ModuleBuilder();
      emitNest(module, spec, "k");
      return module.encode();
    },
  };
}
