/**
 * The launching thread's side of a shared launch: deals members out to the workers of an injected pool, takes part
 * itself, and waits for all. Members compute the same bits whoever runs them, so it does not matter who does, nor
 * whether a worker has started yet.
 */
import { fail, InternalError } from "../../../support/diagnostic.js";
import {
  argsMax,
  readFailure,
  type RunMembers,
  takeMembers,
  type WorkerMessage,
  word,
} from "./protocol.mjs";

export type { WorkerMessage };

/** Where threads come from; Node's is runtime/node/worker-pool.ts. */
export interface WorkerPool {
  /** Threads that run a launch, the launching one included. */
  readonly threads: number;
  /** Starts a worker that hands its messages to `createServer` (serve.mjs). It must not keep the process alive. */
  start(): PoolWorker;
  /** Sleeps while `words[at]` is `value`. May return early, and must after a while. */
  sleep(words: Int32Array, at: number, value: number): void;
}

export interface PoolWorker {
  post(message: WorkerMessage): void;
  /** Why the worker has ended without being told to; undefined while it lives. */
  failure(): string | undefined;
  end(): void;
}

/** Control code over a memory. What workers know it by is kept per object. */
export interface Instance {
  readonly memory: WebAssembly.Memory;
  readonly control: WebAssembly.Module;
  readonly kernels: readonly WebAssembly.Module[];
}

export interface Round {
  readonly instance: Instance;
  /** Number of the program in the instance, and its function. */
  readonly program: number;
  readonly run: RunMembers;
  readonly members: number;
  /** Where each thread has a scratch area of its own: the first, and the distance to the next. */
  readonly scratch: number;
  readonly pitchBytes: number;
  readonly args: readonly number[];
}

export interface Threads {
  readonly count: number;
  /** Throws L0607 where a worker is lost; the next launch begins with new ones. */
  run(round: Round): void;
  /** No launch uses the memory any more. Workers end, because what they hold keeps it in existence. */
  release(memory: WebAssembly.Memory): void;
}

export function createThreads(pool: WorkerPool): Threads {
  let crew: Crew | undefined;
  const dismiss = (): void => {
    for (const worker of crew?.workers ?? []) worker.end();
    crew = undefined;
  };
  return {
    count: pool.threads,
    run(round) {
      if (round.args.length > argsMax)
        return round.run(0, round.members, round.scratch, ...round.args);
      crew ??= startCrew(pool);
      try {
        introduce(crew, round.instance);
        runRound(pool, crew, round);
      } catch (error) {
        dismiss();
        throw error;
      }
    },
    release(memory) {
      const isKnown = [...(crew?.instances.keys() ?? [])].some((known) => known.memory === memory);
      if (isKnown) dismiss();
    },
  };
}

/** The workers of one start, and what they have been told. */
interface Crew {
  readonly workers: readonly PoolWorker[];
  readonly words: Int32Array;
  readonly instances: Map<Instance, number>;
}

function startCrew(pool: WorkerPool): Crew {
  const words = new Int32Array(new SharedArrayBuffer(4 * word.count));
  const workers = Array.from({ length: pool.threads - 1 }, () => pool.start());
  const crew = { words, workers, instances: new Map() };
  tell(crew, (thread) => ({ kind: "join", words, thread }));
  return crew;
}

/** Workers learn that there is a message before it is sent, so that they look for it. */
function tell({ workers, words }: Crew, message: (thread: number) => WorkerMessage): void {
  Atomics.add(words, word.posted, 1);
  Atomics.add(words, word.round, 2);
  Atomics.notify(words, word.round);
  workers.forEach((worker, i) => worker.post(message(i + 1)));
}

function introduce(crew: Crew, instance: Instance): void {
  if (crew.instances.has(instance)) return;
  const number = crew.instances.size;
  crew.instances.set(instance, number);
  const { memory, control, kernels } = instance;
  tell(crew, () => ({ kind: "instance", number, memory, control, kernels }));
}

function runRound(pool: WorkerPool, crew: Crew, round: Round): void {
  const { words } = crew;
  requireAlive(crew.workers);
  words[word.members] = round.members;
  words[word.instance] = crew.instances.get(round.instance)!;
  words[word.program] = round.program;
  words[word.scratch] = round.scratch;
  words[word.pitchBytes] = round.pitchBytes;
  words[word.argCount] = round.args.length;
  words.set(round.args, word.args);
  Atomics.store(words, word.next, 0);
  Atomics.add(words, word.round, 1);
  Atomics.notify(words, word.round);
  takeMembers(words, round.run, 0);
  Atomics.add(words, word.round, 1);
  awaitWorkers(pool, crew);
  const failure = readFailure(words);
  if (failure !== undefined) throw new InternalError(`a thread of the simulator: ${failure}`);
}

/** So often the busy ones are looked at before the thread sleeps. */
const looksMax = 3000;

function awaitWorkers(pool: WorkerPool, { words, workers }: Crew): void {
  for (let looks = 0; ; looks++) {
    const busy = Atomics.load(words, word.busy);
    if (busy === 0) break;
    if (looks < looksMax) continue;
    pool.sleep(words, word.busy, busy);
    requireAlive(workers);
  }
}

function requireAlive(workers: readonly PoolWorker[]): void {
  for (const worker of workers) {
    const failure = worker.failure();
    if (failure === undefined) continue;
    fail("L0607", "a thread of the simulator has ended", {
      notes: [failure],
      hint: "run it with one thread",
    });
  }
}
