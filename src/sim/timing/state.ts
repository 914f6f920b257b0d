/**
 * The state of a program in time: one actor per class of members and engine or channel, each at a place of its own
 * in the program; the queues between them; the data on their way.
 */
import type { Environment } from "../../ir/semantics/semantics.js";
import type { EngineRef, Program } from "../../isa/program.js";
import { sameEngine } from "../../isa/sites.js";
import { cyclesOfNs, type DeviceMachine } from "../../target/machine.js";
import { alikeSteps } from "./alike.js";
import { grainsPerByte, type Stream } from "./bandwidth.js";
import { type MemberClass, memberClasses, type Route } from "./classes.js";
import type { Cost } from "./cost.js";
import { costOf, extentsOf } from "./costs.js";
import { holds, type Operation, operationsOf } from "./operation.js";
import type { Mark } from "./period.js";
import { createCursor, type Cursor, type Frame, projectionOf } from "./projection.js";
import { createQueues, type QueueState } from "./queues.js";
import { tallyFields } from "./tally.js";
import type { OnEvent, TraceEvent } from "./trace.js";

/**
 * What an engine does at a time: it works (a channel: data move, for as long as it would take alone), or waits
 *   data       for a queue to be filled
 *   slot       for a slot to be free
 *   partner    for other members of a multicast or gather
 *   latency    for the first byte of memory
 *   bandwidth  for other streams that use the memory or the links
 *   issue      for the interval between two instructions of a channel
 *   barrier    at a barrier
 *   finished   for the others, having nothing left to do
 */
export const causes = [
  "busy",
  "data",
  "slot",
  "partner",
  "latency",
  "bandwidth",
  "issue",
  "barrier",
  "finished",
] as const;
export type Cause = (typeof causes)[number];

/** An instruction at the head of its engine, or under way, with its conditions as they are on its trip. */
export interface Head {
  readonly operation: Operation;
  readonly cost: Cost;
  readonly route: Route | undefined;
  /** Per source and per destination of the operation. */
  readonly pops: readonly boolean[];
  readonly publishes: readonly boolean[];
  /** It goes on from what an earlier instruction wrote to the slot. */
  readonly continues: readonly boolean[];
}

export interface Actor {
  readonly number: number;
  readonly engine: EngineRef;
  readonly members: MemberClass;
  readonly cursor: Cursor;
  readonly queues: readonly QueueState[];
  queuesOf(memberClass: number): readonly QueueState[];
  head: Head | "barrier" | undefined;
  /** Since `since` it has been doing this. */
  cause: Cause;
  since: number;
  isAwake: boolean;
  /** Computing engines: the instruction in the engine until `busyUntil`, and those whose results are on their way. */
  running: Head | undefined;
  busyUntil: number;
  readonly results: { readonly head: Head; readonly at: number }[];
  /** Channels: transfers whose data have not all moved, and those that have still to land, which this one leads. */
  readonly transfers: Transfer[];
  readonly landings: Transfer[];
  issueAt: number;
  /** The next instruction only waits for fewer bytes to be outstanding. */
  waitsForRoom: boolean;
}

/** A load or store under way; of a multicast or gather, that of a whole group. */
export interface Transfer extends Stream {
  readonly operation: Operation;
  /** The first one leads. */
  readonly parties: readonly { readonly actor: Actor; readonly head: Head }[];
  readonly total: number;
  remaining: number;
  readonly issuedAt: number;
  readonly readyAt: number;
  isMoving: boolean;
  movesAt: number;
  movedAt: number;
  landsAt: number;
  readonly loops: TraceEvent["loops"];
}

export interface Simulation {
  readonly program: Program;
  readonly machine: DeviceMachine;
  readonly classes: readonly MemberClass[];
  readonly actors: readonly Actor[];
  readonly queues: readonly (readonly QueueState[])[];
  /** Work, then for each actor cycles by cause. */
  readonly counters: Float64Array;
  now: number;
  /** Cycles that were multiplied instead of stepped; the time is `skipped + now`. */
  skipped: number;
  steps: number;
  readonly moving: Transfer[];
  isShareStale: boolean;
  readonly awake: Actor[];
  /** Loops that came to a new step at this cycle, where they are watched. */
  readonly stepped: { readonly actor: Actor; readonly frame: Frame }[];
  readonly watchers: Map<number, Actor>;
  readonly marks: WeakMap<Frame, Mark>;
  readonly rates: Rates;
  readonly costs: readonly Map<string, Cost>[];
  readonly onEvent: OnEvent | undefined;
}

/** Figures of the machine in cycles and grains. */
export interface Rates {
  readonly memoryGrains: number;
  /** What one channel can have under way, and what that comes to per cycle. */
  readonly outstandingGrains: number;
  readonly channelGrains: number;
  readonly loadLatency: number;
  readonly storeLatency: number;
  readonly acknowledgeLatency: number;
}

export interface SimulationOptions {
  readonly scalars: ArrayLike<number>;
  /** False: every trip is stepped. */
  readonly skip: boolean;
  /** False: every member is stepped. */
  readonly merge: boolean;
  readonly onEvent: OnEvent | undefined;
}

export function createSimulation(
  program: Program,
  machine: DeviceMachine,
  options: SimulationOptions,
): Simulation {
  const operations = operationsOf(program);
  const { scalars, merge } = options;
  const classes = memberClasses({ program, operations, scalars, machine, merge });
  const engines = operations
    .map(({ engine }) => engine)
    .filter((engine, i, all) => all.findIndex((other) => sameEngine(other, engine)) === i);
  const projections = engines.map((engine) => ({
    engine,
    root: projectionOf(program, operations, engine),
  }));
  const actors: Actor[] = [];
  const queues = classes.map(() => createQueues(program));
  const simulation: Simulation = {
    program,
    machine,
    classes,
    actors,
    queues,
    counters: new Float64Array(
      tallyFields.length + classes.length * engines.length * causes.length,
    ),
    now: 0,
    skipped: 0,
    steps: 0,
    moving: [],
    isShareStale: false,
    awake: [],
    stepped: [],
    watchers: new Map(),
    marks: new WeakMap(),
    rates: ratesOf(machine),
    costs: operations.map(() => new Map()),
    onEvent: options.onEvent,
  };
  for (const members of classes) {
    for (const { engine, root } of projections) {
      const stepped = (frame: Frame) => onStep(simulation, actor, frame, options.skip);
      const cursor = createCursor(root, { scalars, place: members.members[0]!, stepped });
      const actor = createActor({ number: actors.length, engine, members, cursor, queues });
      actors.push(actor);
    }
  }
  connect(simulation);
  for (const actor of actors) {
    actor.cursor.advance();
    takeNext(simulation, actor);
    wake(simulation, [actor]);
  }
  return simulation;
}

function createActor({
  number,
  engine,
  members,
  cursor,
  queues,
}: Pick<Actor, "number" | "engine" | "members" | "cursor"> & {
  readonly queues: Simulation["queues"];
}): Actor {
  return {
    number,
    engine,
    members,
    cursor,
    queues: queues[members.number]!,
    queuesOf: (memberClass) => queues[memberClass]!,
    head: undefined,
    cause: "finished",
    since: 0,
    isAwake: false,
    running: undefined,
    busyUntil: 0,
    results: [],
    transfers: [],
    landings: [],
    issueAt: 0,
    waitsForRoom: false,
  };
}

/** Who looks again at a pop and at a publish. What neighbours push comes from a class that may be another. */
function connect({ program, actors, queues, classes }: Simulation): void {
  for (const actor of actors) {
    program.queues.forEach(({ producer, consumers }, q) => {
      const own = queues[actor.members.number]![q]!;
      if (consumers.some((consumer) => sameEngine(consumer, actor.engine)))
        own.consumers.push(actor);
      if (!sameEngine(producer, actor.engine)) return;
      const routes = [...actor.members.routes.values()];
      const receivers = routes.flatMap((route) =>
        route.kind === "neighbour" && route.receiver !== undefined ? [route.receiver] : [],
      );
      for (const number of new Set([actor.members.number, ...receivers])) {
        if (number < classes.length) queues[number]![q]!.producers.push(actor);
      }
    });
  }
}

function ratesOf(machine: DeviceMachine): Rates {
  const { channels, hbm, clock } = machine;
  const acknowledgeLatency = cyclesOfNs(machine, hbm.latencyNs);
  const storeLatency = cyclesOfNs(machine, channels.latencyNs);
  const loadLatency = cyclesOfNs(machine, channels.latencyNs + hbm.latencyNs);
  const outstandingGrains = channels.outstandingBytes * grainsPerByte;
  return {
    memoryGrains: Math.floor((hbm.bytesPerSecond * grainsPerByte) / clock.frequencyHz),
    outstandingGrains,
    channelGrains: Math.max(1, Math.floor(outstandingGrains / Math.max(1, loadLatency))),
    loadLatency,
    storeLatency,
    acknowledgeLatency,
  };
}

/** The engine's next instruction, as its trip has it. */
export function takeNext(simulation: Simulation, actor: Actor): void {
  const { current, environment } = actor.cursor;
  if (current === undefined || current === "barrier") {
    actor.head = current;
    return;
  }
  const { number, sources, dests, engine } = current;
  const isVector = engine.engine === "vector";
  actor.head = {
    operation: current,
    cost: currentCost(simulation, current, environment),
    route: actor.members.routes.get(number),
    pops: sources.map(({ pop }) => holds(pop, environment)),
    publishes: dests.map(({ publish }) => holds(publish, environment)),
    // Accumulators add up in the order of the passes, without waiting.
    continues: dests.map(({ begins }) => isVector && !holds(begins, environment)),
  };
}

function currentCost(
  { costs, program, machine }: Simulation,
  { number, instruction, isFixed }: Operation,
  environment: Environment,
): Cost {
  const known = costs[number]!;
  const fixed = isFixed ? known.get("") : undefined;
  if (fixed !== undefined) return fixed;
  const extents = extentsOf(instruction, environment);
  const key = isFixed ? "" : extents.join();
  let cost = known.get(key);
  if (cost === undefined) {
    cost = costOf(instruction, extents, program, machine);
    known.set(key, cost);
  }
  return cost;
}

export function wake(simulation: Simulation, actors: readonly Actor[]): void {
  for (const actor of actors) {
    if (actor.isAwake) continue;
    actor.isAwake = true;
    simulation.awake.push(actor);
  }
}

/** Ends what the actor has been doing, and begins `cause`. */
export function becomes(simulation: Simulation, actor: Actor, cause: Cause): void {
  account(simulation, actor, actor.cause, simulation.now - actor.since);
  actor.since = simulation.now;
  actor.cause = cause;
}

export function account(simulation: Simulation, actor: Actor, cause: Cause, cycles: number): void {
  simulation.counters[counterOf(actor, cause)]! += cycles;
}

export function counterOf(actor: Actor, cause: Cause): number {
  return tallyFields.length + actor.number * causes.length + causes.indexOf(cause);
}

/** Each loop is watched at one actor; all actors must know which of their steps are alike. */
function onStep(simulation: Simulation, actor: Actor, frame: Frame, skip: boolean): void {
  if (!skip) return;
  if (frame.step === 0) frame.alike = alikeSteps(actor.cursor, frame);
  if (frame.alike === undefined) return;
  const { id } = frame.loop.head!;
  if (!simulation.watchers.has(id)) simulation.watchers.set(id, actor);
  if (simulation.watchers.get(id) === actor) simulation.stepped.push({ actor, frame });
}
