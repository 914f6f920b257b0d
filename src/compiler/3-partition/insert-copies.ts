/**
 * Says where a movement's result must exist in memory: as a result of the model, as what a kernel reads by index or
 * in concat, and after a reshape that merges what a transpose moved apart. The copy then fuses into whoever
 * produces the value, which writes it in its final form.
 *
 *   y = reshape(transpose(matmul))   ->   y = copy(reshape(transpose(matmul)))    one kernel
 */
import type { Graph, Node, Value } from "../../ir/graph.js";
import { deviceDTypes, isFloat } from "../../numerics/dtype.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";

const movements: ReadonlySet<string> = new Set([
  "reshape",
  "transpose",
  "broadcast",
  "slice",
  "pad",
  "window",
  "iota",
]);

export function insertCopies(graph: Graph): Graph {
  const producers = new Map<Value, Node>();
  for (const node of graph.nodes) for (const output of node.outputs) producers.set(output, node);
  const copies = new Map<Value, Value>();
  const added = new Map<Node, Node[]>();
  const fronts: Node[] = [];
  const copyOf = (value: Value): Value => {
    const known = copies.get(value);
    if (known !== undefined) return known;
    const copy: Value = { name: `${value.name}.copy`, dtype: value.dtype, shape: value.shape };
    copies.set(value, copy);
    const producer = producers.get(value);
    const node = copyNode(value, copy, producer);
    if (producer === undefined) fronts.push(node);
    else added.set(producer, [...(added.get(producer) ?? []), node]);
    return copy;
  };
  const isMoved = (value: Value): boolean => {
    const producer = producers.get(value);
    return producer !== undefined && movements.has(producer.op.kind) && !isHost(producer);
  };
  const isLoose = (value: Value): boolean => isMoved(value) || producers.get(value) === undefined;

  const nodes = graph.nodes.map((node): Node => {
    if (isHost(node)) {
      return withInputs(node, (v) => (isMoved(v) && onDevice(v) ? copyOf(v) : v));
    }
    switch (node.op.kind) {
      case "concat":
      case "gather":
      case "scatter":
      case "scan":
      case "if":
      case "loop":
        return withInputs(node, (v) => (isMoved(v) ? copyOf(v) : v));
      case "pad":
        return withInputs(node, (v) =>
          mergesMoved(v, producers) || isCounted(v, producers) ? copyOf(v) : v,
        );
      case "map":
      case "reduce":
      case "contract":
      case "transpose":
      case "window":
      case "slice":
      case "broadcast":
        return withInputs(node, (v) => (mergesMoved(v, producers) ? copyOf(v) : v));
      default:
        return node;
    }
  });
  const outputs = graph.outputs.map(({ name, value }) => ({
    name,
    value: onDevice(value) && isLoose(value) && value.unknownShape !== true ? copyOf(value) : value,
  }));
  if (copies.size === 0) return graph;
  const ordered = [...fronts];
  graph.nodes.forEach((original, i) => {
    ordered.push(nodes[i]!, ...(added.get(original) ?? []));
  });
  return { ...graph, nodes: ordered, outputs };
}

function isHost({ op }: Node): boolean {
  return op.kind === "host";
}

function onDevice(value: Value): boolean {
  return value.unknownShape !== true && deviceDTypes.some((dtype) => dtype === value.dtype);
}

function withInputs(node: Node, replace: (value: Value) => Value): Node {
  const inputs = node.inputs.map(replace);
  return inputs.every((value, i) => value === node.inputs[i]) ? node : { ...node, inputs };
}

function copyNode(from: Value, to: Value, producer: Node | undefined): Node {
  const builder = laneProgramBuilder();
  const program = builder.finish([builder.source("input", 0, isFloat(from.dtype) ? "f32" : "i32")]);
  return {
    op: { kind: "map", program },
    inputs: [from],
    outputs: [to],
    origins: producer?.origins ?? [],
  };
}

/** Indices that an iota counts, perhaps moved: a kernel computes them, so no walk could fill around them. */
function isCounted(value: Value, producers: ReadonlyMap<Value, Node>): boolean {
  const node = producers.get(value);
  if (node === undefined || !movements.has(node.op.kind)) return false;
  return node.op.kind === "iota" || isCounted(node.inputs[0]!, producers);
}

/** A reshape that joins dims of something transposed: no walk has one stride for the joined dim. */
function mergesMoved(value: Value, producers: ReadonlyMap<Value, Node>): boolean {
  const node = producers.get(value);
  if (node?.op.kind !== "reshape" || isHost(node)) return false;
  const input = node.inputs[0]!;
  const source = producers.get(input);
  if (source === undefined || isHost(source) || source.op.kind !== "transpose") return false;
  const long = (shape: Value["shape"]): number => shape.filter((dim) => dim !== 1).length;
  return long(value.shape) < long(input.shape) && onDevice(value);
}
