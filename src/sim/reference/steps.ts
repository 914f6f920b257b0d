/** A program prepared for walking: instructions numbered, stages resolved to shifts per loop. */
import { undefinedBehaviour } from "../../ir/cells.js";
import type { LoopHead } from "../../ir/tile.js";
import { engineOf, type EngineRef, type Instruction, type ProgramNode } from "../../isa/program.js";

export type Step = LoopStep | InstructionStep | { readonly kind: "barrier" };

export interface LoopStep {
  readonly kind: "loop";
  readonly head: LoopHead;
  readonly body: readonly StagedStep[];
  /** How many trips late the latest step runs. */
  readonly stages: number;
}

/** Runs `by` trips of the loop that it stands in late. */
export interface StagedStep {
  readonly step: Step;
  readonly by: number;
}

export interface InstructionStep {
  readonly kind: "instruction";
  readonly instruction: Instruction;
  readonly number: number;
  readonly engine: EngineRef;
}

export function stepsOf(body: readonly ProgramNode[]): Step[] {
  let count = 0;
  const convert = (node: ProgramNode, isRepeated: boolean): Step => {
    switch (node.kind) {
      case "loop": {
        const { head } = node;
        const isTemporal = head.over === "time";
        if (isRepeated && !isTemporal) {
          undefinedBehaviour(`spatial loop ${head.name} stands in a temporal loop`);
        }
        const steps = node.body.map((child) => ({
          step: convert(child, isRepeated || isTemporal),
          by: stageOf(child, head.id),
        }));
        const stages = Math.max(0, ...steps.map(({ by }) => by));
        if (stages > 0 && !isTemporal) undefinedBehaviour(`spatial loop ${head.name} has stages`);
        return { kind: "loop", head, body: steps, stages };
      }
      case "instruction": {
        const { instruction } = node;
        const engine = engineOf(instruction);
        return { kind: "instruction", instruction, number: count++, engine };
      }
      case "barrier":
        return node;
      default:
        return node satisfies never;
    }
  };
  return body.map((node) => convert(node, false));
}

/** The stage of a node in a loop around it; all instructions of an inner loop have the same. */
function stageOf(node: ProgramNode, loop: number): number {
  if (node.kind === "barrier") return 0;
  if (node.kind === "instruction") {
    const { stage } = node.instruction;
    return stage?.loop === loop ? stage.by : 0;
  }
  const stages = node.body.map((child) => stageOf(child, loop));
  if (stages.some((stage) => stage !== stages[0])) {
    undefinedBehaviour(`the instructions of loop ${node.head.name} are in different stages`);
  }
  return stages[0] ?? 0;
}

export function instructionsOf(steps: readonly Step[]): InstructionStep[] {
  return steps.flatMap((step) => {
    if (step.kind === "loop") return instructionsOf(step.body.map((staged) => staged.step));
    return step.kind === "instruction" ? [step] : [];
  });
}

/** What each spatial loop of a program runs over, by id. */
export function spatialLoopsOf(body: readonly ProgramNode[]): Map<number, LoopHead["over"]> {
  const loops = new Map<number, LoopHead["over"]>();
  for (const node of body) {
    if (node.kind !== "loop") continue;
    if (node.head.over !== "time") loops.set(node.head.id, node.head.over);
    for (const [id, over] of spatialLoopsOf(node.body)) loops.set(id, over);
  }
  return loops;
}
