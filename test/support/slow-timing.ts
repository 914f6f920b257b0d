/**
 * Time, cycle by cycle: the rules of docs/timing.md written down once more in the dumbest way, for programs without
 * deliveries between members and without barriers. It takes instances from plain order and costs from the
 * formulas, and shares nothing with the event-driven simulation.
 */
import type { Condition, EngineRef, Program } from "../../src/isa/program.js";
import { engineOf } from "../../src/isa/program.js";
import { slotAccesses } from "../../src/isa/sites.js";
import type { Cost } from "../../src/sim/timing/cost.js";
import { costOf, extentsOf } from "../../src/sim/timing/costs.js";
import { cyclesOfNs, type DeviceMachine } from "../../src/target/machine.js";
import { holds, type Issue, type PlainMember, plainOrder } from "./plain-order.js";

type Instruction = Issue["instruction"];

/** One instruction of one member, with what it does to the member's queues. */
interface Instance {
  readonly cost: Cost;
  readonly reads: readonly {
    readonly queue: number;
    readonly consumer: number;
    readonly pops: boolean;
  }[];
  readonly writes: readonly {
    readonly queue: number;
    readonly publishes: boolean;
    readonly update: boolean;
    readonly goesOn: boolean;
  }[];
}

interface Flight {
  readonly instance: Instance;
  /** Grains that have still to move; without memory, cycles. */
  left: number;
  readonly cap: number;
  readonly usesMemory: boolean;
  readonly ready: number;
}

interface Engine {
  readonly ref: EngineRef;
  readonly member: number;
  readonly instances: Instance[];
  next: number;
  freeAt: number;
  leaving: Instance | undefined;
  flights: Flight[];
  /** What is published at a later cycle. */
  later: { readonly at: number; readonly instance: Instance }[];
}

interface Level {
  taken: number;
  published: number;
  claimed: number[];
  popped: number[];
  tailArrives: number;
  headArrives: number;
}

const grains = 1024;

/** Undefined for programs with what is not covered. */
export function slowCycles(
  program: Program,
  machine: DeviceMachine,
  scalars: readonly number[],
): number | undefined {
  const issues = plainOrder(program, scalars);
  const isCovered = ({ body }: Instruction) => body.op !== "load" || body.delivery === undefined;
  if (!issues.every(({ instruction }) => isCovered(instruction)) || hasBarrier(program.body)) {
    return undefined;
  }
  const engines = enginesOf(program, machine, issues, scalars);
  const levels = Array.from({ length: program.grid.rows * program.grid.columns }, () =>
    program.queues.map(
      ({ consumers }): Level => ({
        taken: 0,
        published: 0,
        claimed: consumers.map(() => 0),
        popped: consumers.map(() => 0),
        tailArrives: 0,
        headArrives: 0,
      }),
    ),
  );
  let now = 0;
  for (;;) {
    for (const engine of engines) arrive(engine, levels[engine.member]!, now, machine);
    for (let again = true; again; ) {
      again = false;
      for (const engine of engines) {
        if (start(program, engine, levels[engine.member]!, now, machine)) again = true;
      }
    }
    if (engines.every(isIdle)) return now;
    move(engines, now, machine);
    now++;
    if (now > 1e6) throw new Error("it takes too long");
  }
}

function hasBarrier(nodes: Program["body"]): boolean {
  return nodes.some((n) => n.kind === "barrier" || (n.kind === "loop" && hasBarrier(n.body)));
}

function enginesOf(
  program: Program,
  machine: DeviceMachine,
  issues: readonly Issue[],
  scalars: readonly number[],
): Engine[] {
  const engines = new Map<string, Engine>();
  for (const { instruction, members } of issues) {
    for (const [number, member] of members) {
      const ref = engineOf(instruction);
      const key = `${number} ${JSON.stringify(ref)}`;
      if (!engines.has(key)) {
        engines.set(key, {
          ref,
          member: number,
          instances: [],
          next: 0,
          freeAt: 0,
          leaving: undefined,
          flights: [],
          later: [],
        });
      }
      const cost = costOf(
        instruction,
        extentsOf(instruction, { scalars, trips: member.trips }),
        program,
        machine,
      );
      engines.get(key)!.instances.push(instanceOf(program, instruction, member, cost));
    }
  }
  return [...engines.values()];
}

function instanceOf(
  program: Program,
  instruction: Instruction,
  member: PlainMember,
  cost: Cost,
): Instance {
  const text = JSON.stringify(engineOf(instruction));
  const isTrue = (condition: Condition) => holds(condition, member);
  const read = (queue: number, pops: boolean) => ({
    queue,
    consumer: program.queues[queue]!.consumers.findIndex((c) => JSON.stringify(c) === text),
    pops,
  });
  const reads = (instruction.waits ?? []).map(({ queue, pop }) => read(queue, isTrue(pop)));
  const writes = [];
  for (const access of slotAccesses(instruction)) {
    const { queue } = access.slot;
    if (access.kind === "read") reads.push(read(queue, isTrue(access.slot.pop)));
    else {
      const { update, publish } = access.slot;
      const goesOn = instruction.body.op === "vec" && !isTrue(access.begins);
      writes.push({ queue, update, publishes: isTrue(publish), goesOn });
      if (update) reads.push(read(queue, false));
    }
  }
  for (const { queue, publish } of instruction.signals ?? []) {
    writes.push({ queue, update: false, publishes: isTrue(publish), goesOn: false });
  }
  return { cost, reads, writes };
}

function pop({ reads }: Instance, levels: readonly Level[]): void {
  for (const { queue, consumer, pops } of reads) if (pops) levels[queue]!.popped[consumer]!++;
}

function isComputing({ ref }: Engine): boolean {
  return ref.engine === "tensor" || ref.engine === "vector";
}

/** What ends at this cycle. */
function arrive(engine: Engine, levels: readonly Level[], now: number, machine: DeviceMachine) {
  if (engine.leaving !== undefined && engine.freeAt === now) {
    pop(engine.leaving, levels);
    engine.leaving = undefined;
  }
  for (;;) {
    const [first] = engine.flights;
    if (first === undefined || first.left > 0 || first.ready > now) break;
    engine.flights.shift();
    pop(first.instance, levels);
    const isStore = engine.ref.engine === "store";
    const at = now + (isStore ? cyclesOfNs(machine, machine.hbm.latencyNs) : 0);
    engine.later.push({ at, instance: first.instance });
  }
  for (const { at, instance } of engine.later) {
    if (at !== now) continue;
    for (const { queue, publishes } of instance.writes) if (publishes) levels[queue]!.published++;
  }
  engine.later = engine.later.filter(({ at }) => at > now);
}

function canStart(
  { queues }: Program,
  { reads, writes }: Instance,
  levels: readonly Level[],
  now: number,
): boolean {
  return (
    reads.every(({ queue, consumer }) => {
      const level = levels[queue]!;
      return level.published > level.claimed[consumer]! && level.headArrives <= now;
    }) &&
    writes.every(({ queue, update, goesOn }) => {
      const level = levels[queue]!;
      if (update) return true;
      const isFree = level.taken - Math.min(...level.popped) < queues[queue]!.depth;
      return isFree && (!goesOn || level.tailArrives <= now);
    })
  );
}

function start(
  program: Program,
  engine: Engine,
  levels: readonly Level[],
  now: number,
  machine: DeviceMachine,
): boolean {
  const instance = engine.instances[engine.next];
  if (instance === undefined || engine.freeAt > now) return false;
  if (!canStart(program, instance, levels, now)) return false;
  const { cost } = instance;
  if (isComputing(engine)) {
    const isVector = engine.ref.engine === "vector";
    const { startCycles } = isVector ? machine.vector : machine.tensor;
    const at = now + cost.cycles + machine.l1.accessStartCycles + startCycles;
    engine.freeAt = now + cost.cycles;
    engine.leaving = instance;
    engine.later.push({ at, instance });
    for (const { queue, update, publishes } of instance.writes) {
      if (update) levels[queue]!.headArrives = at;
      else if (isVector && !publishes) levels[queue]!.tailArrives = at;
    }
  } else {
    const limit = machine.channels.outstandingBytes * grains;
    if (engine.flights.reduce((sum, { left }) => sum + left, 0) > limit) return false;
    engine.freeAt = now + machine.channels.issueCycles;
    engine.flights.push(flightOf(engine, instance, now, machine));
  }
  engine.next++;
  for (const { queue, consumer, pops } of instance.reads) {
    if (pops) levels[queue]!.claimed[consumer]!++;
  }
  for (const { queue, publishes } of instance.writes) if (publishes) levels[queue]!.taken++;
  if (!isComputing(engine)) arrive(engine, levels, now, machine);
  return true;
}

function flightOf(engine: Engine, instance: Instance, now: number, machine: DeviceMachine): Flight {
  const { cost } = instance;
  const { channels, hbm } = machine;
  const loadLatency = cyclesOfNs(machine, channels.latencyNs + hbm.latencyNs);
  const latency =
    engine.ref.engine === "load" ? loadLatency : cyclesOfNs(machine, channels.latencyNs);
  const usesMemory = cost.memoryBytes > 0;
  const left = usesMemory ? cost.memoryBytes * grains : cost.cycles;
  const perChannel = Math.floor((channels.outstandingBytes * grains) / loadLatency);
  const perSlot = cost.cycles === 0 ? Infinity : Math.ceil(left / cost.cycles);
  const cap = usesMemory ? Math.min(perChannel, perSlot) : 1;
  return { instance, left, cap, usesMemory, ready: now + latency };
}

/** One cycle of data, for the first transfer of every channel. */
function move(engines: readonly Engine[], now: number, machine: DeviceMachine): void {
  const moving = engines
    .flatMap(({ flights }) => flights.slice(0, 1))
    .filter(({ ready, left }) => ready <= now && left > 0);
  for (const flight of moving) if (!flight.usesMemory) flight.left -= 1;
  let open = moving.filter(({ usesMemory }) => usesMemory);
  let budget = Math.floor((machine.hbm.bytesPerSecond * grains) / machine.clock.frequencyHz);
  while (open.length > 0) {
    const share = Math.max(1, Math.floor(budget / open.length));
    const slow = open.filter(({ cap }) => cap <= share);
    for (const flight of slow.length > 0 ? slow : open) {
      const amount = Math.min(flight.cap, share);
      flight.left = Math.max(0, flight.left - amount);
      budget -= amount;
    }
    open = slow.length > 0 ? open.filter(({ cap }) => cap > share) : [];
  }
}

function isIdle({ instances, next, flights, later, leaving }: Engine): boolean {
  return (
    next === instances.length && flights.length === 0 && later.length === 0 && leaving === undefined
  );
}
