/**
 * Fusion: which nodes become one kernel. Nodes are taken consumers first; one joins the group of its consumers
 * if they are all in one group and the whole still has an iteration space (space.ts). So every group has one
 * result, its root, and nothing is computed twice.
 *
 *   conv -> add(bias) -> sigmoid -> mul        one contraction group, root mul
 *   max -> sub -> exp -> sum -> div            one vector group with row axes, root div
 *
 * Movement nodes belong to no group: they are absorbed into the walks of those that read them.
 */
import type { Graph, Node, Value } from "../../ir/graph.js";
import { isMovement } from "./index-map.js";
import { analyseSpace, type Space } from "./space.js";

export interface Group {
  readonly nodes: ReadonlySet<Node>;
  readonly root: Node;
  /** Absent for the kinds with kernels of their own (gather, scatter, scan, concat). */
  readonly space?: Space;
}

/** Past this many nodes a fused kernel gains nothing and its lane programs get long. */
const groupNodesMax = 64;

/** Groups in an order in which each comes after those that it reads from. */
export function fuse(graph: Graph, producers: ReadonlyMap<Value, Node>, join: boolean): Group[] {
  const uses = collectUses(graph);
  const outputs = new Set(graph.outputs.map((output) => output.value));
  const groupOf = new Map<Node, MutableGroup>();
  const groups: MutableGroup[] = [];
  for (const node of graph.nodes.toReversed()) {
    if (isMovement(node) || node.op.kind === "iota") continue;
    const joined = join ? joinConsumers(node, { uses, outputs, groupOf, producers }) : undefined;
    if (joined !== undefined) {
      groupOf.set(node, joined);
      continue;
    }
    const group: MutableGroup = { nodes: new Set([node]), root: node };
    if (isFusable(node)) {
      const space = analyseSpace({ ...group, producers });
      if (space !== undefined) group.space = space;
    }
    groupOf.set(node, group);
    groups.push(group);
  }
  return groups.reverse();
}

interface MutableGroup {
  nodes: ReadonlySet<Node>;
  root: Node;
  space?: Space;
}

interface FusionState {
  readonly uses: ReadonlyMap<Value, readonly Node[]>;
  readonly outputs: ReadonlySet<Value>;
  readonly groupOf: ReadonlyMap<Node, MutableGroup>;
  readonly producers: ReadonlyMap<Value, Node>;
}

function joinConsumers(node: Node, state: FusionState): MutableGroup | undefined {
  if (!isFusable(node) || node.outputs.length !== 1) return undefined;
  const group = soleConsumer(node.outputs[0]!, state);
  if (group === undefined || group.nodes.size >= groupNodesMax) return undefined;
  if (![...group.nodes].every(isFusable)) return undefined;
  if (node.op.kind === "contract" && ![...group.nodes].every((n) => n.op.kind === "map")) {
    return undefined;
  }
  const nodes = new Set([...group.nodes, node]);
  const hasContract = [...nodes].some((n) => n.op.kind === "contract");
  if (hasContract && [...nodes].some((n) => n.op.kind === "reduce")) return undefined;
  const space = analyseSpace({ nodes, root: group.root, producers: state.producers });
  if (space === undefined) return undefined;
  group.nodes = nodes;
  group.space = space;
  return group;
}

/** The one group that reads the value, directly or through movement; undefined if there are others. */
function soleConsumer(value: Value, state: FusionState): MutableGroup | undefined {
  if (state.outputs.has(value)) return undefined;
  let found: MutableGroup | undefined;
  for (const user of state.uses.get(value) ?? []) {
    const group = isMovement(user)
      ? soleConsumer(user.outputs[0]!, state)
      : state.groupOf.get(user);
    if (group === undefined || (found !== undefined && found !== group)) return undefined;
    found = group;
  }
  return found;
}

function isFusable(node: Node): boolean {
  return ["map", "reduce", "contract"].includes(node.op.kind);
}

export function collectUses(graph: Graph): Map<Value, Node[]> {
  const uses = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    for (const input of new Set(node.inputs)) {
      const users = uses.get(input);
      if (users === undefined) uses.set(input, [node]);
      else users.push(node);
    }
  }
  return uses;
}

export function collectProducers(graph: Graph): Map<Value, Node> {
  const producers = new Map<Value, Node>();
  for (const node of graph.nodes) {
    for (const output of node.outputs) producers.set(output, node);
  }
  return producers;
}
