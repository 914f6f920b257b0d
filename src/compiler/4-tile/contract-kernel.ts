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
import { type Dim, dimMax, NeedsBinding, dimSymbols } from "../../ir/dim.js";
import { contractBlock, contractSegment, type Node } from "../../ir/graph.js";
import { addAffine, type Affine, type MmaAxis, scaleAffine, tileLimits } from "../../ir/tile.js";
import { usesAxis } from "./access.js";
import { type Box, makeBox } from "./box.js";
import { PlanDoesNotFit, positionCount, tileOperand } from "./kernel-writer.js";
import type { ContractPlan } from "./plan.js";
import { type Leaf, memoryOrder, type PreparedGroup } from "./prepare.js";
import { deviceType } from "./storage.js";
import {
  emitRoot,
  loadReady,
  openSpatialLoops,
  startState,
  storeResult,
  type TileContext,
  type TileState,
} from "./tile-writer.js";

export interface PreparedContract extends PreparedGroup {
  readonly contract: Node;
  /** Operands of the tensor engine; swapped where that puts the result's innermost axis on n. */
  readonly a: Leaf;
  readonly b: Leaf;
  readonly zeroA?: Leaf;
  readonly zeroB?: Leaf;
  readonly role: (axis: number) => "g" | "m" | "n" | "k";
  /** Contraction axes that vary: the blocked one and those inside a block, slowest first. */
  readonly blocked: number;
  readonly inner: readonly number[];
}

/** How the blocked axis is walked: positions per segment and whether a block is one of 64. */
export interface ContractionShape {
  readonly segmentStep: number;
  readonly innerPositions: number;
}

export function contractionShape(prepared: PreparedContract): ContractionShape {
  const innerPositions = prepared.inner.reduce((n, axis) => {
    const extent = prepared.axes[axis]!.extent;
    return n * staticExtent(extent, "it is a kernel dimension of a contraction");
  }, 1);
  const blocks = Math.max(1, Math.floor(contractSegment / (contractBlock * innerPositions)));
  return { segmentStep: blocks * contractBlock, innerPositions };
}

function staticExtent(extent: Dim, reason: string): number {
  if (typeof extent === "number") return extent;
  throw new NeedsBinding(
    [...dimSymbols(extent)].map((s) => s.name),
    reason,
  );
}

export function writeContractKernel(
  prepared: PreparedContract,
  plan: ContractPlan,
  context: TileContext,
): WrittenKernel {
  const state = startState(prepared, plan, context);
  const { writer } = state;
  const contraction = startContraction(state, prepared, plan);
  let open = openSpatialLoops(state);
  for (const axis of plan.order) {
    if (plan.tile[axis]! >= state.positions[axis]!.max) continue;
    loadReadyOperands(contraction, axis);
    loadReady(state, axis);
    const loop = writer.begin(
      prepared.axes[axis]!.name,
      "time",
      state.positions[axis]!,
      plan.tile[axis]!,
    );
    state.positions[axis] = loop.position;
    state.insideTime = true;
    open++;
  }
  state.loopsAhead = [];
  loadReady(state, undefined);
  emitContraction(contraction);
  writer.runLate(plan.stages[1]!);
  emitRoot(state);
  storeResult(state);
  for (; open > 0; open--) writer.end();
  return writer.finish();
}

export function startContraction(
  state: TileState,
  prepared: PreparedContract,
  plan: ContractPlan,
): Contraction {
  return { state, prepared, plan, operands: new Map(), loops: [] };
}

export interface Contraction {
  readonly state: TileState;
  readonly prepared: PreparedContract;
  readonly plan: ContractPlan;
  /** Tiles of the operands, with the contraction positions that they hold. */
  readonly operands: Map<Leaf, LoadedOperand>;
  /** Open contraction loops, outermost first. */
  readonly loops: number[];
}

interface LoadedOperand {
  readonly value: number;
  readonly box: Box;
  /** Where the tile begins along every axis. */
  readonly start: readonly Affine[];
}

/** Loads a panel (all of k) before the first loop that moves it no more. */
function loadReadyOperands(contraction: Contraction, next: number | undefined): void {
  const { prepared, plan, state } = contraction;
  const ahead = plan.order.slice(next === undefined ? plan.order.length : plan.order.indexOf(next));
  const moving = ahead.filter((axis) => plan.tile[axis]! < state.positions[axis]!.max);
  // What is loaded before a loop without trips would stay in its queue.
  if (moving.some((axis) => state.positions[axis]!.min < 1)) return;
  for (const [leaf, panel, depth] of operandList(prepared, plan)) {
    if (!panel || contraction.operands.has(leaf)) continue;
    if (moving.some((axis) => usesAxis(leaf.access, axis))) continue;
    loadOperand(contraction, leaf, state.insideTime ? depth : 1);
  }
}

export function operandList(
  prepared: PreparedContract,
  plan: ContractPlan,
): (readonly [Leaf, boolean, number])[] {
  const list: (readonly [Leaf, boolean, number])[] = [
    [prepared.b, plan.panelB, plan.depthB],
    [prepared.a, plan.panelA, plan.depthA],
  ];
  if (prepared.zeroA !== undefined) list.push([prepared.zeroA, true, 1]);
  if (prepared.zeroB !== undefined) list.push([prepared.zeroB, true, 1]);
  return list;
}

export function loadOperand(contraction: Contraction, leaf: Leaf, depth: number): void {
  const { state, prepared } = contraction;
  const { writer } = state;
  const { access } = leaf;
  const order = memoryOrder([...prepared.axes.keys()], [access]);
  const decoders = [leaf.decode?.scale, leaf.decode?.zero].filter((other) => other !== undefined);
  const { accessBytes } = state.context.machine.channels;
  const box = makeBox(writer, access, state.positions, order, { accessBytes, beside: decoders });
  const [scale, zero] = box.beside.map(({ offset, strides }, i) => ({
    memory: { binding: writer.binding(decoders[i]!.storage, "read"), offset },
    strides,
  }));
  const { root } = access.storage;
  const value = writer.value({
    name: root.name,
    space: "l1",
    dtype: scale === undefined ? root.dtype : "f32",
    elements: box.elements,
    depth,
  });
  const isUniform = state.plan.multicast && (!state.insideTime || timeLoopsUniform(state));
  const multicast = isUniform
    ? state.spatial.find(({ axis }) => !usesAxis(access, axis))
    : undefined;
  writer.statement(
    {
      op: "load",
      axes: box.axes,
      memory: { binding: writer.binding(access.storage, "read"), offset: box.offset },
      dest: tileOperand(value),
      fill: access.fill,
      ...(scale && { dequantize: { scale, ...(zero && { zero }) } }),
      ...(multicast === undefined
        ? {}
        : { delivery: { kind: "multicast" as const, loop: multicast.loop } }),
    },
    state.role,
    { channel: leaf === prepared.b ? 1 % state.context.machine.channels.load : 0 },
  );
  const start = state.positions.map(({ index }) => index);
  contraction.operands.set(leaf, { value, box, start });
}

/** All members make the same trips through the open loops over the result. */
function timeLoopsUniform(state: TileState): boolean {
  return state.spatial.every(({ axis, loop }) =>
    state.positions[axis]!.index.terms.every((t) => t.id === loop),
  );
}

/** From operands to an accumulator tile; loads what of them is not loaded. */
export function emitContraction(contraction: Contraction): void {
  const { state, prepared, plan } = contraction;
  const { writer, positions } = state;
  const contractValue = prepared.contract.outputs[0]!;
  const accumulator = accumulatorTile(contraction);
  const shape = contractionShape(prepared);
  const whole = prepared.axes.map((_, axis) => positions[axis]!);
  const fold: number[] = [];
  loadReadyOperands(contraction, undefined);
  openTileLoops(contraction, shape, fold);
  const isRepeated = state.insideTime || contraction.loops.length > 0;
  for (const [leaf, panel, depth] of operandList(prepared, plan)) {
    if (!panel) loadOperand(contraction, leaf, isRepeated ? depth : 1);
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
export function loopedInner(prepared: PreparedContract): readonly number[] {
  const blockedVaries = dimMax(prepared.axes[prepared.blocked]!.extent) > 1 ? 1 : 0;
  const room = kAxesMax - blockedVaries;
  return prepared.inner.slice(0, Math.max(0, prepared.inner.length - room));
}

const kAxesMax = 3;

function accumulatorTile(contraction: Contraction): { value: number; strides: readonly number[] } {
  const { state, prepared, plan } = contraction;
  const value = prepared.contract.outputs[0]!;
  const strides = state.positions.map(() => 0);
  let elements = 1;
  for (const axis of prepared.order.toReversed()) {
    if (prepared.role(axis) === "k") continue;
    strides[axis] = elements;
    elements *= Math.max(1, state.positions[axis]!.max);
  }
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

export { tileLimits };
