/**
 * The text form of lane programs, on one line:
 *
 *   { r0 = input.f32 0; r1 = constF 0.5; r2 = mul r0 r1; return r2 }
 *
 * Register i is instruction i. `.f32` or `.i32` follows an operation that can have either type. fp32 constants are
 * printed as the shortest decimal, doubles (only in programs for the host) with a trailing d.
 */
import { fail } from "../support/diagnostic.js";
import {
  type LaneInstruction,
  type LaneOpName,
  laneOps,
  type LaneProgram,
  type RegisterType,
} from "./lane.js";
import { doubleText, floatText, parseNumber } from "./number-text.js";

export function printLanes({ instructions, results }: LaneProgram): string {
  const lines = instructions.map((instruction, i) => `r${i} = ${instructionText(instruction)}`);
  return `{ ${[...lines, `return ${results.map((r) => `r${r}`).join(", ")}`].join("; ")} }`;
}

function instructionText({ op, args, imm, type }: LaneInstruction): string {
  const name = laneOps[op].result === "any" ? `${op}.${type}` : op;
  return [name, ...immediateText(op, imm), ...args.map((arg) => `r${arg}`)].join(" ");
}

function immediateText(op: LaneOpName, imm: number | undefined): string[] {
  if (imm === undefined) return [];
  if (op !== "constF") return [String(imm)];
  return [imm === Math.fround(imm) || imm !== imm ? floatText(imm) : `${doubleText(imm)}d`];
}

/** L0109 where the text is not well-formed. */
export function parseLanes(text: string): LaneProgram {
  const inner = /^\s*\{(.*)\}\s*$/s.exec(text)?.[1] ?? bad(text);
  const statements = inner.split(";").map((statement) => statement.trim());
  const last = statements.pop();
  const returned = /^return (r\d+(?:, r\d+)*)$/.exec(last ?? "")?.[1] ?? bad(last ?? "");
  const instructions: LaneInstruction[] = [];
  for (const statement of statements) instructions.push(parseInstruction(statement, instructions));
  const results = returned.split(", ").map((name) => registerNumber(name, instructions.length));
  return { instructions, results };
}

function parseInstruction(statement: string, before: readonly LaneInstruction[]): LaneInstruction {
  const match = /^r(\d+) = (\w+)(?:\.(f32|i32))?((?: \S+)*)$/.exec(statement);
  if (match === null || Number(match[1]) !== before.length) return bad(statement);
  const op = match[2]! as LaneOpName;
  const row: (typeof laneOps)[LaneOpName] | undefined = laneOps[op];
  if (row === undefined || (row.result === "any") !== (match[3] !== undefined))
    return bad(statement);
  const words = match[4]!.split(" ").slice(1);
  const imm = "imm" in row ? parseImmediate(op, words.shift() ?? "", statement) : undefined;
  const args = words.map((word) => registerNumber(word, before.length));
  const wanted: readonly RegisterType[] = row.args;
  if (args.length !== wanted.length || args.some((arg, i) => before[arg]!.type !== wanted[i])) {
    return bad(statement);
  }
  const type = row.result === "any" ? (match[3] as RegisterType) : row.result;
  return { op, args, ...(imm === undefined ? {} : { imm }), type };
}

function parseImmediate(op: LaneOpName, word: string, statement: string): number {
  const double = op === "constF" && word.endsWith("d");
  const value = parseNumber(double ? word.slice(0, -1) : word) ?? bad(statement);
  return op === "constF" && !double ? Math.fround(value) : value;
}

function registerNumber(name: string, count: number): number {
  const number = /^r(\d+)$/.exec(name)?.[1];
  return number !== undefined && Number(number) < count ? Number(number) : bad(name);
}

function bad(text: string): never {
  return fail("L0109", `the lane program does not parse at "${text.slice(0, 60)}"`);
}
