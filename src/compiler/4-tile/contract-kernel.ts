/**
 * The kernel of a contraction group: tiles of the result; for each the contraction in its canonical order into an
 * accumulator tile, then one vec with the whole epilogue, then the store.
 *
 *   loop m, n (members, then time)
 *     loop c (tiles) { load a, load b; loop s (segments) { mma acc } }
 *     vec epilogue(acc, bias, residual ..) ; store
 *
 * The first label of the contraction is cut in blocks of 64 when other labels (kernel positions) vary inside a
 * block; alone it may take tiles of any divisor or multiple of a segment. See ContractOperation for the order.
 */
import type { WrittenKernel } from "../tiled.js";
import { dimMax } from "../../ir/dim.js";
import { addAffine, type MmaAxis, scaleAffine } from "../../ir/tile.js";
import {
  type Contraction,
  factorsOf,
  type LoadedOperand,
  loadOperand,
  loadReadyOperands,
  startContraction,
} from "./contract-operands.js";
import { PlanDoesNotFit, positionCount, tileOperand } from "./kernel-writer.js";
import type { ContractPlan } from "./plan.js";
import {
  type ContractionShape,
  contractionShape,
  type PreparedContract,
} from "./prepare-contract.js";
import { deviceType } from "./storage.js";
import { loadReady, openSpatialLoops, openTimeLoops } from "./tile-loads.js";
import { denseTile, startState, type TileContext } from "./tile-state.js";
import { emitRoot, storeResult } from "./tile-vec.js";

export function writeContractKernel(
  prepared: PreparedContract,
  plan: ContractPlan,
  context: TileContext,
): WrittenKernel {
  const state = startState(prepared, plan, context);
  const { writer } = state;
  const contraction = startContraction(state, prepared, plan);
  const atNext = (next: number): void => loadReadyOperands(contraction, next);
  let open = openSpatialLoops(state) + openTimeLoops(state, plan.order, atNext);
  loadReady(state, undefined);
  emitContraction(contraction);
  writer.runLate(plan.stages[1]!);
  emitRoot(state);
  storeResult(state);
  for (; open > 0; open--) writer.end();
  return writer.finish();
}

/** From operands to an accumulator tile; loads what of them is not loaded. */
export function emitContraction(contraction: Contraction): void {
  const { state, prepared } = contraction;
  const { writer, positions } = state;
  const contractValue = prepared.contract.outputs[0]!;
  const accumulator = accumulatorTile(contraction);
  const shape = contractionShape(prepared);
  const whole = prepared.axes.map((_, axis) => positions[axis]!);
  const fold: number[] = [];
  loadReadyOperands(contraction, undefined);
  openTileLoops(contraction, shape, fold);
  const isRepeated = state.insideTime || contraction.loops.length > 0;
  for (const { leaf, isPanel, depth } of factorsOf(contraction)) {
    if (!isPanel) loadOperand(contraction, leaf, isRepeated ? depth : 1);
  }
  if (positions[prepared.blocked]!.max > shape.segmentStep) {
    openLoop(
      contraction,
      prepared.blocked,
      `${prepared.axes[prepared.blocked]!.name}s`,
      shape.segmentStep,
    );
  }
  const a = contraction.operands.get(prepared.a)!;
  const b = contraction.operands.get(prepared.b)!;
  const axes = mmaAxes(contraction, a, b, accumulator.strides);
  writer.statement(
    {
      op: "mma",
      axes,
      a: operandAt(contraction, a),
      b: operandAt(contraction, b),
      ...zeroOperand(contraction, "zeroA", axes),
      ...zeroOperand(contraction, "zeroB", axes),
      dest: tileOperand(accumulator.value),
      clear: [...contraction.loops],
      fold,
    },
    state.role,
  );
  for (const _ of contraction.loops) writer.end();
  for (const axis of [prepared.blocked, ...prepared.inner]) positions[axis] = whole[axis]!;
  state.computed.set(contractValue, accumulator);
}

/** Loops around the loads: segments, tiles in them, and as many inner axes as the instruction does not take. */
function openTileLoops(contraction: Contraction, shape: ContractionShape, fold: number[]): void {
  const { prepared, plan } = contraction;
  const { blocked, axes } = prepared;
  const { extent, name } = axes[blocked]!;
  const step = plan.tile[blocked]!;
  if (dimMax(extent) > shape.segmentStep && step < shape.segmentStep) {
    openLoop(contraction, blocked, `${name}s`, shape.segmentStep);
  }
  if (dimMax(extent) > step) {
    const loop = openLoop(contraction, blocked, name, step);
    if (step < shape.segmentStep) fold.push(loop);
  }
  for (const axis of loopedInner(prepared)) {
    fold.push(openLoop(contraction, axis, axes[axis]!.name, 1));
  }
}

function openLoop(contraction: Contraction, axis: number, name: string, step: number): number {
  const { state, loops } = contraction;
  const loop = state.writer.begin(name, "time", state.positions[axis]!, step);
  state.positions[axis] = loop.position;
  loops.push(loop.id);
  return loop.id;
}

/** Inner axes beyond what an instruction's k axes hold become loops: the slowest ones, so the order stays. */
function loopedInner(prepared: PreparedContract): readonly number[] {
  const blockedVaries = dimMax(prepared.axes[prepared.blocked]!.extent) > 1 ? 1 : 0;
  const room = kAxesMax - blockedVaries;
  return prepared.inner.slice(0, Math.max(0, prepared.inner.length - room));
}

const kAxesMax = 3;

function accumulatorTile(contraction: Contraction): { value: number; strides: readonly number[] } {
  const { state, prepared, plan } = contraction;
  const value = prepared.contract.outputs[0]!;
  const { strides, elements } = denseTile(state, (axis) => prepared.role(axis) !== "k");
  const tile = state.writer.value({
    name: value.name,
    space: "accumulator",
    dtype: deviceType(value),
    elements,
    depth: state.insideTime ? plan.depthAccumulator : 1,
  });
  return { value: tile, strides };
}

function mmaAxes(
  contraction: Contraction,
  a: LoadedOperand,
  b: LoadedOperand,
  strides: readonly number[],
): MmaAxis[] {
  const { state, prepared } = contraction;
  const taken = (axis: number): boolean => state.positions[axis]!.max > 1;
  const result = prepared.order.filter((axis) => prepared.role(axis) !== "k" && taken(axis));
  const inner = [...prepared.inner, prepared.blocked].filter(taken);
  const axes = [...result, ...inner].map(
    (axis): MmaAxis => ({
      role: prepared.role(axis),
      count: positionCount(state.positions[axis]!),
      strideA: a.box.strides[axis]!,
      strideB: b.box.strides[axis]!,
      strideC: prepared.role(axis) === "k" ? 0 : strides[axis]!,
    }),
  );
  const limits = { g: 1, m: 2, n: 2, k: kAxesMax } as const;
  for (const [role, most] of Object.entries(limits)) {
    if (axes.filter((axis) => axis.role === role).length > most)
      throw new PlanDoesNotFit(`${role} axes`);
  }
  return axes;
}

/** What is read of a tile begins where the contraction loops opened after its load stand. */
function operandAt(
  { state, prepared }: Contraction,
  { value, box, start }: LoadedOperand,
): ReturnType<typeof tileOperand> {
  let offset = box.base;
  for (const axis of [prepared.blocked, ...prepared.inner]) {
    const moved = addAffine(state.positions[axis]!.index, scaleAffine(start[axis]!, -1));
    offset = addAffine(offset, scaleAffine(moved, box.strides[axis]!));
  }
  return tileOperand(value, offset);
}

function zeroOperand(
  contraction: Contraction,
  which: "zeroA" | "zeroB",
  axes: readonly MmaAxis[],
): object {
  const leaf = contraction.prepared[which];
  if (leaf === undefined) return {};
  const loaded = contraction.operands.get(leaf)!;
  const { state, prepared } = contraction;
  const all = [
    ...prepared.order.filter((axis) => prepared.role(axis) !== "k"),
    ...prepared.inner,
    prepared.blocked,
  ];
  const taken = all.filter((axis) => state.positions[axis]!.max > 1);
  return {
    [which]: {
      source: tileOperand(loaded.value),
      strides: axes.map((_, i) => loaded.box.strides[taken[i]!]!),
    },
  };
}
