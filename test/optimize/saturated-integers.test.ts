/**
 * What is computed from conversions of floats that no int64 need hold, nor an int32: narrowed, it gives the same numbers.
 * Floats and constants lie where the types end.
 */
import { describe, expect, test } from "vitest";
import { narrowIntegers } from "../../src/compiler/2-optimize/narrow-integers.js";
import type { GraphBuilder } from "../../src/ir/builder.js";
import { evaluateGraph } from "../../src/ir/evaluate/evaluate.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Graph, Value } from "../../src/ir/graph.js";
import { printGraph } from "../../src/ir/text/print.js";
import { verifyGraph } from "../../src/ir/verify.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { Random } from "../support/random.js";
import { noHost, runAs } from "../support/run-as.js";

const ends = [2 ** 31 - 128, 2 ** 31, 2 ** 31 + 256, 3e9, 2 ** 62, 2 ** 63, 1e19, 1e30, Infinity];
const floats = [NaN, 0, 0.5, 1, 5.5, 17, 100, 2 ** 30, ...ends].flatMap((x) => [x, -x]);
const steps = [1, 8, 2 ** 30].flatMap((x) => [x, -x]);
/** Around the numbers from which on an int32 stands for others, before and after steps. */
const edges = [0, 1, 2, 7, 8, 9, 10].flatMap((x) => [2 ** 31 - 1 - x, x - 2 ** 31]);
const bounds = [-9, 0, 15, 2 ** 30, ...edges];

function randomGraph(random: Random): Graph {
  const b = createGraphBuilder();
  const f = b.input("f", "f32", [floats.length]);
  const g = b.input("g", "f32", [floats.length]);
  const few = fewOf(b);
  const pool = [converted(b, random, f), converted(b, random, g)];
  const results: Value[] = [];
  const count = random.integer(0, 4);
  for (let i = 0; i < count; i++) pool.push(derived(b, random, pool, few));
  for (let i = 0; i < 3; i++) {
    const bound = constant(b, random.pick(bounds));
    const x = random.pick(pool);
    const y = random.pick([...pool, bound, bound, bound]);
    const pair = random.shuffled([x, y]);
    const low = constant(b, random.pick([-100, 0]));
    results.push(
      random.pick([
        () => b.map("bool", pair, (l, p, q) => random.pick([l.ltI, l.leI, l.eqI])(p!, q!)),
        () => b.map("i64", [x, low], (l, p, q) => l.minI(l.maxI(p!, q!), l.constI(100))),
      ])(),
    );
  }
  if (random.chance(0.1)) results.push(random.pick(pool));
  return b.finish(
    "g",
    results.map((value, i) => ({ name: `y${i}`, value })),
  );
}

/** At least 0, and 15 at most. */
function fewOf(b: GraphBuilder): Value {
  return b.map("i64", [b.input("n", "i32", [floats.length])], (l, x) => l.and(x!, l.constI(15)));
}

function tensorOf(numbers: readonly number[]): Tensor {
  return { dtype: "f32", shape: [numbers.length], data: Float32Array.from(numbers) };
}

/** Of a float that a bound may keep from one of the ends. */
function converted(b: GraphBuilder, random: Random, x: Value): Value {
  const bound = b.full("f32", random.pick(floats.slice(2)));
  const bounded = random.pick([
    () => x,
    () => b.map("f32", [x, bound], (l, p, q) => l.min(p!, q!)),
    () => b.map("f32", [x, bound], (l, p, q) => l.max(p!, q!)),
  ])();
  return b.cast(bounded, "i64");
}

function constant(b: GraphBuilder, value: number): Value {
  return b.full("i64", value);
}

function derived(b: GraphBuilder, random: Random, pool: readonly Value[], few: Value): Value {
  const x = random.pick(pool);
  const y = random.pick(pool);
  const step = random.chance(0.3) ? few : constant(b, random.pick(steps));
  const bound = random.chance(0.7) ? constant(b, random.pick(bounds)) : y;
  return random.pick([
    () => b.map("i64", [x, step], (l, p, q) => l.addI(p!, q!)),
    () => b.map("i64", [x, step], (l, p, q) => l.subI(p!, q!)),
    () => b.map("i64", [x, bound], (l, p, q) => l.minI(p!, q!)),
    () => b.map("i64", [x, bound], (l, p, q) => l.maxI(p!, q!)),
    () => b.map("i64", [x, bound, y], (l, p, q, r) => l.selectI(l.ltI(p!, q!), p!, r!)),
    () => b.slice(b.concat([x, y], 0), [0], [floats.length], [2]),
  ])();
}

describe("a conversion, moved by a few and compared with a number near the end of int32", () => {
  const comparisons = ["ltI", "leI", "eqI"] as const;
  test.each(["addI", "subI"] as const)("%s", (move) => {
    for (const comparison of comparisons) {
      for (const edge of edges) {
        const b = createGraphBuilder();
        const x = b.map("f32", [b.input("f", "f32", [floats.length])], (l, p) =>
          move === "addI" ? l.min(p!, l.constF(0)) : l.max(p!, l.constF(0)),
        );
        const moved = b.map("i64", [b.cast(x, "i64"), fewOf(b)], (l, p, q) => l[move](p!, q!));
        const y = b.map("bool", [moved, constant(b, edge)], (l, p, q) => l[comparison](p!, q!));
        const graph = b.finish("g", [{ name: "y", value: y }]);
        for (const n of [0, 1, 8, 15]) {
          const counts = new Int32Array(floats.length).fill(n);
          const few: Tensor = { dtype: "i32", shape: [floats.length], data: counts };
          const inputs = new Map([
            ["f", tensorOf(floats)],
            ["n", few],
          ]);
          expect(runAs(narrowIntegers(graph), graph, inputs)).toEqual(
            evaluateGraph(graph, inputs, noHost),
          );
        }
      }
    }
  });
});

describe("random graphs of conversions from float", () => {
  let narrowed = 0;
  for (let seed = 0; seed < 400; seed++) {
    test(`seed ${seed}: valid and of the same meaning`, () => {
      const random = new Random(seed);
      const graph = randomGraph(random);
      const narrow = narrowIntegers(graph);
      const counts = {
        dtype: "i32",
        shape: [floats.length],
        data: Int32Array.from(floats.keys()),
      } as const;
      const others = tensorOf(floats.map(() => random.pick(floats)));
      const inputs = new Map<string, Tensor>([
        ["f", tensorOf(floats)],
        ["g", others],
        ["n", counts],
      ]);
      expect(verifyGraph(narrow)).toEqual([]);
      expect(runAs(narrow, graph, inputs)).toEqual(evaluateGraph(graph, inputs, noHost));
      if (/: i32\[\d+\] = .* toI/.test(printGraph(narrow))) narrowed++;
    });
  }
  test("many of the conversions are to int32", () => {
    expect(narrowed).toBeGreaterThan(50);
  });
});
