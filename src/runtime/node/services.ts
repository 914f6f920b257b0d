/** What Node gives to sessions: models by path, and WebAssembly that is optimised at once. */
import { setFlagsFromString } from "node:v8";
import type { Engine } from "../../sim/engine.js";
import { createJitEngine } from "../../sim/jit/jit.js";
import type { RuntimeServices } from "../services.js";
import { onnxRuntimeHost } from "./onnxruntime-host.js";
import { createDiskStore, defaultCacheFolder } from "./disk-store.js";
import { loadModelFile } from "./model-file.js";
import { createWorkerPool } from "./worker-pool.js";

const engines = new Map<number, Engine>();

export const nodeServices: RuntimeServices = {
  readModel: (path) => Promise.resolve(loadModelFile(path)),
  jit: sharedJit,
  hostRuntime: onnxRuntimeHost,
  store: (modelBytes, folder = defaultCacheFolder()) => createDiskStore({ folder, modelBytes }),
};

/** One per process and number of threads: an engine shares the code of equal programs. */
export function sharedJit(threads = 1): Engine {
  let engine = engines.get(threads);
  if (engine === undefined) {
    const pool = threads > 1 ? { pool: createWorkerPool(threads) } : {};
    engine = createJitEngine({ optimised, ...pool });
    engines.set(threads, engine);
  }
  return engine;
}

/**
 * V8 starts WebAssembly in its baseline compiler and never replaces a function while it runs, so a long-running
 * kernel would stay slow. The flags hold only while `compile` runs.
 */
function optimised<T>(compile: () => T): T {
  setFlagsFromString("--no-liftoff");
  setFlagsFromString("--no-wasm-lazy-compilation");
  try {
    return compile();
  } finally {
    setFlagsFromString("--liftoff");
    setFlagsFromString("--wasm-lazy-compilation");
  }
}
