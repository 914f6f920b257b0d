/**
 * Tensors of ONNX Runtime's JavaScript API to values of ours and back. Anything with `type`, `dims` and `data` is
 * taken, so tensors of another copy of `onnxruntime-common` are too. Types that the API has no name for (bf16,
 * fp8) are float32 there, which holds them exactly.
 */
import { Tensor as OrtTensor } from "onnxruntime-common";
import {
  allocateData,
  decodeArray,
  encodeArray,
  packSubByte,
  unpackSubByte,
} from "../numerics/convert.js";
import { dtypes, isFloat } from "../numerics/dtype.js";
import { elementCount, type Tensor, type TensorData } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import { entriesOf } from "../ops/host-value.js";
import type { HostValue } from "../ops/record.js";
import { fail } from "../support/diagnostic.js";
import type { ModelPort } from "./model-ports.js";
import { isUnread } from "./resident.js";
import { dtypeOfOrt, ortTypes, typeName } from "./type-names.js";

/** What a feed needs to have. */
export interface TensorLike {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

/** What an input takes: a tensor, or a `Map` where the model asks for one. */
export type Feed = TensorLike | SessionMap;

/** Throws L0602 that names the input. */
export function valueFromOrt(fed: Feed, port: ModelPort): HostValue {
  if (port.kind !== "map" || !(fed instanceof Map)) return tensorFromOrt(fed as TensorLike, port);
  const wrong = (what: string) => fail("L0602", `input "${port.name}" has ${what}`);
  const keys = vectorOf([...fed.keys()]) ?? wrong("keys that are neither strings nor integers");
  const dtype = port.dtype ?? "f32";
  const items = [...fed.values()];
  if (dtype === "string") return { kind: "map", keys, values: stringVector(items.map(String)) };
  if (items.some((item) => typeof item === "string")) wrong("values that are no numbers");
  const data = encodeArray(dtype, items.map(Number));
  return { kind: "map", keys, values: { dtype, shape: [items.length], data } };
}

function vectorOf(keys: readonly unknown[]): Tensor | undefined {
  if (keys.every((key) => typeof key === "string")) return stringVector(keys);
  if (!keys.every((key) => Number.isSafeInteger(Number(key)))) return undefined;
  return { dtype: "i64", shape: [keys.length], data: BigInt64Array.from(keys as number[], BigInt) };
}

function stringVector(texts: readonly string[]): Tensor {
  return { dtype: "string", shape: [texts.length], data: [...texts] };
}

/**
 * Throws L0602 that names the input. Data of the natural array type are shared, not copied. A scalar may be fed as
 * a tensor of one element, as to ONNX Runtime: `new Tensor("int64", [16000n])` is one with the shape [1].
 */
export function tensorFromOrt(
  fed: TensorLike,
  port: Pick<ModelPort, "name" | "dtype"> & Partial<Pick<ModelPort, "dims">>,
): Tensor {
  const resident = residents.get(fed);
  if (resident !== undefined) return resident;
  const wrong = (message: string): never => fail("L0602", `input "${port.name}" ${message}`);
  if (fed === null || typeof fed !== "object" || !("type" in fed && "dims" in fed)) {
    return wrong("is no tensor: it needs type, dims and data");
  }
  const { type, dims } = fed;
  const dtype = dtypeOfOrt(type) ?? wrong(`is of the unknown type "${type}"`);
  const bad = dims.find((extent) => !Number.isInteger(extent) || extent < 0);
  if (bad !== undefined) wrong(`has the shape [${dims.join(", ")}]: ${bad} is no extent`);
  const count = elementCount(dims);
  const data = naturalData(dtype, fed.data, count) ?? wrong(`has data that are not ${type}`);
  if (data.length !== count) {
    wrong(`has ${data.length} elements, its shape [${dims.join(", ")}] asks for ${count}`);
  }
  const shape = port.dims?.length === 0 && count === 1 ? [] : [...dims];
  const tensor: Tensor = { dtype, shape, data };
  return isNameless(port.dtype) && dtype === "f32" ? encoded(tensor, port.dtype) : tensor;
}

/**
 * What a session gives for a value that is no tensor, which ONNX Runtime's API has no type for: an array for a
 * sequence, a `Map` for a map, what is in an optional or null.
 */
export type SessionValue = OrtTensor | SessionMap | readonly SessionValue[] | null;
export type SessionMap = ReadonlyMap<string | number, string | number>;

export function valueToOrt(value: HostValue, name: string): SessionValue {
  if (isTensor(value)) return tensorToOrt(value, name);
  switch (value.kind) {
    case "map":
      return new Map(entriesOf(value));
    case "sequence":
      return value.items.map((item) => valueToOrt(item, name));
    case "optional":
      return value.item === undefined ? null : valueToOrt(value.item, name);
  }
}

/** Throws L0301 for values that are no tensors. */
export function tensorToOrt(value: HostValue, name: string): OrtTensor {
  if (!isTensor(value)) {
    fail("L0301", `"${name}" is a ${value.kind} where a tensor is needed`);
  }
  if (isUnread(value)) return residentToOrt(value, name);
  const { dtype, shape, data } = value;
  const type = (ortTypes as Partial<Record<Tensor["dtype"], OrtTensor.Type>>)[dtype];
  if (type === undefined) {
    if (isFloat(dtype)) return new OrtTensor("float32", decodeArray(dtype, data), [...shape]);
    fail("L0301", `output "${name}" is of type ${dtype}, which the session's API cannot return`);
  }
  const stored = dtypes[dtype].bits === 4 ? packSubByte(dtype, data as Uint8Array) : data;
  return new OrtTensor(type as "float32", stored as Float32Array, [...shape]);
}

/** Tensors of the API that stand for state on a device. */
const residents = new WeakMap<object, Tensor>();

/** An ordinary tensor to the caller, whose data are read from the device when they are asked for. */
function residentToOrt(value: Tensor, name: string): OrtTensor {
  const type = (ortTypes as Partial<Record<Tensor["dtype"], OrtTensor.Type>>)[value.dtype];
  if (type === undefined || dtypes[value.dtype].bits === 4) {
    return tensorToOrt({ dtype: value.dtype, shape: value.shape, data: value.data }, name);
  }
  const empty = allocateData(value.dtype, 0);
  const tensor = new OrtTensor(type as "float32", empty as Float32Array, [0]);
  Object.defineProperty(tensor, "dims", { value: [...value.shape], enumerable: true });
  Object.defineProperty(tensor, "size", { value: elementCount(value.shape), enumerable: true });
  Object.defineProperty(tensor, "data", { get: () => value.data, enumerable: true });
  Object.defineProperty(tensor, "getData", { value: () => Promise.resolve(value.data) });
  residents.set(tensor, value);
  return tensor;
}

function isNameless(dtype: ModelPort["dtype"]): dtype is Tensor["dtype"] {
  return dtype !== undefined && typeName(dtype) === dtype && isFloat(dtype);
}

function encoded(tensor: Tensor, dtype: Tensor["dtype"]): Tensor {
  return { ...tensor, dtype, data: encodeArray(dtype, tensor.data as Float32Array) };
}

/** The fed data as the array that our tensors of the type have; undefined if they are of another type. */
function naturalData(dtype: Tensor["dtype"], data: unknown, count: number): TensorData | undefined {
  if (dtype === "string") return Array.isArray(data) ? (data as string[]) : undefined;
  if (!ArrayBuffer.isView(data) || data instanceof DataView) return undefined;
  const { buffer, byteOffset, byteLength } = data;
  if (dtypes[dtype].bits === 4) {
    return unpackSubByte(
      dtype,
      new Uint8Array(buffer, byteOffset, byteLength),
      count,
    ) as TensorData;
  }
  const natural = allocateData(dtype, 0);
  if (data.constructor.name === natural.constructor.name) return data as unknown as TensorData;
  // Newer engines have a Float16Array; ours are its bits. Bytes of a clamped array are bytes.
  const isSameBits =
    (dtype === "f16" && data.constructor.name === "Float16Array") ||
    (dtype === "u8" && data.constructor.name === "Uint8ClampedArray");
  if (!isSameBits) return undefined;
  return dtype === "f16"
    ? new Uint16Array(buffer, byteOffset, byteLength / 2)
    : new Uint8Array(buffer, byteOffset, byteLength);
}
