/**
 * Integers of the control code: constants where they are known when the code is made, locals otherwise, with bounds
 * on their values. The functions fold what is known and emit the rest, so what a program fixes costs no code.
 */
import type { FunctionBuilder, I32, Local } from "../wasm/function.js";

export type Int =
  | { readonly kind: "constant"; readonly value: number }
  | {
      readonly kind: "local";
      readonly local: Local<"i32">;
      readonly least: number;
      readonly most: number;
    };

export const zero: Int = { kind: "constant", value: 0 };
export const one: Int = { kind: "constant", value: 1 };

const leastInt = -(2 ** 31);
const mostInt = 2 ** 31 - 1;

interface Bounds {
  readonly least: number;
  readonly most: number;
}

export function constant(value: number): Int {
  return { kind: "constant", value };
}

export function ofLocal(
  local: Local<"i32">,
  { least, most }: Bounds = { least: leastInt, most: mostInt },
): Int {
  return { kind: "local", local, least, most };
}

export function boundsOf(x: Int): Bounds {
  return x.kind === "constant" ? { least: x.value, most: x.value } : x;
}

export function push(f: FunctionBuilder, x: Int): I32 {
  return x.kind === "constant" ? f.i32(x.value) : f.get(x.local);
}

/** A local of its own that holds x, for a variable. */
export function variable(f: FunctionBuilder, x: Int): Local<"i32"> {
  return f.keep("i32", push(f, x));
}

/** Bounds outside int32 say nothing, because the value may have wrapped. */
function keep(f: FunctionBuilder, value: I32, least: number, most: number): Int {
  const local = f.keep("i32", value);
  return least < leastInt || most > mostInt ? ofLocal(local) : ofLocal(local, { least, most });
}

export function add(f: FunctionBuilder, a: Int, b: Int): Int {
  if (a.kind === "constant" && b.kind === "constant") return constant((a.value + b.value) | 0);
  if (isValue(a, 0)) return b;
  if (isValue(b, 0)) return a;
  const [x, y] = [boundsOf(a), boundsOf(b)];
  return keep(f, f.op("i32.add", push(f, a), push(f, b)), x.least + y.least, x.most + y.most);
}

export function subtract(f: FunctionBuilder, a: Int, b: Int): Int {
  if (a.kind === "constant" && b.kind === "constant") return constant((a.value - b.value) | 0);
  if (isValue(b, 0)) return a;
  const [x, y] = [boundsOf(a), boundsOf(b)];
  return keep(f, f.op("i32.sub", push(f, a), push(f, b)), x.least - y.most, x.most - y.least);
}

export function scale(f: FunctionBuilder, a: Int, by: number): Int {
  if (a.kind === "constant") return constant(Math.imul(a.value, by));
  if (by === 0) return zero;
  if (by === 1) return a;
  const ends = [a.least * by, a.most * by];
  const product = f.op("i32.mul", push(f, a), f.i32(by));
  return keep(f, product, Math.min(...ends), Math.max(...ends));
}

export function minimum(f: FunctionBuilder, a: Int, b: Int): Int {
  const [x, y] = [boundsOf(a), boundsOf(b)];
  if (x.most <= y.least) return a;
  if (y.most <= x.least) return b;
  const value = f.select(push(f, a), push(f, b), f.op("i32.lt_s", push(f, a), push(f, b)));
  return keep(f, value, Math.min(x.least, y.least), Math.min(x.most, y.most));
}

export function maximum(f: FunctionBuilder, a: Int, b: Int): Int {
  const [x, y] = [boundsOf(a), boundsOf(b)];
  if (x.least >= y.most) return a;
  if (y.least >= x.most) return b;
  const value = f.select(push(f, a), push(f, b), f.op("i32.gt_s", push(f, a), push(f, b)));
  return keep(f, value, Math.max(x.least, y.least), Math.max(x.most, y.most));
}

/** a / by toward minus infinity, by > 0. */
export function floorDivide(f: FunctionBuilder, a: Int, by: number): Int {
  if (a.kind === "constant") return constant(Math.floor(a.value / by));
  if (by === 1) return a;
  const [least, most] = [Math.floor(a.least / by), Math.floor(a.most / by)];
  const shift = Math.log2(by);
  if (Number.isInteger(shift)) {
    return keep(f, f.op("i32.shr_s", push(f, a), f.i32(shift)), least, most);
  }
  const isNegative = f.op("i32.lt_s", push(f, a), f.i32(0));
  const correction = f.keep("i32", f.op("i32.mul", isNegative, f.i32(by - 1)));
  const lowered = f.op("i32.sub", push(f, a), f.get(correction));
  return keep(f, f.op("i32.div_s", lowered, f.i32(by)), least, most);
}

/** What a division of a >= 0 leaves: a - quotient * by. */
export function remainder(f: FunctionBuilder, a: Int, quotient: Int, by: number): Int {
  if (by === 1) return zero;
  const rest = subtract(f, a, scale(f, quotient, by));
  return rest.kind === "constant" ? rest : ofLocal(rest.local, { least: 0, most: by - 1 });
}

/** a / by toward plus infinity, by > 0. */
export function ceilDivide(f: FunctionBuilder, a: Int, by: number): Int {
  return floorDivide(f, add(f, a, constant(by - 1)), by);
}

const isTrue = { least: 0, most: 1 };

/** 1 where a < b, else 0. */
export function isLess(f: FunctionBuilder, a: Int, b: Int): Int {
  const [x, y] = [boundsOf(a), boundsOf(b)];
  if (x.most < y.least) return one;
  if (x.least >= y.most) return zero;
  return ofLocal(f.keep("i32", f.op("i32.lt_s", push(f, a), push(f, b))), isTrue);
}

export function isEqual(f: FunctionBuilder, a: Int, b: Int): Int {
  if (a.kind === "constant" && b.kind === "constant") return a.value === b.value ? one : zero;
  const [x, y] = [boundsOf(a), boundsOf(b)];
  if (x.most < y.least || y.most < x.least) return zero;
  return ofLocal(f.keep("i32", f.op("i32.eq", push(f, a), push(f, b))), isTrue);
}

/** The other truth value. */
export function not(f: FunctionBuilder, a: Int): Int {
  if (a.kind === "constant") return a.value === 0 ? one : zero;
  return ofLocal(f.keep("i32", f.op("i32.eqz", push(f, a))), isTrue);
}

export function both(f: FunctionBuilder, a: Int, b: Int): Int {
  if (a.kind === "constant") return a.value === 0 ? zero : b;
  if (b.kind === "constant") return b.value === 0 ? zero : a;
  return ofLocal(f.keep("i32", f.op("i32.and", push(f, a), push(f, b))), isTrue);
}

export function isValue(x: Int, value: number): boolean {
  return x.kind === "constant" && x.value === value;
}

/** Emits the code where the condition may hold; without a test where it always does. */
export function when(f: FunctionBuilder, condition: Int, then: () => void): void {
  if (condition.kind === "constant") {
    if (condition.value !== 0) then();
    return;
  }
  f.if(f.get(condition.local), then);
}
