/** What the verifier found: a place in the program and why it is not safe. */
import { instructionText } from "./disassemble.js";
import type { Program, ProgramNode } from "./program.js";

export interface Problem {
  /** Position in the program's body, then in that loop's body, and so on; empty for the program as a whole. */
  readonly path: readonly number[];
  readonly reason: string;
}

export type Report = (path: readonly number[], reason: string) => void;

/** `loop m, loop k, mma ...: reason` */
export function problemText(program: Program, problem: Problem): string {
  const places: string[] = [];
  let nodes: readonly ProgramNode[] = program.body;
  for (const at of problem.path) {
    const node = nodes[at];
    if (node?.kind === "loop") {
      places.push(`loop ${node.head.name}`);
      nodes = node.body;
    } else if (node?.kind === "instruction") {
      places.push(instructionText(program, node.instruction));
    } else if (node?.kind === "barrier") places.push("barrier");
  }
  return places.length === 0 ? problem.reason : `${places.join(", ")}: ${problem.reason}`;
}
