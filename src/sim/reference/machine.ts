/** The state of the simulated device while one program runs: its members, their queues, where each of them stands. */
import { memoryCells, undefinedBehaviour, type Cells } from "../../ir/semantics/cells.js";
import { createMembers, type Member as PlainMember } from "../../ir/semantics/plain-order.js";
import type { SlotObserver } from "../../ir/semantics/slot-observer.js";
import type { LoopHead } from "../../ir/tile.js";
import { byteLength } from "../../numerics/dtype.js";
import type { EngineRef, Program } from "../../isa/program.js";
import { deviceBytes, type Launch } from "../engine.js";
import { checkOverlap, createGuard, type Guard } from "./guard.js";
import { createOrder, type Order } from "./order.js";
import { createRing, engineText, type Ring } from "./rings.js";
import type { Steps } from "./steps.js";

export interface Machine {
  readonly program: Program;
  readonly members: readonly Member[];
  readonly bindings: readonly Cells[];
  /** By id. */
  readonly loops: ReadonlyMap<number, LoopHead>;
  readonly order: Order;
  readonly guard: Guard;
  actorOf(member: Member, engine: EngineRef): number;
  /** Numbers of the instructions that met an index out of range. */
  readonly faults: Set<number>;
  readonly observe?: SlotObserver;
}

export interface Member extends PlainMember {
  readonly rings: readonly Ring[];
}

export function createMachine(
  program: Program,
  steps: Steps,
  launch: Launch,
  observe?: SlotObserver,
): Machine {
  const engines = [...new Set(steps.instructions.map(({ engine }) => engineText(engine)))];
  const { rows, columns } = program.grid;
  const order = createOrder(rows * columns * engines.length);
  const members = createMembers(program.grid, launch.scalars).map((member) => ({
    ...member,
    rings: program.queues.map((queue) => createRing(queue, order.newClock)),
  }));
  return {
    program,
    members,
    bindings: bindMemory(program, launch),
    loops: steps.loops,
    order,
    guard: createGuard(program.bindings, order),
    actorOf: (member, engine) =>
      member.number * engines.length + engines.indexOf(engineText(engine)),
    faults: new Set(),
    ...(observe === undefined ? {} : { observe }),
  };
}

function bindMemory(program: Program, launch: Launch): Cells[] {
  if (launch.bindings.length !== program.bindings.length) {
    undefinedBehaviour(
      `${launch.bindings.length} bindings are given, the program has ${program.bindings.length}`,
    );
  }
  if (launch.scalars.length < program.scalarCount) {
    undefinedBehaviour(
      `${launch.scalars.length} runtime scalars are given, the program has ${program.scalarCount}`,
    );
  }
  checkOverlap(program.bindings, launch.bindings);
  const memory = deviceBytes(launch.memory);
  return program.bindings.map(({ name, dtype, elements }, i) => {
    const begin = launch.bindings[i]!.offsetBytes;
    const end = begin + byteLength(dtype, elements);
    if (begin < 0 || end > memory.length) {
      undefinedBehaviour(`binding ${name} lies at [${begin}, ${end}) of ${memory.length} bytes`);
    }
    return memoryCells(name, dtype, elements, memory.subarray(begin, end));
  });
}
