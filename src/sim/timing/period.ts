/**
 * Steady phases are multiplied instead of stepped. When a watched loop comes to a new step, the whole state is taken
 * down relative to this cycle and this step. If it is the same as some steps before, what happened since will
 * happen again for as long as every engine's steps of that loop are alike; so it is added as often as that.
 */
import { standAtChild, type Frame } from "./projection.js";
import { account, type Actor, type Simulation } from "./state.js";

/** The state that later ones are compared with: replaced after 1, 2, 4, ... steps, so that any period is found. */
export interface Mark {
  readonly state: string;
  readonly step: number;
  readonly time: number;
  readonly counters: Float64Array;
  readonly patience: number;
  age: number;
}

/** Looks at the loops that came to a new step. The simulation is at rest: nothing more happens at this cycle. */
export function skipPeriods(simulation: Simulation): void {
  // An engine may run through several steps at one cycle.
  const frames = new Map(simulation.stepped.map(({ actor, frame }) => [frame, actor]));
  simulation.stepped.length = 0;
  for (const [frame, actor] of frames) {
    if (!actor.cursor.frames.includes(frame)) continue;
    const { from, to } = frame.alike!;
    if (frame.step >= from && frame.step < to - 1) lookAt(simulation, frame);
  }
}

function lookAt(simulation: Simulation, frame: Frame): void {
  for (const actor of simulation.actors) {
    if (isDoing(actor)) continue;
    account(simulation, actor, actor.cause, simulation.now - actor.since);
    actor.since = simulation.now;
  }
  const { marks } = simulation;
  const state = stateText(simulation, frame);
  const mark = marks.get(frame);
  if (mark !== undefined && mark.state === state) {
    marks.delete(frame);
    multiply(simulation, frame, mark);
    return;
  }
  if (mark !== undefined && ++mark.age < mark.patience) return;
  marks.set(frame, {
    state,
    step: frame.step,
    time: simulation.skipped + simulation.now,
    counters: simulation.counters.slice(),
    patience: mark === undefined ? 1 : mark.patience * 2,
    age: 0,
  });
}

/** It works: its cycles are counted at the end. */
function isDoing({ running, transfers }: Actor): boolean {
  return running !== undefined || transfers[0]?.isMoving === true;
}

function multiply(simulation: Simulation, watched: Frame, mark: Mark): void {
  const { actors, counters } = simulation;
  const { id } = watched.loop.head!;
  const steps = watched.step - mark.step;
  const frames = actors.flatMap((actor) =>
    actor.cursor.frames.filter((f) => f.loop.head?.id === id).map((frame) => ({ actor, frame })),
  );
  const times = Math.min(
    ...frames.map(({ frame: { alike, step } }) => {
      if (alike === undefined || step - steps < alike.from) return 0;
      return Math.floor((alike.to - 1 - step) / steps);
    }),
  );
  if (times <= 0) return;
  simulation.skipped += times * (simulation.skipped + simulation.now - mark.time);
  for (let i = 0; i < counters.length; i++) {
    counters[i]! += times * (counters[i]! - mark.counters[i]!);
  }
  for (const { actor, frame } of frames) {
    frame.step += times * steps;
    standAtChild(actor.cursor, frame);
  }
}

/** Everything that decides what happens next, with times relative to now and steps of the loop to this frame's. */
function stateText(simulation: Simulation, watched: Frame): string {
  const { now, actors, queues } = simulation;
  const { id } = watched.loop.head!;
  const parts: (number | string)[] = [];
  for (const actor of actors) {
    for (const { loop, step, child } of actor.cursor.frames) {
      parts.push(loop.head?.id === id ? step - watched.step : step, child);
    }
    parts.push(";");
    if (actor.running !== undefined) parts.push(actor.busyUntil - now, bits(actor.running.pops));
    for (const { at, head } of actor.results) {
      parts.push(at - now, head.operation.number, bits(head.publishes));
    }
    if (isDoing(actor)) parts.push(now - actor.since);
    if (actor.issueAt > now) parts.push("i", actor.issueAt - now);
    for (const { operation, parties, total, remaining, readyAt } of actor.transfers) {
      const { head } = parties.find((party) => party.actor === actor)!;
      parts.push(operation.number, total, remaining, Math.max(0, readyAt - now));
      parts.push(bits(head.pops), bits(head.publishes));
    }
    for (const { operation, parties, landsAt } of actor.landings) {
      const publishes = parties.map(({ head }) => bits(head.publishes));
      parts.push("l", operation.number, landsAt - now, ...publishes);
    }
    parts.push("|");
  }
  for (const states of queues) {
    for (const { taken, published, claimed, popped, tailSettledAt, headSettledAt } of states) {
      parts.push(taken - published);
      for (let i = 0; i < popped.length; i++) {
        parts.push(published - popped[i]!, claimed[i]! - popped[i]!);
      }
      parts.push(Math.max(0, tailSettledAt - now), Math.max(0, headSettledAt - now));
    }
  }
  return parts.join();
}

function bits(flags: readonly boolean[]): number {
  return flags.reduce((sum, flag) => sum * 2 + (flag ? 1 : 0), 1);
}
