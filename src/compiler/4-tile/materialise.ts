/** Where values are in memory, and the copies that bring them where they have to be. */
import { type Dim, dimEquals, dimMax, staticDim } from "../../ir/dim.js";
import { isControl, type Node, type Value } from "../../ir/graph.js";
import { isFloat } from "../../numerics/dtype.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { InternalError } from "../../support/diagnostic.js";
import type { Storage } from "../tiled.js";
import { isEmpty } from "./concat-parts.js";
import { collectUses, type Group } from "./groups.js";
import { isMovement, reshapeRuns } from "./index-map.js";
import type { LoopGroup } from "./loop-kernel.js";
import { planRows } from "./plan-rows.js";
import type { GroupTiling } from "./prepare.js";
import { prepareRows } from "./prepare-rows.js";
import { analyseSpace } from "./space.js";
import { like, natural, orderedStrides, reshapeStorage } from "./storage.js";
import { contextOf, kernelName, pushPlanned, type Tiling } from "./tiling.js";

/** Storage of something that a kernel reads. Constants take the reader's order; movements are copied out. */
export function storageOf(tiling: Tiling, value: Value, order: readonly number[]): Storage {
  const source = tiling.sources.get(value);
  if (source !== undefined) return storageOf(tiling.outer!, source, order);
  const known = tiling.storages.get(value);
  if (known !== undefined) {
    if (tiling.hostValues.delete(value)) tiling.steps.push({ kind: "upload", value });
    return known;
  }
  if (value.data !== undefined) return tiling.storages.constant(value, order);
  const producer = tiling.producers.get(value);
  if (producer !== undefined && isMovement(producer)) return materialise(tiling, value, producer);
  if (producer === undefined || producer.op.kind === "host" || isControl(producer.op)) {
    // Made on the host, or a vector of dims that are known only at run time.
    tiling.hostValues.delete(value);
    tiling.steps.push({ kind: "upload", value });
    return tiling.storages.allocate(value, natural(value));
  }
  if (producer.op.kind === "iota") return copyHere(tiling, value);
  throw new InternalError(`${value.name} is read before it is written`);
}

/** A movement that no walk could absorb: shared storage where strides can say it, else a copy. */
function materialise(tiling: Tiling, value: Value, node: Node): Storage {
  const [input] = node.inputs as [Value];
  if (node.op.kind !== "reshape") return copyHere(tiling, value);
  const source = storageOf(tiling, input, natural(input));
  const shared = reshapeStorage(source, value.shape);
  if (shared !== undefined) {
    tiling.storages.alias(value, shared);
    return shared;
  }
  // Written row by row of the input's shape, which is the same order of elements.
  checkStaticRuns(input, value);
  const storage = tiling.storages.allocate(value, natural(value));
  const view = like(value, input.shape);
  const extents = input.shape.map(dimMax);
  const strides = orderedStrides(extents, natural(input));
  tiling.storages.alias(view, {
    root: storage.root,
    offset: storage.offset,
    shape: input.shape,
    strides,
    extents,
  });
  copyOut(tiling, input, view);
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
        staticDim(shape[dim]!, "a reshape merges it with other dimensions");
    }
  }
}

/** A copy of the value itself, which from then on has the copy's storage. */
function copyHere(tiling: Tiling, value: Value): Storage {
  const storage = copyOut(tiling, value, like(value));
  tiling.storages.alias(value, storage);
  return storage;
}

export function copyInto(tiling: Tiling, value: Value, to: Storage): void {
  if (isEmpty(value)) return;
  const view = like(value);
  tiling.storages.alias(view, to);
  copyOut(tiling, value, view);
}

/** A kernel that copies `from` (with whatever movement leads to it) into the storage of `to`. */
function copyOut(tiling: Tiling, from: Value, to: Value): Storage {
  const { prepared, context } = prepareCopy(tiling, from, to);
  pushPlanned(tiling, prepared, planRows(prepared, context), prepared.group.root.origins);
  return tiling.storages.get(to)!;
}

/** What preparing a group of these producers needs. */
export function groupTiling(tiling: Tiling, producers = tiling.producers): GroupTiling {
  return {
    producers,
    storages: tiling.storages,
    storageOf: (value, order) => storageOf(tiling, value, order),
  };
}

export function prepareCopy(tiling: Tiling, from: Value, to: Value, kernel?: string): LoopGroup {
  const builder = laneProgramBuilder();
  const program = builder.finish([builder.source("input", 0, isFloat(from.dtype) ? "f32" : "i32")]);
  const origins = tiling.producers.get(from)?.origins ?? [];
  const root: Node = { op: { kind: "map", program }, inputs: [from], outputs: [to], origins };
  const nodes = new Set([root]);
  const producers = new Map(tiling.producers).set(to, root);
  const space = analyseSpace({ nodes, root, producers });
  if (space === undefined) throw new InternalError(`cannot copy ${from.name}`);
  const prepared = prepareRows(groupTiling(tiling, producers), { nodes, root, space }, space);
  const name = kernel ?? kernelName(tiling, root);
  return { prepared, context: contextOf(tiling, producers, name) };
}

/** A copy that only reads its operand under another shape is no kernel: the value shares the storage. */
export function aliasesInput(tiling: Tiling, group: Group): boolean {
  const { root } = group;
  const [input] = root.inputs;
  const output = root.outputs[0]!;
  if (group.nodes.size !== 1 || !isCopy(root) || input === undefined) return false;
  if (tiling.graph.outputs.some((o) => o.value === output)) return false;
  const reshape = tiling.producers.get(input);
  if (
    reshape?.op.kind !== "reshape" ||
    tiling.producers.get(reshape.inputs[0]!)?.op.kind === "concat"
  )
    return false;
  const source = tiling.storages.get(reshape.inputs[0]!);
  const shared = source === undefined ? undefined : reshapeStorage(source, output.shape);
  if (shared === undefined || tiling.storages.get(output) !== undefined) return false;
  if (isPart(tiling, output)) return false;
  tiling.storages.alias(output, shared);
  return true;
}

function isPart(tiling: Tiling, value: Value): boolean {
  return (
    collectUses(tiling.graph)
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

/** The parts of a concat that are not written in place are copied in. */
export function tileConcat(tiling: Tiling, node: Node): void {
  const whole = node.outputs[0]!;
  if (node.op.kind !== "concat") return;
  const { axis } = node.op;
  const storage =
    tiling.storages.get(whole) ?? tiling.storages.allocate(whole, concatOrder(tiling, node));
  let before: Dim = 0;
  for (const input of node.inputs) {
    const view = like(whole, input.shape);
    const placed = tiling.storages.part(view, storage, axis, before);
    before = placed.next;
    const own = tiling.storages.get(input);
    if (isEmpty(input) || (own !== undefined && isSamePlace(own, placed.storage))) continue;
    storageOf(tiling, input, natural(input));
    copyOut(tiling, input, view);
  }
}

export function isSamePlace(a: Storage, b: Storage): boolean {
  if (a.root !== b.root || a.offset !== b.offset) return false;
  return a.strides.every((_, i) => dimEquals(a.origins?.[i] ?? 0, b.origins?.[i] ?? 0));
}

function concatOrder(tiling: Tiling, node: Node): number[] {
  const known = node.inputs.map((v) => tiling.storages.get(v)).find((s) => s !== undefined);
  const order = natural(node.outputs[0]!);
  return known === undefined
    ? order
    : order.sort((x, y) => known.strides[y]! - known.strides[x]! || x - y);
}
