/** What a store does: slot to memory, position by position of its axes in row-major order. */
import { isFloat } from "../../numerics/dtype.js";
import type { Cells, Operand } from "./cells.js";
import { transferPlace, type MemoryWitness, type TransferResult } from "./load.js";
import {
  evaluateAffine,
  evaluateCounts,
  forEachPosition,
  offsetAt,
  transferValue,
  type Environment,
} from "./semantics.js";
import { maximum, minimum } from "./reduce.js";
import type { StoreBody } from "../tile.js";

export interface StoreOperands {
  /** Per binding of the kernel or program. */
  readonly bindings: readonly Cells[];
  readonly source: Operand;
  /** Present where the body has an index. */
  readonly index?: Operand;
  readonly environment: Environment;
}

export function executeStore(
  body: StoreBody<unknown>,
  operands: StoreOperands,
  witness?: MemoryWitness,
): TransferResult {
  const { bindings, source, environment } = operands;
  const memory = bindings[body.memory.binding]!;
  const base = evaluateAffine(body.memory.offset, environment);
  const place = transferPlace(body, operands.index, environment);
  const slotStrides = body.axes.map((axis) => axis.slotStride);
  const combine = body.combine === undefined ? undefined : combiner(body.combine, memory);
  forEachPosition(evaluateCounts(body.axes, environment), (position) => {
    const offset = place.memoryOffset(position);
    if (offset === undefined) return;
    const element = base + offset;
    const read = source.cells.get(source.offset + offsetAt(position, slotStrides));
    const value = transferValue(read, source.cells.dtype, memory.dtype);
    witness?.(body.memory.binding, element);
    memory.set(element, combine === undefined ? value : combine(memory.get(element), value));
  });
  return { fault: place.fault() };
}

/**
 * (what memory holds, what arrives) -> what memory will hold. Floats of every type combine in fp32, integers and
 * bool in int32; the result alone is rounded to the binding's type.
 */
function combiner(
  combine: "add" | "mul" | "min" | "max",
  memory: Cells,
): (held: number, value: number) => number {
  const float = isFloat(memory.dtype);
  switch (combine) {
    case "add":
      return float ? (held, value) => Math.fround(held + value) : (held, value) => held + value;
    case "mul":
      return float ? (held, value) => Math.fround(held * value) : Math.imul;
    case "min":
      return minimum;
    case "max":
      return maximum;
    default:
      return combine satisfies never;
  }
}
