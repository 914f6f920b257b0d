/** Adds to undefined behaviour where it happened: instruction, member, loop indices. */
import { DiagnosticError, type Diagnostic } from "../../support/diagnostic.js";
import type { Machine, Member } from "./machine.js";
import type { InstructionStep } from "./steps.js";

export function withPlace<T>(
  machine: Machine,
  member: Member,
  step: InstructionStep | undefined,
  act: () => T,
): T {
  try {
    return act();
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    throw new DiagnosticError(error.diagnostics.map((d) => placed(d, machine, member, step)));
  }
}

function placed(
  diagnostic: Diagnostic,
  machine: Machine,
  member: Member,
  step: InstructionStep | undefined,
): Diagnostic {
  if (diagnostic.code !== "L0504" || diagnostic.notes !== undefined) return diagnostic;
  const { program } = machine;
  const notes = [`program ${program.name}`];
  if (step !== undefined) {
    const { body, role } = step.instruction;
    notes.push(`instruction ${step.number}: ${body.op}, ${program.roles[role] ?? `role ${role}`}`);
  }
  notes.push(`member: row ${member.row}, column ${member.column}`);
  for (const [id, trip] of member.trips) {
    notes.push(
      `loop ${machine.loops.get(id)?.name ?? id}: trip ${trip.number} of ${trip.count}, index ${trip.index}`,
    );
  }
  return { ...diagnostic, notes };
}
