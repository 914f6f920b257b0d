import { describe, expect, it } from "vitest";
import { disassemble } from "../../src/isa/disassemble.js";
import type { Program } from "../../src/isa/program.js";
import { verifyProgram } from "../../src/isa/verify.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import { mutateProgram } from "../support/mutate-program.js";
import { launch } from "../support/programs.js";
import { Random } from "../support/random.js";
import { randomProgram } from "../support/random-program.js";

const reference = createReferenceEngine();

/** What stops the reference simulator; reading what was never written is not the verifier's business. */
function whatStops(
  program: Program,
  contents: readonly (readonly number[])[],
  scalars: readonly number[],
): string | undefined {
  const fitting = contents.map((list, i) => list.slice(0, program.bindings[i]!.elements));
  try {
    launch(reference, program, fitting, scalars);
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    const { message } = error.diagnostics[0]!;
    if (!message.includes("never written")) return message;
  }
  return undefined;
}

function randomScalars(random: Random, given: readonly number[]): number[] {
  return given.map((value) =>
    random.pick([value, value + 1, random.integer(-3, 9), 2 ** 31 - 1, -(2 ** 31)]),
  );
}

describe("the verifier", () => {
  it("accepts no program that the reference stops on", () => {
    let accepted = 0;
    let rejected = 0;
    for (let seed = 0; seed < 80; seed++) {
      const original = randomProgram(seed);
      const random = new Random(seed);
      for (let variant = 0; variant < 4; variant++) {
        const program = variant === 0 ? original.program : mutateProgram(original.program, random);
        if (verifyProgram(program).length > 0) {
          rejected++;
          continue;
        }
        accepted++;
        for (const scalars of [original.scalars, randomScalars(random, original.scalars)]) {
          const reason = whatStops(program, original.contents, scalars);
          if (reason === undefined) continue;
          expect.fail(`seed ${seed}.${variant}, ${scalars}: ${reason}\n${disassemble(program)}`);
        }
      }
    }
    expect(accepted).toBeGreaterThan(100);
    expect(rejected).toBeGreaterThan(50);
  });
});
