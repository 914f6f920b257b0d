/** Reductions over axes, ArgMax and ArgMin, running sums and products. Means of norms are in `helpers.ts`. */
import type { GraphBuilder, Lane, LaneBuilder } from "../ir/builder.js";
import { dimSub } from "../ir/dim.js";
import type { Reduction, Value } from "../ir/graph.js";
import { type DType, isFloat } from "../numerics/dtype.js";
import { absolute, computeType, countOf, type LaneFunction, operator, range } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

/** Reduces `axes` to extent 1. No axes: what remains is the function of each element. */
type ReduceBody = (b: GraphBuilder, x: Value, axes: readonly number[]) => Value;

/** Axes are an attribute before opset `inputSince` and the second input from there on. */
function reduction(name: string, body: ReduceBody, inputSince = 18): OperatorRecord[] {
  return [
    operator(name, { since: 1, until: inputSince - 1 }, (c) =>
      lowerReduce(c, c.ints("axes"), body),
    ),
    operator(name, inputSince, (c) => lowerReduce(c, c.knownInts(1, "the axes to reduce"), body)),
  ];
}

function lowerReduce(
  c: LowerContext,
  given: readonly number[] | undefined,
  body: ReduceBody,
): Value {
  const x = c.input(0);
  const rank = x.shape.length;
  const none = given === undefined || given.length === 0;
  if (none && c.int("noop_with_empty_axes", 0) !== 0) return body(c.b, x, []);
  const axes = none ? range(0, rank) : given.map((a) => c.axis(a, rank)).sort((a, b) => a - b);
  const result = body(c.b, x, axes);
  return c.int("keepdims", 1) === 0 ? c.b.squeeze(result, axes) : result;
}

function keep(b: GraphBuilder, x: Value, kind: Reduction, axes: readonly number[]): Value {
  return axes.length === 0 ? x : b.reduce(x, kind, axes, { keepDims: true });
}

function plain(kind: Reduction, ofBool: Reduction = kind): ReduceBody {
  return (b, x, axes) => keep(b, x, x.dtype === "bool" ? ofBool : kind, axes);
}

interface SumForm {
  /** Of each element, before the sum. */
  readonly before?: (l: LaneBuilder, x: Lane, dtype: DType) => Lane;
  /** Of the sum and the number of elements. */
  readonly after?: LaneFunction;
  /** No functions of integers: those are computed as floats and cut off. */
  readonly floatOnly?: boolean;
}

function sumOf({ before, after, floatOnly = false }: SumForm): ReduceBody {
  return (b, x, axes) => {
    const float = isFloat(x.dtype);
    const partial = float || floatOnly ? computeType(x.dtype) : x.dtype;
    const wide = b.cast(x, partial);
    const terms =
      before === undefined ? wide : b.map(partial, [wide], (l, v) => before(l, v!, partial));
    const sum = keep(b, terms, "sum", axes);
    if (after === undefined) return b.cast(sum, x.dtype);
    const result = b.map(float ? x.dtype : partial, [sum, countOf(b, x, axes, partial)], after);
    return b.cast(result, x.dtype);
  };
}

const square = (l: LaneBuilder, x: Lane): Lane => (x.type === "i32" ? l.mulI(x, x) : l.mul(x, x));
const quotient: LaneFunction = (l, sum, n) =>
  sum!.type === "i32" ? l.divI(sum!, n!) : l.div(sum!, n!);

/** log(sum of e^x), the largest x taken out first; where that is infinite, nothing can overflow. */
const logSumExp: ReduceBody = (b, x, axes) => {
  if (!isFloat(x.dtype)) return b.cast(logSumExp(b, b.cast(x, "f32"), axes), x.dtype);
  const dtype = computeType(x.dtype);
  const top = b.map(dtype, [keep(b, x, "max", axes)], (l, m) =>
    l.select(l.lt(l.abs(m!), l.constF(Infinity)), m!, l.constF(0)),
  );
  const powers = b.map(dtype, [x, top], (l, a, m) => l.exp(l.sub(a!, m!)));
  return b.map(x.dtype, [keep(b, powers, "sum", axes), top], (l, s, m) => l.add(l.log(s!), m!));
};

function argument(name: string, kind: "argmax" | "argmin"): OperatorRecord {
  return operator(name, 1, (c) => {
    const x = c.input(0);
    const axis = c.axis(c.int("axis", 0), x.shape.length);
    const keepDims = c.int("keepdims", 1) !== 0;
    const first = (of: Value) => c.b.cast(c.b.reduce(of, kind, [axis], { keepDims }), "i64");
    if (c.int("select_last_index", 0) === 0) return first(x);
    const last = dimSub(x.shape[axis]!, 1);
    const reversed = c.b.sliceAxis(x, axis, last, x.shape[axis]!, -1);
    return c.b.map("i64", [c.b.dims([last], { scalar: true }), first(reversed)], (l, n, i) =>
      l.subI(n!, i!),
    );
  });
}

function running(name: string, since: number, combine: "sum" | "prod"): OperatorRecord {
  return operator(name, since, (c) => {
    const x = c.input(0);
    const [axis] = c.knownInts(1, "the axis to run along") ?? [0];
    return c.b.scan(x, {
      axis: c.axis(axis!, x.shape.length),
      combine,
      exclusive: c.int("exclusive", 0) !== 0,
      reverse: c.int("reverse", 0) !== 0,
    });
  });
}

export const reductionOperators: readonly OperatorRecord[] = [
  ...reduction("ReduceSum", plain("sum"), 13),
  ...reduction("ReduceProd", plain("prod")),
  ...reduction("ReduceMax", plain("max", "or")),
  ...reduction("ReduceMin", plain("min", "and")),
  ...reduction("ReduceMean", sumOf({ after: quotient })),
  ...reduction("ReduceL1", sumOf({ before: absolute })),
  ...reduction("ReduceSumSquare", sumOf({ before: square })),
  ...reduction("ReduceL2", sumOf({ before: square, after: (l, s) => l.sqrt(s!), floatOnly: true })),
  ...reduction("ReduceLogSum", sumOf({ after: (l, s) => l.log(s!), floatOnly: true })),
  ...reduction("ReduceLogSumExp", logSumExp),
  argument("ArgMax", "argmax"),
  argument("ArgMin", "argmin"),
  running("CumSum", 11, "sum"),
  running("CumProd", 26, "prod"),
];
