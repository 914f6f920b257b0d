/**
 * The verifier is sound: what it accepts, the reference runs to the end, whatever the scalars are, and the JIT does the
 * same. Only reading what was never written is not for the verifier to see.
 */
import { describe, expect, it } from "vitest";
import { verifyProgram } from "../../src/isa/verify.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import { launch, type Launched } from "../support/programs.js";
import { randomProgram, type RandomProgram } from "../support/random-program.js";
import { mutate } from "../support/random-program/mutate.js";
import { createRandom } from "../support/random-program/random.js";
import { differenceOf } from "../support/same-results.js";

const reference = createReferenceEngine();
const jit = createJitEngine();
const neverWritten = /read of element -?\d+ of \S+, which was never written/;

describe("programs that the verifier accepts", () => {
  const seen = { accepted: 0, rejected: 0 };

  for (let start = 0; start < 125; start += 25) {
    it(`run, with one thing changed and any scalars (seeds ${start} to ${start + 24})`, () => {
      const wrong: string[] = [];
      for (let seed = start; seed < start + 25; seed++) {
        const random = createRandom(seed + 1_000_000);
        const sound = randomProgram(seed);
        for (let i = 0; i < 3; i++) {
          const { program, change } = mutate(sound.program, random);
          if (verifyProgram(program).length > 0) seen.rejected++;
          else {
            seen.accepted++;
            const scalars = sound.scalars.map((x) => (random.chance(0.5) ? x : random.int(-9, 99)));
            const problem = problemOf({ ...fitted(sound, program), scalars });
            if (problem !== undefined) wrong.push(`seed ${seed}, ${change}: ${problem}`);
          }
        }
      }
      expect(wrong).toEqual([]);
    });
  }

  it("are many, and so are those that it rejects", () => {
    expect(seen.accepted).toBeGreaterThan(80);
    expect(seen.rejected).toBeGreaterThan(80);
  });
});

/** Contents as long as the changed bindings. */
function fitted(sound: RandomProgram, program: RandomProgram["program"]): RandomProgram {
  const contents = sound.contents.map((list, i) =>
    list.slice(0, Math.max(0, program.bindings[i]!.elements)),
  );
  return { ...sound, program, contents };
}

function problemOf({ program, contents, scalars }: RandomProgram): string | undefined {
  let expected: Launched;
  try {
    expected = launch(reference, program, contents, scalars);
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    return neverWritten.test(error.message) ? undefined : error.message;
  }
  return differenceOf(expected, launch(jit, program, contents, scalars));
}
