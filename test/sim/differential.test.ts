/**
 * Reference and JIT on random programs: the same bits, the same faults. `FUZZ=from..to` runs other seeds than the ones
 * that the suite runs.
 */
import { describe, expect, it } from "vitest";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { launch } from "../support/programs.js";
import { randomProgram } from "../support/random-program.js";
import { formsOf } from "../support/random-program/forms.js";
import { requiredForms } from "../support/random-program/required-forms.js";
import { differenceOf } from "../support/same-results.js";

const reference = createReferenceEngine();
const jit = createJitEngine();
const asked = /^(\d+)\.\.(\d+)$/.exec(process.env["FUZZ"] ?? "");
const [from, to] = asked === null ? [0, 1100] : [Number(asked[1]), Number(asked[2])];
const batch = 50;

describe("reference and JIT agree on random programs", () => {
  const met = new Set<string>();
  for (let start = from; start < to; start += batch) {
    const end = Math.min(start + batch, to);
    it(`seeds ${start} to ${end - 1}`, () => {
      const differences: string[] = [];
      for (let seed = start; seed < end; seed++) {
        const { program, contents, scalars } = randomProgram(seed);
        const expected = launch(reference, program, contents, scalars);
        const difference = differenceOf(expected, launch(jit, program, contents, scalars));
        if (difference !== undefined) differences.push(`seed ${seed}: ${difference}`);
        for (const form of formsOf(program)) met.add(form);
      }
      expect(differences).toEqual([]);
    });
  }

  it.runIf(asked === null)("met every row, type and form", () => {
    expect(requiredForms.filter((form) => !met.has(form))).toEqual([]);
  });
});
