/** exp, sigmoid, the hyperbolic functions and erf, as `functions.ts` says. */
import { polynomial, withSignOf } from "./functions-parts.js";
import type { LaneAlgebra } from "./lane.js";

/** Adding it puts the nearest integer (ties to even) into the low bits of a number below 2^22. */
export const integerMagic = 12582912;
/** ln 2 in two parts: the first has 9 significant bits, so that n times it is exact for |n| < 2^15. */
const ln2High = 0.693359375;
const ln2Low = -2.1219444005469057e-4;

/** x = n ln 2 + r with |r| <= ln 2 / 2: e^r - 1, and n as `power2` wants it. For |x| < 2^21. */
function splitExp<V>(l: LaneAlgebra<V>, x: V): { readonly n: V; readonly expm1: V } {
  const shifted = l.add(l.mul(x, l.constF(Math.LOG2E)), l.constF(integerMagic));
  const whole = l.sub(shifted, l.constF(integerMagic));
  const r = l.sub(l.sub(x, l.mul(whole, l.constF(ln2High))), l.mul(whole, l.constF(ln2Low)));
  const tail = l.mul(
    l.mul(r, r),
    polynomial(l, r, [0.49999994, 0.166665211, 0.0416682735, 0.00836868584, 0.00138201367]),
  );
  return { n: l.bitsI(shifted), expm1: l.add(r, tail) };
}

/** 2^(n + offset), n the bits of a number that had `integerMagic` added. The exponent must be a normal one. */
function power2<V>(l: LaneAlgebra<V>, n: V, offset: number): V {
  return l.bitsF(l.shl(l.addI(n, l.constI(127 + offset)), l.constI(23)));
}

export function exp<V>(l: LaneAlgebra<V>, x: V): V {
  const { n, expm1 } = splitExp(l, x);
  const e = scaleByPower2(l, l.add(expm1, l.constF(1)), n, l.lt(x, l.constF(-64)));
  const clipped = l.select(l.lt(l.constF(89), x), l.constF(Infinity), e);
  return l.select(l.lt(x, l.constF(-104)), l.constF(0), clipped);
}

/**
 * y * 2^n in two steps, since 2^128 and what is below 2^-126 are no normal numbers: 2^(n + 64) * 2^-64 where
 * `low` holds (n > -190), else 2^(n - 1) * 2 (n > -126). Over- and underflow come out right.
 */
export function scaleByPower2<V>(l: LaneAlgebra<V>, y: V, n: V, low: V): V {
  const exponent = l.addI(n, l.selectI(low, l.constI(127 + 64), l.constI(127 - 1)));
  const scaled = l.mul(y, l.bitsF(l.shl(exponent, l.constI(23))));
  return l.mul(scaled, l.select(low, l.constF(2 ** -64), l.constF(2)));
}

/** By z = e^-|x|: z / (1 + z) for negative x, 1 / (1 + z) for the others. */
export function sigmoid<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.neg(l.abs(x));
  const { n, expm1 } = splitExp(l, l.select(l.lt(a, l.constF(-105)), l.constF(-105), a));
  const scaled = l.mul(l.add(expm1, l.constF(1)), power2(l, n, 64));
  const z = l.mul(scaled, l.constF(2 ** -64));
  const numerator = l.select(l.lt(x, l.constF(0)), z, l.constF(1));
  return l.div(numerator, l.add(z, l.constF(1)));
}

/** E / (E + 2) with E = e^2|x| - 1. */
export function tanh<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.abs(x);
  const clamped = l.select(l.lt(l.constF(10), a), l.constF(10), a);
  const { n, expm1 } = splitExp(l, l.add(clamped, clamped));
  const scale = power2(l, n, 0);
  const e = l.add(l.mul(expm1, scale), l.sub(scale, l.constF(1)));
  return withSignOf(l, l.div(e, l.add(e, l.constF(2))), x);
}

/** |x|, no more than where sinh and cosh overflow for sure. */
function clampHyperbolic<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.abs(x);
  return l.select(l.lt(l.constF(89.5), a), l.constF(89.5), a);
}

/** 2 (Q + Q / (4Q + 1)) with Q = (e^|x| - 1) / 4, which does not overflow before the result does. */
export function sinh<V>(l: LaneAlgebra<V>, x: V): V {
  const a = clampHyperbolic(l, x);
  const { n, expm1 } = splitExp(l, a);
  const scale = power2(l, n, -2);
  const q = l.add(l.mul(expm1, scale), l.sub(scale, l.constF(0.25)));
  const half = l.add(q, l.div(q, l.add(l.mul(q, l.constF(4)), l.constF(1))));
  const y = l.select(l.lt(a, l.constF(2 ** -12)), a, l.mul(half, l.constF(2)));
  return withSignOf(l, y, x);
}

export function cosh<V>(l: LaneAlgebra<V>, x: V): V {
  const { n, expm1 } = splitExp(l, clampHyperbolic(l, x));
  const q = l.mul(l.add(expm1, l.constF(1)), power2(l, n, -2));
  return l.add(l.mul(q, l.constF(2)), l.div(l.constF(0.125), q));
}

/**
 * |x| < 1: x + x P(x^2). Beyond: 1 - 1 / P(|x|)^8, which goes to 1 by itself.
 */
export function erf<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.abs(x);
  const inner = polynomial(
    l,
    l.mul(a, a),
    [0.128379121, -0.37612322, 0.112801492, -0.0267104525, 0.00491654593, -0.000562725065],
  );
  const near = l.add(a, l.mul(a, inner));
  const outer = polynomial(
    l,
    a,
    [
      0.996378005, 0.159718558, 0.0484203659, 0.0748024806, -0.0337021612, 0.0179991387,
      -0.00405218918, 0.000547895266,
    ],
  );
  const square = l.mul(outer, outer);
  const fourth = l.mul(square, square);
  const far = l.sub(l.constF(1), l.div(l.constF(1), l.mul(fourth, fourth)));
  return withSignOf(l, l.select(l.lt(a, l.constF(1)), near, far), x);
}
