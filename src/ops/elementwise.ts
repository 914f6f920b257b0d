/**
 * Elementwise arithmetic: one input at a time, pairs with broadcasting, and the variadic operators.
 * Comparisons, logic and bits are in `logic.ts`, activation functions in `activations.ts`.
 */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { isFloat } from "../numerics/dtype.js";
import type { FunctionName } from "../numerics/lane.js";
import { floatRemainder } from "../numerics/remainder-lanes.js";
import type { Tensor } from "../numerics/tensor.js";
import {
  absolute,
  allInputs,
  atLeast,
  atMost,
  computeType,
  constLike,
  type LaneFunction,
  lessThan,
  mapLike,
  operator,
  selectLike,
  unary,
} from "./helpers.js";
import { alignOldBroadcast, evaluateArithmetic, inferBroadcast } from "./broadcast.js";
import { Decline, type EvaluateContext, type LowerContext, type OperatorRecord } from "./record.js";

/** Most operands that one map takes: what one vector instruction can read. */
const mapInputsMax = 8;

const functions: readonly (readonly [string, number, FunctionName])[] = [
  ["Exp", 1, "exp"],
  ["Log", 1, "log"],
  ["Sin", 7, "sin"],
  ["Cos", 7, "cos"],
  ["Tan", 7, "tan"],
  ["Asin", 7, "asin"],
  ["Acos", 7, "acos"],
  ["Atan", 7, "atan"],
  ["Sinh", 9, "sinh"],
  ["Cosh", 9, "cosh"],
  ["Tanh", 1, "tanh"],
  ["Asinh", 9, "asinh"],
  ["Acosh", 9, "acosh"],
  ["Atanh", 9, "atanh"],
  ["Sigmoid", 1, "sigmoid"],
  ["Erf", 9, "erf"],
];

/** Two inputs of one type. Before opset 7 the second is aligned by the attributes broadcast and axis. */
function binary(name: string, body: LaneFunction): OperatorRecord[] {
  return [
    operator(name, { since: 1, until: 6 }, (c) => {
      const x = c.input(0);
      return c.b.map(x.dtype, [x, alignOldBroadcast(c, x, c.input(1))], body);
    }),
    operator(name, 7, (c) => mapLike(c, body, c.input(1))),
  ];
}

function variadic(name: string, body: LaneFunction): OperatorRecord {
  return operator(name, 1, (c) => fold(c, c.input(0).dtype, body));
}

/** Left fold over all inputs, eight at a time, rounded once at the end. */
function fold(
  c: LowerContext,
  dtype: Value["dtype"],
  body: LaneFunction,
  finish: LaneFunction = (_, x) => x!,
): Value {
  let rest = allInputs(c);
  const partial = isFloat(dtype) ? computeType(dtype) : dtype;
  while (rest.length > mapInputsMax) {
    const head = c.b.map(partial, rest.slice(0, mapInputsMax), (l, ...xs) => chain(l, xs, body));
    rest = [head, ...rest.slice(mapInputsMax)];
  }
  return c.b.map(dtype, rest, (l, ...xs) => finish(l, chain(l, xs, body)));
}

function chain(l: LaneBuilder, xs: readonly Lane[], body: LaneFunction): Lane {
  return xs.reduce((acc, x) => body(l, acc, x));
}

/** The sign of the divisor (Python's %), or of the dividend with fmod. */
function lowerMod(c: LowerContext): Value {
  const x = c.input(0);
  if (x.dtype === "f64") throw new Decline("an exact remainder of doubles takes 64-bit mantissas");
  const signed = !x.dtype.startsWith("u") && c.int("fmod", 0) === 0;
  return mapLike(
    c,
    (l, a, d) => {
      const rest = a!.type === "i32" ? l.remI(a!, d!) : floatRemainder(l, a!, d!);
      if (!signed) return rest;
      const zero = constLike(l, rest, 0);
      const isNegative = (lane: Lane) => lessThan(l, lane, zero);
      const isRest = l.or(isNegative(rest), lessThan(l, zero, rest));
      const differs = l.and(isRest, l.xor(isNegative(rest), isNegative(d!)));
      return selectLike(l, differs, rest.type === "i32" ? l.addI(rest, d!) : l.add(rest, d!), rest);
    },
    c.input(1),
  );
}

function lowerClip(c: LowerContext, low: Value | undefined, high: Value | undefined): Value {
  const x = c.input(0);
  const limits = [low, high].filter((v) => v !== undefined);
  if (limits.length === 0) return x;
  return c.b.map(x.dtype, [x, ...limits], (l, value, ...given) => {
    const above = low === undefined ? value! : atLeast(l, value!, given[0]!);
    return high === undefined ? above : atMost(l, above, given.at(-1)!);
  });
}

function clipAttribute(c: LowerContext, name: string): Value | undefined {
  const limit = c.float(name);
  return limit === undefined ? undefined : c.b.full(c.input(0).dtype, limit);
}

function evaluateMod(c: EvaluateContext): readonly Tensor[] {
  const [x, divisor] = [c.tensorInput(0), c.tensorInput(1)];
  const likeDividend = c.int("fmod", 0) !== 0;
  return [
    evaluateArithmetic([x, divisor], (a, d) => {
      const rest = Number(a) % Number(d);
      return likeDividend || rest === 0 || rest < 0 === Number(d) < 0 ? rest : rest + Number(d);
    }),
  ];
}

export const elementwiseOperators: readonly OperatorRecord[] = [
  ...functions.map(([name, since, row]) => unary(name, since, (l, x) => l[row](x))),
  unary("Abs", 1, (l, x, c) => absolute(l, x, c.input(0).dtype)),
  unary("Neg", 1, (l, x) => (x.type === "i32" ? l.subI(l.constI(0), x) : l.neg(x))),
  unary("Sqrt", 1, (l, x) => l.sqrt(x)),
  unary("Reciprocal", 1, (l, x) => l.div(l.constF(1), x)),
  unary("Floor", 1, (l, x) => (x.type === "i32" ? x : l.floor(x))),
  unary("Ceil", 1, (l, x) => (x.type === "i32" ? x : l.ceil(x))),
  unary("Round", 11, (l, x) => (x.type === "i32" ? x : l.rint(x))),
  unary("Sign", 9, (l, x) => {
    const zero = constLike(l, x, 0);
    const negative = selectLike(l, lessThan(l, x, zero), constLike(l, x, -1), x);
    return selectLike(l, lessThan(l, zero, x), constLike(l, x, 1), negative);
  }),
  ...binary("Add", (l, x, y) => (x!.type === "i32" ? l.addI(x!, y!) : l.add(x!, y!))),
  ...binary("Sub", (l, x, y) => (x!.type === "i32" ? l.subI(x!, y!) : l.sub(x!, y!))),
  ...binary("Mul", (l, x, y) => (x!.type === "i32" ? l.mulI(x!, y!) : l.mul(x!, y!))),
  ...binary("Div", (l, x, y) => (x!.type === "i32" ? l.divI(x!, y!) : l.div(x!, y!))),
  {
    ...operator("Mod", 10, lowerMod),
    evaluate: evaluateMod,
    infer: inferBroadcast((c) => c.input(0).dtype),
  },
  variadic("Max", (l, x, y) => (x!.type === "i32" ? l.maxI(x!, y!) : l.max(x!, y!))),
  variadic("Min", (l, x, y) => (x!.type === "i32" ? l.minI(x!, y!) : l.min(x!, y!))),
  variadic("Sum", (l, x, y) => l.add(x!, y!)),
  operator("Mean", 1, (c) =>
    fold(
      c,
      c.input(0).dtype,
      (l, x, y) => l.add(x!, y!),
      (l, sum) => l.div(sum!, l.constF(c.inputs.length)),
    ),
  ),
  operator("Clip", { since: 1, until: 10 }, (c) =>
    lowerClip(c, clipAttribute(c, "min"), clipAttribute(c, "max")),
  ),
  operator("Clip", 11, (c) => lowerClip(c, c.inputs[1], c.inputs[2])),
];
