/**
 * Which slots need no copy: a load that neither converts nor fills nor depends on an index, into a slot that is only
 * read, binds the slot to memory, and the readers walk memory instead (slot-map.ts).
 */
import type { LoadBody, LoopHead } from "../../../ir/tile.js";
import type {
  Instruction,
  Program,
  ProgramNode,
  SlotDest,
  SlotSource,
} from "../../../isa/program.js";
import { dtypes } from "../../../numerics/dtype.js";
import { isTranslatable, type SlotMap, slotMap, type Step } from "./slot-map.js";
import { operandsOf } from "../walk/walk.js";

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
    const map = slotMap(body.axes);
    if (map !== undefined) maps.set(body.dest.queue, map);
  }
  const filled = new Map<number, number>();
  for (const instruction of instructions) {
    for (const { queue } of operandsOf(instruction).dests) {
      filled.set(queue, (filled.get(queue) ?? 0) + 1);
    }
    for (const use of usesOf(instruction)) {
      const map = maps.get(use.source.queue);
      if (map !== undefined && !isReadable(map, use, loops)) maps.delete(use.source.queue);
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

/** What a reader touches: from the offset on, `most` elements along each stride. */
interface Use {
  readonly source: SlotSource;
  readonly walks: readonly Step[];
  /** Reads at offsets that are computed. */
  readonly isLookedUp: boolean;
}

function usesOf({ body }: Instruction): Use[] {
  const walk = (
    axes: readonly { readonly count: { readonly max: number } }[],
    strides: readonly number[],
  ) => axes.map(({ count }, i) => ({ stride: strides[i]!, most: count.max - 1 }));
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

function isReadable(map: SlotMap, use: Use, loops: ReadonlyMap<number, LoopHead>): boolean {
  const isContiguous = map.length === 1 && map[0]!.slotStride === map[0]!.memoryStride;
  if (use.isLookedUp && !isContiguous) return false;
  return isTranslatable(map, use.source.offset, use.walks, loops);
}
