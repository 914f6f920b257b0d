import { describe, expect, test } from "vitest";
import type { HostValue } from "../../src/ops/record.js";
import { describeDifference, onnxTolerance } from "../../src/runtime/compare.js";
import { f32, i64, tensor } from "../support/onnx-builder.js";

function difference(actual: HostValue | undefined, expected: HostValue): string | undefined {
  return describeDifference(actual, expected, onnxTolerance);
}

describe("floats", () => {
  const expected = f32([2, 2], [1, 2, Number.NaN, Infinity]);

  test("may differ within the tolerance", () => {
    expect(
      difference(f32([2, 2], [1.0009, 2.001, Number.NaN, Infinity]), expected),
    ).toBeUndefined();
    expect(difference(f32([1], [9e-8]), f32([1], [0]))).toBeUndefined();
  });

  test("beyond it are shown, the worst first", () => {
    expect(difference(f32([2, 2], [1.5, 4, Number.NaN, Infinity]), expected)).toBe(
      "element [0, 1] is 4, not 2; 2 of 4 elements differ",
    );
    expect(difference(f32([1], [2e-7]), f32([1], [0]))).toMatch("element [0] is 2");
  });

  test("NaN and infinities are only themselves", () => {
    expect(difference(f32([1], [Number.NaN]), f32([1], [1]))).toBe("element [0] is NaN, not 1");
    expect(difference(f32([1], [1]), f32([1], [Number.NaN]))).toBe("element [0] is 1, not NaN");
    expect(difference(f32([1], [-Infinity]), f32([1], [Infinity]))).toMatch("is -Infinity");
    const far = difference(f32([2], [9, Number.NaN]), f32([2], [1, 1]));
    expect(far).toBe("element [1] is NaN, not 1; 2 of 2 elements differ");
  });

  test("of small types are compared as numbers", () => {
    const half = (bits: number) => tensor("f16", [1], Uint16Array.of(bits));
    expect(difference(half(0x3c01), half(0x3c00))).toBeUndefined();
    expect(difference(half(0x3c02), half(0x3c00))).toMatch("element [0] is 1.001953125, not 1");
  });
});

test("integers and strings are exact", () => {
  expect(difference(i64([2], [1, 3]), i64([2], [1, 2]))).toBe("element [1] is 3, not 2");
  expect(difference(tensor("string", [1], ["a"]), tensor("string", [1], ["b"]))).toMatch(
    "is a, not b",
  );
  expect(difference(i64([2], [1, 2]), i64([2], [1, 2]))).toBeUndefined();
});

test("types, shapes and absence", () => {
  expect(difference(i64([1], [1]), f32([1], [1]))).toBe("the type is i64, not f32");
  expect(difference(f32([1, 1], [1]), f32([1], [1]))).toBe("the shape is [1, 1], not [1]");
  expect(difference(undefined, f32([1], [1]))).toBe("there is no result");
});

test("sequences and optionals", () => {
  const sequence = (...items: HostValue[]): HostValue => ({
    kind: "sequence",
    elementType: "f32",
    items,
  });
  const one = f32([1], [1]);
  expect(difference(sequence(one), sequence(one))).toBeUndefined();
  expect(difference(sequence(one), sequence(one, one))).toBe("the sequence has 1 items, not 2");
  expect(difference(sequence(f32([1], [2])), sequence(one))).toBe(
    "item 0: element [0] is 2, not 1",
  );
  expect(difference(one, sequence(one))).toBe("the result is a tensor, not a sequence");
  expect(difference(sequence(one), one)).toBe("the result is a sequence, not a tensor");
  expect(difference({ kind: "optional", item: undefined }, { kind: "optional", item: one })).toBe(
    "the optional has 0 items, not 1",
  );
});
