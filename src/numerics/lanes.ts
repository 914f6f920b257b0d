/**
 * Makes lane programs: a builder that shares equal instructions, computes what is constant, checks register types
 * and drops what no result needs. What an instruction means is in `lane.ts`.
 */
import { InternalError } from "../support/diagnostic.js";
import { functions } from "./functions.js";
import {
  type FunctionName,
  type LaneAlgebra,
  type LaneInstruction,
  type LaneOpName,
  laneOps,
  type LaneProgram,
  type RegisterType,
} from "./lane.js";
import { type Simplified, simplifyLane } from "./simplify-lanes.js";

/** A register of a lane program under construction. */
export interface Lane {
  readonly register: number;
  readonly type: RegisterType;
}

export type LaneBuilder = LaneAlgebra<Lane> & {
  readonly [F in FunctionName]: (...args: Lane[]) => Lane;
};

export interface LaneProgramBuilder {
  /** The arithmetic; constants, functions and all. */
  readonly l: LaneBuilder;
  /** A source: operand, iteration index, scalar or carried register number `imm`. */
  source(op: "input" | "index" | "scalar" | "carry", imm: number, type: RegisterType): Lane;
  lookup(operand: number, offset: Lane, type: RegisterType): Lane;
  /** Any instruction, for copying programs. */
  emit(op: LaneOpName, args: readonly Lane[], type: RegisterType, imm?: number): Lane;
  finish(results: readonly Lane[]): LaneProgram;
}

export interface LaneProgramOptions {
  /**
   * Constants keep the precision of a double or of 53-bit integers: for programs that only the host runs, on
   * f64 or 64-bit integers.
   */
  readonly wide?: boolean;
}

export function laneProgramBuilder(options: LaneProgramOptions = {}): LaneProgramBuilder {
  const instructions: LaneInstruction[] = [];
  const known = new Map<string, Lane>();

  function emit(op: LaneOpName, args: readonly Lane[], type: RegisterType, imm?: number): Lane {
    const registers = args.map((a) => a.register);
    const simplified = options.wide
      ? undefined
      : simplifyLane(op, registers.map(constantOf), registers);
    return simplified === undefined
      ? append(op, registers, type, imm)
      : follow(simplified, args, type);
  }

  /** A register's value where it is a constant. */
  function constantOf(register: number): number | undefined {
    const { op, imm } = instructions[register]!;
    return op === "constF" || op === "constI" ? imm : undefined;
  }

  function follow(simplified: Simplified, args: readonly Lane[], type: RegisterType): Lane {
    switch (simplified.kind) {
      case "constant":
        return append(type === "f32" ? "constF" : "constI", [], type, simplified.value);
      case "argument":
        return args[simplified.index]!;
      case "operation": {
        const { op, constant } = simplified;
        const first = args[0]!.register;
        if (constant === undefined) return append(op, [first], type);
        return append(op, [first, append("constF", [], "f32", constant).register], type);
      }
      default:
        return simplified satisfies never;
    }
  }

  function append(
    op: LaneOpName,
    registers: readonly number[],
    type: RegisterType,
    imm?: number,
  ): Lane {
    const key = `${op} ${registers.join(" ")} ${immediateText(imm)} ${type}`;
    let lane = known.get(key);
    if (lane === undefined) {
      lane = { register: instructions.length, type };
      instructions.push({ op, args: registers, type, ...(imm === undefined ? {} : { imm }) });
      known.set(key, lane);
    }
    return lane;
  }

  return {
    l: arithmetic(emit, options.wide === true),
    source: (op, imm, type) => emit(op, [], type, imm),
    lookup: (operand, offset, type) => emit("lookup", [offset], type, operand),
    emit,
    finish: (results) =>
      withoutUnused({ instructions, results: results.map((lane) => lane.register) }),
  };
}

type Emit = (op: LaneOpName, args: readonly Lane[], type: RegisterType, imm?: number) => Lane;

function arithmetic(emit: Emit, wide: boolean): LaneBuilder {
  const l: Record<string, (...args: never[]) => Lane> = {
    constF: (value: number) => emit("constF", [], "f32", wide ? value : Math.fround(value)),
    constI: (value: number) => {
      if (!Number.isInteger(value)) throw new LaneTypeError(`constI of ${value}`);
      return emit("constI", [], "i32", wide ? value : value | 0);
    },
  };
  for (const [name, row] of Object.entries(laneOps)) {
    if ("imm" in row) continue;
    const op = name as LaneOpName;
    const result: RegisterType = row.result;
    l[name] = (...args: Lane[]) => {
      checkArguments(op, args);
      return emit(op, args, result);
    };
  }
  return l as unknown as LaneBuilder;
}

/** Lane code was given registers of other types than it is written for. */
export class LaneTypeError extends InternalError {}

function checkArguments(op: LaneOpName, args: readonly (Lane | undefined)[]): void {
  const wanted: readonly RegisterType[] = laneOps[op].args;
  if (args.length !== wanted.length || args.some((a, i) => a?.type !== wanted[i])) {
    const given = args.map((a) => a?.type ?? "nothing").join(", ");
    throw new LaneTypeError(`lane operation ${op} takes (${wanted.join(", ")}), not (${given})`);
  }
}

/** Tells -0 from 0. */
function immediateText(imm: number | undefined): string {
  return imm === undefined ? "" : Object.is(imm, -0) ? "-0" : String(imm);
}

/** The same program with every transcendental function written out in arithmetic: the same bits. */
export function expandFunctions(program: LaneProgram): LaneProgram {
  if (program.instructions.every(({ op }) => !(op in functions))) return program;
  const builder = laneProgramBuilder();
  const lanes: Lane[] = [];
  for (const { op, args, imm, type } of program.instructions) {
    const operands = args.map((register) => lanes[register]!);
    if (op in functions) lanes.push(functions[op as FunctionName](builder.l, ...operands));
    else lanes.push(builder.emit(op, operands, type, imm));
  }
  return builder.finish(program.results.map((register) => lanes[register]!));
}

/** Without the instructions that no result depends on; the others keep their order. */
export function withoutUnused(program: LaneProgram): LaneProgram {
  const used = new Array<boolean>(program.instructions.length).fill(false);
  for (const result of program.results) used[result] = true;
  for (let i = program.instructions.length - 1; i >= 0; i--) {
    if (used[i]) for (const arg of program.instructions[i]!.args) used[arg] = true;
  }
  const renumbered = new Array<number>(used.length);
  const instructions: LaneInstruction[] = [];
  program.instructions.forEach((instruction, i) => {
    if (!used[i]) return;
    renumbered[i] = instructions.length;
    instructions.push({ ...instruction, args: instruction.args.map((arg) => renumbered[arg]!) });
  });
  return { instructions, results: program.results.map((result) => renumbered[result]!) };
}
