/**
 * Maximum and minimum of many floats. f32x4.max and min give NaN and signed zeros their due at once and take V8 nine
 * instructions each; here pmax or pmin picks the number while two more registers remember what it cannot tell: whether
 * there was a NaN, and the sign bits, which decide between +0 and -0 where the result is a zero.
 */
import type { FunctionBuilder, Local } from "../wasm/function.js";

export interface Extreme {
  /** Starts from one vector of values. */
  begin(value: Local<"v128">): void;
  add(value: Local<"v128">): void;
  /** The maximum or minimum of what every lane got. */
  result(): Local<"v128">;
}

/** With several numbers taking turns, so that one need not wait for the last. */
export function extremeOf(f: FunctionBuilder, which: "max" | "min", turns: number): Extreme {
  const numbers = Array.from({ length: turns }, () => f.local("v128"));
  const signs = f.local("v128");
  const isNaN = f.local("v128");
  const pick = which === "max" ? "f32x4.pmax" : "f32x4.pmin";
  // +0 is the greater: it wins if one sign bit is clear, -0 if one is set.
  const mix = which === "max" ? "v128.and" : "v128.or";
  return {
    begin(value) {
      for (const number of numbers) f.set(number, f.get(value));
      f.set(signs, f.get(value));
      f.set(isNaN, f.op("f32x4.ne", f.get(value), f.get(value)));
    },
    add(value) {
      const [first, ...rest] = numbers as [Local<"v128">, ...Local<"v128">[]];
      const picked = f.keep("v128", f.op(pick, f.get(first), f.get(value)));
      [...rest, picked].forEach((number, i) => f.set(numbers[i]!, f.get(number)));
      f.set(signs, f.op(mix, f.get(signs), f.get(value)));
      const unordered = f.keep("v128", f.op("f32x4.ne", f.get(value), f.get(value)));
      f.set(isNaN, f.op("v128.or", f.get(isNaN), f.get(unordered)));
    },
    result() {
      const best = f.keep("v128", f.get(numbers[0]!));
      for (const number of numbers.slice(1)) f.set(best, f.op(pick, f.get(best), f.get(number)));
      const signed = f.keep("v128", f.op("v128.and", f.get(signs), f.words(-(2 ** 31))));
      const isZero = f.keep("v128", f.op("f32x4.eq", f.get(best), f.words(0)));
      const exact = f.op("v128.bitselect", f.get(signed), f.get(best), f.get(isZero));
      f.set(best, f.op("v128.or", exact, f.get(isNaN)));
      return best;
    },
  };
}
