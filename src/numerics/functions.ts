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
import { acos, asin, atan, cos, sin, tan } from "./functions-circle.js";
import { cosh, erf, exp, sigmoid, sinh, tanh } from "./functions-exp.js";
import { acosh, asinh, atanh, log } from "./functions-log.js";
import { pow } from "./functions-pow.js";
import type { FunctionName, LaneAlgebra } from "./lane.js";

export const functions: {
  readonly [F in FunctionName]: <V>(l: LaneAlgebra<V>, ...x: V[]) => V;
} = {
  exp: unary(exp),
  log: unary(log),
  sin: unary(sin),
  cos: unary(cos),
  tan: unary(tan),
  asin: unary(asin),
  acos: unary(acos),
  atan: unary(atan),
  sinh: unary(sinh),
  cosh: unary(cosh),
  tanh: unary(tanh),
  asinh: unary(asinh),
  acosh: unary(acosh),
  atanh: unary(atanh),
  sigmoid: unary(sigmoid),
  erf: unary(erf),
  pow: (l, ...x) => pow(l, x[0]!, x[1]!),
};

type Unary = <V>(l: LaneAlgebra<V>, x: V) => V;

function unary(f: Unary): <V>(l: LaneAlgebra<V>, ...x: V[]) => V {
  return (l, ...x) => f(l, x[0]!);
}
