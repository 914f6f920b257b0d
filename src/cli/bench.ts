/** `lightloom bench`: wall time of compiling and simulating a model, against ONNX Runtime where it is installed. */
import { createSimulatedDevice } from "../runtime/device.js";
import { createModelRunner } from "../runtime/model-runner.js";
import { loadModelFile } from "../runtime/node/model-file.js";
import { runOnnxRuntime } from "../runtime/node/onnxruntime.js";
import { fail } from "../support/diagnostic.js";
import { gatherInputs } from "./inputs.js";
import {
  engineNamed,
  engineOption,
  hostNamed,
  hostRuntimeOption,
  threadsOption,
} from "./engine-options.js";
import {
  collectPair,
  command,
  deviceNamed,
  dimOption,
  machineOption,
  precisionOption,
  float64Option,
} from "./options.js";
import { joinParts } from "../analysis/join-parts.js";
import { reportOf } from "../analysis/report.js";
import { createProgress, printJson, printTable } from "./output.js";

export function benchCommand() {
  return command("bench", "measure how long compiling and simulating take")
    .argument("<model>", "an .onnx file")
    .addOption(machineOption)
    .addOption(precisionOption)
    .addOption(float64Option)
    .addOption(dimOption)
    .option(
      "-i, --input <name=file>",
      "value of an input: .npy, .pb or .png; repeatable",
      collectPair,
      new Map<string, string>(),
    )
    .option("-n, --runs <count>", "runs, of which the fastest counts", "10")
    .addOption(engineOption)
    .addOption(hostRuntimeOption)
    .addOption(threadsOption)
    .action(async (path, options) => {
      const runs = Number(options.runs);
      if (!Number.isInteger(runs) || runs < 1) fail("L0901", "--runs takes a number from 1 on");
      const progress = createProgress();
      const file = loadModelFile(path);
      const inputs = gatherInputs(file.model, options.input, options.dim);
      const machine = await deviceNamed(options.machine);
      const runner = createModelRunner({
        model: file.model,
        machine,
        precision: options.precision,
        float64: options.float64,
        dims: options.dim,
        device: createSimulatedDevice(engineNamed(options.engine, options.threads)),
        host: hostNamed(options.hostRuntime),
        file: path,
        externalData: file.externalData,
      });
      progress.show("compiling");
      const compileMs = await elapsed(() => runner.prepare(inputs));
      const times: number[] = [];
      for (let i = 0; i < runs; i++) {
        progress.show(`run ${i + 1} of ${runs}`);
        times.push(await elapsed(() => runner.run(inputs)));
      }
      progress.show("ONNX Runtime");
      const reference = await runOnnxRuntime(path, file.model, inputs, {
        runs,
        threads: options.threads,
      });
      progress.clear();
      const simulateMs = Math.min(...times);
      const part = joinParts(await runner.prepare(inputs));
      const { cycles, seconds } = reportOf({ ...part, machine });
      const result = {
        machine: machine.name,
        deviceCycles: cycles.device,
        deviceSeconds: seconds.device,
        compileMs,
        firstRunMs: times[0]!,
        simulateMs,
        onnxRuntimeMs: reference?.milliseconds,
      };
      if (options.json) printJson(result);
      else {
        printTable(
          ["what", "ms"],
          [
            [`run on ${machine.name} itself`, seconds.device * 1000],
            [`compile for ${machine.name} and load`, round(compileMs)],
            ["first run, simulated", round(result.firstRunMs)],
            [`fastest of ${runs} runs, simulated`, round(simulateMs)],
            ...(reference === undefined
              ? []
              : [
                  [
                    `ONNX Runtime, CPU, threads: ${options.threads}`,
                    round(reference.milliseconds),
                  ] as const,
                ]),
          ],
        );
      }
    });
}

async function elapsed(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

function round(ms: number): number {
  return Number(ms.toFixed(2));
}
