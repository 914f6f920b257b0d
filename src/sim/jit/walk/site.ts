/** What the code of one instruction is made from, on the member for which it is made. */
import type { Program, SlotDest, SlotSource } from "../../../isa/program.js";
import type { DeviceDType } from "../../../numerics/dtype.js";
import { type SlotMap, translateOffset, translateStride } from "../slots/slot-map.js";
import type { Environment } from "./environment.js";
import { emitAffine } from "./environment.js";
import type { FunctionBuilder } from "../wasm/function.js";
import * as ints from "./ints.js";
import type { Int } from "./ints.js";
import { elementBytes, type Rounding } from "../lanes/format.js";
import type { Kernel } from "../kernels.js";
import type { Layout } from "../slots/storage.js";
import { roundingOf, storageType } from "../slots/storage.js";

export interface Site {
  readonly f: FunctionBuilder;
  readonly program: Program;
  readonly layout: Layout;
  /** Number of the instruction in the text. */
  readonly number: number;
  readonly environment: Environment;
  readonly scratch: Int;
  readonly bindings: readonly Int[];
  /** Address of the slot at the operand's cursor. */
  slot(operand: SlotSource | SlotDest): Int;
  call(kernel: Kernel, args: readonly Int[]): void;
}

/** An operand in a slot: its element 0 and how the elements are stored. */
export interface SlotPlace {
  readonly queue: number;
  readonly dtype: DeviceDType;
  readonly rounding?: Rounding;
  readonly address: Int;
  /** Present where the slot is bound to memory. */
  readonly map?: SlotMap;
}

export function placeOf(site: Site, operand: SlotSource | SlotDest): SlotPlace {
  const { f, environment } = site;
  const queue = site.program.queues[operand.queue]!;
  const { map } = site.layout.queues[operand.queue]!;
  const dtype = storageType(queue);
  const elements = map === undefined ? operand.offset : translateOffset(map, operand.offset);
  const offset = ints.scale(f, emitAffine(f, elements, environment), elementBytes[dtype]);
  const slot = site.slot(operand);
  if (map === undefined) {
    const address = ints.add(f, slot, offset);
    return { queue: operand.queue, dtype, address, ...roundingOf(queue) };
  }
  const start = ints.ofLocal(f.keep("i32", f.load("i32.load", ints.push(f, slot))));
  return { queue: operand.queue, dtype, address: ints.add(f, start, offset), map };
}

/** The distance in elements that a stride in the slot comes to. */
export function strideIn({ map }: SlotPlace, stride: number): number {
  return map === undefined ? stride : translateStride(map, stride);
}

/** Address of a place in the scratch area. */
export function scratchAt(site: Site, offset: number): Int {
  return ints.add(site.f, site.scratch, ints.constant(offset));
}
