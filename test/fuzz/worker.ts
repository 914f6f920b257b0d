/**
 * A child process of `npm run fuzz`: one case after the other, a line of JSON before and after each, so that the
 * parent knows which case was running when the process hung, died or grew.
 *
 *   worker.ts SEED FROM TO
 */
import { writeSync } from "node:fs";
import { caseOf } from "./case.js";
import { judgeCase, type ShortVerdict } from "./judge.js";
import { npmModels, sharedSources } from "./sources.js";

export type Report =
  /** From here on it is ONNX Runtime that may die. */
  | { readonly at: "peer" }
  | { readonly at: "start"; readonly number: number; readonly from: string }
  | { readonly at: "end"; readonly number: number; readonly verdict: ShortVerdict };

const [seed = 0, first = 0, end = 0] = process.argv.slice(2).map(Number);
const sources = [...npmModels(), ...sharedSources()];
for (let number = first; number < end; number++) {
  const given = caseOf(seed, number, sources);
  report({ at: "start", number, from: given.from });
  const verdict = await judgeCase(given, () => report({ at: "peer" }));
  report({ at: "end", number, verdict });
}

function report(line: Report): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
