/**
 * Phase 4: a graph whose nodes have their places (host or device) becomes a list of steps with kernels. Decide, then
 * emit: groups (groups.ts), storages (storage.ts), a plan per group (plan-*.ts), its kernel (*-kernel.ts).
 */
import type { DeviceMachine } from "../../target/machine.js";
import { type Dim, dimEquals, dimMax, dimMin, dimSymbols, NeedsBinding } from "../../ir/dim.js";
import {
  type ContractOperation,
  type Graph,
  isControl,
  type Node,
  type Origin,
  type Value,
} from "../../ir/graph.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { isKnown } from "../../ir/loop-builder.js";
import type { DecisionRecord } from "../../isa/executable.js";
import { isFloat } from "../../numerics/dtype.js";
import { fail, InternalError } from "../../support/diagnostic.js";
import { concatParts, isEmpty } from "./concat-parts.js";
import type { PreparedContract } from "./contract-kernel.js";
import { contractOrder, operandOrder, rootOrder } from "./contract-order.js";
import { type BodyOptions, type ControlTiling, tileIf, tileLoop } from "./control.js";
import {
  type DeviceLoopTiling,
  DoesNotFit,
  type KernelBodyTiling,
  tileDeviceLoop,
  whatFits,
} from "./device-loop.js";
import { collectProducers, collectUses, fuse, type Group } from "./groups.js";
import { isMovement, reshapeRuns } from "./index-map.js";
import type { WrittenKernel } from "../tiled.js";
import { writeGather, writeScatter } from "./index-kernels.js";
import type { LoopGroup } from "./loop-kernel.js";
import type { MoveContext } from "./move-nest.js";
import { writeScan } from "./scan-kernel.js";
import { planContract } from "./plan-contract.js";
import { type Plan, printPlan } from "./plan.js";
import { bestPlan, type ChosenKernel, type PlanChooser } from "./plan-choice.js";
import { planRows } from "./plan-rows.js";
import { makeAccess } from "./kernel-writer.js";
import {
  makeLeaves,
  memoryOperands,
  memoryOrder,
  mergeAxes,
  outputAccess,
  type PreparedGroup,
} from "./prepare.js";
import { analyseSpace, type Operand, type Space } from "./space.js";
import {
  createStorageMap,
  natural,
  orderedStrides,
  reshapeStorage,
  type StorageMap,
} from "./storage.js";
import type { Storage, TiledGraph, TiledStep } from "../tiled.js";
import { iotaAxes, type TileContext } from "./tile-writer.js";

export interface TileOptions {
  readonly machine: DeviceMachine;
  readonly chooser?: PlanChooser;
  /** False: every node a kernel of its own, no loop in a kernel (a test of the numbers). */
  readonly fuse?: boolean;
}

export function tileGraph(graph: Graph, options: TileOptions): TiledGraph {
  const { state, run } = openTiling(graph, options);
  const { storages, steps } = state;
  for (const input of graph.inputs) if (!storages.get(input)) state.hostValues.add(input);
  run();
  const source = (value: Value): Value => {
    const outer = state.sources.get(value);
    return outer === undefined ? value : source(outer);
  };
  const storage = (value: Value): Storage | undefined => storages.get(source(value));
  return { graph, steps, roots: storages.roots, records: state.records, storage, source };
}

/** The tiling of a graph, or of a body of control flow in the graph of `outer`. */
function openTiling(
  graph: Graph,
  options: TileOptions,
  outer?: State,
  body?: BodyOptions,
): { readonly state: State; readonly groups: readonly Group[]; readonly run: () => void } {
  const producers = collectProducers(graph);
  const groups = fuse(graph, producers, options.fuse ?? true);
  const parts = concatParts(graph, { groups, producers, isBody: outer !== undefined });
  const places = keepPlaces(body?.places, groups);
  const storages = createStorageMap({
    graph,
    parts,
    ...(outer === undefined ? {} : { outer: outer.storages, places }),
  });
  const state: State = {
    graph,
    options,
    producers,
    storages,
    steps: [],
    hostValues: outer?.hostValues ?? new Set(),
    names: outer?.names ?? new Map(),
    plans: outer?.plans ?? new Map(),
    sources: outer?.sources ?? new Map(),
    records: outer?.records ?? [],
    outer,
  };
  for (const [inner, value] of body?.captured ?? []) state.sources.set(inner, value);
  const run = (): void => {
    for (const group of groups) tileGroup(state, group);
  };
  return { state, groups, run };
}

/** What the host or inner control flow makes has its own place and is copied from there. */
function keepPlaces(
  places: ReadonlyMap<Value, Storage> | undefined,
  groups: readonly Group[],
): ReadonlyMap<Value, Storage> {
  const made = groups.flatMap(({ root }) =>
    root.op.kind === "host" || isControl(root.op) ? [] : root.outputs,
  );
  return new Map([...(places ?? [])].filter(([value]) => made.includes(value)));
}

interface State {
  readonly graph: Graph;
  readonly options: TileOptions;
  readonly producers: ReadonlyMap<Value, Node>;
  readonly storages: StorageMap;
  readonly steps: TiledStep[];
  /** Values that are on the host. */
  readonly hostValues: Set<Value>;
  readonly names: Map<string, number>;
  readonly plans: TileContext["known"];
  /** Inputs of bodies that are values outside. */
  readonly sources: Map<Value, Value>;
  readonly records: DecisionRecord[];
  /** The tiling of the graph around a body. */
  readonly outer: State | undefined;
}

function tileGroup(state: State, group: Group): void {
  const { root } = group;
  if (root.op.kind !== "host" && !isControl(root.op) && root.outputs.every(isEmpty)) {
    for (const v of root.outputs)
      if (!state.storages.get(v)) state.storages.allocate(v, natural(v));
    return;
  }
  switch (root.op.kind) {
    case "if":
      return tileIf(controlTiling(state), root, root.op);
    case "loop":
      if (state.options.fuse !== false && tileDeviceLoop(loopTiling(state), root, root.op)) return;
      return tileLoop(controlTiling(state), root, root.op);
    case "host":
      for (const input of root.inputs) downloadCaptured(state, input);
      state.steps.push({ kind: "host", node: root });
      for (const output of root.outputs) state.hostValues.add(output);
      return;
    case "concat":
      return tileConcat(state, root);
    case "gather":
      return pushLaunch(state, root, "gather", (context) => writeGather(root, context));
    case "scatter":
      return pushLaunch(state, root, "scatter", (context) => writeScatter(root, context));
    case "scan":
      return pushLaunch(state, root, "scan", (context) => writeScan(root, context));
    case "map":
    case "reduce":
    case "contract":
      return tileFused(state, group);
    default:
      throw new InternalError(`a group of kind ${root.op.kind}`);
  }
}

/** A value from outside the body, fetched before the control flow begins. */
function downloadCaptured(state: State, value: Value): void {
  const source = state.sources.get(value);
  if (source === undefined) return;
  const { outer } = state;
  if (outer!.sources.has(source)) downloadCaptured(outer!, source);
  else if (isKnown(source) || !isOnHost(outer!, source))
    outer!.steps.push({ kind: "download", value: source });
}

function isOnHost(state: State, value: Value): boolean {
  const source = state.sources.get(value);
  if (source !== undefined) return isOnHost(state.outer!, source);
  return isKnown(value) || state.hostValues.has(value);
}

function loopTiling(state: State): DeviceLoopTiling {
  const { storages, records, options } = state;
  return {
    ...{ storages, machine: options.machine },
    push: (step) => state.steps.push(step),
    note: (record) => records.push(record),
    attempt: (make) => attemptTiling(state, make),
    nameOf: (node) => kernelName(state, node),
    prepareCopy: (from, to, name) => prepareCopy(state, from, to, name),
    openKernelBody: (body, captured) => openKernelBody(state, body, captured),
  };
}

function controlTiling(state: State): ControlTiling {
  return {
    storages: state.storages,
    hostValues: state.hostValues,
    push: (step) => state.steps.push(step),
    copy: (value, to) => copyInto(state, value, to),
    openBody: (body, options) => {
      const inner = openTiling(body, state.options, state, options);
      inner.run();
      return {
        steps: inner.state.steps,
        storageOf: (value) => storageOf(inner.state, value, natural(value)),
        isOnHost: (value) => isOnHost(inner.state, value),
        settle: (value, place) => {
          if (isEmpty(value)) return;
          const own = storageOf(inner.state, value, natural(value));
          if (!isSamePlace(own, place)) copyInto(inner.state, value, place);
        },
      };
    },
  };
}

/** A body that becomes one kernel with the loop around it. */
function openKernelBody(
  outer: State,
  body: Graph,
  captured: BodyOptions["captured"],
): KernelBodyTiling {
  const { state, groups } = openTiling(body, outer.options, outer, { captured, places: new Map() });
  return {
    groups,
    steps: state.steps,
    producers: state.producers,
    prepare: (group, name) => prepareGroup(state, group, name),
    prepareCopy: (from, to, name) => prepareCopy(state, from, to, name),
  };
}

/** What `make` gives; all that it did is undone where it finds that it cannot. */
function attemptTiling<T>(state: State, make: () => T): T | DoesNotFit {
  const { storages, hostValues, sources, names } = state;
  const before = [storages.storages, sources, names].map((map) => new Map<unknown, unknown>(map));
  const onHost = [...hostValues];
  const roots = storages.roots.length;
  const chain: State[] = [];
  for (let at: State | undefined = state; at !== undefined; at = at.outer) chain.push(at);
  const steps = chain.map((at) => at.steps.length);
  const made = whatFits(make);
  if (!(made instanceof DoesNotFit)) return made;
  [storages.storages, sources, names].forEach((map: Map<unknown, unknown>, i) => {
    map.clear();
    for (const [key, value] of before[i]!) map.set(key, value);
  });
  hostValues.clear();
  for (const value of onHost) hostValues.add(value);
  storages.roots.length = roots;
  chain.forEach((at, i) => (at.steps.length = steps[i]!));
  return made;
}

function copyInto(state: State, value: Value, to: Storage): void {
  if (isEmpty(value)) return;
  const view: Value = { name: value.name, dtype: value.dtype, shape: value.shape };
  state.storages.alias(view, to);
  copyOut(state, value, view);
}

function pushLaunch(
  state: State,
  node: Node,
  plan: string,
  write: (context: MoveContext) => WrittenKernel,
): void {
  const written = write({
    name: kernelName(state, node),
    machine: state.options.machine,
    storageOf: (value) => storageOf(state, value, natural(value)),
    allocate: (value, order) => state.storages.allocate(value, order),
  });
  state.steps.push({ kind: "launch", written, plan, origins: node.origins });
}

/** Kernel names are the operators they hold, numbered where they repeat. */
function kernelName(state: State, root: Node, nodes: Iterable<Node> = [root]): string {
  const operators = [...nodes].flatMap((n) => n.origins.map((o) => o.operator));
  const distinct = [...new Set(operators)].slice(0, 4).join("_").toLowerCase();
  const base = distinct === "" ? root.op.kind : distinct.replace(/[^a-z0-9_]+/g, "_");
  const count = (state.names.get(base) ?? 0) + 1;
  state.names.set(base, count);
  return count === 1 ? base : `${base}.${count}`;
}

function tileFused(state: State, group: Group): void {
  if (aliasesInput(state, group)) return;
  const { prepared, context } = prepareGroup(state, group);
  const chosen =
    "contract" in prepared ? planContract(prepared, context) : planRows(prepared, context);
  const origins = [...group.nodes].flatMap((node) => node.origins);
  pushPlanned(state, prepared, chosen, origins);
}

function prepareGroup(
  state: State,
  group: Group,
  name = kernelName(state, group.root, group.nodes),
): LoopGroup {
  const { space } = group;
  if (space === undefined)
    throw new InternalError(`${group.root.outputs[0]!.name} has no iteration space`);
  const contract = [...group.nodes].find((node) => node.op.kind === "contract");
  const context = contextOf(state, state.producers, name);
  const prepared =
    contract === undefined
      ? prepareRows(state, group, space)
      : prepareContract(state, group, space, contract);
  return { prepared, context };
}

function contextOf(state: State, producers: TileContext["producers"], name: string): TileContext {
  const { machine, chooser = bestPlan } = state.options;
  return { name, machine, chooser, known: state.plans, producers };
}

function pushPlanned(
  state: State,
  { group, axes }: PreparedGroup,
  chosen: ChosenKernel<Plan> | undefined,
  origins: readonly Origin[],
): void {
  if (chosen === undefined) return doesNotFit(group, state.options.machine);
  const plan = printPlan(
    chosen.plan,
    axes.map((axis) => axis.name),
  );
  state.steps.push({ kind: "launch", written: chosen.written, plan, origins });
}

function doesNotFit(group: Group, machine: DeviceMachine): never {
  const [origin] = group.root.origins;
  return fail("L0401", `no tile plan fits machine "${machine.name}"`, {
    ...(origin === undefined ? {} : { place: { node: origin.node, operator: origin.operator } }),
    notes: [
      `each tile has ${machine.l1.bytes} bytes of L1 and ${machine.accumulators.bytes} of accumulators`,
    ],
    hint: "use a machine with a larger L1, or a smaller maximum for symbolic dimensions",
  });
}

/** A copy that only reads its operand under another shape is no kernel: the value shares the storage. */
function aliasesInput(state: State, group: Group): boolean {
  const { root } = group;
  const [input] = root.inputs;
  const output = root.outputs[0]!;
  if (group.nodes.size !== 1 || !isCopy(root) || input === undefined) return false;
  if (state.graph.outputs.some((o) => o.value === output)) return false;
  const reshape = state.producers.get(input);
  if (
    reshape?.op.kind !== "reshape" ||
    state.producers.get(reshape.inputs[0]!)?.op.kind === "concat"
  )
    return false;
  const source = state.storages.get(reshape.inputs[0]!);
  const shared = source === undefined ? undefined : reshapeStorage(source, output.shape);
  if (shared === undefined || state.storages.get(output) !== undefined) return false;
  if (isPart(state, output)) return false;
  state.storages.alias(output, shared);
  return true;
}

function isPart(state: State, value: Value): boolean {
  return (
    collectUses(state.graph)
      .get(value)
      ?.some((n) => n.op.kind === "concat") ?? false
  );
}

function isCopy(node: Node): boolean {
  return (
    node.op.kind === "map" &&
    node.inputs.length === 1 &&
    node.op.program.instructions.length === 1 &&
    node.inputs[0]!.dtype === node.outputs[0]!.dtype
  );
}

/** Storage of something that a kernel reads. Constants take the reader's order; movements are copied out. */
function storageOf(state: State, value: Value, order: readonly number[]): Storage {
  const source = state.sources.get(value);
  if (source !== undefined) return storageOf(state.outer!, source, order);
  const known = state.storages.get(value);
  if (known !== undefined) {
    if (state.hostValues.delete(value)) state.steps.push({ kind: "upload", value });
    return known;
  }
  if (value.data !== undefined) return state.storages.constant(value, order);
  const producer = state.producers.get(value);
  if (producer !== undefined && isMovement(producer)) return materialise(state, value, producer);
  if (producer === undefined || producer.op.kind === "host" || isControl(producer.op)) {
    // Made on the host, or a vector of dims that are known only at run time.
    state.hostValues.delete(value);
    state.steps.push({ kind: "upload", value });
    return state.storages.allocate(value, natural(value));
  }
  if (producer.op.kind === "iota") return copyHere(state, value);
  throw new InternalError(`${value.name} is read before it is written`);
}

/** A movement that no walk could absorb: shared storage where strides can say it, else a copy. */
function materialise(state: State, value: Value, node: Node): Storage {
  const [input] = node.inputs as [Value];
  if (node.op.kind !== "reshape") return copyHere(state, value);
  const source = storageOf(state, input, natural(input));
  const shared = reshapeStorage(source, value.shape);
  if (shared !== undefined) {
    state.storages.alias(value, shared);
    return shared;
  }
  // Written row by row of the input's shape, which is the same order of elements.
  checkStaticRuns(input, value);
  const storage = state.storages.allocate(value, natural(value));
  const view: Value = { name: value.name, dtype: value.dtype, shape: input.shape };
  const extents = input.shape.map(dimMax);
  const strides = orderedStrides(extents, natural(input));
  state.storages.alias(view, {
    root: storage.root,
    offset: storage.offset,
    shape: input.shape,
    strides,
    extents,
  });
  copyOut(state, input, view);
  return storage;
}

function checkStaticRuns(from: Value, to: Value): void {
  for (const run of reshapeRuns(from.shape, to.shape) ?? [
    { from: [...from.shape.keys()], to: [...to.shape.keys()] },
  ]) {
    for (const [dims, shape] of [
      [run.from, from.shape],
      [run.to, to.shape],
    ] as const) {
      for (const dim of dims.slice(1))
        needStatic(shape[dim]!, "a reshape merges it with other dimensions");
    }
  }
}

function needStatic(dim: Dim, reason: string): void {
  if (typeof dim !== "number")
    throw new NeedsBinding(
      [...dimSymbols(dim)].map((s) => s.name),
      reason,
    );
}

/** A kernel that copies `from` (with whatever movement leads to it) into the storage of `to`. */
function copyOut(state: State, from: Value, to: Value): Storage {
  const { prepared, context } = prepareCopy(state, from, to);
  pushPlanned(state, prepared, planRows(prepared, context), prepared.group.root.origins);
  return state.storages.get(to)!;
}

function prepareCopy(state: State, from: Value, to: Value, kernel?: string): LoopGroup {
  const builder = laneProgramBuilder();
  const program = builder.finish([builder.source("input", 0, isFloat(from.dtype) ? "f32" : "i32")]);
  const origins = state.producers.get(from)?.origins ?? [];
  const root: Node = { op: { kind: "map", program }, inputs: [from], outputs: [to], origins };
  const nodes = new Set([root]);
  const producers = new Map(state.producers).set(to, root);
  const space = analyseSpace({ nodes, root, producers });
  if (space === undefined) throw new InternalError(`cannot copy ${from.name}`);
  const prepared = prepareRows({ ...state, producers }, { nodes, root, space }, space);
  const name = kernel ?? kernelName(state, root);
  return { prepared, context: contextOf(state, producers, name) };
}

/** A copy of the value itself, which from then on has the copy's storage. */
function copyHere(state: State, value: Value): Storage {
  const copy: Value = { name: value.name, dtype: value.dtype, shape: value.shape };
  const storage = copyOut(state, value, copy);
  state.storages.alias(value, storage);
  return storage;
}

function prepareRows(state: State, group: Group, space: Space): PreparedGroup {
  const operands = memoryOperands(group.nodes, space, state.producers);
  const leaves = makeLeaves(operands, (o) => storageOf(state, o.value, natural(o.value)));
  const accesses = leaves.map((leaf) => leaf.access);
  const all = [...space.axes.keys()];
  const value = group.root.outputs[0]!;
  const order = memoryOrder(all, accesses);
  const storage =
    state.storages.get(value) ??
    state.storages.allocate(
      value,
      order.filter((axis) => axis < value.shape.length),
    );
  const output = outputAccess(storage, space.maps.get(value)!);
  const varying = order.filter((axis) => space.axes[axis]!.extent !== 1);
  const inWriteOrder =
    storage.root.kind === "output" ? memoryOrder(varying, [output, ...accesses]) : varying;
  const keep = iotaAxes({ space }, state.producers);
  const merged = mergeAxes(space.axes, inWriteOrder, [...accesses, output], keep);
  return {
    group,
    space: { ...space, axes: merged.axes },
    axes: merged.axes,
    order: merged.order,
    leaves: leaves.map((leaf, i) => ({ ...leaf, access: merged.accesses[i]! })),
    output: merged.accesses.at(-1)!,
  };
}

function prepareContract(
  state: State,
  group: Group,
  space: Space,
  contract: Node,
): PreparedContract {
  const op = contract.op as ContractOperation;
  const root = group.root.outputs[0]!;
  const labels = contractOrder(op, space);
  const operands = space.operands.get(contract)!;
  const read = operands.map((o, i) => storageOf(state, o.value, operandOrder(o, i, op, space)));
  const epilogue = memoryOperands(
    [...group.nodes].filter((n) => n !== contract),
    space,
    state.producers,
  );
  const leaves = makeLeaves(epilogue, (o) => storageOf(state, o.value, natural(o.value)));
  const map = space.maps.get(root)!;
  const storage = state.storages.get(root) ?? state.storages.allocate(root, rootOrder(map, labels));
  const output = outputAccess(storage, map);
  const contractLeaves = makeLeavesInOrder(operands, read);
  const decoders = operands.map(({ decode }) =>
    [decode?.scale, decode?.zero]
      .filter((o) => o !== undefined)
      .map((o) => makeAccess(storageOf(state, o.value, natural(o.value)), o.map)),
  );
  const accesses = [
    ...contractLeaves.map((l) => l.access),
    ...leaves.map((l) => l.access),
    ...decoders.flat(),
    output,
  ];
  const varying = memoryOrder(labels, [output]).filter((axis) => space.axes[axis]!.extent !== 1);
  const merged = mergeAxes(space.axes, varying, accesses, iotaAxes({ space }, state.producers));
  const n = contractLeaves.length;
  const at = (leaf: number): PreparedContract["a"] => {
    const first = n + leaves.length + decoders.slice(0, leaf).flat().length;
    const [scale, zero] = merged.accesses.slice(first, first + decoders[leaf]!.length);
    return {
      ...contractLeaves[leaf]!,
      access: merged.accesses[leaf]!,
      ...(scale !== undefined && { decode: { scale, ...(zero !== undefined && { zero }) } }),
    };
  };
  const innermost = merged.order.at(-1);
  const isSwapped = innermost !== undefined && space.axes[innermost]!.role === "m";
  const flip = { g: "g", m: "n", n: "m", k: "k" } as const;
  const role = (axis: number): "g" | "m" | "n" | "k" => {
    const own = space.axes[axis]!.role as "g" | "m" | "n" | "k";
    return isSwapped ? flip[own] : own;
  };
  const kAxes = [...op.order].map((label) =>
    space.axes.findIndex((axis) => axis.name === label && axis.role === "k"),
  );
  for (const axis of kAxes) checkContraction(merged.axes[axis]!.extent);
  const [blocked, ...inner] = kAxes;
  const [zeroA, zeroB] = isSwapped ? [3, 2] : [2, 3];
  return {
    group,
    space: { ...space, axes: merged.axes },
    axes: merged.axes,
    order: merged.order,
    leaves: leaves.map((leaf, i) => ({ ...leaf, access: merged.accesses[n + i]! })),
    output: merged.accesses.at(-1)!,
    contract,
    a: at(isSwapped ? 1 : 0),
    b: at(isSwapped ? 0 : 1),
    ...(zeroA < n ? { zeroA: at(zeroA) } : {}),
    ...(zeroB < n ? { zeroB: at(zeroB) } : {}),
    role,
    blocked: blocked!,
    inner: inner.filter((axis) => merged.axes[axis]!.extent !== 1),
  };
}

/** A contraction over nothing has no trip to clear its accumulator; such symbols are bound. */
function checkContraction(extent: Dim): void {
  if (dimMin(extent) < 1) needStatic(extent, "a contraction over it could be empty");
}

function makeLeavesInOrder(
  operands: readonly Operand[],
  read: readonly Storage[],
): PreparedContract["a"][] {
  return operands.map((operand, i) => makeLeaves([operand], () => read[i]!)[0]!);
}

/** The parts of a concat that are not written in place are copied in. */
function tileConcat(state: State, node: Node): void {
  const whole = node.outputs[0]!;
  if (node.op.kind !== "concat") return;
  const { axis } = node.op;
  const storage =
    state.storages.get(whole) ?? state.storages.allocate(whole, concatOrder(state, node));
  let before: Dim = 0;
  for (const input of node.inputs) {
    const view: Value = { name: whole.name, dtype: whole.dtype, shape: input.shape };
    const placed = state.storages.part(view, storage, axis, before);
    before = placed.next;
    const own = state.storages.get(input);
    if (isEmpty(input) || (own !== undefined && isSamePlace(own, placed.storage))) continue;
    storageOf(state, input, natural(input));
    copyOut(state, input, view);
  }
}

function isSamePlace(a: Storage, b: Storage): boolean {
  if (a.root !== b.root || a.offset !== b.offset) return false;
  return a.strides.every((_, i) => dimEquals(a.origins?.[i] ?? 0, b.origins?.[i] ?? 0));
}

function concatOrder(state: State, node: Node): number[] {
  const known = node.inputs.map((v) => state.storages.get(v)).find((s) => s !== undefined);
  const order = natural(node.outputs[0]!);
  return known === undefined
    ? order
    : order.sort((x, y) => known.strides[y]! - known.strides[x]! || x - y);
}
