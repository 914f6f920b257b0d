/** Ranges that follow from types and from lane programs alone. */
import { limitsOf } from "../evaluate/reduce.js";
import { registerWidths } from "../evaluate/map.js";
import type { MapOperation, Value } from "../graph.js";
import { everything, interval, type Interval } from "./intervals.js";
import { laneRanges, type RegisterRange } from "./lane-ranges.js";
import { type DType, dtypes } from "../../numerics/dtype.js";

/** Every number that the type can hold. */
export function typeRange(dtype: DType): Interval {
  const { kind } = dtypes[dtype];
  if (kind === "float" || kind === "string") return everything;
  if (kind === "bool") return interval(0, 1);
  const { low, high } = limitsOf(dtype);
  return interval(Number(low), Number(high));
}

/** Of every register of a map between values of these types. */
export function mapRegisterRanges(
  { program }: MapOperation,
  inputs: readonly Value[],
  output: Value,
  operands: readonly Interval[],
): readonly RegisterRange[] {
  const { integer } = registerWidths([output.dtype, ...inputs.map((x) => x.dtype)]);
  const lanes = operands.map((range, i) =>
    inputs[i]!.dtype === "bool" ? interval(-range.high, -range.low) : range,
  );
  return laneRanges(program, lanes, integer);
}
