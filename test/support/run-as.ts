/** A graph of other element types than the one that a caller knows: how the runtime calls it. */
import { evaluateGraph } from "../../src/ir/evaluate/evaluate.js";
import type { Graph } from "../../src/ir/graph.js";
import { convertData } from "../../src/numerics/convert.js";
import type { DType } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";

/** Refuses to evaluate a host node. */
export const noHost = (): never => {
  throw new Error("no host node expected");
};

/** Inputs in the types that `graph` wants, outputs in those of `outer`. */
export function runAs(graph: Graph, outer: Graph, inputs: ReadonlyMap<string, Tensor>) {
  const given = graph.inputs.map(
    ({ name, dtype }) => [name, converted(inputs.get(name)!, dtype)] as const,
  );
  const results = evaluateGraph(graph, new Map(given), noHost);
  return new Map(
    outer.outputs.map(({ name, value }) => [
      name,
      converted(results.get(name)! as Tensor, value.dtype),
    ]),
  );
}

function converted(tensor: Tensor, dtype: DType): Tensor {
  return { ...tensor, dtype, data: convertData(tensor.dtype, tensor.data, dtype) };
}
