/**
 * Steps a program from event to event: at each cycle everything starts that can, then time goes on to the next cycle
 * at which something ends. What can start at a cycle does not depend on the order in which it is looked at.
 */
import { InternalError } from "../../support/diagnostic.js";
import { shareBandwidth } from "./bandwidth.js";
import { continueChannel, finishMove, nextOfChannel, tryChannel } from "./channel.js";
import { continueCompute, nextOfCompute, tryCompute } from "./compute.js";
import { skipPeriods } from "./period.js";
import { account, type Actor, type Simulation, takeNext, wake } from "./state.js";

/** Runs to the end. Afterwards the counters are complete and the time is `skipped + now`. */
export function simulate(simulation: Simulation): void {
  const { actors } = simulation;
  for (;;) {
    settle(simulation);
    if (actors.every((actor) => actor.head === undefined && isDrained(actor))) break;
    if (actors.every((actor) => actor.head === "barrier" && isDrained(actor))) {
      passBarrier(simulation);
      continue;
    }
    if (simulation.isShareStale) {
      shareBandwidth(simulation.moving, simulation.rates.memoryGrains);
      simulation.isShareStale = false;
    }
    if (simulation.stepped.length > 0) skipPeriods(simulation);
    goOn(simulation, nextTime(simulation));
  }
  for (const actor of actors) {
    account(simulation, actor, actor.cause, simulation.now - actor.since);
    actor.since = simulation.now;
  }
}

function isCompute({ engine }: Actor): boolean {
  return engine.engine === "tensor" || engine.engine === "vector";
}

/** Starts everything that can start at this cycle. */
function settle(simulation: Simulation): void {
  const { awake } = simulation;
  while (awake.length > 0) {
    const actor = awake.pop()!;
    actor.isAwake = false;
    if (isCompute(actor)) tryCompute(simulation, actor);
    else tryChannel(simulation, actor);
  }
}

function isDrained({ running, results, transfers, landings }: Actor): boolean {
  return (
    running === undefined && results.length === 0 && transfers.length === 0 && landings.length === 0
  );
}

function passBarrier(simulation: Simulation): void {
  for (const actor of simulation.actors) {
    actor.cursor.advance();
    takeNext(simulation, actor);
    wake(simulation, [actor]);
  }
}

function nextTime(simulation: Simulation): number {
  const { actors, moving, now } = simulation;
  let next = Infinity;
  for (const { remaining, rate } of moving)
    next = Math.min(next, now + Math.ceil(remaining / rate));
  for (const actor of actors) {
    const own = isCompute(actor) ? nextOfCompute(actor) : nextOfChannel(simulation, actor);
    if (own < next) next = own;
  }
  return next;
}

function goOn(simulation: Simulation, next: number): void {
  const { actors, moving, now, program } = simulation;
  if (next === Infinity) throw new InternalError(`program ${program.name} comes to a standstill`);
  simulation.now = next;
  simulation.steps++;
  for (const stream of moving) {
    stream.remaining = Math.max(0, stream.remaining - stream.rate * (next - now));
  }
  for (let i = 0; i < moving.length; ) {
    const stream = moving[i]!;
    if (stream.remaining > 0) i++;
    else {
      moving.splice(i, 1);
      simulation.isShareStale = true;
      finishMove(simulation, stream);
    }
  }
  for (const actor of actors) {
    if (isCompute(actor)) continueCompute(simulation, actor);
    else continueChannel(simulation, actor);
  }
}
