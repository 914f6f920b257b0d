/**
 * The module of one program: a function "run" of the scratch area's address, the bindings' addresses and the runtime
 * scalars, which walks the program in plain order and calls kernels. It runs as it comes out of the baseline
 * compiler, so it may be slow but must be small.
 */
import type { Instruction, Program } from "../../isa/program.js";
import { aliasedQueues } from "./alias.js";
import type { Callee } from "./function.js";
import * as ints from "./ints.js";
import type { Kernel } from "./kernels.js";
import { mmaWorkBytes } from "./mma.js";
import { ModuleBuilder } from "./module.js";
import { storedQueues } from "./stored.js";
import { type Layout, layoutOf } from "./storage.js";
import { numberInstructions } from "./walk.js";
import { walkLockStep } from "./walk-lock-step.js";
import { runsByMembers, walkMembers } from "./walk-members.js";

export interface ControlCode {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** What the module imports, by import name. */
  readonly kernels: ReadonlyMap<string, Kernel>;
  readonly layout: Layout;
  readonly instructions: readonly Instruction[];
}

export function encodeControl(program: Program): ControlCode {
  const numbers = numberInstructions(program.body);
  const byMembers = runsByMembers(program);
  const layout = layoutOf(program, {
    members: byMembers ? 1 : program.grid.rows * program.grid.columns,
    instructions: numbers.size,
    workBytes: mmaWorkBytes(program),
    maps: byMembers ? aliasedQueues(program) : new Map(),
    stored: byMembers ? storedQueues(program) : new Map(),
  });
  const module = new ModuleBuilder();
  const kernels = new Map<string, Kernel>();
  const callees = new Map<string, Callee>();
  const calleeOf = (kernel: Kernel): Callee => {
    let callee = callees.get(kernel.key);
    if (callee === undefined) {
      const name = String(kernels.size);
      callee = module.import(
        name,
        Array.from({ length: kernel.params }, () => "i32" as const),
        [],
      );
      callees.set(kernel.key, callee);
      kernels.set(name, kernel);
    }
    return callee;
  };
  const { bindings } = program;
  const params = Array.from(
    { length: 1 + bindings.length + program.scalarCount },
    () => "i32" as const,
  );
  module.add({ params, results: [], exported: "run" }, (f) => {
    const arg = (i: number): ints.Int => ints.ofLocal(f.param("i32", i));
    const context = {
      f,
      program,
      layout,
      numbers,
      scratch: arg(0),
      bindings: bindings.map((_, i) => arg(1 + i)),
      scalars: Array.from({ length: program.scalarCount }, (_, i) => arg(1 + bindings.length + i)),
      call: (kernel: Kernel, args: readonly ints.Int[]) =>
        f.call(
          calleeOf(kernel),
          args.map((x) => ints.push(f, x)),
        ),
    };
    if (byMembers) walkMembers(context);
    else walkLockStep(context);
  });
  return { bytes: module.encode(), kernels, layout, instructions: [...numbers.keys()] };
}
