/**
 * The transcendental functions, each a fixed sequence of fp32 and int32 lane operations written once against
 * `LaneAlgebra`: on numbers it evaluates, on lanes it emits, in the JIT it generates SIMD code. So every
 * engine has the same bits, and this file is their definition.
 *
 * Branch-free: both sides are computed and a select takes one, so garbage on the side not taken is harmless.
 * Few operations matter more than the last half ulp: exp, sigmoid, tanh and erf run in the hottest loops. Clamps
 * are compare and select, which costs less in SIMD than IEEE min and max, and keeps a NaN. Polynomials are
 * minimax fits with fp32 coefficients. How exact each function is stands in `function-bounds.ts`.
 */
import type { FunctionName, LaneAlgebra } from "./lane.js";

export const functions: {
  readonly [F in FunctionName]: <V>(l: LaneAlgebra<V>, ...x: V[]) => V;
} = {
  exp: pick1(exp),
  log: pick1(log),
  sin: pick1(sin),
  cos: pick1(cos),
  tan: pick1(tan),
  asin: pick1(asin),
  acos: pick1(acos),
  atan: pick1(atan),
  sinh: pick1(sinh),
  cosh: pick1(cosh),
  tanh: pick1(tanh),
  asinh: pick1(asinh),
  acosh: pick1(acosh),
  atanh: pick1(atanh),
  sigmoid: pick1(sigmoid),
  erf: pick1(erf),
  pow: (l, ...x) => pow(l, x[0]!, x[1]!),
};

type Unary = <V>(l: LaneAlgebra<V>, x: V) => V;

function pick1(f: Unary): <V>(l: LaneAlgebra<V>, ...x: V[]) => V {
  return (l, ...x) => f(l, x[0]!);
}

/** c[0] + c[1] x + c[2] x^2 .. by Horner's rule. */
function polynomial<V>(l: LaneAlgebra<V>, x: V, c: readonly number[]): V {
  let sum = l.constF(c[c.length - 1]!);
  for (let i = c.length - 2; i >= 0; i--) sum = l.add(l.mul(sum, x), l.constF(c[i]!));
  return sum;
}

const signBit = -0x80000000;

/** |magnitude| must have its sign bit clear. */
function withSignOf<V>(l: LaneAlgebra<V>, magnitude: V, sign: V): V {
  return l.bitsF(l.or(l.bitsI(magnitude), l.and(l.bitsI(sign), l.constI(signBit))));
}

// ---------------------------------------------------------------------------------------------------------
// exp and its family

/** Adding it puts the nearest integer (ties to even) into the low bits of a number below 2^22. */
const integerMagic = 12582912;
/** ln 2 in two parts: the first has 9 significant bits, so that n times it is exact for |n| < 2^15. */
const ln2High = 0.693359375;
const ln2Low = -2.12194440054690583e-4;

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

function exp<V>(l: LaneAlgebra<V>, x: V): V {
  const { n, expm1 } = splitExp(l, x);
  const e = scaleByPower2(l, l.add(expm1, l.constF(1)), n, l.lt(x, l.constF(-64)));
  const clipped = l.select(l.lt(l.constF(89), x), l.constF(Infinity), e);
  return l.select(l.lt(x, l.constF(-104)), l.constF(0), clipped);
}

/**
 * y * 2^n in two steps, since 2^128 and what is below 2^-126 are no normal numbers: 2^(n + 64) * 2^-64 where
 * `low` holds (n > -190), else 2^(n - 1) * 2 (n > -126). Over- and underflow come out right.
 */
function scaleByPower2<V>(l: LaneAlgebra<V>, y: V, n: V, low: V): V {
  const exponent = l.addI(n, l.selectI(low, l.constI(127 + 64), l.constI(127 - 1)));
  const scaled = l.mul(y, l.bitsF(l.shl(exponent, l.constI(23))));
  return l.mul(scaled, l.select(low, l.constF(2 ** -64), l.constF(2)));
}

/** By z = e^-|x|: z / (1 + z) for negative x, 1 / (1 + z) for the others. */
function sigmoid<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.neg(l.abs(x));
  const { n, expm1 } = splitExp(l, l.select(l.lt(a, l.constF(-105)), l.constF(-105), a));
  const scaled = l.mul(l.add(expm1, l.constF(1)), power2(l, n, 64));
  const z = l.mul(scaled, l.constF(2 ** -64));
  const numerator = l.select(l.lt(x, l.constF(0)), z, l.constF(1));
  return l.div(numerator, l.add(z, l.constF(1)));
}

/** E / (E + 2) with E = e^2|x| - 1. */
function tanh<V>(l: LaneAlgebra<V>, x: V): V {
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
function sinh<V>(l: LaneAlgebra<V>, x: V): V {
  const a = clampHyperbolic(l, x);
  const { n, expm1 } = splitExp(l, a);
  const scale = power2(l, n, -2);
  const q = l.add(l.mul(expm1, scale), l.sub(scale, l.constF(0.25)));
  const half = l.add(q, l.div(q, l.add(l.mul(q, l.constF(4)), l.constF(1))));
  const y = l.select(l.lt(a, l.constF(2 ** -12)), a, l.mul(half, l.constF(2)));
  return withSignOf(l, y, x);
}

function cosh<V>(l: LaneAlgebra<V>, x: V): V {
  const { n, expm1 } = splitExp(l, clampHyperbolic(l, x));
  const q = l.mul(l.add(expm1, l.constF(1)), power2(l, n, -2));
  return l.add(l.mul(q, l.constF(2)), l.div(l.constF(0.125), q));
}

/**
 * |x| < 1: x + x P(x^2). Beyond: 1 - 1 / P(|x|)^8, which goes to 1 by itself.
 */
function erf<V>(l: LaneAlgebra<V>, x: V): V {
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

// ---------------------------------------------------------------------------------------------------------
// log and its family

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

function log<V>(l: LaneAlgebra<V>, x: V): V {
  const { k, m } = splitScaled(l, x);
  const y = logOfParts(l, k, m, l.constF(0));
  const finite = l.select(l.lt(x, l.constF(Infinity)), y, x);
  const atMostZero = l.select(l.eq(x, l.constF(0)), l.constF(-Infinity), l.constF(NaN));
  return l.select(l.le(x, l.constF(0)), atMostZero, finite);
}

/** As `splitLog`, with k as a float, for subnormal x too. */
function splitScaled<V>(l: LaneAlgebra<V>, x: V): { readonly k: V; readonly m: V } {
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

function asinh<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.abs(x);
  const square = l.mul(a, a);
  const root = l.sqrt(l.add(square, l.constF(1)));
  const u = l.add(a, l.div(square, l.add(root, l.constF(1))));
  const y = log1p(l, u, l.lt(l.constF(2 ** 24), a), a);
  return withSignOf(l, l.select(l.lt(a, l.constF(Infinity)), y, a), x);
}

function acosh<V>(l: LaneAlgebra<V>, x: V): V {
  const t = l.sub(x, l.constF(1));
  const u = l.add(t, l.sqrt(l.mul(t, l.add(t, l.constF(2)))));
  const y = log1p(l, u, l.lt(l.constF(2 ** 24), x), x);
  const finite = l.select(l.lt(x, l.constF(Infinity)), y, x);
  return l.select(l.lt(x, l.constF(1)), l.constF(NaN), finite);
}

function atanh<V>(l: LaneAlgebra<V>, x: V): V {
  const a = l.abs(x);
  const one = l.constF(1);
  const u = l.div(l.add(a, a), l.sub(one, a));
  const y = l.mul(log1p(l, u, l.constI(0), u), l.constF(0.5));
  const edge = l.select(l.eq(a, one), l.constF(Infinity), l.constF(NaN));
  const near = l.select(l.lt(a, l.constF(2 ** -12)), a, y);
  return withSignOf(l, l.select(l.lt(a, one), near, edge), x);
}

// ---------------------------------------------------------------------------------------------------------
// Trigonometry

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

function sin<V>(l: LaneAlgebra<V>, x: V): V {
  return circle(l, x, 0, l.bitsI(x));
}

function cos<V>(l: LaneAlgebra<V>, x: V): V {
  return circle(l, x, 1, l.constI(0));
}

function tan<V>(l: LaneAlgebra<V>, x: V): V {
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

function asin<V>(l: LaneAlgebra<V>, x: V): V {
  const { far, arc } = splitArc(l, x);
  const beyond = l.sub(l.constF(Math.PI / 2), l.mul(arc, l.constF(2)));
  return withSignOf(l, l.select(far, beyond, arc), x);
}

function acos<V>(l: LaneAlgebra<V>, x: V): V {
  const { far, arc } = splitArc(l, x);
  const twice = l.mul(arc, l.constF(2));
  const negative = l.lt(x, l.constF(0));
  const beyond = l.select(negative, l.sub(l.constF(Math.PI), twice), twice);
  const within = l.sub(l.constF(Math.PI / 2), l.select(negative, l.neg(arc), arc));
  return l.select(far, beyond, within);
}

/** Reduced to |t| <= tan(pi/8) by atan a = pi/4 + atan((a - 1) / (a + 1)) = pi/2 - atan(1 / a). */
function atan<V>(l: LaneAlgebra<V>, x: V): V {
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

// ---------------------------------------------------------------------------------------------------------
// pow

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
function pow<V>(l: LaneAlgebra<V>, x: V, y: V): V {
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
