/** `lightloom bisect`: the first operator, pass, kernel, instruction or engine at which a result goes wrong. */
import { bisect, type Bisection } from "../analysis/bisect.js";
import { withAllOutputs } from "../analysis/bisect-operators.js";
import { printBisection } from "../analysis/print-bisect.js";
import { encodeModel, type Model } from "../onnx/model.js";
import type { HostValue } from "../ops/record.js";
import { checkInputs } from "../runtime/check-inputs.js";
import { modelRule } from "../runtime/judge.js";
import { inputPorts } from "../runtime/model-ports.js";
import { openFiles } from "../runtime/node/files.js";
import { loadModelFile } from "../runtime/node/model-file.js";
import { runOnnxRuntime } from "../runtime/node/onnxruntime.js";
import { findTestSets, readTestSet, type TestSet } from "../runtime/test-case.js";
import { fail } from "../support/diagnostic.js";
import { machineHash } from "../target/machine-hash.js";
import { engineNamed, engineOption } from "./engine-options.js";
import { command, deviceNamed, machineOption, precisionOption, float64Option } from "./options.js";
import { createProgress, note, print, printJson } from "./output.js";

type Values = ReadonlyMap<string, HostValue>;

export function bisectCommand() {
  return command("bisect", "find the first operator, pass, kernel or instruction that is wrong")
    .argument("<model>", "an .onnx file")
    .argument("<folder>", "test data: input_0.pb, output_0.pb, .. or test_data_set_* with them")
    .addOption(machineOption)
    .addOption(precisionOption)
    .addOption(float64Option)
    .addOption(engineOption)
    .option("--no-host", "do not ask onnxruntime-node, if it is installed, for the tensors between")
    .addHelpText("after", "\nExit code 0: nothing is wrong; 1: something is; 2: wrong usage.")
    .action(async (path, folder, options) => {
      const progress = createProgress();
      const { model, externalData } = loadModelFile(path);
      const machine = await deviceNamed(options.machine);
      const source = openFiles(folder);
      const sets = findTestSets(source);
      if (sets.length === 0) {
        fail("L0901", "there is no test data here", {
          place: { file: folder },
          notes: ["a set is input_0.pb, .. and output_0.pb, .. as ONNX's own tests have them"],
        });
      }
      const results: (Bisection & { readonly set: string })[] = [];
      for (const files of sets) {
        progress.show(`${results.length + 1}/${sets.length} ${files.path}`);
        const set = readTestSet(source, model, files);
        checkInputs(inputPorts(model), set.inputs, new Map());
        const host = options.host ? await askHost(model, set.inputs) : undefined;
        const bisection = await bisect({
          model,
          inputs: set.inputs,
          expected: expectedOf(model, set, host),
          ...(host === undefined ? {} : { intermediates: host }),
          rule: modelRule,
          machine,
          machineHash: machineHash(machine),
          precision: options.precision,
          float64: options.float64,
          engine: engineNamed(options.engine),
          file: path,
          externalData,
        });
        results.push({ set: files.path === "" ? folder : files.path, ...bisection });
      }
      progress.clear();
      if (options.json) printJson(results);
      else printResults(results);
      if (results.some(({ finding }) => finding !== undefined)) process.exitCode = 1;
    });
}

function printResults(results: readonly (Bisection & { readonly set: string })[]): void {
  const texts = results.map((result) =>
    results.length === 1 ? printBisection(result) : `${result.set}\n${printBisection(result)}`,
  );
  print(texts.join("\n\n"));
}

/** All tensors of the model; undefined, with a note, where the host cannot give them. */
async function askHost(model: Model, inputs: Values): Promise<Values | undefined> {
  const isWhole = model.graph.initializer.every((tensor) => tensor.externalData.length === 0);
  if (!isWhole) {
    note("the model's weights lie beside it, so onnxruntime-node is not asked for tensors between");
    return undefined;
  }
  try {
    const file = encodeModel(withAllOutputs(model));
    const run = await runOnnxRuntime(file, model, inputs, { runs: 1, threads: 1 });
    if (run === undefined) note("onnxruntime-node is not installed: operators are not searched");
    return run?.outputs;
  } catch (error) {
    note(`onnxruntime-node cannot run this model: ${(error as Error).message.split("\n")[0]}`);
    return undefined;
  }
}

/** Recorded outputs, else the host's; none: the op references are taken to be right. */
function expectedOf({ graph }: Model, { outputs }: TestSet, host: Values | undefined): Values {
  if (outputs.size > 0 || host === undefined) return outputs;
  return new Map(
    graph.output.flatMap(({ name = "" }) => {
      const value = host.get(name);
      return value === undefined ? [] : [[name, value] as const];
    }),
  );
}
