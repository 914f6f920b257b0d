/** What the functions of `functions.ts` have in common. */
import type { LaneAlgebra } from "./lane.js";

/** c[0] + c[1] x + c[2] x^2 .. by Horner's rule. */
export function polynomial<V>(l: LaneAlgebra<V>, x: V, c: readonly number[]): V {
  let sum = l.constF(c[c.length - 1]!);
  for (let i = c.length - 2; i >= 0; i--) sum = l.add(l.mul(sum, x), l.constF(c[i]!));
  return sum;
}

export const signBit = -0x80000000;

/** |magnitude| must have its sign bit clear. */
export function withSignOf<V>(l: LaneAlgebra<V>, magnitude: V, sign: V): V {
  return l.bitsF(l.or(l.bitsI(magnitude), l.and(l.bitsI(sign), l.constI(signBit))));
}
