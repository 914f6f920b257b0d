/**
 * When outputs are not as recorded, who is wrong? ONNX Runtime is asked, where it is installed: if it computes what
 * we do, the recording is disputed, and says nothing about us.
 */
import type { Model } from "../../onnx/model.js";
import type { HostValue } from "../../ops/record.js";
import { DiagnosticError } from "../../support/diagnostic.js";
import { judgeOutputs, type JudgeRule } from "../judge.js";
import { runOnnxRuntime } from "./onnxruntime.js";

type Values = ReadonlyMap<string, HostValue>;

export interface Recording {
  readonly model: Model;
  /** The model's file. */
  readonly file: Uint8Array;
  readonly inputs: Values;
  readonly outputs: Values;
}

/** L0606 if ONNX Runtime gives `actual` and not what is recorded; undefined if it does not, or cannot run. */
export async function disputeOf(
  { model, file, inputs, outputs }: Recording,
  { actual, rule }: { readonly actual: Values; readonly rule: JudgeRule },
): Promise<DiagnosticError | undefined> {
  let second: Values | undefined;
  try {
    second = (await runOnnxRuntime(file, model, inputs, { runs: 1, threads: 1 }))?.outputs;
  } catch {
    // It refuses the model or the inputs: it has no opinion.
    return undefined;
  }
  if (second === undefined) return undefined;
  const agrees = judgeOutputs(second, outputs, rule).difference === undefined;
  const supports = judgeOutputs(actual, second, rule).difference === undefined;
  if (agrees || !supports) return undefined;
  return new DiagnosticError([
    {
      code: "L0606",
      message: "the recorded outputs are in dispute: ONNX Runtime computes what is computed here",
    },
  ]);
}
