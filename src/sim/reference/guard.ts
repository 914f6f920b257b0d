/**
 * Watches every access to the bindings of a launch: read bindings are not stored to, write bindings not loaded from and
 * their stores by different channels or members are disjoint, conflicting accesses to shared bindings are ordered.
 */
import { undefinedBehaviour } from "../../ir/semantics/cells.js";
import { byteLength, dtypes } from "../../numerics/dtype.js";
import type { ProgramBinding } from "../../isa/program.js";
import type { LaunchBinding } from "../engine.js";
import type { Order } from "./order.js";

/** An access by the engine `actor`, in its instruction number `instruction`. */
export interface Access {
  readonly actor: number;
  readonly instruction: number;
}

export interface Guard {
  load(access: Access, binding: number, element: number): void;
  store(access: Access, binding: number, element: number): void;
}

export function createGuard(bindings: readonly ProgramBinding[], order: Order): Guard {
  const writers = bindings.map(() => new Map<number, number>());
  const histories = bindings.map(() => new Map<number, History>());
  return {
    load(access, number, element) {
      const binding = bindings[number]!;
      if (binding.access === "write") {
        undefinedBehaviour(`load from ${binding.name}, which is only written`);
      }
      if (binding.access === "shared") sharedLoad(binding, histories[number]!, access, element);
    },
    store(access, number, element) {
      const binding = bindings[number]!;
      if (binding.access === "read") {
        undefinedBehaviour(`store to ${binding.name}, which is only read`);
      }
      if (binding.access === "shared") sharedStore(binding, histories[number]!, access, element);
      else disjointStore(binding, writers[number]!, access, element);
    },
  };

  function sharedLoad(
    binding: ProgramBinding,
    history: Map<number, History>,
    access: Access,
    element: number,
  ): void {
    const past = historyOf(history, placeOf(binding, element));
    if (past.written !== undefined) checkOrder(binding, past.written, access, element);
    past.loaded.set(access.actor, access.instruction);
  }

  function sharedStore(
    binding: ProgramBinding,
    history: Map<number, History>,
    access: Access,
    element: number,
  ): void {
    const past = historyOf(history, placeOf(binding, element));
    if (past.written !== undefined) checkOrder(binding, past.written, access, element);
    for (const [actor, instruction] of past.loaded) {
      checkOrder(binding, { actor, instruction }, access, element);
    }
    past.written = access;
    past.loaded.clear();
  }

  function checkOrder(binding: ProgramBinding, past: Access, now: Access, element: number): void {
    if (order.isBefore(past.actor, past.instruction, now.actor)) return;
    undefinedBehaviour(
      `access to element ${element} of ${binding.name} conflicts with one that no token or barrier orders before it`,
    );
  }
}

interface History {
  written: Access | undefined;
  readonly loaded: Map<number, number>;
}

function historyOf(history: Map<number, History>, place: number): History {
  let past = history.get(place);
  if (past === undefined) {
    past = { written: undefined, loaded: new Map() };
    history.set(place, past);
  }
  return past;
}

function disjointStore(
  binding: ProgramBinding,
  writers: Map<number, number>,
  { actor }: Access,
  element: number,
): void {
  const place = placeOf(binding, element);
  const writer = writers.get(place);
  if (writer === undefined) writers.set(place, actor);
  else if (writer !== actor) {
    undefinedBehaviour(
      `element ${element} of ${binding.name} is stored by two channels or members`,
    );
  }
}

/** Memory is written by the byte: two sub-byte elements of one byte are one place. */
function placeOf(binding: ProgramBinding, element: number): number {
  const { bits } = dtypes[binding.dtype];
  return bits < 8 ? Math.floor((element * bits) / 8) : element;
}

/** Two bindings of a launch overlap only if both are read. */
export function checkOverlap(
  bindings: readonly ProgramBinding[],
  places: readonly LaunchBinding[],
): void {
  const ranges = bindings.map((binding, i) => {
    const begin = places[i]!.offsetBytes;
    return { binding, begin, end: begin + byteLength(binding.dtype, binding.elements) };
  });
  ranges.forEach((a, i) => {
    for (const b of ranges.slice(i + 1)) {
      if (a.binding.access === "read" && b.binding.access === "read") continue;
      if (a.begin < b.end && b.begin < a.end) {
        undefinedBehaviour(`bindings ${a.binding.name} and ${b.binding.name} overlap`);
      }
    }
  });
}
