/** pow, as `functions.ts` says. */
import { polynomial, signBit } from "./functions-parts.js";
import { integerMagic, scaleByPower2 } from "./functions-exp.js";
import { splitScaled } from "./functions-log.js";
import type { LaneAlgebra } from "./lane.js";

/** The upper 12 bits of a mantissa, so that products of two such are exact. */
function upperHalf<V>(l: LaneAlgebra<V>, x: V): V {
  return l.bitsF(l.and(l.bitsI(x), l.constI(-0x1000)));
}

/** 2 / ln 2, its upper half and the rest. */
const log2Factor = 2.8853900817779268;
const log2FactorHigh = 2.884765625;
const log2FactorLow = 6.24456777926816e-4;

/** log2 a as a sum of two floats, some 40 bits together, for a > 0. */
function log2Pair<V>(l: LaneAlgebra<V>, a: V): { readonly high: V; readonly low: V } {
  const { k, m } = splitScaled(l, a);
  const one = l.constF(1);
  const f = l.sub(m, one);
  const d = l.add(m, one);
  const s = l.div(f, d);
  const sHigh = upperHalf(l, s);
  const dHigh = upperHalf(l, d);
  const dLow = l.sub(m, l.sub(dHigh, one));
  const remainder = l.sub(l.sub(f, l.mul(sHigh, dHigh)), l.mul(sHigh, dLow));
  const sLow = l.div(remainder, d);
  const z = l.mul(s, s);
  const series = polynomial(l, z, [0.333333313, 0.200004861, 0.142493963, 0.121394202]);
  const tail = l.add(sLow, l.mul(l.mul(s, z), series));
  const main = l.mul(sHigh, l.constF(log2FactorHigh));
  const rest = l.add(l.mul(sHigh, l.constF(log2FactorLow)), l.mul(tail, l.constF(log2Factor)));
  const sum = l.add(k, main);
  const lost = l.sub(main, l.sub(sum, k));
  const low = l.add(lost, rest);
  const high = l.add(sum, low);
  return { high, low: l.add(l.sub(sum, high), low) };
}

/** |x|^y by 2^(y log2 |x|), special values left to `pow`. */
function powMagnitude<V>(l: LaneAlgebra<V>, a: V, y: V): V {
  const { high, low } = log2Pair(l, a);
  const rough = l.mul(y, high);
  const yHigh = upperHalf(l, y);
  const highHigh = upperHalf(l, high);
  const product = l.mul(yHigh, highHigh);
  const rest = l.add(l.mul(l.sub(y, yHigh), high), l.mul(yHigh, l.add(l.sub(high, highHigh), low)));
  const shifted = l.add(l.add(product, rest), l.constF(integerMagic));
  const whole = l.sub(shifted, l.constF(integerMagic));
  const r = l.add(l.sub(product, whole), rest);
  const p = polynomial(
    l,
    r,
    [0.693147182, 0.240226477, 0.0555035993, 0.00961850956, 0.00133908167, 0.000153246336],
  );
  const e = l.add(l.mul(r, p), l.constF(1));
  const scaled = scaleByPower2(l, e, l.bitsI(shifted), l.lt(rough, l.constF(-100)));
  const clipped = l.select(l.lt(l.constF(129), rough), l.constF(Infinity), scaled);
  return l.select(l.lt(rough, l.constF(-152)), l.constF(0), clipped);
}

/** As C's pow: 1 for y = 0 and for x = 1 whatever the other is, NaN for negative x to a fraction. */
export function pow<V>(l: LaneAlgebra<V>, x: V, y: V): V {
  const zero = l.constF(0);
  const one = l.constF(1);
  const infinity = l.constF(Infinity);
  const a = l.abs(x);
  const growing = l.lt(zero, y);
  const finite = powMagnitude(l, a, y);
  const ofZero = l.select(growing, zero, infinity);
  const ofInfinity = l.select(growing, infinity, zero);
  const edged = l.select(l.eq(a, zero), ofZero, l.select(l.eq(a, infinity), ofInfinity, finite));
  const magnitude = l.select(l.eq(a, one), one, edged);

  const half = l.mul(y, l.constF(0.5));
  const whole = l.eq(l.floor(y), y);
  const evenOrFraction = l.or(l.eq(l.floor(half), half), l.xor(whole, l.constI(-1)));
  const sign = l.and(l.bitsI(x), l.selectI(evenOrFraction, l.constI(0), l.constI(signBit)));
  const signed = l.bitsF(l.or(l.bitsI(magnitude), sign));

  const negative = l.and(l.lt(x, zero), l.lt(a, infinity));
  const undefinedHere = l.and(negative, l.xor(whole, l.constI(-1)));
  const ordered = l.and(l.eq(x, x), l.eq(y, y));
  const valid = l.and(ordered, l.xor(undefinedHere, l.constI(-1)));
  const result = l.select(valid, signed, l.constF(NaN));
  return l.select(l.or(l.eq(y, zero), l.eq(x, one)), one, result);
}
