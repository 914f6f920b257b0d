/** Host regions in ONNX Runtime, where its package for Node is installed: it is no dependency of ours. */
import type { InferenceSession } from "onnxruntime-common";
import type { DType } from "../../numerics/dtype.js";
import type { Tensor } from "../../numerics/tensor.js";
import type { HostRuntime, HostSession } from "../host-runtime.js";
import { tensorFromOrt, type TensorLike, tensorToOrt } from "../ort-tensors.js";
import { dtypeOfOrt } from "../type-names.js";
import { loadOnnxRuntime } from "./onnxruntime.js";

/** One thread: regions are small, and sums come out the same on every machine. */
const sessionOptions = { logSeverityLevel: 4, intraOpNumThreads: 1 } as const;

let runtime: Promise<HostRuntime | undefined> | undefined;

/** One per process. Undefined if the package is not installed or does not load. */
export function onnxRuntimeHost(): Promise<HostRuntime | undefined> {
  runtime ??= loadOnnxRuntime().then((ort) => {
    if (ort === undefined) return undefined;
    return {
      name: "ONNX Runtime",
      create: async (model) =>
        hostSession(await ort.InferenceSession.create(model, sessionOptions)),
    };
  });
  return runtime;
}

function hostSession(session: InferenceSession): HostSession {
  const outputs = new Map<string, DType>();
  for (const port of session.outputMetadata) {
    const dtype = port.isTensor ? dtypeOfOrt(port.type) : undefined;
    if (dtype !== undefined) outputs.set(port.name, dtype);
  }
  return {
    outputs,
    async run(inputs) {
      const feeds = [...inputs].map(([name, tensor]) => [name, tensorToOrt(tensor, name)] as const);
      const results = await session.run(Object.fromEntries(feeds));
      return new Map(
        Object.entries(results).map(([name, result]): readonly [string, Tensor] => {
          const port = { name, dtype: undefined };
          return [name, tensorFromOrt(result as unknown as TensorLike, port)];
        }),
      );
    },
    release: () => session.release(),
  };
}
