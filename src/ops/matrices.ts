/** Matrices beyond products: Det on the host, and Col2Im, a scatter of columns into an image. */
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { dimMul } from "../ir/dim.js";
import { shapeText } from "../ir/graph-shapes.js";
import type { Value } from "../ir/graph.js";
import { operator, range } from "./helpers.js";
import { hostOperator, numbersOf, tensorOf } from "./host.js";
import type { EvaluateContext, LowerContext, OperatorRecord } from "./record.js";
import { listOf, stepsOf } from "./spatial.js";

export const matrixOperators: readonly OperatorRecord[] = [
  hostOperator("Det", { since: 11 }, determinant, (c) => {
    const { dtype, shape } = c.input(0);
    return [{ dtype, shape: shape.slice(0, -2) }];
  }),
  operator("Col2Im", { since: 18, ranks: [3, 1, 1] }, columnsToImage),
];

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
