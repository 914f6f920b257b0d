/**
 * The control code of a program: a function of the members to run, the scratch area's address, the bindings' addresses
 * and the runtime scalars, which walks the program in plain order and calls kernels. It runs as it comes out of the
 * baseline compiler, so it may be slow but must be small.
 */
import type { Instruction, Program } from "../../isa/program.js";
import { aliasedQueues } from "./slots/alias.js";
import * as ints from "./walk/ints.js";
import type { Kernel } from "./kernels.js";
import { mmaWorkBytes } from "./mma/mma.js";
import type { ModuleBuilder } from "./wasm/module.js";
import { storedQueues } from "./slots/stored.js";
import { type Layout, layoutOf } from "./slots/storage.js";
import { numberInstructions } from "./walk/walk.js";
import { walkLockStep } from "./walk/lock-step.js";
import { runsByMembers, walkMembers } from "./walk/members.js";

export interface ControlCode {
  readonly layout: Layout;
  readonly instructions: readonly Instruction[];
  /** It has gathers or scatters. */
  readonly mayFault: boolean;
  /** Number of members that can be run one by one, in any order; 1 where they have to be run together. */
  readonly parts: number;
}

/** Adds the program's function; `nameOf` gives the import name of a kernel. */
export function addControl(
  module: ModuleBuilder,
  program: Program,
  exported: string,
  nameOf: (kernel: Kernel) => string,
): ControlCode {
  const numbers = numberInstructions(program.body);
  const byMembers = runsByMembers(program);
  const members = program.grid.rows * program.grid.columns;
  const layout = layoutOf(program, {
    members: byMembers ? 1 : members,
    instructions: numbers.size,
    workBytes: mmaWorkBytes(program),
    maps: byMembers ? aliasedQueues(program) : new Map(),
    stored: byMembers ? storedQueues(program) : new Map(),
  });
  const { bindings } = program;
  const params = Array.from(
    { length: 3 + bindings.length + program.scalarCount },
    () => "i32" as const,
  );
  module.add({ params, results: [], exported }, (f) => {
    const arg = (i: number): ints.Int => ints.ofLocal(f.param("i32", i));
    const context = {
      f,
      program,
      layout,
      numbers,
      scratch: arg(2),
      bindings: bindings.map((_, i) => arg(3 + i)),
      scalars: Array.from({ length: program.scalarCount }, (_, i) => arg(3 + bindings.length + i)),
      call: (kernel: Kernel, args: readonly ints.Int[]) => {
        const types = args.map(() => "i32" as const);
        f.call(
          module.import(nameOf(kernel), types, []),
          args.map((x) => ints.push(f, x)),
        );
      },
    };
    if (byMembers) walkMembers(context, { first: arg(0), end: arg(1) });
    else walkLockStep(context);
  });
  const instructions = [...numbers.keys()];
  const mayFault = instructions.some(({ body }) => "index" in body && body.index !== undefined);
  return { layout, instructions, mayFault, parts: byMembers ? members : 1 };
}
