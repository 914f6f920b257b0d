/**
 * The tensor and the vector engine. An instruction occupies its engine for its cost; then its sources are free and the
 * next may enter; its results arrive one pass through the pipeline later.
 */
import { claim, popSources, publishDests, queuesBlock } from "./queues.js";
import {
  account,
  type Actor,
  becomes,
  type Cause,
  type Head,
  type Simulation,
  takeNext,
  wake,
} from "./state.js";
import { addTally } from "./tally.js";
import { loopsOf } from "./trace.js";

/** Starts the next instruction if it can. */
export function tryCompute(simulation: Simulation, actor: Actor): void {
  const { head } = actor;
  if (actor.running !== undefined) return;
  if (head === undefined) return becomes(simulation, actor, "finished");
  if (head === "barrier") return becomes(simulation, actor, "barrier");
  const cause: Cause | undefined = queuesBlock(actor, head, simulation.now);
  if (cause !== undefined) return becomes(simulation, actor, cause);
  start(simulation, actor, head);
}

function start(simulation: Simulation, actor: Actor, head: Head): void {
  const { now, machine } = simulation;
  becomes(simulation, actor, "busy");
  claim(actor, head);
  addTally(simulation.counters, head.cost.own, actor.members.members.length);
  const isVector = actor.engine.engine === "vector";
  const depth = (isVector ? machine.vector : machine.tensor).startCycles;
  const at = now + head.cost.cycles + machine.l1.accessStartCycles + depth;
  actor.running = head;
  actor.busyUntil = now + head.cost.cycles;
  actor.results.push({ head, at });
  head.operation.dests.forEach(({ queue, update }, i) => {
    const state = actor.queues[queue]!;
    if (update) state.headSettledAt = at;
    else if (!head.publishes[i] && isVector) state.tailSettledAt = at;
  });
  simulation.onEvent?.({
    engine: actor.engine,
    members: actor.members.members.map(({ number }) => number),
    instruction: head.operation.number,
    role: head.operation.instruction.role,
    issue: now,
    start: now,
    end: actor.busyUntil,
    done: at,
    loops: loopsOf(actor.cursor),
  });
  actor.cursor.advance();
  takeNext(simulation, actor);
}

/** What is due at this cycle. */
export function continueCompute(simulation: Simulation, actor: Actor): void {
  const { now } = simulation;
  const again = (actors: readonly Actor[]) => wake(simulation, actors);
  const { running } = actor;
  if (running !== undefined && actor.busyUntil <= now) {
    account(simulation, actor, "busy", now - actor.since);
    actor.since = now;
    actor.running = undefined;
    popSources(actor, running, again);
    again([actor]);
  }
  while (actor.results.length > 0 && actor.results[0]!.at <= now) {
    publishDests(actor, actor.results.shift()!.head, again);
    again([actor]);
  }
}

export function nextOfCompute(actor: Actor): number {
  const free = actor.running === undefined ? Infinity : actor.busyUntil;
  return Math.min(free, actor.results[0]?.at ?? Infinity);
}
