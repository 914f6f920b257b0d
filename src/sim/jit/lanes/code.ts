/**
 * Lane programs as WebAssembly: four positions at a time in a vector register. The arithmetic is the instance of
 * LaneAlgebra whose values are locals; operands, indices and what becomes of the results belong to nest/.
 */
import type {
  ArithmeticOp,
  LaneAlgebra,
  LaneInstruction,
  LaneProgram,
} from "../../../numerics/lane.js";
import { functions } from "../../../numerics/functions.js";
import {
  floatBits,
  type FunctionBuilder,
  type I32,
  type Local,
  type V128,
} from "../wasm/function.js";
import { emitRound } from "./format.js";
import type { PlainOp } from "../wasm/opcodes.js";

/** A register of a lane program: where it is, and its value where that is known now. */
export interface LaneValue {
  readonly local: Local<"v128">;
  readonly constant?: number;
  /** Present where the value is the mask of a comparison a < b in fp32. */
  readonly less?: { readonly a: Local<"v128">; readonly b: Local<"v128"> };
}

export interface LaneSources {
  input(operand: number): V128;
  lookup(operand: number, offset: LaneValue): V128;
  index(axis: number): V128;
  scalar(id: number): V128;
  carry(register: number): Local<"v128">;
}

/** Computes the program's results at the current chunk. */
export function emitLanes(
  f: FunctionBuilder,
  program: LaneProgram,
  sources: LaneSources,
): Local<"v128">[] {
  const algebra = laneAlgebra(f);
  const registers: LaneValue[] = [];
  for (const instruction of program.instructions) {
    const args = instruction.args.map((arg) => registers[arg]!);
    registers.push(emitInstruction(f, algebra, instruction, args, sources));
  }
  return program.results.map((result) => registers[result]!.local);
}

function emitInstruction(
  f: FunctionBuilder,
  algebra: LaneAlgebra<LaneValue>,
  instruction: LaneInstruction,
  args: readonly LaneValue[],
  sources: LaneSources,
): LaneValue {
  const { op, imm = 0 } = instruction;
  switch (op) {
    case "input":
      return { local: f.keep("v128", sources.input(imm)) };
    case "lookup":
      return { local: f.keep("v128", sources.lookup(imm, args[0]!)) };
    case "index":
      return { local: f.keep("v128", sources.index(imm)) };
    case "scalar":
      return { local: f.keep("v128", sources.scalar(imm)) };
    case "carry":
      return { local: sources.carry(imm) };
    case "constF":
    case "constI":
      return algebra[op](imm);
    default:
      break;
  }
  if (isArithmetic(op))
    return (algebra[op] as (...values: readonly LaneValue[]) => LaneValue)(...args);
  // In place, not as a function to call: its constants then are hoisted out of the loop, which halves its time.
  return functions[op](algebra, ...args);
}

function isArithmetic(op: LaneInstruction["op"]): op is ArithmeticOp {
  return op in plainOps || op in specialOps;
}

/** Operations that are one vector instruction. */
const plainOps = {
  add: "f32x4.add",
  sub: "f32x4.sub",
  mul: "f32x4.mul",
  div: "f32x4.div",
  neg: "f32x4.neg",
  abs: "f32x4.abs",
  sqrt: "f32x4.sqrt",
  floor: "f32x4.floor",
  ceil: "f32x4.ceil",
  trunc: "f32x4.trunc",
  rint: "f32x4.nearest",
  addI: "i32x4.add",
  subI: "i32x4.sub",
  mulI: "i32x4.mul",
  minI: "i32x4.min_s",
  maxI: "i32x4.max_s",
  and: "v128.and",
  or: "v128.or",
  xor: "v128.xor",
  eq: "f32x4.eq",
  le: "f32x4.le",
  eqI: "i32x4.eq",
  ltI: "i32x4.lt_s",
  leI: "i32x4.le_s",
  toF: "f32x4.convert_i32x4_s",
  toI: "i32x4.trunc_sat_f32x4_s",
} as const satisfies Partial<Record<ArithmeticOp, PlainOp>>;

type SpecialOp = Exclude<ArithmeticOp, keyof typeof plainOps>;
type Emitter = (f: FunctionBuilder, ...args: LaneValue[]) => LaneValue;

const specialOps: { readonly [Op in SpecialOp]: Emitter } = {
  lt: (f, a, b) => ({
    ...value(f, f.op("f32x4.lt", f.get(a!.local), f.get(b!.local))),
    less: { a: a!.local, b: b!.local },
  }),
  min: (f, a, b) => emitExtreme(f, "min", a!, b!),
  max: (f, a, b) => emitExtreme(f, "max", a!, b!),
  divI: (f, a, b) => perLane(f, a!, b!, (x, y) => emitDivide(f, x, y)),
  remI: (f, a, b) => perLane(f, a!, b!, (x, y) => emitRemainder(f, x, y)),
  shl: (f, a, b) => emitShift(f, "shl", a!, b!),
  shrS: (f, a, b) => emitShift(f, "shr_s", a!, b!),
  shrU: (f, a, b) => emitShift(f, "shr_u", a!, b!),
  select: emitSelect,
  selectI: emitSelect,
  bitsF: (_f, a) => ({ local: a!.local }),
  bitsI: (_f, a) => ({ local: a!.local }),
  roundF16: (f, a) => value(f, emitRound(f, "f16", f.get(a!.local))),
  roundBF16: (f, a) => value(f, emitRound(f, "bf16", f.get(a!.local))),
  roundE4M3: (f, a) => value(f, emitRound(f, "f8e4m3fn", f.get(a!.local))),
  roundE5M2: (f, a) => value(f, emitRound(f, "f8e5m2", f.get(a!.local))),
};

/** Equal constants are one local, by which a select recognises what it selects. */
function laneAlgebra(f: FunctionBuilder): LaneAlgebra<LaneValue> {
  const constants = new Map<number, Local<"v128">>();
  const constant = (word: number): Local<"v128"> => {
    const known = constants.get(word) ?? f.keep("v128", f.words(word));
    constants.set(word, known);
    return known;
  };
  const algebra: Record<string, unknown> = {
    constF: (x: number) => ({ local: constant(floatBits(x)), constant: Math.fround(x) }),
    constI: (x: number) => ({ local: constant(x | 0), constant: x | 0 }),
  };
  for (const [op, name] of Object.entries(plainOps)) {
    algebra[op] = (...args: LaneValue[]) => {
      for (const arg of args) f.get(arg.local);
      return value(f, (f.op as (name: PlainOp) => V128)(name));
    };
  }
  for (const [op, emit] of Object.entries(specialOps)) {
    algebra[op] = (...args: LaneValue[]) => emit(f, ...args);
  }
  return algebra as LaneAlgebra<LaneValue>;
}

function value(f: FunctionBuilder, result: V128): LaneValue {
  return { local: f.keep("v128", result) };
}

/**
 * mask ? a : b. V8 makes three instructions of a select and one of what it is in special cases: (a < b ? a : b) is
 * pmin(b, a) and (b < a ? a : b) is pmax(b, a), NaN and signed zeros included; next to +0 an `and` will do.
 */
function emitSelect(f: FunctionBuilder, ...[mask, a, b]: LaneValue[]): LaneValue {
  const { less } = mask!;
  const [x, y] = [a!.local, b!.local];
  if (less?.a === x && less.b === y) return value(f, f.op("f32x4.pmin", f.get(y), f.get(x)));
  if (less?.a === y && less.b === x) return value(f, f.op("f32x4.pmax", f.get(y), f.get(x)));
  const test = mask!.local;
  if (Object.is(a!.constant, 0)) return value(f, f.op("v128.andnot", f.get(y), f.get(test)));
  if (Object.is(b!.constant, 0)) return value(f, f.op("v128.and", f.get(x), f.get(test)));
  return value(f, f.op("v128.bitselect", f.get(x), f.get(y), f.get(test)));
}

/**
 * f32x4.min and max take seven times as long as pmin and pmax (V8 makes ten instructions of them). With a constant
 * that is no NaN, pmin(x, c) = c < x ? c : x gives NaN for NaN and differs at most where both are zeros.
 */
function emitExtreme(
  f: FunctionBuilder,
  which: "min" | "max",
  a: LaneValue,
  b: LaneValue,
): LaneValue {
  if (a.constant !== undefined && b.constant === undefined) return emitExtreme(f, which, b, a);
  const c = b.constant;
  if (c === undefined || Number.isNaN(c)) {
    return value(f, f.op(`f32x4.${which}`, f.get(a.local), f.get(b.local)));
  }
  if (which === "min") {
    if (Object.is(c, -0)) return value(f, f.op("f32x4.min", f.get(a.local), f.get(b.local)));
    return value(f, f.op("f32x4.pmin", f.get(a.local), f.get(b.local)));
  }
  // max(-0, +0) is +0: adding +0 turns -0 into it and changes nothing else.
  const x = Object.is(c, 0) ? f.op("f32x4.add", f.get(a.local), f.words(0)) : f.get(a.local);
  return value(f, f.op("f32x4.pmax", x, f.get(b.local)));
}

function emitShift(
  f: FunctionBuilder,
  which: "shl" | "shr_s" | "shr_u",
  a: LaneValue,
  by: LaneValue,
): LaneValue {
  if (by.constant !== undefined) {
    return value(f, f.op(`i32x4.${which}`, f.get(a.local), f.i32(by.constant & 31)));
  }
  return perLane(f, a, by, (x, y) => f.op(`i32.${which}`, f.get(x), f.get(y)));
}

/** One lane after the other, for what has no vector form. */
function perLane(
  f: FunctionBuilder,
  a: LaneValue,
  b: LaneValue,
  compute: (x: Local<"i32">, y: Local<"i32">) => I32,
): LaneValue {
  const x = f.local("i32");
  const y = f.local("i32");
  const z = f.local("i32");
  const result = f.keep("v128", f.words(0));
  for (let lane = 0; lane < 4; lane++) {
    f.set(x, f.laneOp("i32x4.extract_lane", lane, f.get(a.local)));
    f.set(y, f.laneOp("i32x4.extract_lane", lane, f.get(b.local)));
    f.set(z, compute(x, y));
    f.set(result, f.laneOp("i32x4.replace_lane", lane, f.get(result), f.get(z)));
  }
  return { local: result };
}

/** x / y toward zero. The machine's division traps for y = 0 and for -2^31 / -1; dividing by 1 instead gives -2^31. */
function emitDivide(f: FunctionBuilder, x: Local<"i32">, y: Local<"i32">): I32 {
  const quotient = f.keep("i32", f.op("i32.div_s", f.get(x), safeDivisor(f, x, y)));
  return f.select(f.get(quotient), f.i32(0), f.get(y));
}

/** x - divI(x, y) * y, so x where y is 0. */
function emitRemainder(f: FunctionBuilder, x: Local<"i32">, y: Local<"i32">): I32 {
  const quotient = f.keep("i32", f.op("i32.div_s", f.get(x), safeDivisor(f, x, y)));
  return f.op("i32.sub", f.get(x), f.op("i32.mul", f.get(quotient), f.get(y)));
}

function safeDivisor(f: FunctionBuilder, x: Local<"i32">, y: Local<"i32">): I32 {
  const overflow = f.op(
    "i32.and",
    f.op("i32.eq", f.get(x), f.i32(-(2 ** 31))),
    f.op("i32.eq", f.get(y), f.i32(-1)),
  );
  const unsafe = f.keep("i32", f.op("i32.or", overflow, f.op("i32.eqz", f.get(y))));
  return f.select(f.i32(1), f.get(y), f.get(unsafe));
}
