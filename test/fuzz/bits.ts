/** Whether two host values are the same to the bit, but for the sign and payload of a NaN. */
import { decodeElement } from "../../src/numerics/convert.js";
import { isFloat } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { isTensor } from "../../src/ops/context.js";
import { itemsOf } from "../../src/ops/host-value.js";
import type { HostValue } from "../../src/ops/record.js";

/** One sentence about the first difference; undefined if there is none. */
export function bitDifference(
  actual: HostValue | undefined,
  expected: HostValue,
): string | undefined {
  if (actual === undefined) return "there is no result";
  if (isTensor(actual) && isTensor(expected)) return tensorDifference(actual, expected);
  if (isTensor(actual) || isTensor(expected) || actual.kind !== expected.kind) {
    return "one is a tensor, the other is not";
  }
  const [items, wanted] = [itemsOf(actual), itemsOf(expected)];
  if (items.length !== wanted.length) return `${items.length} items, not ${wanted.length}`;
  return items.map((item, i) => bitDifference(item, wanted[i]!)).find((d) => d !== undefined);
}

function tensorDifference(actual: Tensor, expected: Tensor): string | undefined {
  const typeOf = ({ dtype, shape }: Tensor): string => `${dtype}[${shape}]`;
  if (typeOf(actual) !== typeOf(expected)) {
    return `the result is ${typeOf(actual)}, not ${typeOf(expected)}`;
  }
  for (const [i, value] of expected.data.entries()) {
    if (Object.is(actual.data[i], value)) continue;
    const [a, b] = [elementOf(actual, i), elementOf(expected, i)];
    if (!Object.is(a, b)) return `element ${i} of ${typeOf(actual)} is ${text(a)}, not ${text(b)}`;
  }
  return undefined;
}

function elementOf({ dtype, data }: Tensor, index: number): unknown {
  return isFloat(dtype) ? decodeElement(dtype, data, index) : data[index];
}

function text(value: unknown): string {
  return Object.is(value, -0) ? "-0" : String(value);
}
