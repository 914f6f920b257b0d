/**
 * Sessions in the shape of ONNX Runtime's JavaScript API, so that existing clients work with the import changed.
 * What runs below is `model-runner.ts`; where a model's bytes come from is the host's affair (`services.ts`).
 */
import type { InferenceSession as OrtSession, Tensor as OrtTensor } from "onnxruntime-common";
import type { ExternalData } from "../onnx/external.js";
import type { Model } from "../onnx/model.js";
import type { Engine } from "../sim/engine.js";
import { createReferenceEngine } from "../sim/reference/reference.js";
import { DiagnosticError, fail } from "../support/diagnostic.js";
import type { DeviceMachine } from "../target/machine.js";
import { findDevice } from "../target/machines.js";
import { validateMachine } from "../target/validate.js";
import { unknownNames } from "./check-inputs.js";
import { createSimulatedDevice } from "./device.js";
import type { HostRuntime } from "./host-runtime.js";
import { createModelRunner, type ModelRunner, type RunnerStats } from "./model-runner.js";
import { type ModelPort, outputPorts } from "./model-ports.js";
import { type Feed, tensorToOrt, valueFromOrt, valueToOrt } from "./ort-tensors.js";
import type { ProgramStore } from "./program-store.js";
import { checkOptions, dimSettings, type SessionOptions } from "./session-options.js";
import { typeName } from "./type-names.js";

/** What a session is made of, all defaults resolved. */
export interface SessionSource {
  readonly model: Model;
  readonly file?: string;
  readonly externalData?: ExternalData;
  readonly store?: ProgramStore;
  /** The JIT of the host for the session's number of threads, shared by its sessions. */
  readonly jit: Engine;
  /** Of the place where this runs; undefined where there is none. */
  readonly hostRuntime: () => Promise<HostRuntime | undefined>;
}

type Feeds = Readonly<Record<string, Feed>>;
type Fetches = readonly string[] | Readonly<Record<string, OrtTensor | null>>;

export interface InferenceSession {
  /** Names of the inputs that have to be given. */
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly OrtSession.ValueMetadata[];
  readonly outputMetadata: readonly OrtSession.ValueMetadata[];
  /** How often the session has compiled, run, and run on the host instead. */
  readonly stats: RunnerStats;
  /**
   * Runs the model. `fetches`: names of the outputs wanted, or tensors by name that they are written to. An output
   * whose metadata say that it is no tensor is a `SessionValue`: an array for a sequence, a `Map` for a map.
   * Throws L0601 (unknown name), L0602 (type, shape), L0603 (missing input), L0604 (index out of range).
   */
  run(feeds: Feeds, options?: OrtSession.RunOptions): Promise<Record<string, OrtTensor>>;
  run(
    feeds: Feeds,
    fetches: Fetches,
    options?: OrtSession.RunOptions,
  ): Promise<Record<string, OrtTensor>>;
  /** Gives device memory back and ends the threads that used it. The session cannot be used any more. */
  release(): Promise<void>;
}

export function createSession(source: SessionSource, options: SessionOptions): InferenceSession {
  const { model, file, externalData, store, jit } = source;
  checkOptions(options);
  const engine = options.engine === "reference" ? createReferenceEngine() : jit;
  const runner = createModelRunner({
    model,
    machine: resolveMachine(options.machine ?? "pf1"),
    precision: options.precision ?? "fp32",
    float64: options.float64,
    dims: dimSettings(options),
    device: createSimulatedDevice(engine),
    host: { choice: options.hostRuntime ?? "auto", load: source.hostRuntime },
    ...(file === undefined ? {} : { file }),
    ...(externalData === undefined ? {} : { externalData }),
    ...(store === undefined ? {} : { store }),
  });
  return new Session(runner, outputPorts(model));
}

function resolveMachine(machine: string | DeviceMachine): DeviceMachine {
  if (typeof machine === "string") return findDevice(machine);
  const problems = validateMachine(machine);
  if (problems.length > 0) throw new DiagnosticError(problems);
  return machine;
}

class Session implements InferenceSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  readonly inputMetadata: readonly OrtSession.ValueMetadata[];
  readonly outputMetadata: readonly OrtSession.ValueMetadata[];
  readonly #outputs: readonly ModelPort[];
  readonly #inputs: readonly ModelPort[];
  #runner: ModelRunner | undefined;

  constructor(runner: ModelRunner, outputs: readonly ModelPort[]) {
    const required = runner.inputs.filter((port) => port.required);
    this.#runner = runner;
    this.#inputs = runner.inputs;
    this.#outputs = outputs;
    this.inputNames = required.map((port) => port.name);
    this.outputNames = outputs.map((port) => port.name);
    this.inputMetadata = required.map(metadataOf);
    this.outputMetadata = outputs.map(metadataOf);
  }

  get stats(): RunnerStats {
    return (this.#runner ?? failReleased()).stats;
  }

  async run(
    feeds: Feeds,
    fetchesOrOptions?: Fetches | OrtSession.RunOptions,
    options?: OrtSession.RunOptions,
  ): Promise<Record<string, OrtTensor>> {
    const runner = this.#runner ?? failReleased();
    const fetches = this.#fetches(fetchesOrOptions, options !== undefined);
    const byName = new Map(this.#inputs.map((port) => [port.name, port]));
    const unknown = unknownNames(this.#inputs, Object.keys(feeds), "input");
    if (unknown.length > 0) throw new DiagnosticError(unknown);
    const inputs = new Map(
      Object.entries(feeds).map(([name, fed]) => [name, valueFromOrt(fed, byName.get(name)!)]),
    );
    const { outputs } = await runner.run(inputs);
    return Object.fromEntries(
      [...fetches].map(([name, target]) => {
        const value = outputs.get(name)!;
        // A value of another kind is typed as a tensor, as ONNX Runtime types all it returns.
        if (target === null) return [name, valueToOrt(value, name) as OrtTensor];
        return [name, copiedInto(target, tensorToOrt(value, name), name)];
      }),
    );
  }

  async release(): Promise<void> {
    const runner = this.#runner ?? failReleased();
    this.#runner = undefined;
    await runner.release();
  }

  /** Names wanted and where they go. Tensors or nulls by an output's name are fetches, other objects options. */
  #fetches(
    given: Fetches | OrtSession.RunOptions | undefined,
    isFetches: boolean,
  ): ReadonlyMap<string, OrtTensor | null> {
    const all = new Map(this.outputNames.map((name) => [name, null] as const));
    if (given === undefined) return all;
    const names = Array.isArray(given) ? (given as readonly string[]) : Object.keys(given);
    const isOptions = !isFetches && !Array.isArray(given) && !names.some((name) => all.has(name));
    if (isOptions) return all;
    const unknown = unknownNames(this.#outputs, names, "output");
    if (unknown.length > 0) throw new DiagnosticError(unknown);
    if (Array.isArray(given)) return new Map(names.map((name) => [name, null]));
    return new Map(Object.entries(given as Readonly<Record<string, OrtTensor | null>>));
  }
}

function copiedInto(target: OrtTensor, result: OrtTensor, name: string): OrtTensor {
  const isSame = target.type === result.type && target.dims.join() === result.dims.join();
  if (!isSame) {
    const text = (tensor: OrtTensor) => `${tensor.type} [${tensor.dims.join(", ")}]`;
    throw new DiagnosticError([
      {
        code: "L0602",
        message: `output "${name}" is ${text(result)}, the tensor to write it to ${text(target)}`,
      },
    ]);
  }
  const data = target.data as unknown as { set?(from: unknown): void } & unknown[];
  if (data.set !== undefined) data.set(result.data);
  else (result.data as unknown as string[]).forEach((text, i) => (data[i] = text));
  return target;
}

function metadataOf({ name, kind, dtype, dims }: ModelPort): OrtSession.ValueMetadata {
  if (kind !== "tensor" || dtype === undefined) return { name, isTensor: false };
  const type = typeName(dtype) as OrtTensor.Type;
  return { name, isTensor: true, type, shape: dims ?? [] };
}

/** L0605 for a session that has been released. */
function failReleased(): never {
  fail("L0605", "the session has been released", { hint: "create another one" });
}
