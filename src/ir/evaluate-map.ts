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
} from "../numerics/convert.js";
import { type DType, dtypes } from "../numerics/dtype.js";
import { type LaneInstruction, laneOps, type LaneProgram } from "../numerics/lane.js";
import { elementCount, type Tensor, type TensorData } from "../numerics/tensor.js";
import { InternalError } from "../support/diagnostic.js";
import { broadcastTensor } from "./evaluate-movement.js";
import { numberClass } from "./evaluate-reduce.js";
import type { MapOperation } from "./graph.js";
import { runNarrow } from "./lane-vectors.js";
import { runWide } from "./lane-wide.js";

/** Registers of one chunk; the class of the array says how the register computes. */
export type Register = Float32Array | Int32Array | Float64Array | BigInt64Array | BigUint64Array;

/** How wide the registers of a map are. Integers have 64 bits wherever floats have. */
export interface Widths {
  readonly float: "f32" | "f64";
  readonly integer: "i32" | "i64" | "u64";
}

/** Small enough for the registers of a chunk to stay in the cache. */
const chunkElements = 2048;

export function mapWidths(dtypesInvolved: readonly DType[]): Widths {
  const double = dtypesInvolved.includes("f64");
  const wide = double || dtypesInvolved.some((d) => numberClass(d) === "wide");
  const unsigned = dtypesInvolved.includes("u64");
  return { float: double ? "f64" : "f32", integer: !wide ? "i32" : unsigned ? "u64" : "i64" };
}

export function mapTensors(
  inputs: readonly Tensor[],
  { program, encode }: MapOperation,
  dtype: DType,
  shape: readonly number[],
): Tensor {
  const length = elementCount(shape);
  const data = allocateData(dtype, length);
  const widths = mapWidths([dtype, ...inputs.map((x) => x.dtype)]);
  const size = Math.min(length, chunkElements);
  const sources = inputs.map((x) => sourceOf(x, shape, widths, size));
  const registers = program.instructions.map((i) => allocateRegister(i, widths, size));
  const narrow = widths.integer === "i32";
  for (let start = 0; start < length; start += size) {
    const count = Math.min(size, length - start);
    const operands = sources.map((source) => source(start, count));
    program.instructions.forEach((instruction, i) => {
      if (instruction.op === "input") registers[i] = operands[instruction.imm!]!;
      else if (narrow) runNarrow(instruction, registers, i, count);
      else runWide(instruction, registers, i, count, widths);
    });
    const result = registers[resultOf(program)]!.subarray(0, count) as Register;
    data.set(stored(result, dtype, encode) as never, start);
  }
  return { dtype, shape, data };
}

function resultOf(program: LaneProgram): number {
  const [result, ...more] = program.results;
  if (result === undefined || more.length > 0) throw new InternalError("a map has one result");
  return result;
}

function allocateRegister({ op, type }: LaneInstruction, widths: Widths, size: number): Register {
  if (laneOps[op] === undefined) throw new InternalError(`unknown lane operation ${op}`);
  return allocateData(type === "f32" ? widths.float : widths.integer, size) as Register;
}

type Source = (start: number, count: number) => Register;

/** The elements of an input as a register holds them, chunk by chunk. */
function sourceOf(x: Tensor, shape: readonly number[], widths: Widths, size: number): Source {
  if (x.data.length === 1) {
    const constant = loaded(x.dtype, x.data, widths);
    const register = allocateData(registerType(x.dtype, widths), size) as Register;
    (register as Float32Array).fill(constant[0] as number);
    return () => register;
  }
  const { data } = broadcastTensor(x, shape);
  if (Array.isArray(data)) throw new InternalError("strings have no elementwise functions");
  return (start, count) => loaded(x.dtype, data.subarray(start, start + count), widths);
}

function registerType(dtype: DType, widths: Widths): DType {
  return dtypes[dtype].kind === "float" ? widths.float : widths.integer;
}

function loaded(dtype: DType, data: TensorData, widths: Widths): Register {
  if (dtypes[dtype].kind === "float") {
    return widths.float === "f64"
      ? Float64Array.from(decodeNumbers(dtype, data))
      : decodeArray(dtype, data);
  }
  const register = convertData(dtype, data, widths.integer);
  return dtype === "bool"
    ? (register.map(((truth: number) => -truth) as never) as Register)
    : (register as Register);
}

function stored(register: Register, dtype: DType, encode: MapOperation["encode"]): TensorData {
  const float = register instanceof Float32Array || register instanceof Float64Array;
  if (float) return encodeArray(dtype, register, encode);
  const type =
    register instanceof Int32Array ? "i32" : register instanceof BigInt64Array ? "i64" : "u64";
  return convertData(type, register, dtype);
}
