/**
 * The kernel of a vector group: tiles of the parallel axes, on each the statements of the group one level after
 * the other. A level is what can be computed before the next reduction is known:
 *
 *   softmax   level 0: m = max x      level 1: e = exp(x - m), l = sum e      level 2: y = e / l
 *
 * If a row fits, it is loaded once and stays in L1 for all levels; if not, each level goes over the row in
 * chunks, loads it again and computes again what it needs (the same bits either way).
 */
import type { WrittenKernel } from "../tiled.js";
import { type Node, type ReduceOperation, reducePartials, type Value } from "../../ir/graph.js";
import type { Spanned, TileOperand } from "../../ir/kernel/kernel.js";
import {
  addAffine,
  type Affine,
  constantAffine,
  scaleAffine,
  staticCount,
  tileLimits,
  type VecOutput,
} from "../../ir/tile.js";
import { isFloat } from "../../numerics/dtype.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { InternalError } from "../../support/diagnostic.js";
import { usesAxis } from "./access.js";
import { tileOperand } from "./kernel-writer.js";
import { nodeLevels, orderedNodes } from "./levels.js";
import type { RowsPlan } from "./plan.js";
import type { PreparedGroup } from "./prepare.js";
import type { Operand } from "./space.js";
import { deviceType } from "./storage.js";
import { loadReady, openSpatialLoops, openTimeLoops } from "./tile-loads.js";
import {
  fullValue,
  rowAxes,
  rowAxesOf,
  startState,
  type TileContext,
  type TileState,
} from "./tile-state.js";
import {
  emitRoot,
  emitVec,
  materialise,
  newTile,
  prepareRowValues,
  storeResult,
  strideOf,
  vecAxes,
  vecAxis,
} from "./tile-vec.js";

/** A full value that costs this many lane operations is kept in L1 rather than computed again. */
const keepCost = 4;

export function writeRowsKernel(
  prepared: PreparedGroup,
  plan: RowsPlan,
  context: TileContext,
): WrittenKernel {
  const state = startState(prepared, plan, context);
  const { writer } = state;
  const parallel = prepared.order.filter((axis) => prepared.axes[axis]!.role === "parallel");
  let open = openSpatialLoops(state) + openTimeLoops(state, parallel);
  loadReady(state, undefined);
  emitLevels(state);
  storeResult(state);
  for (; open > 0; open--) writer.end();
  return writer.finish();
}

/** Computes the result from what is loaded. */
export function emitLevels(state: TileState): void {
  for (let level = 0; level <= state.lastLevel; level++) {
    state.writer.runLate(state.plan.stages[level]!);
    emitLevel(state, level);
  }
}

/** Levels of a group: the stages that its tiles may be spread over. */
export function rowsSteps(prepared: PreparedGroup, producers: ReadonlyMap<Value, Node>): number {
  const levels = nodeLevels(prepared, orderedNodes(prepared, producers), producers);
  return levels.get(prepared.group.root)! + 1;
}

function emitLevel(state: TileState, level: number): void {
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

/** A loop over the outermost row axis; leaves that vary along the row are loaded inside, where they are read. */
function emitChunks(state: TileState, chunk: number, body: (loop: number) => void): void {
  const { writer, prepared, positions } = state;
  const [axis] = rowAxes(state);
  if (axis === undefined) throw new InternalError("a row in chunks without a row axis");
  // What is of the row's extent is computed before the loop: its values live longer than one chunk.
  for (const node of state.nodes) if (isReadByFull(state, node)) prepareRowValues(state, node);
  const whole = positions[axis]!;
  if (whole.min < 1) writer.requireClamped(whole, "a row in chunks could be empty");
  const loop = writer.begin(prepared.axes[axis]!.name, "time", whole, chunk);
  positions[axis] = loop.position;
  state.loadsChunks = true;
  body(loop.id);
  state.loadsChunks = false;
  for (const leaf of prepared.leaves) {
    if (rowAxes(state).some((a) => usesAxis(leaf.access, a))) state.tiles.delete(leaf);
  }
  positions[axis] = whole;
  writer.end();
}

function isReadByFull(state: TileState, node: Node): boolean {
  const value = node.outputs[0]!;
  const { operands } = state.prepared.space;
  const isFullReader = (reader: Node): boolean =>
    reader.op.kind === "reduce" || fullValue(state, reader.outputs[0]!);
  return state.nodes.some(
    (reader) => isFullReader(reader) && operands.get(reader)!.some((o) => o.value === value),
  );
}

function emitReduce(state: TileState, node: Node, chunkLoop: number | undefined): void {
  const [operand] = state.prepared.space.operands.get(node)!;
  const op = node.op as ReduceOperation;
  const result = node.outputs[0]!;
  materialise(state, [operand!]);
  const kept = chunkLoop === undefined ? valuesToKeep(state, operand!, node) : [];
  const output = reduceOutput(state, { op, result, chunkLoop });
  emitVec(state, [{ kind: "operand", operand: operand! }], true, kept, output);
}

/** Full values inside the expression of `operand` that later statements read again and that are dear. */
function valuesToKeep(state: TileState, operand: Operand, statement: Node): Value[] {
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

function reduceOutput(state: TileState, spec: ReduceSpec): VecOutput<TileOperand, Spanned> {
  const { op, result, chunkLoop } = spec;
  const axes = vecAxes(state, true);
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
function rowPhase(state: TileState): Affine {
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
function foldReduce(state: TileState, node: Node): void {
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
