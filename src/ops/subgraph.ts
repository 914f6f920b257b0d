/**
 * Runs the body of a control-flow node on the host. The body is imported once for all inputs of the same
 * types, with what it captures as constants, and then evaluated.
 */
import { type Dim, dimText } from "../ir/dim.js";
import type { Graph, Value } from "../ir/graph.js";
import type { AttributeValue, SubgraphTemplate } from "../ir/onnx-node.js";
import type { DType } from "../numerics/dtype.js";
import { isTensor } from "./context.js";
import type { EvaluateContext, HostValue, NodeContext } from "./record.js";

export interface SubgraphRunner {
  readonly outputCount: number;
  run(inputs: readonly HostValue[]): readonly HostValue[];
  /** Outputs of the body for inputs of such types, without running it. */
  outputTypes(inputs: readonly (HostValue | Value)[]): readonly Value[];
}

/** Runs the subgraph that is an attribute of the node at hand. */
export function runnerOf(c: EvaluateContext, attribute: string): SubgraphRunner {
  return createSubgraphRunner(c, templateOf(c, attribute), captured(c.node.attributes, c));
}

export function templateOf(c: NodeContext, attribute: string): SubgraphTemplate {
  return c.graph(attribute) ?? c.invalid("L0108", `attribute ${attribute} is missing`);
}

/** Captured values by name; a name means the same in all subgraphs of a node. */
export function captured<V>(
  attributes: ReadonlyMap<string, AttributeValue>,
  {
    inputs,
    node,
  }: { readonly inputs: readonly (V | undefined)[]; readonly node: NodeContext["node"] },
): ReadonlyMap<string, V> {
  const values = new Map<string, V>();
  let at = node.inputNames.length;
  for (const attribute of attributes.values()) {
    if (attribute.kind !== "graph") continue;
    for (const name of attribute.value.captures) values.set(name, inputs[at++]!);
  }
  return values;
}

function createSubgraphRunner(
  { runGraph }: EvaluateContext,
  template: SubgraphTemplate,
  captured: ReadonlyMap<string, HostValue>,
): SubgraphRunner {
  const graphs = new Map<string, Graph>();
  const constants = new Map<string, Value>();
  const others = new Map<string, HostValue>();
  for (const name of template.captures) {
    const value = captured.get(name)!;
    constants.set(
      name,
      isTensor(value) ? { ...typeOf(name, value), data: value } : typeOf(name, value),
    );
    if (!isTensor(value)) others.set(name, value);
  }
  const graphFor = (inputs: readonly (HostValue | Value)[]): Graph => {
    const types = template.inputNames.map((name, i) => typeOf(name, inputs[i]!));
    const key = types.map((v) => `${v.dtype}[${v.unknownShape ? "?" : v.shape}]`).join(" ");
    const known = graphs.get(key);
    if (known !== undefined) return known;
    const graph = template.instantiate(
      new Map([...constants, ...types.map((value) => [value.name, value] as const)]),
    );
    graphs.set(key, graph);
    return graph;
  };
  return {
    outputCount: template.outputNames.length,
    run(inputs) {
      const values = new Map(others);
      template.inputNames.forEach((name, i) => values.set(name, inputs[i]!));
      return runGraph(graphFor(inputs), values);
    },
    outputTypes: (inputs) => graphFor(inputs).outputs.map((output) => output.value),
  };
}

/** Type of a value at hand, as an input of the body has it. */
function typeOf(name: string, value: HostValue | Value): Value {
  if ("kind" in value) {
    return { name, dtype: elementOf(value), shape: [], unknownShape: true };
  }
  const { dtype, shape } = value;
  return { name, dtype, shape };
}

function elementOf(item: HostValue | undefined): Value["dtype"] {
  if (item === undefined) return "f32";
  if (isTensor(item)) return item.dtype;
  if (item.kind === "map") return item.values.dtype;
  return item.kind === "sequence" ? item.elementType : elementOf(item.item);
}

/** L0202 unless it is a bool, L0201 unless there is one of it, whatever its rank. */
export function requireCondition(
  c: NodeContext,
  { dtype, shape }: { readonly dtype: DType; readonly shape: readonly Dim[] },
): void {
  if (dtype !== "bool") c.invalid("L0202", `a condition is ${dtype}, not bool`);
  if (shape.some((dim) => typeof dim === "number" && dim !== 1)) {
    c.invalid(
      "L0201",
      `a condition has the shape [${shape.map(dimText).join(", ")}]: it is one bool`,
    );
  }
}
