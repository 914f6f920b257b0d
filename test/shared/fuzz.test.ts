/** As `test/fuzz/fuzz.test.ts`, of the models that lie beside the repository. */
import { describe, expect, test } from "vitest";
import { caseOf } from "../fuzz/case.js";
import { checkCase } from "../fuzz/check.js";
import { sharedSources } from "../fuzz/sources.js";

const seed = 2;
const sources = sharedSources();

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

test("there are fifty models", () => {
  expect(sources.length).toBeGreaterThanOrEqual(50);
});
