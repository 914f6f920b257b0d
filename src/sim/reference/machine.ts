/** The state of the simulated device while one program runs: its members, their queues, where each of them stands. */
import { memoryCells, undefinedBehaviour, type Cells } from "../../ir/cells.js";
import type { Environment, Trip } from "../../ir/semantics.js";
import type { LoopHead } from "../../ir/tile.js";
import { byteLength } from "../../numerics/dtype.js";
import type { EngineRef, Program } from "../../isa/program.js";
import { deviceBytes, type Launch } from "../engine.js";
import { checkOverlap, createGuard, type Guard } from "./guard.js";
import { createOrder, type Order } from "./order.js";
import { createRing, engineText, type Ring } from "./rings.js";
import { spatialLoopsOf } from "./steps.js";

export interface Machine {
  readonly program: Program;
  readonly members: readonly Member[];
  readonly bindings: readonly Cells[];
  /** What each spatial loop runs over, by id. */
  readonly spatialLoops: ReadonlyMap<number, LoopHead["over"]>;
  readonly order: Order;
  readonly guard: Guard;
  actorOf(member: Member, engine: EngineRef): number;
  /** Numbers of the instructions that met an index out of range. */
  readonly faults: Set<number>;
}

export interface Member extends Environment {
  readonly number: number;
  readonly row: number;
  readonly column: number;
  readonly trips: Map<number, Trip>;
  readonly rings: readonly Ring[];
}

export function createMachine(program: Program, engines: EngineSet, launch: Launch): Machine {
  const { rows, columns } = program.grid;
  const count = rows * columns;
  const order = createOrder(count * engines.length);
  const members = Array.from({ length: count }, (_, number) => ({
    number,
    row: Math.floor(number / columns),
    column: number % columns,
    scalars: launch.scalars,
    trips: new Map<number, Trip>(),
    rings: program.queues.map((queue) => createRing(queue, order.newClock)),
  }));
  return {
    program,
    members,
    bindings: bindMemory(program, launch),
    spatialLoops: spatialLoopsOf(program.body),
    order,
    guard: createGuard(program.bindings, order),
    actorOf: (member, engine) =>
      member.number * engines.length + engines.indexOf(engineText(engine)),
    faults: new Set(),
  };
}

/** Names of all engines and channels that a program uses. */
export type EngineSet = readonly string[];

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
