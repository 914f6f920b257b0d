/** What equal layers have in common: kernels that differ only in what they are called have the same key. */
import { exactJson } from "../../support/exact-json.js";
import type { Kernel } from "./kernel.js";

export function kernelKey(kernel: Kernel): string {
  const { bindings, values } = kernel;
  return exactJson({
    ...kernel,
    name: "",
    bindings: nameless(bindings),
    values: nameless(values),
  });
}

function nameless<T extends { readonly name: string }>(list: readonly T[]): T[] {
  return list.map((item) => ({ ...item, name: "" }));
}
