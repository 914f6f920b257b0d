/**
 * Outputs of a model whose values are drawn at random: they depend on an operator that ONNX leaves the generator of
 * numbers to. Two correct runtimes agree on their types and shapes only.
 */
import type { Model } from "../onnx/model.js";
import type { GraphProto, NodeProto } from "../onnx/schema.js";
import { findOperator } from "../ops/table.js";

export function randomOutputs(model: Model): ReadonlySet<string> {
  const opsets = new Map(model.opsetImport.map(({ domain, version }) => [domain, Number(version)]));
  const functions = new Map(model.functions.map((body) => [body.name, body.node]));
  /** Functions that are being looked into: one that calls itself is found random by its other nodes, or never. */
  const open = new Set<string>();
  const draws = (node: NodeProto): boolean => {
    const [domain, name] = [node.domain ?? "", node.opType ?? ""];
    if (findOperator(domain, name, opsets.get(domain) ?? 1)?.isRandom === true) return true;
    if (node.attribute.some(({ g }) => g?.node.some(draws))) return true;
    if (!functions.has(name) || open.has(name)) return false;
    open.add(name);
    const isRandom = functions.get(name)!.some(draws);
    open.delete(name);
    return isRandom;
  };
  const random = dependents(model.graph, draws);
  return new Set(
    model.graph.output.map(({ name = "" }) => name).filter((name) => random.has(name)),
  );
}

/** Values that nodes with some property make, and all that is computed from them; nodes are in order. */
function dependents({ node }: GraphProto, is: (node: NodeProto) => boolean): ReadonlySet<string> {
  const found = new Set<string>();
  for (const one of node) {
    const depends = one.input.some((name) => found.has(name)) || is(one);
    if (depends) for (const name of one.output) found.add(name);
  }
  return found;
}
