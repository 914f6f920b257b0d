/** Every lane operation, on values where rounding, signs, NaN or overflow could go wrong, against its definition. */
import { describe, expect, it } from "vitest";
import {
  laneOps,
  type LaneOpName,
  type LaneProgram,
  type RegisterType,
} from "../../src/numerics/lane.js";
import type { Program } from "../../src/isa/program.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { at, count, dest, launch, run, source } from "../support/programs.js";
import { differenceOf } from "../support/same-results.js";

const jit = createJitEngine();
const reference = createReferenceEngine();

const floats = [
  ...[0, 1, 1.5, 2.5, 3, 1e-3, 0.1, 0.5, 7, 88.7, 104, 127, 448, 464, 57344, 61440, 65504, 65520],
  ...[
    2 ** -126,
    2 ** -149,
    2 ** -24,
    2 ** -25,
    3 * 2 ** -26,
    2 ** -17,
    2 ** -10,
    1e10,
    1e38,
    3.4e38,
  ],
  ...[2 ** 23 + 1, 2 ** 31, 2 ** 32, 2 ** 64, Math.PI, Math.E, Infinity, 0.9999999, 1.0000001],
].flatMap((x) => [x, -x]);
floats.push(NaN);
const integers = [0, 1, 2, 3, 5, 7, 31, 32, 33, 100, 255, 65535, 2 ** 24 + 1, 2 ** 30, 2 ** 31 - 1]
  .flatMap((x) => [x, -x])
  .concat([-(2 ** 31)]);

const values = { f32: floats, i32: integers } as const;

function elementwise(op: LaneOpName): { program: Program; contents: number[][] } {
  const { args, result } = laneOps[op];
  const types = args as readonly RegisterType[];
  const length = Math.max(...types.map((type) => values[type].length));
  const total = length * (types.length > 1 ? length : 1);
  const contents = types.map((type, i) =>
    Array.from({ length: total }, (_, n) => {
      const list = values[type];
      if (types.length === 3 && i === 0) return n % 2 === 0 ? 0 : -1;
      return list[(i === types.length - 1 ? n : Math.floor(n / length)) % list.length]!;
    }),
  );
  const lanes: LaneProgram = {
    instructions: [
      ...types.map((type, imm) => ({ op: "input" as const, args: [], imm, type })),
      { op, args: types.map((_, i) => i), type: result as RegisterType },
    ],
    results: [types.length],
  };
  return { program: vecProgram(lanes, types, result as RegisterType, total), contents };
}

function vecProgram(
  lanes: LaneProgram,
  inputs: readonly RegisterType[],
  output: RegisterType,
  elements: number,
): Program {
  const all = [...inputs, output];
  const last = inputs.length;
  const axis = { count: count(elements), memoryStride: 1, slotStride: 1 };
  return {
    name: "elementwise",
    grid: { rows: 1, columns: 1 },
    scalarCount: 0,
    bindings: all.map((dtype, i) => ({
      name: `b${i}`,
      dtype,
      elements,
      access: i === last ? "write" : "read",
    })),
    queues: all.map((dtype, i) => ({
      name: `q${i}`,
      space: "l1",
      dtype,
      elements,
      depth: 1,
      offsetBytes: 0,
      producer: i === last ? { engine: "vector" } : { engine: "load", channel: 0 },
      consumers: [i === last ? { engine: "store", channel: 0 } : { engine: "vector" }],
    })),
    body: [
      ...inputs.map((_, i) =>
        run({
          op: "load",
          axes: [axis],
          memory: { binding: i, offset: at(0) },
          dest: dest(i),
          fill: 0,
        }),
      ),
      run({
        op: "vec",
        axes: [{ kind: "parallel", count: count(elements), base: at(0) }],
        inputs: inputs.map((_, i) => ({ source: source(i), strides: [1] })),
        program: lanes,
        carries: [],
        outputs: [{ dest: dest(last), strides: [1] }],
      }),
      run({
        op: "store",
        axes: [axis],
        memory: { binding: last, offset: at(0) },
        source: source(last),
      }),
    ],
    roles: ["role"],
  };
}

describe("lane operations have the same bits in the jit as by definition", () => {
  const tested = Object.entries(laneOps).filter(
    ([, row]) => row.args.length > 0 && !("imm" in row),
  );
  for (const [op] of tested) {
    it(op, () => {
      const { program, contents } = elementwise(op as LaneOpName);
      const expected = launch(reference, program, contents);
      expect(differenceOf(expected, launch(jit, program, contents))).toBeUndefined();
    });
  }

  for (const op of ["min", "max"] as const) {
    for (const constant of [0, -0, 6, -1, Infinity, NaN]) {
      it(`${op} with the constant ${Object.is(constant, -0) ? "-0" : constant}`, () => {
        const lanes: LaneProgram = {
          instructions: [
            { op: "input", args: [], imm: 0, type: "f32" },
            { op: "constF", args: [], imm: constant, type: "f32" },
            { op, args: [0, 1], type: "f32" },
            { op, args: [1, 0], type: "f32" },
            { op: "add", args: [2, 3], type: "f32" },
          ],
          results: [4],
        };
        const program = vecProgram(lanes, ["f32"], "f32", floats.length);
        const expected = launch(reference, program, [floats]);
        expect(differenceOf(expected, launch(jit, program, [floats]))).toBeUndefined();
      });
    }
  }
});
