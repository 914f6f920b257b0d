/**
 * The programs of a model for the inputs that come: what has been compiled for such inputs, what a store has kept, or
 * what the compiler makes, with the dims open that the policies of dims and values say. The few in use stay loaded.
 */
import { optionsFor } from "../compiler/1-import/evaluate-model.js";
import type { ImportOptions } from "../compiler/1-import/import.js";
import { compileModel } from "../compiler/compile.js";
import { bindShapes } from "../ir/bindings.js";
import type { Executable } from "../isa/executable.js";
import type { ExternalData } from "../onnx/external.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import type { DiagnosticCode } from "../support/codes.js";
import { DiagnosticError, InternalError } from "../support/diagnostic.js";
import { machineHash } from "../target/machine-hash.js";
import { checkInputs, type DimSettings } from "./check-inputs.js";
import {
  dimCandidates,
  learnFrom,
  type LearntDims,
  noteValues,
  type SeenValues,
} from "./dims-policy.js";
import type { ModelPort } from "./model-ports.js";
import type { RunnerOptions } from "./model-runner.js";
import { type BoundValues, noteBound, offeredValues, takesValues } from "./value-policy.js";
import { type LoadedExecutable, loadExecutable } from "./walk.js";

type Values = ReadonlyMap<string, HostValue>;

/** Executables that a runner keeps; the least recently used one goes first. */
const entriesMax = 4;

export interface ProgramCounts {
  /** Executables that were made or loaded for runs; a session whose shapes vary settles at two. */
  readonly programs: number;
  /** How often the compiler ran, ranges that turned out too wide included. */
  readonly compiles: number;
  /** Executables that came out of the store instead. */
  readonly storeHits: number;
}

export class ModelPrograms {
  readonly #options: RunnerOptions;
  readonly #inputs: readonly ModelPort[];
  readonly #machineHash: string;
  readonly #seen: SeenValues = new Map();
  readonly #boundValues: BoundValues = new Map();
  readonly #learnt: LearntDims = { raised: new Set(), bound: new Set() };
  /** Most recently used first. */
  #entries: readonly LoadedExecutable[] = [];
  #inParts = true;
  #programs = 0;
  #compiles = 0;
  #storeHits = 0;

  constructor(options: RunnerOptions, inputs: readonly ModelPort[]) {
    this.#options = options;
    this.#inputs = inputs;
    this.#machineHash = machineHash(options.machine);
  }

  get counts(): ProgramCounts {
    return { programs: this.#programs, compiles: this.#compiles, storeHits: this.#storeHits };
  }

  /** Throws L0601 to L0604 for inputs, and whatever compiling them says. */
  load(inputs: Values): LoadedExecutable {
    checkInputs(this.#inputs, inputs, this.#options.dims);
    noteValues(this.#seen, this.#inputs, inputs);
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

  /** From now on the host runs what waits for shapes that depend on data; programs that leave it to a part go. */
  async endParts(): Promise<void> {
    this.#inParts = false;
    await this.#release(({ executable }) => executable.later.length > 0);
  }

  /** Gives all of them back when the runs have ended. */
  async release(): Promise<void> {
    await this.#release(() => true);
  }

  async #release(isOver: (entry: LoadedExecutable) => boolean): Promise<void> {
    const over = this.#entries.filter(isOver);
    this.#entries = this.#entries.filter((entry) => !over.includes(entry));
    await Promise.all(over.map((entry) => entry.release()));
  }

  #create(inputs: Values): LoadedExecutable {
    for (;;) {
      const { loaded, dims } = this.#firstThatFits(inputs);
      const chosen = new Map([...dims].filter(([name]) => !this.#options.dims.has(name)));
      const stuck = stuckDims(this.#inputs, loaded.executable, chosen);
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
        ...importOptions(this.#options, () => (isSelfContained = false)),
        ...optionsFor(model, inputs),
        inputValues: offeredValues(inputs, this.#boundValues),
        dims,
        machine,
        machineHash: this.#machineHash,
        precision,
        float64,
        inParts: this.#inParts,
      });
    };
    if (store === undefined) return compile();
    const key = JSON.stringify([
      this.#machineHash,
      precision,
      float64,
      [...dims],
      this.#inParts,
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
}

/** Where a model's other files are; `onRead` hears of every read. */
export function importOptions(
  { file, externalData }: RunnerOptions,
  onRead?: () => void,
): Pick<ImportOptions, "file" | "externalData"> {
  return {
    ...(file === undefined ? {} : { file }),
    ...(externalData === undefined ? {} : { externalData: observed(externalData, onRead) }),
  };
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

export function isTooWide(error: unknown): error is DiagnosticError {
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
