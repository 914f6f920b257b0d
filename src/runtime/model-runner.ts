/**
 * One model on one device: compiles when the inputs ask for it, keeps the few executables that are in use, and
 * runs. Values in and out are the host's; ONNX Runtime's shape of a session is `session.ts`.
 */
import { evaluateModel, optionsFor } from "../compiler/1-import/evaluate-model.js";
import type { ImportOptions } from "../compiler/1-import/import.js";
import { compileModel } from "../compiler/compile.js";
import type { Float64, Precision } from "../compiler/pipeline.js";
import { bindShapes } from "../ir/bindings.js";
import { everyStep, type Executable } from "../isa/executable.js";
import type { ExternalData } from "../onnx/external.js";
import type { Model } from "../onnx/model.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import type { DiagnosticCode } from "../support/codes.js";
import { DiagnosticError, fail, InternalError } from "../support/diagnostic.js";
import type { DeviceMachine } from "../target/machine.js";
import { machineHash } from "../target/machine-hash.js";
import { checkInputs, type DimSettings } from "./check-inputs.js";
import type { Device } from "./device.js";
import {
  dimCandidates,
  learnFrom,
  type LearntDims,
  noteValues,
  type SeenValues,
} from "./dims-policy.js";
import type { RegionRun } from "./host-region.js";
import type { HostRuntimeSetting } from "./host-runtime.js";
import { createLaterParts, type LaterParts } from "./later-parts.js";
import { inputPorts, type ModelPort } from "./model-ports.js";
import type { ProgramStore } from "./program-store.js";
import { TooLargeForDevice } from "./transfer.js";
import { type BoundValues, noteBound, offeredValues, takesValues } from "./value-policy.js";
import { type LoadedExecutable, loadExecutable } from "./walk.js";

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

export interface RunnerStats {
  readonly runs: number;
  /** Executables that were made or loaded for runs; a session whose shapes vary settles at two. */
  readonly programs: number;
  /** How often the compiler ran, ranges that turned out too wide included. */
  readonly compiles: number;
  /** Executables that came out of the store instead. */
  readonly storeHits: number;
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

/** Executables that a runner keeps; the least recently used one goes first. */
const entriesMax = 4;

export function createModelRunner(options: RunnerOptions): ModelRunner {
  return new Runner(options);
}

/** Where the steps of an executable run; filling in known values is nobody's work. */
export function ranOn(executable: Executable): RanOn {
  const steps = everyStep(executable.steps);
  const launches = steps.some((step) => step.kind === "launch");
  const host = steps.some((step) => step.kind === "host" && step.graph.nodes.length > 0);
  if (launches) return host ? "mixed" : "accelerator";
  return host ? "host" : "accelerator";
}

class Runner implements ModelRunner {
  readonly inputs: readonly ModelPort[];
  readonly #options: RunnerOptions;
  readonly #machineHash: string;
  readonly #seen: SeenValues = new Map();
  readonly #boundValues: BoundValues = new Map();
  readonly #learnt: LearntDims = { raised: new Set(), bound: new Set() };
  readonly #hostRuns = new Map<string, number>();
  /** Most recently used first. */
  #entries: readonly LoadedExecutable[] = [];
  #runs = 0;
  #compiles = 0;
  #programs = 0;
  #storeHits = 0;
  readonly #laterParts: LaterParts;
  #wholeBecause: string | undefined;

  constructor(options: RunnerOptions) {
    this.#options = options;
    this.#laterParts = createLaterParts(options, createModelRunner);
    this.#machineHash = machineHash(options.machine);
    this.inputs = inputPorts(options.model);
  }

  get stats(): RunnerStats {
    const parts = this.#laterParts.stats();
    const wholeBecause = this.#wholeBecause;
    return {
      runs: this.#runs,
      programs: this.#programs,
      compiles: this.#compiles,
      storeHits: this.#storeHits,
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
    const loaded = this.#load(inputs);
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
      const outputs = evaluateModel(this.#options.model, inputs, this.#importOptions());
      return { outputs, parts, ranOn: "host", hostRegions: [], reason };
    }
  }

  async prepare(inputs: Values): Promise<readonly RunPart[]> {
    const loaded = this.#load(inputs);
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
      await this.#endParts((error as DiagnosticError).diagnostics[0]!.message);
      return undefined;
    }
  }

  /** From now on the host runs all that waits for shapes that depend on data. */
  async #endParts(reason: string): Promise<void> {
    this.#wholeBecause = reason;
    const cut = this.#entries.filter(({ executable }) => executable.later.length > 0);
    this.#entries = this.#entries.filter((entry) => !cut.includes(entry));
    await Promise.all([...cut.map((entry) => entry.release()), this.#laterParts.release()]);
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

  #load(inputs: Values): LoadedExecutable {
    checkInputs(this.inputs, inputs, this.#options.dims);
    noteValues(this.#seen, this.inputs, inputs);
    const known = this.#entries.find(
      (entry) => bindingsFor(entry.executable, inputs) !== undefined,
    );
    const entry = known ?? this.#create(inputs);
    if (known === undefined) {
      this.#programs++;
      const isDataNow = noteBound(entry.executable, this.#boundValues);
      // A dim may have been needed as a number only for such a value.
      if (isDataNow) this.#learnt.bound.clear();
    }
    const others = this.#entries.filter((other) => other !== entry);
    for (const oldest of others.splice(entriesMax - 1)) void oldest.release();
    this.#entries = [entry, ...others];
    return entry;
  }

  async release(): Promise<void> {
    const entries = this.#entries;
    this.#entries = [];
    await Promise.all([...entries.map((entry) => entry.release()), this.#laterParts.release()]);
  }

  #create(inputs: Values): LoadedExecutable {
    for (;;) {
      const { loaded, dims } = this.#firstThatFits(inputs);
      const chosen = new Map([...dims].filter(([name]) => !this.#options.dims.has(name)));
      const stuck = stuckDims(this.inputs, loaded.executable, chosen);
      const isWorthRetrying = learnFrom(stuck, this.#seen, this.#learnt);
      if (!isWorthRetrying) return loaded;
    }
  }

  /** The first of the policy's settings that fits the machine and can be simulated. */
  #firstThatFits(inputs: Values): {
    readonly loaded: LoadedExecutable;
    readonly dims: DimSettings;
  } {
    const { dims: set, device, host } = this.#options;
    const candidates = dimCandidates(this.#seen, set, this.#learnt);
    for (const [i, dims] of candidates.entries()) {
      try {
        const executable = this.#executable(inputs, dims);
        return { loaded: loadExecutable(executable, device, host), dims };
      } catch (error) {
        if (i === candidates.length - 1 || !isTooWide(error)) throw error;
      }
    }
    throw new InternalError("the policy of dims has no candidate");
  }

  #executable(inputs: Values, dims: DimSettings): Executable {
    const { machine, model, precision, float64 = "host", store } = this.#options;
    let isSelfContained = true;
    const compile = (): Executable => {
      this.#compiles++;
      return compileModel(model, {
        ...this.#importOptions(() => (isSelfContained = false)),
        ...optionsFor(model, inputs),
        inputValues: offeredValues(inputs, this.#boundValues),
        dims,
        machine,
        machineHash: this.#machineHash,
        precision,
        float64,
        inParts: this.#wholeBecause === undefined,
      });
    };
    if (store === undefined) return compile();
    const key = JSON.stringify([
      this.#machineHash,
      precision,
      float64,
      [...dims],
      this.#wholeBecause === undefined,
      [...inputs].map(([name, value]) => [name, isTensor(value) ? value.shape : value.kind]),
    ]);
    const kept = store.get(key);
    if (kept !== undefined && takesValues(kept, inputs)) {
      this.#storeHits++;
      return kept;
    }
    const executable = compile();
    // The key knows the model's own bytes only, not the files beside it.
    if (isSelfContained) store.put(key, executable);
    return executable;
  }

  #importOptions(onRead?: () => void): Pick<ImportOptions, "file" | "externalData"> {
    const { file, externalData } = this.#options;
    return {
      ...(file === undefined ? {} : { file }),
      ...(externalData === undefined ? {} : { externalData: observed(externalData, onRead) }),
    };
  }
}

function partOf({ executable }: LoadedExecutable, inputs: Values): RunPart {
  return { executable, bindings: bindingsFor(executable, inputs)! };
}

function keepsCompiling({ compiles, runs }: RunnerStats): boolean {
  return compiles > partCompiles.max && compiles * partCompiles.runsPerCompile > runs;
}

function observed(data: ExternalData, onRead: (() => void) | undefined): ExternalData {
  if (onRead === undefined) return data;
  return {
    read(location, offset, length) {
      onRead();
      return data.read(location, offset, length);
    },
  };
}

/** Dims that were to stay open, and are numbers in the executable. */
function stuckDims(
  ports: readonly ModelPort[],
  executable: Executable,
  asked: DimSettings,
): readonly string[] {
  const shapes = new Map(executable.inputs.map((port) => [port.name, port.shape]));
  const stuck = ports.flatMap(({ name, dims }) =>
    (dims ?? []).filter((dim, axis): dim is string => {
      const isAsked = typeof dim === "string" && typeof asked.get(dim) === "object";
      return isAsked && typeof shapes.get(name)?.[axis] === "number";
    }),
  );
  return [...new Set(stuck)];
}

/** What narrower ranges, or none, may cure. */
const tooWideCodes: ReadonlySet<DiagnosticCode> = new Set(["L0203", "L0401", "L0402"]);

function isTooWide(error: unknown): boolean {
  return (
    error instanceof DiagnosticError && error.diagnostics.some((d) => tooWideCodes.has(d.code))
  );
}

/**
 * The values of the executable's symbols for these inputs; undefined if it does not take them: others are given, or
 * extents that its symbols cannot be bound to.
 */
export function bindingsFor(
  executable: Executable,
  inputs: Values,
): ReadonlyMap<string, number> | undefined {
  const { inputs: ports, boundInputs } = executable;
  const isSameSet =
    ports.length + boundInputs.length === inputs.size &&
    ports.every((port) => inputs.has(port.name));
  if (!isSameSet || !takesValues(executable, inputs)) return undefined;
  const given = ports.flatMap((port) => {
    const value = inputs.get(port.name)!;
    return isTensor(value) && !port.unknownShape ? [{ value: port, shape: value.shape }] : [];
  });
  const bindings = new Map<string, number>();
  try {
    bindShapes(given, bindings);
    return bindings;
  } catch (error) {
    if (error instanceof DiagnosticError) return undefined;
    throw error;
  }
}

/** L0605 for a session that has been released. */
export function failReleased(): never {
  fail("L0605", "the session has been released", { hint: "create another one" });
}
