/** The trigonometric functions and their inverses, as `functions.ts` says. */
import { polynomial, signBit, withSignOf } from "./functions-parts.js";
import { integerMagic } from "./functions-exp.js";
import type { LaneAlgebra } from "./lane.js";

/** pi / 2 in four parts; n times each of the first three is exact for n < 2^13. */
const halfPiParts = [1.5703125, 4.837512969970703e-4, 7.549533620476723e-8, 2.5633440682570896e-12];

/**
 * a = n pi/2 + r with |r| <= pi/4, for a >= 0. Good to the last bits up to a of about 12,800; beyond it is as if
 * a had been another number an ulp or so away; from about 4e6 on r is 0. Of an infinity or NaN, r is NaN.
 */
function splitCircle<V>(l: LaneAlgebra<V>, a: V): { readonly n: V; readonly r: V } {
  const shifted = l.add(l.mul(a, l.constF(2 / Math.PI)), l.constF(integerMagic));
  const whole = l.sub(shifted, l.constF(integerMagic));
  let r = a;
  for (const part of halfPiParts) r = l.sub(r, l.mul(whole, l.constF(part)));
  const usable = l.le(l.abs(r), l.constF(1.5));
  return { n: l.bitsI(shifted), r: l.select(usable, r, l.sub(a, a)) };
}

/** sin(|x| + quadrant * pi/2), its sign bit flipped by bit 31 of `flip`. */
function circle<V>(l: LaneAlgebra<V>, x: V, quadrant: number, flip: V): V {
  const { n, r } = splitCircle(l, l.abs(x));
  const turns = quadrant === 0 ? n : l.addI(n, l.constI(quadrant));
  const z = l.mul(r, r);
  const sine = l.add(
    r,
    l.mul(l.mul(r, z), polynomial(l, z, [-0.166666552, 0.00833218824, -0.000195180997])),
  );
  const fourth = polynomial(l, z, [0.0416666456, -0.00138873106, 2.44325529e-5]);
  const square = l.sub(l.constF(1), l.mul(z, l.constF(0.5)));
  const cosine = l.add(square, l.mul(l.mul(z, z), fourth));
  const odd = l.subI(l.constI(0), l.and(turns, l.constI(1)));
  const sign = l.and(l.xor(l.shl(turns, l.constI(30)), flip), l.constI(signBit));
  return l.bitsF(l.xor(l.bitsI(l.select(odd, cosine, sine)), sign));
}

export function sin<V>(l: LaneAlgebra<V>, x: V): V {
  return circle(l, x, 0, l.bitsI(x));
}

export function cos<V>(l: LaneAlgebra<V>, x: V): V {
  return circle(l, x, 1, l.constI(0));
}

export function tan<V>(l: LaneAlgebra<V>, x: V): V {
  const { n, r } = splitCircle(l, l.abs(x));
  const z = l.mul(r, r);
  const p = polynomial(
    l,
    z,
    [0.333331555, 0.13338834, 0.0534083918, 0.0244405698, 0.00310295215, 0.00939559191],
  );
  const t = l.add(r, l.mul(l.mul(r, z), p));
  const odd = l.subI(l.constI(0), l.and(n, l.constI(1)));
  const y = l.select(odd, l.div(l.constF(-1), t), t);
  return l.bitsF(l.xor(l.bitsI(y), l.and(l.bitsI(x), l.constI(signBit))));
}

/** asin of |x|, or where |x| > 1/2 of sqrt((1 - |x|) / 2), of which it is twice off from pi/2. */
function splitArc<V>(l: LaneAlgebra<V>, x: V): { readonly far: V; readonly arc: V } {
  const a = l.abs(x);
  const far = l.lt(l.constF(0.5), a);
  const z = l.select(far, l.mul(l.sub(l.constF(1), a), l.constF(0.5)), l.mul(a, a));
  const s = l.select(far, l.sqrt(z), a);
  const p = polynomial(l, z, [0.166667521, 0.0749530643, 0.0454697721, 0.0241807755, 0.0421664044]);
  return { far, arc: l.add(s, l.mul(l.mul(s, z), p)) };
}

export function asin<V>(l: LaneAlgebra<V>, x: V): V {
  const { far, arc } = splitArc(l, x);
  const beyond = l.sub(l.constF(Math.PI / 2), l.mul(arc, l.constF(2)));
  return withSignOf(l, l.select(far, beyond, arc), x);
}

export function acos<V>(l: LaneAlgebra<V>, x: V): V {
  const { far, arc } = splitArc(l, x);
  const twice = l.mul(arc, l.constF(2));
  const negative = l.lt(x, l.constF(0));
  const beyond = l.select(negative, l.sub(l.constF(Math.PI), twice), twice);
  const within = l.sub(l.constF(Math.PI / 2), l.select(negative, l.neg(arc), arc));
  return l.select(far, beyond, within);
}

/** Reduced to |t| <= tan(pi/8) by atan a = pi/4 + atan((a - 1) / (a + 1)) = pi/2 - atan(1 / a). */
export function atan<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.abs(x);
  const one = l.constF(1);
  const far = l.lt(l.constF(2.4142137), a);
  const middle = l.lt(l.constF(0.41421357), a);
  const numerator = l.select(far, l.constF(-1), l.select(middle, l.sub(a, one), a));
  const denominator = l.select(far, a, l.select(middle, l.add(a, one), one));
  const t = l.div(numerator, denominator);
  const z = l.mul(t, t);
  const p = polynomial(l, z, [-0.333329469, 0.199776173, -0.138766274, 0.0805019215]);
  const nearArc = l.select(middle, l.constF(Math.PI / 4), l.constF(0));
  const base = l.select(far, l.constF(Math.PI / 2), nearArc);
  return withSignOf(l, l.add(base, l.add(t, l.mul(l.mul(t, z), p))), x);
}
