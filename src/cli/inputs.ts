/** Inputs of a run: from files as named, made up (and said so) where none is named. */
import { loadValueFile } from "../runtime/node/model-file.js";
import { readFileBytes } from "../runtime/node/files.js";
import { decodePng } from "../runtime/node/png.js";
import { type DimSettings, unknownNames } from "../runtime/check-inputs.js";
import { tensorFromPicture } from "../runtime/images.js";
import { inputPorts, type ModelPort } from "../runtime/model-ports.js";
import { encodeArray } from "../numerics/convert.js";
import { dtypes } from "../numerics/dtype.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import type { Model } from "../onnx/model.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import { DiagnosticError, fail } from "../support/diagnostic.js";
import { note } from "./output.js";

/** Throws L0601 for names that the model does not have, L0101, L0102 and L0602 for files. */
export function gatherInputs(
  model: Model,
  files: ReadonlyMap<string, string>,
  dims: DimSettings,
): ReadonlyMap<string, HostValue> {
  const ports = inputPorts(model);
  const unknown = unknownNames(ports, files.keys(), "input");
  if (unknown.length > 0) throw new DiagnosticError(unknown);
  const infos = new Map(model.graph.input.map((info) => [info.name ?? "", info]));
  const values = new Map<string, HostValue>();
  for (const port of ports) {
    const path = files.get(port.name);
    if (path === undefined) continue;
    const value = path.endsWith(".png")
      ? tensorFromPicture(decodePng(readFileBytes(path), path), port)
      : loadValueFile(path, infos.get(port.name)?.type);
    values.set(port.name, value);
  }
  makeUp(ports, values, dims);
  return values;
}

/** Height and width of a made-up picture. */
const pictureExtent = 224;

/** Most elements of a made-up value: 2 GB of floats. */
const madeUpMax = 2 ** 29;

/**
 * Missing inputs: dims as set or as other inputs have them, else 1 (pictures are larger); values from a fixed
 * sequence.
 */
function makeUp(
  ports: readonly ModelPort[],
  values: Map<string, HostValue>,
  dims: DimSettings,
): void {
  const extents = new Map<string, number>();
  for (const port of ports) {
    const value = values.get(port.name);
    if (value === undefined || !isTensor(value)) continue;
    port.dims?.forEach((dim, i) => {
      if (typeof dim === "string" && value.shape[i] !== undefined) extents.set(dim, value.shape[i]);
    });
  }
  for (const [index, port] of ports.entries()) {
    if (!port.required || values.has(port.name)) continue;
    const { name, kind, dtype, dims: declared } = port;
    if (kind !== "tensor" || dtype === undefined || declared === undefined) {
      fail("L0603", `input "${name}" is missing, and no value for it can be made up`);
    }
    const isPicture = declared.length === 4 && (declared[1] === 3 || declared[3] === 3);
    const shape = declared.map((dim, axis) =>
      typeof dim === "number" ? dim : extentOf(dim, isPicture && axis > 0 ? pictureExtent : 1),
    );
    if (elementCount(shape) > madeUpMax) {
      fail("L0402", `no value of shape [${shape.join(", ")}] can be made up for input "${name}"`, {
        hint: "set smaller dims (--dim), or give a value (--input)",
      });
    }
    values.set(name, madeUp(dtype, shape, index));
    note(`input "${name}" is made up: ${dtype} [${shape.join(", ")}]`);
  }
  function extentOf(name: string, otherwise: number): number {
    const known = extents.get(name) ?? dims.get(name) ?? otherwise;
    return typeof known === "number" ? known : known.min;
  }
}

/** Floats in -1..1, all the same in every run; integers are 0, which is a valid index of anything. */
function madeUp(dtype: Tensor["dtype"], shape: readonly number[], seed: number): Tensor {
  const count = elementCount(shape);
  if (dtype === "string") return { dtype, shape, data: new Array<string>(count).fill("") };
  const isFloat = dtypes[dtype].kind === "float";
  const values = Float32Array.from({ length: count }, (_, i) => (isFloat ? noise(i, seed) : 0));
  return { dtype, shape, data: encodeArray(dtype, values) };
}

/** A number in -1..1 that looks random, from its position alone. */
function noise(index: number, seed: number): number {
  let h = Math.imul(index + 1, 0x9e3779b1) ^ Math.imul(seed + 1, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h ^= h >>> 12;
  return h / 2 ** 31;
}
