/** The two models that a cut leaves, each made of the nodes, weights and declarations of the whole. */
import { dtypeToOnnx } from "../../onnx/dtypes.js";
import type { Model } from "../../onnx/model.js";
import type { GraphProto, TypeProto, ValueInfoProto } from "../../onnx/schema.js";
import { isTensor } from "../../ops/context.js";
import type { HostValue } from "../../ops/record.js";
import { type BodyNode, graphBody, liveNodes } from "./body.js";

/** What stands between the two parts. */
interface Cut {
  readonly later: readonly BodyNode[];
  /** Names of what later nodes make. */
  readonly made: ReadonlySet<string>;
  /** Names of what later nodes read of others: results of the first part, inputs, initializers. */
  readonly read: ReadonlySet<string>;
  /** Of these, what nodes of the first part make. */
  readonly crossing: ReadonlySet<string>;
}

function cutAt(graph: GraphProto, numbers: readonly number[]): Cut {
  const chosen = new Set(numbers);
  const { nodes } = graphBody(graph);
  const later = nodes.filter(({ number }) => chosen.has(number));
  const outputs = (of: readonly BodyNode[]) => new Set(of.flatMap(({ proto }) => proto.output));
  const made = outputs(later);
  const read = new Set(later.flatMap(({ uses }) => uses).filter((name) => !made.has(name)));
  const all = outputs(nodes);
  return { later, made, read, crossing: new Set([...read].filter((name) => all.has(name))) };
}

/** The model without these nodes; what they read of the others is among its outputs. Its inputs are the model's. */
export function firstPart(model: Model, later: readonly number[]): Model {
  const { graph } = model;
  const { made, crossing } = cutAt(graph, later);
  const own = graph.output.filter(({ name = "" }) => !made.has(name));
  const names = new Set(own.map(({ name }) => name));
  const added = [...crossing].filter((name) => !names.has(name)).map((name) => ({ name }));
  const part = { ...graph, output: [...own, ...added] };
  const live = liveNodes(
    graphBody(part),
    part.output.map(({ name = "" }) => name),
  );
  return { ...model, graph: { ...part, node: live.map(({ number }) => graph.node[number]!) } };
}

/**
 * The model of these nodes alone. `values`: the inputs of the whole and the results of the first part, which say what
 * types the inputs of this one have. Of the results only the ranks are fixed.
 */
export function laterPart(
  model: Model,
  later: readonly number[],
  values: ReadonlyMap<string, HostValue>,
): Model {
  const { graph } = model;
  const { later: nodes, made, read, crossing } = cutAt(graph, later);
  const own = graph.input.filter(({ name = "" }) => read.has(name) && values.has(name));
  const label = labels(own.map(({ name = "" }) => name));
  const crossed = [...crossing].map((name) => valueInfo(name, values.get(name)!, label(name)));
  return {
    ...model,
    graph: {
      ...graph,
      input: [...own, ...crossed],
      output: graph.output.filter(({ name = "" }) => made.has(name)),
      node: nodes.map(({ proto }) => proto),
      initializer: graph.initializer.filter(({ name = "" }) => read.has(name)),
      sparseInitializer: graph.sparseInitializer.filter((t) => read.has(t.values?.name ?? "")),
    },
  };
}

/** For dims: names as near to the values' as what expressions of dims can be written with, no two the same. */
function labels(names: readonly string[]): (name: string) => string {
  const taken = new Set(names);
  return (name) => {
    const plain = name.replace(/[^\w.]/g, "_").replace(/^(?![A-Za-z_])/, "_");
    let free = plain;
    for (let i = 1; taken.has(free); i++) free = `${plain}_${i}`;
    taken.add(free);
    return free;
  };
}

function valueInfo(name: string, value: HostValue, label: string): ValueInfoProto {
  return { name, type: typeOf(value, label) };
}

function typeOf(value: HostValue, label: string): TypeProto {
  if (isTensor(value)) {
    const dim = value.shape.map((_, axis) => ({ dimParam: `${label}.${axis}` }));
    return { tensorType: { elemType: dtypeToOnnx(value.dtype), shape: { dim } } };
  }
  if (value.kind === "map") {
    const elementType = { elemType: dtypeToOnnx(value.values.dtype) };
    const keyType = dtypeToOnnx(value.keys.dtype);
    return { mapType: { keyType, valueType: { tensorType: elementType } } };
  }
  if (value.kind === "sequence") {
    const [first] = value.items;
    if (first !== undefined && !isTensor(first)) {
      return { sequenceType: { elemType: typeOf(first, label) } };
    }
    const elementType = { elemType: dtypeToOnnx(value.elementType) };
    return { sequenceType: { elemType: { tensorType: elementType } } };
  }
  const { item } = value;
  return { optionalType: item === undefined ? {} : { elemType: typeOf(item, label) } };
}
