/** What graph passes share: replacing nodes and values without touching the input graph. */
import type { GraphBuilder } from "../../ir/builder.js";
import { createGraphBuilder } from "../../ir/build/graph-builder.js";
import type { Graph, Node, Origin, Value } from "../../ir/graph.js";

/** What a node becomes: nodes that make `outputs`, which stand for its own outputs from then on. */
export interface Replacement {
  readonly nodes: readonly Node[];
  readonly outputs: readonly Value[];
}

/**
 * Offers every node, its inputs already replaced, to `visit`; undefined keeps it. Returns the same graph if
 * nothing was replaced.
 */
export function rewriteNodes(graph: Graph, visit: (node: Node) => Replacement | undefined): Graph {
  const replaced = new Map<Value, Value>();
  const current = (value: Value): Value => replaced.get(value) ?? value;
  const nodes: Node[] = [];
  for (const original of graph.nodes) {
    const inputs = original.inputs.map(current);
    const isChanged = inputs.some((value, i) => value !== original.inputs[i]);
    const node = isChanged ? { ...original, inputs } : original;
    const replacement = visit(node);
    if (replacement === undefined) {
      nodes.push(node);
      continue;
    }
    nodes.push(...replacement.nodes);
    original.outputs.forEach((value, i) => {
      replaced.set(value, replacement.outputs[i]!);
    });
  }
  if (replaced.size === 0) return graph;
  const outputs = graph.outputs.map(({ name, value }) => ({ name, value: current(value) }));
  return dropDeadNodes({ ...graph, nodes, outputs });
}

/**
 * What `write` builds in place of a node, from values of the graph; undefined if it gives up. Names derive from the
 * replaced value's; `tag` keeps those of one pass apart from those of others.
 */
export function buildReplacement(
  node: Node,
  tag: string,
  origins: readonly Origin[],
  write: (b: GraphBuilder) => Value | undefined,
): Replacement | undefined {
  const [{ name }] = node.outputs as [Value];
  const b = createGraphBuilder({ prefix: `${name}.${tag}` });
  b.setOrigins(origins);
  const value = write(b);
  if (value === undefined) return undefined;
  b.name(value, name);
  return { nodes: b.finish(name, [{ name, value }]).nodes, outputs: [value] };
}

/** Without nodes that no output depends on. */
export function dropDeadNodes(graph: Graph): Graph {
  const live = new Set(graph.outputs.map((output) => output.value));
  const nodes: Node[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((value) => live.has(value))) continue;
    nodes.push(node);
    for (const input of node.inputs) live.add(input);
  }
  return nodes.length === graph.nodes.length ? graph : { ...graph, nodes: nodes.reverse() };
}

/** Builds the nodes of a replacement one by one; names derive from the replaced value's. */
export class NodeSequence {
  readonly nodes: Node[] = [];
  readonly #from: Node;
  readonly #tag: string;
  #count = 0;

  /** `tag` keeps the names of one pass apart from those of others. */
  constructor(from: Node, tag: string) {
    this.#from = from;
    this.#tag = tag;
  }

  add(op: Node["op"], inputs: readonly Value[], type: Pick<Value, "dtype" | "shape">): Value {
    this.#count++;
    const name = `${this.#from.outputs[0]!.name}.${this.#tag}${this.#count}`;
    return this.#push(op, inputs, { name, ...type });
  }

  /** The last one, which carries the name of what it replaces. */
  finish(
    op: Node["op"],
    inputs: readonly Value[],
    type: Pick<Value, "dtype" | "shape">,
  ): Replacement {
    const value = this.#push(op, inputs, { name: this.#from.outputs[0]!.name, ...type });
    return { nodes: this.nodes, outputs: [value] };
  }

  #push(op: Node["op"], inputs: readonly Value[], output: Value): Value {
    this.nodes.push({ op, inputs, outputs: [output], origins: this.#from.origins });
    return output;
  }
}
