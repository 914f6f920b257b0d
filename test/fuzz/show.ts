/** One case alone, as text: its verdict, and a finding minimized in the form of a test. */
import { decodeModel, type Model } from "../../src/onnx/model.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import { caseOf } from "./case.js";
import { judgeOf } from "./judge-apart.js";
import { minimize } from "./minimize.js";
import { printInputs, printModel } from "./print.js";
import type { ModelSource } from "./sources.js";

export async function showCase(
  seed: number,
  number: number,
  sources: readonly ModelSource[],
): Promise<string> {
  const { file, from, runs } = caseOf(seed, number, sources);
  const { judge, close } = judgeOf(seed, number);
  try {
    const verdict = await judge(file);
    if (verdict.kind === "refused") return `${from}: refused by ${verdict.code}`;
    if (verdict.kind !== "finding") return `${from}: ${verdict.kind}`;
    const model = decoded(await minimize(file, judge));
    const text = model === undefined ? [] : [printModel(model), ...runs(model).map(printInputs)];
    return [`${from}: ${verdict.what}`, ...text].join("\n");
  } finally {
    close();
  }
}

function decoded(file: Uint8Array): Model | undefined {
  try {
    return decodeModel(file);
  } catch (error) {
    if (error instanceof DiagnosticError) return undefined;
    throw error;
  }
}
