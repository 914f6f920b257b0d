/**
 * `--precision bf16`: operands of floating contractions are rounded to bf16; sums stay in fp32.
 *
 *   contract(a, b)   ->   contract(bf16(a), bf16(b))
 */
import type { Graph, Node, Value } from "../../ir/graph.js";
import { encodeArray, decodeArray } from "../../numerics/convert.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { rewriteNodes } from "./rewrite.js";

export function contractBf16(graph: Graph): Graph {
  const rounded = new Map<Value, Value>();
  return rewriteNodes(graph, (node) => {
    if (node.op.kind !== "contract" || !node.inputs.slice(0, 2).every((v) => v.dtype === "f32")) {
      return undefined;
    }
    const nodes: Node[] = [];
    const inputs = node.inputs.map((value, i) =>
      i > 1 ? value : roundValue(value, node, rounded, nodes),
    );
    const output: Value = { ...node.outputs[0]! };
    nodes.push({ ...node, inputs, outputs: [output] });
    return { nodes, outputs: [output] };
  });
}

/** One rounding per value, whoever reads it; constants are rounded here and now. */
function roundValue(value: Value, node: Node, rounded: Map<Value, Value>, nodes: Node[]): Value {
  const known = rounded.get(value);
  if (known !== undefined) return known;
  const name = `${value.name}.bf16`;
  let result: Value = { name, dtype: "bf16", shape: value.shape };
  if (value.data !== undefined) {
    const data = encodeArray("bf16", decodeArray("f32", value.data.data));
    result = { ...result, data: { dtype: "bf16", shape: value.data.shape, data } };
  } else {
    const builder = laneProgramBuilder();
    const program = builder.finish([builder.source("input", 0, "f32")]);
    nodes.push({
      op: { kind: "map", program },
      inputs: [value],
      outputs: [result],
      origins: node.origins,
    });
  }
  rounded.set(value, result);
  return result;
}
