/**
 * The parameters of the matrix kernels, all i32, strides in bytes. Axes that an instruction lacks have count 1 and
 * stride 0; of two axes the second is the faster, k2 the fastest of three.
 */
import type { FunctionBuilder, Local } from "../wasm/function.js";

export const mmaParams = [
  "a",
  "b",
  "c",
  /** From a sum to its open segment. */
  "open",
  "mode",
  "work",
  "g",
  "aG",
  "bG",
  "cG",
  "m0",
  "aM0",
  "cM0",
  "m1",
  "aM1",
  "cM1",
  "n0",
  "bN0",
  "cN0",
  "n1",
  "bN1",
  "cN1",
  "k0",
  "aK0",
  "bK0",
  "k1",
  "aK1",
  "bK1",
  "k2",
  "aK2",
  "bK2",
] as const;

export type MmaParam = (typeof mmaParams)[number];
export type MmaParams = { readonly [P in MmaParam]: Local<"i32"> };

/** Further parameters of the integer kernels: where zero points are and their strides per axis. */
export const zeroParams = ["z", "zG", "z0", "z1", "zK0", "zK1", "zK2"] as const;
export type ZeroParam = (typeof zeroParams)[number];

export function kernelFields(f: FunctionBuilder): MmaParams {
  const entries = mmaParams.map((name, i) => [name, f.param("i32", i)] as const);
  return Object.fromEntries(entries) as MmaParams;
}
