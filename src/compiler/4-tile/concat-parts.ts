/** Which values are written straight into the concat that reads them. */
import { type Graph, isControl, type Node, type Value } from "../../ir/graph.js";
import { collectUses, type Group } from "./groups.js";
import { isMovement } from "./index-map.js";
import { isDeviceValue } from "./storage.js";

/**
 * Values that are written straight into the concat that reads them: results of groups with that one use, unless
 * their own group reads from the same buffer, and inputs that it begins with.
 */
export function concatParts(
  graph: Graph,
  {
    groups,
    producers,
    isBody,
  }: {
    readonly groups: readonly Group[];
    readonly producers: ReadonlyMap<Value, Node>;
    readonly isBody: boolean;
  },
): Map<Value, Node> {
  const uses = collectUses(graph);
  const outputs = new Set(graph.outputs.map((o) => o.value));
  const groupOf = new Map(groups.map((group) => [group.root.outputs[0]!, group]));
  const parts = new Map<Value, Node>();
  const family = (value: Value): Value => {
    const concat = parts.get(value);
    return concat === undefined ? value : family(concat.outputs[0]!);
  };
  const base = (value: Value): Value => {
    const node = producers.get(value);
    return node !== undefined && isMovement(node) ? base(node.inputs[0]!) : value;
  };
  for (const node of graph.nodes.toReversed()) {
    if (node.op.kind !== "concat" || isEmpty(node.outputs[0]!)) continue;
    const [first] = node.inputs;
    const isOnce = node.inputs.indexOf(first!) === node.inputs.lastIndexOf(first!);
    if (isOnce && !isBody && isState(first!, graph, uses, outputs)) parts.set(first!, node);
    for (const input of node.inputs) {
      const group = groupOf.get(input);
      if (group === undefined || outputs.has(input) || isEmpty(input)) continue;
      if (
        isControl(group.root.op) ||
        group.root.op.kind === "host" ||
        node.inputs.filter((x) => x === input).length > 1
      )
        continue;
      if (uses.get(input)!.filter((n) => n.op.kind === "concat").length > 1) continue;
      parts.set(input, node);
    }
  }
  // What a group both reads and writes cannot be one buffer.
  for (const group of groups) {
    const value = group.root.outputs[0]!;
    if (!parts.has(value)) continue;
    const read = [...group.nodes]
      .flatMap((n) => n.inputs)
      .filter((v) => !group.nodes.has(producers.get(v)!));
    if (read.some((v) => family(base(v)) === family(value))) parts.delete(value);
  }
  return parts;
}

/**
 * An input that is nothing but the beginning of a concat, such as a cache that grows, lies where that result will:
 * handed back unchanged, it is there already and the new part is appended in place.
 */
function isState(
  value: Value,
  graph: Graph,
  uses: ReadonlyMap<Value, readonly Node[]>,
  outputs: ReadonlySet<Value>,
): boolean {
  const isOnlyUse = uses.get(value)?.length === 1 && !outputs.has(value);
  return graph.inputs.includes(value) && isDeviceValue(value) && isOnlyUse && !isEmpty(value);
}

/** Without elements. */
export function isEmpty(value: Value): boolean {
  return value.shape.some((dim) => dim === 0);
}
