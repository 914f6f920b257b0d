/**
 * One lane instruction over a chunk of registers of which some are wider than on the device: doubles where f64
 * takes part, 64-bit integers where i64, u64 or u32 do. Float registers stay fp32 in a map without f64, so that a
 * map gives the same floats whether its integers are narrowed or not.
 */
import { decodeArray } from "../numerics/convert.js";
import { type LaneInstruction, type LaneOpName, laneOps } from "../numerics/lane.js";
import { wideAlgebra, wideFunctions, type WideValue } from "../numerics/wide.js";
import { InternalError } from "../support/diagnostic.js";
import type { Register, Widths } from "./evaluate-map.js";
import { scalarOps } from "./lane-vectors.js";

type WideFunction = (...args: WideValue[]) => WideValue;
type Values = { [index: number]: WideValue };

const algebras = { signed: wideAlgebra(true), unsigned: wideAlgebra(false) };

export function runWide(
  { op, args, imm }: LaneInstruction,
  registers: readonly Register[],
  target: number,
  count: number,
  widths: Widths,
): void {
  const out = registers[target]!;
  const operands = args.map((register) => registers[register]!);
  if (op === "constF") (out as Float64Array).fill(imm!);
  else if (op === "constI") (out as BigInt64Array).fill(BigInt(imm!));
  else if (op === "toF") toFloat(out as Float64Array, operands[0] as BigInt64Array);
  else runRows(computeOf(op, widths), out as Values, operands as readonly Values[], count);
}

/** fp32 rows where floats are fp32 and no integer takes part, else the rows at 64 bits. */
function computeOf(op: LaneOpName, widths: Widths): WideFunction {
  const { args, result } = laneOps[op] as (typeof laneOps)["add"];
  const floatsOnly = result === "f32" && args.every((type) => type === "f32");
  if (floatsOnly && widths.float === "f32") {
    const compute = scalarOps[op as keyof typeof scalarOps];
    if (compute !== undefined) return compute as WideFunction;
  }
  const algebra = widths.integer === "u64" ? algebras.unsigned : algebras.signed;
  const compute = { ...wideFunctions, ...algebra }[op as "add"];
  if (compute === undefined) throw new InternalError(`a map cannot use the lane operation ${op}`);
  return compute;
}

function runRows(
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
function toFloat(out: Float32Array | Float64Array, a: BigInt64Array | BigUint64Array): void {
  if (out instanceof Float32Array) {
    out.set(decodeArray(a instanceof BigInt64Array ? "i64" : "u64", a).subarray(0, out.length));
  } else for (let i = 0; i < out.length; i++) out[i] = Number(a[i]!);
}
