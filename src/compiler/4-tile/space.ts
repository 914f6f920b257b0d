/**
 * The iteration space of a fusion group: its axes, and for every value inside the group which element belongs
 * to each point. A set of nodes is a legal group exactly if its space can be worked out; the fusion in groups.ts
 * asks, the kernel writers build on the answer.
 *
 * Vector groups: parallel axes (the result's dims) and, if something is reduced, one set of row axes. A value is
 * full (it varies along the row axes) or row (it does not). Contraction groups: the labels of the contraction.
 */
import { type Dim, dimEquals, dimProduct } from "../../ir/dim.js";
import type { ContractOperation, Node, ReduceOperation, Value } from "../../ir/graph.js";
import { matchDecoding } from "../../numerics/quantized-lanes.js";
import { elementCount } from "../../numerics/tensor.js";
import {
  type Axis,
  axisIndex,
  broadcastOperand,
  forwardMovement,
  type IndexExpression,
  type IndexMap,
  isMovement,
  throughMovement,
  zeroIndex,
} from "./index-map.js";

export interface Space {
  readonly axes: readonly SpaceAxis[];
  /** Map of every value that a node of the group produces. */
  readonly maps: ReadonlyMap<Value, IndexMap>;
  /** How operand `input` of `node` is read: from inside the group or from memory. */
  readonly operands: ReadonlyMap<Node, readonly Operand[]>;
}

export interface SpaceAxis extends Axis {
  readonly role: "parallel" | "row" | "g" | "m" | "n" | "k";
}

export interface Operand {
  /** Produced inside the group, or what has to be in memory (or is a constant, or an iota). */
  readonly value: Value;
  readonly inside: boolean;
  readonly map: IndexMap;
  /** The value is codes, which the load makes numbers of: (code - zero) * scale. */
  readonly decode?: { readonly scale: Operand; readonly zero?: Operand };
}

/** Whether a value of the group differs from one position of the row axes to the next. */
export function variesAlongRow({ axes, maps }: Space, value: Value): boolean {
  const { expressions } = maps.get(value)!;
  return expressions.some((e) => e.terms.some((t) => axes[t.axis]!.role === "row"));
}

/**
 * What an operand is that needs no memory: a number that the lane program knows at every point. Clipped, it has a
 * fill as well and is read like anything else.
 */
export function laneNumber(
  { value, map, inside }: Operand,
  producers: ReadonlyMap<Value, Node>,
): "constant" | "dim" | "iota" | undefined {
  if (inside || map.fill !== undefined) return undefined;
  if (value.data !== undefined && elementCount(value.data.shape) === 1) return "constant";
  if (value.dims?.length === 1) return "dim";
  return producers.get(value)?.op.kind === "iota" ? "iota" : undefined;
}

export interface GroupNodes {
  readonly nodes: ReadonlySet<Node>;
  readonly root: Node;
  /** Producer of each value of the graph. */
  readonly producers: ReadonlyMap<Value, Node>;
}

/** The space of the nodes, all of which lead to the root; undefined if they cannot be one group. */
export function analyseSpace(group: GroupNodes): Space | undefined {
  const ordered = orderNodes(group);
  const contract = ordered.find((node) => node.op.kind === "contract");
  const state: State = { group, axes: [], maps: new Map(), operands: new Map() };
  if (contract !== undefined) {
    if (!placeSpine(state, contract, ordered)) return undefined;
  } else {
    placeRoot(state);
  }
  for (const node of ordered.toReversed()) {
    if (!placeNode(state, node)) return undefined;
  }
  return ordered.every((node) => coversSpace(state, node)) ? state : undefined;
}

interface State {
  readonly group: GroupNodes;
  readonly axes: SpaceAxis[];
  readonly maps: Map<Value, IndexMap>;
  readonly operands: Map<Node, readonly Operand[]>;
}

/** The group's nodes, producers first. */
function orderNodes(group: GroupNodes): Node[] {
  const ordered: Node[] = [];
  const seen = new Set<Node>();
  const visit = (value: Value): void => {
    const node = group.producers.get(value);
    if (node === undefined || seen.has(node)) return;
    if (!group.nodes.has(node) && !isMovement(node)) return;
    seen.add(node);
    node.inputs.forEach(visit);
    if (group.nodes.has(node)) ordered.push(node);
  };
  visit(group.root.outputs[0]!);
  return ordered;
}

function placeRoot(state: State): void {
  const value = state.group.root.outputs[0]!;
  value.shape.forEach((extent, i) => {
    state.axes.push({ name: `d${i}`, extent, role: "parallel" });
  });
  state.maps.set(value, { expressions: value.shape.map((_, i) => indexOf(state, i)) });
}

/** Index along an axis; an axis of one element has no index, so that maps compare equal. */
function indexOf(state: State, axis: number): IndexExpression {
  return state.axes[axis]!.extent === 1 ? zeroIndex : axisIndex(axis);
}

/** Axes from the contraction's labels, carried forward to the root along the values that depend on it. */
function placeSpine(state: State, contract: Node, ordered: readonly Node[]): boolean {
  const op = contract.op as ContractOperation;
  const labels = contractLabels(op, contract.inputs[0]!.shape, contract.inputs[1]!.shape);
  labels.forEach((axis) => {
    state.axes.push(axis);
  });
  const at = (label: string): IndexExpression =>
    indexOf(
      state,
      labels.findIndex((l) => l.name === label),
    );
  state.maps.set(contract.outputs[0]!, { expressions: [...op.out].map(at) });
  for (const node of ordered) {
    if (node === contract) continue;
    for (const input of node.inputs) {
      const map = forwardTo(state, input);
      if (map === undefined) continue;
      if (node.op.kind !== "map") return false;
      const output = node.outputs[0]!;
      if (!dimEquals(dimProduct(input.shape), dimProduct(output.shape))) return false;
      const skip = output.shape.length - input.shape.length;
      const expressions = output.shape.map((_, i) =>
        i < skip ? zeroIndex : map.expressions[i - skip]!,
      );
      if (!setMap(state, output, { expressions })) return false;
    }
  }
  return state.maps.has(state.group.root.outputs[0]!);
}

/** Roles from where a label occurs: both operands and the result g, a only m, b only n, not the result k. */
function contractLabels(op: ContractOperation, a: readonly Dim[], b: readonly Dim[]): SpaceAxis[] {
  const extent = (label: string): Dim =>
    op.a.includes(label) ? a[op.a.indexOf(label)]! : b[op.b.indexOf(label)]!;
  const role = (label: string): SpaceAxis["role"] =>
    op.a.includes(label) ? (op.b.includes(label) ? "g" : "m") : "n";
  return [
    ...[...op.out].map((name) => ({ name, extent: extent(name), role: role(name) })),
    ...[...op.order].map((name) => ({ name, extent: extent(name), role: "k" as const })),
  ];
}

/** Map of a value that movement nodes lead to from a placed value. */
function forwardTo(state: State, value: Value): IndexMap | undefined {
  const placed = state.maps.get(value);
  if (placed !== undefined) return placed;
  const node = state.group.producers.get(value);
  if (node === undefined || !isMovement(node)) return undefined;
  const map = forwardTo(state, node.inputs[0]!);
  return map === undefined ? undefined : forwardMovement(node, map);
}

function placeNode(state: State, node: Node): boolean {
  const map = state.maps.get(node.outputs[0]!);
  if (map === undefined) return false;
  const inputMaps = operandMaps(state, node, map);
  if (inputMaps === undefined) return false;
  const operands: Operand[] = [];
  for (const [i, input] of node.inputs.entries()) {
    const resolved = resolve(state, input, inputMaps[i]!);
    const operand = node.op.kind === "contract" ? decodedByLoad(state, resolved) : resolved;
    // The tensor engine reads what is in memory, also where all its axes are 1.
    if (operand.inside && node.op.kind === "contract") return false;
    if (
      operand.inside &&
      (operand.map.fill !== undefined || !setMap(state, operand.value, operand.map))
    ) {
      return false;
    }
    if (!operand.inside && isMadeInside(state, operand.value)) return false;
    operands.push(operand);
  }
  state.operands.set(node, operands);
  return true;
}

function operandMaps(state: State, node: Node, map: IndexMap): IndexMap[] | undefined {
  const { op } = node;
  switch (op.kind) {
    case "map":
      return node.inputs.map((input) =>
        broadcastOperand(map, input.shape, node.outputs[0]!.shape.length),
      );
    case "reduce": {
      const expressions = reduceInput(state, op, node.inputs[0]!, map);
      return expressions === undefined ? undefined : [{ expressions }];
    }
    case "contract": {
      const at = (label: string): IndexExpression =>
        indexOf(
          state,
          state.axes.findIndex((axis) => axis.name === label),
        );
      const zero: IndexMap = { expressions: [] };
      const zeroB =
        node.inputs[3]?.shape.length === 1 ? { expressions: [zeroBLabel(op, at)] } : zero;
      const all = [
        { expressions: [...op.a].map(at) },
        { expressions: [...op.b].map(at) },
        zero,
        zeroB,
      ];
      return all.slice(0, node.inputs.length);
    }
    default:
      return undefined;
  }
}

function zeroBLabel(
  op: ContractOperation,
  at: (label: string) => IndexExpression,
): IndexExpression {
  const label = [...op.b].find((l) => !op.order.includes(l) && !op.a.includes(l));
  return label === undefined ? zeroIndex : at(label);
}

/** The reduced dims become the row axes: those the result does not vary along, or new ones. */
function reduceInput(
  state: State,
  op: ReduceOperation,
  input: Value,
  map: IndexMap,
): IndexExpression[] | undefined {
  const extents = op.axes.map((axis) => input.shape[axis]!);
  const used = new Set(map.expressions.flatMap((e) => e.terms.map((t) => t.axis)));
  const missing = [...state.axes.keys()].filter(
    (i) => !used.has(i) && !dimEquals(state.axes[i]!.extent, 1),
  );
  const rows = [...state.axes.keys()].filter((i) => state.axes[i]!.role === "row");
  let chosen = rows.length > 0 ? rows : missing;
  if (chosen.length === 0) {
    chosen = extents.map((extent, i) => {
      state.axes.push({ name: `r${i}`, extent, role: "row" });
      return state.axes.length - 1;
    });
  } else if (rows.length === 0) {
    for (const i of chosen) state.axes[i] = { ...state.axes[i]!, role: "row" };
  }
  if (chosen.some((i) => used.has(i))) return undefined;
  return matchRowAxes(state, op, input, map, chosen);
}

function matchRowAxes(
  state: State,
  op: ReduceOperation,
  input: Value,
  map: IndexMap,
  rows: readonly number[],
): IndexExpression[] | undefined {
  const rowsLeft = rows.filter((i) => !dimEquals(state.axes[i]!.extent, 1));
  const kept = [...map.expressions];
  const expressions: IndexExpression[] = [];
  for (const [i, extent] of input.shape.entries()) {
    if (!op.axes.includes(i)) {
      expressions.push(kept.shift()!);
    } else if (dimEquals(extent, 1)) {
      expressions.push(zeroIndex);
    } else {
      const row = rowsLeft.shift();
      if (row === undefined || !dimEquals(state.axes[row]!.extent, extent)) return undefined;
      expressions.push(axisIndex(row));
    }
  }
  return rowsLeft.length === 0 ? expressions : undefined;
}

/** Follows movement up to a value that is computed, absorbing as much as composes. */
function resolve(state: State, value: Value, map: IndexMap): Operand {
  const { producers, nodes } = state.group;
  let current = value;
  let at = map;
  for (;;) {
    const node = producers.get(current);
    if (node === undefined) break;
    if (nodes.has(node)) return { value: current, inside: true, map: at };
    if (!isMovement(node)) break;
    const next = throughMovement(node, at, state.axes);
    if (next === undefined) break;
    at = next;
    current = node.inputs[0]!;
  }
  return { value: current, inside: false, map: at };
}

/** Whether movement that nothing absorbs leads from the group to the value: memory does not hold it yet. */
function isMadeInside(state: State, value: Value): boolean {
  const { producers, nodes } = state.group;
  const node = producers.get(value);
  if (node === undefined || nodes.has(node)) return node !== undefined;
  return isMovement(node) && node.inputs.some((input) => isMadeInside(state, input));
}

/** Constant codes in place of the numbers that a map makes of them, where the load can do that. */
function decodedByLoad(state: State, operand: Operand): Operand {
  const node = state.group.producers.get(operand.value);
  if (operand.inside || node?.op.kind !== "map" || node.outputs[0]!.dtype !== "f32") return operand;
  const decoding = matchDecoding(node.op.program);
  if (decoding === undefined) return operand;
  const [codes, scale, zero] = [decoding.code, decoding.scale, decoding.zero].map((input) => {
    if (input === undefined) return undefined;
    const value = node.inputs[input]!;
    const map = broadcastOperand(operand.map, value.shape, node.outputs[0]!.shape.length);
    return resolve(state, value, map);
  });
  const parts = [operand, codes!, scale!, ...(zero === undefined ? [] : [zero])];
  const isWalkable = parts.every(({ inside, map }) => !inside && isPlain(map));
  if (codes!.value.data === undefined || codes!.value.dtype === "i32" || !isWalkable)
    return operand;
  return { ...codes!, decode: { scale: scale!, ...(zero !== undefined && { zero }) } };
}

/** One axis per dim, nothing clipped. */
function isPlain({ expressions, fill }: IndexMap): boolean {
  return (
    fill === undefined && expressions.every((e) => e.limit === undefined && e.terms.length < 2)
  );
}

function setMap(state: State, value: Value, map: IndexMap): boolean {
  const known = state.maps.get(value);
  if (known === undefined) {
    state.maps.set(value, map);
    return true;
  }
  return sameMap(known, map);
}

function sameMap(a: IndexMap, b: IndexMap): boolean {
  return a.expressions.every((e, i) => {
    const f = b.expressions[i]!;
    return (
      dimEquals(e.origin, f.origin) &&
      e.terms.length === f.terms.length &&
      e.terms.every((t) =>
        f.terms.some((u) => u.axis === t.axis && u.coefficient === t.coefficient),
      )
    );
  });
}

/** Every value is computed once per point: its elements are as many as the points that it varies along. */
function coversSpace(state: State, node: Node): boolean {
  const value = node.outputs[0]!;
  const map = state.maps.get(value)!;
  const used = new Set(map.expressions.flatMap((e) => e.terms.map((t) => t.axis)));
  if ([...used].some((axis) => state.axes[axis]!.role === "k")) return false;
  const extents = (keep: (axis: SpaceAxis, i: number) => boolean): Dim =>
    dimProduct(state.axes.filter(keep).map((axis) => axis.extent));
  const isRow = state.axes.some((axis, i) => axis.role === "row" && used.has(i));
  const wanted = extents((axis) => axis.role !== "k" && (axis.role !== "row" || isRow));
  return dimEquals(dimProduct(value.shape), wanted);
}
