/**
 * An ONNX graph while it is written for another runtime: names for values, nodes with fresh results, constants, and
 * vectors of dims, which are constants or, where symbols stand in them, inputs that each run fills in.
 */
import type { Dim } from "../../ir/dim.js";
import type { Origin, Value } from "../../ir/graph.js";
import type { AttributeValue } from "../../ir/onnx-node.js";
import type { DType } from "../../numerics/dtype.js";
import type { Tensor } from "../../numerics/tensor.js";
import { dtypeToOnnx } from "../../onnx/dtypes.js";
import type { NodeProto, TensorProto } from "../../onnx/schema.js";
import { tensorToProto } from "../../onnx/tensor.js";
import type { Init } from "../../onnx/wire.js";
import { nodeToProto } from "../1-import/host-node.js";

/** Thrown where a graph has no counterpart in ONNX; the region is then evaluated here. */
export class CannotExport extends Error {
  readonly reason: string;

  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

export type Attributes = Readonly<Record<string, AttributeValue>>;

export interface ModelWriter {
  /** Of ai.onnx. */
  readonly opset: number;
  nameOf(value: Value): string;
  setName(value: Value, name: string): void;
  hasName(value: Value): boolean;
  /** A node of ai.onnx with one result; its name. */
  add(operator: string, inputs: readonly string[], attributes?: Attributes): string;
  addNode(node: Init<NodeProto>): void;
  /** A second name for a value. */
  addIdentity(from: string, to: string): void;
  fresh(): string;
  constant(tensor: Tensor): string;
  /** As an int64 vector. */
  dims(dims: readonly Dim[]): string;
  cast(name: string, from: DType, to: DType, attributes?: Attributes): string;
  /** The nodes that follow come from these, and have names that say so. */
  setOrigins(origins: readonly Origin[]): void;
  /** Each name once: the origin's, then with numbers behind it. */
  nodeName(): string;
  readonly nodes: readonly Init<NodeProto>[];
  readonly initializers: readonly Init<TensorProto>[];
  readonly dimInputs: readonly { readonly name: string; readonly dims: readonly Dim[] }[];
}

/** No name of a model's own begins like this. */
const prefix = "lightloom.";

export function createModelWriter(opset: number): ModelWriter {
  const names = new Map<Value, string>();
  const nodes: Init<NodeProto>[] = [];
  const initializers: Init<TensorProto>[] = [];
  const dimInputs: { readonly name: string; readonly dims: readonly Dim[] }[] = [];
  const known = new Map<string, string>();
  let count = 0;
  let label = "";
  const uses = new Map<string, number>();
  const nodeName = (): string => {
    const number = (uses.get(label) ?? 0) + 1;
    uses.set(label, number);
    return number === 1 ? label : `${label}#${number}`;
  };
  const fresh = (): string => `${prefix}${count++}`;
  const constant = (tensor: Tensor): string => {
    const name = fresh();
    initializers.push(tensorToProto(tensor, name));
    return name;
  };
  const add: ModelWriter["add"] = (operator, inputs, attributes = {}) => {
    const output = fresh();
    nodes.push(
      nodeToProto({
        name: nodeName(),
        operator,
        domain: "",
        opset,
        attributes: new Map(Object.entries(attributes)),
        inputNames: inputs,
        outputNames: [output],
      }),
    );
    return output;
  };
  return {
    opset,
    nodes,
    initializers,
    dimInputs,
    fresh,
    nodeName,
    add,
    constant,
    addNode: (node) => void nodes.push(node),
    addIdentity: (from, to) =>
      void nodes.push({ opType: "Identity", name: nodeName(), input: [from], output: [to] }),
    setName: (value, name) => void names.set(value, name),
    hasName: (value) => names.has(value),
    nameOf(value) {
      const name = names.get(value) ?? fresh();
      if (!names.has(value)) names.set(value, name);
      return name;
    },
    dims(dims) {
      const key = dims.map((dim) => (typeof dim === "number" ? dim : dim.text)).join(",");
      const name = known.get(key);
      if (name !== undefined) return name;
      const numbers = dims.filter((dim) => typeof dim === "number");
      const made = numbers.length === dims.length ? constant(int64(numbers)) : fresh();
      if (numbers.length < dims.length) dimInputs.push({ name: made, dims });
      known.set(key, made);
      return made;
    },
    cast(name, from, to, attributes = {}) {
      if (from === to) return name;
      return add("Cast", [name], { to: int(dtypeToOnnx(to)), ...attributes });
    },
    setOrigins: (origins) => void (label = origins[0]?.node ?? "node"),
  };
}

export function int(value: number): AttributeValue {
  return { kind: "int", value: BigInt(value) };
}

export function ints(values: readonly number[]): AttributeValue {
  return { kind: "ints", value: values.map(BigInt) };
}

export function text(value: string): AttributeValue {
  return { kind: "string", value };
}

export function int64(values: readonly number[]): Tensor {
  return { dtype: "i64", shape: [values.length], data: BigInt64Array.from(values, BigInt) };
}
