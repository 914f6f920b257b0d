import { describe, expect, test } from "vitest";
import { type Dim, dimText, NeedsBinding, symbolDim } from "../../src/ir/dim.js";
import { evaluateGraph, evaluateOperation } from "../../src/ir/evaluate/evaluate.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Value } from "../../src/ir/graph.js";
import type { Tensor } from "../../src/numerics/tensor.js";

const noHost = () => {
  throw new Error("no host node expected");
};

function f32(shape: number[], data: number[]): Tensor {
  return { dtype: "f32", shape, data: Float32Array.from(data) };
}

function i64(shape: number[], data: number[]): Tensor {
  return { dtype: "i64", shape, data: BigInt64Array.from(data, BigInt) };
}

function values(value: Value): unknown[] {
  return Array.from(value.data!.data as ArrayLike<number>);
}

const W = symbolDim({ name: "W", min: 1, max: 1000, multipleOf: 1 });

describe("map", () => {
  test("broadcasts, folds constants and shares equal scalars", () => {
    const b = createGraphBuilder();
    const x = b.constant(f32([2, 1], [1, 2]));
    const y = b.constant(f32([3], [10, 20, 30]));
    const sum = b.map("f32", [x, y], (l, p, q) => l.add(p!, q!));
    expect(sum.shape).toEqual([2, 3]);
    expect(values(sum)).toEqual([11, 21, 31, 12, 22, 32]);
    expect(b.full("f32", 3)).toBe(b.full("f32", 3));
    expect(b.full("f32", 0)).not.toBe(b.full("f32", -0));
  });

  test("an identity disappears, an unused input only gives its shape", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "f32", [4]);
    const y = b.input("y", "f32", [2, 1]);
    expect(b.map("f32", [x], (_, p) => p!)).toBe(x);
    const wide = b.map("f32", [x, y], (_, p) => p!);
    expect(wide.shape).toEqual([2, 4]);
    const graph = b.finish("g", [{ name: "wide", value: wide }]);
    expect(graph.nodes.map((node) => node.op.kind)).toEqual(["reshape", "broadcast"]);
  });
});

test("a contraction of nothing is a map of the same bits", () => {
  const a = f32([2, 3], [1, -2, 0, 4, 5, NaN]);
  const c = f32([3, 2], [0, -1, 1e30, 7, -0, 0.1]);
  const labels = { a: "mb", b: "bn", out: "bnm", order: "" };
  const b = createGraphBuilder();
  const product = b.contract(b.input("a", "f32", [2, 3]), b.input("c", "f32", [3, 2]), labels);
  const graph = b.finish("g", [{ name: "y", value: product }]);
  expect(graph.nodes.some((node) => node.op.kind === "contract")).toBe(false);
  const inputs = new Map([
    ["a", a],
    ["c", c],
  ]);
  const type = { dtype: "f32", shape: [3, 2, 2] } as const;
  const expected = evaluateOperation({ kind: "contract", ...labels }, [a, c], type);
  expect(evaluateGraph(graph, inputs, noHost).get("y")).toEqual(expected);
});

test("contracted labels of extent 1 stand last, the fastest of the others first", () => {
  const orderOf = (shape: readonly Dim[]): string => {
    const b = createGraphBuilder();
    const labels = { a: "nchw", b: "chw", out: "n", order: "chw" };
    const { op } = b
      .finish("g", [
        {
          name: "y",
          value: b.contract(b.input("x", "f32", [2, ...shape]), b.input("k", "f32", shape), labels),
        },
      ])
      .nodes.at(-1)!;
    return op.kind === "contract" ? op.order : op.kind;
  };
  expect(orderOf([3, 5, 7])).toBe("chw");
  expect(orderOf([1, 5, 7])).toBe("whc");
  expect(orderOf([1, 1, 7])).toBe("wch");
  expect(orderOf([3, 1, 7])).toBe("cwh");
  expect(orderOf([1, 5, 1])).toBe("hcw");
  expect(orderOf([1, 1, 1])).toBe("chw");
  expect(orderOf([W, 5, 7])).toBe("chw");
});

describe("movement", () => {
  test("what moves nothing is dropped, what moves twice moves once", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "f32", [2, 3, 4]);
    expect(b.reshape(x, [2, 3, 4])).toBe(x);
    expect(b.transpose(x, [0, 1, 2])).toBe(x);
    expect(b.transpose(b.transpose(x, [1, 2, 0]), [2, 0, 1])).toBe(x);
    expect(b.slice(x, [0, 0, 0], [2, 3, 4])).toBe(x);
    expect(b.pad(x, [0, 0, 0], [0, 0, 0], 1)).toBe(x);
    expect(b.concat([x], 1)).toBe(x);
    expect(b.reshape(b.reshape(x, [24]), [2, 3, 4])).toBe(x);
    const twice = b.sliceAxis(b.sliceAxis(x, 2, 3, 4, -1), 2, 1, 2, 2);
    const graph = b.finish("g", [{ name: "twice", value: twice }]);
    expect(graph.nodes.map((node) => node.op)).toEqual([
      { kind: "slice", starts: [0, 0, 2], steps: [1, 1, -2] },
    ]);
  });

  test("a gather of evenly spaced constants is a slice", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "f32", [5, W]);
    const last = b.gather(x, b.full("i64", -1), 0);
    expect(last.shape).toEqual([W]);
    const graph = b.finish("g", [{ name: "last", value: last }]);
    expect(graph.nodes.map((node) => node.op.kind)).toEqual(["slice", "reshape"]);
  });

  test("a large constant of equal elements stays a broadcast", () => {
    const b = createGraphBuilder();
    const zeros = b.full("f32", 0, [1000, 1000]);
    expect(zeros.data).toBeUndefined();
    const x = b.input("x", "f32", [1000, 1000]);
    const sum = b.map("f32", [x, zeros], (l, p, q) => l.add(p!, q!));
    const graph = b.finish("g", [{ name: "sum", value: sum }]);
    expect(graph.nodes.map((node) => node.op.kind)).toEqual(["map"]);
  });
});

describe("symbolic dims", () => {
  test("are followed through the arithmetic that exporters emit", () => {
    const b = createGraphBuilder();
    const shape = b.dims([1, 3, W]);
    const width = b.gather(shape, b.full("i64", 2), 0);
    const half = b.map("i64", [width, b.full("i64", 2)], (l, p, q) => l.divI(p!, q!));
    const joined = b.concat([b.unsqueeze(half, [0]), b.constant(i64([1], [-1]))], 0);
    expect(b.knownDims(joined)!.map(dimText)).toEqual(["floor((W) / 2)", "-1"]);
    const scaled = b.map("f32", [b.cast(shape, "f32")], (l, p) =>
      l.floor(l.mul(p!, l.constF(1.5))),
    );
    expect(b.knownDims(b.cast(scaled, "i64"))!.map(dimText)).toEqual([
      "1",
      "4",
      "floor((3*W) / 2)",
    ]);
    const isMinusOne = b.map("bool", [shape, b.full("i64", -1)], (l, p, q) => l.eqI(p!, q!));
    expect(values(isMinusOne)).toEqual([0, 0, 0]);
  });

  test("ask for a binding where they cannot be followed", () => {
    const b = createGraphBuilder();
    const odd = b.map("i64", [b.dims([W])], (l, p) => l.xor(p!, l.constI(1)));
    expect(() => b.knownDims(odd)).toThrow(NeedsBinding);
    const x = b.input("x", "f32", [W]);
    const y = b.input("y", "f32", [7]);
    expect(() => b.broadcastShape(x, y)).toThrow(NeedsBinding);
  });

  test("are bound from the inputs at evaluation", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "f32", [2, W]);
    const flat = b.reshape(x, b.knownDims(b.dims([b.knownDims(b.dims([2]))![0]!, W]))!);
    const count = b.cast(b.dims([W], { scalar: true }), "f32");
    const scaled = b.map("f32", [flat, count], (l, p, n) => l.div(p!, n!));
    const graph = b.finish("g", [{ name: "y", value: scaled }]);
    const out = evaluateGraph(graph, new Map([["x", f32([2, 2], [2, 4, 6, 8])]]), noHost);
    expect(out.get("y")).toEqual(f32([2, 2], [1, 2, 3, 4]));
  });
});

describe("mismatches", () => {
  test("are told in plain words", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "f32", [2, 3]);
    const y = b.input("y", "f32", [4]);
    expect(() => b.broadcastShape(x, y)).toThrowErrorMatchingInlineSnapshot(
      `[DiagnosticError: L0201: the shapes [2, 3] and [4] cannot be broadcast together: 3 is not 4]`,
    );
    expect(() => b.reshape(x, [4])).toThrowErrorMatchingInlineSnapshot(
      `[DiagnosticError: L0201: [2, 3] cannot be reshaped to [4], the numbers of elements differ: 6 is not 4]`,
    );
    expect(() => b.concat([x, b.input("z", "i32", [2, 3])], 0)).toThrowErrorMatchingInlineSnapshot(
      `[DiagnosticError: L0202: the tensors to concatenate have different types, f32 and i32]`,
    );
    expect(() => b.sliceAxis(x, 1, 2, 2)).toThrowErrorMatchingInlineSnapshot(
      `[DiagnosticError: L0201: axis 1 of [2, 3] does not have 2 elements from 2 in steps of 1]`,
    );
    expect(() =>
      b.contract(x, y, { a: "mk", b: "k", out: "m", order: "k" }),
    ).toThrowErrorMatchingInlineSnapshot(
      `[DiagnosticError: L0201: [2, 3] and [4] cannot be multiplied: 3 is not 4]`,
    );
  });
});
