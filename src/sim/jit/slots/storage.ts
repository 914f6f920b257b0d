/**
 * Where the JIT keeps the state of the simulated tiles: a part of the memory that lies after device memory. Not at
 * the addresses of L1: slots are aligned and padded here, floating slots hold fp32 (already rounded to the slot's
 * type), sub-byte elements take a byte, and an accumulator is two planes, sums and open segments.
 */
import { type DeviceDType, isFloat } from "../../../numerics/dtype.js";
import type { Program, Queue } from "../../../isa/program.js";
import type { SlotMap } from "./slot-map.js";
import type { StoredQueue } from "./stored.js";
import { elementBytes, type Rounding } from "../lanes/format.js";
import { nestScratchBytes } from "../nest/spec.js";

export interface Layout {
  /** One byte per instruction: it met an index out of range. */
  readonly faultsBytes: number;
  /** All offsets are from the beginning of the scratch area. */
  readonly faultsOffset: number;
  readonly nestOffset: number;
  /** Work area of the matrix kernels. */
  readonly workOffset: number;
  /** Cursors of the queues, where they are kept in memory: 4 bytes per cursor and member. */
  readonly cursorsOffset: number;
  readonly slotsOffset: number;
  /** As large as any slot: for what is pushed over the edge of the grid. */
  readonly nowhereOffset: number;
  /** Bytes of one member's slots. */
  readonly memberBytes: number;
  readonly queues: readonly QueueLayout[];
  readonly totalBytes: number;
}

export interface QueueLayout {
  /** Of slot 0, from the beginning of the member's slots. */
  readonly offset: number;
  /** From one slot to the next. */
  readonly pitchBytes: number;
  /** From a sum to its open segment. */
  readonly openBytes: number;
  /** Number of its first cursor: the tail; the consumers' heads follow. */
  readonly cursor: number;
  /** Present where slots are bound to memory: a slot is the address of element 0, and walks are translated. */
  readonly map?: SlotMap;
  /** Present where what would be in the slots is written to memory at once. */
  readonly stored?: StoredQueue;
}

export interface LayoutOptions {
  /** Members with storage of their own. */
  readonly members: number;
  readonly instructions: number;
  readonly workBytes: number;
  readonly maps: ReadonlyMap<number, SlotMap>;
  readonly stored: ReadonlyMap<number, StoredQueue>;
}

/** What is read past the end of an operand stays inside its slot. */
const padBytes = 64;

export function layoutOf(program: Program, options: LayoutOptions): Layout {
  let slotsBytes = 0;
  let cursor = 0;
  const queues = program.queues.map((queue, number): QueueLayout => {
    const map = options.maps.get(number);
    const stored = options.stored.get(number);
    const bytes = queue.elements * elementBytes[storageType(queue)] + padBytes;
    const plane = map === undefined ? align(bytes) : 4;
    const hasOpen = queue.space === "accumulator" && queue.dtype !== "i32";
    const pitchBytes = hasOpen ? 2 * plane : plane;
    const layout = { offset: slotsBytes, pitchBytes, openBytes: plane, cursor };
    if (queue.elements > 0 && stored === undefined) slotsBytes += align(pitchBytes * queue.depth);
    cursor += 1 + queue.consumers.length;
    return {
      ...layout,
      ...(map === undefined ? {} : { map }),
      ...(stored === undefined ? {} : { stored }),
    };
  });
  const largest = Math.max(0, ...queues.map((queue) => queue.pitchBytes));
  const faultsOffset = 0;
  const nestOffset = align(options.instructions);
  const workOffset = align(nestOffset + nestScratchBytes);
  const cursorsOffset = align(workOffset + options.workBytes);
  const slotsOffset = align(cursorsOffset + 4 * cursor * options.members);
  const nowhereOffset = slotsOffset + slotsBytes * options.members;
  return {
    faultsBytes: options.instructions,
    faultsOffset,
    nestOffset,
    workOffset,
    cursorsOffset,
    slotsOffset,
    memberBytes: slotsBytes,
    queues,
    nowhereOffset,
    totalBytes: nowhereOffset + (options.members > 1 ? largest : 0) + padBytes,
  };
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

/** How a slot's elements are stored. */
export function storageType({ dtype }: Pick<Queue, "dtype">): DeviceDType {
  return isFloat(dtype) ? "f32" : dtype;
}

/** What a value is rounded to when it is written to the slot. */
export function roundingOf({ dtype }: Pick<Queue, "dtype">): { readonly rounding?: Rounding } {
  switch (dtype) {
    case "f16":
    case "bf16":
    case "f8e4m3fn":
    case "f8e5m2":
      return { rounding: dtype };
    default:
      return {};
  }
}
