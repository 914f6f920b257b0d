/** Outputs of a run as files: `.npy` arrays, and `.pb` tensors for types that NumPy does not have. */
import type { Tensor } from "../numerics/tensor.js";
import type { Model } from "../onnx/model.js";
import { tensorSchema } from "../onnx/schema.js";
import { tensorToProto } from "../onnx/tensor.js";
import { encodeMessage } from "../onnx/wire.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import { unknownNames } from "../runtime/check-inputs.js";
import { outputPorts } from "../runtime/model-ports.js";
import { writeAtomically } from "../runtime/node/atomic-write.js";
import { encodeNpy } from "../runtime/npy.js";
import { DiagnosticError, fail, inFile } from "../support/diagnostic.js";

/** Paths by the names of outputs. */
export type OutputFiles = ReadonlyMap<string, string>;

/** Before a run: throws L0601 for names that the model does not have, L0901 for endings that mean no format. */
export function checkOutputFiles(model: Model, files: OutputFiles): void {
  const unknown = unknownNames(outputPorts(model), files.keys(), "output");
  if (unknown.length > 0) throw new DiagnosticError(unknown);
  for (const file of files.values()) {
    if (!/\.(npy|pb)$/.test(file)) {
      fail("L0901", "outputs are written to .npy and .pb files", { place: { file } });
    }
  }
}

/** All of them or, where one has no such form, none: throws L0602 for it, L0101 for files that cannot be written. */
export function writeOutputs(outputs: ReadonlyMap<string, HostValue>, files: OutputFiles): void {
  const encoded = [...files].map(([name, path]) => {
    const value = outputs.get(name)!;
    if (!isTensor(value)) {
      fail("L0602", `output "${name}" is a ${value.kind}: only tensors are written`, {
        place: { file: path },
      });
    }
    return { path, bytes: inFile(path, () => encode(name, value, path)) };
  });
  for (const { path, bytes } of encoded) writeAtomically(path, bytes);
}

function encode(name: string, tensor: Tensor, path: string): Uint8Array {
  if (path.endsWith(".npy")) return encodeNpy(tensor);
  return encodeMessage(tensorSchema, tensorToProto(tensor, name));
}
