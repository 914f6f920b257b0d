/**
 * The kernel of a vector group: tiles of the parallel axes, on each the statements of the group one level after
 * the other. A level is what can be computed before the next reduction is known:
 *
 *   softmax   level 0: m = max x      level 1: e = exp(x - m), l = sum e      level 2: y = e / l
 *
 * If a row fits, it is loaded once and stays in L1 for all levels; if not, each level goes over the row in
 * chunks, loads it again and computes again what it needs (the same bits either way).
 */
import { isFloat } from "../../numerics/dtype.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { dimMin } from "../../ir/dim.js";
import type { Node, ReduceOperation, Value } from "../../ir/graph.js";
import { reducePartials } from "../../ir/graph.js";
import type { Spanned, TileOperand } from "../../ir/kernel.js";
import {
  type Affine,
  constantAffine,
  staticCount,
  tileLimits,
  type VecAxis,
  type VecOutput,
} from "../../ir/tile.js";
import { InternalError } from "../../support/diagnostic.js";
import { buildExpression, type ExpressionSources, type Target } from "./expression.js";
import {
  KernelWriter,
  makeBox,
  type Position,
  positionCount,
  type Tile,
  tileOperand,
  usesAxis,
  type WrittenKernel,
  addAffine,
  scaleAffine,
} from "./kernel-writer.js";
import type { RowsPlan } from "./plan.js";
import type { Leaf, PreparedGroup } from "./prepare.js";
import { deviceType } from "./storage.js";
import type { Operand } from "./space.js";

export interface RowsContext {
  readonly name: string;
  readonly grid: { readonly rows: number; readonly columns: number };
  readonly loadChannels: number;
  readonly producers: ReadonlyMap<Value, Node>;
}

/** A full value that costs this many lane operations is kept in L1 rather than computed again. */
const keepCost = 4;

export function writeRowsKernel(
  prepared: PreparedGroup,
  plan: RowsPlan,
  context: RowsContext,
): WrittenKernel {
  const state = startState(prepared, plan, context);
  const { writer } = state;
  let open = openSpatialLoops(state);
  for (const axis of prepared.order) {
    const tile = plan.tile[axis]!;
    if (prepared.axes[axis]!.role === "row" || tile >= state.positions[axis]!.max) continue;
    loadReady(state, axis);
    const range = state.positions[axis]!;
    const loop = writer.begin(prepared.axes[axis]!.name, "time", range, tile, 0);
    state.positions[axis] = loop.position;
    state.insideTime = true;
    open++;
  }
  state.loopsAhead = [];
  loadReady(state, undefined);
  for (let level = 0; level <= state.lastLevel; level++) emitLevel(state, level);
  storeResult(state);
  for (; open > 0; open--) writer.end();
  return writer.finish();
}

interface State {
  readonly prepared: PreparedGroup;
  readonly plan: RowsPlan;
  readonly context: RowsContext;
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
  spatial: { axis: number; loop: number }[];
}

function startState(prepared: PreparedGroup, plan: RowsPlan, context: RowsContext): State {
  const writer = new KernelWriter(context.name, context.grid);
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
    loopsAhead: prepared.order.filter((axis) => prepared.axes[axis]!.role === "parallel"),
    insideTime: false,
    spatial: [],
  };
}

/** The nodes in the order of the graph: inputs are placed before what reads them. */
function orderedNodes(prepared: PreparedGroup, producers: ReadonlyMap<Value, Node>): Node[] {
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
function nodeLevels(
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

export function iotaAxes(
  prepared: Pick<PreparedGroup, "space">,
  producers: ReadonlyMap<Value, Node>,
): Set<number> {
  const axes = new Set<number>();
  for (const operands of prepared.space.operands.values()) {
    for (const { value, map } of operands) {
      const producer = producers.get(value);
      if (producer?.op.kind !== "iota") continue;
      for (const t of map.expressions[producer.op.axis]!.terms) axes.add(t.axis);
    }
  }
  return axes;
}

function openSpatialLoops(state: State): number {
  const { writer, prepared, plan } = state;
  for (const { axis, over, step } of plan.split) {
    const space = prepared.axes[axis]!;
    const range = state.positions[axis]!;
    const loop = writer.begin(space.name, over, range, step, dimMin(space.extent));
    state.positions[axis] = loop.position;
    state.spatial.push({ axis, loop: loop.id });
  }
  return plan.split.length;
}

/** Loads the leaves that no loop still to come moves; `next` is the axis of the loop about to be opened. */
function loadReady(state: State, next: number | undefined): void {
  const ahead = state.loopsAhead.filter(
    (axis) => state.plan.tile[axis]! < state.positions[axis]!.max || axis === next,
  );
  for (const leaf of state.prepared.leaves) {
    if (state.tiles.has(leaf) || ahead.some((axis) => usesAxis(leaf.access, axis))) continue;
    if (state.plan.rowChunk !== undefined && rowAxes(state).some((a) => usesAxis(leaf.access, a)))
      continue;
    state.tiles.set(leaf, loadLeaf(state, leaf, state.insideTime ? 2 : 1));
  }
  state.loopsAhead = state.loopsAhead.filter((axis) => axis !== next);
}

/** Row axes that vary, in their natural order: that in which a reduction takes its elements. */
function rowAxes(state: State): number[] {
  const rows = state.prepared.order.filter((axis) => state.prepared.axes[axis]!.role === "row");
  return rows.sort((a, b) => a - b);
}

function loadLeaf(state: State, leaf: Leaf, depth: number): Tile {
  const { writer, prepared, context } = state;
  const { access } = leaf;
  const box = makeBox(writer, access, state.positions, prepared.order);
  const { root } = access.storage;
  const value = writer.value({
    name: root.name,
    space: "l1",
    dtype: root.dtype,
    elements: box.elements,
    depth,
  });
  const multicast = state.insideTime
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
    { channel: prepared.leaves.indexOf(leaf) % context.loadChannels },
  );
  return { value, strides: box.strides };
}

function emitLevel(state: State, level: number): void {
  const { prepared } = state;
  const reduces = state.nodes.filter(
    (node) => node.op.kind === "reduce" && state.levels.get(node) === level,
  );
  const root = prepared.group.root;
  const finishes = level === state.lastLevel && root.op.kind === "map";
  const chunk = state.plan.rowChunk;
  if (chunk === undefined) {
    for (const node of reduces) emitReduce(state, node, undefined);
    if (finishes) emitRoot(state);
    return;
  }
  const isFull = fullValue(state, root.outputs[0]!);
  if (reduces.length > 0) {
    emitChunks(state, chunk, (loop) => {
      for (const node of reduces) emitReduce(state, node, loop);
    });
    for (const node of reduces) foldReduce(state, node);
  }
  if (!finishes) return;
  if (!isFull) emitRoot(state);
  else {
    emitChunks(state, chunk, () => {
      emitRoot(state);
      storeResult(state);
    });
  }
}

/** A loop over the outermost row axis, with the leaves that vary along the row loaded inside. */
function emitChunks(state: State, chunk: number, body: (loop: number) => void): void {
  const { writer, prepared, positions } = state;
  const [axis] = rowAxes(state);
  if (axis === undefined) throw new InternalError("a row in chunks without a row axis");
  // What is of the row's extent is computed before the loop: its values live longer than one chunk.
  for (const node of state.nodes) prepareRowValues(state, node);
  const whole = positions[axis]!;
  const loop = writer.begin(
    prepared.axes[axis]!.name,
    "time",
    whole,
    chunk,
    dimMin(prepared.axes[axis]!.extent),
  );
  positions[axis] = loop.position;
  const chunked = prepared.leaves.filter((leaf) =>
    rowAxes(state).some((a) => usesAxis(leaf.access, a)),
  );
  for (const leaf of chunked) state.tiles.set(leaf, loadLeaf(state, leaf, 2));
  body(loop.id);
  for (const leaf of chunked) state.tiles.delete(leaf);
  positions[axis] = whole;
  writer.end();
}

/** Computes the row values that are ready and not yet computed, if some full value reads them. */
function prepareRowValues(state: State, node: Node): void {
  const value = node.outputs[0]!;
  if (node.op.kind !== "map" || fullValue(state, value) || state.computed.has(value)) return;
  if (node === state.prepared.group.root) return;
  const ready = state.prepared.space.operands
    .get(node)!
    .every((o) => !o.inside || state.computed.has(o.value) || isMapOf(state, o.value));
  if (ready && dependenciesKnown(state, value))
    emitVec(state, [{ kind: "value", value }], false, [value]);
}

function isMapOf(state: State, value: Value): boolean {
  return state.context.producers.get(value)?.op.kind === "map";
}

function dependenciesKnown(state: State, value: Value): boolean {
  if (state.computed.has(value)) return true;
  const node = state.context.producers.get(value)!;
  if (node.op.kind !== "map") return false;
  return state.prepared.space.operands
    .get(node)!
    .every((o) => !o.inside || dependenciesKnown(state, o.value));
}

/** Whether a value varies along the row axes. */
function fullValue(state: State, value: Value): boolean {
  const map = state.prepared.space.maps.get(value)!;
  const rows = state.prepared.space.axes;
  return map.expressions.some((e) => e.terms.some((t) => rows[t.axis]!.role === "row"));
}

function emitReduce(state: State, node: Node, chunkLoop: number | undefined): void {
  const [operand] = state.prepared.space.operands.get(node)!;
  const op = node.op as ReduceOperation;
  const result = node.outputs[0]!;
  materialise(state, [operand!]);
  const kept = chunkLoop === undefined ? valuesToKeep(state, operand!, node) : [];
  emitVec(state, [{ kind: "operand", operand: operand! }], true, kept, { op, result, chunkLoop });
}

function emitRoot(state: State): void {
  const value = state.prepared.group.root.outputs[0]!;
  materialise(state, state.prepared.space.operands.get(state.prepared.group.root)!);
  emitVec(state, [{ kind: "value", value }], fullValue(state, value), [value]);
}

/** Row values that a full expression reads get tiles of their own first: one computation per row. */
function materialise(state: State, operands: readonly Operand[]): void {
  for (const operand of operands) {
    if (!operand.inside || state.computed.has(operand.value)) continue;
    const node = state.context.producers.get(operand.value)!;
    materialise(state, state.prepared.space.operands.get(node)!);
    prepareRowValues(state, node);
  }
}

/** Full values inside the expression of `operand` that later statements read again and that are dear. */
function valuesToKeep(state: State, operand: Operand, statement: Node): Value[] {
  const kept: Value[] = [];
  const visit = (o: Operand): void => {
    if (!o.inside || state.computed.has(o.value)) return;
    const node = state.context.producers.get(o.value)!;
    const readers = state.nodes.filter((n) =>
      state.prepared.space.operands.get(n)!.some((x) => x.inside && x.value === o.value),
    );
    const later = readers.some(
      (n) => n !== statement && state.levels.get(n)! > state.levels.get(statement)!,
    );
    const isDear =
      node.op.kind === "map" && node.op.program.instructions.some((i) => dear.has(i.op));
    const isLong = node.op.kind === "map" && node.op.program.instructions.length >= keepCost + 2;
    if (later && (isDear || isLong) && kept.length < tileLimits.vecOutputs - 1) kept.push(o.value);
    else state.prepared.space.operands.get(node)!.forEach(visit);
  };
  visit(operand);
  return kept;
}

const dear: ReadonlySet<string> = new Set([
  "div",
  "sqrt",
  "exp",
  "log",
  "sin",
  "cos",
  "tan",
  "tanh",
  "erf",
  "pow",
  "sigmoid",
  "sinh",
  "cosh",
]);

interface ReduceSpec {
  readonly op: ReduceOperation;
  readonly result: Value;
  readonly chunkLoop: number | undefined;
}

/**
 * One vec: over the parallel axes and, if `full`, the row axes. `keep` are values of the group that get tiles;
 * with `reduce` the first target is reduced into the reduction's tile.
 */
function emitVec(
  state: State,
  targets: readonly Target[],
  full: boolean,
  keep: readonly Value[],
  reduce?: ReduceSpec,
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
  if (reduce !== undefined) {
    outputs.push(reduceOutput(state, reduce, axes));
    results.push(program.results[0]!);
  }
  const made: [Value, Tile][] = [];
  for (const value of keep) {
    const tile = newTile(state, value, full);
    made.push([value, tile]);
    outputs.push({ dest: tileOperand(tile.value), strides: axes.map((a) => strideOf(tile, a)) });
    results.push(program.results[all.findIndex((t) => t.kind === "value" && t.value === value)]!);
  }
  checkLimits(axes.length, inputs.length, outputs.length);
  state.writer.statement(
    {
      op: "vec",
      axes: axes.map((a) => vecAxis(state, a, full)),
      inputs: inputs.map((tile) => ({
        source: tileOperand(tile.value),
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

function checkLimits(axes: number, inputs: number, outputs: number): void {
  if (
    axes > tileLimits.vecAxes ||
    inputs > tileLimits.vecInputs ||
    outputs > tileLimits.vecOutputs
  ) {
    throw new PlanDoesNotFit(`vec with ${axes} axes, ${inputs} inputs, ${outputs} outputs`);
  }
}

/** The plan asks for more than an instruction or the machine has; the planner tries another. */
export class PlanDoesNotFit extends Error {}

/** -1 stands for an axis of one element, where a reduction has no other. */
function vecAxes(state: State, full: boolean): number[] {
  const varies = (axis: number): boolean =>
    state.positions[axis]!.max > 1 || state.iotaAxes.has(axis);
  const { order, axes } = state.prepared;
  const parallel = order.filter((axis) => axes[axis]!.role === "parallel" && varies(axis));
  const rows = full ? rowAxes(state).filter(varies) : [];
  const missing = full && rows.length === 0 && rowAxesOf(state).length > 0;
  return [...parallel, ...(missing ? [-1] : rows)];
}

function rowAxesOf(state: State): number[] {
  return [...state.prepared.axes.keys()].filter(
    (axis) => state.prepared.axes[axis]!.role === "row",
  );
}

function vecAxis(state: State, axis: number, full: boolean): VecAxis {
  if (axis < 0) return { kind: "reduce", count: staticCount(1), base: constantAffine(0) };
  const position = state.positions[axis]!;
  const isRow = full && state.prepared.axes[axis]!.role === "row";
  return {
    kind: isRow ? "reduce" : "parallel",
    count: positionCount(position),
    base: position.index,
  };
}

function strideOf(tile: Tile, axis: number): number {
  return axis < 0 ? 0 : tile.strides[axis]!;
}

/** A tile over the parallel axes (and the row axes if `full`), dense in the group's order. */
function newTile(
  state: State,
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
  const depth = isRoot && state.insideTime ? 2 : 1;
  return {
    value: writer.value({ name: value.name, space: "l1", dtype, elements, depth }),
    strides,
  };
}

function reduceOutput(
  state: State,
  spec: ReduceSpec,
  axes: readonly number[],
): VecOutput<TileOperand, Spanned> {
  const { op, result, chunkLoop } = spec;
  const reduction = op.reduction;
  if (reduction === "argmax" || reduction === "argmin") {
    throw new InternalError(`${reduction} reaches tiling; 2-optimize/expand-argmax takes it apart`);
  }
  const isPartial =
    chunkLoop !== undefined && isFloat(result.dtype) && ["sum", "prod"].includes(reduction);
  const scale = isPartial ? reducePartials : 1;
  const dtype = chunkLoop !== undefined && isFloat(result.dtype) ? "f32" : deviceType(result);
  const tile = newTile(state, result, false, dtype, scale);
  state.computed.set(result, tile);
  return {
    dest: tileOperand(tile.value),
    strides: axes.map((a) =>
      a >= 0 && state.prepared.axes[a]!.role === "row" ? 0 : strideOf(tile, a),
    ),
    reduce: {
      reduction,
      phase: rowPhase(state),
      init: chunkLoop === undefined ? [] : [chunkLoop],
      ...(isPartial ? { partialStride: 1 } : {}),
    },
  };
}

/** Row-major number of the first element of the row axes at the current position. */
function rowPhase(state: State): Affine {
  let phase = constantAffine(0);
  let inner = 1;
  // Row-major over the axes as the reduction lists them: their natural order, not that of memory.
  for (const axis of rowAxesOf(state).toReversed()) {
    phase = addAffine(phase, scaleAffine(state.positions[axis]!.index, inner));
    inner *=
      state.prepared.axes[axis]!.role === "row" ? Math.max(1, state.positions[axis]!.max) : 1;
  }
  return phase;
}

/** Partials of a row in chunks become the result, rounded to its type. */
function foldReduce(state: State, node: Node): void {
  const op = node.op as ReduceOperation;
  const result = node.outputs[0]!;
  const partials = state.computed.get(result)!;
  const isPartial = isFloat(result.dtype) && ["sum", "prod"].includes(op.reduction);
  if (!isPartial && (result.dtype === "f32" || !isFloat(result.dtype))) return;
  const axes = vecAxes(state, false);
  const tile = newTile(state, result, false);
  const builder = laneProgramBuilder();
  const program = builder.finish([builder.source("input", 0, "f32")]);
  const fold = axes.map((a) => vecAxis(state, a, false));
  const output = { dest: tileOperand(tile.value), strides: axes.map((a) => strideOf(tile, a)) };
  state.writer.statement(
    {
      op: "vec",
      axes: isPartial
        ? [...fold, { kind: "reduce", count: staticCount(reducePartials), base: constantAffine(0) }]
        : fold,
      inputs: [
        {
          source: tileOperand(partials.value),
          strides: [...axes.map((a) => strideOf(partials, a)), ...(isPartial ? [1] : [])],
        },
      ],
      program,
      carries: [],
      outputs: [
        isPartial
          ? {
              dest: output.dest,
              strides: [...output.strides, 0],
              reduce: {
                reduction: op.reduction as "sum" | "prod",
                phase: constantAffine(0),
                init: [],
              },
            }
          : output,
      ],
    },
    state.role,
  );
  state.computed.set(result, tile);
}

function sourcesOf(state: State, axes: readonly number[]): ExpressionSources {
  const { prepared, context, writer } = state;
  return {
    space: prepared.space,
    producers: context.producers,
    computed: state.computed,
    loaded: (operand) => {
      const leaf = prepared.leaves.find((l) => l.operands.includes(operand));
      const tile = leaf === undefined ? undefined : state.tiles.get(leaf);
      if (tile === undefined) throw new InternalError(`${operand.value.name} is not loaded`);
      return tile;
    },
    vecAxis: (axis) => axes.indexOf(axis),
    scalar: (affine) => affine.terms[0]!.id,
    affine: (dim) => writer.affine(dim),
  };
}

function storeResult(state: State): void {
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
