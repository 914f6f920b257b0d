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

  it("compiles all that was prepared at the first launch, kernels inside the host's hook", () => {
    let compiled = 0;
    const engine = createJitEngine({
      optimised(compile) {
        compiled++;
        return compile();
      },
    });
    const { program, contents, scalars } = randomProgram(3);
    engine.prepare(program);
    engine.prepare(randomProgram(4).program);
    expect(compiled).toBe(0);
    launch(engine, program, contents, scalars);
    expect(compiled).toBe(1);
  });

  it("runs one prepared program in several memories", () => {
    const { program, contents, scalars } = randomProgram(7);
    const expected = launch(createReferenceEngine(), program, contents, scalars);
    for (let round = 0; round < 3; round++) {
      expect(differenceOf(expected, launch(jit, program, contents, scalars))).toBeUndefined();
    }
  });
});
