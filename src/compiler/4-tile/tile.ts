/**
 * Phase 4: a graph whose nodes have their places (host or device) becomes a list of steps with kernels. Decide, then
 * emit: groups (groups.ts), storages (storage.ts, materialise.ts), a plan per group (plan-*.ts), its kernel (*-kernel.ts).
 */
import { type Graph, isControl, type Node, type Value } from "../../ir/graph.js";
import { isKnown } from "../../ir/build/loop-builder.js";
import { InternalError } from "../../support/diagnostic.js";
import type { Storage, TiledGraph, WrittenKernel } from "../tiled.js";
import { concatParts, isEmpty } from "./concat-parts.js";
import { type BodyOptions, type ControlTiling, tileIf, tileLoop } from "./control.js";
import {
  type DeviceLoopTiling,
  DoesNotFit,
  type KernelBodyTiling,
  tileDeviceLoop,
  whatFits,
} from "./device-loop.js";
import { collectProducers, fuse, type Group } from "./groups.js";
import { writeGather, writeScatter } from "./index-kernels.js";
import type { LoopGroup } from "./loop-kernel.js";
import {
  aliasesInput,
  copyInto,
  groupTiling,
  isSamePlace,
  prepareCopy,
  storageOf,
  tileConcat,
} from "./materialise.js";
import type { MoveContext } from "./move-nest.js";
import { planContract } from "./plan-contract.js";
import { planRows } from "./plan-rows.js";
import { prepareContract } from "./prepare-contract.js";
import { prepareRows } from "./prepare-rows.js";
import { writeScan } from "./scan-kernel.js";
import { createStorageMap, natural } from "./storage.js";
import {
  contextOf,
  isOnHost,
  kernelName,
  pushPlanned,
  type TileOptions,
  type Tiling,
} from "./tiling.js";

export function tileGraph(graph: Graph, options: TileOptions): TiledGraph {
  const { tiling, run } = openTiling(graph, options);
  const { storages, steps } = tiling;
  for (const input of graph.inputs) if (!storages.get(input)) tiling.hostValues.add(input);
  run();
  const source = (value: Value): Value => {
    const outer = tiling.sources.get(value);
    return outer === undefined ? value : source(outer);
  };
  const storage = (value: Value): Storage | undefined => storages.get(source(value));
  return { graph, steps, roots: storages.roots, records: tiling.records, storage, source };
}

/** The tiling of a graph, or of a body of control flow in the graph of `outer`. */
function openTiling(
  graph: Graph,
  options: TileOptions,
  outer?: Tiling,
  body?: BodyOptions,
): { readonly tiling: Tiling; readonly groups: readonly Group[]; readonly run: () => void } {
  const producers = collectProducers(graph);
  const groups = fuse(graph, producers, options.fuse ?? true);
  const parts = concatParts(graph, { groups, producers, isBody: outer !== undefined });
  const places = keepPlaces(body?.places, groups);
  const storages = createStorageMap({
    graph,
    parts,
    ...(outer === undefined ? {} : { outer: outer.storages, places }),
  });
  const tiling: Tiling = {
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
  for (const [inner, value] of body?.captured ?? []) tiling.sources.set(inner, value);
  const run = (): void => {
    for (const group of groups) tileGroup(tiling, group);
  };
  return { tiling, groups, run };
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

function tileGroup(tiling: Tiling, group: Group): void {
  const { root } = group;
  if (root.op.kind !== "host" && !isControl(root.op) && root.outputs.every(isEmpty)) {
    for (const v of root.outputs)
      if (!tiling.storages.get(v)) tiling.storages.allocate(v, natural(v));
    return;
  }
  switch (root.op.kind) {
    case "if":
      return tileIf(controlTiling(tiling), root, root.op);
    case "loop":
      if (tiling.options.fuse !== false && tileDeviceLoop(loopTiling(tiling), root, root.op))
        return;
      return tileLoop(controlTiling(tiling), root, root.op);
    case "host":
      for (const input of root.inputs) downloadCaptured(tiling, input);
      tiling.steps.push({ kind: "host", node: root });
      for (const output of root.outputs) tiling.hostValues.add(output);
      return;
    case "concat":
      return tileConcat(tiling, root);
    case "gather":
      return pushLaunch(tiling, root, "gather", (context) => writeGather(root, context));
    case "scatter":
      return pushLaunch(tiling, root, "scatter", (context) => writeScatter(root, context));
    case "scan":
      return pushLaunch(tiling, root, "scan", (context) => writeScan(root, context));
    case "map":
    case "reduce":
    case "contract":
      return tileFused(tiling, group);
    default:
      throw new InternalError(`a group of kind ${root.op.kind}`);
  }
}

/** A value from outside the body, fetched before the control flow begins. */
function downloadCaptured(tiling: Tiling, value: Value): void {
  const source = tiling.sources.get(value);
  if (source === undefined) return;
  const { outer } = tiling;
  if (outer!.sources.has(source)) downloadCaptured(outer!, source);
  else if (isKnown(source) || !isOnHost(outer!, source))
    outer!.steps.push({ kind: "download", value: source });
}

function loopTiling(tiling: Tiling): DeviceLoopTiling {
  const { storages, records, options } = tiling;
  return {
    ...{ storages, machine: options.machine },
    push: (step) => tiling.steps.push(step),
    note: (record) => records.push(record),
    attempt: (make) => attemptTiling(tiling, make),
    nameOf: (node) => kernelName(tiling, node),
    prepareCopy: (from, to, name) => prepareCopy(tiling, from, to, name),
    openKernelBody: (body, captured) => openKernelBody(tiling, body, captured),
  };
}

function controlTiling(tiling: Tiling): ControlTiling {
  return {
    storages: tiling.storages,
    hostValues: tiling.hostValues,
    push: (step) => tiling.steps.push(step),
    copy: (value, to) => copyInto(tiling, value, to),
    openBody: (body, options) => {
      const inner = openTiling(body, tiling.options, tiling, options);
      inner.run();
      return {
        steps: inner.tiling.steps,
        storageOf: (value) => storageOf(inner.tiling, value, natural(value)),
        isOnHost: (value) => isOnHost(inner.tiling, value),
        settle: (value, place) => {
          if (isEmpty(value)) return;
          const own = storageOf(inner.tiling, value, natural(value));
          if (!isSamePlace(own, place)) copyInto(inner.tiling, value, place);
        },
      };
    },
  };
}

/** A body that becomes one kernel with the loop around it. */
function openKernelBody(
  outer: Tiling,
  body: Graph,
  captured: BodyOptions["captured"],
): KernelBodyTiling {
  const { tiling, groups } = openTiling(body, outer.options, outer, {
    captured,
    places: new Map(),
  });
  return {
    groups,
    steps: tiling.steps,
    producers: tiling.producers,
    prepare: (group, name) => prepareGroup(tiling, group, name),
    prepareCopy: (from, to, name) => prepareCopy(tiling, from, to, name),
  };
}

/** What `make` gives; all that it did is undone where it finds that it cannot. */
function attemptTiling<T>(tiling: Tiling, make: () => T): T | DoesNotFit {
  const { storages, hostValues, sources, names } = tiling;
  const before = [storages.storages, sources, names].map((map) => new Map<unknown, unknown>(map));
  const onHost = [...hostValues];
  const roots = storages.roots.length;
  const chain: Tiling[] = [];
  for (let at: Tiling | undefined = tiling; at !== undefined; at = at.outer) chain.push(at);
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

function pushLaunch(
  tiling: Tiling,
  node: Node,
  plan: string,
  write: (context: MoveContext) => WrittenKernel,
): void {
  const written = write({
    name: kernelName(tiling, node),
    machine: tiling.options.machine,
    storageOf: (value) => storageOf(tiling, value, natural(value)),
    allocate: (value, order) => tiling.storages.allocate(value, order),
  });
  tiling.steps.push({ kind: "launch", written, plan, origins: node.origins });
}

function tileFused(tiling: Tiling, group: Group): void {
  if (aliasesInput(tiling, group)) return;
  const { prepared, context } = prepareGroup(tiling, group);
  const chosen =
    "contract" in prepared ? planContract(prepared, context) : planRows(prepared, context);
  const origins = [...group.nodes].flatMap((node) => node.origins);
  pushPlanned(tiling, prepared, chosen, origins);
}

function prepareGroup(
  tiling: Tiling,
  group: Group,
  name = kernelName(tiling, group.root, group.nodes),
): LoopGroup {
  const { space } = group;
  if (space === undefined)
    throw new InternalError(`${group.root.outputs[0]!.name} has no iteration space`);
  const contract = [...group.nodes].find((node) => node.op.kind === "contract");
  const context = contextOf(tiling, tiling.producers, name);
  const around = groupTiling(tiling);
  const prepared =
    contract === undefined
      ? prepareRows(around, group, space)
      : prepareContract(around, group, space, contract);
  return { prepared, context };
}
