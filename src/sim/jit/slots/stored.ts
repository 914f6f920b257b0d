/**
 * Which slots a vec may leave out: where one vec fills a slot and the one store of the same loop body writes exactly
 * that to memory, the vec writes to the store's destination and the store has nothing left to do.
 */
import type { Affine, Count, LoopHead, StoreBody } from "../../../ir/tile.js";
import type {
  Instruction,
  Program,
  ProgramNode,
  SlotDest,
  SlotSource,
} from "../../../isa/program.js";
import { dtypes } from "../../../numerics/dtype.js";
import { isTranslatable, type SlotMap, slotMap } from "./slot-map.js";
import { operandsOf } from "../walk/walk.js";

export interface StoredQueue {
  readonly store: StoreBody<SlotSource>;
  readonly map: SlotMap;
}

export function storedQueues(program: Program): ReadonlyMap<number, StoredQueue> {
  const stored = new Map<number, StoredQueue>();
  const uses = new Map<number, number>();
  const visit = (nodes: readonly ProgramNode[], loops: ReadonlyMap<number, LoopHead>): void => {
    for (const node of nodes) {
      if (node.kind === "loop") visit(node.body, new Map([...loops, [node.head.id, node.head]]));
      if (node.kind !== "instruction") continue;
      const { sources, dests } = operandsOf(node.instruction);
      for (const { queue } of [...sources, ...dests]) uses.set(queue, (uses.get(queue) ?? 0) + 1);
    }
    for (const [queue, found] of pairsIn(program, nodes, loops)) stored.set(queue, found);
  };
  visit(program.body, new Map());
  for (const [queue, count] of uses) if (count > 2) stored.delete(queue);
  return stored;
}

/** The pairs of a vec and a later store in one body, by the queue between them. */
function pairsIn(
  program: Program,
  nodes: readonly ProgramNode[],
  loops: ReadonlyMap<number, LoopHead>,
): Map<number, StoredQueue> {
  const pairs = new Map<number, StoredQueue>();
  const writers = new Map<number, number>();
  nodes.forEach((node, at) => {
    if (node.kind !== "instruction") return;
    const { body } = node.instruction;
    if (body.op === "vec") for (const { dest } of body.outputs) writers.set(dest.queue, at);
    if (body.op !== "store" || !isPlain(program, body)) return;
    const from = writers.get(body.source.queue);
    const map = slotMap(body.axes);
    if (from === undefined || map === undefined) return;
    const writer = nodes[from]!;
    // A store to the same place in between would come too late.
    if (nodes.slice(from, at).some((other) => storesTo(other, body.memory.binding))) return;
    if (writer.kind !== "instruction" || !isSameStage(writer.instruction, node.instruction)) return;
    if (!writesWhatIsStored(writer.instruction, body, map, loops)) return;
    pairs.set(body.source.queue, { store: body, map });
  });
  return pairs;
}

function storesTo(node: ProgramNode, binding: number): boolean {
  if (node.kind === "loop") return node.body.some((child) => storesTo(child, binding));
  if (node.kind !== "instruction") return false;
  const { body } = node.instruction;
  return body.op === "store" && body.memory.binding === binding;
}

function isSameStage(a: Instruction, b: Instruction): boolean {
  return JSON.stringify(a.stage ?? null) === JSON.stringify(b.stage ?? null);
}

function isPlain(program: Program, body: StoreBody<SlotSource>): boolean {
  const binding = program.bindings[body.memory.binding]!;
  const queue = program.queues[body.source.queue]!;
  return (
    binding.access === "write" &&
    binding.dtype === queue.dtype &&
    dtypes[binding.dtype].bits >= 8 &&
    queue.space === "l1" &&
    queue.consumers.length === 1 &&
    body.index === undefined &&
    body.combine === undefined &&
    body.source.pop.kind === "always" &&
    isZero(body.source.offset) &&
    body.axes.every((axis) => axis.clip === undefined)
  );
}

function isZero({ constant, terms }: Affine): boolean {
  return constant === 0 && terms.length === 0;
}

function writesWhatIsStored(
  { body }: Instruction,
  store: StoreBody<SlotSource>,
  map: SlotMap,
  loops: ReadonlyMap<number, LoopHead>,
): boolean {
  if (body.op !== "vec") return false;
  const output = body.outputs.find(({ dest }) => dest.queue === store.source.queue);
  if (output === undefined || !isWhole(output.dest)) return false;
  const { reduce } = output;
  if (reduce !== undefined) {
    if (reduce.init.kind !== "always" || reduce.partialStride !== undefined) return false;
  }
  const written = body.axes
    .map(({ count }, i) => ({ count, stride: output.strides[i]! }))
    .filter(
      ({ stride }, i) => stride !== 0 || (reduce === undefined && body.axes[i]!.count.max > 1),
    );
  const read = store.axes.map(({ count, slotStride }) => ({ count, stride: slotStride }));
  const walks = written.map(({ count, stride }) => ({ stride, most: count.max - 1 }));
  return (
    JSON.stringify(normalised(written)) === JSON.stringify(normalised(read)) &&
    isTranslatable(map, output.dest.offset, walks, loops)
  );
}

function isWhole(dest: SlotDest): boolean {
  return !dest.update && dest.publish.kind === "always" && isZero(dest.offset);
}

interface Walked {
  readonly count: Count;
  readonly stride: number;
}

/** Equal for walks over equal sets of elements, if not always: neighbours are merged where a count is fixed. */
function normalised(walk: readonly Walked[]): readonly Walked[] {
  const sorted = walk.filter(({ count }) => fixed(count) !== 1).sort((a, b) => a.stride - b.stride);
  const merged: Walked[] = [];
  for (const axis of sorted) {
    const inner = merged.at(-1);
    const count = inner && fixed(inner.count);
    if (count === undefined || axis.stride !== inner!.stride * count) merged.push(axis);
    else merged[merged.length - 1] = { stride: inner!.stride, count: times(axis.count, count) };
  }
  return merged.map(({ stride, count }) => ({ stride, count: sortedTerms(count) }));
}

function fixed({ value, max }: Count): number | undefined {
  return value.terms.length === 0 ? Math.min(Math.max(value.constant, 0), max) : undefined;
}

function times({ value, max }: Count, factor: number): Count {
  const terms = value.terms.map((term) => ({ ...term, coefficient: term.coefficient * factor }));
  return { value: { constant: value.constant * factor, terms }, max: max * factor };
}

function sortedTerms({ value, max }: Count): Count {
  const order = (term: Affine["terms"][number]): string => `${term.of} ${term.id}`;
  const terms = value.terms
    .map(({ coefficient, of, id }) => ({ coefficient, of, id }))
    .sort((a, b) => (order(a) < order(b) ? -1 : 1));
  const exact = fixed({ value, max });
  return { value: { constant: exact ?? value.constant, terms }, max: exact ?? max };
}
