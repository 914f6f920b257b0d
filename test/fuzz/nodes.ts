/** The nodes of a model and the values that they read, each as a model of its own that others can run. */
import { graphBody, liveNodes } from "../../src/compiler/1-import/body.js";
import { evaluateModel } from "../../src/compiler/1-import/evaluate-model.js";
import { canonicalDomain } from "../../src/compiler/1-import/model-context.js";
import { type DType, isFloat } from "../../src/numerics/dtype.js";
import { dtypeToOnnx } from "../../src/onnx/dtypes.js";
import { encodeModel, type Model } from "../../src/onnx/model.js";
import type { NodeProto } from "../../src/onnx/schema.js";
import { tensorToProto } from "../../src/onnx/tensor.js";
import type { Init } from "../../src/onnx/wire.js";
import { isTensor } from "../../src/ops/context.js";
import type { HostValue } from "../../src/ops/record.js";
import { ortTypes } from "../../src/runtime/type-names.js";
import { node as nodeInit } from "../support/onnx-builder.js";

export type Values = ReadonlyMap<string, HostValue>;

export interface ModelNode {
  readonly proto: NodeProto;
  /** As origins and diagnostics call it. */
  readonly name: string;
  /** With its domain before `::` unless that is ai.onnx. */
  readonly operator: string;
  /** What it and its subgraphs read. */
  readonly uses: readonly string[];
  readonly outputNames: readonly string[];
}

/** The nodes of the outermost graph that its outputs need. */
export function nodesOf(model: Model): readonly ModelNode[] {
  const body = graphBody(model.graph);
  return liveNodes(body, body.outputNames).map(({ name, proto, uses }) => {
    const domain = canonicalDomain(proto.domain);
    const outputNames = proto.output.filter((output) => output !== "");
    const operator = `${domain}${domain === "" ? "" : "::"}${proto.opType ?? ""}`;
    return { name, proto, uses, operator, outputNames };
  });
}

/** Everything that the nodes read and make, by the references. */
export function everyValue(model: Model, nodes: readonly ModelNode[], inputs: Values): Values {
  const read = new Set(nodes.flatMap(({ uses }) => uses));
  const constants = model.graph.initializer.map(({ name = "" }) => name);
  const names = [
    ...nodes.flatMap(({ outputNames }) => outputNames),
    ...constants.filter((name) => read.has(name) && !inputs.has(name)),
  ];
  const output = names.map((name) => ({ name }));
  const open: Model = { ...model, graph: { ...model.graph, output } };
  return new Map([...inputs, ...evaluateModel(open, inputs)]);
}

/**
 * The file of one node alone: what it reads are initializers, so that every element type can be given. What is no
 * tensor has no such form: the nodes that make it come along, undefined where it is an input. Outputs of types that
 * ONNX Runtime's API has no name for are widened, and named by {@link nameInFile}.
 */
export function standalone(
  model: Model,
  nodes: readonly ModelNode[],
  node: ModelNode,
  values: Values,
): Uint8Array | undefined {
  const wanted = new Set<ModelNode>();
  const constants = new Map<string, HostValue>();
  const add = (one: ModelNode): boolean => {
    wanted.add(one);
    return one.uses.every((name) => {
      const value = values.get(name);
      if (value === undefined) return false;
      if (isTensor(value)) return constants.set(name, value);
      const maker = nodes.find((other) => other.outputNames.includes(name));
      return maker !== undefined && add(maker);
    });
  };
  if (!add(node)) return undefined;
  const wide = node.outputNames.filter((name) => isNameless(values.get(name)));
  return encodeModel({
    ...model,
    graph: {
      ...model.graph,
      node: [
        ...nodes.filter((one) => wanted.has(one)).map(({ proto }) => proto),
        ...wide.map((name) => widening(name)),
      ],
      input: [],
      initializer: [...constants].flatMap(([name, value]) =>
        isTensor(value) ? [tensorToProto(value, name)] : [],
      ),
      sparseInitializer: [],
      valueInfo: [],
      output: node.outputNames.map((name) => ({ name: nameInFile(name, values) })),
    },
  });
}

/** The output of {@link standalone} that holds this value. */
export function nameInFile(name: string, values: Values): string {
  return isNameless(values.get(name)) ? `${name}.wide` : name;
}

function isNameless(value: HostValue | undefined): boolean {
  return (
    value !== undefined && isTensor(value) && isFloat(value.dtype) && !(value.dtype in ortTypes)
  );
}

function widening(name: string): Init<NodeProto> {
  return nodeInit("Cast", [name], [`${name}.wide`], { to: dtypeToOnnx("f32") });
}

/** The element type of the first value that a node reads or, where it reads none, makes. */
export function firstType(node: ModelNode, values: Values): DType | undefined {
  const [value] = [...node.proto.input, ...node.uses, ...node.outputNames].flatMap(
    (name) => values.get(name) ?? [],
  );
  return value === undefined ? undefined : elementType(value);
}

function elementType(value: HostValue): DType | undefined {
  if (isTensor(value)) return value.dtype;
  if (value.kind === "sequence") return value.elementType;
  if (value.kind === "map") return value.values.dtype;
  return value.item && elementType(value.item);
}
