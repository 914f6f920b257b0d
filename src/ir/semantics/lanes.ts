/** Runs a lane program at one position after another, without allocating at any of them. */
import { functions } from "../../numerics/functions.js";
import type {
  ArithmeticOp,
  FunctionName,
  LaneInstruction,
  LaneProgram,
} from "../../numerics/lane.js";
import { scalarAlgebra } from "../../numerics/scalar.js";

/** What the sources of a lane program read at the current position. */
export interface LaneSources {
  input(operand: number): number;
  /** Element of an operand at this position's offset plus `more`. */
  lookup(operand: number, more: number): number;
  index(axis: number): number;
  scalar(id: number): number;
  carry(register: number): number;
}

/** Returns the program's results at the current position: the same array at each call. */
export function laneRunner(program: LaneProgram, sources: LaneSources): () => Float64Array {
  const registers = new Float64Array(program.instructions.length);
  const steps = program.instructions.map((instruction) => step(instruction, registers, sources));
  const results = new Float64Array(program.results.length);
  return () => {
    for (let i = 0; i < steps.length; i++) registers[i] = steps[i]!();
    for (let i = 0; i < results.length; i++) results[i] = registers[program.results[i]!]!;
    return results;
  };
}

function step(
  { op, args, imm }: LaneInstruction,
  registers: Float64Array,
  sources: LaneSources,
): () => number {
  const operand = imm!;
  const [a, b, c] = args as [number, number, number];
  switch (op) {
    case "input":
      return () => sources.input(operand);
    case "lookup":
      return () => sources.lookup(operand, registers[a]!);
    case "index":
      return () => sources.index(operand);
    case "scalar":
      return () => sources.scalar(operand);
    case "carry":
      return () => sources.carry(operand);
    case "constF":
    case "constI":
      return () => operand;
    default: {
      const compute = operation(op);
      if (args.length === 1) return () => compute(registers[a]!);
      if (args.length === 2) return () => compute(registers[a]!, registers[b]!);
      return () => compute(registers[a]!, registers[b]!, registers[c]!);
    }
  }
}

function operation(op: ArithmeticOp | FunctionName): (...values: number[]) => number {
  if (!(op in functions)) return scalarAlgebra[op as ArithmeticOp];
  const compute = functions[op as FunctionName];
  return (...values) => compute(scalarAlgebra, ...values);
}
