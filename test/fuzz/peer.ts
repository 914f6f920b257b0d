/**
 * A second opinion on random models: ONNX Runtime's results, where it takes the model. It may crash its process on a
 * model that is not valid, so only models that were made to be valid are given to it, and never in a test's process.
 */
import * as ort from "onnxruntime-node";
import type { DType } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { isTensor } from "../../src/ops/context.js";
import type { HostValue } from "../../src/ops/record.js";
import { describeDifference } from "../../src/runtime/compare.js";
import { tensorFromOrt, type TensorLike, tensorToOrt } from "../../src/runtime/ort-tensors.js";
import type { Inputs } from "./check.js";

export type Opinion =
  | { readonly kind: "equal" }
  /** It does not take the model, or a type that its JavaScript API does not have. */
  | { readonly kind: "none"; readonly why: string }
  | { readonly kind: "different"; readonly what: string };

/** Codes that differ by one at most: a sum may lie between two. */
function areNeighbours(a: Tensor, b: Tensor): boolean {
  const isCode = (x: Tensor): boolean => x.dtype === "u8" || x.dtype === "i8";
  const isAlike = isCode(a) && a.dtype === b.dtype && a.shape.join() === b.shape.join();
  return (
    isAlike &&
    Array.from(a.data as ArrayLike<number>).every(
      (value, i) => Math.abs(Number(value) - Number(b.data[i])) <= 1,
    )
  );
}

const halves: ReadonlySet<DType> = new Set(["f16", "bf16"]);

/** As for conformance. */
const tolerance = { rtol: 1e-3, atol: 1e-4 };
/** Where 16 bits are computed with: its kernels round more often than ours. */
const coarse = { rtol: 2e-2, atol: 2e-2 };

export async function compareWithPeer(
  file: Uint8Array,
  inputs: Inputs,
  outputs: ReadonlyMap<string, HostValue>,
): Promise<Opinion> {
  const tensors = [...inputs.values()].filter(isTensor);
  if (tensors.some((x) => x.data.length === 0)) {
    return { kind: "none", why: "what it computes from nothing is not always written" };
  }
  let results: ort.InferenceSession.ReturnType;
  try {
    const session = await ort.InferenceSession.create(file, {
      graphOptimizationLevel: "disabled",
      logSeverityLevel: 4,
      intraOpNumThreads: 1,
    });
    const feeds = [...inputs].map(([name, value]) => {
      if (!isTensor(value)) throw new Error("no tensor");
      return [name, tensorToOrt(value, name) as unknown as ort.Tensor] as const;
    });
    const names = new Set(session.inputNames);
    results = await session.run(Object.fromEntries(feeds.filter(([name]) => names.has(name))));
    await session.release();
  } catch (error) {
    return { kind: "none", why: (error as Error).message.split("\n")[0]! };
  }
  const isHalf = tensors.some((x) => halves.has(x.dtype));
  for (const [name, mine] of outputs) {
    const theirs = results[name] as unknown as TensorLike | undefined;
    if (theirs === undefined || !isTensor(mine)) continue;
    const expected = tensorFromOrt(theirs, { name, dtype: mine.dtype });
    if (areNeighbours(mine, expected)) continue;
    const difference = describeDifference(mine, expected, isHalf ? coarse : tolerance);
    if (difference !== undefined) return { kind: "different", what: `${name}: ${difference}` };
  }
  return { kind: "equal" };
}
