// @ts-check
/**
 * Entry of a worker thread of the simulator under Node. The file that it opens is closed when the thread ends, however
 * it ends: by that the launching thread notices, which waits without an event loop.
 */
import { openSync } from "node:fs";
import { parentPort, workerData } from "node:worker_threads";
import { createServer } from "../../sim/jit/threads/serve.mjs";

/** @type {Int32Array} */
const openFile = workerData;
Atomics.store(openFile, 0, openSync(process.execPath, "r"));
const serve = createServer();
parentPort?.on("message", serve);
