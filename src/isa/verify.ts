/**
 * The verifier: decides from a program's structure, in milliseconds and without running it, that no execution can
 * break a rule of the machine, whatever the data and the runtime scalars are. It accepts nothing unsafe; it may
 * reject a safe program, but none that the compiler emits.
 *
 * Checked: form (verify-structure, -bodies, -lanes, -delivery), bounds (-bounds), queues (-queues, -contents) and
 * memory (-memory). Not checked: that every element of a slot or of memory that is read was written before, and that
 * the program computes what was meant.
 */
import { byteLength } from "../numerics/dtype.js";
import { DiagnosticError } from "../support/diagnostic.js";
import { type Problem, problemText } from "./problem.js";
import type { Program } from "./program.js";
import { sitesOf } from "./sites.js";
import { verifyBounds } from "./verify-bounds.js";
import { verifyContents } from "./verify-contents.js";
import { verifyMemory } from "./verify-memory.js";
import { verifyQueues } from "./verify-queues.js";
import { type TileCapacity, verifyStructure } from "./verify-structure.js";

/** Everything that is wrong with a program; nothing if it is safe. `capacity`: of the machine it is to run on. */
export function verifyProgram(program: Program, capacity?: TileCapacity): readonly Problem[] {
  const form = verifyStructure(program, capacity);
  if (form.length > 0) return form;
  const sites = sitesOf(program);
  return [
    ...verifyBounds(program, sites),
    ...verifyQueues(program, sites),
    ...verifyContents(program, sites),
    ...verifyMemory(program, sites),
  ];
}

/** Throws L0501 with every problem of a program that is not safe. */
export function requireSafe(program: Program, capacity?: TileCapacity): void {
  const problems = verifyProgram(program, capacity);
  if (problems.length === 0) return;
  throw new DiagnosticError(
    problems.map((problem) => ({
      code: "L0501",
      message: `program "${program.name}" is not safe: ${problem.reason}`,
      notes: [problemText(program, problem)],
    })),
  );
}

export interface LaunchPlaces {
  /** Per binding: the byte of device memory at which it begins. */
  readonly bindings: readonly { readonly offsetBytes: number }[];
  readonly memoryBytes: number;
  readonly scalars: number;
}

/** Per launch of a safe program: bindings lie in memory, and two of them overlap only if both are read. */
export function verifyLaunch(program: Program, launch: LaunchPlaces): readonly Problem[] {
  const problems: Problem[] = [];
  const report = (reason: string) => void problems.push({ path: [], reason });
  if (launch.scalars !== program.scalarCount) {
    report(`the launch has ${launch.scalars} scalars, the program ${program.scalarCount}`);
  }
  if (launch.bindings.length !== program.bindings.length) {
    report(`the launch has ${launch.bindings.length} bindings, not ${program.bindings.length}`);
    return problems;
  }
  const ranges = program.bindings.map((binding, i) => {
    const begin = launch.bindings[i]!.offsetBytes;
    return { binding, begin, end: begin + byteLength(binding.dtype, binding.elements) };
  });
  for (const { binding, begin, end } of ranges) {
    if (begin < 0 || end > launch.memoryBytes) {
      report(`binding ${binding.name} lies at [${begin}, ${end}) of ${launch.memoryBytes} bytes`);
    }
  }
  const inOrder = ranges.filter(({ begin, end }) => begin < end).sort((a, b) => a.begin - b.begin);
  inOrder.forEach((a, i) => {
    for (const b of inOrder.slice(i + 1)) {
      if (b.begin >= a.end) break;
      if (a.binding.access === "read" && b.binding.access === "read") continue;
      report(`bindings ${a.binding.name} and ${b.binding.name} overlap and are not both read`);
    }
  });
  return problems;
}
