/**
 * What a load does: memory to slot, position by position of its axes in row-major order. Delivery to other members
 * is no concern of this file: whoever executes hands over the destination.
 */
import { isFloat } from "../../numerics/dtype.js";
import { undefinedBehaviour, type Cells, type Operand } from "./cells.js";
import {
  evaluateAffine,
  evaluateCount,
  evaluateCounts,
  forEachPosition,
  offsetAt,
  transferValue,
  type Environment,
} from "./semantics.js";
import type { IndexOperand, LoadBody, MemoryWalk, TransferAxis } from "../tile.js";

export interface LoadOperands {
  /** Per binding of the kernel or program. */
  readonly bindings: readonly Cells[];
  readonly dest: Operand;
  /** Present where the body has an index. */
  readonly index?: Operand;
  readonly environment: Environment;
}

/** What a transfer did besides moving data. */
export interface TransferResult {
  /** An index was outside its extent. */
  readonly fault: boolean;
}

/** Told every element of memory that a transfer touches; a filled position counts as no element. */
export type MemoryWitness = (binding: number, element: number) => void;

export function executeLoad(
  body: LoadBody<unknown, unknown>,
  operands: LoadOperands,
  witness?: MemoryWitness,
): TransferResult {
  const { bindings, dest, environment } = operands;
  const memory = bindings[body.memory.binding]!;
  const base = evaluateAffine(body.memory.offset, environment);
  const place = transferPlace(body, operands.index, environment);
  const slotStrides = body.axes.map((axis) => axis.slotStride);
  const dequantize = dequantizer(body, operands, witness);
  forEachPosition(evaluateCounts(body.axes, environment), (position) => {
    const slotElement = dest.offset + offsetAt(position, slotStrides);
    const offset = place.memoryOffset(position);
    if (offset === undefined) {
      dest.cells.set(slotElement, body.fill);
      return;
    }
    witness?.(body.memory.binding, base + offset);
    const stored = memory.get(base + offset);
    const value = dequantize === undefined ? stored : dequantize(stored, position);
    const from = dequantize === undefined ? memory.dtype : "f32";
    dest.cells.set(slotElement, transferValue(value, from, dest.cells.dtype));
  });
  return { fault: place.fault() };
}

interface TransferPlace {
  /** Offset of a position from the operand's base; undefined where it is clipped or its index is out of range. */
  memoryOffset(position: readonly number[]): number | undefined;
  fault(): boolean;
}

/** Where the positions of a transfer lie in memory; the same for loads and stores. */
export function transferPlace(
  body: {
    readonly axes: readonly TransferAxis[];
    readonly index?: IndexOperand<unknown>;
  },
  indexSlot: Operand | undefined,
  environment: Environment,
): TransferPlace {
  const inside = clipTest(body.axes, environment);
  const strides = body.axes.map((axis) => axis.memoryStride);
  const { index } = body;
  if (index === undefined) {
    return {
      memoryOffset: (position) => (inside(position) ? offsetAt(position, strides) : undefined),
      fault: () => false,
    };
  }
  if (indexSlot === undefined || isFloat(indexSlot.cells.dtype)) {
    return undefinedBehaviour("the index of a gather or scatter must be a slot of integers");
  }
  const extent = evaluateCount(index.extent, environment);
  const indexedStride = strides[index.axis]!;
  let fault = false;
  return {
    memoryOffset(position) {
      if (!inside(position)) return undefined;
      const at = indexSlot.cells.get(indexSlot.offset + offsetAt(position, index.strides));
      if (at >= 0 && at < extent) {
        return offsetAt(position, strides) + (at - position[index.axis]!) * indexedStride;
      }
      fault = true;
      return undefined;
    },
    fault: () => fault,
  };
}

function clipTest(
  axes: readonly TransferAxis[],
  environment: Environment,
): (position: readonly number[]) => boolean {
  const clips = axes.flatMap(({ clip }, axis) =>
    clip === undefined
      ? []
      : [
          {
            axis,
            origin: evaluateAffine(clip.origin, environment),
            step: clip.step,
            limit: evaluateCount(clip.limit, environment),
          },
        ],
  );
  return (position) => {
    for (const { axis, origin, step, limit } of clips) {
      const at = origin + position[axis]! * step;
      if (at < 0 || at >= limit) return false;
    }
    return true;
  };
}

type Dequantizer = (stored: number, position: readonly number[]) => number;

function dequantizer(
  body: LoadBody<unknown, unknown>,
  operands: LoadOperands,
  witness: MemoryWitness | undefined,
): Dequantizer | undefined {
  if (body.dequantize === undefined) return undefined;
  const scale = walkReader(body.dequantize.scale, operands, witness);
  const { zero: zeroWalk } = body.dequantize;
  const zero = zeroWalk === undefined ? undefined : walkReader(zeroWalk, operands, witness);
  return (stored, position) => {
    const centred = Math.fround(Math.fround(stored) - (zero?.(position) ?? 0));
    return Math.fround(centred * scale(position));
  };
}

/** Reads one element per position, as fp32. */
function walkReader(
  walk: MemoryWalk,
  operands: LoadOperands,
  witness: MemoryWitness | undefined,
): (position: readonly number[]) => number {
  const cells = operands.bindings[walk.memory.binding]!;
  const base = evaluateAffine(walk.memory.offset, operands.environment);
  return (position) => {
    const element = base + offsetAt(position, walk.strides);
    witness?.(walk.memory.binding, element);
    return Math.fround(cells.get(element));
  };
}
