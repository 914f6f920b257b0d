/** Options that several commands share, and what their values mean. */
import { Command, InvalidArgumentError, Option } from "@commander-js/extra-typings";
import type { DimRange } from "../compiler/1-import/symbols.js";
import { float64Choices, precisions } from "../compiler/pipeline.js";
import { readFileBytes } from "../runtime/node/files.js";
import { fail } from "../support/diagnostic.js";
import type { DeviceMachine, Machine } from "../target/machine.js";
import { findDevice, findMachine } from "../target/machines.js";

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
  .choices(precisions)
  .default("fp32" as const);

export const float64Option = new Option(
  "--float64 <where>",
  "where doubles are computed: by the host, or in fp32 by the accelerator",
)
  .choices(float64Choices)
  .default("host" as const);

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
export async function deviceNamed(name: string): Promise<DeviceMachine> {
  if (!name.endsWith(".json")) return findDevice(name);
  const machine = await machineNamed(name);
  if (machine.kind === "device") return machine;
  return fail("L0701", `machine "${machine.name}" is described for planning only`, {
    place: { file: name },
  });
}

export async function machineNamed(name: string): Promise<Machine> {
  if (!name.endsWith(".json")) return findMachine(name);
  // The schema's library is loaded by those who need it: it takes as long as compiling a small model.
  const { parseMachine } = await import("../target/schema.js");
  return parseMachine(readJson(name), name);
}

function readJson(path: string): unknown {
  const text = new TextDecoder().decode(readFileBytes(path));
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail("L0702", `the file is not JSON: ${(error as Error).message}`, {
      place: { file: path },
    });
  }
}
