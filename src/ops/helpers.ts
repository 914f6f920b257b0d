/**
 * What most operator records share: records of one line, the type that a composite function computes in,
 * means and masks as lane code. Knows no operator; those are in the family files.
 */
import { dtypeFromOnnx, onnxTypeName } from "../onnx/dtypes.js";
import { type DType, dtypes } from "../numerics/dtype.js";
import type { GraphBuilder, Lane, LaneBuilder } from "../ir/builder.js";
import { type Dim, dimProduct } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { fail } from "../support/diagnostic.js";
import { createLowerContext } from "./context.js";
import { Decline, type LowerContext, type NodeContext, type OperatorRecord } from "./record.js";

export type LaneFunction = (l: LaneBuilder, ...x: Lane[]) => Lane;
/** Opset versions that a record is right for. */
export interface Versions {
  readonly domain?: string;
  readonly since: number;
  readonly until?: number;
  readonly note?: string;
  readonly ranks?: NonNullable<OperatorRecord["ranks"]>;
}

/** A record with one result, from its opset versions (a number: since) and its lowering. */
export function operator(
  name: string,
  versions: number | Versions,
  lower: (c: LowerContext) => Value,
): OperatorRecord {
  return operatorOfMany(name, versions, (c) => [lower(c)]);
}

export function operatorOfMany(
  name: string,
  versions: number | Versions,
  lower: (c: LowerContext) => readonly (Value | undefined)[],
): OperatorRecord {
  const { domain = "", ...rest } = typeof versions === "number" ? { since: versions } : versions;
  return { name, domain, ...rest, lower };
}

/** A float function of one input whose result has the input's type. `body` may read attributes. */
export function unary(
  name: string,
  versions: number | Versions,
  body: (l: LaneBuilder, x: Lane, c: LowerContext) => Lane,
): OperatorRecord {
  return operator(name, versions, (c) => mapLike(c, (l, x) => body(l, x!, c)));
}

/** One map over the first input (or over all given ones), result in the first one's type. */
export function mapLike(c: LowerContext, body: LaneFunction, ...more: Value[]): Value {
  const x = c.input(0);
  return c.b.map(x.dtype, [x, ...more], body);
}

/** |x| of a number of this type: the highest bit of an unsigned one is no sign. */
export function absolute(l: LaneBuilder, x: Lane, dtype: DType): Lane {
  if (x.type !== "i32") return l.abs(x);
  return dtypes[dtype].kind === "uint" ? x : l.maxI(x, l.subI(l.constI(0), x));
}

/** Composite functions compute in f32, or in f64 for f64, and round once at the end. */
export function computeType(dtype: DType): "f32" | "f64" {
  return dtype === "f64" ? "f64" : "f32";
}

/** Declines where the node works on strings, which have no lane registers. */
export function declineStrings(c: LowerContext): void {
  if (c.inputs.some((x) => x?.dtype === "string")) throw new Decline("strings stay on the host");
}

/** The element type that an attribute names by ONNX's number; 0 or absent: undefined. */
export function optionalDtypeAttribute(c: NodeContext, name: string): DType | undefined {
  const code = c.int(name, 0);
  if (code === 0) return undefined;
  return dtypeFromOnnx(code) ?? c.invalid("L0108", `${name} names ${onnxTypeName(code)}`);
}

export function dtypeAttribute(c: NodeContext, name: string): DType {
  return optionalDtypeAttribute(c, name) ?? c.invalid("L0108", `attribute ${name} is missing`);
}

/** An int attribute that has no default. */
export function requiredInt(c: NodeContext, name: string): number {
  return c.int(name) ?? c.invalid("L0108", `attribute ${name} is missing`);
}

/** The node with other values for some of its inputs. */
export function withInputs(
  c: LowerContext,
  replaced: Readonly<Record<number, Value | undefined>>,
): LowerContext {
  const count = Math.max(c.inputs.length, ...Object.keys(replaced).map((i) => Number(i) + 1));
  const inputs = range(0, count).map((i) => (i in replaced ? replaced[i] : c.inputs[i]));
  return createLowerContext(c.node, c.b, inputs);
}

/** All inputs of a variadic operator, one at least. */
export function allInputs(c: LowerContext): readonly Value[] {
  return range(0, Math.max(1, c.inputs.length)).map((i) => c.input(i));
}

/** max(x, low) that lets a NaN in x pass; one instruction on most vector units. */
export function atLeast(l: LaneBuilder, x: Lane, low: Lane): Lane {
  return x.type === "i32" ? l.maxI(x, low) : l.select(l.lt(x, low), low, x);
}

/** min(x, high) that lets a NaN in x pass. */
export function atMost(l: LaneBuilder, x: Lane, high: Lane): Lane {
  return x.type === "i32" ? l.minI(x, high) : l.select(l.lt(high, x), high, x);
}

/** The operand as fp32 (an integer register is converted). */
export function asFloat(l: LaneBuilder, x: Lane): Lane {
  return x.type === "i32" ? l.toF(x) : x;
}

/** A constant in the register type of `like`; L0108 for a fraction where that holds integers. */
export function constLike(l: LaneBuilder, like: Lane, value: number): Lane {
  if (like.type !== "i32") return l.constF(value);
  if (!Number.isInteger(value)) fail("L0108", `integers cannot be combined with ${value}`);
  return l.constI(value);
}

export function selectLike(l: LaneBuilder, mask: Lane, x: Lane, y: Lane): Lane {
  return x.type === "i32" ? l.selectI(mask, x, y) : l.select(mask, x, y);
}

export function lessThan(l: LaneBuilder, x: Lane, y: Lane): Lane {
  return x.type === "i32" ? l.ltI(x, y) : l.lt(x, y);
}

/** How many elements `axes` of x hold, as a value to divide by. */
export function countOf(b: GraphBuilder, x: Value, axes: readonly number[], dtype: DType): Value {
  const count = dimProduct(axes.map((axis) => x.shape[axis]!));
  return typeof count === "number"
    ? b.full(dtype, count)
    : b.cast(b.dims([count], { scalar: true }), dtype);
}

/** Arithmetic mean over `axes`, dims kept, in the type that composite functions compute in. */
export function mean(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const dtype = computeType(x.dtype);
  const wide = x.dtype === dtype ? x : b.cast(x, dtype);
  const sum = b.reduce(wide, "sum", axes, { keepDims: true });
  return b.map(dtype, [sum, countOf(b, x, axes, dtype)], (l, s, n) => l.div(s!, n!));
}

export interface Moments {
  readonly mean: Value;
  /** x - mean. */
  readonly centred: Value;
  /** Population variance, from the centred values: the second pass. */
  readonly variance: Value;
}

export function moments(b: GraphBuilder, x: Value, axes: readonly number[]): Moments {
  const dtype = computeType(x.dtype);
  const average = mean(b, x, axes);
  const centred = b.map(dtype, [x, average], (l, a, m) => l.sub(a!, m!));
  return { mean: average, centred, variance: meanSquare(b, centred, axes) };
}

/** Mean of the squares over `axes`, dims kept. */
export function meanSquare(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const square = b.map(computeType(x.dtype), [x], (l, a) => l.mul(a!, a!));
  return mean(b, square, axes);
}

/** 1 / sqrt(variance + epsilon): computed once per row, so that the rows themselves only multiply. */
export function inverseDeviation(b: GraphBuilder, variance: Value, epsilon: number): Value {
  return b.map(variance.dtype, [variance], (l, v) =>
    l.div(l.constF(1), l.sqrt(l.add(v!, l.constF(epsilon)))),
  );
}

/** A vector laid along `axis` of a tensor of `rank` dims, so that broadcasting repeats it along the others. */
export function alongAxis(b: GraphBuilder, vector: Value, axis: number, rank: number): Value {
  const after = rank - axis - vector.shape.length;
  if (after <= 0) return vector;
  return b.reshape(vector, [...vector.shape, ...new Array<Dim>(after).fill(1)]);
}

export function range(start: number, end: number): number[] {
  return Array.from({ length: Math.max(0, end - start) }, (_, i) => start + i);
}
