/**
 * Integers of the control code: constants where they are known when the code is made, locals otherwise. The
 * functions fold constants and emit the rest, so what a program fixes costs no code.
 */
import type { FunctionBuilder, I32, Local } from "./function.js";

export type Int =
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "local"; readonly local: Local<"i32"> };

export const zero: Int = { kind: "constant", value: 0 };
export const one: Int = { kind: "constant", value: 1 };

export function constant(value: number): Int {
  return { kind: "constant", value };
}

export function ofLocal(local: Local<"i32">): Int {
  return { kind: "local", local };
}

export function push(f: FunctionBuilder, x: Int): I32 {
  return x.kind === "constant" ? f.i32(x.value) : f.get(x.local);
}

/** A local of its own that holds x, for a variable. */
export function variable(f: FunctionBuilder, x: Int): Local<"i32"> {
  return f.keep("i32", push(f, x));
}

function keep(f: FunctionBuilder, value: I32): Int {
  return ofLocal(f.keep("i32", value));
}

export function add(f: FunctionBuilder, a: Int, b: Int): Int {
  if (a.kind === "constant" && b.kind === "constant") return constant((a.value + b.value) | 0);
  if (isValue(a, 0)) return b;
  if (isValue(b, 0)) return a;
  return keep(f, f.op("i32.add", push(f, a), push(f, b)));
}

export function subtract(f: FunctionBuilder, a: Int, b: Int): Int {
  if (a.kind === "constant" && b.kind === "constant") return constant((a.value - b.value) | 0);
  if (isValue(b, 0)) return a;
  return keep(f, f.op("i32.sub", push(f, a), push(f, b)));
}

export function scale(f: FunctionBuilder, a: Int, by: number): Int {
  if (a.kind === "constant") return constant(Math.imul(a.value, by));
  if (by === 0) return zero;
  if (by === 1) return a;
  const shift = Math.log2(by);
  if (Number.isInteger(shift)) return keep(f, f.op("i32.shl", push(f, a), f.i32(shift)));
  return keep(f, f.op("i32.mul", push(f, a), f.i32(by)));
}

export function minimum(f: FunctionBuilder, a: Int, b: Int): Int {
  if (a.kind === "constant" && b.kind === "constant") return constant(Math.min(a.value, b.value));
  return keep(
    f,
    f.select(push(f, a), push(f, b), f.op("i32.lt_s", push(f, a), push(f, b))),
  );
}

export function maximum(f: FunctionBuilder, a: Int, b: Int): Int {
  if (a.kind === "constant" && b.kind === "constant") return constant(Math.max(a.value, b.value));
  return keep(
    f,
    f.select(push(f, a), push(f, b), f.op("i32.gt_s", push(f, a), push(f, b))),
  );
}

/** a / by toward minus infinity, by > 0. */
export function floorDivide(f: FunctionBuilder, a: Int, by: number): Int {
  if (a.kind === "constant") return constant(Math.floor(a.value / by));
  if (by === 1) return a;
  const shift = Math.log2(by);
  if (Number.isInteger(shift)) return keep(f, f.op("i32.shr_s", push(f, a), f.i32(shift)));
  const isNegative = f.op("i32.lt_s", push(f, a), f.i32(0));
  const correction = f.keep("i32", f.op("i32.mul", isNegative, f.i32(by - 1)));
  const lowered = f.op("i32.sub", push(f, a), f.get(correction));
  return keep(f, f.op("i32.div_s", lowered, f.i32(by)));
}

/** 1 or 0. */
export function compare(
  f: FunctionBuilder,
  which: "lt" | "le" | "eq" | "ne",
  a: Int,
  b: Int,
): Int {
  if (a.kind === "constant" && b.kind === "constant") {
    const holds = {
      lt: a.value < b.value,
      le: a.value <= b.value,
      eq: a.value === b.value,
      ne: a.value !== b.value,
    }[which];
    return constant(holds ? 1 : 0);
  }
  const name = which === "lt" || which === "le" ? (`i32.${which}_s` as const) : `i32.${which}`;
  return keep(f, f.op(name as "i32.eq", push(f, a), push(f, b)));
}

export function both(f: FunctionBuilder, a: Int, b: Int): Int {
  if (a.kind === "constant") return a.value === 0 ? zero : b;
  if (b.kind === "constant") return b.value === 0 ? zero : a;
  return keep(f, f.op("i32.and", push(f, a), push(f, b)));
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
