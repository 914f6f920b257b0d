import { describe, expect, test } from "vitest";
import { carryUnsigned } from "../../src/compiler/2-optimize/carry-unsigned.js";
import { convertAtBorders } from "../../src/compiler/2-optimize/convert-at-borders.js";
import { evaluateGraph } from "../../src/ir/evaluate/evaluate.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Graph, Value } from "../../src/ir/graph.js";
import type { GraphBuilder, Lane, LaneBuilder } from "../../src/ir/builder.js";
import { printGraph } from "../../src/ir/text/print.js";
import { verifyGraph } from "../../src/ir/verify.js";
import type { DType } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { defaultRandomGraph, randomGraph } from "../support/random-graph.js";
import { noHost, runAs } from "../support/run-as.js";

const run = (graph: Graph): Graph => convertAtBorders(carryUnsigned(graph));

function uses(graph: Graph, dtype: DType): boolean {
  const values = [
    ...graph.inputs,
    ...graph.nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]),
  ];
  return values.some((value) => value.dtype === dtype);
}

/** Around every border: of signed numbers, of halves, of what fp32 holds. */
const words = [
  0,
  1,
  2,
  3,
  5,
  31,
  32,
  40,
  255,
  65535,
  2 ** 24 + 1,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 31 + 1,
].concat([
  2 ** 31 + 128,
  2 ** 31 + 384,
  3e9,
  2 ** 32 - 256,
  2 ** 32 - 129,
  2 ** 32 - 2,
  2 ** 32 - 1,
]);
const pairs = words.flatMap((a) => words.map((b) => [a, b] as const));
const vector = (values: readonly number[]): Tensor => ({
  dtype: "u32",
  shape: [values.length],
  data: Uint32Array.from(values),
});
const given = new Map([
  ["x", vector(pairs.map(([a]) => a))],
  ["y", vector(pairs.map(([, b]) => b))],
]);

type Body = (l: LaneBuilder, x: Lane, y: Lane) => Lane;

const arithmetic: readonly (readonly [string, DType, Body])[] = [
  ...(
    [
      "addI",
      "subI",
      "mulI",
      "divI",
      "remI",
      "minI",
      "maxI",
      "and",
      "or",
      "xor",
      "shl",
      "shrU",
      "shrS",
    ] as const
  ).map((op) => [op, "u32", (l: LaneBuilder, x: Lane, y: Lane) => l[op](x, y)] as const),
  ...(["eqI", "ltI", "leI"] as const).map(
    (op) => [op, "bool", (l: LaneBuilder, x: Lane, y: Lane) => l[op](x, y)] as const,
  ),
  ["the larger by selection", "u32", (l, x, y) => l.selectI(l.ltI(x, y), y, x)],
  ["a mean as fp32", "f32", (l, x, y) => l.mul(l.add(l.toF(x), l.toF(y)), l.constF(0.5))],
  ["int32", "i32", (_, x) => x],
  ["uint8", "u8", (l, x, y) => l.addI(x, y)],
];

describe("operations on uint32", () => {
  test.each(arithmetic)("%s to %s", (_, dtype, body) => {
    const b = createGraphBuilder();
    const names = body.length < 3 ? ["x"] : ["x", "y"];
    const inputs = names.map((name) => b.input(name, "u32", [pairs.length]));
    const value = b.map(dtype, inputs, (l, x, y) => body(l, x!, y!));
    expectCarried(b.finish("g", [{ name: "z", value }]));
  });

  const others: readonly (readonly [string, (b: GraphBuilder, x: Value) => Value])[] = [
    ...(["sum", "prod", "max", "min", "argmax", "argmin"] as const).map(
      (reduction) =>
        [reduction, (b: GraphBuilder, x: Value) => b.reduce(x, reduction, [0])] as const,
    ),
    ...(["sum", "prod", "max", "min"] as const).map(
      (combine) =>
        [
          `scan ${combine}`,
          (b: GraphBuilder, x: Value) =>
            b.scan(x, { axis: 0, combine, exclusive: true, reverse: false }),
        ] as const,
    ),
    ...(["assign", "add", "mul", "min", "max"] as const).map(
      (combine) =>
        [
          `scatter ${combine}`,
          (b: GraphBuilder, x: Value) => {
            const indices = b.map("i32", [b.iota("i32", [pairs.length], 0)], (l, i) =>
              l.shrS(i!, l.constI(2)),
            );
            return b.scatter(x, indices, b.reshape(x, [pairs.length]), 0, combine);
          },
        ] as const,
    ),
    ["pad", (b, x) => b.pad(x, [1], [2], 2 ** 32 - 5)],
    ["concat", (b, x) => b.concat([x, b.full("u32", 2 ** 32 - 1, [2])], 0)],
    [
      "a conversion of floats",
      (b, x) =>
        b.cast(
          b.map("f32", [x], (l, v) => l.mul(l.toF(v!), l.constF(-3))),
          "u32",
        ),
    ],
    [
      "a conversion of large floats",
      (b, x) =>
        b.cast(
          b.map("f32", [x], (l, v) => l.mul(l.toF(v!), l.constF(2 ** 20 + 0.5))),
          "u32",
        ),
    ],
    [
      "floats beyond 64 bits",
      (b, x) =>
        b.cast(
          b.map("f32", [x], (l, v) => l.mul(l.toF(v!), l.constF(1e20))),
          "u32",
        ),
    ],
  ];
  test.each(others)("%s", (_, build) => {
    const b = createGraphBuilder();
    const x = b.input("x", "u32", [pairs.length]);
    expectCarried(b.finish("g", [{ name: "z", value: build(b, x) }]));
  });
});

function expectCarried(graph: Graph): void {
  const carried = run(graph);
  expect(verifyGraph(carried)).toEqual([]);
  expect(uses(carried, "u32")).toBe(false);
  const inputs = new Map(graph.inputs.map(({ name }) => [name, given.get(name)!]));
  expect(runAs(carried, graph, inputs)).toEqual(evaluateGraph(graph, inputs, noHost));
}

describe("carry-unsigned", () => {
  test("moves no bit at inputs, outputs, or between carried nodes", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "u32", [4]);
    const half = b.map("u32", [x], (l, v) => l.shrU(v!, l.constI(1)));
    const less = b.map("bool", [x, half], (l, v, h) => l.ltI(v!, h!));
    const graph = b.finish("g", [
      { name: "half", value: half },
      { name: "less", value: less },
    ]);
    expect(printGraph(run(graph))).toMatchInlineSnapshot(`
      "graph "g"
      input %x: i32[4]
      %v0.bits2: i32[4] = map(%x) program={ r0 = input.i32 0; r1 = constI 1; r2 = shrU r0 r1; return r2 }
      %v1: bool[4] = map(%x, %v0.bits2) program={ r0 = input.i32 0; r1 = input.i32 1; r2 = constI -2147483648; r3 = xor r0 r2; r4 = xor r1 r2; r5 = ltI r3 r4; return r5 }
      output "half" = %v0.bits2
      output "less" = %v1
      "
    `);
  });

  test("leaves what takes part in 64-bit arithmetic", () => {
    const b = createGraphBuilder();
    const x = b.input("x", "u32", [4]);
    const sum = b.map("i64", [x, b.input("y", "i64", [4])], (l, v, w) => l.addI(v!, w!));
    const graph = b.finish("g", [{ name: "sum", value: sum }]);
    expect(carryUnsigned(graph)).toBe(graph);
  });

  const dtypes = ["f32", "u32", "u32", "i32", "i64", "u8", "bool"] as const;
  test.each(Array.from({ length: 100 }, (_, seed) => seed))(
    "random graph %i keeps its meaning",
    (seed) => {
      const { graph, inputs } = randomGraph(seed, { ...defaultRandomGraph, dtypes, steps: 16 });
      const carried = run(graph);
      expect(verifyGraph(carried)).toEqual([]);
      expect(runAs(carried, graph, inputs)).toEqual(evaluateGraph(graph, inputs, noHost));
    },
  );
});
