/**
 * TensorProto to Tensor and back: raw and typed fields, every data type, sub-byte packing, sparse tensors,
 * sequences and optionals of test files. Data is a view of the file where alignment allows.
 */
import {
  allocateData,
  bytesFromData,
  dataFromBytes,
  type NumericData,
  unpackSubByte,
} from "../numerics/convert.js";
import { byteLength, type DType, dtypes } from "../numerics/dtype.js";
import { elementCount, type Tensor, type TensorData } from "../numerics/tensor.js";
import { fail } from "../support/diagnostic.js";
import { dtypeFromOnnx, dtypeToOnnx, onnxTypeName } from "./dtypes.js";
import { type ExternalData, externalRange } from "./external.js";
import type { SparseTensorProto, TensorProto } from "./schema.js";
import type { Init } from "./wire.js";

export interface TensorOptions {
  readonly externalData?: ExternalData;
}

/** Throws L0107 if the data does not fit shape and type, L0106 for external data, L0301 for complex types. */
export function tensorFromProto(proto: TensorProto, options: TensorOptions = {}): Tensor {
  const dtype = dtypeOf(proto);
  const shape = shapeOf(proto);
  const count = elementCount(shape);
  if (dtype === "string") return { dtype, shape, data: stringsOf(proto, count) };
  const raw = rawBytes(proto, options);
  if (raw === undefined || (raw.length === 0 && proto.dataLocation !== 1))
    return { dtype, shape, data: typedData(proto, dtype, count) };
  const expected = byteLength(dtype, count);
  if (raw.length !== expected) {
    mismatch(proto, `has ${raw.length} bytes of data where ${dtype}[${shape}] takes ${expected}`);
  }
  return { dtype, shape, data: viewData(dtype, raw, count) };
}

/** Little-endian bytes as a tensor's data: a view where alignment allows, else one copy. */
function viewData(dtype: DType, bytes: Uint8Array, count: number): NumericData {
  const arrayType = arrayTypeOf(dtype);
  const aligned = bytes.byteOffset % arrayType.BYTES_PER_ELEMENT === 0;
  if (dtypes[dtype].bits < 8 || !aligned) return dataFromBytes(dtype, bytes, count);
  return new arrayType(bytes.buffer, bytes.byteOffset, count);
}

export function tensorToProto(tensor: Tensor, name?: string): Init<TensorProto> {
  const { dtype, shape, data } = tensor;
  const head = {
    dims: shape,
    dataType: dtypeToOnnx(dtype),
    ...(name === undefined ? {} : { name }),
  };
  if (Array.isArray(data)) return { ...head, stringData: data.map((s) => encoder.encode(s)) };
  return { ...head, rawData: bytesFromData(dtype, data) };
}

/** The dense form of a sparse tensor. */
export function denseFromSparse(proto: SparseTensorProto, options: TensorOptions = {}): Tensor {
  if (proto.values === undefined) fail("L0107", "a sparse tensor has no values");
  const name = proto.values;
  const values = tensorFromProto(proto.values, options);
  if (values.dtype === "string") mismatch(name, "is sparse and of strings");
  const count = elementCount(proto.dims);
  const data = allocateData(values.dtype, count);
  const positions = sparsePositions(proto, values, options);
  for (let i = 0; i < positions.length; i++) {
    const at = positions[i]!;
    if (!(at >= 0 && at < count)) mismatch(name, `has index ${at} outside its ${count} elements`);
    data[at] = (values.data as typeof data)[i]!;
  }
  return { dtype: values.dtype, shape: proto.dims, data };
}

interface NumberArrayType {
  readonly BYTES_PER_ELEMENT: number;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): NumericData;
}

/** The natural array of a type. */
function arrayTypeOf(dtype: DType): NumberArrayType {
  return allocateData(dtype, 0).constructor as unknown as NumberArrayType;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

function dtypeOf(proto: TensorProto): DType {
  const code = proto.dataType ?? 0;
  const dtype = dtypeFromOnnx(code);
  if (dtype !== undefined) return dtype;
  const place = { tensor: proto.name ?? "" };
  if (code === 14 || code === 15) {
    fail("L0301", `tensors of ${onnxTypeName(code)} are not supported`, { place });
  }
  fail("L0107", `a tensor has no known data type (${onnxTypeName(code)})`, { place });
}

function shapeOf(proto: TensorProto): readonly number[] {
  for (const extent of proto.dims) {
    if (!(extent >= 0)) mismatch(proto, `has the negative extent ${extent}`);
  }
  return proto.dims;
}

function rawBytes(proto: TensorProto, { externalData }: TensorOptions): Uint8Array | undefined {
  if (proto.dataLocation !== 1) return proto.rawData;
  if (externalData === undefined) {
    fail("L0106", "a tensor's data is in another file, and none was given", {
      place: { tensor: proto.name ?? "" },
      hint: "load the model by its path, or pass the external data with it",
    });
  }
  const { location, offset, length } = externalRange(proto);
  return externalData.read(location, offset, length);
}

function stringsOf(proto: TensorProto, count: number): string[] {
  expectCount(proto, proto.stringData.length, count);
  return proto.stringData.map((bytes) => decoder.decode(bytes));
}

/** Data in one of the typed fields. Which one holds what is laid down beside TensorProto in onnx.proto. */
function typedData(proto: TensorProto, dtype: DType, count: number): TensorData {
  const { bits } = dtypes[dtype];
  const values = typedField(proto, dtype);
  if (bits < 8) {
    const packed = Uint8Array.from(proto.int32Data);
    expectCount(proto, packed.length, byteLength(dtype, count));
    return unpackSubByte(dtype, packed, count);
  }
  expectCount(proto, values.length, count);
  const data = allocateData(dtype, count);
  if (values.constructor === data.constructor) return values;
  (data as { set(from: ArrayLike<number>): void }).set(values as ArrayLike<number>);
  return data;
}

function typedField(proto: TensorProto, dtype: DType): NumericData {
  switch (dtype) {
    case "f32":
      return proto.floatData;
    case "f64":
      return proto.doubleData;
    case "i64":
      return proto.int64Data;
    case "u64":
      return proto.uint64Data;
    case "u32":
      return Uint32Array.from(proto.uint64Data, Number);
    default:
      return proto.int32Data;
  }
}

/** Indices of a sparse tensor: linear ones, or a [count, rank] matrix of coordinates. */
function sparsePositions(
  proto: SparseTensorProto,
  values: Tensor,
  options: TensorOptions,
): readonly number[] {
  const name = proto.values!;
  if (proto.indices === undefined) mismatch(name, "is sparse and has no indices");
  const indices = tensorFromProto(proto.indices, options);
  if (!(indices.data instanceof BigInt64Array)) mismatch(name, "has indices that are not int64");
  const linear = Array.from(indices.data, Number);
  const count = elementCount(values.shape);
  const rank = proto.dims.length;
  if (indices.shape.length === 1 && linear.length === count) return linear;
  if (linear.length !== count * rank) {
    mismatch(name, `has ${linear.length} index numbers for ${count} values of rank ${rank}`);
  }
  return Array.from({ length: count }, (_, i) =>
    proto.dims.reduce((at, extent, axis) => at * extent + linear[i * rank + axis]!, 0),
  );
}

function expectCount(proto: TensorProto, actual: number, expected: number): void {
  if (actual === expected) return;
  mismatch(
    proto,
    `has ${actual} stored elements where its shape [${proto.dims}] takes ${expected}`,
  );
}

function mismatch(proto: TensorProto, why: string): never {
  fail("L0107", `a tensor ${why}`, { place: { tensor: proto.name ?? "" } });
}
