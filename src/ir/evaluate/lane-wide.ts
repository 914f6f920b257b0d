/**
 * Lane instructions over chunks of registers of which some are wider than on the device: doubles where f64 takes
 * part, 64-bit integers always. Float registers stay fp32 in a map without f64, so that a map gives the same
 * floats whether its integers are narrowed or not.
 */
import { decodeArray } from "../../numerics/convert.js";
import { functions } from "../../numerics/functions.js";
import { type FunctionName, type LaneOpName, laneOps } from "../../numerics/lane.js";
import { scalarAlgebra } from "../../numerics/scalar.js";
import { wideAlgebra, wideFunctions, type WideValue } from "../../numerics/wide.js";

/** How wide the floats are, and whether integers compare and divide as unsigned ones. */
export interface WideRegisters {
  readonly float: "f32" | "f64";
  readonly integer: "i64" | "u64";
}

export type WideLanes = Float32Array | Float64Array | BigInt64Array | BigUint64Array;

type WideFunction = (...args: WideValue[]) => WideValue;
type Values = { [index: number]: WideValue };

const algebras = { i64: wideAlgebra(true), u64: wideAlgebra(false) };

/** Runs one instruction other than a source or constant; `operands` are its arguments. */
export function runWide(
  op: LaneOpName,
  out: WideLanes,
  operands: readonly WideLanes[],
  count: number,
  registers: WideRegisters,
): void {
  if (op === "toF") toFloat(out as Float64Array, operands[0] as BigInt64Array, count);
  else runRow(rowOf(op, registers), out as Values, operands as readonly Values[], count);
}

/** fp32 rows where floats are fp32 and no integer takes part, else the rows at 64 bits. */
function rowOf(op: LaneOpName, { float, integer }: WideRegisters): WideFunction {
  if (op in functions) {
    if (float === "f64") return wideFunctions[op as FunctionName];
    const compute = functions[op as FunctionName];
    return (...args) => compute(scalarAlgebra, ...(args as number[]));
  }
  if (float === "f32" && op === "bitsF") return bitsFloat32 as WideFunction;
  if (float === "f32" && op === "bitsI") return floatBits32 as WideFunction;
  const { args, result } = laneOps[op as "add"];
  const floatsOnly = result === "f32" && args.every((type) => type === "f32");
  const algebra = floatsOnly && float === "f32" ? scalarAlgebra : algebras[integer];
  return algebra[op as "add"] as WideFunction;
}

/** fp32 has 32 bits, also beside integers of 64. */
function bitsFloat32(bits: bigint): number {
  return scalarAlgebra.bitsF(Number(BigInt.asIntN(32, bits)));
}

function floatBits32(x: number): bigint {
  return BigInt(scalarAlgebra.bitsI(x));
}

function runRow(
  compute: WideFunction,
  out: Values,
  [a, b, c]: readonly Values[],
  count: number,
): void {
  if (b === undefined) for (let i = 0; i < count; i++) out[i] = compute(a![i]!);
  else if (c === undefined) for (let i = 0; i < count; i++) out[i] = compute(a![i]!, b[i]!);
  else for (let i = 0; i < count; i++) out[i] = compute(a![i]!, b[i]!, c[i]!);
}

/** Rounded once, also where the result is fp32. */
function toFloat(
  out: Float32Array | Float64Array,
  a: BigInt64Array | BigUint64Array,
  count: number,
): void {
  if (out instanceof Float32Array) {
    const dtype = a instanceof BigInt64Array ? "i64" : "u64";
    out.set(decodeArray(dtype, a.subarray(0, count)));
  } else for (let i = 0; i < count; i++) out[i] = Number(a[i]!);
}
