/** Affine expressions, counts, conditions and loop ranges as control code: ir/semantics.ts, emitted. */
import type { Affine, Count, LoopHead } from "../../../ir/tile.js";
import type { Condition } from "../../../isa/program.js";
import { InternalError } from "../../../support/diagnostic.js";
import type { FunctionBuilder } from "../wasm/function.js";
import * as ints from "./ints.js";
import type { Int } from "./ints.js";

/** Where control stands: the runtime scalars and the present trip of each enclosing loop, by id. */
export interface Environment {
  readonly scalars: readonly Int[];
  readonly trips: ReadonlyMap<number, TripCode>;
}

export interface TripCode {
  readonly number: Int;
  readonly count: Int;
  readonly index: Int;
  readonly extent: Int;
}

export interface RangeCode {
  readonly start: Int;
  readonly total: Int;
  readonly count: Int;
}

export function emitAffine(f: FunctionBuilder, affine: Affine, environment: Environment): Int {
  let value = ints.constant(affine.constant);
  for (const { coefficient, of, id } of affine.terms) {
    value = ints.add(f, value, ints.scale(f, termOf(of, id, environment), coefficient));
  }
  return value;
}

function termOf(of: "scalar" | "index" | "extent", id: number, environment: Environment): Int {
  if (of === "scalar") return environment.scalars[id] ?? missing(`scalar ${id}`);
  return tripOf(environment, id)[of];
}

function tripOf(environment: Environment, loop: number): TripCode {
  return environment.trips.get(loop) ?? missing(`loop ${loop}`);
}

function missing(what: string): never {
  throw new InternalError(`the program uses ${what} where there is none`);
}

export function emitCount(f: FunctionBuilder, count: Count, environment: Environment): Int {
  const value = ints.maximum(f, emitAffine(f, count.value, environment), ints.zero);
  return ints.minimum(f, value, ints.constant(count.max));
}

/** 1 or 0. */
export function emitCondition(
  f: FunctionBuilder,
  condition: Condition,
  environment: Environment,
): Int {
  switch (condition.kind) {
    case "never":
      return ints.zero;
    case "always":
      return ints.one;
    case "all": {
      let holds: Int = ints.one;
      for (const { loop, edge, negated } of condition.terms) {
        const { number, count } = tripOf(environment, loop);
        const at = edge === "first" ? ints.zero : ints.subtract(f, count, ints.one);
        const isEdge = ints.isEqual(f, number, at);
        holds = ints.both(f, holds, negated ? ints.not(f, isEdge) : isEdge);
      }
      return holds;
    }
    default:
      return condition satisfies never;
  }
}

export function emitRange(f: FunctionBuilder, head: LoopHead, environment: Environment): RangeCode {
  const start = ints.maximum(f, emitAffine(f, head.start, environment), ints.zero);
  let least: Int | undefined;
  for (const affine of head.total) {
    const value = emitAffine(f, affine, environment);
    least = least === undefined ? value : ints.minimum(f, least, value);
  }
  const floored = ints.maximum(
    f,
    least ?? ints.constant(head.maxTotal),
    ints.constant(head.minTotal),
  );
  const total = ints.minimum(f, floored, ints.constant(head.maxTotal));
  const left = ints.maximum(f, ints.subtract(f, total, start), ints.zero);
  return { start, total, count: ints.ceilDivide(f, left, head.step) };
}

/** The trip of that number, which is known to exist. */
export function emitTrip(
  f: FunctionBuilder,
  head: LoopHead,
  range: RangeCode,
  number: Int,
): TripCode {
  const index = ints.add(f, range.start, ints.scale(f, number, head.step));
  const left = ints.subtract(f, range.total, index);
  const extent = ints.minimum(f, ints.constant(head.step), left);
  return {
    number,
    count: range.count,
    index: narrowed(index, 0, head.maxTotal - 1),
    extent: narrowed(extent, 1, head.step),
  };
}

function narrowed(x: Int, least: number, most: number): Int {
  if (x.kind === "constant") return x;
  return ints.ofLocal(x.local, { least: Math.max(least, x.least), most: Math.min(most, x.most) });
}
