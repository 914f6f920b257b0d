/** The order in which the values of a group can be computed, and the levels that its reductions cut it into. */
import type { Node, Value } from "../../ir/graph.js";
import type { PreparedGroup } from "./prepare.js";

/** The nodes in the order of the graph: inputs are placed before what reads them. */
export function orderedNodes(prepared: PreparedGroup, producers: ReadonlyMap<Value, Node>): Node[] {
  const ordered: Node[] = [];
  const visit = (node: Node): void => {
    if (ordered.includes(node)) return;
    for (const operand of prepared.space.operands.get(node)!) {
      if (operand.inside) visit(producers.get(operand.value)!);
    }
    ordered.push(node);
  };
  visit(prepared.group.root);
  return ordered;
}

/** Number of reductions that must be known before a node's value can be: for a reduction, before its operand. */
export function nodeLevels(
  prepared: PreparedGroup,
  nodes: readonly Node[],
  producers: ReadonlyMap<Value, Node>,
): Map<Node, number> {
  const levels = new Map<Node, number>();
  for (const node of nodes) {
    let level = 0;
    for (const operand of prepared.space.operands.get(node)!) {
      if (!operand.inside) continue;
      const producer = producers.get(operand.value)!;
      level = Math.max(level, levels.get(producer)! + (producer.op.kind === "reduce" ? 1 : 0));
    }
    levels.set(node, level);
  }
  return levels;
}
