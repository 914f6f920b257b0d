/** `lightloom report`: what runs where and why, kernels with their cycles, memory, how far from the machine's best. */
import { pc } from "./colors.js";
import { accuracyLosses, printAccuracy } from "../analysis/accuracy.js";
import { joinParts } from "../analysis/join-parts.js";
import { printReport, printSupport } from "../analysis/print-report.js";
import { reportOf } from "../analysis/report.js";
import { nodesOf, supportReport } from "../analysis/support.js";
import { timelineOf } from "../analysis/timeline.js";
import { createSimulatedDevice } from "../runtime/device.js";
import type { Float64, Precision } from "../compiler/pipeline.js";
import { createModelRunner, type ModelRunner } from "../runtime/model-runner.js";
import { writeAtomically } from "../runtime/node/atomic-write.js";
import { loadModelFile } from "../runtime/node/model-file.js";
import { gatherInputs } from "./inputs.js";
import { engineNamed } from "./engine-options.js";
import {
  collectPair,
  command,
  deviceNamed,
  dimOption,
  machineOption,
  precisionOption,
  float64Option,
} from "./options.js";
import { createProgress, print, printJson } from "./output.js";

/** Kernels listed without --all. */
const kernelsMax = 20;

export function reportCommand() {
  return command("report", "what runs where and why, kernels, cycles, utilisation, memory")
    .argument("<model>", "an .onnx file")
    .addOption(machineOption)
    .addOption(precisionOption)
    .addOption(float64Option)
    .addOption(dimOption)
    .option(
      "-i, --input <name=file>",
      "value of an input, for its shape: .npy, .pb or .png; repeatable",
      collectPair,
      new Map<string, string>(),
    )
    .option("--all", "list all kernels, not only the longest")
    .option("--support", "only say of every node where it runs, why, and what would change that")
    .option("--trace <file>", "write what every engine does when, for Perfetto or chrome://tracing")
    .action(async (path, options) => {
      const progress = createProgress();
      const file = loadModelFile(path);
      const machine = await deviceNamed(options.machine);
      const inputs = gatherInputs(file.model, options.input, options.dim);
      progress.show(`compiling for ${machine.name}`);
      const runnerOf = (precision: Precision, float64: Float64): ModelRunner =>
        createModelRunner({
          model: file.model,
          machine,
          precision,
          float64,
          dims: options.dim,
          device: createSimulatedDevice(engineNamed("jit")),
          file: path,
          externalData: file.externalData,
        });
      const outputsOf = async (of: ModelRunner) => (await of.run(inputs)).outputs;
      const runner = runnerOf(options.precision, options.float64);
      const part = joinParts(await runner.prepare(inputs));
      const nodes = nodesOf(file.model);
      if (options.trace !== undefined) {
        progress.show("writing the trace");
        const timeline = timelineOf({ ...part, machine });
        writeAtomically(options.trace, new TextEncoder().encode(JSON.stringify(timeline)));
      }
      if (options.support === true) {
        progress.clear();
        const support = supportReport(part.executable, nodes);
        if (options.json) printJson(support);
        else print(printSupport(support, { color: pc.isColorSupported }));
        return;
      }
      const report = reportOf({ ...part, machine, nodes });
      // Only running tells what rounding cost.
      const accuracy =
        options.precision === "fp32" && options.float64 === "host"
          ? undefined
          : accuracyLosses(await outputsOf(runnerOf("fp32", "host")), await outputsOf(runner));
      progress.clear();
      if (options.json) printJson({ ...report, accuracy });
      else {
        const limit = options.all === true ? {} : { kernelsMax };
        print(printReport(report, { color: pc.isColorSupported, ...limit }));
        if (accuracy !== undefined) print(`\n${printAccuracy(accuracy)}`);
      }
    });
}
