/**
 * A long reduction with few results, in two: partial results of stretches of the elements first, which members can
 * share out, then those. Only where the order of the elements does not matter.
 *
 *   reduce max axes=[0, 1, 2]   ->   reduce max axes=[0] (reduce max axes=[1, 2])
 */
import { type Dim, dimMax } from "../../ir/dim.js";
import type { Graph, Node, ReduceOperation, Value } from "../../ir/graph.js";
import { isFloat } from "../../numerics/dtype.js";
import { NodeSequence, type Replacement, rewriteNodes } from "./rewrite.js";

/** Partial results that are aimed at: enough for the members of a large device, few to reduce again. */
const partialsGoal = 256;
/** Elements per result from which a second kernel is worth its launch. */
const longReduction = 1 << 16;

export function splitReductions(graph: Graph): Graph {
  return rewriteNodes(graph, (node) => {
    const cut = node.op.kind === "reduce" ? findCut(node.op, node) : undefined;
    return cut === undefined ? undefined : split(node as ReduceNode, cut);
  });
}

type ReduceNode = Node & { readonly op: ReduceOperation };

/** Reduced axes before `axis`, and the first `outer` of `outer * inner` elements of it, come last. */
interface Cut {
  readonly axis: number;
  readonly outer: number;
}

function findCut({ reduction, axes }: ReduceOperation, { inputs, outputs }: Node): Cut | undefined {
  const [{ shape, dtype }] = inputs as [Value];
  if (!isAnyOrder(reduction, dtype)) return undefined;
  const results = product(outputs[0]!.shape);
  const elements = product(axes.map((axis) => shape[axis]!));
  if (results * 2 > partialsGoal || elements < longReduction) return undefined;
  let partials = results;
  let cut: Cut | undefined;
  for (const axis of axes) {
    const extent = shape[axis]!;
    const outer = divisorFrom(extent, partialsGoal / partials);
    // Something has to be left for the partial results to reduce.
    if (axis === axes.at(-1) && outer === dimMax(extent)) break;
    cut = { axis, outer };
    partials *= outer;
    if (partials >= partialsGoal) break;
  }
  return cut;
}

function isAnyOrder(reduction: ReduceOperation["reduction"], dtype: Value["dtype"]): boolean {
  const isExact = ["max", "min", "and", "or"].includes(reduction);
  return isExact || ((reduction === "sum" || reduction === "prod") && !isFloat(dtype));
}

/** The smallest divisor of the extent that is at least `goal`, else the extent. */
function divisorFrom(extent: Dim, goal: number): number {
  if (typeof extent !== "number") return dimMax(extent);
  for (let divisor = Math.ceil(goal); divisor * 2 <= extent; divisor++) {
    if (extent % divisor === 0) return divisor;
  }
  return extent;
}

function split(node: ReduceNode, cut: Cut): Replacement {
  const { reduction, axes } = node.op;
  const [input] = node.inputs as [Value];
  const { dtype } = node.outputs[0]!;
  const sequence = new NodeSequence(node, "part");
  const extent = input.shape[cut.axis]!;
  const isCut = extent !== cut.outer && typeof extent === "number";
  const shape = isCut
    ? input.shape.toSpliced(cut.axis, 1, cut.outer, extent / cut.outer)
    : input.shape;
  const cutInput = isCut
    ? sequence.add({ kind: "reshape" }, [input], { dtype: input.dtype, shape })
    : input;
  const first = isCut ? axes.map((axis) => (axis >= cut.axis ? axis + 1 : axis)) : axes;
  const inner = first.filter((axis) => axis > cut.axis);
  const partial = sequence.add({ kind: "reduce", reduction, axes: inner }, [cutInput], {
    dtype,
    shape: shape.filter((_, axis) => !inner.includes(axis)),
  });
  const outer = axes.filter((axis) => axis <= cut.axis);
  return sequence.finish({ kind: "reduce", reduction, axes: outer }, [partial], {
    dtype,
    shape: node.outputs[0]!.shape,
  });
}

function product(shape: readonly Dim[]): number {
  return shape.reduce<number>((n, dim) => n * dimMax(dim), 1);
}
