/**
 * The kernel of a whole loop: its trips run on the device, on one member, and what one trip hands to the next never
 * leaves L1. The groups of the body are written one after the other on whole tiles; a state is a value that the loop
 * carries.
 *
 *   first states ; load what no trip changes
 *   loop trip { load this trip's slices ; group ; group ; ... ; store this trip's parts, and the last states }
 *
 * Which loops these are, and what makes up their bodies, is for device-loop.ts to say.
 */
import type { StorageRoot, Storage, WrittenKernel } from "../tiled.js";
import { type Dim, type DimSymbol, dimSymbols } from "../../ir/dim.js";
import {
  addAffine,
  constantAffine,
  scaleAffine,
  type TransferAxis,
  variableAffine,
} from "../../ir/tile.js";
import { InternalError } from "../../support/diagnostic.js";
import type { DeviceMachine } from "../../target/machine.js";
import { emitContraction } from "./contract-kernel.js";
import { type Contraction, factorsOf, loadOperand, startContraction } from "./contract-operands.js";
import { type Access, axisStride } from "./access.js";
import { makeBox } from "./box.js";
import { KernelWriter, PlanDoesNotFit, type Tile, tileOperand } from "./kernel-writer.js";
import { axisIndex, zeroIndex } from "./index-map.js";
import type { ContractPlan, RowsPlan, TilePlan } from "./plan.js";
import { accessesOf, axisMax, type Leaf, outputAccess, type PreparedGroup } from "./prepare.js";
import type { PreparedContract } from "./prepare-contract.js";
import { emitLevels, rowsSteps } from "./rows-kernel.js";
import { laneNumber } from "./space.js";
import { natural } from "./storage.js";
import { loadLeaf, loadReady } from "./tile-loads.js";
import { startState, type TileContext, type TileState } from "./tile-state.js";
import { emitRoot } from "./tile-vec.js";

export interface LoopParts {
  readonly index: DimSymbol;
  readonly trips: Dim;
  /** In an order in which each comes after those that it reads from. */
  readonly groups: readonly LoopGroup[];
  readonly states: readonly LoopState[];
  readonly scans: readonly StoredPart[];
  readonly machine: DeviceMachine;
}

export interface LoopGroup {
  readonly prepared: PreparedGroup | PreparedContract;
  readonly context: TileContext;
}

export interface LoopState {
  /** Copies what the first trip takes to `taken`. */
  readonly first: LoopGroup;
  /** As the body reads it. */
  readonly taken: StorageRoot;
  /** Root of the group whose result the next trip takes. */
  readonly next: StorageRoot;
  readonly last: StoredPart;
}

export interface StoredPart {
  readonly from: StorageRoot;
  readonly to: Storage;
}

interface LoopWriter {
  readonly writer: KernelWriter;
  readonly parts: LoopParts;
  /** What stays in L1, by the root that it would have in memory. */
  readonly resident: Map<StorageRoot, Resident>;
}

interface Resident {
  readonly tile: number;
  readonly role: number;
}

/** A group on its way: with the state that it is written with, and for a contraction its operands. */
interface OpenGroup {
  readonly state: TileState;
  readonly contraction: Contraction | undefined;
  readonly root: StorageRoot;
}

/** Throws PlanDoesNotFit where an instruction does not take what a group would need. */
export function writeLoopKernel(parts: LoopParts, name: string): WrittenKernel {
  const writer = new KernelWriter(name, { rows: 1, columns: 1 });
  const loop: LoopWriter = { writer, parts, resident: new Map() };
  const carried = parts.states.filter(({ taken }) => isRead(parts, taken));
  for (const state of carried) writeFirst(loop, state);
  const groups = parts.groups.map((group) => openGroup(loop, group));
  for (const group of groups) loadFixed(loop, group);
  const range = writer.whole(parts.trips);
  const { id } = writer.begin("trip", "time", range, 1);
  writer.bindIndex(parts.index, id);
  for (const { taken } of carried) writer.carry(loop.resident.get(taken)!.tile, id);
  for (const group of groups) writeGroup(loop, group, id);
  for (const [i, scan] of parts.scans.entries()) storePart(loop, scan, i);
  for (const [i, { last }] of parts.states.entries()) {
    storePart(loop, last, parts.scans.length + i, lastTripOnly(loop, id));
  }
  writer.end();
  return writer.finish();
}

/** Whether a trip reads it, or stores it. */
function isRead({ groups, scans }: LoopParts, root: StorageRoot): boolean {
  return (
    scans.some(({ from }) => from === root) ||
    groups.some(({ prepared }) => rootsRead(prepared).includes(root))
  );
}

/** What a group reads, in L1 or in memory. */
export function rootsRead(prepared: LoopGroup["prepared"]): readonly StorageRoot[] {
  const leaves = [...prepared.leaves, ...operandsOf(prepared)];
  return leaves.flatMap(accessesOf).map(({ storage }) => storage.root);
}

/** What a contraction multiplies. */
function operandsOf(prepared: LoopGroup["prepared"]): readonly Leaf[] {
  if (!("contract" in prepared)) return [];
  const { a, b, zeroA, zeroB } = prepared;
  return [a, b, zeroA, zeroB].filter((leaf) => leaf !== undefined);
}

function writeFirst({ writer, resident }: LoopWriter, { first, taken }: LoopState): void {
  const { name, dtype, elements } = taken;
  const tile = writer.value({ name, space: "l1", dtype, elements, depth: 2 });
  const { prepared, context } = first;
  const state = startState(prepared, rowsPlan(first), context, writer);
  state.resultTile = tile;
  loadReady(state, undefined);
  emitLevels(state);
  resident.set(taken, { tile, role: state.role });
}

function openGroup({ writer }: LoopWriter, group: LoopGroup): OpenGroup {
  const { prepared, context } = group;
  const { root } = prepared.output.storage;
  if (!("contract" in prepared)) {
    const state = startState(prepared, rowsPlan(group), context, writer);
    return { state, contraction: undefined, root };
  }
  const plan = contractPlan(prepared);
  const state = startState(prepared, plan, context, writer);
  return { state, contraction: startContraction(state, prepared, plan), root };
}

/** Everything whole: the next trip's slices are loaded, and the last one's parts stored, while a trip is computed. */
function wholePlan({ axes }: PreparedGroup): Omit<TilePlan, "stages"> {
  return { split: [], tile: axes.map(axisMax), depthIn: 2, depthOut: 2, multicast: false };
}

function rowsPlan({ prepared, context }: LoopGroup): RowsPlan {
  const stages = Array.from({ length: rowsSteps(prepared, context.producers) }, () => 0);
  return { ...wholePlan(prepared), kind: "rows", stages };
}

function contractPlan(prepared: PreparedContract): ContractPlan {
  return {
    ...wholePlan(prepared),
    kind: "contract",
    panelA: true,
    panelB: true,
    depthA: 2,
    depthB: 2,
    depthAccumulator: 1,
    order: [],
    stages: [0, 0],
  };
}

/** Loads what is the same in every trip. */
function loadFixed(loop: LoopWriter, { state, contraction }: OpenGroup): void {
  const isFixed = (leaf: Leaf): boolean =>
    accessesOf(leaf).every((access) => !isResident(loop, access) && !moves(loop, access));
  for (const leaf of state.prepared.leaves) {
    if (isFixed(leaf)) state.tiles.set(leaf, loadLeaf(state, leaf, 1));
  }
  if (contraction === undefined) return;
  for (const { leaf } of factorsOf(contraction)) {
    if (isFixed(leaf)) loadOperand(contraction, leaf, 1);
  }
}

function writeGroup(loop: LoopWriter, group: OpenGroup, trip: number): void {
  const { state, contraction, root } = group;
  state.insideTime = true;
  if (readsTrip(loop, state)) state.trip = trip;
  state.copies.push(...carriedBy(loop, root));
  for (const leaf of state.prepared.leaves) {
    if (isResident(loop, leaf.access)) state.tiles.set(leaf, residentTile(loop, leaf, state));
  }
  if (contraction !== undefined) takeResident(loop, contraction);
  loadReady(state, undefined);
  if (contraction === undefined) emitLevels(state);
  else {
    emitContraction(contraction);
    if (!isReadAsSums(loop, group)) emitRoot(state);
  }
  const result = state.computed.get(state.prepared.group.root.outputs[0]!);
  if (result === undefined) throw new InternalError(`${root.name} is not computed in its loop`);
  loop.resident.set(root, { tile: result.value, role: state.role });
}

/** Whether only vecs read the sums, which they can where they are. */
function isReadAsSums({ parts }: LoopWriter, { state, root }: OpenGroup): boolean {
  const { op, outputs } = state.prepared.group.root;
  const isSum = op.kind === "contract" && ["f32", "i32"].includes(outputs[0]!.dtype);
  const isMultiplied = parts.groups.some(({ prepared }) =>
    operandsOf(prepared).some((leaf) => leaf.access.storage.root === root),
  );
  const stored = [...parts.scans, ...parts.states.map(({ last }) => last)];
  return isSum && !isMultiplied && !stored.some(({ from }) => from === root);
}

/** Slots of the states that a group's result is the next of. */
function carriedBy({ parts, resident }: LoopWriter, root: StorageRoot): number[] {
  return parts.states.flatMap(({ taken, next }) =>
    next === root ? (resident.get(taken)?.tile ?? []) : [],
  );
}

function takeResident(loop: LoopWriter, contraction: Contraction): void {
  const { state } = contraction;
  for (const { leaf } of factorsOf(contraction)) {
    if (!isResident(loop, leaf.access)) continue;
    const { value, strides, base } = residentTile(loop, leaf, state);
    contraction.operands.set(leaf, {
      value,
      box: {
        ...{ axes: [], beside: [], offset: constantAffine(0), elements: 0 },
        ...{ strides, base: base! },
      },
      start: state.positions.map(({ index }) => index),
    });
  }
}

/** What lies in L1 is read where it lies, by the strides that it would have in memory. */
function residentTile(
  { writer, resident }: LoopWriter,
  { access }: Leaf,
  { positions }: TileState,
): Tile {
  const { storage, dims } = access;
  const found = resident.get(storage.root);
  if (found === undefined)
    throw new InternalError(`${storage.root.name} is read before it is there`);
  if (dims.some((dim) => dim.limit !== undefined)) {
    throw new PlanDoesNotFit(
      `"${storage.root.name}" is read past its edges, or at a place that moves`,
    );
  }
  const base = dims.reduce(
    (sum, dim) => addAffine(sum, scaleAffine(writer.affine(dim.origin), dim.stride)),
    constantAffine(storage.offset),
  );
  return { value: found.tile, strides: positions.map((_, i) => axisStride(access, i)), base };
}

function isResident({ parts }: LoopWriter, { storage }: Access): boolean {
  const { root } = storage;
  return (
    parts.states.some(({ taken }) => taken === root) ||
    parts.groups.some(({ prepared }) => prepared.output.storage.root === root)
  );
}

/** Whether it begins at another place of memory in every trip. */
function moves({ parts }: LoopWriter, { dims }: Access): boolean {
  return dims.some(({ origin, limit }) => [origin, limit ?? 0].some((dim) => mentions(parts, dim)));
}

function mentions({ index }: LoopParts, dim: Dim): boolean {
  return [...dimSymbols(dim)].some(({ name }) => name === index.name);
}

/** Whether the group computes with the number of the trip. */
function readsTrip({ parts }: LoopWriter, { prepared, context }: TileState): boolean {
  const operands = [...prepared.space.operands.values()].flat();
  return operands.some((operand) => {
    const kind = laneNumber(operand, context.producers);
    if (kind === "dim") return mentions(parts, operand.value.dims![0]!);
    return kind === "iota" && operand.map.expressions.some((e) => mentions(parts, e.origin));
  });
}

/** One position on the last trip, none on those before. */
function lastTripOnly({ writer, parts }: LoopWriter, trip: number): TransferAxis {
  const past = addAffine(constantAffine(2), writer.affine(parts.trips), -1);
  const value = addAffine(past, variableAffine("index", trip));
  return { count: { value, max: 1 }, memoryStride: 0, slotStride: 0 };
}

/** Stores a whole tile, dense in the order of its dims. */
function storePart(
  { writer, resident, parts }: LoopWriter,
  { from, to }: StoredPart,
  number: number,
  when?: TransferAxis,
): void {
  const expressions = to.shape.map((extent, i) => (extent === 1 ? zeroIndex : axisIndex(i)));
  const positions = to.shape.map((extent) => writer.whole(extent));
  const { tile, role } = resident.get(from)!;
  const box = makeBox(writer, outputAccess(to, { expressions }), positions, natural(to));
  writer.statement(
    {
      op: "store",
      axes: when === undefined ? box.axes : [when, ...box.axes],
      memory: { binding: writer.binding(to, "write"), offset: box.offset },
      source: tileOperand(tile),
    },
    role,
    { channel: number % parts.machine.channels.store },
  );
}
