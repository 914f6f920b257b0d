/** Short ways to write programs and to launch them, for tests. */
import { staticCount, constantAffine, type Affine, type LoopHead } from "../../src/ir/tile.js";
import {
  always,
  never,
  type Condition,
  type Instruction,
  type Program,
  type ProgramNode,
  type SlotDest,
  type SlotSource,
} from "../../src/isa/program.js";
import { byteLength, type DeviceDType } from "../../src/numerics/dtype.js";
import { memoryCells } from "../../src/ir/semantics/cells.js";
import {
  type DeviceMemory,
  deviceBytes,
  type Engine,
  type LaunchResult,
} from "../../src/sim/engine.js";

export const at = constantAffine;
export const count = staticCount;

export function index(loop: number, coefficient = 1, constant = 0): Affine {
  return { constant, terms: [{ coefficient, of: "index", id: loop }] };
}

export function extent(loop: number, coefficient = 1, constant = 0): Affine {
  return { constant, terms: [{ coefficient, of: "extent", id: loop }] };
}

export function scalar(id: number, coefficient = 1, constant = 0): Affine {
  return { constant, terms: [{ coefficient, of: "scalar", id }] };
}

export function source(queue: number, pop: Condition = always, offset: Affine = at(0)): SlotSource {
  return { queue, offset, pop };
}

export function dest(queue: number, publish: Condition = always, offset: Affine = at(0)): SlotDest {
  return { queue, offset, publish, update: false };
}

/** Rewrites the head in place. */
export function update(queue: number): SlotDest {
  return { queue, offset: at(0), publish: never, update: true };
}

export function edge(loop: number, which: "first" | "last", negated = false): Condition {
  return { kind: "all", terms: [{ loop, edge: which, negated }] };
}

export function loop(
  head: Partial<LoopHead> & { readonly id: number; readonly end: number },
  ...body: ProgramNode[]
): ProgramNode {
  const { end, ...rest } = head;
  return {
    kind: "loop",
    head: {
      name: `l${head.id}`,
      over: "time",
      start: at(0),
      total: [at(end)],
      minTotal: 0,
      maxTotal: end,
      step: 1,
      ...rest,
    },
    body,
  };
}

export function run(body: Instruction["body"], rest: Partial<Instruction> = {}): ProgramNode {
  return { kind: "instruction", instruction: { body, channel: 0, role: 0, ...rest } };
}

export interface Launched extends LaunchResult {
  /** Elements of every binding afterwards. */
  readonly memory: readonly (readonly number[])[];
}

/** Lays the bindings out one after the other, fills them, runs, reads them back. `memory`: the engine's, all zero. */
export function launch(
  engine: Engine,
  program: Program,
  contents: readonly (readonly number[] | undefined)[],
  scalars: readonly number[] = [],
  memory: DeviceMemory = engine.allocate(bytesOf(program)),
): Launched {
  let end = 0;
  const bindings = program.bindings.map((binding) => {
    const offsetBytes = end;
    end += bindingBytes(binding);
    return { offsetBytes };
  });
  const cells = () =>
    program.bindings.map(({ name, dtype, elements }, i) => {
      const bytes = deviceBytes(memory).subarray(bindings[i]!.offsetBytes);
      return memoryCells(name, dtype, elements, bytes);
    });
  cells().forEach((binding, i) => contents[i]?.forEach((value, e) => binding.set(e, value)));
  const { faults } = engine
    .prepare(program)
    .run({ memory, bindings, scalars: Int32Array.from(scalars) });
  const elements = cells().map((binding) =>
    Array.from({ length: binding.elements }, (_, e) => binding.get(e)),
  );
  return { faults, memory: elements };
}

/** Memory that `launch` needs. */
export function bytesOf({ bindings }: Program): number {
  return bindings.reduce((sum, binding) => sum + bindingBytes(binding), 0);
}

function bindingBytes({ dtype, elements }: Program["bindings"][number]): number {
  return Math.ceil(byteLength(dtype, elements) / 64) * 64;
}

export type { DeviceDType };
