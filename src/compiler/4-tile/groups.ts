/**
 * Fusion: which nodes become one kernel. Nodes are taken consumers first; one joins the group of its consumers
 * if they are all in one group and the whole still has an iteration space (space.ts). So every group has one
 * result, its root, and nothing is computed twice.
 *
 *   conv -> add(bias) -> sigmoid -> mul        one contraction group, root mul
 *   max -> sub -> exp -> sum -> div            one vector group with row axes, root div
 *
 * Movement nodes belong to no group: they are absorbed into the walks of those that read them. Nor do maps that
 * loads do on the way.
 */
import type { Graph, Node, Value } from "../../ir/graph.js";
import { tileLimits } from "../../ir/tile.js";
import { isMovement } from "./index-map.js";
import { memoryOperands } from "./prepare.js";
import { analyseSpace, laneNumber, type Space, variesAlongRow } from "./space.js";

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
    if (isMovement(node) || node.op.kind === "iota" || groupOf.has(node)) continue;
    if (isDecodedByLoads(node, { uses, outputs, groupOf, producers })) continue;
    if (join && joinConsumers(node, { uses, outputs, groupOf, producers })) continue;
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
  readonly groupOf: Map<Node, MutableGroup>;
  readonly producers: ReadonlyMap<Value, Node>;
}

/** Numbers that the loads of all that read them make of codes exist nowhere else. */
function isDecodedByLoads(node: Node, state: FusionState): boolean {
  const users = node.op.kind === "map" ? finalUsers(node.outputs[0]!, state) : undefined;
  if (users === undefined || users.length === 0) return false;
  return users.every((user) => {
    const operands = state.groupOf.get(user)?.space?.operands.get(user);
    return operands?.every((operand) => behindMovement(operand.value, state) !== node) === true;
  });
}

/** Whether the node could join the group of its consumers. */
function joinConsumers(node: Node, state: FusionState): boolean {
  if (!isFusable(node)) return false;
  const group = soleConsumer(node.outputs[0]!, state);
  if (group === undefined || ![...group.nodes].every(isFusable)) return false;
  if (tryJoin(group, [node], state)) return true;
  // A value per row (the square root of a variance) has its place only once the row's reduction is there too.
  const chain = rowChain(node, group, state);
  return chain !== undefined && tryJoin(group, chain, state);
}

function tryJoin(group: MutableGroup, added: readonly Node[], state: FusionState): boolean {
  const nodes = new Set([...group.nodes, ...added]);
  if (nodes.size > groupNodesMax) return false;
  const kinds = [...nodes].map((n) => n.op.kind);
  const contracts = kinds.filter((kind) => kind === "contract").length;
  if (contracts > 1 || (contracts === 1 && kinds.includes("reduce"))) return false;
  const space = analyseSpace({ nodes, root: group.root, producers: state.producers });
  if (space === undefined || !operandsFit(nodes, space, state)) return false;
  group.nodes = nodes;
  group.space = space;
  for (const node of added) state.groupOf.set(node, group);
  return true;
}

/**
 * Whether every vec can read all that it has to. What is read from memory leaves room for full values that may be kept
 * between the statements of a group.
 */
function operandsFit(nodes: ReadonlySet<Node>, space: Space, state: FusionState): boolean {
  const isPlain = [...nodes].every((node) => node.op.kind === "map");
  const limit = isPlain ? tileLimits.vecInputs : tileLimits.vecInputs - 2;
  if ([...nodes].some((node) => readsOf(node, space, state) > tileLimits.vecInputs)) return false;
  const vector = [...nodes].filter((node) => node.op.kind !== "contract");
  const read = memoryOperands(vector, space, state.producers).map(
    ({ value, map }) => `${value.name} ${JSON.stringify(map)}`,
  );
  return new Set(read).size <= limit;
}

/**
 * How many tiles a vec reads that computes a node's result, or what a reduction reduces: operands from memory, results
 * that are no maps, and values per row, which a vec over the row finds in L1.
 */
function readsOf(node: Node, space: Space, { producers }: FusionState): number {
  if (node.op.kind === "contract") return 0;
  const overRow = node.op.kind === "reduce" || variesAlongRow(space, node.outputs[0]!);
  const read = new Set<Value | string>();
  const seen = new Set<Node>();
  const visit = (current: Node): void => {
    seen.add(current);
    for (const operand of space.operands.get(current) ?? []) {
      const { value, inside, map } = operand;
      if (laneNumber(operand, producers) !== undefined) continue;
      const producer = inside ? producers.get(value)! : undefined;
      if (producer === undefined) read.add(`${value.name} ${JSON.stringify(map)}`);
      else if (producer.op.kind !== "map" || (overRow && !variesAlongRow(space, value)))
        read.add(value);
      else if (!seen.has(producer)) visit(producer);
    }
  };
  visit(node);
  return read.size;
}

/**
 * The map with all maps above it that only it and the group read, up to and with at least one reduction; not followed
 * further once it has more nodes than a group may.
 */
function rowChain(node: Node, group: MutableGroup, state: FusionState): Node[] | undefined {
  const chain = new Set<Node>();
  const visit = (current: Node): void => {
    chain.add(current);
    if (current.op.kind === "reduce" || chain.size > groupNodesMax) return;
    for (const input of current.inputs) {
      const producer = behindMovement(input, state);
      if (producer === undefined || chain.has(producer) || group.nodes.has(producer)) continue;
      if (producer.op.kind !== "map" && producer.op.kind !== "reduce") continue;
      const users = finalUsers(producer.outputs[0]!, state);
      if (users?.every((user) => chain.has(user) || group.nodes.has(user))) visit(producer);
    }
  };
  if (node.op.kind !== "map") return undefined;
  visit(node);
  return [...chain].some((n) => n.op.kind === "reduce") ? [...chain] : undefined;
}

function behindMovement(value: Value, state: FusionState): Node | undefined {
  let node = state.producers.get(value);
  while (node !== undefined && isMovement(node)) node = state.producers.get(node.inputs[0]!);
  return node;
}

/** The one group that reads the value, directly or through movement; undefined if there are others. */
function soleConsumer(value: Value, state: FusionState): MutableGroup | undefined {
  const groups = new Set(finalUsers(value, state)?.map((user) => state.groupOf.get(user)));
  const [group] = groups;
  return groups.size === 1 ? group : undefined;
}

/** Who reads the value in the end, movement left out; undefined if it is a result of the model. */
function finalUsers(value: Value, state: FusionState): Node[] | undefined {
  const users: Node[] = [];
  const moved = [value];
  for (const current of moved) {
    if (state.outputs.has(current)) return undefined;
    for (const user of state.uses.get(current) ?? []) {
      if (isMovement(user)) moved.push(user.outputs[0]!);
      else users.push(user);
    }
  }
  return users;
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
