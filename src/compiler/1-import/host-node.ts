/**
 * Host nodes as ONNX models of one node, and back: how they are handed to another runtime and how executables
 * store them. Subgraphs go along, complete: external tensors put inside, attributes of a surrounding function's
 * call put in place.
 */
import type { HostOperation, Node, Value } from "../../ir/graph.js";
import type { AttributeValue, OnnxNode, SubgraphTemplate } from "../../ir/onnx-node.js";
import type { DType } from "../../numerics/dtype.js";
import { dtypeToOnnx } from "../../onnx/dtypes.js";
import type { Model } from "../../onnx/model.js";
import {
  type AttributeProto,
  attributeTypes,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type TypeProto,
  type ValueInfoProto,
} from "../../onnx/schema.js";
import { tensorToProto } from "../../onnx/tensor.js";
import type { Init } from "../../onnx/wire.js";
import { InternalError } from "../../support/diagnostic.js";
import { readAttributes } from "./attributes.js";
import { graphBody } from "./body.js";
import { rootFrame } from "./frame.js";
import { canonicalDomain, createModelContext, templateSource } from "./model-context.js";
import { createTemplate } from "./nodes.js";

/** The model's name of each input of a host node: its own inputs, then what its subgraphs capture. */
export function hostInputNames({ node }: HostOperation): readonly string[] {
  return [
    ...node.inputNames.filter((name) => name !== ""),
    ...templatesOf(node).flatMap(capturesOf),
  ];
}

/** Inputs with the types that are known; a name occurs once, though several inputs may bear it. */
export function hostNodeModel({ op, inputs }: Node): Init<ModelProto> {
  if (op.kind !== "host") throw new InternalError(`${op.kind} is no host operation`);
  const { node } = op;
  const sources = templatesOf(node).map(templateSource);
  const opsets = new Map(sources.flatMap((source) => [...source.opsets]));
  opsets.set(node.domain, node.opset);
  const infos = new Map<string, Init<ValueInfoProto>>();
  hostInputNames(op).forEach((name, i) => infos.set(name, valueInfo(name, inputs[i]!)));
  return {
    irVersion: 10,
    producerName: "lightloom",
    opsetImport: [...opsets].map(([domain, version]) => ({ domain, version })),
    functions: sources[0]?.model.functions ?? [],
    graph: {
      name: node.name,
      node: [nodeToProto(node)],
      input: [...infos.values()],
      output: node.outputNames.filter((name) => name !== "").map((name) => ({ name })),
    },
  };
}

/** The node of a model that {@link hostNodeModel} wrote. */
export function hostNodeFromModel(model: Model): OnnxNode {
  const [proto] = model.graph.node;
  if (proto === undefined) throw new InternalError("a host node's model has no node");
  const context = createModelContext(model);
  const opsets = context.opsetsOf(model.opsetImport);
  const frame = rootFrame(context, opsets);
  const domain = canonicalDomain(proto.domain);
  return {
    name: proto.name ?? "",
    operator: proto.opType ?? "",
    domain,
    opset: opsets.get(domain) ?? 1,
    attributes: readAttributes(proto.attribute, {
      tensor: context.tensor,
      sparseTensor: context.sparseTensor,
      graph: (graph) => createTemplate(frame, graph, graphBody(graph).captures),
      caller: undefined,
    }),
    inputNames: proto.input,
    outputNames: proto.output,
  };
}

export function templatesOf(node: OnnxNode): readonly SubgraphTemplate[] {
  return [...node.attributes.values()].flatMap((a) => (a.kind === "graph" ? [a.value] : []));
}

function capturesOf(template: SubgraphTemplate): readonly string[] {
  return template.captures;
}

export function nodeToProto(node: OnnxNode): Init<NodeProto> {
  return {
    name: node.name,
    opType: node.operator,
    domain: node.domain,
    input: node.inputNames,
    output: node.outputNames,
    attribute: [...node.attributes].map(([name, value]) => attributeToProto(name, value)),
  };
}

function attributeToProto(name: string, attribute: AttributeValue): Init<AttributeProto> {
  const { kind, value } = attribute;
  const head = { name, type: attributeTypes[kind] };
  switch (kind) {
    case "int":
      return { ...head, i: value };
    case "float":
      return { ...head, f: value };
    case "string":
      return { ...head, s: encoder.encode(value) };
    case "tensor":
      return { ...head, t: tensorToProto(value) };
    case "graph":
      return { ...head, g: completeGraph(value) };
    case "ints":
      return { ...head, ints: value };
    case "floats":
      return { ...head, floats: value };
    case "strings":
      return { ...head, strings: value.map((text) => encoder.encode(text)) };
    case "tensors":
      return { ...head, tensors: value.map((tensor) => tensorToProto(tensor)) };
    default:
      throw new InternalError(`attribute ${name} ${attribute satisfies never}`);
  }
}

const encoder = new TextEncoder();

function completeGraph(template: SubgraphTemplate): Init<GraphProto> {
  const { graph, model, caller } = templateSource(template);
  const tensor = (proto: TensorProto): Init<TensorProto> =>
    proto.dataLocation === 1 ? tensorToProto(model.tensor(proto), proto.name) : proto;
  const attribute = (proto: AttributeProto): Init<AttributeProto>[] => {
    const { t, g, refAttrName = "" } = proto;
    if (refAttrName !== "") {
      const value = caller?.get(refAttrName);
      return value === undefined ? [] : [attributeToProto(proto.name ?? "", value)];
    }
    return [
      {
        ...proto,
        tensors: proto.tensors.map(tensor),
        graphs: proto.graphs.map(complete),
        ...(t === undefined ? {} : { t: tensor(t) }),
        ...(g === undefined ? {} : { g: complete(g) }),
      },
    ];
  };
  const complete = (proto: GraphProto): Init<GraphProto> => ({
    ...proto,
    initializer: proto.initializer.map(tensor),
    node: proto.node.map((node) => ({ ...node, attribute: node.attribute.flatMap(attribute) })),
  });
  return complete(graph);
}

function valueInfo(name: string, value: Value): Init<ValueInfoProto> {
  // A value of unknown shape may as well be a sequence: another runtime has to find out by itself.
  if (value.unknownShape === true) return { name };
  const dim = value.shape.map((d) =>
    typeof d === "number" ? { dimValue: d } : { dimParam: d.text },
  );
  return { name, type: tensorType(value.dtype, dim) };
}

function tensorType(
  dtype: DType,
  dim: readonly ({ readonly dimValue: number } | { readonly dimParam: string })[],
): Init<TypeProto> {
  return { tensorType: { elemType: dtypeToOnnx(dtype), shape: { dim } } };
}
