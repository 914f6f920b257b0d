/**
 * Types that the device never has to see: an input that is only read as another type is converted on its way in, an
 * output that is only another form of a value is converted on its way out. Copies convert anyway, and exactly as the
 * map would: floats round once, integers keep their bits. What computes in doubles stays on the host.
 *
 *   input x: f64; y: f32 = map(x)   ->   input x: f32
 *   y: f64 = map(x); output y       ->   output x
 *
 * The caller's types stay as they are.
 */
import { deviceDTypes, type DType, dtypes } from "../../numerics/dtype.js";
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

/** Inputs that the device lacks, all readers of which convert them to one type, as inputs of that type. */
function narrowedInputs(graph: Graph): ReadonlyMap<Value, Value> {
  const results = new Set(graph.outputs.map(({ value }) => value));
  const narrowed = new Map<Value, Value>();
  for (const input of graph.inputs) {
    if (isDeviceType(input.dtype) || results.has(input)) continue;
    const readers = graph.nodes.filter((node) => node.inputs.includes(input));
    const types = new Set(
      readers.map((node) => (isCast(node) ? node.outputs[0]!.dtype : input.dtype)),
    );
    const [dtype] = types;
    if (dtype !== undefined && types.size === 1 && isDeviceType(dtype)) {
      narrowed.set(input, { ...input, dtype });
    }
  }
  return narrowed;
}

/** Results that the device lacks and that are conversions, with what they convert. */
function widenedOutputs(graph: Graph): ReadonlyMap<Value, Value> {
  const results = new Set(graph.outputs.map(({ value }) => value));
  const casts = graph.nodes.filter(
    (node) =>
      results.has(node.outputs[0]!) &&
      !isDeviceType(node.outputs[0]!.dtype) &&
      isCast(node) &&
      isDeviceType(node.inputs[0]!.dtype),
  );
  return new Map(casts.map((node) => [node.outputs[0]!, node.inputs[0]!]));
}

/**
 * A conversion between floats, rounded as copies round, or between integers of one size. Other integers are
 * narrowed later, under limits that prove more.
 */
function isCast({ op, inputs, outputs }: Node): boolean {
  if (op.kind !== "map" || op.encode !== undefined || inputs.length !== 1) return false;
  if (op.program.instructions.length > 1) return false;
  const [from, to] = [inputs[0]!, outputs[0]!].map(({ dtype }) => dtypes[dtype]);
  return from!.kind === "float" ? to!.kind === "float" : from!.bits === to!.bits;
}

function isDeviceType(dtype: DType): boolean {
  return deviceDTypes.some((known) => known === dtype);
}
