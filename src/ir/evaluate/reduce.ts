/**
 * Reductions and scans on tensors of any type, in the order of accumulation that `graph.ts` fixes: floats in
 * fp32 (f64 in double), integers wrapping.
 */
import { allocateData, convertData, decodeArray, encodeArray } from "../../numerics/convert.js";
import { type DType, dtypes } from "../../numerics/dtype.js";
import { elementCount, type Tensor } from "../../numerics/tensor.js";
import { transposeTensor } from "./movement.js";
import {
  reducePartials,
  type Reduction,
  type ReduceOperation,
  type ScanOperation,
} from "../graph.js";

type Floats = Float32Array | Float64Array;
type Wide = BigInt64Array | BigUint64Array;

export function reduceTensor(
  x: Tensor,
  { reduction, axes }: ReduceOperation,
  dtype: DType,
  shape: readonly number[],
): Tensor {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const rows = transposeTensor(x, [...kept, ...[...axes].sort((a, b) => a - b)]);
  const count = elementCount(axes.map((axis) => x.shape[axis]!));
  const length = elementCount(shape);
  return { dtype, shape, data: convertData(...reduceRows(rows, reduction, length, count), dtype) };
}

/** What the reduction of no elements of type `from` gives. */
export function reductionOfNothing(op: ReduceOperation, from: DType, to: DType): Tensor {
  const empty = { dtype: from, shape: [0], data: allocateData(from, 0) };
  return reduceTensor(empty, { ...op, axes: [0] }, to, []);
}

/** Data and its type, before it is stored in the result's. */
function reduceRows(
  rows: Tensor,
  reduction: Reduction,
  length: number,
  count: number,
): readonly [DType, Exclude<Tensor["data"], string[]>] {
  switch (numberClass(rows.dtype)) {
    case "f64": {
      const data = rows.data as Float64Array;
      return reduceFloats(data, reduction, length, count, new Float64Array(length), "f64");
    }
    case "f32": {
      const data = decodeArray(rows.dtype, rows.data);
      return reduceFloats(data, reduction, length, count, new Float32Array(length), "f32");
    }
    case "int":
      return reduceInts(intData(rows), reduction, length, count, rows.dtype);
    case "wide":
      return reduceWide(wideData(rows), reduction, length, count, rows.dtype);
  }
}

/** How a type is computed with here. */
export function numberClass(dtype: DType): "f32" | "f64" | "int" | "wide" {
  if (dtypes[dtype].kind === "float") return dtype === "f64" ? "f64" : "f32";
  return dtypes[dtype].bits === 64 || dtype === "u32" ? "wide" : "int";
}

export function intData({ dtype, data }: Tensor): Int32Array {
  return convertData(dtype, data, "i32") as Int32Array;
}

export function wideData({ dtype, data }: Tensor): Wide {
  return convertData(dtype, data, dtype === "u64" ? "u64" : "i64") as Wide;
}

function reduceFloats(
  data: Floats,
  reduction: Reduction,
  length: number,
  count: number,
  out: Floats,
  dtype: "f32" | "f64",
): readonly [DType, Floats | Int32Array] {
  if (reduction === "argmax" || reduction === "argmin") {
    return ["i32", argExtreme(data, reduction === "argmax", length, count)];
  }
  const row = floatRows[reduction as keyof typeof floatRows];
  const partials =
    dtype === "f64" ? new Float64Array(reducePartials) : new Float32Array(reducePartials);
  for (let r = 0; r < length; r++) out[r] = row(data, r * count, count, partials);
  return [dtype, out];
}

type FloatRow = (data: Floats, start: number, count: number, partials: Floats) => number;

const floatRows: { readonly [R in "sum" | "prod" | "seqsum" | "max" | "min"]: FloatRow } = {
  sum: (data, start, count, partials) => {
    partials.fill(0);
    for (let i = 0; i < count; i++) partials[i & 15]! += data[start + i]!;
    for (let half = 8; half > 0; half >>= 1) {
      for (let j = 0; j < half; j++) partials[j]! += partials[j + half]!;
    }
    return partials[0]!;
  },
  prod: (data, start, count, partials) => {
    partials.fill(1);
    for (let i = 0; i < count; i++) partials[i & 15]! *= data[start + i]!;
    for (let half = 8; half > 0; half >>= 1) {
      for (let j = 0; j < half; j++) partials[j]! *= partials[j + half]!;
    }
    return partials[0]!;
  },
  seqsum: (data, start, count, partials) => {
    partials[0] = 0;
    for (let i = 0; i < count; i++) partials[0]! += data[start + i]!;
    return partials[0]!;
  },
  max: (data, start, count) => {
    let best = -Infinity;
    for (let i = 0; i < count; i++) best = Math.max(best, data[start + i]!);
    return best;
  },
  min: (data, start, count) => {
    let best = Infinity;
    for (let i = 0; i < count; i++) best = Math.min(best, data[start + i]!);
    return best;
  },
};

/** First extreme element of each row; a NaN counts as extreme. */
function argExtreme(
  data: Floats | Int32Array | Wide,
  largest: boolean,
  length: number,
  count: number,
): Int32Array {
  const out = new Int32Array(length);
  for (let r = 0; r < length; r++) {
    const start = r * count;
    let at = 0;
    for (let i = 1; i < count; i++) {
      const x = data[start + i]!;
      const best = data[start + at]!;
      if (best !== best) break;
      if (x !== x || (largest ? x > best : x < best)) at = i;
    }
    out[r] = at;
  }
  return out;
}

function reduceInts(
  data: Int32Array,
  reduction: Reduction,
  length: number,
  count: number,
  dtype: DType,
): readonly [DType, Int32Array] {
  if (reduction === "argmax" || reduction === "argmin") {
    return ["i32", argExtreme(data, reduction === "argmax", length, count)];
  }
  const { start, combine } = intReductions[reduction];
  const first = start(dtype);
  const out = new Int32Array(length);
  for (let r = 0; r < length; r++) {
    let acc = first;
    for (let i = r * count; i < (r + 1) * count; i++) acc = combine(acc, data[i]!);
    out[r] = acc;
  }
  return ["i32", out];
}

type IntReduction = Exclude<Reduction, "argmax" | "argmin">;

interface Fold<N> {
  readonly start: (dtype: DType) => N;
  readonly combine: (a: N, b: N) => N;
}

const intReductions: { readonly [R in IntReduction]: Fold<number> } = {
  sum: { start: () => 0, combine: (a, b) => (a + b) | 0 },
  seqsum: { start: () => 0, combine: (a, b) => (a + b) | 0 },
  prod: { start: () => 1, combine: Math.imul },
  max: { start: (dtype) => Number(limitsOf(dtype).low), combine: (a, b) => (a > b ? a : b) },
  min: { start: (dtype) => Number(limitsOf(dtype).high), combine: (a, b) => (a < b ? a : b) },
  and: { start: () => 1, combine: (a, b) => a & b },
  or: { start: () => 0, combine: (a, b) => a | b },
};

/** Smallest and largest value of an integer type. */
export function limitsOf(dtype: DType): { readonly low: bigint; readonly high: bigint } {
  const bits = BigInt(dtypes[dtype].bits);
  if (dtypes[dtype].kind !== "int") return { low: 0n, high: (1n << bits) - 1n };
  return { low: -(1n << (bits - 1n)), high: (1n << (bits - 1n)) - 1n };
}

function reduceWide(
  data: Wide,
  reduction: Reduction,
  length: number,
  count: number,
  dtype: DType,
): readonly [DType, Wide | Int32Array] {
  if (reduction === "argmax" || reduction === "argmin") {
    return ["i32", argExtreme(data, reduction === "argmax", length, count)];
  }
  const { start, combine } = wideReductions[reduction as keyof typeof wideReductions];
  const type = dtype === "u64" ? "u64" : "i64";
  const out = allocateData(type, length) as Wide;
  for (let r = 0; r < length; r++) {
    let acc = start(dtype);
    for (let i = r * count; i < (r + 1) * count; i++) acc = combine(acc, data[i]!);
    out[r] = acc;
  }
  return [type, out];
}

const wideReductions: {
  readonly [R in Exclude<IntReduction, "and" | "or">]: Fold<bigint>;
} = {
  sum: { start: () => 0n, combine: (a, b) => a + b },
  seqsum: { start: () => 0n, combine: (a, b) => a + b },
  prod: { start: () => 1n, combine: (a, b) => BigInt.asIntN(64, a * b) },
  max: { start: (dtype) => limitsOf(dtype).low, combine: (a, b) => (a > b ? a : b) },
  min: { start: (dtype) => limitsOf(dtype).high, combine: (a, b) => (a < b ? a : b) },
};

export function scanTensor(x: Tensor, operation: ScanOperation): Tensor {
  const { dtype, shape } = x;
  switch (numberClass(dtype)) {
    case "f64":
      return { dtype, shape, data: scanFloats(x.data as Float64Array, shape, operation) };
    case "f32": {
      const data = scanFloats(decodeArray(dtype, x.data), shape, operation);
      return { dtype, shape, data: encodeArray(dtype, data) };
    }
    case "int": {
      const fold = intReductions[operation.combine];
      const data = intData(x);
      const out = new Int32Array(data.length);
      forEachLine(shape, operation, (line) =>
        scanLine(data, out, line, fold.start(dtype), fold.combine),
      );
      return { dtype, shape, data: convertData("i32", out, dtype) };
    }
    case "wide": {
      const fold = wideReductions[operation.combine];
      const type = dtype === "u64" ? "u64" : "i64";
      const data = wideData(x);
      const out = allocateData(type, data.length) as Wide;
      forEachLine(shape, operation, (line) =>
        scanLine(data, out, line, fold.start(dtype), fold.combine),
      );
      return { dtype, shape, data: convertData(type, out, dtype) };
    }
  }
}

function scanFloats(data: Floats, shape: readonly number[], operation: ScanOperation): Floats {
  const double = data instanceof Float64Array;
  const out = double ? new Float64Array(data.length) : new Float32Array(data.length);
  const { start, combine } = floatScans[operation.combine];
  const round = double ? (x: number) => x : Math.fround;
  const rounded = (a: number, b: number) => round(combine(a, b));
  forEachLine(shape, operation, (line) => scanLine(data, out, line, start, rounded));
  return out;
}

const floatScans = {
  sum: { start: 0, combine: (a: number, b: number) => a + b },
  prod: { start: 1, combine: (a: number, b: number) => a * b },
  max: { start: -Infinity, combine: Math.max },
  min: { start: Infinity, combine: Math.min },
};

interface Line {
  readonly first: number;
  readonly stride: number;
  readonly count: number;
  readonly exclusive: boolean;
}

function forEachLine(
  shape: readonly number[],
  { axis, exclusive, reverse }: ScanOperation,
  visit: (line: Line) => void,
): void {
  const count = shape[axis]!;
  const inner = elementCount(shape.slice(axis + 1));
  const outer = elementCount(shape.slice(0, axis));
  const stride = reverse ? -inner : inner;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const start = o * count * inner + i;
      visit({ first: reverse ? start + (count - 1) * inner : start, stride, count, exclusive });
    }
  }
}

function scanLine<N extends number | bigint>(
  data: { readonly [index: number]: N },
  out: { [index: number]: N },
  { first, stride, count, exclusive }: Line,
  start: N,
  combine: (a: N, b: N) => N,
): void {
  let acc = start;
  for (let i = 0, at = first; i < count; i++, at += stride) {
    const next = combine(acc, data[at]!);
    out[at] = exclusive ? acc : next;
    acc = next;
  }
}
