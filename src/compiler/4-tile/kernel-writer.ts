/**
 * Writes one Kernel: keeps its scalars, bindings, values and the loop nest, and turns accesses into walks.
 * Knows nothing of what is computed; contract-kernel.ts and rows-kernel.ts do.
 */
import { byteLength, type DeviceDType } from "../../numerics/dtype.js";
import {
  type Dim,
  dimAdd,
  dimMax,
  dimMin,
  dimMul,
  type DimSymbol,
  dimSub,
  dimSymbols,
  dimText,
  NeedsBinding,
  symbolDim,
} from "../../ir/dim.js";
import type { Origin } from "../../ir/graph.js";
import type {
  Kernel,
  KernelBinding,
  KernelBody,
  KernelNode,
  KernelStatement,
  TileOperand,
  TileValue,
} from "../../ir/kernel.js";
import { readsOf, statementsOf, writesOf } from "../../ir/kernel-scope.js";
import {
  type Affine,
  constantAffine,
  type Count,
  type LoopHead,
  type MemoryOperand,
  type TransferAxis,
} from "../../ir/tile.js";
import type { IndexMap } from "./index-map.js";
import type { BoundStorage, Storage, WrittenKernel } from "../tiled.js";
import { storageSpan } from "./storage.js";

/** The part of an axis that the current trip works on. */
export interface Position {
  readonly index: Affine;
  readonly extent: Affine;
  /** Least and largest extent. */
  readonly min: number;
  readonly max: number;
}

/** A tile of a value in a slot: strides by iteration axis. */
export interface Tile {
  readonly value: number;
  readonly strides: readonly number[];
  /** Slot element of the first point; absent: 0. */
  readonly base?: Affine;
}

/** The plan asks for more than an instruction or the machine has; the planner tries another. */
export class PlanDoesNotFit extends Error {}

export class KernelWriter {
  readonly #name: string;
  readonly #grid: Kernel["grid"];
  readonly #scalars: Dim[] = [];
  readonly #bindings: { binding: KernelBinding; bound: BoundStorage }[] = [];
  readonly #values: TileValue[] = [];
  readonly #roles: { name: string; origins: readonly Origin[] }[] = [];
  readonly #stack: KernelNode[][] = [[]];
  readonly #open: LoopHead[] = [];
  /** Loops whose indices are symbols of dims, by the symbol's name. */
  readonly #indices = new Map<string, number>();
  #stage: KernelStatement["stage"];
  #isStaged = false;
  #loops = 0;

  constructor(name: string, grid: Kernel["grid"]) {
    this.#name = name;
    this.#grid = grid;
  }

  /** From now on the symbol is the index of the open loop in every dim. */
  bindIndex({ name }: DimSymbol, loop: number): void {
    this.#indices.set(name, loop);
  }

  /** A dim as an affine expression: a constant, or a runtime scalar, and the indices of the loops that it mentions. */
  affine(dim: Dim): Affine {
    const [rest, moving] = this.#indices.size === 0 ? [dim, []] : this.#splitIndices(dim);
    const fixed = this.#fixed(rest);
    return { ...fixed, terms: [...fixed.terms, ...moving] };
  }

  #splitIndices(dim: Dim): [Dim, Affine["terms"]] {
    let rest = dim;
    const moving: Affine["terms"][number][] = [];
    for (const { coefficient, atoms } of typeof dim === "number" ? [] : dim.terms) {
      const [atom, ...others] = atoms;
      if (atom?.kind !== "symbol" || others.length > 0) continue;
      const id = this.#indices.get(atom.symbol.name);
      if (id === undefined) continue;
      rest = dimSub(rest, dimMul(symbolDim(atom.symbol), coefficient));
      moving.push({ coefficient, of: "index", id });
    }
    if ([...dimSymbols(rest)].some(({ name }) => this.#indices.has(name))) {
      throw new PlanDoesNotFit(`${dimText(dim)} is no multiple of a trip's number`);
    }
    return [rest, moving];
  }

  #fixed(dim: Dim): Affine {
    if (typeof dim === "number") return constantAffine(dim);
    let id = this.#scalars.findIndex((s) => dimText(s) === dimText(dim));
    if (id < 0) {
      id = this.#scalars.length;
      this.#scalars.push(dim);
    }
    return { constant: 0, terms: [{ coefficient: 1, of: "scalar", id }] };
  }

  count(dim: Dim): Count {
    return { value: this.affine(dim), max: dimMax(dim) };
  }

  whole(extent: Dim): Position {
    return {
      index: constantAffine(0),
      extent: this.affine(extent),
      min: Math.max(0, dimMin(extent)),
      max: dimMax(extent),
    };
  }

  binding(storage: Storage, access: KernelBinding["access"]): number {
    const same = this.#bindings.findIndex(
      ({ bound }) => bound.storage === storage && bound.access === access,
    );
    if (same >= 0) return same;
    const binding: KernelBinding = {
      name: storage.root.name,
      dtype: storage.root.dtype,
      elements: storageSpan(storage),
      access,
    };
    this.#bindings.push({ binding, bound: { storage, access } });
    return this.#bindings.length - 1;
  }

  value(value: TileValue): number {
    this.#values.push(value);
    return this.#values.length - 1;
  }

  /** The loop carries the value from trip to trip. */
  carry(value: number, loop: number): void {
    this.#values[value] = { ...this.#values[value]!, carried: loop };
  }

  /** Throws NeedsBinding where an extent is a bare runtime scalar, which no instruction bounds. */
  requireClamped({ extent }: Position, reason: string): void {
    const dims = extent.terms.filter((t) => t.of === "scalar").map((t) => this.#scalars[t.id]!);
    if (dims.length === 0) return;
    throw new NeedsBinding(
      [...new Set(dims.flatMap((dim) => [...dimSymbols(dim)]))].map((s) => s.name),
      reason,
    );
  }

  role(name: string, origins: readonly Origin[]): number {
    this.#roles.push({ name, origins });
    return this.#roles.length - 1;
  }

  statement(body: KernelBody, role: number, options: { channel?: number } = {}): void {
    this.#current().push({
      kind: "statement",
      body,
      channel: options.channel ?? 0,
      role,
      ...(this.#stage === undefined ? {} : { stage: this.#stage }),
    });
  }

  /** What follows in the innermost temporal loop runs `by` trips late. Without a loop all runs in its place. */
  runLate(by: number): void {
    const loop = this.#open.findLast((head) => head.over === "time");
    this.#stage = loop === undefined || by === 0 ? undefined : { loop: loop.id, by };
    this.#isStaged ||= this.#stage !== undefined;
  }

  /**
   * Opens a loop over part of an axis and gives the position of its trips; `end` closes it. It counts from 0, so
   * that positions are sums over the loops and the verifier sees which loop moves what.
   */
  begin(
    name: string,
    over: LoopHead["over"],
    range: Position,
    step: number,
  ): { id: number; position: Position } {
    const id = this.#loops++;
    const head: LoopHead = {
      id,
      name,
      over,
      start: constantAffine(0),
      total: [range.extent],
      minTotal: range.min,
      maxTotal: range.max,
      step,
    };
    const body: KernelNode[] = [];
    this.#current().push({ kind: "loop", head, body });
    this.#stack.push(body);
    this.#open.push(head);
    const term = (of: "index" | "extent"): Affine => ({
      constant: 0,
      terms: [{ coefficient: 1, of, id }],
    });
    const max = Math.min(step, range.max);
    // A trip in time has a point at least; a member may be without one.
    const isOne = over === "time" && max === 1;
    return {
      id,
      position: {
        index: addAffine(range.index, term("index")),
        extent: isOne ? constantAffine(1) : term("extent"),
        min: 1,
        max,
      },
    };
  }

  end(): void {
    this.#stack.pop();
    if (this.#open.pop()?.id === this.#stage?.loop) this.#stage = undefined;
  }

  finish(): WrittenKernel {
    const values = this.#isStaged ? withRoom(this.#values, this.#stack[0]!) : this.#values;
    return {
      kernel: {
        name: this.#name,
        grid: this.#grid,
        scalarCount: this.#scalars.length,
        bindings: this.#bindings.map((b) => b.binding),
        values,
        body: this.#stack[0]!,
        roles: this.#roles.map((r) => r.name),
      },
      bindings: this.#bindings.map((b) => b.bound),
      scalars: this.#scalars,
      origins: this.#roles.map((r) => r.origins),
    };
  }

  #current(): KernelNode[] {
    return this.#stack.at(-1)!;
  }
}

/**
 * A value takes as many more slots as its readers run trips after its writer. An engine sees one slot of a value,
 * so all its readers on one engine run in the same stage.
 */
function withRoom(values: readonly TileValue[], body: readonly KernelNode[]): TileValue[] {
  const late = values.map(() => 0);
  const statements = statementsOf(body);
  const writers = new Map(
    statements.flatMap((placed) =>
      writesOf(placed.statement.body).map(({ operand }) => [operand.value, placed] as const),
    ),
  );
  const read = new Map<string, number>();
  for (const { statement } of statements) {
    const by = statement.stage?.by ?? 0;
    for (const { value } of readsOf(statement.body)) {
      const writer = writers.get(value)!;
      const reader = `${value} ${statement.body.op}`;
      const isOutside = writer.loops.every((head) => head.id !== statement.stage?.loop);
      if ((read.get(reader) ?? by) !== by) throw new PlanDoesNotFit("a value read in two stages");
      read.set(reader, by);
      if (!isOutside) late[value] = Math.max(late[value]!, by - (writer.statement.stage?.by ?? 0));
    }
  }
  return values.map((value, i) => ({ ...value, depth: value.depth + late[i]! }));
}

export function addAffine(a: Affine, b: Affine, scale = 1): Affine {
  const terms = [...a.terms];
  for (const t of b.terms) {
    const at = terms.findIndex((x) => x.of === t.of && x.id === t.id);
    const coefficient = t.coefficient * scale + (at < 0 ? 0 : terms[at]!.coefficient);
    if (at < 0) terms.push({ ...t, coefficient });
    else terms[at] = { ...t, coefficient };
  }
  return {
    constant: a.constant + b.constant * scale,
    terms: terms.filter((t) => t.coefficient !== 0),
  };
}

export function scaleAffine(a: Affine, scale: number): Affine {
  return addAffine(constantAffine(0), a, scale);
}

/** One dim of an access in memory: a stride and the coordinate along it. */
export interface AccessDim {
  readonly stride: number;
  readonly origin: Dim;
  readonly terms: readonly { readonly axis: number; readonly coefficient: number }[];
  readonly limit?: Dim;
}

/** How a group reads or writes a storage at each point of its axes. */
export interface Access {
  readonly storage: Storage;
  readonly dims: readonly AccessDim[];
  readonly fill: number;
}

export function makeAccess(storage: Storage, map: IndexMap): Access {
  const dims = map.expressions.map((e, i): AccessDim => {
    const origin = dimAdd(e.origin, storage.origins?.[i] ?? 0);
    // A start that is known only at run time is kept inside by a clip, so that no scalar can lead outside.
    const limit = e.limit ?? (typeof origin === "number" ? undefined : storage.extents[i]!);
    return {
      stride: storage.strides[i]!,
      origin,
      terms: e.terms.filter((t) => t.coefficient !== 0),
      ...(limit === undefined ? {} : { limit }),
    };
  });
  return { storage, dims, fill: map.fill ?? 0 };
}

/** Stride in memory along an iteration axis. */
export function axisStride(access: Access, axis: number): number {
  let stride = 0;
  for (const dim of access.dims) {
    for (const t of dim.terms) if (t.axis === axis) stride += t.coefficient * dim.stride;
  }
  return stride;
}

export function usesAxis(access: Access, axis: number): boolean {
  return access.dims.some((dim) => dim.terms.some((t) => t.axis === axis));
}

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

export function memoryOperand(binding: number, offset: Affine): MemoryOperand {
  return { binding, offset };
}

export function tileOperand(value: number, offset: Affine = constantAffine(0)): TileOperand {
  return { value, offset };
}

/** The tile from its first point on. */
export function tileOf(tile: Tile): TileOperand {
  return tileOperand(tile.value, tile.base);
}

export function positionCount(position: Position): Count {
  return { value: position.extent, max: position.max };
}

export type { DeviceDType };
export { dimAdd, dimMul };
