import { expect, test } from "vitest";
import { findOperator, indexOperators, operators } from "../../src/ops/table.js";

const record = { name: "Twice", domain: "", since: 1 };

test("a record is found by the version that a model imports", () => {
  const [old, now] = [findOperator("", "Softmax", 12), findOperator("", "Softmax", 13)];
  expect([old?.since, old?.until]).toEqual([1, 12]);
  expect([now?.since, now?.until]).toEqual([13, undefined]);
});

test("the default domain has two names, others do not mix with it", () => {
  expect(findOperator("ai.onnx", "Relu", 21)).toBe(findOperator("", "Relu", 21));
  expect(findOperator("com.microsoft", "Gelu", 1)).not.toBe(findOperator("", "Gelu", 20));
});

test("what does not exist yet or at all is not found", () => {
  expect(findOperator("", "Gelu", 19)).toBeUndefined();
  expect(findOperator("", "Nonsense", 21)).toBeUndefined();
});

test("two records of one version are refused", () => {
  expect(() =>
    indexOperators([
      { ...record, until: 7 },
      { ...record, since: 7 },
    ]),
  ).toThrow("two records are right for version 7 of :Twice");
  expect(
    indexOperators([
      { ...record, until: 6 },
      { ...record, since: 7 },
    ]).size,
  ).toBe(1);
});

test("every record can be computed", () => {
  const bare = operators.filter((x) => x.lower === undefined && x.evaluate === undefined);
  expect(bare.map((x) => x.name)).toEqual([]);
});
