/**
 * One instruction on all members that run it, in lock-step: all take their slots, all execute, all pop and publish.
 */
import { undefinedBehaviour, type Operand } from "../../ir/semantics/cells.js";
import { executeLoad, type TransferResult } from "../../ir/semantics/load.js";
import { executeMma } from "../../ir/semantics/mma.js";
import { executeStore } from "../../ir/semantics/store.js";
import { executeVec } from "../../ir/semantics/vec.js";
import type { Company } from "../../ir/semantics/plain-order.js";
import { evaluateAffine } from "../../ir/semantics/semantics.js";
import type { LoadBody, MmaBody, StoreBody, VecBody } from "../../ir/tile.js";
import { type Condition, isWithheld, type SlotDest, type SlotSource } from "../../isa/program.js";
import type { Access } from "./guard.js";
import { receivers, type Delivered } from "./deliver.js";
import type { Machine, Member } from "./machine.js";
import { withPlace } from "./place.js";
import {
  accumulators,
  headSlot,
  pop,
  publish,
  tailSlot,
  updatedSlot,
  type Ring,
  type Slot,
} from "./rings.js";
import type { InstructionStep } from "./steps.js";

export function issue(machine: Machine, step: InstructionStep, company: Company<Member>): void {
  const delivered = receivers(machine, step, company);
  const turns = company.active.map((member) => {
    const place = <T>(act: () => T): T => withPlace(machine, member, step, act);
    return { place, turn: place(() => takeTurn(machine, step, member, delivered)) };
  });
  for (const { place, turn } of turns) {
    if (place(() => turn.execute().fault)) machine.faults.add(step.number);
  }
  for (const { turn } of turns) turn.tell();
  for (const { place, turn } of turns) place(() => turn.pop());
  for (const { place, turn } of turns) place(() => turn.publish());
  delivered.finish();
}

interface Turn {
  execute(): TransferResult;
  /** To the machine's observer. */
  tell(): void;
  pop(): void;
  publish(): void;
}

/** What the operands of an instruction have in hand on one member. */
interface Hand {
  readonly machine: Machine;
  readonly member: Member;
  readonly step: InstructionStep;
  readonly access: Access;
  readonly delivered: Delivered;
  readonly pops: Map<Ring, Slot>;
  readonly publishes: Map<Ring, Slot>;
  readonly signals: Map<Ring, Slot>;
  /** By queue, the member's own slots that it writes to. */
  readonly filled: Map<number, Slot>;
}

function takeTurn(
  machine: Machine,
  step: InstructionStep,
  member: Member,
  delivered: Delivered,
): Turn {
  const { order } = machine;
  const actor = machine.actorOf(member, step.engine);
  const hand: Hand = {
    machine,
    member,
    step,
    delivered,
    access: { actor, instruction: order.begin(actor) },
    pops: new Map(),
    publishes: new Map(),
    signals: new Map(),
    filled: new Map(),
  };
  for (const wait of step.instruction.waits ?? []) takeToken(hand, wait);
  const execute = bodyOf(hand);
  for (const signal of step.instruction.signals ?? []) takeSignal(hand, signal);
  return {
    execute,
    tell() {
      for (const [value, { cells }] of hand.filled) {
        machine.observe?.({ instruction: step.number, member, value, cells });
      }
    },
    pop() {
      for (const [ring, slot] of hand.pops) {
        pop(ring, step.engine);
        order.tell(slot.freedAt, actor, false);
      }
    },
    publish() {
      for (const [ring, slot] of hand.publishes) {
        order.tell(slot.publishedAt, actor, step.engine.engine !== "store");
        delivered.publish(ring, member);
      }
      for (const [ring, slot] of hand.signals) {
        order.tell(slot.publishedAt, actor, true);
        publish(ring);
      }
    },
  };
}

function takeToken(hand: Hand, wait: SlotSource): void {
  const ring = ringOf(hand.member, wait.queue);
  requireToken(ring, true);
  const slot = headSlot(ring, hand.step.engine);
  hand.machine.order.learn(hand.access.actor, slot.publishedAt);
  if (!holds(wait.pop, hand.member)) return;
  pop(ring, hand.step.engine);
  hand.machine.order.tell(slot.freedAt, hand.access.actor, false);
}

function takeSignal(hand: Hand, signal: SlotDest): void {
  const ring = ringOf(hand.member, signal.queue);
  requireToken(ring, true);
  const slot = tailSlot(ring, hand.step.engine);
  hand.machine.order.learn(hand.access.actor, slot.freedAt);
  if (holds(signal.publish, hand.member)) once(hand.signals, ring, slot, "published");
}

function requireToken(ring: Ring, isToken: boolean): void {
  if ((ring.queue.elements === 0) === isToken) return;
  const { name, elements } = ring.queue;
  undefinedBehaviour(
    `queue ${name} of ${elements} elements is used as ${isToken ? "a token" : "data"}`,
  );
}

function bodyOf(hand: Hand): () => TransferResult {
  const { body } = hand.step.instruction;
  switch (body.op) {
    case "load":
      return loadOf(body, hand);
    case "store":
      return storeOf(body, hand);
    case "mma":
      return mmaOf(body, hand);
    case "vec":
      return vecOf(body, hand);
    default:
      return body satisfies never;
  }
}

const noFault: TransferResult = { fault: false };

function loadOf(body: LoadBody<SlotSource, SlotDest>, hand: Hand): () => TransferResult {
  const { machine, member, access, delivered } = hand;
  const index = body.index && { index: source(hand, body.index.source) };
  const dest = {
    cells: delivered.cells(member, (to) => taken(hand, body.dest, to)),
    ...offsetOf(hand, body.dest),
  };
  const operands = { bindings: machine.bindings, dest, environment: member, ...index };
  return () =>
    executeLoad(body, operands, (binding, element) => {
      machine.guard.load(access, binding, element);
      delivered.witness(member, binding, element);
    });
}

function storeOf(body: StoreBody<SlotSource>, hand: Hand): () => TransferResult {
  const { machine, member, access } = hand;
  const index = body.index && { index: source(hand, body.index.source) };
  const { bindings, guard } = machine;
  const operands = { bindings, source: source(hand, body.source), environment: member, ...index };
  return () =>
    executeStore(body, operands, (binding, element) => guard.store(access, binding, element));
}

function mmaOf(body: MmaBody<SlotSource, SlotDest, Condition>, hand: Hand): () => TransferResult {
  const { member } = hand;
  const dest = destination(hand, body.dest);
  const operands = {
    a: source(hand, body.a),
    b: source(hand, body.b),
    ...(body.zeroA && { zeroA: source(hand, body.zeroA.source) }),
    ...(body.zeroB && { zeroB: source(hand, body.zeroB.source) }),
    dest: { cells: accumulators(dest.cells), offset: dest.offset },
    clear: holds(body.clear, member),
    fold: holds(body.fold, member),
    environment: member,
  };
  return () => {
    executeMma(body, operands);
    return noFault;
  };
}

function vecOf(body: VecBody<SlotSource, SlotDest, Condition>, hand: Hand): () => TransferResult {
  const { member } = hand;
  const operands = {
    inputs: body.inputs.map((input) => source(hand, input.source)),
    outputs: body.outputs.map(({ dest, reduce }) => ({
      dest: destination(hand, dest),
      init: reduce !== undefined && holds(reduce.init, member),
    })),
    carries: body.carries.map(
      ({ state }) =>
        state && { state: destination(hand, state.dest), init: holds(state.init, member) },
    ),
    environment: member,
  };
  return () => {
    executeVec(body, operands);
    return noFault;
  };
}

function source(hand: Hand, operand: SlotSource): Operand {
  const ring = ringOf(hand.member, operand.queue);
  requireToken(ring, false);
  const slot = headSlot(ring, hand.step.engine);
  hand.machine.order.learn(hand.access.actor, slot.publishedAt);
  if (holds(operand.pop, hand.member)) once(hand.pops, ring, slot, "popped");
  return { cells: slot.cells, ...offsetOf(hand, operand) };
}

function destination(hand: Hand, operand: SlotDest): Operand<Slot["cells"]> {
  return { cells: taken(hand, operand, hand.member).cells, ...offsetOf(hand, operand) };
}

/** The slot that a destination fills on member `to`: a free one, or with `update` the head. */
function taken(hand: Hand, operand: SlotDest, to: Member): Slot {
  const ring = ringOf(to, operand.queue);
  const { order } = hand.machine;
  const isPublished = holds(operand.publish, hand.member);
  requireToken(ring, false);
  if (operand.update) {
    if (isPublished) undefinedBehaviour(`queue ${ring.queue.name} is updated and published`);
    const slot = updatedSlot(ring, hand.step.engine);
    order.learn(hand.access.actor, slot.publishedAt);
    if (to === hand.member) hand.filled.set(operand.queue, slot);
    return slot;
  }
  const slot = tailSlot(ring, hand.step.engine, hand.delivered.name);
  if (to === hand.member) hand.filled.set(operand.queue, slot);
  order.learn(hand.access.actor, slot.freedAt);
  ring.isWithheld = isWithheld(operand.publish, (loop) => isLastTrip(loop, hand.member));
  if (isPublished) once(hand.publishes, ring, slot, "published");
  return slot;
}

function offsetOf(hand: Hand, { offset }: SlotSource | SlotDest): { readonly offset: number } {
  return { offset: evaluateAffine(offset, hand.member) };
}

function ringOf(member: Member, queue: number): Ring {
  return member.rings[queue] ?? undefinedBehaviour(`there is no queue ${queue}`);
}

function once(into: Map<Ring, Slot>, ring: Ring, slot: Slot, verb: string): void {
  if (into.has(ring)) {
    undefinedBehaviour(`queue ${ring.queue.name} is ${verb} twice by one instruction`);
  }
  into.set(ring, slot);
}

function isLastTrip(loop: number, { trips }: Member): boolean {
  const trip = trips.get(loop);
  return trip !== undefined && trip.number === trip.count - 1;
}

export function holds(condition: Condition, member: Member): boolean {
  switch (condition.kind) {
    case "never":
      return false;
    case "always":
      return true;
    case "all":
      return condition.terms.every(({ loop, edge, negated }) => {
        const trip = member.trips.get(loop);
        if (trip === undefined) return undefinedBehaviour(`loop ${loop} does not enclose its use`);
        const isEdge = edge === "first" ? trip.number === 0 : trip.number === trip.count - 1;
        return isEdge !== negated;
      });
    default:
      return condition satisfies never;
  }
}
