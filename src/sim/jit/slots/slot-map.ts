/**
 * How a slot lies in memory where no copy is made: the axes of the load that fills it or of the store that empties it.
 * A slot is a mixed-radix number whose digits are the positions of the axes, so strides and offsets in the slot can be
 * translated into strides and offsets in memory as long as no digit overflows into the next.
 */
import type { Affine, LoopHead, TransferAxis } from "../../../ir/tile.js";
import { InternalError } from "../../../support/diagnostic.js";

/** The largest slot stride first; axes are merged where they adjoin on both sides. */
export type SlotMap = readonly SlotAxis[];

interface SlotAxis {
  readonly slotStride: number;
  readonly memoryStride: number;
  readonly count: number;
}

/** Undefined where axes overlap, or where walking the slot by ones would not walk memory so. */
export function slotMap(transfer: readonly TransferAxis[]): SlotMap | undefined {
  const axes = transfer
    .map(({ slotStride, memoryStride, count }) => ({ slotStride, memoryStride, count: count.max }))
    .filter(({ count }) => count > 1)
    .sort((a, b) => b.slotStride - a.slotStride);
  const merged: SlotAxis[] = [];
  for (const axis of axes.reverse()) {
    const inner = merged[0];
    const reach = inner === undefined ? 1 : inner.slotStride * inner.count;
    if (axis.slotStride < reach) return undefined;
    const adjoins =
      inner !== undefined &&
      axis.slotStride === reach &&
      axis.memoryStride === inner.memoryStride * inner.count;
    if (adjoins) merged[0] = { ...inner, count: inner.count * axis.count };
    else merged.unshift(axis);
  }
  // Readers that walk the slot by ones should walk memory so, or the copy is worth its price.
  const last = merged.at(-1);
  return last?.slotStride === 1 && last.memoryStride !== 1 ? undefined : merged;
}

/** A stride that is taken up to `most` times. */
export interface Step {
  readonly stride: number;
  readonly most: number;
}

/**
 * Whether each stride and each term of the offset moves along one axis and no digit ever overflows into the next. The
 * first digit may, it has no next.
 */
export function isTranslatable(
  map: SlotMap,
  offset: Affine,
  walks: readonly Step[],
  loops: ReadonlyMap<number, LoopHead>,
): boolean {
  const reach = map.map(() => 0);
  const move = (stride: number, most: number): boolean => {
    if (stride === 0 || most === 0) return true;
    const axis = axisOf(map, stride);
    if (axis < 0) return false;
    reach[axis]! += (stride / map[axis]!.slotStride) * most;
    return true;
  };
  const { constant, terms } = offset;
  const digits = digitsOf(map, constant);
  if (digits === undefined) return false;
  digits.forEach((digit, axis) => (reach[axis]! += digit));
  const isMoved =
    terms.every((term) => move(term.coefficient, mostOf(term, loops))) &&
    walks.every(({ stride, most }) => move(stride, most));
  return isMoved && reach.every((most, axis) => axis === 0 || most < map[axis]!.count);
}

function mostOf(term: Affine["terms"][number], loops: ReadonlyMap<number, LoopHead>): number {
  const head = loops.get(term.id);
  if (term.of === "scalar" || head === undefined) return Infinity;
  if (term.of === "extent") return head.step;
  const isFromZero = head.start.constant === 0 && head.start.terms.length === 0;
  if (!isFromZero) return Math.max(0, head.maxTotal - 1);
  return Math.max(0, Math.floor((head.maxTotal - 1) / head.step) * head.step);
}

/** The axis whose positions a stride counts, -1 if none. Strides that go backward are not translated. */
function axisOf(map: SlotMap, stride: number): number {
  return map.findIndex(({ slotStride }) => stride >= slotStride && stride % slotStride === 0);
}

function digitsOf(map: SlotMap, offset: number): number[] | undefined {
  let rest = offset;
  const digits = map.map(({ slotStride }) => {
    const digit = Math.floor(rest / slotStride);
    rest -= digit * slotStride;
    return digit;
  });
  return rest === 0 && digits.every((digit) => digit >= 0) ? digits : undefined;
}

/** Stride in memory that a stride in the slot comes to. */
export function translateStride(map: SlotMap, stride: number): number {
  if (stride === 0) return 0;
  const axis = map[axisOf(map, stride)];
  // Along an axis of one position any stride will do.
  return axis === undefined ? 0 : (stride / axis.slotStride) * axis.memoryStride;
}

export function translateOffset(map: SlotMap, offset: Affine): Affine {
  const digits = digitsOf(map, offset.constant);
  if (digits === undefined) throw new InternalError("an offset into a bound slot has no digits");
  return {
    constant: digits.reduce((sum, digit, axis) => sum + digit * map[axis]!.memoryStride, 0),
    terms: offset.terms.map((term) => ({
      ...term,
      coefficient: translateStride(map, term.coefficient),
    })),
  };
}
