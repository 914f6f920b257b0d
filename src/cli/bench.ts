/** `lightloom bench`: wall time of compiling and simulating a model, against ONNX Runtime where it is installed. */
import type { HostValue } from "../ops/record.js";
import { createSimulatedDevice } from "../runtime/device.js";
import { createModelRunner, type ModelRunner } from "../runtime/model-runner.js";
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
import { createProgress, printJson, printTable, type Progress } from "./output.js";

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
      const simulated = await timeRunner(runner, inputs, runs, progress);
      progress.show("ONNX Runtime");
      const { threads } = options;
      const reference = await runOnnxRuntime(path, file.model, inputs, { runs, threads });
      progress.clear();
      const part = joinParts(await runner.prepare(inputs));
      const { cycles, seconds } = reportOf({ ...part, machine });
      const result = {
        machine: machine.name,
        deviceCycles: cycles.device,
        deviceSeconds: seconds.device,
        ...simulated,
        onnxRuntimeMs: reference?.milliseconds,
      };
      if (options.json) printJson(result);
      else printTimes(result, { runs, threads });
    });
}

interface SimulatedTimes {
  readonly compileMs: number;
  readonly firstRunMs: number;
  /** Of the fastest run. */
  readonly simulateMs: number;
}

async function timeRunner(
  runner: ModelRunner,
  inputs: ReadonlyMap<string, HostValue>,
  runs: number,
  progress: Progress,
): Promise<SimulatedTimes> {
  progress.show("compiling");
  const compileMs = await elapsed(() => runner.prepare(inputs));
  const times: number[] = [];
  for (let i = 0; i < runs; i++) {
    progress.show(`run ${i + 1} of ${runs}`);
    times.push(await elapsed(() => runner.run(inputs)));
  }
  return { compileMs, firstRunMs: times[0]!, simulateMs: Math.min(...times) };
}

interface BenchResult extends SimulatedTimes {
  readonly machine: string;
  readonly deviceSeconds: number;
  readonly onnxRuntimeMs: number | undefined;
}

function printTimes(
  result: BenchResult,
  { runs, threads }: { readonly runs: number; readonly threads: number },
): void {
  const { machine, deviceSeconds, compileMs, firstRunMs, simulateMs, onnxRuntimeMs } = result;
  printTable(
    ["what", "ms"],
    [
      [`run on ${machine} itself`, deviceSeconds * 1000],
      [`compile for ${machine} and load`, round(compileMs)],
      ["first run, simulated", round(firstRunMs)],
      [`fastest of ${runs} runs, simulated`, round(simulateMs)],
      ...(onnxRuntimeMs === undefined
        ? []
        : [[`ONNX Runtime, CPU, threads: ${threads}`, round(onnxRuntimeMs)] as const]),
    ],
  );
}

async function elapsed(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

function round(ms: number): number {
  return Number(ms.toFixed(2));
}
