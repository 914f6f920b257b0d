/**
 * The reference simulator: executes a program in plain order, as obviously as possible. It is the definition that the
 * JIT is checked against, and stops hard (L0504) on anything that the instruction set leaves undefined.
 */
import { walkPlainOrder } from "../../ir/semantics/plain-order.js";
import type { SlotObserver } from "../../ir/semantics/slot-observer.js";
import type { Program } from "../../isa/program.js";
import { createDeviceMemory, type Engine, type Launch, type LaunchResult } from "../engine.js";
import { issue } from "./issue.js";
import { createMachine } from "./machine.js";
import { withPlace } from "./place.js";
import { checkDrained } from "./rings.js";
import { stepsOf } from "./steps.js";

export function createReferenceEngine(): Engine {
  return {
    name: "reference",
    allocate: (sizeBytes) => createDeviceMemory(sizeBytes),
    prepare: (program) => ({ run: (launch) => runReference(program, launch) }),
  };
}

export function runReference(
  program: Program,
  launch: Launch,
  observe?: SlotObserver,
): LaunchResult {
  const steps = stepsOf(program.body);
  const machine = createMachine(program, steps, launch, observe);
  walkPlainOrder(steps.nodes, {
    grid: program.grid,
    members: machine.members,
    visit(step, company) {
      if (step.kind === "barrier") machine.order.barrier();
      else issue(machine, step, company);
    },
    place: (member, act) => withPlace(machine, member, undefined, act),
  });
  for (const member of machine.members) {
    withPlace(machine, member, undefined, () => member.rings.forEach(checkDrained));
  }
  const faults = [...machine.faults].sort((a, b) => a - b);
  return {
    faults: faults.map((number) => ({
      kind: "index-out-of-range",
      instruction: number,
      role: steps.instructions[number]!.instruction.role,
    })),
  };
}
