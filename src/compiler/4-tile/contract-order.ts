/** Orders in memory of what a contraction reads and writes. */
import type { ContractOperation } from "../../ir/graph.js";
import type { Operand, Space } from "./space.js";
import { natural } from "./storage.js";

/**
 * Order of the result in memory: channels last for convolutions (n after the positions), row-major for matrix
 * products. A group label that comes after a row label is part of the channels.
 */
export function contractOrder(op: ContractOperation, space: Space): number[] {
  const axes = [...op.out].map((label) => space.axes.findIndex((axis) => axis.name === label));
  const firstRow = axes.findIndex((axis) => space.axes[axis]!.role === "m");
  const weight = (axis: number, i: number): number => {
    const { role } = space.axes[axis]!;
    if (role === "g") return firstRow >= 0 && i > firstRow ? 1 : -1;
    return role === "n" ? 2 : 0;
  };
  return axes
    .map((axis, i) => ({ axis, i, weight: weight(axis, i) }))
    .sort((x, y) => x.weight - y.weight || x.i - y.i)
    .map((entry) => entry.axis);
}

/** Constant operands: contraction labels outermost (the blocked one innermost of them), then the free ones. */
export function operandOrder(
  operand: Operand,
  index: number,
  op: ContractOperation,
  space: Space,
): number[] {
  if (index > 1) return natural(operand.value);
  const labels = [...op.order.slice(1), op.order[0]!];
  const rank = (dim: number): number => {
    const terms = operand.map.expressions[dim]!.terms;
    const names = terms.map((t) => space.axes[t.axis]!);
    const own = names.find((axis) => axis.role !== "k");
    if (own !== undefined) return own.role === "g" ? -1 : 100;
    return names.length === 0 ? -2 : labels.indexOf(names[0]!.name);
  };
  return natural(operand.value).sort((x, y) => rank(x) - rank(y) || x - y);
}

/** Order of the root's dims so that its innermost axis is that of the contraction's order. */
export function rootOrder(map: Operand["map"], labels: readonly number[]): number[] {
  const rank = (dim: number): number => {
    const terms = map.expressions[dim]!.terms;
    return terms.length === 0 ? -1 : Math.min(...terms.map((t) => labels.indexOf(t.axis)));
  };
  return [...map.expressions.keys()].sort((x, y) => rank(x) - rank(y) || x - y);
}
