/** One case alone, as text: its verdict, and a finding minimized in the form of a test. */
import { decodeModel, type Model } from "../../src/onnx/model.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import type { NumberedCase } from "./case.js";
import { judgeCase } from "./judge.js";
import { minimize } from "./minimize.js";
import { printInputs, printModel } from "./print.js";

export async function showCase(given: NumberedCase): Promise<string> {
  const verdict = await judgeCase(given, () => {});
  if (verdict.kind === "refused") return `${given.from}: refused by ${verdict.code}`;
  if (verdict.kind !== "finding") return `${given.from}: ${verdict.kind}`;
  const { file, runs } = await minimize(given);
  const model = decoded(file);
  const text = model === undefined ? [] : [printModel(model), ...runs(model).map(printInputs)];
  return [`${given.from}: ${verdict.what}`, ...text].join("\n");
}

function decoded(file: Uint8Array): Model | undefined {
  try {
    return decodeModel(file);
  } catch (error) {
    if (error instanceof DiagnosticError) return undefined;
    throw error;
  }
}
