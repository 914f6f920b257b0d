/**
 * Equal operations on equal operands are one. Exporters quantize a value anew for every product that reads it, and
 * write the same positions and masks for every layer.
 *
 *   a = op(x); b = op(x)   ->   b = a
 *
 * Maps whose result takes more memory than their operands stay apart: each reader has its own, fused into its kernel.
 */
import { dimMax, dimText } from "../../ir/dim.js";
import { isPlain } from "../../ir/operation-types.js";
import type { Graph, Node, Value } from "../../ir/graph.js";
import { byteLength } from "../../numerics/dtype.js";
import { exactJson } from "../../support/exact-json.js";
import { rewriteNodes } from "./rewrite.js";

export function shareEqual(graph: Graph): Graph {
  const numbers = new Map<Value, number>();
  const numberOf = (value: Value): number => {
    const number = numbers.get(value) ?? numbers.size;
    numbers.set(value, number);
    return number;
  };
  const made = new Map<string, readonly Value[]>();
  return rewriteNodes(graph, (node) => {
    if (!isPlain(node.op) || enlarges(node)) return undefined;
    const operands = node.inputs.map(numberOf).join(" ");
    const key = `${operationText(node)} of ${operands} to ${node.outputs.map(typeText).join(" ")}`;
    const known = made.get(key);
    if (known !== undefined) return { nodes: [], outputs: known };
    made.set(key, node.outputs);
    return undefined;
  });
}

function enlarges({ op, inputs, outputs }: Node): boolean {
  return (
    op.kind === "map" && bytesOf(outputs) > bytesOf(inputs.filter((x) => x.data === undefined))
  );
}

function bytesOf(values: readonly Value[]): number {
  return values.reduce(
    (bytes, { dtype, shape }) =>
      bytes +
      byteLength(
        dtype,
        shape.reduce<number>((n, dim) => n * dimMax(dim), 1),
      ),
    0,
  );
}

/** Two operations have the same text only if they are the same. */
function operationText({ op }: Node): string {
  const named = op.kind === "slice" ? { ...op, starts: op.starts.map(dimText) } : op;
  return exactJson(named);
}

function typeText({ dtype, shape }: Value): string {
  return `${dtype}[${shape.map(dimText).join(", ")}]`;
}
