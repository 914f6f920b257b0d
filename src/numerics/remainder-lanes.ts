/**
 * The exact remainder of floats, C's fmod, as a fixed sequence of integer operations: the mantissa of the dividend, a
 * few more places of it per step, modulo the mantissa of the divisor.
 */
import { signBit } from "./functions-parts.js";
import type { LaneAlgebra } from "./lane.js";

/** Places per step: a remainder of 24 bits stays positive when it is moved as far. */
const stepPlaces = 7;

/** Exponents of fp32, the least one of subnormals too. */
const exponentSpan = 253;

/** a - trunc(a / b) * b with the sign of a; NaN where b is 0, a infinite or either is NaN. */
export function floatRemainder<V>(l: LaneAlgebra<V>, a: V, b: V): V {
  const [x, y] = [a, b].map((value) => split(l, value)) as [Parts<V>, Parts<V>];
  const distance = l.subI(x.exponent, y.exponent);
  let left = l.maxI(distance, l.constI(0));
  let rest = l.remI(x.mantissa, y.mantissa);
  for (let places = 0; places < exponentSpan; places += stepPlaces) {
    const step = l.minI(left, l.constI(stepPlaces));
    rest = l.remI(l.shl(rest, step), y.mantissa);
    left = l.subI(left, step);
  }
  // Two factors: 2^(exponent - 150) alone may be subnormal.
  const scale = l.bitsF(l.shl(y.exponent, l.constI(23)));
  const magnitude = l.mul(l.mul(l.toF(rest), l.constF(2 ** -23)), scale);
  const signed = l.bitsF(l.or(l.bitsI(magnitude), l.and(l.bitsI(a), l.constI(signBit))));
  const isSmaller = l.lt(l.abs(a), l.abs(b));
  const isDefined = l.and(l.lt(l.abs(a), l.constF(Infinity)), l.lt(l.constF(0), l.abs(b)));
  return l.select(isDefined, l.select(isSmaller, a, signed), l.constF(NaN));
}

/** |x| = mantissa * 2^(exponent - 150), for finite x. */
interface Parts<V> {
  readonly mantissa: V;
  readonly exponent: V;
}

function split<V>(l: LaneAlgebra<V>, x: V): Parts<V> {
  const bits = l.and(l.bitsI(x), l.constI(0x7fffffff));
  const field = l.shrU(bits, l.constI(23));
  const fraction = l.and(bits, l.constI(0x7fffff));
  const isNormal = l.ltI(l.constI(0), field);
  const mantissa = l.or(fraction, l.and(isNormal, l.constI(0x800000)));
  return { mantissa, exponent: l.maxI(field, l.constI(1)) };
}
