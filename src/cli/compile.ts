/** `lightloom compile`: a model to an executable file, with every stage printable on the way. */
import { join } from "node:path";
import { Option } from "@commander-js/extra-typings";
import { compileModel, type Stage } from "../compiler/compile.js";
import { everyTiledStep } from "../compiler/tiled.js";
import { stageNames } from "../compiler/pipeline.js";
import { printGraph } from "../ir/text/print.js";
import { disassemble } from "../isa/disassemble.js";
import { everyStep, type Executable } from "../isa/executable.js";
import { printKernel } from "../isa/kernel-text.js";
import { writeExecutable } from "../runtime/executable-file.js";
import { writeAtomically } from "../runtime/node/atomic-write.js";
import { loadModelFile } from "../runtime/node/model-file.js";
import { fail } from "../support/diagnostic.js";
import { didYouMean } from "../support/suggest.js";
import { machineHash } from "../target/machine-hash.js";
import {
  command,
  deviceNamed,
  dimOption,
  machineOption,
  precisionOption,
  float64Option,
} from "./options.js";
import { numberText, print, printJson, printTable } from "./output.js";

export function compileCommand() {
  return command("compile", "compile a model to an executable file")
    .argument("<model>", "an .onnx file")
    .option("-o, --output <file>", "executable to write (ELF64)")
    .addOption(machineOption)
    .addOption(precisionOption)
    .addOption(float64Option)
    .addOption(dimOption)
    .addOption(
      new Option("--print-after <stage>", "print what the stage made (see `lightloom passes`)")
        .argParser((text: string, all: readonly string[]) => [...all, text])
        .default([] as readonly string[], "none"),
    )
    .option("--stop-after <stage>", "go no further, and print what the stage made")
    .option("--time-passes", "show how long each stage took")
    .option("--dump-dir <folder>", "write what every stage made to files in this folder")
    .action(async (path, options) => {
      const { stopAfter, dumpDir, output } = options;
      const printed = new Set([...options.printAfter, ...(stopAfter ? [stopAfter] : [])]);
      for (const name of printed) requireStage(name);
      if (stopAfter !== undefined && output !== undefined) {
        fail("L0901", `--stop-after ${stopAfter} makes no executable that --output could write`);
      }
      const watch = createWatch();
      const file = loadModelFile(path);
      const machine = await deviceNamed(options.machine);
      const observe = (stage: Stage) => {
        watch.lap(stage.name);
        if (dumpDir !== undefined) dump(dumpDir, stage);
        if (printed.has(stage.name)) print(stageText(stage));
        if (stage.name === stopAfter) throw new Stopped();
        watch.restart();
      };
      const executable = unlessStopped(() =>
        compileModel(file.model, {
          file: path,
          externalData: file.externalData,
          dims: options.dim,
          machine,
          machineHash: machineHash(machine),
          precision: options.precision,
          float64: options.float64,
          observe,
        }),
      );
      if (options.timePasses) watch.print();
      if (executable === undefined) return;
      const bytes = output === undefined ? undefined : writeExecutable(executable);
      if (bytes !== undefined) writeAtomically(output!, bytes);
      const summary = summarize(executable, bytes);
      if (options.json) printJson({ ...summary, records: executable.records });
      else if (printed.size === 0) printSummary(summary, output);
    });
}

function requireStage(name: string): void {
  if (stageNames.includes(name)) return;
  fail("L0901", `there is no stage "${name}"`, {
    notes: [`stages: ${stageNames.join(", ")}`],
    ...didYouMean(name, stageNames),
  });
}

/** Thrown out of the compiler by --stop-after. */
class Stopped extends Error {}

function unlessStopped<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (error instanceof Stopped) return undefined;
    throw error;
  }
}

/** A graph, kernels or programs, in the form that reads back. */
function stageText(stage: Stage): string {
  switch (stage.kind) {
    case "graph":
      return stage.changed ? printGraph(stage.graph) : `// ${stage.name}: unchanged`;
    case "tiled":
      return everyTiledStep(stage.tiled.steps)
        .flatMap((step) =>
          step.kind === "launch" ? [`// ${step.plan}\n${printKernel(step.written.kernel)}`] : [],
        )
        .join("\n");
    case "executable":
      return stage.executable.programs.map((program) => disassemble(program)).join("\n");
    default:
      return stage satisfies never;
  }
}

const extensions = { graph: "graph", tiled: "kernels", executable: "s" } as const;

/** `03-contract-bf16.graph` and so on, in the order of the pipeline. */
function dump(folder: string, stage: Stage): void {
  const number = `${stageNames.indexOf(stage.name)}`.padStart(2, "0");
  const name = `${number}-${stage.name}.${extensions[stage.kind]}`;
  writeAtomically(join(folder, name), new TextEncoder().encode(stageText(stage)));
}

function createWatch() {
  const laps = new Map<string, number>();
  let start = performance.now();
  return {
    lap(name: string): void {
      laps.set(name, (laps.get(name) ?? 0) + performance.now() - start);
    },
    /** After what the observer did, which is not the stage's time. */
    restart(): void {
      start = performance.now();
    },
    print(): void {
      const total = [...laps.values()].reduce((sum, ms) => sum + ms, 0);
      const rows = [...laps, ["total", total] as const].map(([name, ms]) => [
        name,
        ms.toFixed(1),
        `${((100 * ms) / total).toFixed(0)} %`,
      ]);
      printTable(["stage", "ms", "share"], rows);
    },
  };
}

interface Summary {
  readonly name: string;
  readonly machine: string;
  readonly programs: number;
  readonly launches: number;
  readonly hostSteps: number;
  readonly memoryBytes: number;
  readonly constantBytes: number;
  readonly openDims: readonly string[];
  readonly boundDims: readonly string[];
  readonly fileBytes?: number;
}

function summarize(executable: Executable, file: Uint8Array | undefined): Summary {
  const { name, machine, programs, memoryBytes, constants, symbols, records } = executable;
  const steps = everyStep(executable.steps);
  return {
    name,
    machine: machine.name,
    programs: programs.length,
    launches: steps.filter((step) => step.kind === "launch").length,
    hostSteps: steps.filter((step) => step.kind === "host" && step.graph.nodes.length > 0).length,
    memoryBytes,
    constantBytes: constants.length,
    openDims: symbols.map((symbol) => `${symbol.name}=${symbol.min}..${symbol.max}`),
    boundDims: records.flatMap((record) => (record.what === "bound-dim" ? [record.why] : [])),
    ...(file === undefined ? {} : { fileBytes: file.length }),
  };
}

function printSummary(summary: Summary, output: string | undefined): void {
  const { openDims, boundDims, fileBytes } = summary;
  const rows: (readonly [string, string])[] = [
    ["model", summary.name],
    ["machine", summary.machine],
    ["programs", `${summary.programs}, launched ${summary.launches} times in a run`],
    ["on the host", `${summary.hostSteps} steps`],
    ["device memory", `${numberText(summary.memoryBytes)} bytes`],
    ["of it constants", `${numberText(summary.constantBytes)} bytes`],
  ];
  if (openDims.length > 0) rows.push(["open dims", openDims.join(", ")]);
  for (const reason of boundDims) rows.push(["bound dim", reason]);
  if (fileBytes !== undefined) rows.push(["written", `${output}, ${numberText(fileBytes)} bytes`]);
  const width = Math.max(...rows.map(([label]) => label.length));
  for (const [label, text] of rows) print(`${label.padEnd(width)}  ${text}`);
}
