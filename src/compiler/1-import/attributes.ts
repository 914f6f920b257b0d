/** Attributes of a node as operator records get them: decoded, references to a function's caller resolved. */
import type { AttributeValue, SubgraphTemplate } from "../../ir/onnx-node.js";
import type { Tensor } from "../../numerics/tensor.js";
import { type AttributeProto, attributeTypes, type GraphProto } from "../../onnx/schema.js";
import type { SparseTensorProto, TensorProto } from "../../onnx/schema.js";
import { fail } from "../../support/diagnostic.js";

export interface AttributeReaders {
  tensor(proto: TensorProto): Tensor;
  sparseTensor(proto: SparseTensorProto): Tensor;
  graph(proto: GraphProto): SubgraphTemplate;
  /** Attributes of the calling node; undefined outside of functions. */
  readonly caller: ReadonlyMap<string, AttributeValue> | undefined;
}

export function readAttributes(
  protos: readonly AttributeProto[],
  readers: AttributeReaders,
): ReadonlyMap<string, AttributeValue> {
  const attributes = new Map<string, AttributeValue>();
  const given = new Set<string>();
  for (const proto of protos) {
    const { name = "" } = proto;
    if (given.has(name)) fail("L0108", `the attribute "${name}" is given twice`);
    given.add(name);
    const value = readAttribute(proto, readers);
    if (value !== undefined) attributes.set(name, value);
  }
  return attributes;
}

const decoder = new TextDecoder();

/** Undefined for a reference to an attribute that the caller leaves out: then it is left out here too. */
function readAttribute(
  proto: AttributeProto,
  readers: AttributeReaders,
): AttributeValue | undefined {
  const { name = "", refAttrName = "" } = proto;
  if (refAttrName !== "") {
    if (readers.caller !== undefined) return readers.caller.get(refAttrName);
    fail("L0108", `the attribute "${name}" refers to one of a function, and is in none`);
  }
  switch (proto.type ?? guessType(proto)) {
    case attributeTypes.float:
      return { kind: "float", value: proto.f ?? 0 };
    case attributeTypes.int:
      return { kind: "int", value: proto.i ?? 0n };
    case attributeTypes.string:
      return { kind: "string", value: decoder.decode(proto.s) };
    case attributeTypes.tensor:
      return { kind: "tensor", value: readers.tensor(required(proto, proto.t)) };
    case attributeTypes.sparseTensor:
      return { kind: "tensor", value: readers.sparseTensor(required(proto, proto.sparseTensor)) };
    case attributeTypes.graph:
      return { kind: "graph", value: readers.graph(required(proto, proto.g)) };
    case attributeTypes.floats:
      return { kind: "floats", value: proto.floats };
    case attributeTypes.ints:
      return { kind: "ints", value: proto.ints };
    case attributeTypes.strings:
      return { kind: "strings", value: proto.strings.map((s) => decoder.decode(s)) };
    case attributeTypes.tensors:
      return { kind: "tensors", value: proto.tensors.map(readers.tensor) };
    case attributeTypes.typeProto:
      // Only the type of an empty Optional: its value is absent whatever the type.
      return undefined;
    default:
      fail("L0108", `attribute ${proto.name ?? ""} has the unknown type number ${proto.type}`);
  }
}

/** Files of IR version 1 do not say which field is in use. */
function guessType(proto: AttributeProto): number {
  if (proto.f !== undefined) return attributeTypes.float;
  if (proto.i !== undefined) return attributeTypes.int;
  if (proto.s !== undefined) return attributeTypes.string;
  if (proto.t !== undefined) return attributeTypes.tensor;
  if (proto.g !== undefined) return attributeTypes.graph;
  if (proto.floats.length > 0) return attributeTypes.floats;
  if (proto.strings.length > 0) return attributeTypes.strings;
  return attributeTypes.ints;
}

function required<T>(proto: AttributeProto, value: T | undefined): T {
  return value ?? fail("L0108", `attribute ${proto.name ?? ""} has no value`);
}
