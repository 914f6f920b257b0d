/**
 * ONNX models for tests, written as data: types as text (`f32[N, 3]`), attributes as plain values.
 *
 *     onnxModel({
 *       inputs: { x: "f32[N, 3]" },
 *       nodes: [node("Relu", ["x"], ["y"])],
 *       outputs: { y: "f32[N, 3]" },
 *     });
 */
import type { DType } from "../../src/numerics/dtype.js";
import type { Tensor, TensorData } from "../../src/numerics/tensor.js";
import { dtypeToOnnx } from "../../src/onnx/dtypes.js";
import { decodeModel, encodeModel, type Model } from "../../src/onnx/model.js";
import {
  type AttributeProto,
  attributeTypes,
  type FunctionProto,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TypeProto,
  type ValueInfoProto,
} from "../../src/onnx/schema.js";
import { tensorToProto } from "../../src/onnx/tensor.js";
import type { Init } from "../../src/onnx/wire.js";

export type AttributeInit =
  | bigint
  | number
  | string
  | readonly bigint[]
  | readonly number[]
  | readonly string[]
  | Tensor
  | { readonly float: number }
  | { readonly floats: readonly number[] }
  | { readonly graph: Init<GraphProto> }
  | { readonly ref: string; readonly type: keyof typeof attributeTypes };

export interface GraphInit {
  readonly name?: string;
  readonly inputs?: Readonly<Record<string, string>>;
  readonly outputs: Readonly<Record<string, string>>;
  readonly nodes: readonly Init<NodeProto>[];
  readonly initializers?: Readonly<Record<string, Tensor>>;
  /** Types of inner values. */
  readonly types?: Readonly<Record<string, string>>;
}

export interface ModelInit extends GraphInit {
  /** By domain; a number is that of ai.onnx. */
  readonly opset?: number | Readonly<Record<string, number>>;
  readonly functions?: readonly Init<FunctionProto>[];
}

/** The model as a reader gets it: encoded and decoded again. */
export function onnxModel(init: ModelInit): Model {
  return decodeModel(onnxFile(init));
}

export function onnxFile(init: ModelInit): Uint8Array {
  return encodeModel(modelProto(init));
}

export function modelProto({ opset = 21, functions = [], ...graph }: ModelInit): Init<ModelProto> {
  const opsets = typeof opset === "number" ? { "": opset } : opset;
  return {
    irVersion: 10,
    producerName: "test",
    opsetImport: Object.entries(opsets).map(([domain, version]) => ({ domain, version })),
    graph: graphProto(graph),
    functions,
  };
}

export function graphProto(init: GraphInit): Init<GraphProto> {
  const { name = "test", inputs = {}, outputs, nodes, initializers = {}, types = {} } = init;
  return {
    name,
    node: nodes,
    input: valueInfos(inputs),
    output: valueInfos(outputs),
    valueInfo: valueInfos(types),
    initializer: Object.entries(initializers).map(([key, tensor]) => tensorToProto(tensor, key)),
  };
}

/** `operator` may be written "com.microsoft::Gelu"; numbers that are integers become int attributes. */
export function node(
  operator: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeInit>> = {},
  name?: string,
): Init<NodeProto> {
  const [domain, opType] = operator.includes("::") ? operator.split("::") : ["", operator];
  return {
    opType: opType!,
    ...(domain === "" ? {} : { domain: domain! }),
    ...(name === undefined ? {} : { name }),
    input: inputs,
    output: outputs,
    attribute: Object.entries(attributes).map(([key, value]) => attribute(key, value)),
  };
}

export function attribute(name: string, value: AttributeInit): Init<AttributeProto> {
  const { float, int, string, tensor, graph, floats, ints, strings } = attributeTypes;
  if (typeof value === "bigint") return { name, type: int, i: value };
  if (typeof value === "number") {
    return Number.isInteger(value)
      ? { name, type: int, i: BigInt(value) }
      : { name, type: float, f: value };
  }
  if (typeof value === "string") return { name, type: string, s: utf8(value) };
  if (isList(value)) {
    if (value.length > 0 && typeof value[0] === "string") {
      return { name, type: strings, strings: (value as readonly string[]).map(utf8) };
    }
    return { name, type: ints, ints: (value as readonly (number | bigint)[]).map(BigInt) };
  }
  if ("float" in value) return { name, type: float, f: value.float };
  if ("floats" in value) return { name, type: floats, floats: value.floats };
  if ("graph" in value) return { name, type: graph, g: value.graph };
  if ("ref" in value) return { name, type: attributeTypes[value.type], refAttrName: value.ref };
  return { name, type: tensor, t: tensorToProto(value) };
}

/** `f32[2, N, ?]`, `f32` (no shape), `seq(f32[*])`, `opt(...)`, `map(string, f32)`. */
export function typeProto(text: string): Init<TypeProto> {
  const map = /^map\((\w+), (.*)\)$/.exec(text);
  if (map !== null) {
    const keyType = dtypeToOnnx(map[1] as DType);
    return { mapType: { keyType, valueType: typeProto(map[2]!) } };
  }
  const wrapped = /^(seq|opt)\((.*)\)$/.exec(text);
  if (wrapped !== null) {
    const elemType = typeProto(wrapped[2]!);
    return wrapped[1] === "seq" ? { sequenceType: { elemType } } : { optionalType: { elemType } };
  }
  const [, dtype, , dims] = /^(\w+)(\[(.*)\])?$/.exec(text)!;
  const elemType = dtypeToOnnx(dtype as DType);
  if (dims === undefined || dims === "*") return { tensorType: { elemType } };
  const dim = dims
    .split(",")
    .map((d) => d.trim())
    .filter((d) => d !== "")
    .map((d) => (/^\d+$/.test(d) ? { dimValue: Number(d) } : d === "?" ? {} : { dimParam: d }));
  return { tensorType: { elemType, shape: { dim } } };
}

export function f32(shape: readonly number[], values: readonly number[]): Tensor {
  return { dtype: "f32", shape, data: Float32Array.from(values) };
}

export function i64(shape: readonly number[], values: readonly number[]): Tensor {
  return { dtype: "i64", shape, data: BigInt64Array.from(values, BigInt) };
}

export function bool(shape: readonly number[], values: readonly boolean[]): Tensor {
  return { dtype: "bool", shape, data: Uint8Array.from(values, Number) };
}

export function tensor(dtype: DType, shape: readonly number[], data: TensorData): Tensor {
  return { dtype, shape, data };
}

function valueInfos(types: Readonly<Record<string, string>>): Init<ValueInfoProto>[] {
  return Object.entries(types).map(([name, text]) => ({ name, type: typeProto(text) }));
}

function isList(
  value: AttributeInit,
): value is readonly bigint[] | readonly number[] | readonly string[] {
  return Array.isArray(value);
}

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
