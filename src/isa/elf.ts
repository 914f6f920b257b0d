/**
 * An Executable as one ELF64 file and back. Words and descriptors of programs and the constants are binary, everything
 * else is JSON, so that a person with `readelf -x` or any script can look at it.
 *
 *   .lightloom.meta   name, machine, symbols, where each program and host tensor lies in its section
 *   .programs         instruction words of all programs        .descriptors  their descriptor tables
 *   .constants        contents of constant buffers             .placement    buffers
 *   .schedule         steps, inputs, outputs                   .host         graphs of host steps as text
 *   .host.data        large tensors of host steps              .origins      ONNX nodes by launch and role
 *   .records          decisions with their reasons
 */
import type { DimSymbol } from "../ir/dim.js";
import { bytesFromData, dataFromBytes } from "../numerics/convert.js";
import type { DType } from "../numerics/dtype.js";
import { elementCount } from "../numerics/tensor.js";
import { DiagnosticError, fail } from "../support/diagnostic.js";
import { concatenate } from "./descriptors.js";
import {
  type HostReader,
  hostReader,
  type HostTables,
  type HostWriter,
  hostWriter,
  type SubgraphCodec,
} from "./elf-host.js";
import {
  elfPieces,
  layOut,
  parseJson,
  type Range,
  readSections,
  type Section,
  slice,
  utf8,
} from "./elf-sections.js";
import { decodeParts, encodeParts } from "./encode.js";
import {
  type BoundInput,
  type DecisionRecord,
  type DeviceBuffer,
  everyStep,
  type Executable,
  type HostStep,
  type IfStep,
  type LaunchStep,
  type LoopStep,
  type Port,
  type Step,
} from "./executable.js";

export function writeElf(executable: Executable, subgraphs?: SubgraphCodec): Uint8Array {
  return concatenate(writeElfPieces(executable, subgraphs));
}

/** The same in pieces, so that a file of many gigabytes need not be one array. */
function writeElfPieces(executable: Executable, subgraphs?: SubgraphCodec): Uint8Array[] {
  const programs = executable.programs.map(encodeParts);
  const words = layOut(programs.map((program) => program.words));
  const descriptors = layOut(programs.map((program) => program.descriptors));
  const host = hostWriter(subgraphs);
  const steps = executable.steps.map((step) => fileStep(step, host));
  const { name, machine, symbols, memoryBytes, inputs, boundInputs, outputs, later } = executable;
  const meta: Meta = {
    name,
    machine,
    symbols,
    memoryBytes,
    boundInputs: boundInputs.map(fileInput),
    later,
    programs: programs.map((_, i) => ({
      words: words.ranges[i]!,
      descriptors: descriptors.ranges[i]!,
    })),
    ...host.tables(),
  };
  const origins = everyStep(executable.steps).flatMap((step) =>
    step.kind === "launch" ? [step.origins] : [],
  );
  return elfPieces([
    json(".lightloom.meta", meta),
    { name: ".programs", bytes: words.bytes, alignment: 16, kind: "code" },
    { name: ".descriptors", bytes: descriptors.bytes, alignment: 8, kind: "data" },
    { name: ".constants", bytes: executable.constants, alignment: 64, kind: "data" },
    json(".schedule", { steps, inputs, outputs } satisfies Schedule),
    json(".placement", executable.buffers),
    json(".host", host.graphs()),
    { name: ".host.data", bytes: host.data(), alignment: 64, kind: "data" },
    json(".origins", origins),
    json(".records", executable.records),
  ]);
}

/** L0502 if the file is damaged, cut short, of another version, or no executable. */
export function readElf(file: Uint8Array, subgraphs?: SubgraphCodec): Executable {
  const sections = readSections(file);
  const bytesOf = (name: string): Uint8Array =>
    sections.get(name) ?? fail("L0502", `the file has no section ${name}`);
  const read = (name: string): unknown => parseJson(bytesOf(name), name);
  try {
    const meta = read(".lightloom.meta") as Meta;
    const dims = dimReader(meta.symbols);
    const host = hostReader(
      meta,
      read(".host") as readonly string[],
      bytesOf(".host.data"),
      subgraphs,
    );
    const { steps, inputs, outputs } = dims(read(".schedule")) as Schedule;
    const origins = (read(".origins") as readonly LaunchStep["origins"][]).values();
    const nextOrigins = (): LaunchStep["origins"] => origins.next().value ?? [];
    return {
      name: meta.name,
      machine: meta.machine,
      symbols: meta.symbols,
      programs: meta.programs.map((program) =>
        decodeParts({
          words: slice(bytesOf(".programs"), program.words),
          descriptors: slice(bytesOf(".descriptors"), program.descriptors),
        }),
      ),
      buffers: read(".placement") as readonly DeviceBuffer[],
      memoryBytes: meta.memoryBytes,
      constants: bytesOf(".constants"),
      inputs,
      boundInputs: meta.boundInputs.map(memoryInput),
      outputs,
      later: meta.later,
      steps: steps.map((step) => memoryStep(step, host, nextOrigins)),
      records: read(".records") as readonly DecisionRecord[],
    };
  } catch (error) {
    // The hashes hold, so this was written by something that does not keep to the format.
    if (error instanceof DiagnosticError) throw error;
    return fail("L0502", "the file does not have the form of an executable", {
      notes: [String(error)],
    });
  }
}

interface Meta extends HostTables {
  readonly name: string;
  readonly machine: Executable["machine"];
  readonly symbols: readonly DimSymbol[];
  readonly memoryBytes: number;
  readonly boundInputs: readonly FileInput[];
  readonly later: readonly number[];
  readonly programs: readonly { readonly words: Range; readonly descriptors: Range }[];
}

/** A bound input; its elements as bytes, since JSON has no int64. */
interface FileInput {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly bytes: readonly number[];
}

function fileInput({ name, value }: BoundInput): FileInput {
  const { dtype, shape, data } = value;
  return { name, dtype, shape, bytes: [...bytesFromData(dtype, data)] };
}

function memoryInput({ name, dtype, shape, bytes }: FileInput): BoundInput {
  const data = dataFromBytes(dtype, Uint8Array.from(bytes), elementCount(shape));
  return { name, value: { dtype, shape, data } };
}

interface Schedule {
  readonly steps: readonly FileStep[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** Graphs are kept by number, origins in a section of their own. */
type FileStep =
  | Exclude<Step, LaunchStep | HostStep | IfStep | LoopStep>
  | (Omit<IfStep, "bodies"> & FileBodies)
  | (Omit<LoopStep, "bodies"> & FileBodies)
  | Omit<LaunchStep, "origins">
  | (Omit<HostStep, "graph"> & { readonly graph: number });

interface FileBodies {
  readonly bodies: readonly (readonly FileStep[])[];
}

function fileStep(step: Step, host: HostWriter): FileStep {
  switch (step.kind) {
    case "launch": {
      const { origins: _, ...rest } = step;
      return rest;
    }
    case "host":
      return { ...step, graph: host.add(step) };
    case "copy":
      return step;
    case "if":
    case "loop":
      return { ...step, bodies: step.bodies.map((body) => body.map((s) => fileStep(s, host))) };
    default:
      return step satisfies never;
  }
}

/** `nextOrigins` gives those of one launch after the other. */
function memoryStep(
  step: FileStep,
  host: HostReader,
  nextOrigins: () => LaunchStep["origins"],
): Step {
  switch (step.kind) {
    case "launch":
      return { ...step, origins: nextOrigins() };
    case "host":
      return { ...step, graph: host(step.graph) };
    case "copy":
      return step;
    case "if":
    case "loop": {
      const inner = (body: readonly FileStep[]) =>
        body.map((nested) => memoryStep(nested, host, nextOrigins));
      return { ...step, bodies: step.bodies.map(inner) };
    }
    default:
      return step satisfies never;
  }
}

/** Dims in JSON carry their symbols by value; in memory each symbol is one object. */
function dimReader(symbols: readonly DimSymbol[]): (value: unknown) => unknown {
  const byName = new Map(symbols.map((symbol) => [symbol.name, symbol]));
  const revive = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(revive);
    if (typeof value !== "object" || value === null) return value;
    const record = value as Readonly<Record<string, unknown>>;
    const revived = Object.fromEntries(
      Object.entries(record).map(([k, item]) => [k, revive(item)]),
    );
    if (record["kind"] !== "symbol") return revived;
    const symbol = record["symbol"] as DimSymbol;
    return { ...revived, symbol: byName.get(symbol.name) ?? symbol };
  };
  return revive;
}

function json(name: string, value: unknown): Section {
  return { name, bytes: utf8(JSON.stringify(value)), alignment: 8, kind: "information" };
}
