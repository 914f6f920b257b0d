/**
 * Which slots need no copy: a load that neither converts nor fills nor depends on an index, into a slot that is only
 * read, binds the slot to memory, and the readers walk memory instead. Then a reader's strides and offsets in the
 * slot have to be translated: a slot is a mixed-radix number whose digits are the positions of the load's axes.
 */
import type { Affine, LoadBody, LoopHead } from "../../ir/tile.js";
import type { Instruction, Program, ProgramNode, SlotDest, SlotSource } from "../../isa/program.js";
import { dtypes } from "../../numerics/dtype.js";
import { InternalError } from "../../support/diagnostic.js";
import { operandsOf } from "./walk.js";

/** The axes of the load that fills the slot, the largest slot stride first, merged where both sides allow. */
export type SlotMap = readonly SlotAxis[];

interface SlotAxis {
  readonly slotStride: number;
  readonly memoryStride: number;
  readonly count: number;
}

/** Per queue whose slots are bound to memory: how. */
export function aliasedQueues(program: Program): ReadonlyMap<number, SlotMap> {
  const loops = new Map<number, LoopHead>();
  const instructions: Instruction[] = [];
  const visit = (node: ProgramNode): void => {
    if (node.kind === "instruction") instructions.push(node.instruction);
    if (node.kind !== "loop") return;
    loops.set(node.head.id, node.head);
    node.body.forEach(visit);
  };
  program.body.forEach(visit);
  const maps = new Map<number, SlotMap>();
  for (const instruction of instructions) {
    const { body } = instruction;
    if (body.op !== "load" || !isPlain(program, body)) continue;
    const map = slotMap(body);
    if (map !== undefined) maps.set(body.dest.queue, map);
  }
  const filled = new Map<number, number>();
  for (const instruction of instructions) {
    for (const { queue } of operandsOf(instruction).dests) {
      filled.set(queue, (filled.get(queue) ?? 0) + 1);
    }
    for (const use of usesOf(instruction)) {
      const map = maps.get(use.source.queue);
      if (map !== undefined && !isTranslatable(map, use, loops)) maps.delete(use.source.queue);
    }
  }
  // A second writer fills a part of the slot or updates it.
  for (const [queue, count] of filled) if (count > 1) maps.delete(queue);
  return maps;
}

function isPlain(program: Program, body: LoadBody<SlotSource, SlotDest>): boolean {
  const binding = program.bindings[body.memory.binding]!;
  const queue = program.queues[body.dest.queue]!;
  const { offset, publish } = body.dest;
  return (
    binding.access === "read" &&
    binding.dtype === queue.dtype &&
    // Small floats are kept widened, sub-byte elements unpacked.
    (binding.dtype === "f32" || dtypes[binding.dtype].kind !== "float") &&
    dtypes[binding.dtype].bits >= 8 &&
    body.index === undefined &&
    body.dequantize === undefined &&
    (body.delivery === undefined || body.delivery.kind === "multicast") &&
    body.axes.every((axis) => axis.clip === undefined) &&
    publish.kind === "always" &&
    offset.constant === 0 &&
    offset.terms.length === 0
  );
}

function slotMap(body: LoadBody<SlotSource, SlotDest>): SlotMap | undefined {
  const axes = body.axes
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

/** What a reader touches: from the offset on, `most` elements along each stride. */
interface Use {
  readonly source: SlotSource;
  readonly walks: readonly { readonly stride: number; readonly most: number }[];
  /** Reads at offsets that are computed. */
  readonly isLookedUp: boolean;
}

function usesOf({ body }: Instruction): Use[] {
  const walk = (
    axes: readonly { readonly count: { readonly max: number } }[],
    strides: readonly number[],
  ) => axes.map(({ count }, i) => ({ stride: strides[i]!, most: count.max }));
  const use = (source: SlotSource, walks: Use["walks"], isLookedUp = false): Use => ({
    ...{ source, walks, isLookedUp },
  });
  switch (body.op) {
    case "load":
      return body.index === undefined
        ? []
        : [use(body.index.source, walk(body.axes, body.index.strides))];
    case "store": {
      const slotStrides = body.axes.map((axis) => axis.slotStride);
      const source = use(body.source, walk(body.axes, slotStrides));
      if (body.index === undefined) return [source];
      return [source, use(body.index.source, walk(body.axes, body.index.strides))];
    }
    case "mma": {
      const strides = (which: "strideA" | "strideB") => body.axes.map((axis) => axis[which]);
      const zeros = [body.zeroA, body.zeroB].flatMap((zero) =>
        zero === undefined ? [] : [use(zero.source, walk(body.axes, zero.strides))],
      );
      return [
        use(body.a, walk(body.axes, strides("strideA"))),
        use(body.b, walk(body.axes, strides("strideB"))),
        ...zeros,
      ];
    }
    case "vec":
      return body.inputs.map((input, number) => {
        const isLookedUp = body.program.instructions.some(
          ({ op, imm }) => op === "lookup" && imm === number,
        );
        return use(input.source, walk(body.axes, input.strides), isLookedUp);
      });
    default:
      return body satisfies never;
  }
}

/**
 * Whether each stride and each term of the offset moves along one axis and no digit ever overflows into the next. The
 * first digit may, it has no next.
 */
function isTranslatable(map: SlotMap, use: Use, loops: ReadonlyMap<number, LoopHead>): boolean {
  const reach = map.map(() => 0);
  const move = (stride: number, most: number): boolean => {
    if (stride === 0 || most === 0) return true;
    const axis = axisOf(map, stride);
    if (axis < 0) return false;
    reach[axis]! += (stride / map[axis]!.slotStride) * most;
    return true;
  };
  const { constant, terms } = use.source.offset;
  const digits = digitsOf(map, constant);
  if (digits === undefined) return false;
  digits.forEach((digit, axis) => (reach[axis]! += digit));
  const isMoved =
    terms.every((term) => move(term.coefficient, mostOf(term, loops))) &&
    use.walks.every(({ stride, most }) => move(stride, most - 1));
  if (!isMoved) return false;
  const isContiguous = map.length === 1 && map[0]!.slotStride === map[0]!.memoryStride;
  if (use.isLookedUp) return isContiguous;
  return reach.every((most, axis) => axis === 0 || most < map[axis]!.count);
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
