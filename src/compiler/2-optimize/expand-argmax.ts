/**
 * An index of an extreme becomes the extreme and the first index at which it stands: reductions that any engine has.
 *
 *   i = argmax(x)   ->   m = max(x); i = min(x == m || isnan(x) ? index : count)
 */
import type { Graph, Node, Value } from "../../ir/graph.js";
import { isFloat } from "../../numerics/dtype.js";
import { type LaneProgram } from "../../numerics/lane.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { dimMax, dimProduct, staticDim } from "../../ir/dim.js";
import { int32Range } from "../../ir/ranges/intervals.js";
import { NodeSequence, type Replacement, rewriteNodes } from "./rewrite.js";

export function expandArgmax(graph: Graph): Graph {
  return rewriteNodes(graph, expandNode);
}

function expandNode(node: Node): Replacement | undefined {
  const { op } = node;
  if (op.kind !== "reduce" || (op.reduction !== "argmax" && op.reduction !== "argmin"))
    return undefined;
  const [x] = node.inputs as [Value];
  const output = node.outputs[0]!;
  const sequence = new NodeSequence(node, "argmax");
  const reduction = op.reduction === "argmax" ? "max" : "min";
  const extreme = sequence.add({ kind: "reduce", reduction, axes: op.axes }, [x], {
    dtype: x.dtype,
    shape: output.shape,
  });
  const keptShape = x.shape.map((dim, i) => (op.axes.includes(i) ? 1 : dim));
  const kept = sequence.add({ kind: "reshape" }, [extreme], { dtype: x.dtype, shape: keptShape });
  const indices = op.axes.map((axis) =>
    sequence.add({ kind: "iota", axis }, [], {
      dtype: "i32",
      shape: x.shape.map((dim, i) => (i === axis ? dim : 1)),
    }),
  );
  const strides = op.axes.map((axis) => staticStride(x, op.axes, axis));
  const count = dimMax(dimProduct(op.axes.map((axis) => x.shape[axis]!)));
  const none = Math.min(count, int32Range.high);
  const program = candidateProgram(isFloat(x.dtype), strides, none);
  const candidates = sequence.add({ kind: "map", program }, [x, kept, ...indices], {
    dtype: "i32",
    shape: x.shape,
  });
  return sequence.finish({ kind: "reduce", reduction: "min", axes: op.axes }, [candidates], {
    dtype: output.dtype === "i64" ? "i32" : output.dtype,
    shape: output.shape,
  });
}

/** Row-major weight of an axis among the reduced ones. */
function staticStride(x: Value, axes: readonly number[], axis: number): number {
  return axes
    .filter((other) => other > axis)
    .reduce((n, other) => n * staticDim(x.shape[other]!, "an index counts over it"), 1);
}

/** `none` stands for what is not extreme: hardly above the indices, so that results are seen to be small. */
function candidateProgram(float: boolean, strides: readonly number[], none: number): LaneProgram {
  const { l, source, finish } = laneProgramBuilder();
  const type = float ? "f32" : "i32";
  const x = source("input", 0, type);
  const extreme = source("input", 1, type);
  const isExtreme = float
    ? l.or(l.eq(x, extreme), l.xor(l.eq(x, x), l.constI(-1)))
    : l.eqI(x, extreme);
  let index = l.constI(0);
  strides.forEach((stride, i) => {
    index = l.addI(index, l.mulI(source("input", 2 + i, "i32"), l.constI(stride)));
  });
  return finish([l.selectI(isExtreme, index, l.constI(none))]);
}
