/** What the code of one instruction is made from, on the member for which it is made. */
import type { Program, SlotDest, SlotSource } from "../../isa/program.js";
import type { DeviceDType } from "../../numerics/dtype.js";
import type { Environment } from "./environment.js";
import { emitAffine } from "./environment.js";
import type { FunctionBuilder } from "./function.js";
import * as ints from "./ints.js";
import type { Int } from "./ints.js";
import { elementBytes, type Rounding } from "./lane-format.js";
import type { Kernel } from "./kernels.js";
import type { Layout } from "./storage.js";
import { roundingOf, storageType } from "./storage.js";

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
}

export function placeOf(site: Site, operand: SlotSource | SlotDest): SlotPlace {
  const { f, environment } = site;
  const queue = site.program.queues[operand.queue]!;
  const dtype = storageType(queue);
  const offset = ints.scale(f, emitAffine(f, operand.offset, environment), elementBytes[dtype]);
  const address = ints.add(f, site.slot(operand), offset);
  return { queue: operand.queue, dtype, address, ...roundingOf(queue) };
}

/** Address of a place in the scratch area. */
export function scratchAt(site: Site, offset: number): Int {
  return ints.add(site.f, site.scratch, ints.constant(offset));
}
