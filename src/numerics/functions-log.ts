/** log and the inverse hyperbolic functions, as `functions.ts` says. */
import { polynomial, withSignOf } from "./functions-parts.js";
import type { LaneAlgebra } from "./lane.js";

/** Bits of sqrt(1/2): mantissas are taken in [sqrt(1/2), sqrt(2)). */
const sqrtHalfBits = 0x3f3504f3;

/** x = 2^k m, m in [sqrt(1/2), sqrt(2)), for positive normal x. */
function splitLog<V>(l: LaneAlgebra<V>, x: V): { readonly k: V; readonly m: V } {
  const bits = l.bitsI(x);
  const k = l.shrS(l.subI(bits, l.constI(sqrtHalfBits)), l.constI(23));
  return { k, m: l.bitsF(l.subI(bits, l.shl(k, l.constI(23)))) };
}

/** ln 2 in two parts; the first has 15 significant bits less than a float, k times it is exact. */
const ln2LogHigh = 0.693138122558594;
const ln2LogLow = 9.0580006144e-6;

/** k ln 2 + ln m + `more`, where `more` is small against the result. */
function logOfParts<V>(l: LaneAlgebra<V>, k: V, m: V, more: V): V {
  const f = l.sub(m, l.constF(1));
  const s = l.div(f, l.add(f, l.constF(2)));
  const z = l.mul(s, s);
  const series = l.mul(z, polynomial(l, z, [0.666667759, 0.399775654, 0.298716068]));
  const half = l.mul(l.mul(f, f), l.constF(0.5));
  const low = l.add(l.mul(k, l.constF(ln2LogLow)), more);
  const rest = l.sub(half, l.add(l.mul(s, l.add(half, series)), low));
  return l.add(l.mul(k, l.constF(ln2LogHigh)), l.sub(f, rest));
}

export function log<V>(l: LaneAlgebra<V>, x: V): V {
  const { k, m } = splitScaled(l, x);
  const y = logOfParts(l, k, m, l.constF(0));
  const finite = l.select(l.lt(x, l.constF(Infinity)), y, x);
  const atMostZero = l.select(l.eq(x, l.constF(0)), l.constF(-Infinity), l.constF(NaN));
  return l.select(l.le(x, l.constF(0)), atMostZero, finite);
}

/** As `splitLog`, with k as a float, for subnormal x too. */
export function splitScaled<V>(l: LaneAlgebra<V>, x: V): { readonly k: V; readonly m: V } {
  const tiny = l.lt(x, l.constF(2 ** -126));
  const { k, m } = splitLog(l, l.select(tiny, l.mul(x, l.constF(2 ** 23)), x));
  return { k: l.sub(l.toF(k), l.select(tiny, l.constF(23), l.constF(0))), m };
}

/** ln(1 + u) for 0 <= u < 2^64; with `instead` holding, ln(2 u) for u >= 2^24. */
function log1p<V>(l: LaneAlgebra<V>, u: V, instead: V, large: V): V {
  const one = l.constF(1);
  const sum = l.add(u, one);
  const back = l.sub(sum, one);
  const lost = l.add(l.sub(one, l.sub(sum, back)), l.sub(u, back));
  const w = l.select(instead, large, sum);
  const { k, m } = splitLog(l, w);
  const kf = l.add(l.toF(k), l.select(instead, one, l.constF(0)));
  return logOfParts(l, kf, m, l.select(instead, l.constF(0), l.div(lost, sum)));
}

export function asinh<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.abs(x);
  const square = l.mul(a, a);
  const root = l.sqrt(l.add(square, l.constF(1)));
  const u = l.add(a, l.div(square, l.add(root, l.constF(1))));
  const y = log1p(l, u, l.lt(l.constF(2 ** 24), a), a);
  return withSignOf(l, l.select(l.lt(a, l.constF(Infinity)), y, a), x);
}

export function acosh<V>(l: LaneAlgebra<V>, x: V): V {
  const t = l.sub(x, l.constF(1));
  const u = l.add(t, l.sqrt(l.mul(t, l.add(t, l.constF(2)))));
  const y = log1p(l, u, l.lt(l.constF(2 ** 24), x), x);
  const finite = l.select(l.lt(x, l.constF(Infinity)), y, x);
  return l.select(l.lt(x, l.constF(1)), l.constF(NaN), finite);
}

export function atanh<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.abs(x);
  const one = l.constF(1);
  const u = l.div(l.add(a, a), l.sub(one, a));
  const y = l.mul(log1p(l, u, l.constI(0), u), l.constF(0.5));
  const edge = l.select(l.eq(a, one), l.constF(Infinity), l.constF(NaN));
  const near = l.select(l.lt(a, l.constF(2 ** -12)), a, y);
  return withSignOf(l, l.select(l.lt(a, one), near, edge), x);
}
