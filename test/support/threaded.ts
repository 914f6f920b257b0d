/** Engines of several threads for tests, with a view of what their workers do. */
import { createWorkerPool } from "../../src/runtime/node/worker-pool.js";
import { word } from "../../src/sim/jit/threads/protocol.mjs";
import type { PoolWorker, WorkerPool } from "../../src/sim/jit/threads/threads.js";

export interface WatchedPool extends WorkerPool {
  /** All that have been started, those that have ended among them. */
  readonly workers: readonly PoolWorker[];
  /** Members that the present workers have run. */
  taken(): number;
}

export function watchedPool(threads: number): WatchedPool {
  const pool = createWorkerPool(threads);
  const workers: PoolWorker[] = [];
  let words: Int32Array | undefined;
  return {
    ...pool,
    workers,
    start() {
      const worker = pool.start();
      workers.push(worker);
      return {
        ...worker,
        post(message) {
          if (message.kind === "join") ({ words } = message);
          worker.post(message);
        },
      };
    },
    taken: () => (words === undefined ? 0 : Atomics.load(words, word.taken)),
  };
}

/** Repeats until the workers have run so many more members: they take part once they have started. */
export async function untilShared(pool: WatchedPool, members: number, repeat: () => void) {
  const enough = pool.taken() + members;
  while (pool.taken() < enough) {
    repeat();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
