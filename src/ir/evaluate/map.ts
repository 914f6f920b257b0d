/**
 * Elementwise functions on tensors of any type: a lane program run over chunks of elements, one instruction at a
 * time, so that every step is a tight loop over typed arrays.
 *
 * Registers are fp32 and int32, as on the device. Where f64 takes part, float registers are doubles; where it or
 * i64, u64 or u32 does, integer registers have 64 bits (unsigned with u64): only the host does that.
 */
import {
  allocateData,
  convertData,
  decodeArray,
  decodeNumbers,
  encodeArray,
  type NumericData,
} from "../../numerics/convert.js";
import { type DType, dtypes } from "../../numerics/dtype.js";
import type { ArithmeticOp, LaneProgram } from "../../numerics/lane.js";
import { expandFunctions } from "../../numerics/lanes.js";
import { elementCount, type Tensor } from "../../numerics/tensor.js";
import { InternalError } from "../../support/diagnostic.js";
import { broadcastTensor } from "./movement.js";
import { numberClass } from "./reduce.js";
import type { MapOperation } from "../graph.js";
import { type Lanes, laneRows } from "./lane-vectors.js";
import { runWide, type WideLanes, type WideRegisters } from "./lane-wide.js";

type Register = Lanes | WideLanes;

/** How wide the registers of a map are. Integers have 64 bits wherever floats have. */
export type RegisterWidths = { readonly float: "f32"; readonly integer: "i32" } | WideRegisters;

/** Few enough for the registers of a chunk to stay in the cache. */
const chunkElements = 1024;

export function registerWidths(dtypesInvolved: readonly DType[]): RegisterWidths {
  const double = dtypesInvolved.includes("f64");
  if (!double && !dtypesInvolved.some((dtype) => numberClass(dtype) === "wide")) {
    return { float: "f32", integer: "i32" };
  }
  return {
    float: double ? "f64" : "f32",
    integer: dtypesInvolved.includes("u64") ? "u64" : "i64",
  };
}

export function mapTensors(
  inputs: readonly Tensor[],
  { program, encode }: MapOperation,
  dtype: DType,
  shape: readonly number[],
): Tensor {
  const length = elementCount(shape);
  const data = allocateData(dtype, length);
  if (length === 0) return { dtype, shape, data };
  const widths = registerWidths([dtype, ...inputs.map((x) => x.dtype)]);
  const size = Math.min(length, chunkElements);
  const sources = inputs.map((x) => sourceOf(x, shape, widths, size));
  const run = runner(widths.integer === "i32" ? expandFunctions(program) : program, widths, size);
  for (let start = 0; start < length; start += size) {
    const count = Math.min(size, length - start);
    const result = run(
      sources.map((source) => source(start, count)),
      count,
    );
    data.set(stored(result, dtype, encode) as never, start);
  }
  return { dtype, shape, data };
}

type Source = (start: number, count: number) => Register;

/** The elements of an input as a register holds them, chunk by chunk. */
function sourceOf(
  x: Tensor,
  shape: readonly number[],
  widths: RegisterWidths,
  size: number,
): Source {
  if (Array.isArray(x.data)) throw new InternalError("strings have no elementwise functions");
  if (x.data.length === 1) {
    const [element] = loaded(x.dtype, x.data, widths);
    const isFloat = dtypes[x.dtype].kind === "float";
    const register = allocateData(isFloat ? widths.float : widths.integer, size) as Register;
    (register as Float32Array).fill(element as number);
    return () => register;
  }
  const data = broadcastTensor(x, shape).data as NumericData;
  return (start, count) => loaded(x.dtype, data.subarray(start, start + count), widths);
}

function loaded(dtype: DType, data: NumericData, widths: RegisterWidths): Register {
  if (dtypes[dtype].kind === "float") {
    if (widths.float === "f32") return decodeArray(dtype, data);
    return Float64Array.from(decodeNumbers(dtype, data));
  }
  const register = convertData(dtype, data, widths.integer) as Int32Array;
  return dtype === "bool" ? register.map((truth) => -truth) : register;
}

function stored(register: Register, dtype: DType, encode: MapOperation["encode"]): NumericData {
  if (register instanceof Float32Array || register instanceof Float64Array) {
    return encodeArray(dtype, register, encode);
  }
  if (register instanceof Int32Array) return convertData("i32", register, dtype);
  return convertData(register instanceof BigInt64Array ? "i64" : "u64", register, dtype);
}

type Run = (operands: readonly Register[], count: number) => Register;

/** The program as a function of one chunk; the result is valid until the next call. */
function runner(program: LaneProgram, widths: RegisterWidths, size: number): Run {
  const registers = assignBuffers(program, widths, size);
  const sources: (readonly [register: number, operand: number])[] = [];
  const steps: ((count: number) => void)[] = [];
  program.instructions.forEach((instruction, i) => {
    const { op, args, imm } = instruction;
    if (op === "input") sources.push([i, imm!]);
    else if (op === "constF") (registers[i] as Float32Array).fill(imm!);
    else if (op === "constI") fillInteger(registers[i]!, imm!);
    else if (widths.integer !== "i32") {
      const operands = () => args.map((arg) => registers[arg] as WideLanes);
      const out = registers[i] as WideLanes;
      steps.push((count) => runWide(op, out, operands(), count, widths));
    } else {
      const row = laneRows[op as ArithmeticOp];
      const lanes = registers as Lanes[];
      const [a, b, c] = args as [number, number, number];
      steps.push((count) => row(lanes[i]!, lanes[a]!, lanes[b]!, lanes[c]!, count));
    }
  });
  return (operands, count) => {
    for (const [register, operand] of sources) registers[register] = operands[operand]!;
    for (const step of steps) step(count);
    return registers[program.results[0]!]!.subarray(0, count) as Register;
  };
}

function fillInteger(register: Register, value: number): void {
  if (register instanceof Int32Array) register.fill(value);
  else (register as BigInt64Array).fill(BigInt(value));
}

/**
 * A buffer per instruction, used again by later ones once its last reader has run. Constants keep theirs: they
 * are filled once. Inputs have none: they read what they are given.
 */
function assignBuffers(program: LaneProgram, widths: RegisterWidths, size: number): Register[] {
  const lastUse = new Map<number, number>();
  program.instructions.forEach(({ args }, i) => {
    for (const arg of args) lastUse.set(arg, i);
  });
  for (const result of program.results) lastUse.set(result, Infinity);
  const free: { readonly f32: Register[]; readonly i32: Register[] } = { f32: [], i32: [] };
  const buffers: Register[] = [];
  program.instructions.forEach(({ op, type, args }, i) => {
    const dtype = type === "f32" ? widths.float : widths.integer;
    const isSource = op === "input" || op === "constF" || op === "constI";
    const reused = isSource ? undefined : free[type].pop();
    buffers.push(reused ?? (allocateData(dtype, op === "input" ? 0 : size) as Register));
    for (const arg of new Set(args)) {
      const { op: source, type: kind } = program.instructions[arg]!;
      const kept = source === "input" || source === "constF" || source === "constI";
      if (lastUse.get(arg) === i && !kept) free[kind].push(buffers[arg]!);
    }
  });
  return buffers;
}
