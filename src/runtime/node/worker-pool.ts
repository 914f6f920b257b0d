/** Threads for the simulator out of Node's worker threads. They do not keep the process alive. */
import { fstatSync } from "node:fs";
import { Worker } from "node:worker_threads";
import type { PoolWorker, WorkerPool } from "../../sim/jit/threads/threads.js";

/** The longest sleep, after which the workers are looked at. */
const sleepMs = 50;
const notOpenYet = -1;

export function createWorkerPool(threads: number): WorkerPool {
  return {
    threads,
    start: startWorker,
    sleep: (words, at, value) => void Atomics.wait(words, at, value, sleepMs),
  };
}

function startWorker(): PoolWorker {
  const openFile = new Int32Array(new SharedArrayBuffer(4)).fill(notOpenYet);
  const worker = new Worker(new URL("./pool-worker.mjs", import.meta.url), {
    name: "lightloom",
    workerData: openFile,
    execArgv: [],
  });
  worker.unref();
  let failure: string | undefined;
  worker.on("error", (error) => (failure = error.message));
  worker.on("exit", (code) => (failure ??= `it exited with code ${code}`));
  return {
    post: (message) => worker.postMessage(message, []),
    failure: () => failure ?? (hasClosed(openFile) ? "it ended while it ran" : undefined),
    end: () => void worker.terminate(),
  };
}

/** Whether the file that the worker holds open as long as it lives is closed (pool-worker.mjs). */
function hasClosed(openFile: Int32Array): boolean {
  const file = Atomics.load(openFile, 0);
  if (file === notOpenYet) return false;
  try {
    fstatSync(file);
    return false;
  } catch {
    return true;
  }
}
