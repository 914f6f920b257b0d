/**
 * The reference simulator: executes a program in plain order, as obviously as possible. It is the definition that the
 * JIT is checked against, and stops hard (L0504) on anything that the instruction set leaves undefined.
 */
import { engineOf, type Program, type ProgramNode } from "../../isa/program.js";
import type { Engine, Launch, LaunchResult } from "../engine.js";
import { createMachine, type EngineSet } from "./machine.js";
import { withPlace } from "./place.js";
import { checkDrained, engineText } from "./rings.js";
import { instructionsOf, stepsOf } from "./steps.js";
import { walk } from "./walk.js";

export function createReferenceEngine(): Engine {
  return {
    name: "reference",
    prepare: (program) => ({ run: (launch) => runReference(program, launch) }),
  };
}

export function runReference(program: Program, launch: Launch): LaunchResult {
  const steps = stepsOf(program.body);
  const machine = createMachine(program, enginesOf(program.body), launch);
  walk(machine, steps);
  for (const member of machine.members) {
    withPlace(machine, member, undefined, () => member.rings.forEach(checkDrained));
  }
  const instructions = instructionsOf(steps);
  const faults = [...machine.faults].sort((a, b) => a - b);
  return {
    faults: faults.map((number) => ({
      kind: "index-out-of-range",
      instruction: number,
      role: instructions[number]!.instruction.role,
    })),
  };
}

function enginesOf(body: readonly ProgramNode[]): EngineSet {
  const names = new Set<string>();
  const visit = (node: ProgramNode): void => {
    if (node.kind === "loop") node.body.forEach(visit);
    if (node.kind === "instruction") names.add(engineText(engineOf(node.instruction)));
  };
  body.forEach(visit);
  return [...names];
}
