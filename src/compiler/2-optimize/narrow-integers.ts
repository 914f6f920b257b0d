import type { Graph } from "../../ir/graph.js";
export function narrowIntegers(graph: Graph): Graph {
  return graph;
}
