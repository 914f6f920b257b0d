/**
 * The lane programs of linear quantization, written and recognized in one place: numbers from codes, codes from
 * numbers. Between them stands what the quantized operators mean, so a pass that finds these forms knows that it
 * looks at quantization, whatever operator they came from.
 */
import { type DType, dtypes } from "./dtype.js";
import type { LaneInstruction, LaneProgram } from "./lane.js";
import type { Lane, LaneBuilder } from "./lanes.js";

/** (code - zero) * scale, the difference in integers. */
export function decodeCode(l: LaneBuilder, code: Lane, scale: Lane, zero: Lane | undefined): Lane {
  return l.mul(l.toF(zero === undefined ? code : l.subI(code, zero)), scale);
}

/** The code nearest to a number of steps: rounded half to even, moved by the zero point (fp32), saturated. */
export function encodeSteps(
  l: LaneBuilder,
  steps: Lane,
  zero: Lane | undefined,
  dtype: DType,
): Lane {
  const rounded = l.rint(steps);
  return saturate(l, l.toI(zero === undefined ? rounded : l.add(rounded, zero)), dtype);
}

/** An i32 lane saturated to an integer type of at most 16 bits. */
export function saturate(l: LaneBuilder, x: Lane, dtype: DType): Lane {
  const { low, high } = integerLimits(dtype);
  return l.minI(l.maxI(x, l.constI(low)), l.constI(high));
}

/** The smallest and the largest number of an integer type of at most 32 bits. */
export function integerLimits(dtype: DType): { readonly low: number; readonly high: number } {
  const { bits, kind } = dtypes[dtype];
  return kind === "uint"
    ? { low: 0, high: 2 ** bits - 1 }
    : { low: -(2 ** (bits - 1)), high: 2 ** (bits - 1) - 1 };
}

/** Numbers of a program's operands. */
export interface Decoding {
  readonly code: number;
  readonly zero?: number;
  readonly scale: number;
}

/** The operands of a program that is {@link decodeCode} and nothing else. */
export function matchDecoding(program: LaneProgram): Decoding | undefined {
  const match = matcher(program);
  const product = match.result("mul");
  if (product === undefined) return undefined;
  for (const [left, right] of [product, [product[1]!, product[0]!]]) {
    const difference = match.args(left!, "toF")?.[0];
    const scale = match.operand(right!, "f32");
    if (difference === undefined || scale === undefined) continue;
    const plain = match.operand(difference, "i32");
    if (plain !== undefined) return { code: plain, scale };
    const [x, z] = match.args(difference, "subI") ?? [];
    const code = x === undefined ? undefined : match.operand(x, "i32");
    const zero = z === undefined ? undefined : match.operand(z, "i32");
    if (code !== undefined && zero !== undefined) return { code, zero, scale };
  }
  return undefined;
}

export interface Encoding {
  /** Operands: the number, its step, and the zero point, in fp32 or (converted) as an integer. */
  readonly number: number;
  readonly scale: number;
  readonly zero?: number;
}

/** The operands of a program that is {@link encodeSteps} of a quotient, saturated to `dtype`. */
export function matchEncoding(program: LaneProgram, dtype: DType): Encoding | undefined {
  const match = matcher(program);
  const { low, high } = integerLimits(dtype);
  const below = match.result("minI");
  if (below === undefined || match.constant(below[1]!) !== high) return undefined;
  const above = match.args(below[0]!, "maxI");
  if (above === undefined || match.constant(above[1]!) !== low) return undefined;
  const moved = match.args(above[0]!, "toI")?.[0];
  if (moved === undefined) return undefined;
  const [rounded, offset] = match.args(moved, "add") ?? [moved];
  const steps = match.args(rounded!, "rint")?.[0];
  const quotient = steps === undefined ? undefined : match.args(steps, "div");
  if (quotient === undefined) return undefined;
  const [number, scale] = quotient.map((register) => match.operand(register, "f32"));
  if (number === undefined || scale === undefined) return undefined;
  if (offset === undefined) return { number, scale };
  const converted = match.args(offset, "toF")?.[0];
  const zero =
    converted === undefined ? match.operand(offset, "f32") : match.operand(converted, "i32");
  return zero === undefined ? undefined : { number, scale, zero };
}

/** One side of a clamp: a constant, or an operand. */
export interface Bound {
  readonly side: "low" | "high";
  readonly constant?: number;
  readonly operand?: number;
}

export interface Clamping {
  readonly number: number;
  /** In the order in which they apply. */
  readonly bounds: readonly Bound[];
}

/** A program that holds one operand between bounds: Relu, Clip, Min and Max with a constant. */
export function matchClamping(program: LaneProgram): Clamping | undefined {
  const match = matcher(program);
  const bounds: Bound[] = [];
  let register = program.results[0]!;
  for (;;) {
    const number = match.operand(register, "f32");
    if (number !== undefined) return bounds.length === 0 ? undefined : { number, bounds };
    const step = clampStep(match, register);
    if (step === undefined) return undefined;
    bounds.unshift(step.bound);
    register = step.inner;
  }
}

/** `x < c ? c : x` holds x at least c, `c < x ? c : x` at most. */
function clampStep(
  match: Matcher,
  register: number,
): { readonly bound: Bound; readonly inner: number } | undefined {
  const [mask, limit, inner] = match.args(register, "select") ?? [];
  if (mask === undefined || limit === undefined || inner === undefined) return undefined;
  const [smaller, larger] = match.args(mask, "lt") ?? [];
  const isLow = smaller === inner && larger === limit;
  if (!isLow && !(smaller === limit && larger === inner)) return undefined;
  const side = isLow ? "low" : "high";
  const constant = match.constant(limit);
  if (constant !== undefined) return { bound: { side, constant }, inner };
  const operand = match.operand(limit, "f32");
  return operand === undefined ? undefined : { bound: { side, operand }, inner };
}

/** The two operands of a program that is one operation on them, both fp32. */
export function matchPair(program: LaneProgram, op: "add" | "mul"): readonly number[] | undefined {
  const match = matcher(program);
  const operands = match.result(op)?.map((register) => match.operand(register, "f32"));
  return operands?.every((operand) => operand !== undefined) ? operands : undefined;
}

/** The operand of a program that converts an integer to fp32. */
export function matchConversion(program: LaneProgram): number | undefined {
  const match = matcher(program);
  const converted = match.result("toF");
  return converted === undefined ? undefined : match.operand(converted[0]!, "i32");
}

interface Matcher {
  /** Arguments of the result, if it is the operation. */
  result(op: LaneInstruction["op"]): readonly number[] | undefined;
  args(register: number, op: LaneInstruction["op"]): readonly number[] | undefined;
  /** The number of the operand that the register holds. */
  operand(register: number, type: "f32" | "i32"): number | undefined;
  constant(register: number): number | undefined;
}

function matcher({ instructions, results }: LaneProgram): Matcher {
  const args = (register: number, op: LaneInstruction["op"]): readonly number[] | undefined => {
    const instruction = instructions[register]!;
    return instruction.op === op ? instruction.args : undefined;
  };
  return {
    result: (op) => args(results[0]!, op),
    args,
    operand: (register, wanted) => {
      const { op, imm, type } = instructions[register]!;
      return op === "input" && type === wanted ? imm : undefined;
    },
    constant: (register) => {
      const { op, imm } = instructions[register]!;
      return op === "constF" || op === "constI" ? imm : undefined;
    },
  };
}
