/** ONNX model files: bytes to ModelProto and back. Tensors in it stay encoded; `tensor.ts` decodes those. */
import { fail } from "../support/diagnostic.js";
import { type GraphProto, type ModelProto, modelSchema } from "./schema.js";
import { decodeMessage, encodeMessage, type Init, MalformedMessage, type Schema } from "./wire.js";

export type Model = ModelProto & { readonly graph: GraphProto };

/** Throws L0102 if the bytes are no ONNX model. Tensor data in the result are views of `bytes`. */
export function decodeModel(bytes: Uint8Array, options: { readonly file?: string } = {}): Model {
  const model = decodeOnnx(modelSchema, bytes, { ...options, what: "an ONNX model" });
  const { graph } = model;
  if (graph === undefined) {
    fail("L0102", "the file has no graph", {
      ...placeOf(options.file),
      hint: "a tensor file (.pb) or an empty file is no model",
    });
  }
  return { ...model, graph };
}

export function encodeModel(model: Init<ModelProto>): Uint8Array {
  return encodeMessage(modelSchema, model);
}

/** Any message of the format; `what` names it in the L0102 that damaged bytes give. */
export function decodeOnnx<T>(
  schema: Schema<T>,
  bytes: Uint8Array,
  { file, what }: { readonly file?: string; readonly what: string },
): T {
  try {
    return decodeMessage(schema, bytes);
  } catch (error) {
    if (!(error instanceof MalformedMessage)) throw error;
    if (startsWithText(bytes, "version https://git-lfs")) {
      fail("L0102", `the file is a Git LFS pointer, not ${what}`, {
        ...placeOf(file),
        hint: "fetch the content with `git lfs pull`",
      });
    }
    const message = error.premature ? "the file ends too early" : `the file is not ${what}`;
    fail("L0102", message, {
      ...placeOf(file),
      ...(error.premature ? {} : { notes: [error.message] }),
    });
  }
}

function placeOf(file: string | undefined): { place?: { file: string } } {
  return file === undefined ? {} : { place: { file } };
}

function startsWithText(bytes: Uint8Array, text: string): boolean {
  return [...text].every((character, i) => bytes[i] === character.charCodeAt(0));
}
