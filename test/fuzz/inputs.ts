/** Random inputs for what a model declares: symbols get one extent each, elements are tame, odd or hostile. */
import { allocateData, encodeArray } from "../../src/numerics/convert.js";
import { type DType, dtypes, isFloat } from "../../src/numerics/dtype.js";
import { elementCount, type Tensor } from "../../src/numerics/tensor.js";
import type { Model } from "../../src/onnx/model.js";
import type { HostValue } from "../../src/ops/record.js";
import { inputPorts, type ModelPort } from "../../src/runtime/model-ports.js";
import type { Random } from "../support/random.js";
import type { Inputs } from "./check.js";

/** What elements are like: small numbers, every corner of the type, or all of them zero. */
export type Temper = "tame" | "odd" | "zero";

/** More elements than this are not made: the case is only imported. */
const elementsMax = 2 ** 16;

/** Undefined where an input is too large to make or of no known type. */
export function randomInputs(
  model: Model,
  r: Random,
  extents: readonly number[],
): Inputs | undefined {
  const symbols = new Map<string, number>();
  const temper: Temper = r.chance(0.75) ? "tame" : r.pick(["odd", "zero"] as const);
  const values = new Map<string, HostValue>();
  for (const port of inputPorts(model)) {
    if (!port.required && r.chance(0.8)) continue;
    const value = randomValue(port, { r, temper, extents, symbols });
    if (value === undefined) return undefined;
    values.set(port.name, value);
  }
  return values;
}

interface Choice {
  readonly r: Random;
  readonly temper: Temper;
  readonly extents: readonly number[];
  readonly symbols: Map<string, number>;
}

function randomValue(port: ModelPort, choice: Choice): HostValue | undefined {
  const { dtype, kind } = port;
  if (dtype === undefined) return undefined;
  const { r } = choice;
  const tensor = (): Tensor | undefined => randomTensor(port, dtype, choice);
  if (kind === "optional") return { kind, item: r.chance(0.3) ? undefined : tensor() };
  if (kind === "sequence") {
    const items = Array.from({ length: r.integer(0, 3) }, tensor).filter((x) => x !== undefined);
    return { kind, elementType: dtype, items };
  }
  if (kind === "map") {
    const count = r.integer(0, 4);
    const keyType = r.pick(["i64", "string"] as const);
    const keys = tensorOf(r, keyType, [count]);
    return { kind, keys, values: tensorOf(r, dtype, [count], choice.temper) };
  }
  return tensor();
}

function randomTensor(
  { dims }: ModelPort,
  dtype: DType,
  { r, temper, extents, symbols }: Choice,
): Tensor | undefined {
  const shape = (dims ?? Array.from({ length: r.integer(0, 3) }, () => "?")).map((dim) => {
    if (typeof dim === "number") return dim;
    const extent = symbols.get(dim) ?? r.pick(extents);
    if (dim !== "?") symbols.set(dim, extent);
    return extent;
  });
  if (elementCount(shape) > elementsMax) return undefined;
  return tensorOf(r, dtype, shape, temper);
}

export function tensorOf(
  r: Random,
  dtype: DType,
  shape: readonly number[],
  temper: Temper = "tame",
): Tensor {
  const count = elementCount(shape);
  if (dtype === "string") {
    return { dtype, shape, data: Array.from({ length: count }, () => r.pick(words)) };
  }
  if (temper === "zero") return { dtype, shape, data: allocateData(dtype, count) };
  const one = temper === "odd" ? () => oddNumber(r, dtype) : () => tameNumber(r, dtype);
  return { dtype, shape, data: encodeArray(dtype, Float64Array.from({ length: count }, one)) };
}

const words = ["", "a", "Hello", "the quick", "ünïcode 🙂", "a,b,,c", "monday"];

function tameNumber(r: Random, dtype: DType): number {
  if (isFloat(dtype)) return Math.round((r.unit() * 4 - 2) * 64) / 64 + r.unit() / 1024;
  return r.integer(dtypes[dtype].kind === "int" && dtypes[dtype].bits < 32 ? -3 : 0, 3);
}

const oddFloats = [
  NaN,
  Infinity,
  -Infinity,
  0,
  -0,
  1e-40,
  -1e-45,
  3.4e38,
  -1e30,
  1,
  -1,
  0.5,
  65504,
];
const oddIntegers = [0, 1, -1, 2, 127, 128, -128, 255, 256, 32767, -32768, 65535];
const wideIntegers = [2147483647, -2147483648, 2 ** 31, 2 ** 53, -(2 ** 62)];

function oddNumber(r: Random, dtype: DType): number {
  if (isFloat(dtype)) return r.chance(0.4) ? r.pick(oddFloats) : (r.unit() - 0.5) * 200;
  return r.chance(0.2) ? r.pick(wideIntegers) : r.pick(oddIntegers);
}
