/**
 * A child process of `npm run fuzz`: one case after the other, a line of JSON before and after each, so that the
 * parent knows which case was running when the process hung, died or grew.
 *
 *   worker.ts SEED FROM TO
 */
import { writeSync } from "node:fs";
import { decodeModel } from "../../src/onnx/model.js";
import { caseOf, type NumberedCase } from "./case.js";
import { checkCase, type Verdict } from "./check.js";
import { compareWithPeer } from "./peer.js";
import { npmModels, sharedSources } from "./sources.js";

export type Report =
  /** From here on it is ONNX Runtime that may die. */
  | { readonly at: "peer" }
  | { readonly at: "start"; readonly number: number; readonly from: string }
  | { readonly at: "end"; readonly number: number; readonly verdict: ShortVerdict };

/** A verdict without its tensors. */
export interface ShortVerdict {
  readonly kind: "equal" | "refused" | "large" | "finding";
  readonly code?: string;
  /** ONNX Runtime has the same result. */
  readonly confirmed?: true;
  readonly what?: string;
}

const [seed = 0, first = 0, end = 0] = process.argv.slice(2).map(Number);
const sources = [...npmModels(), ...sharedSources()];
for (let number = first; number < end; number++) {
  const given = caseOf(seed, number, sources);
  report({ at: "start", number, from: given.from });
  const verdict = await checkCase(given);
  report({ at: "end", number, verdict: await withOpinion(given, verdict) });
}

/** What ONNX Runtime says to a result on which all of ours agree. */
async function withOpinion(given: NumberedCase, verdict: Verdict): Promise<ShortVerdict> {
  if (verdict.kind !== "equal") return verdict;
  if (given.isPlain !== true) return { kind: "equal" };
  const [inputs] = given.runs(decodeModel(given.file));
  report({ at: "peer" });
  const opinion = await compareWithPeer(given.file, inputs!, verdict.outputs[0]!);
  if (opinion.kind === "equal") return { kind: "equal", confirmed: true };
  if (opinion.kind === "none") return { kind: "equal" };
  return { kind: "finding", what: `ONNX Runtime has another result: ${opinion.what}` };
}

function report(line: Report): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
