/**
 * Composites and their targets: each node is taken by the first row of the pattern table that matches and does not
 * decline, together with what the row takes along; a node that no row takes is one for the host, with the reason.
 */
import type { Graph, Node } from "../../ir/graph.js";
import { matchPattern, type Neighbours, neighboursOf } from "./pattern.js";
import { type PatternRow, patternTable, type WhyNot } from "./pattern-table.js";
import { remedyFor } from "./remedies.js";

/** `nodes`: the root first, whose results alone are read by others. */
export type Composite =
  | {
      readonly target: "device";
      readonly pattern: PatternRow["name"];
      readonly nodes: readonly Node[];
    }
  | { readonly target: "host"; readonly whyNot: WhyNot; readonly nodes: readonly Node[] };

/** In the order of their roots, so producers come first; every node is in one composite. */
export function annotate(graph: Graph): readonly Composite[] {
  const neighbours = neighboursOf(graph);
  const compositeOf = new Map<Node, Composite>();
  // From the results backwards, so that a root comes before what it takes along.
  for (const node of [...graph.nodes].reverse()) {
    if (compositeOf.has(node)) continue;
    const composite = compositeAt(node, neighbours);
    for (const member of composite.nodes) compositeOf.set(member, composite);
  }
  return graph.nodes.flatMap((node) => {
    const composite = compositeOf.get(node)!;
    return composite.nodes[0] === node ? [composite] : [];
  });
}

function compositeAt(root: Node, neighbours: Neighbours): Composite {
  let whyNot: WhyNot | undefined;
  for (const row of patternTable) {
    const nodes = matchPattern(row.pattern, root, neighbours);
    if (nodes === undefined) continue;
    whyNot = row.check(nodes);
    if (whyNot === undefined) return { target: "device", pattern: row.name, nodes };
  }
  return { target: "host", whyNot: whyNot ?? noPattern(root), nodes: [root] };
}

function noPattern({ op }: Node): WhyNot {
  if (op.kind !== "host") return { reason: `no pattern takes ${op.kind}` };
  const remedy = remedyFor(op.reason);
  return { reason: op.reason, ...(remedy === undefined ? {} : { remedy }) };
}
