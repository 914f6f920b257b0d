/**
 * Reductions longer and wider than random programs make them, over every arrangement of axes that has code of its own:
 * along rows, across them, over windows, with raw partials, on values among which are NaN and both zeros.
 */
import { describe, expect, it } from "vitest";
import type { VecAxis } from "../../src/ir/tile.js";
import { always, type Program } from "../../src/isa/program.js";
import type { RegisterType } from "../../src/numerics/lane.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { at, count, dest, launch, run, source } from "../support/programs.js";
import { differenceOf } from "../support/same-results.js";

interface Arrangement {
  readonly name: string;
  readonly counts: readonly number[];
  readonly parallel: number;
  readonly input: readonly number[];
  readonly output: readonly number[];
}

const arrangements: readonly Arrangement[] = [
  { name: "rows of 37", counts: [5, 37], parallel: 1, input: [37, 1], output: [1, 0] },
  { name: "rows of 64", counts: [3, 64], parallel: 1, input: [64, 1], output: [1, 0] },
  {
    name: "rows of 3 x 13",
    counts: [4, 3, 13],
    parallel: 1,
    input: [60, 20, 1],
    output: [1, 0, 0],
  },
  { name: "columns of 21", counts: [45, 21], parallel: 1, input: [1, 45], output: [1, 0] },
  {
    name: "windows of 3 x 3",
    counts: [3, 7, 38, 3, 3],
    parallel: 3,
    input: [400, 40, 1, 40, 1],
    output: [300, 40, 1, 0, 0],
  },
  {
    name: "windows two apart",
    counts: [7, 19, 2, 3],
    parallel: 2,
    input: [80, 2, 40, 1],
    output: [19, 1, 0, 0],
  },
  { name: "everything", counts: [150], parallel: 0, input: [1], output: [0] },
];

const reductions = ["sum", "prod", "seqsum", "max", "min", "and", "or"] as const;

interface Case {
  readonly arrangement: Arrangement;
  readonly reduction: (typeof reductions)[number];
  readonly type: RegisterType;
  readonly phase: number;
  readonly raw: boolean;
}

function program({ arrangement, reduction, type, phase, raw }: Case): Program {
  const { counts, parallel, input, output } = arrangement;
  const reach = (strides: readonly number[]): number =>
    1 + strides.reduce((sum, stride, i) => sum + stride * (counts[i]! - 1), 0);
  const cells = reach(output);
  const sizes = [reach(input), cells * (raw ? 16 : 1)] as const;
  const axes = counts.map(
    (n, i): VecAxis => ({
      kind: i < parallel ? "parallel" : "reduce",
      count: count(n),
      base: at(0),
    }),
  );
  const plain = (elements: number) => [{ count: count(elements), memoryStride: 1, slotStride: 1 }];
  const written = counts
    .slice(0, parallel)
    .map((n, i) => ({ count: count(n), memoryStride: output[i]!, slotStride: output[i]! }));
  return {
    name: "reduce",
    grid: { rows: 1, columns: 1 },
    scalarCount: 0,
    bindings: [
      { name: "x", dtype: type, elements: sizes[0], access: "read" },
      { name: "y", dtype: type, elements: sizes[1], access: "write" },
    ],
    queues: [0, 1].map((i) => ({
      name: `q${i}`,
      space: "l1",
      dtype: type,
      elements: sizes[i]!,
      depth: 1,
      offsetBytes: 0,
      producer: i === 0 ? { engine: "load", channel: 0 } : { engine: "vector" },
      consumers: [i === 0 ? { engine: "vector" } : { engine: "store", channel: 0 }],
    })),
    body: [
      run({
        op: "load",
        axes: plain(sizes[0]),
        memory: { binding: 0, offset: at(0) },
        dest: dest(0),
        fill: 0,
      }),
      run({
        op: "vec",
        axes,
        inputs: [{ source: source(0), strides: input }],
        program: { instructions: [{ op: "input", args: [], imm: 0, type }], results: [0] },
        carries: [],
        outputs: [
          {
            dest: dest(1),
            strides: output.map((stride) => stride * (raw ? 16 : 1)),
            reduce: {
              reduction,
              phase: at(phase),
              init: always,
              ...(raw ? { partialStride: 1 } : {}),
            },
          },
        ],
      }),
      run({
        op: "store",
        axes: raw
          ? [
              ...written.map((axis) => ({
                ...axis,
                memoryStride: axis.memoryStride * 16,
                slotStride: axis.slotStride * 16,
              })),
              ...plain(16),
            ]
          : written,
        memory: { binding: 1, offset: at(0) },
        source: source(1),
      }),
    ],
    roles: ["role"],
  };
}

function values(type: RegisterType, length: number, kind: "plain" | "special"): number[] {
  const special = [-0, 0, -0, -3, NaN, -0, 2, -Infinity, -0, -0, -1, 0];
  return Array.from({ length }, (_, i) => {
    if (type === "i32") return Math.imul(i + 1, 0x9e3779b1);
    if (kind === "plain") return Math.fround(Math.sin(i * 3.7) + 1.25);
    return i % 53 === 7 ? NaN : special[(i * 5) % 4]!;
  });
}

describe("reductions have the same bits in the jit as by definition", () => {
  const jit = createJitEngine();
  const reference = createReferenceEngine();
  const check = (test: Case): void => {
    const made = program(test);
    for (const kind of ["plain", "special"] as const) {
      const contents = [values(test.type, made.bindings[0]!.elements, kind)];
      const expected = launch(reference, made, contents);
      const difference = differenceOf(expected, launch(jit, made, contents));
      expect(difference, `${JSON.stringify(test)} ${kind}`).toBeUndefined();
    }
  };
  for (const arrangement of arrangements) {
    for (const type of ["f32", "i32"] as const) {
      it(`${type}, ${arrangement.name}`, () => {
        for (const reduction of reductions) {
          if (type === "f32" && (reduction === "and" || reduction === "or")) continue;
          check({ arrangement, reduction, type, phase: 0, raw: false });
        }
      });
    }
    it(`partials, ${arrangement.name}`, () => {
      for (const reduction of ["sum", "prod"] as const) {
        for (const phase of [0, 3, 16, 45]) {
          check({ arrangement, reduction, type: "f32", phase, raw: false });
          check({ arrangement, reduction, type: "f32", phase, raw: true });
        }
      }
    });
  }
});
