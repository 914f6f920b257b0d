/** `lightloom test`: ONNX-style test cases, each data set with its verdict and where it ran. */
import { Option } from "@commander-js/extra-typings";
import type { Precision } from "../compiler/pipeline.js";
import type { Model } from "../onnx/model.js";
import { createSimulatedDevice, type Device } from "../runtime/device.js";
import type { FileSource } from "../runtime/files.js";
import {
  conformanceRule,
  differsInDrawnValues,
  judgeOutputs,
  type JudgeRule,
  modelRule,
} from "../runtime/judge.js";
import { disputeOf } from "../runtime/node/second-opinion.js";
import { createModelRunner, type ModelRunner, type RanOn } from "../runtime/model-runner.js";
import { openFiles } from "../runtime/node/files.js";
import {
  externalDataOf,
  findTestCases,
  readTestModel,
  readTestSet,
  type TestCase,
  type TestFiles,
} from "../runtime/test-case.js";
import type { DiagnosticCode } from "../support/codes.js";
import { DiagnosticError, fail } from "../support/diagnostic.js";
import type { DeviceMachine } from "../target/machine.js";
import {
  command,
  deviceNamed,
  engineNamed,
  engineOption,
  machineOption,
  precisionOption,
  threadsOption,
} from "./options.js";
import { createProgress, numberText, print, printJson, printTable } from "./output.js";

export interface TestRecord {
  /** Path of the case and of its data set. */
  readonly name: string;
  /** refused: not supported, or too large for the machine, and said so. error: anything else that threw. */
  readonly verdict: "pass" | "fail" | "refused" | "error";
  readonly ranOn?: RanOn;
  readonly worstRelativeError?: number;
  readonly seconds: number;
  readonly reason?: string;
}

export function testCommand() {
  return command("test", "run ONNX test directories (model.onnx + test_data_set_*) or archives")
    .argument("<path...>", "folders, .tar.gz or .tar files")
    .option("-f, --filter <pattern>", "only cases whose path matches this regular expression")
    .addOption(machineOption)
    .addOption(precisionOption)
    .addOption(engineOption)
    .addOption(threadsOption)
    .addOption(
      new Option(
        "--tolerance <rule>",
        "onnx (every element: rtol 1e-3, atol 1e-5), model (largest difference: 1e-3 of the largest " +
          "value), or that part as a number; default: onnx for archives, model for folders",
      ),
    )
    .action(async (paths, options) => {
      const filter = filterOf(options.filter);
      const setup: Setup = {
        machine: deviceNamed(options.machine),
        precision: options.precision,
        device: createSimulatedDevice(engineNamed(options.engine, options.threads)),
      };
      const progress = createProgress();
      const records: TestRecord[] = [];
      for (const path of paths) {
        const source = openFiles(path);
        const rule = ruleOf(options.tolerance, path);
        const cases = findTestCases(source).filter((test) => filter.test(nameOf(path, test.path)));
        for (const [i, test] of cases.entries()) {
          progress.show(`${i + 1}/${cases.length} ${test.path}`);
          records.push(
            ...(await runCase({ ...setup, source, rule }, test, nameOf(path, test.path))),
          );
        }
      }
      progress.clear();
      if (records.length === 0) {
        fail("L0901", "there is no test case here", {
          notes: ["a case is a folder with model.onnx and test_data_set_0/input_0.pb, .."],
        });
      }
      if (options.json) printJson({ totals: totalsOf(records), records });
      else printRecords(records);
      if (records.some(isBad)) process.exitCode = 1;
    });
}

interface Setup {
  readonly machine: DeviceMachine;
  readonly precision: Precision;
  readonly device: Device;
}

interface CaseSetup extends Setup {
  readonly source: FileSource;
  readonly rule: JudgeRule;
}

interface Prepared {
  readonly model: Model;
  readonly runner: ModelRunner;
}

/** One record per data set; nothing that a case throws ends the others. */
async function runCase(setup: CaseSetup, test: TestCase, name: string): Promise<TestRecord[]> {
  const { source } = setup;
  let prepared: Prepared | undefined;
  const prepare = () => {
    const model = readTestModel(source, test);
    const { machine, precision, device } = setup;
    const externalData = externalDataOf(source, test.modelPath);
    const options = { model, machine, precision, device, externalData, dims: new Map() };
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
  const ran = { ranOn: result.ranOn, worstRelativeError };
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

function isBad({ verdict }: TestRecord): boolean {
  return verdict === "fail" || verdict === "error";
}

function filterOf(text = ""): RegExp {
  try {
    return new RegExp(text);
  } catch (error) {
    return fail("L0901", `--filter: ${(error as Error).message}`);
  }
}

function ruleOf(text: string | undefined, path: string): JudgeRule {
  if (text === undefined) return /\.(tar\.gz|tgz|tar)$/.test(path) ? conformanceRule : modelRule;
  if (text === "onnx") return conformanceRule;
  if (text === "model") return modelRule;
  const relative = Number(text);
  if (!(relative > 0)) fail("L0901", `--tolerance takes onnx, model or a number, not "${text}"`);
  return { rule: "model", relative };
}

function nameOf(path: string, inner: string): string {
  return inner === "" ? path.replace(/\/+$/, "").replace(/^.*\//, "") : inner;
}

function totalsOf(records: readonly TestRecord[]) {
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

/** So many passing sets are listed one by one. */
const listedMax = 60;

function printRecords(records: readonly TestRecord[]): void {
  const listed =
    records.length <= listedMax ? records : records.filter((r) => r.verdict !== "pass");
  if (listed.length > 0) {
    printTable(
      ["test", "verdict", "ran on", "worst error", "seconds"],
      listed.map((record) => [
        record.name,
        record.verdict,
        record.ranOn ?? "-",
        record.worstRelativeError?.toExponential(1) ?? "-",
        Number(record.seconds.toFixed(2)),
      ]),
    );
  }
  for (const { name, verdict, reason } of records) {
    if (verdict !== "pass" && reason !== undefined) print(`\n${name}: ${reason}`);
  }
  const totals = totalsOf(records);
  print(
    `\n${totals.pass} pass, ${totals.fail} fail, ${totals.refused} refused, ${totals.error} error; ` +
      `ran on the accelerator ${totals.accelerator}, in part ${totals.mixed}, on the host ${totals.host}; ` +
      `${numberText(Number(totals.seconds.toFixed(1)))} s`,
  );
}
