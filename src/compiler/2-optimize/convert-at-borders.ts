/**
 * Doubles that the device never has to see: an input that is only read as fp32 (or a narrower float) is rounded on its
 * way in, an output that is only a wider form of one is widened on its way out. Both copies convert anyway, and
 * exactly as the cast would. What computes in doubles stays on the host.
 *
 *   input x: f64; y: f32 = map(x)   ->   input x: f32
 *   y: f64 = map(x); output y       ->   output x
 *
 * The caller's types stay as they are.
 */
import { deviceDTypes, type DType, isFloat } from "../../numerics/dtype.js";
import type { Graph, Node, Value } from "../../ir/graph.js";
import { dropDeadNodes } from "./rewrite.js";

export function convertAtBorders(graph: Graph): Graph {
  const narrowed = narrowedInputs(graph);
  const widened = widenedOutputs(graph);
  if (narrowed.size === 0 && widened.size === 0) return graph;
  const current = new Map<Value, Value>(narrowed);
  for (const { op, inputs, outputs } of graph.nodes) {
    const input = narrowed.get(inputs[0]!);
    if (input !== undefined && op.kind === "map") current.set(outputs[0]!, input);
  }
  const now = (value: Value): Value => current.get(value) ?? value;
  return dropDeadNodes({
    ...graph,
    inputs: graph.inputs.map(now),
    outputs: graph.outputs.map(({ name, value }) => ({
      name,
      value: now(widened.get(value) ?? value),
    })),
    nodes: graph.nodes
      .filter((node) => !narrowed.has(node.inputs[0]!))
      .map((node) => ({ ...node, inputs: node.inputs.map(now) })),
  });
}

/** Inputs in doubles all readers of which convert them to one type, as inputs of that type. */
function narrowedInputs(graph: Graph): ReadonlyMap<Value, Value> {
  const results = new Set(graph.outputs.map(({ value }) => value));
  const narrowed = new Map<Value, Value>();
  for (const input of graph.inputs) {
    if (input.dtype !== "f64" || results.has(input)) continue;
    const readers = graph.nodes.filter((node) => node.inputs.includes(input));
    const types = new Set(readers.map((node) => (isCast(node) ? node.outputs[0]!.dtype : "f64")));
    const [dtype] = types;
    if (dtype !== undefined && types.size === 1 && isDeviceFloat(dtype)) {
      narrowed.set(input, { ...input, dtype });
    }
  }
  return narrowed;
}

/** Results in doubles that are conversions, with what they convert. */
function widenedOutputs(graph: Graph): ReadonlyMap<Value, Value> {
  const results = new Set(graph.outputs.map(({ value }) => value));
  const casts = graph.nodes.filter(
    (node) =>
      node.outputs[0]!.dtype === "f64" &&
      results.has(node.outputs[0]!) &&
      isCast(node) &&
      isDeviceFloat(node.inputs[0]!.dtype),
  );
  return new Map(casts.map((node) => [node.outputs[0]!, node.inputs[0]!]));
}

/** A conversion between floats, rounded as copies round. */
function isCast({ op, inputs, outputs }: Node): boolean {
  if (op.kind !== "map" || op.encode !== undefined || inputs.length !== 1) return false;
  const { instructions } = op.program;
  return instructions.length === 1 && isFloat(inputs[0]!.dtype) && isFloat(outputs[0]!.dtype);
}

function isDeviceFloat(dtype: DType): boolean {
  return isFloat(dtype) && deviceDTypes.some((known) => known === dtype);
}
