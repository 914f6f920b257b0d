/**
 * Writes one Kernel: keeps its scalars, bindings, values and the loop nest.
 * Knows nothing of what is computed; contract-kernel.ts and rows-kernel.ts do.
 */
import {
  type Dim,
  dimMax,
  dimMin,
  dimMul,
  type DimSymbol,
  dimSub,
  dimSymbols,
  dimText,
  symbolDim,
} from "../../ir/dim.js";
import type { Origin } from "../../ir/graph.js";
import { needsBinding } from "../../ir/graph-shapes.js";
import type {
  Kernel,
  KernelBinding,
  KernelBody,
  KernelNode,
  KernelStatement,
  TileOperand,
  TileValue,
} from "../../ir/kernel/kernel.js";
import { readsOf, statementsOf, writesOf } from "../../ir/kernel/scope.js";
import {
  addAffine,
  type Affine,
  constantAffine,
  type Count,
  type LoopHead,
  variableAffine,
} from "../../ir/tile.js";
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
    return variableAffine("scalar", id);
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
    if (dims.length > 0) throw needsBinding(dims, reason);
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
    const max = Math.min(step, range.max);
    // A trip in time has a point at least; a member may be without one.
    const isOne = over === "time" && max === 1;
    return {
      id,
      position: {
        index: addAffine(range.index, variableAffine("index", id)),
        extent: isOne ? constantAffine(1) : variableAffine("extent", id),
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
