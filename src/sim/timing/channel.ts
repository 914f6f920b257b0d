/**
 * Load and store channels. A channel issues its transfers in order, as long as no more than its limit is outstanding;
 * after the latency the data of one after the other move, at the rate that memory, port, channel and network
 * leave; a store is done when memory has acknowledged it, a delivery when it has come to the last member.
 */
import { grainsPerByte } from "./bandwidth.js";
import type { Route } from "./classes.js";
import { claim, popSources, publishDests, queuesBlock } from "./queues.js";
import {
  account,
  type Actor,
  becomes,
  type Cause,
  type Head,
  type Simulation,
  takeNext,
  type Transfer,
  wake,
} from "./state.js";
import { addTally, addToTally } from "./tally.js";
import { loopsOf, type OnEvent } from "./trace.js";

/** Issues the next instruction if it can. */
export function tryChannel(simulation: Simulation, actor: Actor): void {
  const cause = channelBlocks(simulation, actor);
  actor.waitsForRoom = cause === "latency";
  if (cause !== undefined) return nowDoing(simulation, actor, cause);
  const { route } = actor.head as Head;
  const classes = route?.kind === "group" ? route.parties : [actor.members.number];
  const parties = classes.map((number) => partyOf(simulation, actor, number));
  const isReady = (party: Actor) =>
    isAt(party, actor) && channelBlocks(simulation, party) === undefined;
  if (!parties.every(isReady)) return nowDoing(simulation, actor, "partner");
  issue(simulation, parties as readonly Party[]);
}

interface Party extends Actor {
  head: Head;
}

/** The same channel of another class; actors of a class stand in the order of the engines. */
function partyOf({ actors, classes }: Simulation, actor: Actor, memberClass: number): Actor {
  const engines = actors.length / classes.length;
  return actors[memberClass * engines + (actor.number % engines)]!;
}

function isAt(party: Actor, actor: Actor): boolean {
  if (party.head === undefined || party.head === "barrier") return false;
  return party.head.operation === (actor.head as Head).operation;
}

function channelBlocks({ now, rates }: Simulation, actor: Actor): Cause | undefined {
  const { head } = actor;
  if (head === undefined) return "finished";
  if (head === "barrier") return "barrier";
  if (actor.issueAt > now) return "issue";
  const cause = queuesBlock(actor, head, now);
  if (cause !== undefined) return cause;
  return outstanding(actor) > rates.outstandingGrains ? "latency" : undefined;
}

function outstanding({ transfers }: Actor): number {
  let grains = 0;
  for (const { remaining } of transfers) grains += remaining;
  return grains;
}

/** While data move or are awaited, that is what the channel does, whatever the next instruction waits for. */
function nowDoing(simulation: Simulation, actor: Actor, cause: Cause): void {
  const [first] = actor.transfers;
  if (first === undefined) becomes(simulation, actor, cause);
  else if (!first.isMoving) {
    becomes(simulation, actor, first.readyAt > simulation.now ? "latency" : "partner");
  }
}

function issue(simulation: Simulation, parties: readonly Party[]): void {
  const { now, machine } = simulation;
  const transfer = transferOf(simulation, parties);
  for (const party of parties) {
    claim(party, party.head);
    count(simulation, party);
    party.transfers.push(transfer);
    party.issueAt = now + machine.channels.issueCycles;
    party.cursor.advance();
    takeNext(simulation, party);
    nowDoing(simulation, party, "latency");
    wake(simulation, [party]);
  }
  tryMove(simulation, transfer);
}

function transferOf(
  { now, machine, rates, onEvent }: Simulation,
  parties: readonly Party[],
): Transfer {
  const [{ head, members, engine, cursor }] = parties as readonly [Party];
  const { route } = head;
  const memoryBytes = Math.max(...parties.map((party) => party.head.cost.memoryBytes));
  const slotBytes = Math.max(...parties.map((party) => party.head.cost.slotBytes));
  const slotCycles = Math.max(...parties.map((party) => party.head.cost.cycles));
  const linkCycles = route === undefined ? 0 : Math.ceil(slotBytes / machine.network.bytesPerCycle);
  const usesMemory = memoryBytes > 0;
  // Without memory, the slot's side alone takes time: a grain is then a cycle.
  const total = usesMemory ? memoryBytes * grainsPerByte : Math.max(slotCycles, linkCycles);
  const perCycle = (cycles: number) => (cycles === 0 ? Infinity : Math.ceil(total / cycles));
  const latency = engine.engine === "load" ? rates.loadLatency : rates.storeLatency;
  return {
    operation: head.operation,
    parties: parties.map((actor) => ({ actor, head: actor.head })),
    weight: weightOf(route, members.members.length, head),
    cap: usesMemory ? Math.min(perCycle(slotCycles), rates.channelGrains) : 1,
    links: usesMemory && linkCycles > 0 && route?.kind === "group" ? route.links : undefined,
    linkCap: usesMemory ? perCycle(linkCycles) : Infinity,
    usesMemory,
    rate: 0,
    total,
    remaining: total,
    issuedAt: now,
    readyAt: now + latency,
    isMoving: false,
    movesAt: 0,
    movedAt: 0,
    landsAt: 0,
    loops: onEvent === undefined ? [] : loopsOf(cursor),
  };
}

/** How many equal streams it is: one per member, of a multicast one per group. */
function weightOf(route: Route | undefined, members: number, { operation }: Head): number {
  if (route?.kind !== "group") return members;
  return operation.delivery?.kind === "gather" ? route.groups * route.size : route.groups;
}

/** What one class adds to what is counted. A multicast is read from memory once, by the first of its parties. */
function count({ counters }: Simulation, { head, members }: Party): void {
  const { cost, route, operation } = head;
  const size = members.members.length;
  const isMulticast = operation.delivery?.kind === "multicast";
  const readers =
    route?.kind !== "group" || !isMulticast
      ? size
      : route.parties[0] === members.number
        ? route.groups
        : 0;
  addTally(counters, cost.shared, readers);
  addTally(counters, cost.own, size);
  if (operation.engine.engine === "load") {
    addToTally(counters, "l1WriteBytes", cost.slotBytes * size * copiesOf(head));
  }
  if (route === undefined) return;
  // A tree that reaches all others of the group has one link less than members.
  const links = route.kind === "group" ? route.size - 1 : route.hops;
  const senders = isMulticast ? readers : size;
  addToTally(counters, "linkBytes", cost.slotBytes * links * senders);
}

/** Slots that get what one member loads, for a multicast its own one. */
function copiesOf({ route, operation }: Head): number {
  if (route?.kind === "neighbour") return route.receiver === undefined ? 0 : 1;
  return route?.kind === "group" && operation.delivery?.kind === "gather" ? route.size : 1;
}

/** Data begin to move when the latency is over and the transfer is the first of all its channels. */
function tryMove(simulation: Simulation, transfer: Transfer): void {
  const { now, moving } = simulation;
  if (transfer.isMoving || transfer.readyAt > now) return;
  if (transfer.parties.some(({ actor }) => actor.transfers[0] !== transfer)) return;
  transfer.isMoving = true;
  transfer.movesAt = now;
  for (const { actor } of transfer.parties) becomes(simulation, actor, "busy");
  if (transfer.total === 0) return finishMove(simulation, transfer);
  moving.push(transfer);
  simulation.isShareStale = true;
}

/** All data have moved: the channel goes on, the slot of a store is free, the transfer is on its last way. */
export function finishMove(simulation: Simulation, transfer: Transfer): void {
  const { now, rates } = simulation;
  const { parties, total, cap, usesMemory } = transfer;
  const alone = Math.ceil(total / Math.min(cap, usesMemory ? rates.memoryGrains : 1));
  for (const { actor, head } of parties) {
    const cycles = now - actor.since;
    account(simulation, actor, "busy", Math.min(alone, cycles));
    account(simulation, actor, "bandwidth", Math.max(0, cycles - alone));
    actor.since = now;
    actor.cause = "issue";
    actor.transfers.shift();
    popSources(actor, head, (actors) => wake(simulation, actors));
    wake(simulation, [actor]);
  }
  transfer.movedAt = now;
  transfer.landsAt = now + landingCycles(simulation, transfer);
  if (simulation.onEvent !== undefined) trace(simulation.onEvent, transfer);
  if (transfer.landsAt === now) land(simulation, transfer);
  else parties[0]!.actor.landings.push(transfer);
  for (const { actor } of parties) {
    const [next] = actor.transfers;
    if (next === undefined) continue;
    nowDoing(simulation, actor, "latency");
    tryMove(simulation, next);
  }
}

function landingCycles({ machine, rates }: Simulation, { operation, parties }: Transfer): number {
  if (operation.engine.engine === "store") return rates.acknowledgeLatency;
  const { route } = parties[0]!.head;
  if (route === undefined || route.hops === 0) return 0;
  return machine.network.injectionCycles + route.hops * machine.network.hopCycles;
}

function land(simulation: Simulation, { parties }: Transfer): void {
  for (const { actor, head } of parties) {
    publishDests(actor, head, (actors) => wake(simulation, actors));
    wake(simulation, [actor]);
  }
}

function trace(onEvent: OnEvent, transfer: Transfer): void {
  const { operation, parties, issuedAt, movesAt, movedAt, landsAt, loops } = transfer;
  onEvent({
    engine: operation.engine,
    members: parties.flatMap(({ actor }) => actor.members.members.map(({ number }) => number)),
    instruction: operation.number,
    role: operation.instruction.role,
    issue: issuedAt,
    start: movesAt,
    end: movedAt,
    done: landsAt,
    loops,
  });
}

/** What is due at this cycle. */
export function continueChannel(simulation: Simulation, actor: Actor): void {
  const { now, rates } = simulation;
  const [first] = actor.transfers;
  if (first !== undefined) tryMove(simulation, first);
  for (let i = 0; i < actor.landings.length; ) {
    if (actor.landings[i]!.landsAt > now) i++;
    else land(simulation, actor.landings.splice(i, 1)[0]!);
  }
  const hasRoom = actor.waitsForRoom && outstanding(actor) <= rates.outstandingGrains;
  if (hasRoom || actor.issueAt === now) wake(simulation, [actor]);
}

export function nextOfChannel({ now, rates }: Simulation, actor: Actor): number {
  let next = actor.issueAt > now ? actor.issueAt : Infinity;
  for (const { landsAt } of actor.landings) next = Math.min(next, landsAt);
  const [first] = actor.transfers;
  if (first === undefined) return next;
  if (!first.isMoving) return first.readyAt > now ? Math.min(next, first.readyAt) : next;
  if (actor.waitsForRoom) {
    const over = outstanding(actor) - rates.outstandingGrains;
    if (over <= first.remaining) next = Math.min(next, now + Math.ceil(over / first.rate));
  }
  return next;
}
