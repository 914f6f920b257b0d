/** Loads models and tensors by path: `.onnx` with external data beside it, `.pb` and `.npy` tensors. */
import { graphBody, requireClosed } from "../../compiler/1-import/body.js";
import { type Model, decodeModel } from "../../onnx/model.js";
import type { ExternalData } from "../../onnx/external.js";
import type { TypeProto } from "../../onnx/schema.js";
import { decodeHostValue } from "../../ops/host-value.js";
import type { HostValue } from "../../ops/record.js";
import { fail, inFile } from "../../support/diagnostic.js";
import { decodeNpy } from "../npy.js";
import { externalDataBeside } from "./external-data.js";
import { readFileBytes } from "./files.js";

export interface ModelFile {
  readonly path: string;
  /** Of the file itself, for a cache's key. */
  readonly bytes: Uint8Array;
  readonly model: Model;
  readonly externalData: ExternalData;
}

/** Throws L0101, L0102 and L0105. Tensors are views of `bytes`; external ones are read when they are needed. */
export function loadModelFile(path: string): ModelFile {
  const bytes = readFileBytes(path);
  const model = decodeModel(bytes, { file: path });
  inFile(path, () => requireClosed(graphBody(model.graph)));
  return {
    path,
    bytes,
    model,
    externalData: externalDataBeside(path),
  };
}

/** A value from a `.npy` or `.pb` file; `type` is that of the input it is for. */
export function loadValueFile(path: string, type?: TypeProto): HostValue {
  if (path.endsWith(".npy")) return decodeNpy(readFileBytes(path), path);
  if (path.endsWith(".pb")) return decodeHostValue(readFileBytes(path), type, path).value;
  fail("L0602", "inputs are read from .npy and .pb files", { place: { file: path } });
}
