/** Options that several commands share, and what their values mean. */
import { readFileSync } from "node:fs";
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { DimRange } from "../compiler/1-import/symbols.js";
import type { Precision } from "../compiler/pipeline.js";
import { threadsMax } from "../runtime/session.js";
import {
  type HostRuntimeChoice,
  hostRuntimeChoices,
  type HostRuntimeSetting,
} from "../runtime/host-runtime.js";
import { onnxRuntimeHost } from "../runtime/node/onnxruntime-host.js";
import { sharedJit } from "../runtime/node/services.js";
import type { Engine } from "../sim/engine.js";
import { createReferenceEngine } from "../sim/reference/reference.js";
import { fail } from "../support/diagnostic.js";
import type { DeviceMachine, Machine } from "../target/machine.js";
import { findDevice, findMachine } from "../target/machines.js";
import { parseMachine } from "../target/schema.js";

/** A command with the options that every command has. */
export function command<Name extends string>(name: Name, about: string) {
  return new Command(name)
    .description(about)
    .option("--json", "print JSON for programs instead of tables for people")
    .option("--debug", "show the stack of an internal error");
}

export const machineOption = new Option(
  "-m, --machine <name>",
  "machine to compile for: a name (see `lightloom machines`) or a .json file",
).default("pf1");

export const precisionOption = new Option(
  "-p, --precision <type>",
  "what contractions read: fp32 keeps the model's own types",
)
  .choices(["fp32", "bf16"] as const satisfies readonly Precision[])
  .default("fp32" as const);

export const engineOption = new Option("--engine <name>", "simulator: fast, or slow and plain")
  .choices(["jit", "reference"] as const)
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

export const dimOption = new Option(
  "-d, --dim <name=value>",
  "bind a dimension (n=5) or keep it open to run time (n=1..512); repeatable",
)
  .argParser(collectDim)
  .default(new Map<string, number | DimRange>(), "bound to the inputs' shapes");

function collectDim(
  text: string,
  previous: ReadonlyMap<string, number | DimRange>,
): Map<string, number | DimRange> {
  const match = /^(.+)=(\d+)(?:\.\.(\d+))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("It has to look like T=5 or T=1..512.");
  const [, name, low, high] = match;
  const min = Number(low);
  const max = Number(high);
  if (high !== undefined && max < min) throw new InvalidArgumentError(`${max} is below ${min}.`);
  return new Map([...previous, [name!, high === undefined ? min : { min, max }]]);
}

/** `name=path` pairs. */
export function collectPair(
  text: string,
  previous: ReadonlyMap<string, string>,
): Map<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It has to look like name=file.");
  return new Map([...previous, [text.slice(0, at), text.slice(at + 1)]]);
}

/** Throws L0701, L0702. */
export function deviceNamed(name: string): DeviceMachine {
  if (!name.endsWith(".json")) return findDevice(name);
  const machine = machineNamed(name);
  if (machine.kind === "device") return machine;
  return fail("L0701", `Machine "${machine.name}" is described for planning only.`, {
    place: { file: name },
  });
}

export function machineNamed(name: string): Machine {
  if (!name.endsWith(".json")) return findMachine(name);
  return parseMachine(readJson(name), name);
}

function readJson(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    const code = error instanceof SyntaxError ? "L0702" : "L0101";
    return fail(code, (error as Error).message, { place: { file: path } });
  }
}

/** For a runner's `host`. */
export function hostNamed(choice: HostRuntimeChoice): HostRuntimeSetting {
  return { choice, load: onnxRuntimeHost };
}

export function engineNamed(name: "jit" | "reference", threads = 1): Engine {
  return name === "jit" ? sharedJit(threads) : createReferenceEngine();
}
