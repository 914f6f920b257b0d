/** Texts that are equal for equal programs or kernels, to share what is compiled. */
import type { LaneProgram } from "../../numerics/lane.js";
import type { Program, ProgramNode } from "../../isa/program.js";
import type { NestSpec } from "./nest/spec.js";

/** Names do not count. */
export function programKey({ grid, scalarCount, bindings, queues, body }: Program): string {
  const odd: number[] = [];
  for (const node of body) collectOdd(node, odd);
  const shapes = [
    bindings.map(({ dtype, elements, access }) => [dtype, elements, access]),
    queues.map((queue) => ({ ...queue, name: "" })),
  ];
  return JSON.stringify([grid, scalarCount, shapes, body]) + oddText(odd);
}

export function nestKey(spec: NestSpec): string {
  const odd: number[] = [];
  collectOddImmediates(spec.program, odd);
  for (const { initial } of spec.carries) addOdd(initial, odd);
  return `nest ${JSON.stringify(spec)}${oddText(odd)}`;
}

/** The numbers that JSON has no form for, where a program can have any, in order. */
function collectOdd(node: ProgramNode, odd: number[]): void {
  if (node.kind === "loop") for (const child of node.body) collectOdd(child, odd);
  if (node.kind !== "instruction") return;
  const { body } = node.instruction;
  if (body.op === "load") addOdd(body.fill, odd);
  if (body.op !== "vec") return;
  collectOddImmediates(body.program, odd);
  for (const { initial } of body.carries) addOdd(initial, odd);
}

function collectOddImmediates(program: LaneProgram, odd: number[]): void {
  for (const { imm } of program.instructions) if (imm !== undefined) addOdd(imm, odd);
}

function addOdd(x: number, odd: number[]): void {
  if (!Number.isFinite(x) || Object.is(x, -0)) odd.push(x);
}

function oddText(odd: readonly number[]): string {
  return odd.map((x) => ` ${Object.is(x, -0) ? "-0" : x}`).join("");
}
