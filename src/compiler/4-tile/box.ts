/** What a transfer moves between memory and a slot: the smallest box that holds all an access touches at a position. */
import { byteLength } from "../../numerics/dtype.js";
import {
  addAffine,
  type Affine,
  constantAffine,
  type Count,
  scaleAffine,
  type TransferAxis,
} from "../../ir/tile.js";
import { type Access, type AccessDim, axisStride } from "./access.js";
import type { KernelWriter, Position } from "./kernel-writer.js";

/** A box of memory that holds everything an access touches at a position, and its image in a slot. */
export interface Box {
  readonly axes: readonly TransferAxis[];
  readonly offset: Affine;
  /** Slot stride per iteration axis. */
  readonly strides: readonly number[];
  /** Slot element of the first point: not 0 where an axis walks a shared dim backwards. */
  readonly base: Affine;
  readonly elements: number;
  /** Walks of other accesses over the same axes. */
  readonly beside: readonly { readonly offset: Affine; readonly strides: readonly number[] }[];
}

/** A transfer axis with the strides of the walks beside the main one. */
interface BoxAxis {
  readonly main: TransferAxis;
  readonly beside: readonly number[];
}

export interface BoxOptions {
  /** Steps within so much of memory take along what lies between them: one run instead of one per element. */
  readonly accessBytes?: number;
  /** Other accesses that are walked along, element by element. */
  readonly beside?: readonly Access[];
}

/**
 * The box of an access when each axis is at `positions[axis]`. Slot dims are ordered by `order` (iteration
 * axes, outermost first), so that an axis late in the order is contiguous.
 */
export function makeBox(
  writer: KernelWriter,
  access: Access,
  positions: readonly Position[],
  order: readonly number[],
  { accessBytes = 0, beside = [] }: BoxOptions = {},
): Box {
  const { dtype } = access.storage.root;
  const runBytes = beside.length === 0 ? accessBytes : 0;
  const rank = (dim: AccessDim): number =>
    Math.min(...dim.terms.map((t) => order.indexOf(t.axis)), Number.POSITIVE_INFINITY);
  const dims = access.dims
    .filter((dim) => dim.terms.length > 0 || dim.limit !== undefined)
    .sort((a, b) => rank(a) - rank(b));
  const offset = offsetOf(writer, access, positions);
  const strides = positions.map(() => 0);
  const axes: BoxAxis[] = [];
  let base = constantAffine(0);
  let elements = 1;
  for (const dim of dims.toReversed()) {
    const [first] = dim.terms;
    const isRun = dim.stride === 1 && byteLength(dtype, first?.coefficient ?? 0) <= runBytes;
    const single = dim.terms.length === 1 && !(isRun && first!.coefficient > 1);
    const step = single ? dim.terms[0]!.coefficient : 1;
    const count = boxCount(dim, positions, single);
    const main: TransferAxis = {
      count,
      memoryStride: dim.stride * step,
      slotStride: elements,
      ...(dim.limit === undefined
        ? {}
        : {
            clip: {
              origin: originOf(writer, dim, positions),
              step,
              limit: writer.count(dim.limit),
            },
          }),
    };
    axes.unshift({
      main,
      beside: beside.map((other) => (single ? axisStride(other, dim.terms[0]!.axis) : 0)),
    });
    for (const t of dim.terms) {
      strides[t.axis]! += elements * (single ? 1 : t.coefficient);
      if (single || t.coefficient > 0) continue;
      writer.requireClamped(positions[t.axis]!, "it is walked backwards within a tile");
      base = addAffine(base, lastOf(positions[t.axis]!), elements * -t.coefficient);
    }
    elements *= Math.max(1, count.max);
  }
  const merged = mergeTransfers(axes);
  return {
    axes: merged.map(({ main }) => main),
    ...{ offset, strides, base, elements },
    beside: beside.map((other, i) => ({
      offset: offsetOf(writer, other, positions),
      strides: merged.map((axis) => axis.beside[i]!),
    })),
  };
}

function offsetOf(writer: KernelWriter, access: Access, positions: readonly Position[]): Affine {
  return access.dims.reduce(
    (offset, dim) => addAffine(offset, originOf(writer, dim, positions), dim.stride),
    constantAffine(0),
  );
}

function originOf(writer: KernelWriter, dim: AccessDim, positions: readonly Position[]): Affine {
  let origin = writer.affine(dim.origin);
  for (const t of dim.terms) {
    const position = positions[t.axis]!;
    origin = addAffine(origin, position.index, t.coefficient);
    // The box of several axes begins at its lowest coordinate; a single one may be walked backwards.
    if (dim.terms.length > 1 && t.coefficient < 0) {
      origin = addAffine(origin, lastOf(position), t.coefficient);
    }
  }
  return origin;
}

/** Number of the last point of a position, counted from its first. */
function lastOf(position: Position): Affine {
  return addAffine(position.extent, constantAffine(-1));
}

function boxCount(dim: AccessDim, positions: readonly Position[], single: boolean): Count {
  let value = constantAffine(1);
  let max = 1;
  for (const t of dim.terms) {
    const position = positions[t.axis]!;
    const coefficient = single ? 1 : Math.abs(t.coefficient);
    value = addAffine(value, lastOf(position), coefficient);
    max += coefficient * (position.max - 1);
  }
  return { value, max };
}

/** Joins neighbours that are one run on both sides, and drops axes of one element. */
function mergeTransfers(axes: readonly BoxAxis[]): BoxAxis[] {
  const merged: BoxAxis[] = [];
  for (const { main: axis, beside } of axes) {
    const plain = axis.clip === undefined;
    if (plain && axis.count.max === 1 && axis.count.value.terms.length === 0) continue;
    const last = merged.at(-1);
    const outer = last?.main;
    const inner = axis.count;
    const fits =
      plain &&
      outer !== undefined &&
      outer.clip === undefined &&
      inner.value.terms.length === 0 &&
      outer.memoryStride === axis.memoryStride * inner.max &&
      outer.slotStride === axis.slotStride * inner.max &&
      last!.beside.every((stride, i) => stride === beside[i]! * inner.max);
    if (fits) {
      const count = {
        value: scaleAffine(outer.count.value, inner.max),
        max: outer.count.max * inner.max,
      };
      merged[merged.length - 1] = { main: { ...axis, count }, beside };
    } else merged.push({ main: axis, beside });
  }
  return merged;
}
