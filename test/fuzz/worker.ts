/**
 * A child process of `npm run fuzz`: one case after the other, a line of JSON before and after each, so that the
 * parent knows which case was running when the process hung, died or grew.
 *
 *   worker.ts SEED FROM TO
 */
import { writeSync } from "node:fs";
import { caseOf } from "./case.js";
import { checkCase } from "./check.js";
import { npmModels, sharedSources } from "./sources.js";

export type Report =
  | { readonly at: "start"; readonly number: number; readonly from: string }
  | { readonly at: "end"; readonly number: number; readonly verdict: ShortVerdict };

/** A verdict without its tensors. */
export interface ShortVerdict {
  readonly kind: "equal" | "refused" | "large" | "finding";
  readonly code?: string;
  readonly what?: string;
}

const [seed = 0, first = 0, end = 0] = process.argv.slice(2).map(Number);
const sources = [...npmModels(), ...sharedSources()];
for (let number = first; number < end; number++) {
  const given = caseOf(seed, number, sources);
  report({ at: "start", number, from: given.from });
  const { kind, ...rest } = (await checkCase(given)) as ShortVerdict;
  const { code, what } = rest;
  report({
    at: "end",
    number,
    verdict: { kind, ...(code && { code }), ...(what && { what }) },
  });
}

function report(line: Report): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
