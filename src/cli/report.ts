/** `lightloom report`: what runs where and why, kernels with their cycles, memory, how far from the machine's best. */
import { pc } from "./colors.js";
import { printReport } from "../analysis/print-report.js";
import { reportOf } from "../analysis/report.js";
import { nodesOf } from "../analysis/support.js";
import { createSimulatedDevice } from "../runtime/device.js";
import { bindingsFor, createModelRunner } from "../runtime/model-runner.js";
import { loadModelFile } from "../runtime/node/model-file.js";
import { gatherInputs } from "./inputs.js";
import {
  collectPair,
  command,
  deviceNamed,
  dimOption,
  engineNamed,
  machineOption,
  precisionOption,
} from "./options.js";
import { createProgress, print, printJson } from "./output.js";

/** Kernels listed without --all. */
const kernelsMax = 20;

export function reportCommand() {
  return command("report", "what runs where and why, kernels, cycles, utilisation, memory")
    .argument("<model>", "an .onnx file")
    .addOption(machineOption)
    .addOption(precisionOption)
    .addOption(dimOption)
    .option(
      "-i, --input <name=file>",
      "value of an input, for its shape: .npy, .pb or .png; repeatable",
      collectPair,
      new Map<string, string>(),
    )
    .option("--all", "list all kernels, not only the longest")
    .action((path, options) => {
      const progress = createProgress();
      const file = loadModelFile(path);
      const machine = deviceNamed(options.machine);
      const inputs = gatherInputs(file.model, options.input, options.dim);
      progress.show(`compiling for ${machine.name}`);
      const { executable } = createModelRunner({
        model: file.model,
        machine,
        precision: options.precision,
        dims: options.dim,
        device: createSimulatedDevice(engineNamed("jit")),
        file: path,
        externalData: file.externalData,
      }).prepare(inputs);
      const nodes = nodesOf(file.model);
      const bindings = bindingsFor(executable, inputs)!;
      const report = reportOf({ executable, machine, bindings, nodes });
      progress.clear();
      if (options.json) printJson(report);
      else {
        const limit = options.all === true ? {} : { kernelsMax };
        print(printReport(report, { color: pc.isColorSupported, ...limit }));
      }
    });
}
