import { describe, expect, it } from "vitest";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { gemm, gemmShape } from "../sim/gemm.js";
import { launch } from "../support/programs.js";
import { randomProgram } from "../support/random-program.js";
import { differenceOf } from "../support/same-results.js";

const jit = createJitEngine();
const reference = createReferenceEngine();

describe("jit and reference simulator agree to the bit", () => {
  const seedsPerTest = 50;
  for (let first = 1; first < 400; first += seedsPerTest) {
    it(`on random programs ${first} to ${first + seedsPerTest - 1}`, () => {
      for (let seed = first; seed < first + seedsPerTest; seed++) {
        const { program, contents, scalars } = randomProgram(seed);
        const expected = launch(reference, program, contents, scalars);
        const actual = launch(jit, program, contents, scalars);
        expect(differenceOf(expected, actual), `program ${seed}`).toBeUndefined();
      }
    });
  }

  it("on a matrix product over members with multicast and ragged tiles", () => {
    const { m, n, k } = gemmShape;
    const values = (count: number) => Array.from({ length: count }, (_, i) => Math.sin(i) * 3);
    const contents = [values(m * k), values(k * n), values(n)];
    const expected = launch(reference, gemm(), contents);
    expect(differenceOf(expected, launch(jit, gemm(), contents))).toBeUndefined();
  });

  it("when one prepared program runs in several memories, which may grow", () => {
    const { program, contents, scalars } = randomProgram(7);
    const expected = launch(reference, program, contents, scalars);
    for (let round = 0; round < 3; round++) {
      expect(differenceOf(expected, launch(jit, program, contents, scalars))).toBeUndefined();
    }
  });
});

describe("a jit engine", () => {
  it("prepares equal programs once", () => {
    expect(jit.prepare(gemm())).toBe(jit.prepare({ ...gemm(), name: "another name" }));
  });

  it("compiles a kernel once, inside the host's hook", () => {
    let compiled = 0;
    const engine = createJitEngine({
      optimised(compile) {
        compiled++;
        return compile();
      },
    });
    engine.prepare(gemm());
    const kernels = compiled;
    expect(kernels).toBeGreaterThan(0);
    const larger = gemm();
    engine.prepare({ ...larger, scalarCount: 1 });
    expect(compiled).toBe(kernels);
  });
});
