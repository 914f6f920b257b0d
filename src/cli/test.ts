/** `lightloom test`: ONNX-style test cases, each data set with its verdict and where it ran. */
import { Option } from "@commander-js/extra-typings";
import { createSimulatedDevice } from "../runtime/device.js";
import { conformanceRule, type JudgeRule, modelRule } from "../runtime/judge.js";
import { openFiles } from "../runtime/node/files.js";
import { runCase, type TestRecord, type TestSetup, totalsOf } from "../runtime/node/run-cases.js";
import { findTestCases } from "../runtime/test-case.js";
import { fail } from "../support/diagnostic.js";
import {
  engineNamed,
  engineOption,
  hostNamed,
  hostRuntimeOption,
  threadsOption,
} from "./engine-options.js";
import { command, deviceNamed, machineOption, precisionOption, float64Option } from "./options.js";
import { createProgress, numberText, print, printJson, printTable } from "./output.js";

export function testCommand() {
  return command("test", "run ONNX test directories (model.onnx + test_data_set_*) or archives")
    .argument("<path...>", "folders, .tar.gz or .tar files")
    .option("-f, --filter <pattern>", "only cases whose path matches this regular expression")
    .addOption(machineOption)
    .addOption(precisionOption)
    .addOption(float64Option)
    .addOption(engineOption)
    .addOption(hostRuntimeOption)
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
      const setup: TestSetup = {
        machine: await deviceNamed(options.machine),
        precision: options.precision,
        float64: options.float64,
        device: createSimulatedDevice(engineNamed(options.engine, options.threads)),
        host: hostNamed(options.hostRuntime),
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
