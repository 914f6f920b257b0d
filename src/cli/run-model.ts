/** One model with its inputs: run it, show what came out, how long it took and how it compares. */
import type { DimSettings } from "../runtime/check-inputs.js";
import type { Float64, Precision } from "../compiler/pipeline.js";
import type { ExternalData } from "../onnx/external.js";
import type { Model } from "../onnx/model.js";
import type { HostValue } from "../ops/record.js";
import { createSimulatedDevice } from "../runtime/device.js";
import type { RegionRun } from "../runtime/host-region.js";
import type { HostRuntimeChoice } from "../runtime/host-runtime.js";
import { judgeOutputs, modelRule } from "../runtime/judge.js";
import { createModelRunner, type RunOutcome } from "../runtime/model-runner.js";
import { createDiskStore, defaultCacheFolder } from "../runtime/node/disk-store.js";
import { runOnnxRuntime } from "../runtime/node/onnxruntime.js";
import type { ProgramStore } from "../runtime/program-store.js";
import type { EngineName } from "../runtime/session-options.js";
import { engineNamed, hostNamed } from "./engine-options.js";
import { deviceNamed } from "./options.js";
import { checkOutputFiles, type OutputFiles, writeOutputs } from "./output-files.js";
import { createProgress, note, numberText, print, printJson } from "./output.js";
import { joinParts } from "../analysis/join-parts.js";
import { reportOf } from "../analysis/report.js";
import { kernelShares, printTiming } from "./show-timing.js";
import { printOutputs, summarizeOutput } from "./show-outputs.js";

export interface InferenceInputs {
  readonly path: string;
  readonly bytes: Uint8Array;
  readonly model: Model;
  readonly externalData: ExternalData;
  readonly inputs: ReadonlyMap<string, HostValue>;
  readonly dims: DimSettings;
  /** What the outputs mean, in a sentence. */
  readonly explain?: (outputs: ReadonlyMap<string, HostValue>) => string;
}

export interface RunSettings {
  readonly machine: string;
  readonly precision: Precision;
  readonly float64: Float64;
  readonly engine: EngineName;
  readonly threads: number;
  readonly hostRuntime: HostRuntimeChoice;
  readonly compare: boolean;
  readonly cache: boolean;
  readonly json: boolean;
  readonly output: OutputFiles;
}

export async function runAndShow(model: InferenceInputs, settings: RunSettings): Promise<void> {
  checkOutputFiles(model.model, settings.output);
  const machine = await deviceNamed(settings.machine);
  const progress = createProgress();
  const runner = createModelRunner({
    model: model.model,
    machine,
    precision: settings.precision,
    float64: settings.float64,
    dims: model.dims,
    device: createSimulatedDevice(engineNamed(settings.engine, settings.threads)),
    host: hostNamed(settings.hostRuntime),
    file: model.path,
    externalData: model.externalData,
    ...(settings.cache ? { store: keptPrograms(model.bytes) } : {}),
  });
  progress.show(`compiling for ${machine.name}`);
  const compileMs = await timed(() => runner.prepare(model.inputs));
  progress.show("running");
  let outcome: RunOutcome | undefined;
  const runMs = await timed(async () => (outcome = await runner.run(model.inputs)));
  progress.clear();
  const { outputs, ranOn, hostRegions, reason } = outcome!;
  writeOutputs(outputs, settings.output);
  const summaries = [...outputs].map(([name, value]) => summarizeOutput(name, value));
  const comparison = settings.compare ? await compare(model, outputs) : undefined;
  const text = model.explain?.(outputs);
  const report = reportOf({ ...joinParts(outcome!.parts), machine });
  if (settings.json) {
    printJson({
      machine: machine.name,
      ranOn,
      hostRegions,
      reason,
      text,
      compileMs,
      runMs,
      comparison,
      cycles: report.cycles,
      seconds: report.seconds,
      utilisation: report.utilisation,
      kernels: kernelShares(report),
      outputs: summaries,
    });
    return;
  }
  if (text !== undefined) print(`${text}\n`);
  printOutputs(summaries);
  print("");
  printTiming(report);
  if (comparison !== undefined) print(comparison.text);
  if (reason !== undefined) note(reason);
  for (const region of hostRegions) print(regionText(region));
  const how = runner.stats.storeHits > 0 ? "loaded from the cache" : "compiled";
  print(
    `ran on ${where(ranOn)} of ${machine.name}; ${how} in ${ms(compileMs)}, simulated in ${ms(runMs)}`,
  );
}

function keptPrograms(modelBytes: Uint8Array): ProgramStore {
  return createDiskStore({ folder: defaultCacheFolder(), modelBytes, warn: note });
}

async function timed(run: () => unknown): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

function ms(value: number): string {
  return `${numberText(Math.round(value))} ms`;
}

function regionText({ origins, by, why }: RegionRun): string {
  const nodes = origins.length === 1 ? `"${origins[0]!.node}"` : `${origins.length} nodes`;
  const who = by === "reference" ? "lightloom itself" : by;
  return `on the host: ${nodes}, by ${who}${why === undefined ? "" : ` (${why})`}`;
}

function where(ranOn: RunOutcome["ranOn"]): string {
  return ranOn === "mixed" ? "the accelerator and the host" : `the ${ranOn}`;
}

interface Comparison {
  readonly milliseconds: number;
  readonly worstRelativeError: number;
  readonly text: string;
}

async function compare(
  { path, model, inputs }: InferenceInputs,
  outputs: ReadonlyMap<string, HostValue>,
): Promise<Comparison | undefined> {
  let run: Awaited<ReturnType<typeof runOnnxRuntime>>;
  try {
    run = await runOnnxRuntime(path, model, inputs, { runs: 1, threads: 1 });
  } catch (error) {
    // A model that it does not take is no mistake of the user's, nor of ours.
    note(`ONNX Runtime does not run it, so there is nothing to compare with: ${String(error)}`);
    return undefined;
  }
  if (run === undefined) {
    note("onnxruntime-node is not installed, so there is nothing to compare with");
    return undefined;
  }
  const { milliseconds } = run;
  const { worstRelativeError, difference } = judgeOutputs(outputs, run.outputs, modelRule);
  const error = worstRelativeError.toExponential(1);
  const text =
    difference === undefined
      ? `agrees with ONNX Runtime: the largest difference is ${error} of the largest value`
      : `differs from ONNX Runtime: ${difference}`;
  if (difference !== undefined) process.exitCode = 1;
  return { milliseconds, worstRelativeError, text };
}
