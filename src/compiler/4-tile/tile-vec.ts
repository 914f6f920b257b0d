/** Vec statements over tiles: the group's maps as lane programs, its values in tiles of their own, and the store of the result. */
import type { Node, Value } from "../../ir/graph.js";
import type { Spanned, TileOperand } from "../../ir/kernel/kernel.js";
import {
  constantAffine,
  staticCount,
  tileLimits,
  variableAffine,
  type VecAxis,
  type VecOutput,
} from "../../ir/tile.js";
import { InternalError } from "../../support/diagnostic.js";
import { makeBox } from "./box.js";
import { buildExpression, type ExpressionSources, type Target } from "./expression.js";
import { PlanDoesNotFit, positionCount, type Tile, tileOf, tileOperand } from "./kernel-writer.js";
import type { Operand } from "./space.js";
import { deviceType } from "./storage.js";
import { loadLeaf } from "./tile-loads.js";
import { denseTile, fullValue, rowAxes, rowAxesOf, type TileState } from "./tile-state.js";

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

function isMapOf(state: TileState, value: Value): boolean {
  return state.context.producers.get(value)?.op.kind === "map";
}

function dependenciesKnown(state: TileState, value: Value): boolean {
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

function checkLimits(axes: number, inputs: number, outputs: number): void {
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
  const { prepared, writer } = state;
  const varies = (axis: number): boolean => full || prepared.axes[axis]!.role !== "row";
  const { strides, elements } = denseTile(state, varies, scale);
  const isRoot = value === prepared.group.root.outputs[0];
  if (isRoot && state.resultTile !== undefined) return { value: state.resultTile, strides };
  const depth = isRoot && state.insideTime ? state.plan.depthOut : 1;
  return {
    value: writer.value({ name: value.name, space: "l1", dtype, elements, depth }),
    strides,
  };
}

function sourcesOf(state: TileState, axes: readonly number[]): ExpressionSources {
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
