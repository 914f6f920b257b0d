/**
 * One model on one device: runs the program for the inputs at hand and, where shapes depend on data, the parts that
 * follow. Values in and out are the host's; ONNX Runtime's shape of a session is `session.ts`.
 */
import { evaluateModel } from "../compiler/1-import/evaluate-model.js";
import type { Float64, Precision } from "../compiler/pipeline.js";
import { everyStep, type Executable } from "../isa/executable.js";
import type { ExternalData } from "../onnx/external.js";
import type { Model } from "../onnx/model.js";
import type { HostValue } from "../ops/record.js";
import type { DeviceMachine } from "../target/machine.js";
import type { DimSettings } from "./check-inputs.js";
import type { Device } from "./device.js";
import type { RegionRun } from "./host-region.js";
import type { HostRuntimeSetting } from "./host-runtime.js";
import { createLaterParts, type LaterParts } from "./later-parts.js";
import { inputPorts, type ModelPort } from "./model-ports.js";
import {
  bindingsFor,
  importOptions,
  isTooWide,
  ModelPrograms,
  type ProgramCounts,
} from "./model-programs.js";
import type { ProgramStore } from "./program-store.js";
import { TooLargeForDevice } from "./transfer.js";
import type { LoadedExecutable } from "./walk.js";

type Values = ReadonlyMap<string, HostValue>;

export interface RunnerOptions {
  readonly model: Model;
  readonly machine: DeviceMachine;
  readonly precision: Precision;
  /** Default: host. */
  readonly float64?: Float64 | undefined;
  /** By dim_param: a number binds it for good, a range keeps it open from the first run on. */
  readonly dims: DimSettings;
  readonly device: Device;
  /** For diagnostics. */
  readonly file?: string;
  readonly externalData?: ExternalData;
  /** Who runs host regions; by default the operators' references. */
  readonly host?: HostRuntimeSetting;
  /** Where executables are kept between sessions. */
  readonly store?: ProgramStore;
}

export interface ModelRunner {
  readonly inputs: readonly ModelPort[];
  readonly stats: RunnerStats;
  /** Throws L0601 to L0604 for inputs, and whatever compiling them says. */
  run(inputs: Values): Promise<RunOutcome>;
  /**
   * Compiles for these inputs, or finds what has been compiled for them. Where shapes depend on data, all parts but
   * the last are run: what they give says what the next is compiled for.
   */
  prepare(inputs: Values): Promise<readonly RunPart[]>;
  /** Gives the executables, their memory and the sessions of their host regions back when the runs have ended. */
  release(): Promise<void>;
}

export interface RunOutcome {
  readonly outputs: Values;
  /** One after the other; several where shapes depend on data. */
  readonly parts: readonly RunPart[];
  readonly ranOn: RanOn;
  /** Who ran its host regions, and why. */
  readonly hostRegions: readonly RegionRun[];
  /** Why the whole model ran on the host although it was compiled for the device. */
  readonly reason?: string;
}

/** A part of a run: a program, and its symbols' values from the shapes of what it was given. */
export interface RunPart {
  readonly executable: Executable;
  readonly bindings: ReadonlyMap<string, number>;
}

export type RanOn = "accelerator" | "host" | "mixed";

export interface RunnerStats extends ProgramCounts {
  readonly runs: number;
  /** Runs that the host took over, by reason. */
  readonly hostRuns: ReadonlyMap<string, number>;
  /** Of the parts that follow the first one, where shapes depend on data. */
  readonly parts?: readonly RunnerStats[];
  /** Why the host runs what had parts of its own before. */
  readonly wholeBecause?: string;
}

/**
 * A part whose shapes are others at every run, and cannot stay open, would be compiled for ever: after so many times,
 * if that was more than one run in so many, the host runs it.
 */
const partCompiles = { max: 16, runsPerCompile: 4 } as const;

export function createModelRunner(options: RunnerOptions): ModelRunner {
  return new Runner(options);
}

/** Where the steps of an executable run; filling in known values is nobody's work. */
function ranOn(executable: Executable): RanOn {
  const steps = everyStep(executable.steps);
  const launches = steps.some((step) => step.kind === "launch");
  const host = steps.some((step) => step.kind === "host" && step.graph.nodes.length > 0);
  if (launches) return host ? "mixed" : "accelerator";
  return host ? "host" : "accelerator";
}

class Runner implements ModelRunner {
  readonly inputs: readonly ModelPort[];
  readonly #options: RunnerOptions;
  readonly #programs: ModelPrograms;
  readonly #hostRuns = new Map<string, number>();
  #runs = 0;
  readonly #laterParts: LaterParts;
  #wholeBecause: string | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#laterParts = createLaterParts(options, createModelRunner);
    this.inputs = inputPorts(options.model);
    this.#programs = new ModelPrograms(options, this.inputs);
  }

  get stats(): RunnerStats {
    const parts = this.#laterParts.stats();
    const wholeBecause = this.#wholeBecause;
    return {
      runs: this.#runs,
      ...this.#programs.counts,
      hostRuns: new Map(this.#hostRuns),
      ...(parts.length === 0 ? {} : { parts }),
      ...(wholeBecause === undefined ? {} : { wholeBecause }),
    };
  }

  run(inputs: Values): Promise<RunOutcome> {
    this.#runs++;
    return this.#run(inputs);
  }

  async #run(inputs: Values): Promise<RunOutcome> {
    const loaded = this.#programs.load(inputs);
    const { executable } = loaded;
    const parts = [partOf(loaded, inputs)];
    try {
      const outputs = await loaded.run(inputs);
      const hostRegions = loaded.hostRegions();
      const first = { outputs, parts, ranOn: ranOn(executable), hostRegions };
      if (executable.later.length === 0) return first;
      const values = new Map([...inputs, ...outputs]);
      const rest = await this.#goOn(executable, values, (runner, given) => runner.run(given));
      return rest === undefined ? this.#run(inputs) : this.#joined(first, rest);
    } catch (error) {
      if (!(error instanceof TooLargeForDevice)) throw error;
      const reason = error.diagnostics[0]!.message;
      this.#hostRuns.set(reason, (this.#hostRuns.get(reason) ?? 0) + 1);
      const outputs = evaluateModel(this.#options.model, inputs, importOptions(this.#options));
      return { outputs, parts, ranOn: "host", hostRegions: [], reason };
    }
  }

  async prepare(inputs: Values): Promise<readonly RunPart[]> {
    const loaded = this.#programs.load(inputs);
    const { executable } = loaded;
    const first = partOf(loaded, inputs);
    if (executable.later.length === 0) return [first];
    const values = new Map([...inputs, ...(await loaded.run(inputs))]);
    const rest = await this.#goOn(executable, values, (runner, given) => runner.prepare(given));
    return rest === undefined ? this.prepare(inputs) : [first, ...rest];
  }

  /** With the part that follows; undefined where it was found that the whole has to be compiled as one. */
  async #goOn<T>(
    { later }: Executable,
    values: Values,
    go: (runner: ModelRunner, inputs: Values) => Promise<T>,
  ): Promise<T | undefined> {
    const { runner, inputs } = this.#laterParts.find(later, values);
    try {
      const result = await go(runner, inputs);
      if (keepsCompiling(runner.stats)) await this.#endParts("a part was compiled too often");
      return result;
    } catch (error) {
      if (!isTooWide(error)) throw error;
      await this.#endParts(error.diagnostics[0]!.message);
      return undefined;
    }
  }

  /** From now on the host runs all that waits for shapes that depend on data. */
  async #endParts(reason: string): Promise<void> {
    this.#wholeBecause = reason;
    await Promise.all([this.#programs.endParts(), this.#laterParts.release()]);
  }

  #joined(first: RunOutcome, rest: RunOutcome): RunOutcome {
    const values = new Map([...first.outputs, ...rest.outputs]);
    const names = this.#options.model.graph.output.map(({ name = "" }) => name);
    const parts = [...first.parts, ...rest.parts];
    return {
      outputs: new Map(names.map((name) => [name, values.get(name)!])),
      parts,
      ranOn: first.ranOn === rest.ranOn ? first.ranOn : "mixed",
      hostRegions: [...first.hostRegions, ...rest.hostRegions],
      ...(rest.reason === undefined ? {} : { reason: rest.reason }),
    };
  }

  async release(): Promise<void> {
    await Promise.all([this.#programs.release(), this.#laterParts.release()]);
  }
}

function partOf({ executable }: LoadedExecutable, inputs: Values): RunPart {
  return { executable, bindings: bindingsFor(executable, inputs)! };
}

function keepsCompiling({ compiles, runs }: RunnerStats): boolean {
  return compiles > partCompiles.max && compiles * partCompiles.runsPerCompile > runs;
}
