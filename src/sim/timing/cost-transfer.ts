/** What a load or store costs: see {@link transferCost}. */
import type { LoadBody, StoreBody } from "../../ir/tile.js";
import type { Program, SlotDest, SlotSource } from "../../isa/program.js";
import { byteLength, type DeviceDType } from "../../numerics/dtype.js";
import type { DeviceMachine } from "../../target/machine.js";
import { type Cost, product } from "./cost.js";
import { tallyRow } from "./tally.js";
import { placesOf, type Runs, runsOf } from "./walk-cost.js";

type Transfer = LoadBody<SlotSource, SlotDest> | StoreBody<SlotSource>;

/**
 * Memory: every contiguous run in whole accesses, and `runOverheadBytes` for each. Slot: its bytes through the
 * channel's port, its pieces at `elementsPerCycle`. A store that combines reads what it writes.
 */
export function transferCost(
  body: Transfer,
  extents: readonly number[],
  program: Program,
  machine: DeviceMachine,
): Cost {
  const counts = extents.slice(0, body.axes.length);
  const inside = extents.slice(body.axes.length);
  const isLoad = body.op === "load";
  const slot = isLoad ? body.dest : body.source;
  const placed = isLoad ? counts : inside;
  const slotBytes = byteLength(program.queues[slot.queue]!.dtype, product(placed));
  const places = placesOf(
    body.axes.map((axis, i) => ({ ...axis, count: placed[i]! })),
    body.index?.axis,
  );
  const cycles = Math.max(
    Math.ceil(slotBytes / machine.l1.portBytesPerCycle),
    Math.ceil(places / machine.channels.elementsPerCycle),
  );
  const walks = memoryWalks(body, inside, program, machine);
  const combines = body.op === "store" && body.combine !== undefined;
  const reads = isLoad || combines;
  return {
    cycles,
    memoryBytes: walks.memoryBytes * (combines ? 2 : 1),
    slotBytes,
    shared: tallyRow({
      loadedBytes: reads ? walks.usefulBytes : 0,
      readAccessBytes: reads ? walks.accessBytes : 0,
      readBandwidthBytes: reads ? walks.memoryBytes : 0,
      storedBytes: isLoad ? 0 : walks.usefulBytes,
      writeAccessBytes: isLoad ? 0 : walks.accessBytes,
      writeBandwidthBytes: isLoad ? 0 : walks.memoryBytes,
    }),
    own: tallyRow({
      instructions: 1,
      l1ReadBytes: (isLoad ? 0 : slotBytes) + indexBytes(body, counts),
    }),
  };
}

function indexBytes({ index }: Transfer, counts: readonly number[]): number {
  if (index === undefined) return 0;
  return 4 * product(counts.filter((_, i) => index.strides[i] !== 0));
}

interface MemoryCost {
  readonly usefulBytes: number;
  readonly accessBytes: number;
  readonly memoryBytes: number;
}

/** The main walk and, where a load dequantizes, those of scales and zero points. */
function memoryWalks(
  body: Transfer,
  inside: readonly number[],
  { bindings }: Program,
  machine: DeviceMachine,
): MemoryCost {
  const costOf = (binding: number, strides: readonly number[], scattered?: number) => {
    const axes = inside.map((count, i) => ({ count, stride: strides[i] ?? 0 }));
    return runCost(runsOf(axes, scattered), bindings[binding]!.dtype, machine);
  };
  const strides = body.axes.map((axis) => axis.memoryStride);
  const walks = [costOf(body.memory.binding, strides, body.index?.axis)];
  if (body.op === "load" && body.dequantize !== undefined) {
    const { scale, zero } = body.dequantize;
    for (const walk of zero === undefined ? [scale] : [scale, zero]) {
      walks.push(costOf(walk.memory.binding, walk.strides));
    }
  }
  const sum = (of: (walk: MemoryCost) => number) => walks.reduce((n, walk) => n + of(walk), 0);
  return {
    usefulBytes: sum((walk) => walk.usefulBytes),
    accessBytes: sum((walk) => walk.accessBytes),
    memoryBytes: sum((walk) => walk.memoryBytes),
  };
}

function runCost({ runs, elements }: Runs, dtype: DeviceDType, machine: DeviceMachine): MemoryCost {
  const { accessBytes, runOverheadBytes } = machine.channels;
  const bytes = byteLength(dtype, elements);
  const accesses = Math.ceil(bytes / accessBytes) * accessBytes;
  return {
    usefulBytes: runs * bytes,
    accessBytes: runs * accesses,
    memoryBytes: runs * (accesses + runOverheadBytes),
  };
}
