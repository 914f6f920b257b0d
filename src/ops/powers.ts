/** Pow: of floats by the lane function, by products where the exponent is a small constant, and of integers exactly. */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { decodeNumbers } from "../numerics/convert.js";
import { dtypes, isFloat } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { alignOldBroadcast, evaluateArithmetic, inferBroadcast } from "./broadcast.js";
import { asFloat, constLike, type LaneFunction, operator } from "./helpers.js";
import { Decline, type EvaluateContext, type LowerContext, type OperatorRecord } from "./record.js";

export const powerOperators: readonly OperatorRecord[] = [
  operator("Pow", { since: 1, until: 6 }, (c) =>
    lowerPow(c, alignOldBroadcast(c, c.input(0), c.input(1))),
  ),
  {
    ...operator("Pow", 7, (c) => lowerPow(c, c.input(1))),
    evaluate: evaluatePow,
    infer: inferBroadcast((c) => c.input(0).dtype),
  },
];

function lowerPow(c: LowerContext, exponent: Value): Value {
  const x = c.input(0);
  const known = exponent.data && decodeNumbers(exponent.dtype, exponent.data.data);
  const constant = known?.length === 1 ? known[0] : undefined;
  const integral = !isFloat(x.dtype);
  const inShape = constant === undefined || exponent.shape.length > x.shape.length;
  const map = (body: LaneFunction) => c.b.map(x.dtype, inShape ? [x, exponent] : [x], body);
  const most = integral ? 64 : 3;
  if (constant !== undefined && Number.isInteger(constant) && constant >= 0 && constant <= most) {
    return map((l, a) => integerPower(l, a!, constant));
  }
  if (integral) return powerOfIntegers(c, x, exponent);
  if (constant === 0.5) {
    // sqrt(-inf) is NaN and sqrt(-0) is -0 where pow gives inf and +0.
    return map((l, a) => {
      const infinite = l.eq(a!, l.constF(-Infinity));
      return l.select(infinite, l.constF(Infinity), l.sqrt(l.add(a!, l.constF(0))));
    });
  }
  return map((l, a, e) => l.pow(a!, e === undefined ? l.constF(constant!) : asFloat(l, e)));
}

/** x ** n for a small constant n, as the products that std::pow's callers expect. */
function integerPower(l: LaneBuilder, x: Lane, n: number): Lane {
  const mul = x.type === "i32" ? l.mulI : l.mul;
  let result: Lane | undefined;
  let square = x;
  for (let rest = n; rest > 0; rest >>= 1) {
    if (rest & 1) result = result === undefined ? square : mul(result, square);
    if (rest > 1) square = mul(square, square);
  }
  return result ?? constLike(l, x, 1);
}

/** Bits of an exponent once it is reduced, its sign aside. */
const exponentBits = 31;

/** Exact, modulo 2^32; a negative power is 1, -1 or (cut off to an integer) 0. */
function powerOfIntegers(c: LowerContext, x: Value, exponent: Value): Value {
  if (dtypes[x.dtype].bits > 32 || x.dtype === "u32") {
    throw new Decline("a power of 64-bit integers needs a small constant exponent");
  }
  const reduced = c.b.map("i32", [wholeExponent(c, exponent)], reducedExponent);
  return c.b.map(x.dtype, [x, reduced], (l, a, e) => {
    const [zero, one] = [l.constI(0), l.constI(1)];
    const isOdd = l.subI(zero, l.and(e!, one));
    const isUnit = l.or(l.eqI(a!, one), l.eqI(a!, l.constI(-1)));
    const inverse = l.and(isUnit, l.selectI(isOdd, a!, one));
    let result = one;
    let square = a!;
    for (let bit = 0; bit < exponentBits; bit++) {
      const isSet = l.subI(zero, l.and(l.shrU(e!, l.constI(bit)), one));
      result = l.selectI(isSet, l.mulI(result, square), result);
      if (bit + 1 < exponentBits) square = l.mulI(square, square);
    }
    return l.selectI(l.ltI(e!, zero), inverse, result);
  });
}

/** The exponent as integers: floats are known not to be fractions only where their values are. */
function wholeExponent(c: LowerContext, exponent: Value): Value {
  if (!isFloat(exponent.dtype)) return exponent;
  const known = exponent.data && Array.from(decodeNumbers(exponent.dtype, exponent.data.data));
  if (known?.every((n) => Number.isInteger(n) && Math.abs(n) < 2 ** 31)) {
    return c.b.cast(exponent, "i32");
  }
  throw new Decline("a fractional power of integers is not exact in fp32", exponent);
}

/**
 * An exponent of 31 bits that gives the same powers modulo 2^32: those of odd numbers repeat after 2^30, from the
 * 32nd on those of even ones are 0. Of a negative one only whether it is odd counts.
 */
function reducedExponent(l: LaneBuilder, n: Lane | undefined): Lane {
  const large = l.or(l.and(n!, l.constI(2 ** 30 - 1)), l.constI(2 ** 30));
  const sign = l.or(n!, l.constI(-2));
  const small = l.selectI(l.ltI(n!, l.constI(0)), sign, n!);
  return l.selectI(l.ltI(n!, l.constI(32)), small, large);
}

/** Powers of integers are exact and wrap; with a negative exponent they are cut off to an integer. */
function evaluatePow(c: EvaluateContext): readonly Tensor[] {
  const [base, exponent] = [c.tensorInput(0), c.tensorInput(1)];
  return [
    evaluateArithmetic([base, exponent], (a, e) => {
      const n = Number(e);
      if (!Number.isInteger(n) || n < 0) return Math.trunc(Number(a) ** n);
      const wrapped = wrappedPower(BigInt(a), BigInt(n));
      return typeof a === "bigint" ? wrapped : Number(BigInt.asIntN(32, wrapped));
    }),
  ];
}

/** The lowest 64 bits of a power, by squaring: the whole of it may not fit anywhere. */
function wrappedPower(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = base;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = BigInt.asIntN(64, result * square);
    square = BigInt.asIntN(64, square * square);
  }
  return result;
}
