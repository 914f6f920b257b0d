/** `lightloom run`: compile, execute, show the outputs and where the time went. */
import { type InferenceInputs, runAndShow } from "./run-model.js";
import { gatherInputs } from "./inputs.js";
import { engineOption, hostRuntimeOption, threadsOption } from "./engine-options.js";
import {
  collectPair,
  command,
  dimOption,
  machineOption,
  precisionOption,
  float64Option,
} from "./options.js";
import { prepareExample } from "./example.js";
import { loadModelFile } from "../runtime/node/model-file.js";

export function runCommand() {
  return command("run", "run a model on a simulated accelerator; without a model: the example")
    .argument("[model]", "an .onnx file")
    .addOption(machineOption)
    .addOption(precisionOption)
    .addOption(float64Option)
    .addOption(dimOption)
    .option(
      "-i, --input <name=file>",
      "value of an input: .npy, .pb or .png (scaled to 0..1); repeatable",
      collectPair,
      new Map<string, string>(),
    )
    .option(
      "-o, --output <name=file>",
      "write an output: .npy, or .pb for any type; repeatable",
      collectPair,
      new Map<string, string>(),
    )
    .addOption(engineOption)
    .addOption(hostRuntimeOption)
    .addOption(threadsOption)
    .option("--no-cache", "compile even if the program has been kept from an earlier run")
    .option("--compare", "compare with ONNX Runtime on the CPU")
    .action(async (path, options) => {
      const prepared = path === undefined ? prepareExample() : prepare(path, options);
      await runAndShow(prepared, {
        ...options,
        compare: options.compare === true || path === undefined,
        cache: options.cache,
        json: options.json === true,
      });
    });
}

function prepare(
  path: string,
  options: { readonly input: ReadonlyMap<string, string>; readonly dim: InferenceInputs["dims"] },
): InferenceInputs {
  const file = loadModelFile(path);
  return {
    path,
    bytes: file.bytes,
    model: file.model,
    externalData: file.externalData,
    inputs: gatherInputs(file.model, options.input, options.dim),
    dims: options.dim,
  };
}
