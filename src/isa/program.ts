/**
 * Level 3: the Program. One text that every member of a kernel runs; every engine and every load or store
 * channel runs its projection of it, ordered by queues and barriers only. What an instruction means is in
 * ir/semantics.ts, which instructions there are in instructions.ts.
 *
 * Plain order (loop by loop, instruction by instruction, all members in lock-step at each) is the meaning of a
 * program. An instruction with stage (loop, by) runs at trip t of that loop for trip t - by; the loop makes as
 * many more trips as its largest stage, in which only the instructions whose trip exists run.
 */
import { byteLength, type DeviceDType } from "../numerics/dtype.js";
import type { Affine, LoadBody, LoopHead, MmaBody, StoreBody, VecBody } from "../ir/tile.js";

export interface Program {
  readonly name: string;
  readonly grid: { readonly rows: number; readonly columns: number };
  readonly scalarCount: number;
  readonly bindings: readonly ProgramBinding[];
  readonly queues: readonly Queue[];
  readonly body: readonly ProgramNode[];
  readonly roles: readonly string[];
}

/** read: no stores. write: no loads; stores of different channels or members are disjoint. shared: ordered by tokens or barriers. */
export interface ProgramBinding {
  readonly name: string;
  readonly dtype: DeviceDType;
  readonly elements: number;
  readonly access: "read" | "write" | "shared";
}

/** A ring of `depth` slots in L1 or in the accumulators, at `offsetBytes`, the same on every member. */
export interface Queue {
  readonly name: string;
  readonly space: "l1" | "accumulator";
  readonly dtype: DeviceDType;
  /** 0: a token, which carries no data. */
  readonly elements: number;
  readonly depth: number;
  readonly offsetBytes: number;
  readonly producer: EngineRef;
  readonly consumers: readonly EngineRef[];
}

export type EngineRef =
  | { readonly engine: "tensor" | "vector" }
  | { readonly engine: "load" | "store"; readonly channel: number };

export type ProgramNode =
  | { readonly kind: "loop"; readonly head: LoopHead; readonly body: readonly ProgramNode[] }
  | { readonly kind: "instruction"; readonly instruction: Instruction }
  /** All engines of all members drained, all stores acknowledged. */
  | { readonly kind: "barrier" };

/** Never, always, or on the trips at which every term holds. */
export type Condition =
  | { readonly kind: "never" }
  | { readonly kind: "always" }
  | { readonly kind: "all"; readonly terms: readonly ConditionTerm[] };

/** Trip of an enclosing loop is (or with `negated` is not) its first or last one. */
export interface ConditionTerm {
  readonly loop: number;
  readonly edge: "first" | "last";
  readonly negated: boolean;
}

/**
 * Whether a publish that fails is one that the program leaves out on purpose, on the last trip of a loop. What the slot
 * holds is lost at the end of the program.
 */
export function isWithheld(
  publish: Condition,
  isLast: (loop: number) => boolean | undefined,
): boolean {
  return (
    publish.kind === "all" &&
    publish.terms.some(({ loop, edge, negated }) => edge === "last" && negated && isLast(loop))
  );
}

/** Reads the full head of a queue from element `offset` on; `pop` then frees it, otherwise it is a peek. */
export interface SlotSource {
  readonly queue: number;
  readonly offset: Affine;
  readonly pop: Condition;
}

/**
 * Writes the free slot at the tail; `publish` then makes it visible. With `update` the queue's only consumer
 * rewrites the head in place instead (publish is then never; pop stands in the instruction's source operand).
 */
export interface SlotDest {
  readonly queue: number;
  readonly offset: Affine;
  readonly publish: Condition;
  readonly update: boolean;
}

export interface Instruction {
  readonly body: InstructionBody;
  readonly channel: number;
  readonly stage?: { readonly loop: number; readonly by: number };
  readonly role: number;
  /** Tokens: queues of 0 bytes that are popped before and published after. */
  readonly waits?: readonly SlotSource[];
  readonly signals?: readonly SlotDest[];
}

export type InstructionBody =
  | LoadBody<SlotSource, SlotDest>
  | StoreBody<SlotSource>
  | MmaBody<SlotSource, SlotDest, Condition>
  | VecBody<SlotSource, SlotDest, Condition>;

export const never: Condition = { kind: "never" };
export const always: Condition = { kind: "always" };

/** Of an instruction, or of a kernel's statement that becomes one. */
export function engineOf(instruction: {
  readonly body: { readonly op: InstructionBody["op"] };
  readonly channel: number;
}): EngineRef {
  switch (instruction.body.op) {
    case "load":
    case "store":
      return { engine: instruction.body.op, channel: instruction.channel };
    case "mma":
      return { engine: "tensor" };
    case "vec":
      return { engine: "vector" };
    default:
      return instruction.body.op satisfies never;
  }
}

/** Bytes of one slot. A floating accumulator cell holds a sum and an open segment. */
export function slotBytes(queue: Pick<Queue, "space" | "dtype" | "elements">): number {
  if (queue.space === "accumulator") return queue.elements * (queue.dtype === "i32" ? 4 : 8);
  return byteLength(queue.dtype, queue.elements);
}
