/** Softmax, LogSoftmax and Hardmax: over one axis since opset 13, over all axes from one on before. */
import type { Value } from "../ir/graph.js";
import { dimProduct } from "../ir/dim.js";
import type { GraphBuilder } from "../ir/builder.js";
import { computeType, operator, range } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

/** e^(x - max) and its sum over `axes`: the two halves of a softmax. */
function exponentials(
  b: GraphBuilder,
  x: Value,
  axes: readonly number[],
): { readonly powers: Value; readonly sum: Value } {
  const dtype = computeType(x.dtype);
  const top = b.reduce(x, "max", axes, { keepDims: true });
  const powers = b.map(dtype, [x, top], (l, a, m) => l.exp(l.sub(a!, m!)));
  return { powers, sum: b.reduce(powers, "sum", axes, { keepDims: true }) };
}

export function softmax(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const { powers, sum } = exponentials(b, x, axes);
  return b.map(x.dtype, [powers, sum], (l, e, s) => l.div(e!, s!));
}

function logSoftmax(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const dtype = computeType(x.dtype);
  const top = b.reduce(x, "max", axes, { keepDims: true });
  const powers = b.map(dtype, [x, top], (l, a, m) => l.exp(l.sub(a!, m!)));
  const sum = b.reduce(powers, "sum", axes, { keepDims: true });
  const logSum = b.map(dtype, [sum], (l, s) => l.log(s!));
  return b.map(x.dtype, [x, top, logSum], (l, a, m, s) => l.sub(l.sub(a!, m!), s!));
}

/** 1 at the first largest element, 0 elsewhere. */
function hardmax(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const flat = b.reshape(x, [
    ...x.shape.slice(0, axes[0]!),
    dimProduct(axes.map((a) => x.shape[a]!)),
    ...x.shape.slice(axes.at(-1)! + 1),
  ]);
  const axis = axes[0]!;
  const winner = b.reduce(flat, "argmax", [axis], { keepDims: true });
  const index = b.iota(
    "i32",
    flat.shape.map((d, i) => (i === axis ? d : 1)),
    axis,
  );
  const ones = b.map(x.dtype, [index, winner], (l, i, w) =>
    l.select(l.eqI(i!, w!), l.constF(1), l.constF(0)),
  );
  return b.reshape(ones, x.shape);
}

type Body = (b: GraphBuilder, x: Value, axes: readonly number[]) => Value;

function overAxes(name: string, body: Body): OperatorRecord[] {
  const old = (c: LowerContext) => {
    const x = c.input(0);
    const rank = x.shape.length;
    const axis = c.int("axis", 1);
    return body(c.b, x, range(axis === rank ? rank : c.axis(axis, rank), rank));
  };
  const now = (c: LowerContext) => {
    const x = c.input(0);
    return body(c.b, x, [c.axis(c.int("axis", -1), x.shape.length)]);
  };
  return [operator(name, { since: 1, until: 12 }, old), operator(name, 13, now)];
}

export const softmaxOperators: readonly OperatorRecord[] = [
  ...overAxes("Softmax", softmax),
  ...overAxes("LogSoftmax", logSoftmax),
  ...overAxes("Hardmax", hardmax),
];
