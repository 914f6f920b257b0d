/** Options of the commands that run something, and what their values mean. */
import { InvalidArgumentError, Option } from "@commander-js/extra-typings";
import {
  type HostRuntimeChoice,
  hostRuntimeChoices,
  type HostRuntimeSetting,
} from "../runtime/host-runtime.js";
import { onnxRuntimeHost } from "../runtime/node/onnxruntime-host.js";
import { sharedJit } from "../runtime/node/services.js";
import { type EngineName, engineNames, threadsMax } from "../runtime/session-options.js";
import type { Engine } from "../sim/engine.js";
import { createReferenceEngine } from "../sim/reference/reference.js";

export const engineOption = new Option("--engine <name>", "simulator: fast, or slow and plain")
  .choices(engineNames)
  .default("jit" as const);

export const hostRuntimeOption = new Option(
  "--host-runtime <name>",
  "who runs what the accelerator cannot: ONNX Runtime where it is installed and the part large (auto), " +
    "wherever it takes the part, or nobody but lightloom itself",
)
  .choices(hostRuntimeChoices)
  .default("auto" as const);

export const threadsOption = new Option(
  "-t, --threads <count>",
  "threads of the fast simulator; the results are the same for any number",
)
  .argParser(threadCount)
  .default(1);

function threadCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= threadsMax) return count;
  throw new InvalidArgumentError(`It has to be a whole number from 1 to ${threadsMax}.`);
}

/** For a runner's `host`. */
export function hostNamed(choice: HostRuntimeChoice): HostRuntimeSetting {
  return { choice, load: onnxRuntimeHost };
}

export function engineNamed(name: EngineName, threads = 1): Engine {
  return name === "jit" ? sharedJit(threads) : createReferenceEngine();
}
