/** How much work a graph is, roughly, before anything of it is allocated: elements touched and products added. */
import { dimMax, dimProduct } from "../../src/ir/dim.js";
import type { Graph, Node } from "../../src/ir/graph.js";

export function workOf(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => sum + workOfNode(node), 0);
}

function workOfNode({ op, inputs, outputs }: Node): number {
  const elements = [...inputs, ...outputs].reduce((sum, x) => sum + dimMax(dimProduct(x.shape)), 0);
  if (op.kind !== "contract") return elements;
  const extents = [...op.order].map((label) => dimMax(inputs[0]!.shape[op.a.indexOf(label)]!));
  return elements + extents.reduce((a, b) => a * b, dimMax(dimProduct(outputs[0]!.shape)));
}
