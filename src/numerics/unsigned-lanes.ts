/**
 * Unsigned 32-bit arithmetic on int32 registers that hold the same bits. Additions, products and bitwise operations
 * need nothing: their low 32 bits are the same for both readings.
 */
import type { LaneAlgebra } from "./lane.js";
import { signBit } from "./functions-parts.js";

/** Keeps the order: unsigned numbers before, signed numbers after. */
export function flipSign<V>(l: LaneAlgebra<V>, x: V): V {
  return l.xor(x, l.constI(signBit));
}

export function lessUnsigned<V>(l: LaneAlgebra<V>, a: V, b: V): V {
  return l.ltI(flipSign(l, a), flipSign(l, b));
}

export function lessOrEqualUnsigned<V>(l: LaneAlgebra<V>, a: V, b: V): V {
  return l.leI(flipSign(l, a), flipSign(l, b));
}

export function minUnsigned<V>(l: LaneAlgebra<V>, a: V, b: V): V {
  return l.selectI(lessUnsigned(l, a, b), a, b);
}

export function maxUnsigned<V>(l: LaneAlgebra<V>, a: V, b: V): V {
  return l.selectI(lessUnsigned(l, a, b), b, a);
}

/**
 * a / b, 0 for b = 0. The half of a is a signed number, and twice its quotient is at most one too small. A divisor of
 * 2^31 or more goes into a once or not at all.
 */
export function divideUnsigned<V>(l: LaneAlgebra<V>, a: V, b: V): V {
  const zero = l.constI(0);
  const one = l.constI(1);
  const rough = l.shl(l.divI(l.shrU(a, one), b), one);
  const rest = l.subI(a, l.mulI(rough, b));
  // A mask is -1 where it is true.
  const small = l.subI(rough, lessOrEqualUnsigned(l, b, rest));
  const large = l.subI(zero, lessOrEqualUnsigned(l, b, a));
  const quotient = l.selectI(l.ltI(b, zero), large, small);
  return l.selectI(l.eqI(b, zero), zero, quotient);
}

/** a - (a / b) * b: a for b = 0. */
export function remainderUnsigned<V>(l: LaneAlgebra<V>, a: V, b: V): V {
  return l.subI(a, l.mulI(divideUnsigned(l, a, b), b));
}

/** To fp32, rounded once: the bit that halving drops stays as a sticky one. */
export function unsignedToFloat<V>(l: LaneAlgebra<V>, x: V): V {
  const one = l.constI(1);
  const half = l.or(l.shrU(x, one), l.and(x, one));
  const doubled = l.mul(l.toF(half), l.constF(2));
  return l.select(l.ltI(x, l.constI(0)), doubled, l.toF(x));
}

/** The low 32 bits of x as a 64-bit integer: toward zero, saturating at 64 bits, 0 for NaN. */
export function floatToLowWord<V>(l: LaneAlgebra<V>, x: V): V {
  const whole = l.trunc(x);
  const word = l.constF(2 ** 32);
  const high = l.trunc(l.mul(whole, l.constF(2 ** -32)));
  const low = l.sub(whole, l.mul(high, word));
  const half = l.constF(2 ** 31);
  const isLarge = l.le(half, low);
  const isSmall = l.lt(low, l.neg(half));
  const moved = l.select(isLarge, l.sub(low, half), l.select(isSmall, l.add(low, half), low));
  const bits = l.toI(moved);
  const wrapped = l.selectI(l.or(isLarge, isSmall), flipSign(l, bits), bits);
  return l.selectI(l.le(l.constF(2 ** 63), x), l.constI(-1), wrapped);
}
