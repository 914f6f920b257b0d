import { describe, expect, test } from "vitest";
import { expandArgmax } from "../../src/compiler/2-optimize/expand-argmax.js";
import { narrowIntegers } from "../../src/compiler/2-optimize/narrow-integers.js";
import { symbolDim } from "../../src/ir/dim.js";
import { evaluateGraph } from "../../src/ir/evaluate/evaluate.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import { printGraph } from "../../src/ir/text/print.js";
import { verifyGraph } from "../../src/ir/verify.js";
import { defaultRandomGraph, randomGraph } from "../support/random-graph.js";
import { randomLoop } from "../support/random-loop.js";
import { noHost, runAs } from "../support/run-as.js";

describe("random graphs", () => {
  const dtypes = ["f32", "i64", "i64", "i64", "u64", "u32", "i16", "i32", "bool"] as const;
  let narrowed = 0;
  for (let seed = 0; seed < 200; seed++) {
    test(`seed ${seed}: valid and of the same meaning`, () => {
      const { graph, inputs } = randomGraph(seed, { ...defaultRandomGraph, dtypes, steps: 16 });
      const narrow = narrowIntegers(graph);
      if (narrow === graph) return;
      narrowed++;
      expect(verifyGraph(narrow)).toEqual([]);
      expect(runAs(narrow, graph, inputs)).toEqual(evaluateGraph(graph, inputs, noHost));
    });
  }
  test("most of them change", () => {
    expect(narrowed).toBeGreaterThan(100);
  });
});

describe("random loops over integers", () => {
  let whole = 0;
  for (let seed = 0; seed < 200; seed++) {
    test(`seed ${seed}: valid and of the same meaning`, () => {
      const { graph, inputs } = randomLoop(seed);
      const narrow = narrowIntegers(graph);
      expect(verifyGraph(narrow)).toEqual([]);
      expect(runAs(narrow, graph, inputs)).toEqual(evaluateGraph(graph, inputs, noHost));
      if (!/[iu]64/.test(printGraph(narrow))) whole++;
    });
  }
  test("many of them are int32 from end to end", () => {
    expect(whole).toBeGreaterThan(50);
  });
});

describe("narrow-integers", () => {
  test("leaves a graph without wide integers as it is", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "f32", [3]);
    const graph = b.finish("g", [{ name: "y", value: b.cast(x, "f16") }]);
    expect(narrowIntegers(graph)).toBe(graph);
  });

  test("indices become int32, also after arithmetic", () => {
    const T = symbolDim({ name: "T", min: 1, max: 64, multipleOf: 1 });
    const b = createGraphBuilder();
    const ids = b.input("ids", "i64", [T]);
    const table = b.input("table", "f32", [100, 8]);
    const next = b.map("i64", [ids, b.full("i64", 1)], (l, x, one) => l.addI(x!, one!));
    const graph = b.finish("g", [
      { name: "rows", value: b.gather(table, next, 0) },
      { name: "next", value: next },
    ]);
    expect(printGraph(narrowIntegers(graph))).toMatchInlineSnapshot(`
      "graph "g"
      symbol T in 1..64
      input %ids: i32[T] limit 1073741824
      input %table: f32[100, 8]
      const %v0: i32[] = [1]
      %v1: i32[T] = map(%ids, %v0) program={ r0 = input.i32 0; r1 = input.i32 1; r2 = addI r0 r1; return r2 }
      %v2: f32[T, 8] = gather(%table, %v1) axis=0
      output "rows" = %v2
      output "next" = %v1
      "
    `);
  });

  test("what could overflow stays, and is clamped where it is an index", () => {
    const b = createGraphBuilder();
    const ids = b.input("ids", "i64", [4]);
    const table = b.input("table", "f32", [100, 8]);
    const cube = b.map("i64", [ids], (l, x) => l.mulI(x!, l.mulI(x!, x!)));
    const graph = b.finish("g", [{ name: "rows", value: b.gather(table, cube, 0) }]);
    expect(printGraph(narrowIntegers(graph))).toMatchInlineSnapshot(`
      "graph "g"
      input %ids: i64[4]
      input %table: f32[100, 8]
      %v0: i64[4] = map(%ids) program={ r0 = input.i32 0; r1 = mulI r0 r0; r2 = mulI r0 r1; return r2 }
      %v0.i32: i32[4] = map(%v0) program={ r0 = input.i32 0; r1 = constI -2147483648; r2 = maxI r0 r1; r3 = constI 2147483647; r4 = minI r2 r3; return r4 }
      %v1: f32[4, 8] = gather(%table, %v0.i32) axis=0
      output "rows" = %v1
      "
    `);
  });

  test("an index from a float saturates, as it is out of range either way", () => {
    const b = createGraphBuilder();
    const at = b.input("at", "f32", [4]);
    const table = b.input("table", "f32", [100, 8]);
    const index = b.unsqueeze(b.cast(at, "i64"), [0]);
    const graph = b.finish("g", [{ name: "rows", value: b.gather(table, index, 0) }]);
    expect(printGraph(narrowIntegers(graph))).toMatchInlineSnapshot(`
      "graph "g"
      input %at: f32[4]
      input %table: f32[100, 8]
      %v0: i32[4] = map(%at) program={ r0 = input.f32 0; r1 = toI r0; return r1 }
      %v1: i32[1, 4] = reshape(%v0)
      %v2: f32[1, 4, 8] = gather(%table, %v1) axis=0
      output "rows" = %v2
      "
    `);
  });

  test("what is counted on from the index of an extreme fits, as the axis bounds it", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "f32", [2, 11]);
    const table = b.input("table", "f32", [22, 8]);
    const rows = b.constant({ dtype: "i64", shape: [2], data: BigInt64Array.of(0n, 11n) });
    const last = b.cast(b.reduce(x, "argmax", [1]), "i64");
    const index = b.map("i64", [last, rows], (l, i, row) => l.addI(i!, row!));
    const graph = b.finish("g", [{ name: "rows", value: b.gather(table, index, 0) }]);
    expect(printGraph(narrowIntegers(expandArgmax(graph)))).not.toContain("i64");
  });

  test("a bucket of a distance, whose logarithm may be infinite, is chosen in int32", () => {
    const b = createGraphBuilder();
    const distance = b.map("i64", [b.input("d", "i32", [9])], (l, x) => l.and(x!, l.constI(127)));
    const log = b.map("f32", [b.cast(distance, "f32")], (l, x) => l.log(x!));
    const [eight, most] = [b.full("i64", 8), b.full("i64", 15)];
    const far = b.map("i64", [b.cast(log, "i64"), eight, most], (l, x, base, end) =>
      l.minI(l.addI(x!, base!), end!),
    );
    const bucket = b.map("i64", [distance, far, eight], (l, near, other, end) =>
      l.selectI(l.ltI(near!, end!), near!, other!),
    );
    const table = b.input("table", "f32", [16, 8]);
    const graph = b.finish("g", [{ name: "rows", value: b.gather(table, bucket, 0) }]);
    expect(printGraph(narrowIntegers(graph))).not.toContain("i64");
  });

  test("a sum over a long axis is narrowed under a smaller limit", () => {
    const b = createGraphBuilder();
    const mask = b.input("mask", "i64", [1, 2048]);
    const ids = b.input("ids", "i64", [1, 2048]);
    const count = b.map("i64", [b.reduce(mask, "sum", [1])], (l, n) => l.subI(n!, l.constI(1)));
    const graph = b.finish("g", [
      { name: "last", value: b.cast(count, "i32") },
      { name: "rows", value: b.gather(b.input("table", "f32", [100, 8]), ids, 0) },
    ]);
    expect(printGraph(narrowIntegers(graph))).toMatchInlineSnapshot(`
      "graph "g"
      input %mask: i32[1, 2048] limit 65536
      input %ids: i32[1, 2048] limit 2147483647
      input %table: f32[100, 8]
      %v0: i32[1] = reduce(%mask) reduction=sum axes=[1]
      %v1: i32[1] = map(%v0) program={ r0 = input.i32 0; r1 = constI 1; r2 = subI r0 r1; return r2 }
      %v3: f32[1, 2048, 8] = gather(%table, %ids) axis=0
      output "last" = %v1
      output "rows" = %v3
      "
    `);
  });

  test("an input that only wide operations read is not narrowed, nor trusted to be small", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "i64", [4]);
    const cube = b.map("i64", [x], (l, p) => l.mulI(p!, l.mulI(p!, p!)));
    const high = b.map("i64", [cube], (l, p) => l.shrS(p!, l.constI(31)));
    const graph = b.finish("g", [{ name: "f", value: b.cast(high, "f32") }]);
    expect(narrowIntegers(graph)).toBe(graph);
  });
});
