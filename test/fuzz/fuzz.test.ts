/** A slice of what `npm run fuzz` runs: models of npm packages, mutated, and random graphs of all operators. */
import { describe, expect, test } from "vitest";
import { caseOf } from "./case.js";
import { checkCase } from "./check.js";
import { operatorNames, rows } from "./operators/table.js";
import { npmModels } from "./sources.js";

const seed = 1;
const sources = npmModels();

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

test("rows are of operators that exist", () => {
  expect(Object.keys(rows).filter((name) => !operatorNames.includes(name))).toEqual([]);
});
