/** A launch of compiled control code: arguments, scratch areas, threads where they are worth it, faults. */
import type { Program } from "../../isa/program.js";
import { InternalError } from "../../support/diagnostic.js";
import type { DeviceMemory, Fault, Launch, LaunchResult } from "../engine.js";
import { type Batch, controlIn } from "./batch.js";
import type { ControlCode } from "./control.js";
import type { RunMembers } from "./threads/protocol.mjs";
import type { Threads } from "./threads/threads.js";
import { createWorkEstimate, type WorkEstimate } from "./threads/work.js";

export interface CompiledProgram {
  readonly program: Program;
  readonly code: ControlCode;
  readonly batch: Batch;
  /** Of the program in its batch. */
  readonly number: number;
  /** Absent where the program runs on one thread whatever it costs. */
  readonly shared?: Sharing;
}

export interface Sharing {
  readonly threads: Threads;
  readonly work: WorkEstimate;
  /** Launches of less work run on the launching thread alone. */
  readonly workMin: number;
}

export function sharingOf(
  program: Program,
  { parts, layout }: ControlCode,
  threads: Threads | undefined,
  workMin: number,
): Sharing | undefined {
  if (threads === undefined || threads.count < 2 || parts < 2) return undefined;
  return { threads, work: createWorkEstimate(program, layout), workMin };
}

export function launchProgram(compiled: CompiledProgram, launch: Launch): LaunchResult {
  const { program, code, batch, number, shared } = compiled;
  const { memory, bindings, scalars } = launch;
  if (bindings.length !== program.bindings.length || scalars.length < program.scalarCount) {
    throw new InternalError(`launch of ${program.name} with wrong bindings or scalars`);
  }
  const isShared = shared !== undefined && shared.work(scalars) >= shared.workMin;
  const areas = scratchAreas(memory, code.layout.totalBytes, isShared ? shared.threads.count : 1);
  const instance = controlIn(batch, memory.memory);
  const run = instance.exports[`p${number}`] as RunMembers;
  const args = bindings.map(({ offsetBytes }) => memory.baseBytes + offsetBytes);
  for (let i = 0; i < program.scalarCount; i++) args.push(scalars[i]!);
  const flags = code.mayFault ? faultFlags(memory, code, areas) : [];
  for (const area of flags) area.fill(0);
  if (isShared) {
    const round = { instance, program: number, run, members: code.parts, args };
    shared.threads.run({ ...round, scratch: areas.start, pitchBytes: areas.pitchBytes });
  } else run(0, code.parts, areas.start, ...args);
  return flags.length === 0 ? noFaults : { faults: faultsOf(code, flags) };
}

const noFaults: LaunchResult = { faults: [] };

/** One byte per instruction, for each thread. */
function faultFlags(
  { buffer }: DeviceMemory,
  { layout: { faultsOffset, faultsBytes } }: ControlCode,
  { start, pitchBytes, count }: ScratchAreas,
): Uint8Array[] {
  return Array.from({ length: count }, (_, thread) => {
    return new Uint8Array(buffer, start + thread * pitchBytes + faultsOffset, faultsBytes);
  });
}

function faultsOf({ instructions }: ControlCode, flags: readonly Uint8Array[]): Fault[] {
  return instructions.flatMap(({ role }, instruction) => {
    const isRaised = flags.some((area) => area[instruction] !== 0);
    return isRaised ? [{ kind: "index-out-of-range", instruction, role } as const] : [];
  });
}

/** One per thread. They begin after device memory; all launches use the same. */
interface ScratchAreas {
  readonly start: number;
  readonly pitchBytes: number;
  readonly count: number;
}

const pageBytes = 65_536;
/** Threads write to no cache line in common, nor to one that is fetched along with another's. */
const pitchUnitBytes = 4096;

function scratchAreas(memory: DeviceMemory, bytes: number, count: number): ScratchAreas {
  const { baseBytes, sizeBytes, buffer } = memory;
  const start = Math.ceil((baseBytes + sizeBytes) / pageBytes) * pageBytes;
  const pitchBytes = Math.ceil(bytes / pitchUnitBytes) * pitchUnitBytes;
  const missing = start + pitchBytes * count - buffer.byteLength;
  if (missing > 0) memory.memory.grow(Math.ceil(missing / pageBytes));
  return { start, pitchBytes, count };
}
