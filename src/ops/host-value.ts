/** Values of test files and of callers, as host operations take them: tensors, sequences, optionals. */
import { dtypeFromOnnx } from "../onnx/dtypes.js";
import { decodeOnnx } from "../onnx/model.js";
import {
  type OptionalProto,
  optionalSchema,
  type SequenceProto,
  sequenceSchema,
  tensorSchema,
  type TypeProto,
} from "../onnx/schema.js";
import { tensorFromProto } from "../onnx/tensor.js";
import type { Tensor } from "../numerics/tensor.js";
import { fail } from "../support/diagnostic.js";
import type { HostMap, HostValue } from "./record.js";

export interface NamedValue {
  /** "" where the file gives none. */
  readonly name: string;
  readonly value: HostValue;
}

/** What a value that is no tensor consists of. */
export function itemsOf(value: Exclude<HostValue, Tensor>): readonly HostValue[] {
  switch (value.kind) {
    case "sequence":
      return value.items;
    case "map":
      return [value.keys, value.values];
    case "optional":
      return value.item === undefined ? [] : [value.item];
  }
}

/** Keys and values of a map as plain values; integers that a number holds are numbers. */
export function entriesOf({
  keys,
  values,
}: HostMap): readonly (readonly [string | number, MapItem])[] {
  const items = Array.from(values.data as ArrayLike<MapItem | bigint>, plain);
  const names = Array.from(keys.data as ArrayLike<string | bigint>, plain);
  return names.map((key, i) => [key, items[i]!]);
}

type MapItem = string | number;

function plain(value: string | number | bigint): MapItem {
  return typeof value === "bigint" ? Number(value) : value;
}

/** A `.pb` file; what message it holds depends on the type of the input or output that it is for. */
export function decodeHostValue(
  bytes: Uint8Array,
  type: TypeProto | undefined,
  file?: string,
): NamedValue {
  const place = file === undefined ? {} : { file };
  if (type?.sequenceType !== undefined) {
    const proto = decodeOnnx(sequenceSchema, bytes, { ...place, what: "a sequence of tensors" });
    return { name: proto.name ?? "", value: sequenceValue(proto) };
  }
  if (type?.optionalType !== undefined) {
    const proto = decodeOnnx(optionalSchema, bytes, { ...place, what: "an optional value" });
    return { name: proto.name ?? "", value: optionalValue(proto) };
  }
  const proto = decodeOnnx(tensorSchema, bytes, { ...place, what: "a tensor" });
  return { name: proto.name ?? "", value: tensorFromProto(proto) };
}

function sequenceValue(proto: SequenceProto): HostValue {
  const items = [
    ...proto.tensorValues.map((tensor) => tensorFromProto(tensor)),
    ...proto.sequenceValues.map(sequenceValue),
    ...proto.optionalValues.map(optionalValue),
  ];
  const code = proto.tensorValues[0]?.dataType;
  const elementType = (code === undefined ? undefined : dtypeFromOnnx(code)) ?? "f32";
  return { kind: "sequence", elementType, items };
}

function optionalValue(proto: OptionalProto): HostValue {
  const { tensorValue, sequenceValue: sequence, optionalValue: inner, elemType = 0 } = proto;
  if (tensorValue !== undefined) return { kind: "optional", item: tensorFromProto(tensorValue) };
  if (sequence !== undefined) return { kind: "optional", item: sequenceValue(sequence) };
  if (inner !== undefined) return { kind: "optional", item: optionalValue(inner) };
  if (elemType > 5) fail("L0102", `an optional value is of the unknown kind ${elemType}`);
  return { kind: "optional", item: undefined };
}
