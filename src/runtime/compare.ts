/**
 * Whether a result is the expected one: types, shapes, exact integers and strings, floats within
 * `atol + rtol * |expected|`, those of 16 bits and less also within one unit in the last place. ONNX's own runner
 * uses rtol 1e-3 and atol 1e-7 for every float type.
 */
import { decodeNumbers } from "../numerics/convert.js";
import { dtypes, isFloat } from "../numerics/dtype.js";
import { rowMajorStrides, type Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import { itemsOf } from "../ops/host-value.js";
import type { HostValue } from "../ops/record.js";

export interface Tolerance {
  readonly rtol: number;
  readonly atol: number;
}

export const onnxTolerance: Tolerance = { rtol: 1e-3, atol: 1e-7 };

/** One sentence about the first or worst difference; undefined if there is none. */
export function describeDifference(
  actual: HostValue | undefined,
  expected: HostValue,
  tolerance: Tolerance,
): string | undefined {
  if (actual === undefined) return "there is no result";
  if (isTensor(expected)) {
    if (!isTensor(actual)) return `the result is ${kindText(actual)}, not a tensor`;
    return tensorDifference(actual, expected, tolerance);
  }
  if (isTensor(actual) || actual.kind !== expected.kind) {
    return `the result is ${kindText(actual)}, not ${kindText(expected)}`;
  }
  const items = itemsOf(actual);
  const expectedItems = itemsOf(expected);
  if (items.length !== expectedItems.length) {
    return `the ${expected.kind} has ${items.length} items, not ${expectedItems.length}`;
  }
  for (const [i, item] of expectedItems.entries()) {
    const difference = describeDifference(items[i], item, tolerance);
    if (difference !== undefined) return `item ${i}: ${difference}`;
  }
  return undefined;
}

function kindText(value: HostValue): string {
  if (isTensor(value)) return "a tensor";
  return value.kind === "optional" ? "an optional" : `a ${value.kind}`;
}

function tensorDifference(
  actual: Tensor,
  expected: Tensor,
  tolerance: Tolerance,
): string | undefined {
  if (actual.dtype !== expected.dtype) return `the type is ${actual.dtype}, not ${expected.dtype}`;
  if (actual.shape.join() !== expected.shape.join()) {
    return `the shape is [${actual.shape.join(", ")}], not [${expected.shape.join(", ")}]`;
  }
  return isFloat(expected.dtype)
    ? floatDifference(actual, expected, tolerance)
    : exactDifference(actual, expected);
}

function exactDifference(actual: Tensor, expected: Tensor): string | undefined {
  const { data } = expected;
  for (let i = 0; i < data.length; i++) {
    if (actual.data[i] !== data[i]) {
      return `element ${position(expected, i)} is ${actual.data[i]}, not ${data[i]}`;
    }
  }
  return undefined;
}

function floatDifference(
  actual: Tensor,
  expected: Tensor,
  { rtol, atol }: Tolerance,
): string | undefined {
  const values = decodeNumbers(actual.dtype, actual.data);
  const wanted = decodeNumbers(expected.dtype, expected.data);
  let worst = 1;
  let worstAt = -1;
  let count = 0;
  for (let i = 0; i < wanted.length; i++) {
    const a = values[i]!;
    const b = wanted[i]!;
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const excess = Math.abs(a - b) / (atol + rtol * Math.abs(b));
    if (excess <= 1 || areNeighbours(actual, expected, i)) continue;
    count++;
    // A NaN or an infinity against a number is the worst there is.
    if (worstAt < 0 || !(excess <= worst)) {
      worst = Number.isNaN(excess) ? Infinity : excess;
      worstAt = i;
    }
  }
  if (worstAt < 0) return undefined;
  const where = position(expected, worstAt);
  const others = count === 1 ? "" : `; ${count} of ${wanted.length} elements differ`;
  return `element ${where} is ${values[worstAt]}, not ${wanted[worstAt]}${others}`;
}

/** Whether two numbers of a short type are one unit in the last place apart: their bit patterns are adjacent. */
function areNeighbours(actual: Tensor, expected: Tensor, index: number): boolean {
  const { bits } = dtypes[expected.dtype];
  if (bits > 16) return false;
  const sign = 2 ** (bits - 1);
  const order = ({ data }: Tensor): number => {
    const pattern = Number(data[index]);
    return pattern >= sign ? sign - pattern : pattern;
  };
  return Math.abs(order(actual) - order(expected)) <= 1;
}

/** `[1, 0, 7]`. */
function position({ shape }: Tensor, index: number): string {
  const indices = rowMajorStrides(shape).map(
    (stride, axis) => Math.floor(index / stride) % shape[axis]!,
  );
  return `[${indices.join(", ")}]`;
}
