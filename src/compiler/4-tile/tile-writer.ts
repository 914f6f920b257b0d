/**
 * What the kernels of vector groups and of contractions share: loops over the result's axes, tiles of what is
 * read, vec statements for the group's maps, and the store of the result. One state per kernel being written.
 */
import type { IotaOperation, Node, Value } from "../../ir/graph.js";
import type { Spanned, TileOperand } from "../../ir/kernel.js";
import {
  constantAffine,
  staticCount,
  tileLimits,
  variableAffine,
  type VecAxis,
  type VecOutput,
} from "../../ir/tile.js";
import { InternalError } from "../../support/diagnostic.js";
import type { DeviceMachine } from "../../target/machine.js";
import { buildExpression, type ExpressionSources, type Target } from "./expression.js";
import { usesAxis } from "./access.js";
import { makeBox } from "./box.js";
import {
  KernelWriter,
  PlanDoesNotFit,
  type Position,
  positionCount,
  type Tile,
  tileOf,
  tileOperand,
} from "./kernel-writer.js";
import type { RowsPlan, SplitChoice, TilePlan } from "./plan.js";
import type { PlanChooser } from "./plan-choice.js";
import type { Leaf, PreparedGroup } from "./prepare.js";
import { laneNumber, type Operand } from "./space.js";
import { deviceType } from "./storage.js";

export interface TileContext {
  readonly name: string;
  readonly machine: DeviceMachine;
  readonly chooser: PlanChooser;
  /** Plans chosen so far, by the kernels that they were chosen for. */
  readonly known: Map<string, TilePlan>;
  readonly producers: ReadonlyMap<Value, Node>;
}

/** Rows and columns that take part: those that something is shared out over. */
export function gridOf(
  split: readonly SplitChoice[],
  { rows, columns }: DeviceMachine["tile"],
): DeviceMachine["tile"] {
  const overAll = split.some((s) => s.over === "members");
  return {
    rows: overAll || split.some((s) => s.over === "rows") ? rows : 1,
    columns: overAll || split.some((s) => s.over === "columns") ? columns : 1,
  };
}

export interface TileState {
  readonly prepared: PreparedGroup;
  readonly plan: TilePlan & Pick<RowsPlan, "rowChunk">;
  readonly context: TileContext;
  readonly writer: KernelWriter;
  readonly positions: Position[];
  readonly tiles: Map<Leaf, Tile>;
  readonly computed: Map<Value, Tile>;
  readonly levels: ReadonlyMap<Node, number>;
  readonly lastLevel: number;
  readonly nodes: readonly Node[];
  readonly iotaAxes: ReadonlySet<number>;
  readonly role: number;
  /** Axes whose temporal loop is still to be opened. */
  loopsAhead: readonly number[];
  insideTime: boolean;
  /** Inside a loop over chunks of a row: what a statement reads of the row is loaded just before it. */
  loadsChunks: boolean;
  spatial: { axis: number; loop: number }[];
  /** The loop around the whole group whose index its lanes read. */
  trip: number | undefined;
  /** The tile that the result is written to, where there is one before it is computed. */
  resultTile: number | undefined;
  /** Tiles that the result is written to as well. */
  readonly copies: number[];
}

export function startState(
  prepared: PreparedGroup,
  plan: TileState["plan"],
  context: TileContext,
  writer = new KernelWriter(context.name, gridOf(plan.split, context.machine.tile)),
): TileState {
  const nodes = orderedNodes(prepared, context.producers);
  const levels = nodeLevels(prepared, nodes, context.producers);
  const origins = nodes.flatMap((node) => node.origins);
  return {
    prepared,
    plan,
    context,
    writer,
    positions: prepared.axes.map((axis) => writer.whole(axis.extent)),
    tiles: new Map(),
    computed: new Map(),
    levels,
    lastLevel: levels.get(prepared.group.root)!,
    nodes,
    iotaAxes: iotaAxes(prepared, context.producers),
    role: writer.role("compute", [...new Set(origins)]),
    loopsAhead: prepared.order.filter((axis) => prepared.axes[axis]!.role !== "row"),
    insideTime: false,
    loadsChunks: false,
    spatial: [],
    trip: undefined,
    resultTile: undefined,
    copies: [],
  };
}

export function openSpatialLoops(state: TileState): number {
  const { writer, prepared, plan } = state;
  for (const { axis, over, step } of plan.split) {
    const space = prepared.axes[axis]!;
    const range = state.positions[axis]!;
    const loop = writer.begin(space.name, over, range, step);
    state.positions[axis] = loop.position;
    state.spatial.push({ axis, loop: loop.id });
  }
  return plan.split.length;
}

/** Loads the leaves that no loop still to come moves; `next` is the axis of the loop about to be opened. */
export function loadReady(state: TileState, next: number | undefined): void {
  const ahead = state.loopsAhead.filter(
    (axis) => state.plan.tile[axis]! < state.positions[axis]!.max || axis === next,
  );
  state.loopsAhead = state.loopsAhead.filter((axis) => axis !== next);
  // What is loaded before a loop without trips would stay in its queue.
  if (ahead.some((axis) => state.positions[axis]!.min < 1)) return;
  for (const leaf of state.prepared.leaves) {
    if (state.tiles.has(leaf) || ahead.some((axis) => usesAxis(leaf.access, axis))) continue;
    if (state.plan.rowChunk !== undefined && rowAxes(state).some((a) => usesAxis(leaf.access, a)))
      continue;
    state.tiles.set(leaf, loadLeaf(state, leaf, state.insideTime ? state.plan.depthIn : 1));
  }
}

export function loadLeaf(state: TileState, leaf: Leaf, depth: number): Tile {
  const { writer, prepared, context } = state;
  const { access } = leaf;
  const { accessBytes } = context.machine.channels;
  const box = makeBox(writer, access, state.positions, prepared.order, { accessBytes });
  const { root } = access.storage;
  const value = writer.value({
    name: root.name,
    space: "l1",
    dtype: root.dtype,
    elements: box.elements,
    depth,
  });
  const multicast =
    state.insideTime || !state.plan.multicast
      ? undefined
      : state.spatial.find(({ axis }) => !usesAxis(access, axis));
  writer.statement(
    {
      op: "load",
      axes: box.axes,
      memory: { binding: writer.binding(access.storage, "read"), offset: box.offset },
      dest: tileOperand(value),
      fill: access.fill,
      ...(multicast === undefined ? {} : { delivery: { kind: "multicast", loop: multicast.loop } }),
    },
    state.role,
    { channel: prepared.leaves.indexOf(leaf) % context.machine.channels.load },
  );
  return { value, strides: box.strides, base: box.base };
}

/** Row axes that vary, in their natural order: that in which a reduction takes its elements. */
export function rowAxes(state: TileState): number[] {
  const rows = state.prepared.order.filter((axis) => state.prepared.axes[axis]!.role === "row");
  return rows.sort((a, b) => a - b);
}

/** Whether a value varies along the row axes. */
export function fullValue(state: TileState, value: Value): boolean {
  const map = state.prepared.space.maps.get(value)!;
  const rows = state.prepared.space.axes;
  return map.expressions.some((e) => e.terms.some((t) => rows[t.axis]!.role === "row"));
}

export function emitRoot(state: TileState): void {
  const value = state.prepared.group.root.outputs[0]!;
  if (fullValue(state, value)) {
    materialise(state, state.prepared.space.operands.get(state.prepared.group.root)!);
  }
  emitVec(state, [{ kind: "value", value }], fullValue(state, value), [value]);
}

/** Row values that a full expression reads get tiles of their own first: one computation per row. */
export function materialise(state: TileState, operands: readonly Operand[]): void {
  for (const operand of operands) {
    if (!operand.inside || state.computed.has(operand.value)) continue;
    const node = state.context.producers.get(operand.value)!;
    if (fullValue(state, operand.value))
      materialise(state, state.prepared.space.operands.get(node)!);
    else prepareRowValues(state, node);
  }
}

/** Computes the row values that are ready and not yet computed, if some full value reads them. */
export function prepareRowValues(state: TileState, node: Node): void {
  const value = node.outputs[0]!;
  if (node.op.kind !== "map" || fullValue(state, value) || state.computed.has(value)) return;
  if (node === state.prepared.group.root) return;
  const ready = state.prepared.space.operands
    .get(node)!
    .every((o) => !o.inside || state.computed.has(o.value) || isMapOf(state, o.value));
  if (ready && dependenciesKnown(state, value))
    emitVec(state, [{ kind: "value", value }], false, [value]);
}

export function isMapOf(state: TileState, value: Value): boolean {
  return state.context.producers.get(value)?.op.kind === "map";
}

export function dependenciesKnown(state: TileState, value: Value): boolean {
  if (state.computed.has(value)) return true;
  const node = state.context.producers.get(value)!;
  if (node.op.kind !== "map") return false;
  return state.prepared.space.operands
    .get(node)!
    .every((o) => !o.inside || dependenciesKnown(state, o.value));
}

/**
 * One vec: over the parallel axes and, if `full`, the row axes. `keep` are values of the group that get tiles;
 * with `reduced` the first target goes to that output.
 */
export function emitVec(
  state: TileState,
  targets: readonly Target[],
  full: boolean,
  keep: readonly Value[],
  reduced?: VecOutput<TileOperand, Spanned>,
): void {
  const axes = vecAxes(state, full);
  const all: Target[] = [...targets];
  for (const value of keep) {
    if (!all.some((t) => t.kind === "value" && t.value === value))
      all.push({ kind: "value", value });
  }
  const { program, inputs } = buildExpression(all, sourcesOf(state, axes));
  const outputs: VecOutput<TileOperand, Spanned>[] = [];
  const results: number[] = [];
  if (reduced !== undefined) {
    outputs.push(reduced);
    results.push(program.results[0]!);
  }
  const made: [Value, Tile][] = [];
  for (const value of keep) {
    const tile = newTile(state, value, full);
    made.push([value, tile]);
    outputs.push({ dest: tileOperand(tile.value), strides: axes.map((a) => strideOf(tile, a)) });
    const result = program.results[all.findIndex((t) => t.kind === "value" && t.value === value)]!;
    results.push(result);
    if (value !== state.prepared.group.root.outputs[0]) continue;
    for (const copy of state.copies) {
      outputs.push({ dest: tileOperand(copy), strides: axes.map((a) => strideOf(tile, a)) });
      results.push(result);
    }
  }
  checkLimits(axes.length, inputs.length, outputs.length);
  state.writer.statement(
    {
      op: "vec",
      axes: axes.map((a) => vecAxis(state, a, full)),
      inputs: inputs.map((tile) => ({
        source: tileOf(tile),
        strides: axes.map((a) => strideOf(tile, a)),
      })),
      program: { instructions: program.instructions, results },
      carries: [],
      outputs,
    },
    state.role,
  );
  for (const [value, tile] of made) state.computed.set(value, tile);
}

export function checkLimits(axes: number, inputs: number, outputs: number): void {
  if (
    axes > tileLimits.vecAxes ||
    inputs > tileLimits.vecInputs ||
    outputs > tileLimits.vecOutputs
  ) {
    throw new PlanDoesNotFit(`vec with ${axes} axes, ${inputs} inputs, ${outputs} outputs`);
  }
}

/** Stands for an axis of one position at the index of the loop around the group. */
const tripAxis = -2;

/** -1 stands for an axis of one element, where a reduction has no other. */
export function vecAxes(state: TileState, full: boolean): number[] {
  const varies = (axis: number): boolean =>
    state.positions[axis]!.max > 1 || state.iotaAxes.has(axis);
  const { order, axes } = state.prepared;
  const parallel = order.filter((axis) => axes[axis]!.role !== "row" && varies(axis));
  const rows = full ? rowAxes(state).filter(varies) : [];
  const missing = full && rows.length === 0 && rowAxesOf(state).length > 0;
  const trip = state.trip === undefined ? [] : [tripAxis];
  return [...trip, ...parallel, ...(missing ? [-1] : rows)];
}

export function rowAxesOf(state: TileState): number[] {
  return [...state.prepared.axes.keys()].filter(
    (axis) => state.prepared.axes[axis]!.role === "row",
  );
}

export function vecAxis(state: TileState, axis: number, full: boolean): VecAxis {
  if (axis === tripAxis) {
    const base = variableAffine("index", state.trip!);
    return { kind: "parallel", count: staticCount(1), base };
  }
  if (axis < 0) return { kind: "reduce", count: staticCount(1), base: constantAffine(0) };
  const position = state.positions[axis]!;
  const isRow = full && state.prepared.axes[axis]!.role === "row";
  return {
    kind: isRow ? "reduce" : "parallel",
    count: positionCount(position),
    base: position.index,
  };
}

export function strideOf(tile: Tile, axis: number): number {
  return axis < 0 ? 0 : tile.strides[axis]!;
}

/** A tile over the parallel axes (and the row axes if `full`), dense in the group's order. */
export function newTile(
  state: TileState,
  value: Value,
  full: boolean,
  dtype = deviceType(value),
  scale = 1,
): Tile {
  const { prepared, positions, writer } = state;
  const strides = positions.map(() => 0);
  let elements = scale;
  for (const axis of prepared.order.toReversed()) {
    if (!full && prepared.axes[axis]!.role === "row") continue;
    strides[axis] = elements;
    elements *= Math.max(1, positions[axis]!.max);
  }
  const isRoot = value === prepared.group.root.outputs[0];
  if (isRoot && state.resultTile !== undefined) return { value: state.resultTile, strides };
  const depth = isRoot && state.insideTime ? state.plan.depthOut : 1;
  return {
    value: writer.value({ name: value.name, space: "l1", dtype, elements, depth }),
    strides,
  };
}

export function sourcesOf(state: TileState, axes: readonly number[]): ExpressionSources {
  const { prepared, context, writer } = state;
  return {
    space: prepared.space,
    producers: context.producers,
    computed: state.computed,
    loaded: (operand) => {
      const leaf = prepared.leaves.find((l) => l.operands.includes(operand));
      const known = leaf === undefined ? undefined : state.tiles.get(leaf);
      if (known !== undefined) return known;
      if (leaf === undefined || !state.loadsChunks) {
        throw new InternalError(`${operand.value.name} is not loaded`);
      }
      const tile = loadLeaf(state, leaf, state.plan.depthIn);
      state.tiles.set(leaf, tile);
      return tile;
    },
    vecAxis: (axis) => axes.indexOf(axis),
    indexAxis: () => axes.indexOf(tripAxis),
    affine: (dim) => writer.affine(dim),
  };
}

export function storeResult(state: TileState): void {
  const { prepared, writer, positions } = state;
  const value = prepared.group.root.outputs[0]!;
  const tile = state.computed.get(value);
  if (tile === undefined) return;
  const box = makeBox(writer, prepared.output, positions, prepared.order);
  writer.statement(
    {
      op: "store",
      axes: box.axes,
      memory: { binding: writer.binding(prepared.output.storage, "write"), offset: box.offset },
      source: tileOperand(tile.value),
    },
    state.role,
  );
  state.computed.delete(value);
}

export function iotaAxes(
  prepared: Pick<PreparedGroup, "space">,
  producers: ReadonlyMap<Value, Node>,
): Set<number> {
  const axes = new Set<number>();
  for (const operands of prepared.space.operands.values()) {
    for (const operand of operands) {
      if (laneNumber(operand, producers) !== "iota") continue;
      const { axis } = producers.get(operand.value)!.op as IotaOperation;
      for (const t of operand.map.expressions[axis]!.terms) axes.add(t.axis);
    }
  }
  return axes;
}

/** The nodes in the order of the graph: inputs are placed before what reads them. */
export function orderedNodes(prepared: PreparedGroup, producers: ReadonlyMap<Value, Node>): Node[] {
  const ordered: Node[] = [];
  const visit = (node: Node): void => {
    if (ordered.includes(node)) return;
    for (const operand of prepared.space.operands.get(node)!) {
      if (operand.inside) visit(producers.get(operand.value)!);
    }
    ordered.push(node);
  };
  visit(prepared.group.root);
  return ordered;
}

/** Number of reductions that must be known before a node's value can be: for a reduction, before its operand. */
export function nodeLevels(
  prepared: PreparedGroup,
  nodes: readonly Node[],
  producers: ReadonlyMap<Value, Node>,
): Map<Node, number> {
  const levels = new Map<Node, number>();
  for (const node of nodes) {
    let level = 0;
    for (const operand of prepared.space.operands.get(node)!) {
      if (!operand.inside) continue;
      const producer = producers.get(operand.value)!;
      level = Math.max(level, levels.get(producer)! + (producer.op.kind === "reduce" ? 1 : 0));
    }
    levels.set(node, level);
  }
  return levels;
}

/** Opens a temporal loop per axis of `order` that has more than one tile, loading what is ready before each. */
export function openTimeLoops(state: TileState, order: readonly number[]): number {
  let open = 0;
  for (const axis of order) {
    const tile = state.plan.tile[axis]!;
    if (tile >= state.positions[axis]!.max) continue;
    loadReady(state, axis);
    const range = state.positions[axis]!;
    const loop = state.writer.begin(state.prepared.axes[axis]!.name, "time", range, tile);
    state.positions[axis] = loop.position;
    state.insideTime = true;
    open++;
  }
  state.loopsAhead = [];
  return open;
}
