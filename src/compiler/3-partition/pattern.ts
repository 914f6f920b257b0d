/**
 * What a row of the pattern table matches: a small tree over core operations, rooted at the node that gives the
 * result. A match is a composite; what it computes inside may be read by nobody else.
 */
import type { Graph, Node, OperationKind, Value } from "../../ir/graph.js";

export type Pattern =
  /** Any value: where the composite ends. */
  | { readonly kind: "any" }
  /** One of several operations; inputs beyond those listed are anything. */
  | {
      readonly kind: "operation";
      readonly of: readonly OperationKind[];
      readonly inputs: readonly Pattern[];
    }
  /** The first alternative that matches. */
  | { readonly kind: "either"; readonly of: readonly Pattern[] };

export const anything: Pattern = { kind: "any" };

export function operation(
  of: OperationKind | readonly OperationKind[],
  ...inputs: Pattern[]
): Pattern {
  return { kind: "operation", of: typeof of === "string" ? [of] : of, inputs };
}

export function either(...of: Pattern[]): Pattern {
  return { kind: "either", of };
}

/** Producers and users of a graph's values. */
export interface Neighbours {
  readonly producer: ReadonlyMap<Value, Node>;
  readonly users: ReadonlyMap<Value, readonly Node[]>;
  readonly results: ReadonlySet<Value>;
}

export function neighboursOf(graph: Graph): Neighbours {
  const producer = new Map<Value, Node>();
  const users = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    for (const output of node.outputs) producer.set(output, node);
    for (const input of new Set(node.inputs)) {
      const known = users.get(input);
      if (known === undefined) users.set(input, [node]);
      else known.push(node);
    }
  }
  return { producer, users, results: new Set(graph.outputs.map(({ value }) => value)) };
}

/** The nodes of the composite, its root first; undefined where the pattern does not match at the root. */
export function matchPattern(
  pattern: Pattern,
  root: Node,
  neighbours: Neighbours,
): readonly Node[] | undefined {
  switch (pattern.kind) {
    case "any":
      return [root];
    case "either":
      return first(pattern.of, (one) => matchPattern(one, root, neighbours));
    case "operation": {
      if (!pattern.of.includes(root.op.kind)) return undefined;
      const nodes = new Set([root]);
      for (const [i, wanted] of pattern.inputs.entries()) {
        const matched = matchInput(wanted, root.inputs[i], neighbours);
        if (matched === undefined) return undefined;
        for (const node of matched) nodes.add(node);
      }
      return [...nodes];
    }
    default:
      return pattern satisfies never;
  }
}

function matchInput(
  pattern: Pattern,
  value: Value | undefined,
  neighbours: Neighbours,
): readonly Node[] | undefined {
  if (pattern.kind === "any") return [];
  if (pattern.kind === "either")
    return first(pattern.of, (one) => matchInput(one, value, neighbours));
  if (value === undefined) return undefined;
  const producer = neighbours.producer.get(value);
  const leaks = (neighbours.users.get(value)?.length ?? 0) > 1 || neighbours.results.has(value);
  return producer === undefined || leaks ? undefined : matchPattern(pattern, producer, neighbours);
}

function first<T, R>(of: readonly T[], attempt: (one: T) => R | undefined): R | undefined {
  for (const one of of) {
    const result = attempt(one);
    if (result !== undefined) return result;
  }
  return undefined;
}
