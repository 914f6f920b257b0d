import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { bitsFloat, floatBits } from "../../src/numerics/float-formats.js";
import { functions } from "../../src/numerics/functions.js";
import {
  type ArithmeticOp,
  type FunctionName,
  type LaneInstruction,
  laneOps,
  type LaneProgram,
} from "../../src/numerics/lane.js";
import { expandFunctions, type Lane, laneProgramBuilder } from "../../src/numerics/lanes.js";
import { scalarAlgebra } from "../../src/numerics/scalar.js";

const ops = (program: LaneProgram) => program.instructions.map(({ op }) => op);

/** Straight through the instructions, on numbers. */
function run(program: LaneProgram, inputs: readonly number[]): number[] {
  const registers: number[] = [];
  for (const { op, args, imm } of program.instructions) {
    const values = args.map((arg) => registers[arg]!);
    if (op === "input") registers.push(inputs[imm!]!);
    else if (op === "constF" || op === "constI") registers.push(imm!);
    else if (op in functions) {
      registers.push(functions[op as FunctionName](scalarAlgebra, ...values));
    } else registers.push(scalarAlgebra[op as ArithmeticOp](...values));
  }
  return program.results.map((result) => registers[result]!);
}

test("equal instructions are shared, unused ones dropped", () => {
  const { l, source, finish } = laneProgramBuilder();
  const x = source("input", 0, "f32");
  l.exp(x);
  const y = l.add(l.mul(x, x), l.mul(x, source("input", 0, "f32")));
  expect(finish([y])).toEqual({
    instructions: [
      { op: "input", args: [], type: "f32", imm: 0 },
      { op: "mul", args: [0, 0], type: "f32" },
      { op: "add", args: [1, 1], type: "f32" },
    ] satisfies LaneInstruction[],
    results: [2],
  });
});

test("a register of the wrong type is refused", () => {
  const { l } = laneProgramBuilder();
  expect(() => l.add(l.constI(1), l.constF(1))).toThrow("add takes (f32, f32), not (i32, f32)");
});

test("constants are computed, also through functions and bits", () => {
  const { l, finish } = laneProgramBuilder();
  const lanes = [
    l.add(l.constF(0.1), l.constF(0.2)),
    l.exp(l.constF(1)),
    l.shl(l.constI(3), l.constI(4)),
    l.bitsI(l.neg(l.constF(0))),
    l.div(l.constF(-1), l.constF(0)),
  ];
  const program = finish(lanes);
  expect(ops(program).every((op) => op === "constF" || op === "constI")).toBe(true);
  expect(run(program, [])).toEqual([
    Math.fround(Math.fround(0.1) + Math.fround(0.2)),
    Math.fround(Math.E),
    48,
    -0x80000000,
    -Infinity,
  ]);
});

describe("neutral constants", () => {
  test.each<[string, (b: ReturnType<typeof laneProgramBuilder>, x: Lane) => Lane, string[]]>([
    ["x + -0", ({ l }, x) => l.add(x, l.constF(-0)), ["input"]],
    ["x + 0 is kept", ({ l }, x) => l.add(x, l.constF(0)), ["input", "constF", "add"]],
    ["x - 0", ({ l }, x) => l.sub(x, l.constF(0)), ["input"]],
    ["0 - x is kept", ({ l }, x) => l.sub(l.constF(0), x), ["input", "constF", "sub"]],
    ["1 * x", ({ l }, x) => l.mul(l.constF(1), x), ["input"]],
    ["x * -1", ({ l }, x) => l.mul(x, l.constF(-1)), ["input", "neg"]],
    ["x / 8", ({ l }, x) => l.div(x, l.constF(8)), ["input", "constF", "mul"]],
    ["x / 3 is kept", ({ l }, x) => l.div(x, l.constF(3)), ["input", "constF", "div"]],
    ["max(x, -inf)", ({ l }, x) => l.max(x, l.constF(-Infinity)), ["input"]],
    ["true ? x : 1", ({ l }, x) => l.select(l.constI(-1), x, l.constF(1)), ["input"]],
    ["x < 1 ? x : x", ({ l }, x) => l.select(l.lt(x, l.constF(1)), x, x), ["input"]],
  ])("%s", (_, build, expected) => {
    const builder = laneProgramBuilder();
    const lane = build(builder, builder.source("input", 0, "f32"));
    expect(ops(builder.finish([lane]))).toEqual(expected);
  });
});

test("simplifying changes no bit", () => {
  const binary = Object.entries(laneOps)
    .filter(([, row]) => row.args.length === 2 && !("imm" in row))
    .map(([op]) => op as "add");
  const constants = fc.constantFrom(0, -0, 1, -1, 2, 0.25, 3, Infinity, -Infinity, 2 ** -126);
  const words = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(fc.constantFrom(...binary), constants, words, fc.boolean(), (op, c, word, left) => {
      const type = laneOps[op].args[0] as "f32" | "i32";
      const x = type === "f32" ? bitsFloat(word) : word;
      const value = type === "f32" ? Math.fround(c) : c | 0;
      const { l, source, finish } = laneProgramBuilder();
      const lane = source("input", 0, type);
      const constant = type === "f32" ? l.constF(value) : l.constI(value);
      const program = finish([left ? l[op](constant, lane) : l[op](lane, constant)]);
      const args = left ? [value, x] : [x, value];
      const plain =
        (op as string) === "pow"
          ? functions.pow(scalarAlgebra, ...args)
          : scalarAlgebra[op](...args);
      expect(run(program, [x])).toEqual([plain]);
    }),
    { numRuns: 3000 },
  );
});

test("wide programs keep their constants' precision and are not simplified", () => {
  const { l, finish } = laneProgramBuilder({ wide: true });
  const program = finish([l.add(l.constF(0.1), l.constF(0.2)), l.constI(2 ** 40)]);
  expect(ops(program)).toEqual(["constF", "constF", "add", "constI"]);
  expect(program.instructions.map(({ imm }) => imm)).toEqual([0.1, 0.2, undefined, 2 ** 40]);
});

test.each(Object.keys(functions) as FunctionName[])("%s written out has the same bits", (name) => {
  const { l, source, finish } = laneProgramBuilder();
  const x = source("input", 0, "f32");
  const y = source("input", 1, "f32");
  const program = finish([name === "pow" ? l.pow(x, y) : l[name](x)]);
  const expanded = expandFunctions(program);
  expect(ops(program)).toContain(name);
  expect(ops(expanded)).not.toContain(name);
  const values = [0, -0, 1.5, -1.5, 0.3, 100, -100, Infinity, -Infinity, NaN, 2 ** -140, 1e30];
  for (const a of values) {
    for (const b of name === "pow" ? values : [2]) {
      const inputs = [Math.fround(a), Math.fround(b)];
      const [want] = run(program, inputs);
      expect(floatBits(run(expanded, inputs)[0]!), `${a} ${b}`).toBe(floatBits(want!));
    }
  }
});
