/**
 * A group made ready for tiling: every operand from memory has an access with strides, the result has a
 * storage, and axes that always move together are one.
 */
import type { Storage } from "../tiled.js";
import { type Dim, dimMax, dimMul } from "../../ir/dim.js";
import type { IotaOperation, Node, Value } from "../../ir/graph.js";
import { elementCount } from "../../numerics/tensor.js";
import type { Group } from "./groups.js";
import { type Access, type AccessDim, axisStride, makeAccess, usesAxis } from "./access.js";
import { laneNumber, type Operand, type Space, type SpaceAxis } from "./space.js";
import type { StorageMap } from "./storage.js";

export interface PreparedGroup {
  readonly group: Group;
  readonly space: Space;
  /** With the extents after merging; a merged axis stays in place with extent 1. */
  readonly axes: readonly SpaceAxis[];
  /** Axes that vary, outermost first in the order of memory. */
  readonly order: readonly number[];
  /** Distinct operands in memory; several operands may share one access. */
  readonly leaves: readonly Leaf[];
  readonly output: Access;
}

export interface Leaf {
  readonly operands: readonly Operand[];
  readonly access: Access;
  /** What a load reads to make numbers of codes. */
  readonly decode?: { readonly scale: Access; readonly zero?: Access };
}

/** What preparing needs of the tiling. */
export interface GroupTiling {
  readonly producers: ReadonlyMap<Value, Node>;
  readonly storages: StorageMap;
  /** Of something that is read; a constant or a copy takes the order. */
  storageOf(value: Value, order: readonly number[]): Storage;
}

/** Operands that come from memory: not from inside, no scalar constants, no iotas. */
export function memoryOperands(
  nodes: Iterable<Node>,
  space: Space,
  producers: ReadonlyMap<Value, Node>,
): Operand[] {
  const found: Operand[] = [];
  for (const node of nodes) {
    for (const operand of space.operands.get(node) ?? []) {
      if (!operand.inside && laneNumber(operand, producers) === undefined) found.push(operand);
    }
  }
  return found;
}

/** Axes whose index is itself a value of the group. */
export function iotaAxes(space: Space, producers: ReadonlyMap<Value, Node>): Set<number> {
  const axes = new Set<number>();
  for (const operands of space.operands.values()) {
    for (const operand of operands) {
      if (laneNumber(operand, producers) !== "iota") continue;
      const { axis } = producers.get(operand.value)!.op as IotaOperation;
      for (const t of operand.map.expressions[axis]!.terms) axes.add(t.axis);
    }
  }
  return axes;
}

/** Groups equal accesses: the same storage read at the same places is one leaf. */
export function makeLeaves(
  operands: readonly Operand[],
  storageOf: (o: Operand) => Storage,
): Leaf[] {
  const leaves = new Map<string, { operands: Operand[]; access: Access }>();
  for (const operand of operands) {
    const access = makeAccess(storageOf(operand), operand.map);
    const key = accessKey(access);
    const leaf = leaves.get(key);
    if (leaf === undefined) leaves.set(key, { operands: [operand], access });
    else leaf.operands.push(operand);
  }
  return [...leaves.values()];
}

function accessKey(access: Access): string {
  const text = (dim: Dim | undefined): string =>
    dim === undefined ? "-" : typeof dim === "number" ? String(dim) : dim.text;
  const dims = access.dims.map(
    (d) =>
      `${d.stride}@${text(d.origin)}<${text(d.limit)}:${d.terms.map((t) => `${t.coefficient}x${t.axis}`).join("+")}`,
  );
  const { root, offset } = access.storage;
  return `${root.id} ${offset} ${access.fill} ${dims.join(" ")}`;
}

/** The result's access: dims that several axes make up are taken apart, so that a box has no holes. */
export function outputAccess(storage: Storage, map: Operand["map"]): Access {
  const access = makeAccess(storage, map);
  const dims = access.dims.flatMap((dim): AccessDim[] =>
    dim.terms.length < 2
      ? [dim]
      : dim.terms.map((t, i) => ({
          stride: dim.stride * t.coefficient,
          origin: i === 0 ? dim.origin : 0,
          terms: [{ axis: t.axis, coefficient: 1 }],
        })),
  );
  return { ...access, dims };
}

/** Axes by falling stride of what is read most; ties and axes that it does not vary along stay in place. */
export function memoryOrder(axes: readonly number[], accesses: readonly Access[]): number[] {
  const weigh = (access: Access): number => elementCount(access.storage.extents);
  const byWeight = [...accesses].sort((a, b) => weigh(b) - weigh(a));
  const stride = (axis: number): number => {
    for (const access of byWeight) {
      const s = Math.abs(axisStride(access, axis));
      if (s !== 0) return s;
    }
    return 0;
  };
  const main = byWeight[0];
  if (main === undefined) return [...axes];
  // Axes that the main operand does not vary along keep their natural place among the others.
  const moving = axes.filter((axis) => axisStride(main, axis) !== 0);
  const sorted = [...moving].sort((a, b) => stride(b) - stride(a) || a - b);
  return axes.map((axis) => (moving.includes(axis) ? sorted.shift()! : axis));
}

export interface MergedAxes {
  readonly axes: SpaceAxis[];
  readonly order: number[];
  /** One of the accesses, over the merged axes. */
  access(before: Access): Access;
}

/**
 * Merges neighbours in `order` that every access walks as one run. Axes in `keep` (whose index is itself a
 * value, or that mean something to the kernel) stay apart.
 */
export function mergeAxes(
  axes: readonly SpaceAxis[],
  order: readonly number[],
  accesses: readonly Access[],
  keep: ReadonlySet<number>,
): MergedAxes {
  const merged = [...axes];
  let current = [...accesses];
  const kept: number[] = [];
  const gone: number[] = [];
  for (const inner of order) {
    const outer = kept.at(-1);
    const extent = merged[inner]!.extent;
    const legal =
      outer !== undefined &&
      !keep.has(inner) &&
      !keep.has(outer) &&
      typeof extent === "number" &&
      merged[outer]!.role === merged[inner]!.role &&
      (merged[inner]!.role !== "row" || outer < inner) &&
      current.every((access) => canMerge(access, outer, inner, extent));
    if (!legal) {
      kept.push(inner);
      continue;
    }
    current = current.map((access) => mergeAccess(access, outer));
    gone.push(outer);
    // The merged axis is the inner one: its stride is that of a step within the run.
    merged[inner] = { ...merged[inner]!, extent: dimMul(merged[outer]!.extent, extent) };
    merged[outer] = { ...merged[outer]!, extent: 1 };
    kept[kept.length - 1] = inner;
  }
  const access = (before: Access): Access => gone.reduce(mergeAccess, before);
  return { axes: merged, order: kept, access };
}

/** All that a leaf reads. */
export function accessesOf({ access, decode }: Leaf): Access[] {
  return [access, decode?.scale, decode?.zero].filter((found) => found !== undefined);
}

/** The leaf over merged axes. */
export function mergedLeaf(leaf: Leaf, merged: MergedAxes): Leaf {
  const { access, decode } = leaf;
  if (decode === undefined) return { ...leaf, access: merged.access(access) };
  const { scale, zero } = decode;
  return {
    ...leaf,
    access: merged.access(access),
    decode: {
      scale: merged.access(scale),
      ...(zero !== undefined && { zero: merged.access(zero) }),
    },
  };
}

function canMerge(access: Access, outer: number, inner: number, extent: number): boolean {
  const touching = access.dims.filter((d) =>
    d.terms.some((t) => t.axis === outer || t.axis === inner),
  );
  if (touching.some((d) => d.terms.length !== 1 || d.limit !== undefined)) return false;
  if (touching.length > 2) return false;
  const outerStride = axisStride(access, outer);
  const innerStride = axisStride(access, inner);
  if (usesAxis(access, outer) !== usesAxis(access, inner)) return false;
  return outerStride === innerStride * extent;
}

function mergeAccess(access: Access, outer: number): Access {
  if (!usesAxis(access, outer)) return access;
  const dims = access.dims.map((dim): AccessDim => {
    const [term] = dim.terms;
    if (dim.terms.length !== 1 || term === undefined) return dim;
    // The outer axis is gone: its dim keeps only where it begins.
    if (term.axis === outer) return { stride: dim.stride, origin: dim.origin, terms: [] };
    return dim;
  });
  return { ...access, dims };
}

export function axisMax(axis: SpaceAxis): number {
  return dimMax(axis.extent);
}
