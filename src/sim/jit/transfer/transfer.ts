/**
 * Loads and stores as walks. Clipped axes cut the walk into a box inside the bounds and slabs outside, so that nothing
 * is tested per element; the slabs of a load are filled. An index from a slot makes the walk a gather or a scatter.
 */
import type { DeviceDType } from "../../../numerics/dtype.js";
import { dtypes, isFloat } from "../../../numerics/dtype.js";
import { bitEncoder, decodeTable, floatBits } from "../../../numerics/float-formats.js";
import type {
  IndexOperand,
  LoadBody,
  MemoryOperand,
  StoreBody,
  TransferAxis,
} from "../../../ir/tile.js";
import type { SlotDest, SlotSource } from "../../../isa/program.js";
import { type Box, boxesOf, type ClippedAxis, isInjective } from "./boxes.js";
import { emitAffine, emitCount } from "../walk/environment.js";
import * as ints from "../walk/ints.js";
import type { Int } from "../walk/ints.js";
import { elementBytes, type Rounding } from "../lanes/format.js";
import type { Walk, WalkGather, WalkOperand } from "../nest/plan.js";
import { emitWalk } from "../nest/run.js";
import { placeOf, scratchAt, type Site, type SlotPlace, strideIn } from "../walk/site.js";
import { fillProgram, loadProgram, storeProgram } from "./lanes.js";

export function emitLoad(site: Site, body: LoadBody<SlotSource, SlotDest>): void {
  const memory = memoryOperand(
    site,
    body.memory,
    body.axes.map((axis) => axis.memoryStride),
  );
  if (site.layout.queues[body.dest.queue]!.map !== undefined) {
    const { f } = site;
    f.store("i32.store", ints.push(f, site.slot(body.dest)), ints.push(f, memory.address));
    return;
  }
  const dest = placeOf(site, body.dest);
  const { dequantize } = body;
  const sources = [memory];
  if (dequantize !== undefined) {
    sources.push(memoryOperand(site, dequantize.scale.memory, dequantize.scale.strides));
    if (dequantize.zero !== undefined) {
      sources.push(memoryOperand(site, dequantize.zero.memory, dequantize.zero.strides));
    }
  }
  const isExact = dequantize === undefined && memory.dtype === dest.rounding;
  const slotStrides = body.axes.map((axis) => axis.slotStride);
  const slot = slotOperand(dest, slotStrides, isExact ? undefined : dest.rounding);
  const axes = clippedAxes(site, body.axes);
  const fill = fillWord(body.fill, dest);
  const program = loadProgram(
    sources.map(({ dtype }) => dtype),
    dest.dtype,
  );
  const gather = gatherOf(site, body, sources.length + 1, [0], { kind: "fill", bits: fill });
  const indexSlots = body.index === undefined ? [] : [indexOperand(site, body.index)];
  const isOrdered = !isInjective(axes, slotStrides);
  const { inside, outside } = boxesOf(site.f, axes);
  emitWalk(site, {
    ...boxWalk(site, inside, [...sources, slot, ...indexSlots], gather),
    program,
    inputs: sources.map((_, i) => i),
    outputs: [{ operand: sources.length, result: 0 }],
    ordered: isOrdered,
    rereads: false,
  });
  const filled = { ...slot, strides: slotStrides };
  for (const box of outside) {
    emitWalk(site, {
      ...boxWalk(site, box, [filled], undefined),
      program: fillProgram(dest.dtype, fill),
      inputs: [],
      outputs: [{ operand: 0, result: 0 }],
      ordered: isOrdered,
      rereads: false,
    });
  }
}

export function emitStore(site: Site, body: StoreBody<SlotSource>): void {
  if (site.layout.queues[body.source.queue]!.stored !== undefined) return;
  const source = placeOf(site, body.source);
  const slotStrides = body.axes.map((axis) => strideIn(source, axis.slotStride));
  const memoryStrides = body.axes.map((axis) => axis.memoryStride);
  const memory = memoryOperand(site, body.memory, memoryStrides);
  const slot = slotOperand(source, slotStrides, undefined);
  const axes = clippedAxes(site, body.axes);
  const gather = gatherOf(site, body, 2, [1], { kind: "skip" });
  const indexSlots = body.index === undefined ? [] : [indexOperand(site, body.index)];
  const { inside } = boxesOf(site.f, axes);
  emitWalk(site, {
    ...boxWalk(site, inside, [slot, memory, ...indexSlots], gather),
    program: storeProgram(source.dtype, memory.dtype, body.combine),
    inputs: body.combine === undefined ? [0] : [0, 1],
    outputs: [{ operand: 1, result: 0 }],
    ordered: !isOrderFree(body, axes),
    rereads: body.combine !== undefined,
  });
}

/** Whether no two positions write the same element, but for those of different indices, which keep their order. */
function isOrderFree(body: StoreBody<unknown>, axes: readonly ClippedAxis[]): boolean {
  const others = [...axes.keys()].filter((axis) => axis !== body.index?.axis);
  const strides = others.map((axis) => body.axes[axis]!.memoryStride);
  if (
    !isInjective(
      others.map((axis) => axes[axis]!),
      strides,
    )
  )
    return false;
  return body.index === undefined || isIndexFirst(body);
}

/** Whether the axes that an index depends on stand before all others: then it may be read outside their loops. */
function isIndexFirst({ axes, index }: Pick<StoreBody<unknown>, "axes" | "index">): boolean {
  const isIndexed = axes.map((_, i) => i === index?.axis || index?.strides[i] !== 0);
  return isIndexed.lastIndexOf(true) < isIndexed.filter((x) => x).length;
}

function clippedAxes(site: Site, axes: readonly TransferAxis[]): ClippedAxis[] {
  const { f, environment } = site;
  return axes.map(({ count, clip }) => ({
    count: emitCount(f, count, environment),
    ...(clip === undefined
      ? {}
      : {
          clip: {
            origin: emitAffine(f, clip.origin, environment),
            step: clip.step,
            limit: emitCount(f, clip.limit, environment),
          },
        }),
  }));
}

export function memoryOperand(
  site: Site,
  memory: MemoryOperand,
  strides: readonly number[],
): WalkOperand {
  const { f } = site;
  const { dtype } = site.program.bindings[memory.binding]!;
  const base = site.bindings[memory.binding]!;
  const offset = emitAffine(f, memory.offset, site.environment);
  const common = { dtype, boolForm: "one", strides } as const;
  if (dtypes[dtype].bits < 8) return { ...common, packed: true, address: base, element: offset };
  const address = ints.add(f, base, ints.scale(f, offset, elementBytes[dtype]));
  return { ...common, packed: false, address };
}

function slotOperand(
  place: SlotPlace,
  strides: readonly number[],
  rounding: Rounding | undefined,
): WalkOperand {
  const { dtype, address } = place;
  return {
    dtype,
    packed: false,
    boolForm: "one",
    address,
    strides,
    ...(rounding === undefined ? {} : { rounding }),
  };
}

function indexOperand(site: Site, index: IndexOperand<SlotSource>): WalkOperand {
  const place = placeOf(site, index.source);
  const strides = index.strides.map((stride) => strideIn(place, stride));
  return slotOperand(place, strides, undefined);
}

function gatherOf(
  site: Site,
  { axes, index }: Pick<LoadBody<SlotSource, SlotDest>, "axes" | "index">,
  indexNumber: number,
  operands: readonly number[],
  miss: WalkGather["miss"],
): WalkGather | undefined {
  if (index === undefined) return undefined;
  return {
    operands,
    index: indexNumber,
    axis: index.axis,
    extent: emitCount(site.f, index.extent, site.environment),
    stride: axes[index.axis]!.memoryStride,
    miss,
  };
}

/** The part of a walk inside a box: its counts, and the operands moved to its corner. */
function boxWalk(
  site: Site,
  box: Box,
  operands: readonly WalkOperand[],
  gather: WalkGather | undefined,
): Pick<Walk, "axes" | "operands" | "carries" | "scalars" | "gather" | "scratch" | "fault"> {
  return {
    axes: box.map(({ count }) => ({ kind: "parallel", count, base: ints.zero })),
    operands: operands.map((operand, number) => {
      const axis = gather?.operands.includes(number) ? gather.axis : undefined;
      return movedOperand(site, operand, box, axis);
    }),
    carries: [],
    scalars: [],
    scratch: scratchAt(site, site.layout.nestOffset),
    fault: scratchAt(site, site.layout.faultsOffset + site.number),
    ...(gather === undefined ? {} : { gather }),
  };
}

function movedOperand(
  { f }: Site,
  operand: WalkOperand,
  box: Box,
  gatheredAxis: number | undefined,
): WalkOperand {
  let shift: Int = ints.zero;
  box.forEach(({ start }, axis) => {
    if (axis === gatheredAxis) return;
    shift = ints.add(f, shift, ints.scale(f, start, operand.strides[axis]!));
  });
  if (operand.element !== undefined) {
    return { ...operand, element: ints.add(f, operand.element, shift) };
  }
  const bytes = ints.scale(f, shift, elementBytes[operand.dtype]);
  return { ...operand, address: ints.add(f, operand.address, bytes) };
}

/** The word of a register whose value, written to the slot, is the fill. */
function fillWord(fill: number, dest: SlotPlace): number {
  const dtype: DeviceDType = dest.dtype;
  if (!isFloat(dtype)) return fill | 0;
  if (dest.rounding === undefined) return floatBits(fill) | 0;
  const code = bitEncoder(dest.rounding)(floatBits(fill));
  return floatBits(decodeTable(dest.rounding)[code]!) | 0;
}
