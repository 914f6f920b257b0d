/**
 * Matrix products larger than random programs make them: several stretches of k, several groups of rows, rows too few
 * to pack, operands in every layout, segments left open between instructions.
 */
import { describe, expect, it } from "vitest";
import type { MmaAxis } from "../../src/ir/tile.js";
import { always, type Program } from "../../src/isa/program.js";
import type { DeviceDType } from "../../src/numerics/dtype.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { at, count, dest, edge, launch, loop, run, source } from "../support/programs.js";
import { differenceOf } from "../support/same-results.js";

interface Shape {
  readonly m: number;
  readonly n: number;
  readonly k: number;
}

/** Which index of an operand is the fastest. */
interface Order {
  readonly a: "m" | "k";
  readonly b: "n" | "k";
  readonly c: "m" | "n";
}

/** The product computed twice, k in two halves: the first leaves its segment open. */
function product({ m, n, k }: Shape, order: Order, dtype: DeviceDType): Program {
  const strides = {
    a: order.a === "k" ? { m: k, k: 1 } : { m: 1, k: m },
    b: order.b === "n" ? { k: n, n: 1 } : { k: 1, n: k },
    c: order.c === "n" ? { m: n, n: 1 } : { m: 1, n: m },
  };
  const sum: DeviceDType = dtype === "i8" ? "i32" : "f32";
  const sizes = [m * k, k * n, m * n, m * n];
  const axis = (elements: number) => [{ count: count(elements), memoryStride: 1, slotStride: 1 }];
  const half = Math.ceil(k / 2);
  const axes: MmaAxis[] = [
    { role: "m", count: count(m), strideA: strides.a.m, strideB: 0, strideC: strides.c.m },
    { role: "n", count: count(n), strideA: 0, strideB: strides.b.n, strideC: strides.c.n },
    {
      role: "k",
      count: {
        value: { constant: 0, terms: [{ coefficient: 1, of: "extent", id: 0 }] },
        max: half,
      },
      strideA: strides.a.k,
      strideB: strides.b.k,
      strideC: 0,
    },
  ];
  const offset = (stride: number) => ({
    constant: 0,
    terms: [{ coefficient: stride, of: "index" as const, id: 0 }],
  });
  const load = { engine: "load", channel: 0 } as const;
  const dtypes = [dtype, dtype, sum, sum];
  return {
    name: "product",
    grid: { rows: 1, columns: 1 },
    scalarCount: 0,
    bindings: [0, 1, 3].map((i) => ({
      name: `b${i}`,
      dtype: dtypes[i]!,
      elements: sizes[i]!,
      access: i === 3 ? "write" : "read",
    })),
    queues: sizes.map((elements, i) => ({
      name: `q${i}`,
      space: i === 2 ? "accumulator" : "l1",
      dtype: dtypes[i]!,
      elements,
      depth: 1,
      offsetBytes: 0,
      producer: i < 2 ? load : { engine: i === 2 ? "tensor" : "vector" },
      consumers: [
        i < 2
          ? { engine: "tensor" }
          : i === 2
            ? { engine: "vector" }
            : { engine: "store", channel: 0 },
      ],
    })),
    body: [
      ...[0, 1].map((i) =>
        run({
          op: "load",
          axes: axis(sizes[i]!),
          memory: { binding: i, offset: at(0) },
          dest: dest(i),
          fill: 0,
        }),
      ),
      loop(
        { id: 0, end: k, step: half, minTotal: k },
        run({
          op: "mma",
          axes,
          a: source(0, edge(0, "last"), offset(strides.a.k)),
          b: source(1, edge(0, "last"), offset(strides.b.k)),
          dest: dest(2, edge(0, "last")),
          clear: edge(0, "first"),
          fold: edge(0, "last"),
        }),
      ),
      run({
        op: "vec",
        axes: [{ kind: "parallel", count: count(m * n), base: at(0) }],
        inputs: [{ source: source(2), strides: [1] }],
        program: {
          instructions: [{ op: "input", args: [], imm: 0, type: sum === "i32" ? "i32" : "f32" }],
          results: [0],
        },
        carries: [],
        outputs: [{ dest: dest(3, always), strides: [1] }],
      }),
      run({
        op: "store",
        axes: axis(m * n),
        memory: { binding: 2, offset: at(0) },
        source: source(3),
      }),
    ],
    roles: ["role"],
  };
}

const shapes: readonly Shape[] = [
  { m: 5, n: 19, k: 1300 },
  { m: 4, n: 8, k: 1024 },
  { m: 261, n: 9, k: 12 },
  { m: 515, n: 3, k: 5 },
  { m: 1, n: 77, k: 130 },
  { m: 2, n: 36, k: 41 },
  { m: 3, n: 33, k: 530 },
  { m: 70, n: 1, k: 33 },
  { m: 1, n: 1, k: 1030 },
];
const orders: readonly Order[] = (["m", "k"] as const).flatMap((a) =>
  (["n", "k"] as const).flatMap((b) => (["m", "n"] as const).map((c) => ({ a, b, c }))),
);

describe("matrix products have the same bits in the jit as by definition", () => {
  const jit = createJitEngine();
  const reference = createReferenceEngine();
  for (const shape of shapes) {
    for (const dtype of ["f32", "i8"] as const) {
      it(`${dtype} ${shape.m} x ${shape.n} x ${shape.k}`, () => {
        const { m, n, k } = shape;
        const values = (length: number, seed: number): number[] =>
          Array.from({ length }, (_, i) =>
            dtype === "i8" ? ((i * 37 + seed) % 255) - 127 : Math.sin(i * 1.7 + seed) * 3,
          );
        for (const order of orders) {
          const program = product(shape, order, dtype);
          const contents = [values(m * k, 1), values(k * n, 2)];
          const expected = launch(reference, program, contents);
          const difference = differenceOf(expected, launch(jit, program, contents));
          expect(difference, JSON.stringify(order)).toBeUndefined();
        }
      });
    }
  }
});
