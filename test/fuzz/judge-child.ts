/**
 * A child process that judges the files it is sent as if they were the file of one case: its inputs stay.
 *
 *   judge-child.ts SEED NUMBER
 */
import { caseOf } from "./case.js";
import { judgeCase, type ShortVerdict } from "./judge.js";
import { npmModels, sharedSources } from "./sources.js";

export type Answer =
  /** From here on it is ONNX Runtime that may die. */
  { readonly at: "peer" } | { readonly at: "end"; readonly verdict: ShortVerdict };

const [seed = 0, number = 0] = process.argv.slice(2).map(Number);
const given = caseOf(seed, number, [...npmModels(), ...sharedSources()]);
process.on("message", (file: Uint8Array) => void judge(file));

async function judge(file: Uint8Array): Promise<void> {
  const verdict = await judgeCase({ ...given, file }, () => answer({ at: "peer" }));
  answer({ at: "end", verdict });
}

function answer(message: Answer): void {
  process.send!(message);
}
