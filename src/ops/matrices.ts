/** Matrices beyond products: Det by elimination, and Col2Im, a scatter of columns into an image. */
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { dimMul, dimProduct, staticDim } from "../ir/dim.js";
import { shapeText } from "../ir/graph-shapes.js";
import type { Value } from "../ir/graph.js";
import { computeType, operator, range } from "./helpers.js";
import { numbersOf, tensorOf } from "./host.js";
import { Decline, type EvaluateContext, type LowerContext, type OperatorRecord } from "./record.js";
import { listOf, stepsOf } from "./spatial.js";

export const matrixOperators: readonly OperatorRecord[] = [
  {
    ...operator("Det", { since: 11, ranks: ["2+"] }, lowerDeterminant),
    evaluate: determinant,
    infer: (c) => [{ dtype: c.input(0).dtype, shape: c.input(0).shape.slice(0, -2) }],
  },
  operator("Col2Im", { since: 18, ranks: [3, 1, 1] }, columnsToImage),
];

/** Larger matrices take more kernels than they are worth. */
const largestSize = 16;

/** By elimination with row exchanges, column by column, in what remains of each matrix. */
function lowerDeterminant(c: LowerContext): Value {
  const x = c.input(0);
  const shape = x.shape.slice(0, -2);
  const size = staticDim(x.shape.at(-1)!, "it is the size of a matrix");
  const rows = staticDim(x.shape.at(-2)!, "it is the size of a matrix");
  if (rows !== size) c.invalid("L0201", `${shapeText(x.shape)} is no square matrix`);
  if (size > largestSize) {
    throw new Decline(`a matrix of more than ${largestSize} rows is eliminated on the host`);
  }
  const dtype = computeType(x.dtype);
  let rest = c.b.reshape(c.b.cast(x, dtype), [dimProduct(shape), size, size]);
  let product = c.b.full(dtype, 1, [1, 1, 1]);
  for (let remaining = size; remaining > 0; remaining--) {
    const step = eliminateColumn(c, rest, remaining);
    product = c.b.map(dtype, [product, step.factor], (l, p, f) => l.mul(p!, f!));
    rest = step.rest;
  }
  const all = c.b.broadcast(product, [dimProduct(shape), 1, 1]);
  return c.b.cast(c.b.reshape(all, shape), x.dtype);
}

/** The pivot with the sign of its exchange, [matrices, 1, 1], and the matrices without its row and column. */
function eliminateColumn(c: LowerContext, x: Value, size: number): { factor: Value; rest: Value } {
  const { dtype } = x;
  const column = c.b.sliceAxis(x, 2, 0, 1);
  const sizes = c.b.map(dtype, [column], (l, v) => l.abs(v!));
  const pivot = c.b.reduce(sizes, "argmax", [1], { keepDims: true });
  const row = c.b.iota("i32", [1, size, 1], 1);
  const only = c.b.map(dtype, [x, row, pivot], (l, v, i, p) =>
    l.select(l.eqI(i!, p!), v!, l.constF(0)),
  );
  const head = c.b.reduce(only, "sum", [1], { keepDims: true });
  const lead = c.b.sliceAxis(head, 2, 0, 1);
  const factor = c.b.map(dtype, [lead, pivot], (l, v, p) =>
    l.select(l.eqI(p!, l.constI(0)), v!, l.neg(v!)),
  );
  const first = c.b.sliceAxis(x, 1, 0, 1);
  const exchanged = c.b.map(dtype, [x, first, row, pivot], (l, v, top, i, p) =>
    l.select(l.eqI(i!, p!), top!, v!),
  );
  const below = c.b.sliceAxis(exchanged, 1, 1, size - 1);
  const inputs = [
    c.b.sliceAxis(below, 2, 1, size - 1),
    c.b.sliceAxis(below, 2, 0, 1),
    c.b.sliceAxis(head, 2, 1, size - 1),
    lead,
  ];
  // A column of zeros makes the product 0, whatever remains.
  const rest = c.b.map(dtype, inputs, (l, v, left, top, p) => {
    const isZero = l.eq(p!, l.constF(0));
    return l.select(isZero, v!, l.sub(v!, l.mul(l.div(left!, p!), top!)));
  });
  return { factor, rest };
}

/** By elimination with row exchanges. */
function determinant(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const size = x.shape.at(-1) ?? 0;
  if (x.shape.length < 2 || x.shape.at(-2) !== size) {
    c.invalid("L0201", `${shapeText(x.shape)} is no square matrix`);
  }
  const shape = x.shape.slice(0, -2);
  const values = numbersOf(x);
  const results = range(0, elementCount(shape)).map((batch) => {
    const start = batch * size * size;
    const rows = range(0, size).map((row) =>
      Float64Array.from(values.subarray(start + row * size, start + (row + 1) * size)),
    );
    return eliminate(rows);
  });
  return [tensorOf(x.dtype, shape, results)];
}

function eliminate(rows: Float64Array[]): number {
  let product = 1;
  for (const column of range(0, rows.length)) {
    let pivot = column;
    for (const row of range(column + 1, rows.length)) {
      if (Math.abs(rows[row]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = row;
    }
    const head = rows[pivot]!;
    if (head[column] === 0) return 0;
    if (pivot !== column) {
      rows[pivot] = rows[column]!;
      rows[column] = head;
      product = -product;
    }
    product *= head[column]!;
    for (const row of range(column + 1, rows.length)) {
      const factor = rows[row]![column]! / head[column]!;
      for (const at of range(column, rows.length)) rows[row]![at]! -= factor * head[at]!;
    }
  }
  return product;
}

/** Each column's elements are added at their places in the padded image, which is then cut. */
function columnsToImage(c: LowerContext): Value {
  const x = c.input(0);
  const image = c.knownInts(1, "the size of the image") ?? [];
  const block = c.knownInts(2, "the size of a block") ?? [];
  const rank = image.length;
  const dilations = stepsOf(c, "dilations", rank);
  const strides = stepsOf(c, "strides", rank);
  const pads = listOf(c, "pads", 2 * rank, 0);
  const padded = image.map((extent, i) => extent + pads[i]! + pads[rank + i]!);
  const positions = image.map((_, i) => {
    return Math.floor((padded[i]! - (block[i]! - 1) * dilations[i]! - 1) / strides[i]!) + 1;
  });
  const places = elementCount(block) * elementCount(positions);
  const [n, rows, columns] = x.shape;
  if (typeof rows !== "number" || columns !== elementCount(positions)) {
    const text = `${elementCount(positions)} blocks`;
    return c.invalid("L0201", `the columns of ${shapeText(x.shape)} are not ${text}`);
  }
  const channels = rows / elementCount(block);
  const data = Int32Array.from({ length: places }, (_, place) => {
    let [taps, position] = [Math.floor(place / elementCount(positions)), place];
    let linear = 0;
    let inner = 1;
    for (const i of range(0, rank).reverse()) {
      const tap = taps % block[i]!;
      const at = position % positions[i]!;
      linear += (at * strides[i]! + tap * dilations[i]!) * inner;
      inner *= padded[i]!;
      taps = Math.floor(taps / block[i]!);
      position = Math.floor(position / positions[i]!);
    }
    return linear;
  });
  const images = dimMul(n!, channels);
  const indices = c.b.constant({ dtype: "i32", shape: [places], data });
  const zeros = c.b.broadcast(c.b.full(x.dtype, 0), [images, elementCount(padded)]);
  const sums = c.b.scatter(
    zeros,
    c.b.broadcast(indices, [images, places]),
    c.b.reshape(x, [images, places]),
    1,
    "add",
  );
  const whole = c.b.reshape(sums, [n!, channels, ...padded]);
  return c.b.slice(whole, [0, 0, ...pads.slice(0, rank)], [n!, channels, ...image]);
}
