/**
 * The parts of a run that follow the first: models of their own, with a runner each, so that dims and values that data
 * decide upon are bound, kept open and forgotten as a caller's are. A runner is made when the first part has shown
 * what types it takes.
 */
import { laterPart } from "../compiler/1-import/part-models.js";
import { dimNames } from "../compiler/1-import/symbols.js";
import type { Model } from "../onnx/model.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import type { ModelRunner, RunnerOptions, RunnerStats } from "./model-runner.js";
import type { ProgramStore } from "./program-store.js";

type Values = ReadonlyMap<string, HostValue>;

/** The runner of a later part and what it takes. */
export interface Continuation {
  readonly runner: ModelRunner;
  readonly inputs: Values;
}

export interface LaterParts {
  /** `values`: the inputs of the whole and the results of the first part. */
  find(later: readonly number[], values: Values): Continuation;
  stats(): readonly RunnerStats[];
  release(): Promise<void>;
}

/** Runners that are kept: a part has another one only where ranks or types depend on data. */
const runnersMax = 4;

export function createLaterParts(
  options: RunnerOptions,
  create: (options: RunnerOptions) => ModelRunner,
): LaterParts {
  /** Most recently used last. */
  const runners = new Map<string, ModelRunner>();
  return {
    find(later, values) {
      const key = JSON.stringify([
        later,
        [...values].map(([name, value]) => [name, kindOf(value)]),
      ]);
      const runner = runners.get(key) ?? create(partOptions(options, later, values, key));
      runners.delete(key);
      runners.set(key, runner);
      for (const [oldest, unused] of [...runners].slice(0, -runnersMax)) {
        runners.delete(oldest);
        void unused.release();
      }
      const names = new Set(runner.inputs.map(({ name }) => name));
      return { runner, inputs: new Map([...values].filter(([name]) => names.has(name))) };
    },
    stats: () => [...runners.values()].map((runner) => runner.stats),
    async release() {
      const all = [...runners.values()];
      runners.clear();
      await Promise.all(all.map((runner) => runner.release()));
    },
  };
}

function kindOf(value: HostValue): string {
  return isTensor(value) ? `${value.dtype} ${value.shape.length}` : value.kind;
}

function partOptions(
  options: RunnerOptions,
  later: readonly number[],
  values: Values,
  key: string,
): RunnerOptions {
  const model: Model = laterPart(options.model, later, values);
  const known = dimNames(model.graph);
  const { store } = options;
  return {
    ...options,
    model,
    dims: new Map([...options.dims].filter(([name]) => known.has(name))),
    ...(store === undefined ? {} : { store: storeOf(store, key) }),
  };
}

/** The part's own programs among those of the model. */
function storeOf(store: ProgramStore, part: string): ProgramStore {
  const own = (key: string): string => JSON.stringify([part, key]);
  return {
    get: (key) => store.get(own(key)),
    put: (key, executable) => store.put(own(key), executable),
  };
}
