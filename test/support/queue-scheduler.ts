/**
 * Runs a program as the machine would: every engine and channel of every member has its own instruction stream and
 * waits for nothing but its queues; which engine goes next is drawn by lot. Data are numbers mixed from everything
 * that went into them, so two runs agree only if every consumer saw the same slots in the same order.
 */
import type { EngineRef, Instruction, Program, SlotDest } from "../../src/isa/program.js";
import { engineOf } from "../../src/isa/program.js";
import { slotAccesses } from "../../src/isa/sites.js";
import { holds, type Issue, plainOrder, type PlainMember } from "./plain-order.js";
import type { Random } from "./random.js";

interface Slot {
  value: number;
}

/** One queue on one member. Several senders (a gather) fill it with a cursor each. */
interface Ring {
  readonly depth: number;
  readonly slots: Slot[];
  readonly published: Map<number, number>;
  readonly popped: number[];
}

interface Instance {
  readonly instruction: Instruction;
  readonly member: PlainMember;
  readonly number: number;
  /** Members whose queues the destinations are in; nothing for a member whose multicast another one sends. */
  readonly receivers: readonly number[];
  readonly senders: ReadonlyMap<number, readonly number[]>;
}

export type Outcome =
  | { readonly kind: "deadlock" }
  | { readonly kind: "done"; readonly data: string };

export function schedule(program: Program, scalars: readonly number[], random: Random): Outcome {
  const streams = streamsOf(program, plainOrder(program, scalars));
  const rings = Array.from({ length: program.grid.rows * program.grid.columns }, () =>
    program.queues.map(
      ({ depth, consumers }): Ring => ({
        depth,
        slots: Array.from({ length: depth }, () => ({ value: 0 })),
        published: new Map(),
        popped: consumers.map(() => 0),
      }),
    ),
  );
  const seen = streams.map(() => 0);
  const at = streams.map(() => 0);
  let ready = streams.map((_, i) => i);
  while (ready.length > 0) {
    const stream = random.pick(ready);
    const instance = streams[stream]![at[stream]!];
    const next =
      instance === undefined ? undefined : tryRun(program, instance, rings, seen[stream]!);
    if (next === undefined) {
      ready = ready.filter((other) => other !== stream);
      continue;
    }
    seen[stream] = next;
    at[stream]!++;
    ready = streams.map((_, i) => i).filter((i) => at[i]! < streams[i]!.length);
  }
  const isDone = at.every((position, i) => position === streams[i]!.length);
  return isDone ? { kind: "done", data: seen.join() } : { kind: "deadlock" };
}

/** Each engine's and channel's own part of the plain order, member by member. */
function streamsOf(program: Program, issues: readonly Issue[]): Instance[][] {
  const streams = new Map<string, Instance[]>();
  for (const { instruction, members } of issues) {
    for (const [number, member] of members) {
      const key = `${number} ${JSON.stringify(engineOf(instruction))}`;
      const stream = streams.get(key) ?? [];
      streams.set(key, stream);
      stream.push({
        instruction,
        member,
        number,
        ...deliveryOf(program, instruction, number, members),
      });
    }
  }
  return [...streams.values()];
}

function deliveryOf(
  { grid }: Program,
  { body }: Instruction,
  self: number,
  members: ReadonlyMap<number, PlainMember>,
): Pick<Instance, "receivers" | "senders"> {
  const own = { receivers: [self], senders: new Map([[self, [self]]]) };
  if (body.op !== "load" || body.delivery === undefined) return own;
  const { delivery } = body;
  const { row, column } = members.get(self)!;
  if (delivery.kind === "neighbour") {
    const { axis, by, wrap } = delivery;
    const size = axis === "rows" ? grid.rows : grid.columns;
    const to = (axis === "rows" ? row : column) + by;
    if (!wrap && (to < 0 || to >= size)) return { receivers: [], senders: new Map() };
    const place = (to + size) % size;
    const number = axis === "rows" ? place * grid.columns + column : row * grid.columns + place;
    return { receivers: [number], senders: new Map([[number, [self]]]) };
  }
  // Members that have the same trips of all spatial loops but this one.
  const key = (member: PlainMember) =>
    [...member.trips].map(([id, { number }]) => (id === delivery.loop ? "*" : number)).join();
  const group = [...members].filter(([, m]) => key(m) === key(members.get(self)!)).map(([n]) => n);
  if (delivery.kind === "multicast") {
    if (group[0] !== self) return { receivers: [], senders: new Map() };
    return { receivers: group, senders: new Map(group.map((to) => [to, [self]])) };
  }
  return { receivers: group, senders: new Map(group.map((to) => [to, group])) };
}

/** Runs an instance if all its slots are there, and gives what its engine has seen then. */
function tryRun(
  program: Program,
  instance: Instance,
  rings: readonly (readonly Ring[])[],
  seen: number,
): number | undefined {
  const { instruction, member, number } = instance;
  const engine = engineOf(instruction);
  const mine = rings[number]!;
  const accesses = slotAccesses(instruction);
  const reads = accesses.flatMap((access) => (access.kind === "read" ? [access.slot] : []));
  const writes = accesses.flatMap((access) => (access.kind === "write" ? [access.slot] : []));
  const cursor = (queue: number) => cursorOf(program, queue, engine);
  for (const { queue } of reads) {
    if (level(mine[queue]!) <= mine[queue]!.popped[cursor(queue)]!) return undefined;
  }
  for (const { queue } of writes) {
    for (const to of instance.receivers) {
      const ring = rings[to]![queue]!;
      if (sent(ring, number) - Math.min(...ring.popped) >= ring.depth) return undefined;
    }
  }
  let value = mix(seen, instruction.role + 1);
  for (const { queue } of reads) {
    const ring = mine[queue]!;
    value = mix(value, ring.slots[ring.popped[cursor(queue)]! % ring.depth]!.value);
  }
  const popping = new Set(reads.filter((s) => holds(s.pop, member)).map((s) => s.queue));
  for (const dest of writes) fill(dest, instance, rings, value);
  for (const queue of popping) mine[queue]!.popped[cursor(queue)]!++;
  return value;
}

function fill(
  dest: SlotDest,
  { receivers, senders, number, member }: Instance,
  rings: readonly (readonly Ring[])[],
  value: number,
): void {
  for (const to of receivers) {
    const ring = rings[to]![dest.queue]!;
    for (const sender of senders.get(to)!) {
      if (!ring.published.has(sender)) ring.published.set(sender, 0);
    }
    const slot = ring.slots[sent(ring, number) % ring.depth]!;
    // Parts that several members gather are apart: any order gives the same.
    slot.value =
      senders.get(to)!.length > 1 ? (slot.value ^ mix(value, number)) | 0 : mix(slot.value, value);
    if (holds(dest.publish, member)) ring.published.set(number, sent(ring, number) + 1);
  }
}

function sent(ring: Ring, sender: number): number {
  return ring.published.get(sender) ?? 0;
}

/** Slots that all senders have published. */
function level(ring: Ring): number {
  return ring.published.size === 0 ? 0 : Math.min(...ring.published.values());
}

function cursorOf(program: Program, queue: number, engine: EngineRef): number {
  const text = JSON.stringify(engine);
  return program.queues[queue]!.consumers.findIndex((c) => JSON.stringify(c) === text);
}

function mix(a: number, b: number): number {
  return Math.imul(a ^ (b + 0x9e3779b9 + (a << 6) + (a >>> 2)), 0x85ebca6b) | 0;
}
