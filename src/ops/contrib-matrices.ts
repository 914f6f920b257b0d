/** Matrices, distances and transforms of com.microsoft. */
import { type Dim, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { operator, range, requiredInt } from "./helpers.js";
import { hostOperator, numbersOf, tensorOf } from "./host.js";
import type { EvaluateContext, LowerContext, OperatorRecord } from "./record.js";
import { dftAlong } from "./signal.js";

const contrib = { domain: "com.microsoft", since: 1 };

/** Distances of the rows of both inputs. */
function lowerCDist(c: LowerContext): Value {
  const { b } = c;
  const metric = c.string("metric", "sqeuclidean");
  if (metric !== "sqeuclidean" && metric !== "euclidean") {
    return c.invalid("L0108", `metric "${metric}" is neither sqeuclidean nor euclidean`);
  }
  const [left, right] = [c.input(0), c.input(1)];
  const { dtype } = left;
  const squares = b.map(dtype, [b.unsqueeze(left, [1]), b.unsqueeze(right, [0])], (l, x, y) => {
    const difference = l.sub(x!, y!);
    return l.mul(difference, difference);
  });
  const sum = b.reduce(squares, "sum", [2]);
  return metric === "sqeuclidean" ? sum : b.map(dtype, [sum], (l, s) => l.sqrt(s!));
}

function evaluateInverse(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const size = x.shape.at(-1) ?? 0;
  if (x.shape.length < 2 || x.shape.at(-2) !== size) {
    c.invalid("L0201", "only square matrices have an inverse");
  }
  const values = numbersOf(x);
  const matrices = range(0, elementCount(x.shape.slice(0, -2)));
  const inverses = matrices.flatMap((matrix) => {
    const start = matrix * size * size;
    const rows = range(0, size).map((row) => [
      ...values.subarray(start + row * size, start + (row + 1) * size),
      ...range(0, size).map((column) => (column === row ? 1 : 0)),
    ]);
    return eliminate(rows) ?? c.invalid("L0201", "a singular matrix has no inverse");
  });
  return [tensorOf(x.dtype, x.shape, inverses.flat())];
}

/** The right halves of rows [matrix | identity] after elimination; undefined for a singular matrix. */
function eliminate(rows: number[][]): readonly number[][] | undefined {
  for (const column of range(0, rows.length)) {
    const rest = range(column, rows.length);
    const pivot = rest.reduce((best, row) =>
      Math.abs(rows[row]![column]!) > Math.abs(rows[best]![column]!) ? row : best,
    );
    const head = rows[pivot]!;
    if (head[column] === 0) return undefined;
    rows[pivot] = rows[column]!;
    const scaled = head.map((value) => value / head[column]!);
    rows[column] = scaled;
    for (const [i, row] of rows.entries()) {
      if (i === column) continue;
      const factor = row[column]!;
      rows[i] = row.map((value, at) => value - factor * scaled[at]!);
    }
  }
  return rows.map((row) => row.slice(rows.length));
}

/** How many of the last axes are transformed; the last one is the one of half a spectrum. */
function signalAxes(c: LowerContext, rank: number): readonly number[] {
  if (c.int("normalized", 0) !== 0 || c.int("onesided", 1) === 0) {
    c.invalid("L0108", "only transforms that are onesided and not normalized are defined");
  }
  const count = requiredInt(c, "signal_ndim");
  if (count < 1 || count > rank) c.invalid("L0201", `${count} axes of ${rank} cannot be signals`);
  return range(rank - count, rank);
}

/** Real [..., n] to complex [..., n / 2 + 1, 2]. */
function lowerRfft(c: LowerContext): Value {
  const rank = c.input(0).shape.length;
  const axes = signalAxes(c, rank);
  const parts = c.b.unsqueeze(c.input(0), [rank]);
  const half = dftAlong(c, parts, { axis: axes.at(-1)!, inverse: false, half: true });
  return axes
    .slice(0, -1)
    .reduce((x, axis) => dftAlong(c, x, { axis, inverse: false, half: false }), half);
}

/** Complex [..., n / 2 + 1, 2] to real [..., n], n even. */
function lowerIrfft(c: LowerContext): Value {
  const x = c.input(0);
  const axes = signalAxes(c, x.shape.length - 1);
  const whole = axes
    .slice(0, -1)
    .reduce((part, axis) => dftAlong(c, part, { axis, inverse: true, half: false }), x);
  const real = dftAlong(c, whole, { axis: axes.at(-1)!, inverse: true, half: true });
  return c.b.squeeze(real, [x.shape.length - 1]);
}

/** Windows along one axis, as a new last axis. */
function lowerUnfold(c: LowerContext): Value {
  const x = c.input(0);
  const axis = c.axis(c.int("dim", -1), x.shape.length);
  const size = requiredInt(c, "size");
  const extent: Dim = x.shape[axis]!;
  if (size > staticDim(extent, "windows must fit into it")) {
    c.invalid("L0201", `a window of ${size} does not fit into the axis`);
  }
  return c.b.window(x, [{ axis, size, stride: c.int("step", 1), dilation: 1 }]);
}

export const contribMatrixOperators: readonly OperatorRecord[] = [
  operator("CDist", { ...contrib, ranks: [2, 2] }, lowerCDist),
  hostOperator("Inverse", contrib, evaluateInverse, ({ input }) => {
    const { dtype, shape } = input(0);
    return [{ dtype, shape }];
  }),
  operator("Rfft", { ...contrib, ranks: ["1+"] }, lowerRfft),
  operator("Irfft", { ...contrib, ranks: ["2+"] }, lowerIrfft),
  operator("UnfoldTensor", { ...contrib, ranks: ["1+"] }, lowerUnfold),
];
