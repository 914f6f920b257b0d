/**
 * What is known to have happened before what, on the real machine, where only queues and barriers order the
 * engines: vector clocks over the engines of all members. Bindings that are shared are checked against it.
 *
 * A store's data are in memory when its tokens are published or a barrier is passed, not when it pops its slot.
 */

/** Per engine of each member: how many of its instructions are known to have had their effect on memory. */
export type Clock = Int32Array;

export interface Order {
  newClock(): Clock;
  /** The engine begins its next instruction. Returns the number of that instruction. */
  begin(actor: number): number;
  /** The engine learns what `clock` knows: it read a slot published, or filled one freed, at that time. */
  learn(actor: number, clock: Clock): void;
  /** `clock` learns what the engine knows; its own instruction counts if it `isDone`. */
  tell(clock: Clock, actor: number, isDone: boolean): void;
  barrier(): void;
  isBefore(actor: number, instruction: number, observer: number): boolean;
}

export function createOrder(actors: number): Order {
  const clocks = Array.from({ length: actors }, () => new Int32Array(actors));
  const begun = new Int32Array(actors);
  return {
    newClock: () => new Int32Array(actors),
    begin: (actor) => ++begun[actor]!,
    learn: (actor, clock) => join(clocks[actor]!, clock),
    tell(clock, actor, isDone) {
      join(clock, clocks[actor]!);
      if (isDone) clock[actor] = Math.max(clock[actor]!, begun[actor]!);
    },
    barrier() {
      for (const clock of clocks) join(clock, begun);
    },
    isBefore: (actor, instruction, observer) =>
      actor === observer || clocks[observer]![actor]! >= instruction,
  };
}

function join(into: Clock, from: Clock): void {
  for (let i = 0; i < into.length; i++) if (from[i]! > into[i]!) into[i] = from[i]!;
}
