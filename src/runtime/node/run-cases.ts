/**
 * ONNX-style test cases run one by one: each data set with its verdict and where it ran. Nothing that a case throws
 * ends the others.
 */
import type { Float64, Precision } from "../../compiler/pipeline.js";
import type { Model } from "../../onnx/model.js";
import type { DiagnosticCode } from "../../support/codes.js";
import { DiagnosticError } from "../../support/diagnostic.js";
import type { DeviceMachine } from "../../target/machine.js";
import type { Device } from "../device.js";
import type { FileSource } from "../files.js";
import type { RegionRun } from "../host-region.js";
import { type HostRuntimeSetting, referenceOnly } from "../host-runtime.js";
import { differsInDrawnValues, judgeOutputs, type JudgeRule } from "../judge.js";
import { createModelRunner, type ModelRunner, type RanOn, type RunPart } from "../model-runner.js";
import {
  externalDataOf,
  readTestModel,
  readTestSet,
  type TestCase,
  type TestFiles,
} from "../test-case.js";
import { disputeOf } from "./second-opinion.js";

export interface TestRecord {
  /** Path of the case and of its data set. */
  readonly name: string;
  /** refused: not supported, or too large for the machine, and said so. error: anything else that threw. */
  readonly verdict: "pass" | "fail" | "refused" | "error";
  readonly ranOn?: RanOn;
  readonly worstRelativeError?: number;
  readonly seconds: number;
  readonly reason?: string;
  /** Why parts of it ran on the host, each reason once. */
  readonly hostReasons?: readonly string[];
  /** Who ran those parts. */
  readonly hostRegions?: readonly RegionRun[];
}

export interface TestSetup {
  readonly machine: DeviceMachine;
  readonly precision: Precision;
  /** Default: host. */
  readonly float64?: Float64;
  readonly device: Device;
  /** Who runs host regions; by default the operators' references. */
  readonly host?: HostRuntimeSetting;
}

export interface CaseSetup extends TestSetup {
  readonly source: FileSource;
  readonly rule: JudgeRule;
}

interface Prepared {
  readonly model: Model;
  readonly runner: ModelRunner;
}

/** One record per data set. */
export async function runCase(
  setup: CaseSetup,
  test: TestCase,
  name: string,
): Promise<TestRecord[]> {
  const { source } = setup;
  let prepared: Prepared | undefined;
  const prepare = () => {
    const model = readTestModel(source, test);
    const { machine, precision, float64, device, host = referenceOnly } = setup;
    const externalData = externalDataOf(source, test.modelPath);
    const options = {
      model,
      machine,
      precision,
      float64,
      device,
      host,
      externalData,
      dims: new Map(),
    };
    return { model, runner: createModelRunner(options) };
  };
  const records: TestRecord[] = [];
  for (const files of test.sets) {
    const label = `${name}/${files.path.slice(files.path.lastIndexOf("/") + 1)}`;
    const start = performance.now();
    const seconds = () => (performance.now() - start) / 1000;
    try {
      prepared ??= prepare();
      const verdict = await runSet(setup, { ...prepared, modelPath: test.modelPath }, files);
      records.push({ name: label, ...verdict, seconds: seconds() });
    } catch (error) {
      records.push({ name: label, ...verdictOf(error), seconds: seconds() });
    }
  }
  await prepared?.runner.release();
  return records;
}

async function runSet(
  { source, rule }: CaseSetup,
  { model, modelPath, runner }: Prepared & { readonly modelPath: string },
  files: TestFiles,
): Promise<Omit<TestRecord, "name" | "seconds">> {
  const { inputs, outputs } = readTestSet(source, model, files);
  const result = await runner.run(inputs);
  const { worstRelativeError, difference } = judgeOutputs(result.outputs, outputs, rule);
  const hostReasons = hostReasonsOf(result.parts);
  const ran = {
    ranOn: result.ranOn,
    worstRelativeError,
    ...(hostReasons.length > 0 && { hostReasons }),
    ...(result.hostRegions.length > 0 && { hostRegions: result.hostRegions }),
  };
  if (difference === undefined) {
    return { verdict: "pass", ...ran, ...(result.reason && { reason: result.reason }) };
  }
  const drawn = differsInDrawnValues(model, result.outputs, outputs, rule);
  if (drawn) return { verdict: "pass", ...ran, reason: "values drawn at random: types and shapes" };
  const failed = { verdict: "fail", ...ran, reason: difference } as const;
  // One's own recordings are the judge; those of the public suite have been wrong before.
  if (rule.rule !== "onnx") return failed;
  const recording = { model, file: source.read(modelPath), inputs, outputs };
  const dispute = await disputeOf(recording, { actual: result.outputs, rule });
  if (dispute === undefined) return failed;
  return { verdict: "refused", ...ran, reason: `${dispute.message}\n  note: ${difference}` };
}

function hostReasonsOf(parts: readonly RunPart[]): readonly string[] {
  const records = parts.flatMap(({ executable }) => executable.records);
  return [...new Set(records.flatMap(({ what, why }) => (what === "host" ? [why] : [])))];
}

/** What is refused with a reason rather than wrong. */
const refusals: ReadonlySet<DiagnosticCode> = new Set([
  "L0103",
  "L0104",
  "L0301",
  "L0401",
  "L0402",
  // Recorded data that the model does not take.
  "L0601",
  "L0602",
]);

function verdictOf(error: unknown): Pick<TestRecord, "verdict" | "reason"> {
  if (error instanceof DiagnosticError) {
    const isRefused = error.diagnostics.every((d) => refusals.has(d.code));
    return { verdict: isRefused ? "refused" : "error", reason: error.message };
  }
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return { verdict: "error", reason: text };
}

export function totalsOf(records: readonly TestRecord[]) {
  const count = (is: (record: TestRecord) => boolean) => records.filter(is).length;
  return {
    pass: count((r) => r.verdict === "pass"),
    fail: count((r) => r.verdict === "fail"),
    refused: count((r) => r.verdict === "refused"),
    error: count((r) => r.verdict === "error"),
    accelerator: count((r) => r.ranOn === "accelerator"),
    mixed: count((r) => r.ranOn === "mixed"),
    host: count((r) => r.ranOn === "host"),
    seconds: records.reduce((sum, record) => sum + record.seconds, 0),
  };
}
