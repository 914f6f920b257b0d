/** The queues of one class of members, and what an instruction at the head of its engine waits for. */
import type { Program } from "../../isa/program.js";
import type { Actor, Cause, Head } from "./state.js";

export interface QueueState {
  readonly depth: number;
  /** Slots that an instruction under way will publish or has published; of these, published. */
  taken: number;
  published: number;
  /** Per consumer: heads that an instruction under way will pop or has popped; of these, popped. */
  readonly claimed: number[];
  readonly popped: number[];
  /** When what was last written to the open slot, or into the head, has arrived. */
  tailSettledAt: number;
  headSettledAt: number;
  /** Who is to look again after a pop, and after a publish. */
  readonly producers: Actor[];
  readonly consumers: Actor[];
}

export function createQueues({ queues }: Program): QueueState[] {
  return queues.map(({ depth, consumers }) => ({
    depth,
    taken: 0,
    published: 0,
    claimed: consumers.map(() => 0),
    popped: consumers.map(() => 0),
    tailSettledAt: 0,
    headSettledAt: 0,
    producers: [],
    consumers: [],
  }));
}

/** Why the instruction cannot start now as far as its queues go; undefined if it can. */
export function queuesBlock(actor: Actor, head: Head, now: number): Cause | undefined {
  const { sources, dests } = head.operation;
  for (const { queue, consumer } of sources) {
    const state = actor.queues[queue]!;
    if (state.published <= state.claimed[consumer]! || state.headSettledAt > now) return "data";
  }
  for (let i = 0; i < dests.length; i++) {
    if (dests[i]!.update) continue;
    const state = targetOf(actor, head, i);
    if (state === undefined) continue;
    if (state.taken - leastPopped(state) >= state.depth) return "slot";
    if (head.continues[i] && state.tailSettledAt > now) return "data";
  }
  return undefined;
}

/** The queue that destination `i` fills: a neighbour's, the member's own, or none over the edge of the grid. */
function targetOf(actor: Actor, { operation, route }: Head, i: number): QueueState | undefined {
  const { queue, isToken } = operation.dests[i]!;
  if (isToken || route?.kind !== "neighbour") return actor.queues[queue];
  return route.receiver === undefined ? undefined : actor.queuesOf(route.receiver)[queue];
}

function leastPopped({ popped }: QueueState): number {
  let least = popped[0]!;
  for (let i = 1; i < popped.length; i++) if (popped[i]! < least) least = popped[i]!;
  return least;
}

/** An instruction starts: what it will pop and publish is no longer there for those behind it. */
export function claim(actor: Actor, head: Head): void {
  const { sources, dests } = head.operation;
  sources.forEach(({ queue, consumer }, i) => {
    if (head.pops[i]) actor.queues[queue]!.claimed[consumer]!++;
  });
  dests.forEach((_, i) => {
    const target = head.publishes[i] ? targetOf(actor, head, i) : undefined;
    if (target !== undefined) target.taken++;
  });
}

/** Tells of all that may go on now. */
export type Wake = (actors: readonly Actor[]) => void;

export function popSources(actor: Actor, head: Head, wake: Wake): void {
  head.operation.sources.forEach(({ queue, consumer }, i) => {
    if (!head.pops[i]) return;
    const state = actor.queues[queue]!;
    state.popped[consumer]!++;
    wake(state.producers);
  });
}

export function publishDests(actor: Actor, head: Head, wake: Wake): void {
  head.operation.dests.forEach((_, i) => {
    const target = head.publishes[i] ? targetOf(actor, head, i) : undefined;
    if (target === undefined) return;
    target.published++;
    wake(target.consumers);
  });
}
