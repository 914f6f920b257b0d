/** A program prepared for walking: instructions numbered, stages resolved to how late a node runs. */
import { undefinedBehaviour } from "../../ir/semantics/cells.js";
import type { PlainNode } from "../../ir/semantics/plain-order.js";
import type { LoopHead } from "../../ir/tile.js";
import { engineOf, type EngineRef, type Instruction, type ProgramNode } from "../../isa/program.js";

export type Step = InstructionStep | { readonly kind: "barrier" };

export interface InstructionStep {
  readonly kind: "instruction";
  readonly instruction: Instruction;
  readonly number: number;
  readonly engine: EngineRef;
}

export interface Steps {
  readonly nodes: readonly PlainNode<Step>[];
  readonly instructions: readonly InstructionStep[];
  /** By id. */
  readonly loops: ReadonlyMap<number, LoopHead>;
}

export function stepsOf(body: readonly ProgramNode[]): Steps {
  const instructions: InstructionStep[] = [];
  const loops = new Map<number, LoopHead>();
  const convert = (node: ProgramNode, isRepeated: boolean): PlainNode<Step> => {
    switch (node.kind) {
      case "loop": {
        const { head } = node;
        const isTemporal = head.over === "time";
        loops.set(head.id, head);
        checkNesting(node, isRepeated);
        const children = node.body.map((child) => ({
          node: convert(child, isRepeated || isTemporal),
          by: stageOf(child, head.id),
        }));
        return { kind: "loop", head, body: children };
      }
      case "instruction": {
        const { instruction } = node;
        const number = instructions.length;
        const leaf = { ...node, number, engine: engineOf(instruction) };
        instructions.push(leaf);
        return { kind: "leaf", leaf };
      }
      case "barrier":
        return { kind: "leaf", leaf: node };
      default:
        return node satisfies never;
    }
  };
  return { nodes: body.map((node) => convert(node, false)), instructions, loops };
}

function checkNesting(node: LoopNode, isRepeated: boolean): void {
  const { over, name, id } = node.head;
  if (over === "time") return;
  if (isRepeated) undefinedBehaviour(`spatial loop ${name} stands in a temporal loop`);
  if (node.body.some((child) => stageOf(child, id) !== 0)) {
    undefinedBehaviour(`spatial loop ${name} has stages`);
  }
}

type LoopNode = Extract<ProgramNode, { readonly kind: "loop" }>;

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
