/** A contraction of nothing as what it is: a map over its operands, their axes laid along the output's labels. */
import type { DType } from "../../numerics/dtype.js";
import type { Lane, LaneBuilder } from "../../numerics/lanes.js";
import type { GraphBuilder } from "../builder.js";
import { zeroPointLabel } from "../contract-types.js";
import type { ContractOperation, Value } from "../graph.js";

/** `inputs` are the operands and, for integers, their zero points if there are any. */
export function outerProduct(
  b: GraphBuilder,
  inputs: readonly Value[],
  labels: Omit<ContractOperation, "kind">,
  dtype: DType,
): Value {
  const [x, y, zeroX, zeroY] = inputs as [Value, Value, Value?, Value?];
  const { out } = labels;
  const operands = [alignedTo(b, x, labels.a, out), alignedTo(b, y, labels.b, out)];
  if (zeroX !== undefined && zeroY !== undefined) {
    const label = zeroY.shape.length === 0 ? "" : zeroPointLabel(labels);
    operands.push(zeroX, alignedTo(b, zeroY, label, out));
  }
  return b.map(dtype, operands, product);
}

function product(l: LaneBuilder, ...[x, y, zeroX, zeroY]: Lane[]): Lane {
  // A sum starts at +0, so a product of -0 becomes +0.
  if (x!.type === "f32") return l.add(l.mul(x!, y!), l.constF(0));
  if (zeroX === undefined) return l.mulI(x!, y!);
  return l.mulI(l.subI(x!, zeroX), l.subI(y!, zeroY!));
}

/** Axes in the order of the output's labels, and axes of 1 where it has no such label. */
function alignedTo(b: GraphBuilder, x: Value, labels: string, out: string): Value {
  const perm = [...out].flatMap((label) => (labels.includes(label) ? [labels.indexOf(label)] : []));
  const missing = [...out].flatMap((label, axis) => (labels.includes(label) ? [] : [axis]));
  return b.unsqueeze(b.transpose(x, perm), missing);
}
