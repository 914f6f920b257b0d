/**
 * Every launch of an executable by itself, on what its operands should hold. Where the engine gives something else than
 * the graph, the kernel's evaluator and the reference simulator say who is to blame.
 */
import type { TiledStep, WrittenKernel } from "../compiler/tiled.js";
import { memoryCells } from "../ir/semantics/cells.js";
import { evaluateDim } from "../ir/dim.js";
import { evaluateKernel } from "../ir/kernel/evaluate.js";
import type { SlotObserver } from "../ir/semantics/slot-observer.js";
import { type Executable, everyStep, type LaunchStep, type Step } from "../isa/executable.js";
import { disassemble, instructionText } from "../isa/disassemble.js";
import { printKernel } from "../isa/kernel-text.js";
import type { Program } from "../isa/program.js";
import { type Site as ProgramSite, sitesOf } from "../isa/sites.js";
import { requireSafe } from "../isa/verify.js";
import { byteLength } from "../numerics/dtype.js";
import {
  deviceBytes,
  type DeviceMemory,
  type Engine,
  type Launch,
  type PreparedProgram,
} from "../sim/engine.js";
import { runReference } from "../sim/reference/reference.js";
import { DiagnosticError } from "../support/diagnostic.js";
import { excerptOf, type Finding } from "./bisect-finding.js";
import { holdTruth, type Image, imageDifference } from "./bisect-images.js";
import { firstWrongInstruction, type WrongInstruction } from "./bisect-program.js";

export interface LaunchCheck {
  readonly executable: Executable;
  /** Those of the graph, or of one trip or branch, as phase 6 and as phase 4 have them. */
  readonly steps: readonly Step[];
  readonly tiledSteps: readonly TiledStep[];
  readonly images: readonly Image[];
  readonly bindings: ReadonlyMap<string, number>;
  readonly engine: Engine;
}

/** Undefined where every launch is right. */
export function checkLaunches(check: LaunchCheck): Finding | undefined {
  const { executable, steps, tiledSteps, engine } = check;
  const launches = steps.flatMap((step) => (step.kind === "launch" ? [step] : []));
  const kernels = tiledSteps.flatMap((step) => (step.kind === "launch" ? [step.written] : []));
  const prepared = new Map<number, PreparedProgram>();
  const memory = engine.allocate(Math.max(...launches.map((step) => sizeOf(check, step)), 1));
  try {
    for (const [number, step] of steps.entries()) {
      // Bodies are checked by themselves; behind them is what they should have left.
      if (step.kind === "if" || step.kind === "loop") {
        for (const buffer of changedBy(check, step)) holdTruth(check.images[buffer]!);
      }
      if (step.kind !== "launch") continue;
      const site: Site = {
        check,
        step,
        program: executable.programs[step.program]!,
        written: kernels[launches.indexOf(step)]!,
        isLastWriter: (buffer) =>
          !steps.slice(number + 1).some((later) => changedBy(check, later).has(buffer)),
      };
      const run = (launch: Launch): void => {
        requireSafe(site.program);
        const ready = prepared.get(step.program) ?? engine.prepare(site.program);
        prepared.set(step.program, ready);
        ready.run(launch);
      };
      const result = attempt(site, () => runOn(site, memory, run));
      if (result.problem !== undefined) return blame(site, memory, result.problem);
      for (const [buffer, bytes] of result.bytes) check.images[buffer]!.bytes = bytes;
    }
    return undefined;
  } finally {
    memory.release();
  }
}

interface Site {
  readonly check: LaunchCheck;
  readonly step: LaunchStep;
  readonly program: Program;
  readonly written: WrittenKernel;
  isLastWriter(buffer: number): boolean;
}

type Problem = Pick<Finding, "difference" | "notes"> & {
  /** Binding and element that are wrong. */
  readonly at?: { readonly binding: number; readonly element: number };
};

interface Attempt {
  readonly bytes: ReadonlyMap<number, Uint8Array>;
  readonly problem?: Problem;
}

/** The buffers that are not the same after a step, whatever its conditions. */
function changedBy(check: LaunchCheck, step: Step): ReadonlySet<number> {
  const changed = everyStep([step]).flatMap((part) => {
    if (part.kind === "loop") return part.exchanged.flat();
    if (part.kind !== "launch") return [];
    return part.bindings.map(({ buffer }) => buffer).filter((b) => writes(check, part, b));
  });
  return new Set(changed);
}

function writes({ executable }: LaunchCheck, step: LaunchStep, buffer: number): boolean {
  const { bindings } = executable.programs[step.program]!;
  return step.bindings.some((b, i) => b.buffer === buffer && bindings[i]!.access !== "read");
}

function sizeOf({ images }: LaunchCheck, step: LaunchStep): number {
  return [...layoutOf(images, step).values()].reduce((end, at) => Math.max(end, at.end), 0);
}

/** Buffers of a launch one behind the other. */
function layoutOf(
  images: readonly Image[],
  step: LaunchStep,
): ReadonlyMap<number, { readonly begin: number; readonly end: number }> {
  const layout = new Map<number, { readonly begin: number; readonly end: number }>();
  let next = 0;
  for (const { buffer } of step.bindings) {
    if (layout.has(buffer)) continue;
    const end = next + images[buffer]!.bytes.length;
    layout.set(buffer, { begin: next, end });
    next = Math.ceil(end / 64) * 64;
  }
  return layout;
}

function scalarsOf({ step, check }: Site): Int32Array {
  return Int32Array.from(step.scalars, (dim) => evaluateDim(dim, check.bindings));
}

/** The buffers that a launch writes, after it. */
function runOn(
  site: Site,
  memory: DeviceMemory,
  run: (launch: Launch) => void,
): ReadonlyMap<number, Uint8Array> {
  const { check, step } = site;
  const layout = layoutOf(check.images, step);
  for (const [buffer, { begin }] of layout) {
    deviceBytes(memory).set(check.images[buffer]!.bytes, begin);
  }
  const bindings = step.bindings.map(({ buffer, offset }) => ({
    offsetBytes: layout.get(buffer)!.begin + byteLength(check.images[buffer]!.dtype, offset),
  }));
  run({ memory, bindings, scalars: scalarsOf(site) });
  const written = [...layout].filter(([buffer]) => writes(check, step, buffer));
  return new Map(
    written.map(([buffer, { begin, end }]) => [buffer, deviceBytes(memory).slice(begin, end)]),
  );
}

function runKernel(site: Site, observe?: SlotObserver): ReadonlyMap<number, Uint8Array> {
  const { check, step, written } = site;
  const copies = new Map<number, Uint8Array>();
  const bindings = step.bindings.map(({ buffer, offset }, i) => {
    const { name, dtype, elements } = written.kernel.bindings[i]!;
    const bytes = copies.get(buffer) ?? check.images[buffer]!.bytes.slice();
    copies.set(buffer, bytes);
    return memoryCells(name, dtype, elements, bytes.subarray(byteLength(dtype, offset)));
  });
  const scalars = scalarsOf(site);
  evaluateKernel(written.kernel, { bindings, scalars, ...(observe && { observe }) });
  return new Map([...copies].filter(([buffer]) => writes(check, step, buffer)));
}

/** What a run left behind, or what it says of itself. */
function attempt(site: Site, run: () => ReadonlyMap<number, Uint8Array>): Attempt {
  let bytes: ReadonlyMap<number, Uint8Array>;
  try {
    bytes = run();
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    const notes = error.diagnostics.flatMap(({ message, notes: more }) => [
      message,
      ...(more ?? []),
    ]);
    return { bytes: new Map(), problem: { notes } };
  }
  for (const [buffer, after] of bytes) {
    // Of a buffer that several launches write, only the last leaves the value of the graph.
    if (!site.isLastWriter(buffer)) continue;
    const found = imageDifference(site.check.images[buffer]!, after);
    if (found === undefined) continue;
    const binding = site.step.bindings.findIndex(
      (b, i) => b.buffer === buffer && site.program.bindings[i]!.access !== "read",
    );
    const element = found.place - site.step.bindings[binding]!.offset;
    return {
      bytes,
      problem: { difference: found.difference, notes: [], at: { binding, element } },
    };
  }
  return { bytes };
}

/** The first of kernel, program and engine that is wrong. */
function blame(site: Site, memory: DeviceMemory, seen: Problem): Finding {
  const runProgram = (observe?: SlotObserver) =>
    runOn(site, memory, (launch) => void runReference(site.program, launch, observe));
  const kernel = attempt(site, () => runKernel(site)).problem;
  if (kernel !== undefined) return findingAt(site, { level: "kernel", pass: "tile" }, kernel);
  const program = attempt(site, runProgram).problem;
  if (program !== undefined) {
    const wrong = firstWrongInstruction({
      program: site.program,
      runKernel: (observe) => void attempt(site, () => runKernel(site, observe)),
      runProgram: (observe) => void attempt(site, () => runProgram(observe)),
    });
    return findingAt(site, { level: "program", pass: "emit" }, program, wrong);
  }
  const notes = [...seen.notes, "the reference simulator runs this program right"];
  return findingAt(site, { level: "engine" }, { ...seen, notes });
}

/** Without an instruction that is known to be wrong it names the one that stored the wrong element. */
function findingAt(
  { program, step, written }: Site,
  where: Pick<Finding, "level" | "pass">,
  { at, difference, notes }: Problem,
  wrong?: WrongInstruction,
): Finding {
  const sites = sitesOf(program);
  const number = wrong?.number ?? (at === undefined ? -1 : storeTo(sites, at.binding));
  const role = sites[number]?.instruction.role;
  const own = (role === undefined ? undefined : step.origins[role]) ?? [];
  const rest = step.origins.flat().filter((origin) => !own.includes(origin));
  const lines = where.level === "kernel" ? printKernel(written.kernel) : disassemble(program);
  return {
    ...where,
    kernel: program.name,
    nodes: [...own, ...rest],
    notes,
    excerpt: excerptAt(lines.trimEnd().split("\n"), number),
    ...(difference === undefined ? {} : { difference }),
    ...(number < 0 ? {} : { instruction: instructionAt(program, sites, number, wrong) }),
  };
}

function instructionAt(
  program: Program,
  sites: readonly ProgramSite[],
  number: number,
  wrong: WrongInstruction | undefined,
): NonNullable<Finding["instruction"]> {
  const text = instructionText(program, sites[number]!.instruction);
  return { number, text, ...(wrong === undefined ? {} : { at: wrong.at }) };
}

/** -1 where no store writes to the binding. */
function storeTo(sites: readonly ProgramSite[], binding: number): number {
  return sites.findIndex(({ instruction: { body } }) => {
    return body.op === "store" && body.memory.binding === binding;
  });
}

/** The n-th line of the body that is an instruction, with what is around it. */
function excerptAt(lines: readonly string[], number: number): string[] {
  let left = number;
  const at = lines.findIndex((line) => isInstruction(line) && left-- === 0);
  return number < 0 || at < 0 ? [] : excerptOf(lines, at);
}

function isInstruction(line: string): boolean {
  return /^\s*((ld|st)\.\d+|mma|vec)\b/.test(line);
}
