/**
 * Tensor data from one element type to another, from numbers, and from raw bytes. Floats round to nearest
 * even, integers keep their low bits, a float goes to an integer toward zero: ONNX's Cast. Strings are not
 * converted here.
 */
import { fail, InternalError } from "../support/diagnostic.js";
import { byteLength, dtypes, isFloat, type DType } from "./dtype.js";
import {
  bitEncoder,
  decodeTable,
  encodeBF16,
  encodeF16,
  floatBits,
  isSmallFloat,
  roundToOdd,
  type EncodeOptions,
} from "./float-formats.js";
import type { TensorData } from "./tensor.js";

export type NumericData = Exclude<TensorData, string[]>;
type NumberData = Exclude<NumericData, BigInt64Array | BigUint64Array>;

/** Most bytes of one tensor that is computed on the host. */
const hostBytesMax = 2 ** 31;

/** Zeroed data of the array type that holds `dtype`. L0402 where the host cannot hold as much. */
export function allocateData(dtype: DType, length: number): NumericData {
  const bytes = length * Math.max(1, dtypes[dtype].bits / 8);
  if (!(bytes <= hostBytesMax)) {
    fail("L0402", `a tensor of ${length} elements of ${dtype} is too large for the host`);
  }
  switch (dtype) {
    case "f64":
      return new Float64Array(length);
    case "f32":
      return new Float32Array(length);
    case "i64":
      return new BigInt64Array(length);
    case "u64":
      return new BigUint64Array(length);
    case "i32":
      return new Int32Array(length);
    case "u32":
      return new Uint32Array(length);
    case "i16":
      return new Int16Array(length);
    case "u16":
    case "f16":
    case "bf16":
      return new Uint16Array(length);
    case "i8":
    case "i4":
    case "i2":
      return new Int8Array(length);
    case "string":
      return fail("L0202", "strings are not numeric data");
    default:
      return new Uint8Array(length);
  }
}

/** Every element as the nearest fp32 number. Data that is fp32 already is returned as it is, not copied. */
export function decodeArray(dtype: DType, data: TensorData): Float32Array {
  if (data instanceof Float32Array) return data;
  if (isSmallFloat(dtype)) return decodeSmall(decodeTable(dtype), data as Uint8Array | Uint16Array);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    const result = new Float32Array(data.length);
    for (let i = 0; i < data.length; i++) result[i] = bigToOdd(data[i]!);
    return result;
  }
  return new Float32Array(numberData(data));
}

function decodeSmall(table: Float32Array, data: Uint8Array | Uint16Array): Float32Array {
  const result = new Float32Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = table[data[i]!]!;
  return result;
}

/** Every element as a double; exact but for 64-bit integers beyond 2^53. */
export function decodeNumbers(dtype: DType, data: TensorData): Float64Array | Float32Array {
  if (data instanceof Float64Array) return data;
  if (dtypes[dtype].kind === "float") return decodeArray(dtype, data);
  const result = new Float64Array(data.length);
  for (let i = 0; i < data.length; i++) result[i] = Number(data[i]!);
  return result;
}

/** One element as a number. */
export function decodeElement(dtype: DType, data: TensorData, index: number): number {
  const raw = data[index]!;
  if (isSmallFloat(dtype)) return decodeTable(dtype)[raw as number]!;
  return Number(raw);
}

/** Numbers to `dtype`: floats to nearest even, integers toward zero with their low bits (NaN, infinity: 0). */
export function encodeArray(
  dtype: DType,
  values: ArrayLike<number>,
  options: EncodeOptions = {},
): NumericData {
  const length = values.length;
  if (isSmallFloat(dtype)) {
    const result = allocateData(dtype, length) as Uint8Array | Uint16Array;
    encodeSmall(bitEncoder(dtype, options), values, result);
    return result;
  }
  const result = allocateData(dtype, length);
  if (result instanceof BigInt64Array || result instanceof BigUint64Array) {
    for (let i = 0; i < length; i++) result[i] = bigFrom(values[i]!);
    return result;
  }
  if (dtype === "bool") for (let i = 0; i < length; i++) result[i] = values[i] === 0 ? 0 : 1;
  else if (dtypes[dtype].bits < 8) {
    const wrap = subByteWrap(dtype);
    for (let i = 0; i < length; i++) result[i] = wrap(values[i]!);
  } else result.set(values);
  return result;
}

function encodeSmall(
  encode: (bits: number) => number,
  values: ArrayLike<number>,
  result: Uint8Array | Uint16Array,
): void {
  if (values instanceof Float32Array) {
    const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
    // One loop per common type: a call that the engine can inline is four times as fast.
    if (encode === encodeF16) for (let i = 0; i < bits.length; i++) result[i] = encodeF16(bits[i]!);
    else if (encode === encodeBF16) {
      for (let i = 0; i < bits.length; i++) result[i] = encodeBF16(bits[i]!);
    } else for (let i = 0; i < bits.length; i++) result[i] = encode(bits[i]!);
    return;
  }
  for (let i = 0; i < values.length; i++) result[i] = encode(floatBits(roundToOdd(values[i]!)));
}

/** As ONNX's Cast; between equal types the same data. */
export function convertData(
  from: DType,
  data: TensorData,
  to: DType,
  options: EncodeOptions = {},
): NumericData {
  if (from === "string" || to === "string") fail("L0202", "strings are not numeric data");
  if (from === to) return data as NumericData;
  const wide = data instanceof BigInt64Array || data instanceof BigUint64Array;
  if (!wide)
    return encodeArray(to, isFloat(from) ? decodeNumbers(from, data) : numberData(data), options);
  if (to === "f64") return Float64Array.from(data as BigInt64Array, Number);
  if (isFloat(to))
    return encodeArray(to, Float64Array.from(data as BigInt64Array, bigToOdd), options);
  const result = allocateData(to, data.length);
  if (result instanceof BigInt64Array || result instanceof BigUint64Array) {
    for (let i = 0; i < data.length; i++) result[i] = data[i] as bigint;
    return result;
  }
  if (to === "bool") for (let i = 0; i < data.length; i++) result[i] = data[i] === 0n ? 0 : 1;
  else {
    const wrap = subByteWrap(to);
    for (let i = 0; i < data.length; i++) {
      result[i] = wrap(Number(BigInt.asIntN(32, data[i] as bigint)));
    }
  }
  return result;
}

function numberData(data: TensorData): NumberData {
  if (Array.isArray(data) || data instanceof BigInt64Array || data instanceof BigUint64Array) {
    throw new InternalError("not data of numbers");
  }
  return data;
}

function subByteWrap(dtype: DType): (x: number) => number {
  switch (dtype) {
    case "i4":
      return (x) => (x << 28) >> 28;
    case "u4":
      return (x) => x & 15;
    case "i2":
      return (x) => (x << 30) >> 30;
    case "u2":
      return (x) => x & 3;
    default:
      return (x) => x;
  }
}

function bigFrom(x: number): bigint {
  return Number.isFinite(x) ? BigInt(Math.trunc(x)) : 0n;
}

/** A double from which rounding to fewer bits gives what rounding the integer itself would have. */
function bigToOdd(x: bigint): number {
  const magnitude = x < 0n ? -x : x;
  if (magnitude < 1n << 53n) return Number(x);
  const top = Number((magnitude >> 11n) | ((magnitude & 0x7ffn) === 0n ? 0n : 1n)) * 2048;
  return x < 0n ? -top : top;
}

/** Elements of a 4- or 2-bit type, one per byte -> packed bytes, low bits first. */
export function packSubByte(dtype: DType, elements: ArrayLike<number>): Uint8Array {
  const bits = dtypes[dtype].bits;
  const perByte = 8 / bits;
  const mask = (1 << bits) - 1;
  const bytes = new Uint8Array(byteLength(dtype, elements.length));
  for (let i = 0; i < elements.length; i++) {
    bytes[Math.floor(i / perByte)]! |= (elements[i]! & mask) << (bits * (i % perByte));
  }
  return bytes;
}

export function unpackSubByte(
  dtype: DType,
  bytes: Uint8Array,
  count: number,
): Uint8Array | Int8Array {
  const bits = dtypes[dtype].bits;
  const perByte = 8 / bits;
  const result = allocateData(dtype, count) as Uint8Array | Int8Array;
  const lift = 32 - bits;
  const signed = dtypes[dtype].kind === "int";
  for (let i = 0; i < count; i++) {
    const field = (bytes[Math.floor(i / perByte)]! >>> (bits * (i % perByte))) << lift;
    result[i] = signed ? field >> lift : field >>> lift;
  }
  return result;
}

/** Little-endian bytes as they stand in files and in device memory -> data (a copy). */
export function dataFromBytes(dtype: DType, bytes: Uint8Array, count: number): NumericData {
  if (bytes.byteLength !== byteLength(dtype, count)) {
    throw new InternalError(`${bytes.byteLength} bytes are not ${count} elements of ${dtype}`);
  }
  if (dtypes[dtype].bits < 8) return unpackSubByte(dtype, bytes, count);
  const data = allocateData(dtype, count);
  new Uint8Array(data.buffer).set(bytes);
  return data;
}

/** Data -> little-endian bytes; a view where nothing has to be packed. */
export function bytesFromData(dtype: DType, data: TensorData): Uint8Array {
  if (Array.isArray(data)) throw new InternalError("strings have no bytes");
  const bits = dtypes[dtype].bits;
  if (bits < 8) return packSubByte(dtype, data as Uint8Array | Int8Array);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
