/** ONNX Runtime for comparison, where it is installed: it is no dependency of ours. */
import type { Tensor } from "../../numerics/tensor.js";
import type { InferenceSession } from "onnxruntime-common";
import { isTensor } from "../../ops/context.js";
import type { HostValue } from "../../ops/record.js";
import { fail } from "../../support/diagnostic.js";
import { inputPorts } from "../model-ports.js";
import { tensorFromOrt, type TensorLike, tensorToOrt } from "../ort-tensors.js";
import type { Model } from "../../onnx/model.js";

export interface OrtRun {
  readonly outputs: ReadonlyMap<string, Tensor>;
  /** The fastest of the runs. */
  readonly milliseconds: number;
}

export interface OrtOptions {
  readonly runs: number;
  /** Threads that it may use. */
  readonly threads: number;
}

/** `file`: a path or the bytes. Undefined if `onnxruntime-node` is not installed. */
export async function runOnnxRuntime(
  file: string | Uint8Array,
  model: Model,
  inputs: ReadonlyMap<string, HostValue>,
  { runs, threads }: OrtOptions,
): Promise<OrtRun | undefined> {
  const ort = await loadOnnxRuntime();
  if (ort === undefined) return undefined;
  const options = { intraOpNumThreads: threads, logSeverityLevel: 3 } as const;
  const session = await (typeof file === "string"
    ? ort.InferenceSession.create(file, options)
    : ort.InferenceSession.create(file, options));
  const names = new Set(inputPorts(model).map((port) => port.name));
  const feeds = Object.fromEntries(
    [...inputs]
      .filter(([name]) => names.has(name))
      .map(([name, value]) => {
        if (!isTensor(value)) fail("L0301", `input "${name}" is no tensor`);
        return [name, tensorToOrt(value, name)];
      }),
  );
  let best = Infinity;
  let results: InferenceSession.ReturnType = {};
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    results = await session.run(feeds);
    best = Math.min(best, performance.now() - start);
  }
  const outputs = new Map(
    Object.entries(results).map(([name, tensor]) => [
      name,
      tensorFromOrt(tensor as unknown as TensorLike, { name, dtype: undefined }),
    ]),
  );
  await session.release();
  return { outputs, milliseconds: best };
}

/** Undefined if the package is not installed, or does not load on this system. */
export async function loadOnnxRuntime(): Promise<typeof import("onnxruntime-common") | undefined> {
  try {
    // Not a literal, so that type checking and packing do without it.
    const name = "onnxruntime-node";
    return (await import(name)) as typeof import("onnxruntime-common");
  } catch {
    return undefined;
  }
}
