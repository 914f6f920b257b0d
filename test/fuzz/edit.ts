/** Small edits of decoded models; what they return shares everything that they do not change. */
import type { Model } from "../../src/onnx/model.js";
import type { AttributeProto, GraphProto, NodeProto, TensorProto } from "../../src/onnx/schema.js";
import type { Random } from "../support/random.js";

export function withGraph(model: Model, change: Partial<GraphProto>): Model {
  return { ...model, graph: { ...model.graph, ...change } };
}

export function replaced<T>(items: readonly T[], index: number, ...by: readonly T[]): readonly T[] {
  return items.toSpliced(index, 1, ...by);
}

/** A random item changed; the same list where it is empty. */
export function changeOne<T>(items: readonly T[], r: Random, change: (item: T) => T): readonly T[] {
  if (items.length === 0) return items;
  const index = r.integer(0, items.length - 1);
  return replaced(items, index, change(items[index]!));
}

/** A random node changed, now and then one of a subgraph. */
export function changeNode(model: Model, r: Random, change: (node: NodeProto) => NodeProto): Model {
  return { ...model, graph: changeNodeOf(model.graph, r, change) };
}

function changeNodeOf(
  graph: GraphProto,
  r: Random,
  change: (node: NodeProto) => NodeProto,
): GraphProto {
  const node = changeOne(graph.node, r, (chosen) => {
    const inner = chosen.attribute.findIndex(({ g }) => g !== undefined);
    if (inner < 0 || r.chance(0.3)) return change(chosen);
    const attribute = chosen.attribute[inner]!;
    const g = changeNodeOf(attribute.g!, r, change);
    return { ...chosen, attribute: replaced(chosen.attribute, inner, { ...attribute, g }) };
  });
  return { ...graph, node };
}

export function changeAttribute(
  model: Model,
  r: Random,
  change: (attribute: AttributeProto) => AttributeProto,
): Model {
  return changeNode(model, r, (node) => ({
    ...node,
    attribute: changeOne(node.attribute, r, change),
  }));
}

/** A random tensor changed: an initializer, or the value of a Constant. */
export function changeTensor(
  model: Model,
  r: Random,
  change: (tensor: TensorProto) => TensorProto,
): Model {
  if (model.graph.initializer.length > 0 && r.chance(0.8)) {
    return withGraph(model, { initializer: changeOne(model.graph.initializer, r, change) });
  }
  return changeAttribute(model, r, (attribute) =>
    attribute.t === undefined ? attribute : { ...attribute, t: change(attribute.t) },
  );
}

/** Every name that a graph's nodes can read. */
export function namesOf(graph: GraphProto): readonly string[] {
  const names = [
    ...graph.input.map((input) => input.name ?? ""),
    ...graph.initializer.map((tensor) => tensor.name ?? ""),
    ...graph.node.flatMap((node) => node.output),
  ];
  return names.filter((name) => name !== "");
}

/** All but a random one. */
export function without<T>(items: readonly T[], r: Random): readonly T[] {
  return items.length === 0 ? items : items.toSpliced(r.integer(0, items.length - 1), 1);
}
