/** What a session needs from its surroundings: Node's are in `node/services.ts`, a browser tab's here. */
import type { ExternalData } from "../onnx/external.js";
import { decodeModel, type Model } from "../onnx/model.js";
import type { Engine } from "../sim/engine.js";
import { createJitEngine } from "../sim/jit/jit.js";
import { fail } from "../support/diagnostic.js";
import type { HostRuntime } from "./host-runtime.js";
import type { ProgramStore } from "./program-store.js";

export interface RuntimeServices {
  /** L0101 where there is nothing to read, L0102 where it is no model. */
  readModel(path: string): Promise<ReadModel>;
  /** The fast engine, one for all sessions of so many threads. Where there are no threads, it runs on one. */
  jit(threads: number): Engine;
  /** Another runtime for what the accelerator cannot; undefined where there is none. */
  hostRuntime(): Promise<HostRuntime | undefined>;
  /** Where programs of the model are kept; undefined: nowhere. */
  store(modelBytes: Uint8Array, folder: string | undefined): ProgramStore | undefined;
}

export interface ReadModel {
  readonly bytes: Uint8Array;
  readonly model: Model;
  readonly externalData?: ExternalData;
}

let engine: Engine | undefined;

/** Models by URL; programs are not kept. */
const webServices: RuntimeServices = {
  async readModel(path) {
    const response = await fetch(path);
    if (!response.ok) {
      fail("L0101", `the model cannot be fetched: ${response.status} ${response.statusText}`, {
        place: { file: path },
      });
    }
    const bytes = new Uint8Array(await response.arrayBuffer());
    return { bytes, model: decodeModel(bytes, { file: path }) };
  },
  jit: () => (engine ??= createJitEngine()),
  hostRuntime: () => Promise.resolve(undefined),
  store: () => undefined,
};

/** Of the place where this runs. Node's are loaded only there: nothing else of the core touches its built-ins. */
export async function servicesHere(): Promise<RuntimeServices> {
  const isNode = typeof process === "object" && typeof process.versions?.node === "string";
  if (!isNode) return webServices;
  const { nodeServices } = await import("./node/services.js");
  return nodeServices;
}
