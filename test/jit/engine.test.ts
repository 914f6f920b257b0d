import { describe, expect, it } from "vitest";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { launch } from "../support/programs.js";
import { randomProgram } from "../support/random-program.js";
import { differenceOf } from "../support/same-results.js";

const jit = createJitEngine();

describe("a jit engine", () => {
  it("prepares equal programs once", () => {
    const { program } = randomProgram(3);
    expect(jit.prepare({ ...program, name: "another name" })).toBe(jit.prepare(program));
  });

  it("compiles a kernel once, inside the host's hook", () => {
    let compiled = 0;
    const engine = createJitEngine({
      optimised(compile) {
        compiled++;
        return compile();
      },
    });
    const { program } = randomProgram(3);
    engine.prepare(program);
    const kernels = compiled;
    expect(kernels).toBeGreaterThan(0);
    engine.prepare({ ...program, scalarCount: program.scalarCount + 1 });
    expect(compiled).toBe(kernels);
  });

  it("runs one prepared program in several memories", () => {
    const { program, contents, scalars } = randomProgram(7);
    const expected = launch(createReferenceEngine(), program, contents, scalars);
    for (let round = 0; round < 3; round++) {
      expect(differenceOf(expected, launch(jit, program, contents, scalars))).toBeUndefined();
    }
  });
});
