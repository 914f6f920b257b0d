/**
 * The queues of one member while a program runs: rings of slots with one cursor per consumer. Over- and underfull
 * queues, and engines that are not the queue's, stop here.
 */
import {
  accumulatorCells,
  slotCells,
  undefinedBehaviour,
  type AccumulatorCells,
  type SlotCells,
} from "../../ir/semantics/cells.js";
import type { EngineRef, Queue } from "../../isa/program.js";
import type { Clock } from "./order.js";

export interface Ring {
  readonly queue: Queue;
  readonly slots: readonly Slot[];
  /** Slots published so far, and per consumer popped so far. */
  published: number;
  readonly popped: number[];
  /** The slot at the tail was written to since the last publish. */
  isOpen: boolean;
  /** Who wrote to it last leaves it unpublished on purpose. */
  isWithheld: boolean;
  /** How its slots come from the producer: always in the same way, or several members would produce. */
  delivery: string | undefined;
}

export interface Slot {
  readonly cells: SlotCells & Partial<AccumulatorCells>;
  /** What had happened when it was last published, and last freed. */
  readonly publishedAt: Clock;
  readonly freedAt: Clock;
}

export function createRing(queue: Queue, newClock: () => Clock): Ring {
  checkSpace(queue);
  const create = queue.space === "accumulator" ? accumulatorCells : slotCells;
  const slots = Array.from({ length: queue.depth }, (_, i) => ({
    cells: create(`${queue.name}[${i}]`, queue.dtype, queue.elements),
    publishedAt: newClock(),
    freedAt: newClock(),
  }));
  const popped = queue.consumers.map(() => 0);
  return {
    queue,
    slots,
    published: 0,
    popped,
    isOpen: false,
    isWithheld: false,
    delivery: undefined,
  };
}

/** Accumulators are written by the tensor engine and read by the vector engine; nothing else is. */
function checkSpace({ name, space, dtype, producer, consumers }: Queue): void {
  const isAccumulator = space === "accumulator";
  if (isAccumulator && dtype !== "f32" && dtype !== "i32") {
    undefinedBehaviour(`queue ${name} of accumulators holds ${dtype}`);
  }
  if ((producer.engine === "tensor") !== isAccumulator) {
    undefinedBehaviour(`queue ${name} in ${space} is filled by ${engineText(producer)}`);
  }
  const reader = consumers.find((consumer) => isAccumulator && consumer.engine !== "vector");
  if (reader !== undefined) {
    undefinedBehaviour(`queue ${name} of accumulators is read by ${engineText(reader)}`);
  }
}

/** The full slot at the consumer's head. */
export function headSlot(ring: Ring, engine: EngineRef): Slot {
  const consumer = consumerNumber(ring, engine);
  const { queue, published, popped } = ring;
  if (popped[consumer]! >= published) {
    undefinedBehaviour(`queue ${queue.name} is empty for ${engineText(engine)}: underfull`);
  }
  return ring.slots[popped[consumer]! % queue.depth]!;
}

/** The head, for a consumer that rewrites it: the only one. */
export function updatedSlot(ring: Ring, engine: EngineRef): Slot {
  if (ring.queue.consumers.length !== 1) {
    undefinedBehaviour(`queue ${ring.queue.name} is updated but has several consumers`);
  }
  return headSlot(ring, engine);
}

/** The free slot at the tail. It is empty when the first instruction since the last publish comes to it. */
export function tailSlot(ring: Ring, engine: EngineRef, delivery = "itself"): Slot {
  const { queue, published, popped } = ring;
  ring.delivery ??= delivery;
  if (ring.delivery !== delivery) {
    undefinedBehaviour(`queue ${queue.name} is filled by ${ring.delivery} and by ${delivery}`);
  }
  if (!sameEngine(queue.producer, engine)) {
    undefinedBehaviour(`queue ${queue.name} is not filled by ${engineText(engine)}`);
  }
  if (published - Math.min(published, ...popped) >= queue.depth) {
    undefinedBehaviour(`queue ${queue.name} has no free slot: overfull`);
  }
  const slot = ring.slots[published % queue.depth]!;
  if (!ring.isOpen) slot.cells.reset();
  ring.isOpen = true;
  return slot;
}

export function publish(ring: Ring): void {
  if (!ring.isOpen) undefinedBehaviour(`queue ${ring.queue.name} publishes an unwritten slot`);
  ring.published++;
  ring.isOpen = false;
}

export function pop(ring: Ring, engine: EngineRef): void {
  ring.popped[consumerNumber(ring, engine)]!++;
}

/** At the end of a program every slot has been published, unless that was withheld, and popped by everyone. */
export function checkDrained(ring: Ring): void {
  const { queue, published, popped } = ring;
  if (ring.isOpen && !ring.isWithheld)
    undefinedBehaviour(`queue ${queue.name} ends with a slot never published`);
  popped.forEach((count, i) => {
    if (count === published) return;
    const consumer = engineText(queue.consumers[i]!);
    undefinedBehaviour(`queue ${queue.name} ends with ${published - count} slots for ${consumer}`);
  });
}

export function accumulators(cells: Slot["cells"]): SlotCells & AccumulatorCells {
  if (cells.clear === undefined) {
    return undefinedBehaviour(`${cells.label} is written by an mma but is no accumulator`);
  }
  return cells as SlotCells & AccumulatorCells;
}

function consumerNumber(ring: Ring, engine: EngineRef): number {
  const number = ring.queue.consumers.findIndex((consumer) => sameEngine(consumer, engine));
  if (number < 0) {
    undefinedBehaviour(`queue ${ring.queue.name} is not read by ${engineText(engine)}`);
  }
  return number;
}

export function sameEngine(a: EngineRef, b: EngineRef): boolean {
  return engineText(a) === engineText(b);
}

export function engineText(engine: EngineRef): string {
  return "channel" in engine ? `${engine.engine}.${engine.channel}` : engine.engine;
}
