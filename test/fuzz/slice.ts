/** A slice of what `npm run fuzz` runs, as tests: cases made from these models, and random graphs of all operators. */
import { describe, expect, test } from "vitest";
import { caseOf } from "./case.js";
import { checkCase } from "./check.js";
import type { ModelSource } from "./sources.js";

export function describeSlice(seed: number, sources: readonly ModelSource[]): void {
  describe.each([0, 50, 100])(`seed ${seed}, 50 cases`, (first) => {
    test(`from ${first}`, async () => {
      const findings: string[] = [];
      for (let number = first; number < first + 50; number++) {
        const given = caseOf(seed, number, sources);
        const verdict = await checkCase(given);
        if (verdict.kind === "finding") findings.push(`${number} (${given.from}): ${verdict.what}`);
      }
      expect(findings).toEqual([]);
    });
  });
}
