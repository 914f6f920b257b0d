/** An instruction prepared for timing: the queues that it waits for and moves, in one list each. */
import type { Delivery, TransferAxis } from "../../ir/tile.js";
import type { Environment } from "../../ir/semantics/semantics.js";
import {
  type Condition,
  type EngineRef,
  type Instruction,
  never,
  type Program,
} from "../../isa/program.js";
import { sameEngine, type Site, sitesOf, slotAccesses } from "../../isa/sites.js";
import { InternalError } from "../../support/diagnostic.js";

export interface Operation {
  /** In text order, loops and barriers not counted. */
  readonly number: number;
  readonly instruction: Instruction;
  readonly engine: EngineRef;
  readonly sources: readonly Source[];
  readonly dests: readonly Dest[];
  readonly delivery: Delivery | undefined;
  /** It costs the same whenever it runs: no count or clip depends on anything. */
  readonly isFixed: boolean;
}

/** The head of a queue that must be full. */
export interface Source {
  readonly queue: number;
  /** Which of the queue's cursors. */
  readonly consumer: number;
  readonly pop: Condition;
}

/** A slot that is written: the tail, or with `update` the head. */
export interface Dest {
  readonly queue: number;
  readonly publish: Condition;
  readonly update: boolean;
  /** Where it does not hold, the instruction goes on from what the slot holds. */
  readonly begins: Condition;
  /** A token: it goes to the member itself, whatever the delivery. */
  readonly isToken: boolean;
}

export function operationsOf(program: Program): Operation[] {
  return sitesOf(program).map((site) => operationOf(program, site));
}

function operationOf(program: Program, { instruction, engine, number }: Site): Operation {
  const consumerOf = (queue: number): number => {
    const { consumers, name } = program.queues[queue]!;
    const consumer = consumers.findIndex((ref) => sameEngine(ref, engine));
    if (consumer < 0) throw new InternalError(`queue ${name} has no consumer ${engine.engine}`);
    return consumer;
  };
  const sources: Source[] = [];
  const dests: Dest[] = [];
  for (const { queue, pop } of instruction.waits ?? []) {
    sources.push({ queue, consumer: consumerOf(queue), pop });
  }
  for (const access of slotAccesses(instruction)) {
    const { queue } = access.slot;
    if (access.kind === "read") {
      sources.push({ queue, consumer: consumerOf(queue), pop: access.slot.pop });
    } else {
      const { publish, update } = access.slot;
      dests.push({ queue, publish, update, begins: access.begins, isToken: false });
      if (update) sources.push({ queue, consumer: consumerOf(queue), pop: never });
    }
  }
  for (const { queue, publish } of instruction.signals ?? []) {
    dests.push({ queue, publish, update: false, begins: { kind: "always" }, isToken: true });
  }
  const { body } = instruction;
  const delivery = body.op === "load" ? body.delivery : undefined;
  const isFixed = body.axes.every(isFixedAxis);
  return { number, instruction, engine, sources, dests, delivery, isFixed };
}

/** Counts and clips of transfers; counts of the others. */
export type CostAxis = Pick<TransferAxis, "count" | "clip">;

function isFixedAxis({ count, clip }: CostAxis): boolean {
  if (count.value.terms.length > 0) return false;
  return clip === undefined || clip.origin.terms.length + clip.limit.value.terms.length === 0;
}

export function holds(condition: Condition, { trips }: Environment): boolean {
  if (condition.kind !== "all") return condition.kind === "always";
  for (const { loop, edge, negated } of condition.terms) {
    const { number, count } = trips.get(loop)!;
    if ((edge === "first" ? number === 0 : number === count - 1) === negated) return false;
  }
  return true;
}
