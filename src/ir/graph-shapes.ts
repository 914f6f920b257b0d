/**
 * Shape and type rules of the core operations, over symbolic dims: what the builder infers with and the
 * verifier checks with. A mismatch is L0201 (shapes) or L0202 (types), in plain words; the import adds the
 * place. Dims that are equal only under some bindings ask for a binding ({@link NeedsBinding}).
 */
import { fail, InternalError } from "../support/diagnostic.js";
import { type DType, dtypes } from "../numerics/dtype.js";
import {
  type Dim,
  dimAdd,
  dimEquals,
  dimFloorDiv,
  dimMin,
  dimMax,
  dimMul,
  dimProduct,
  dimSub,
  type DimSymbol,
  dimSymbols,
  dimText,
  NeedsBinding,
} from "./dim.js";
import type { Reduction, Value, WindowAxis } from "./graph.js";

export interface TensorType {
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

/** `[1, 3, W]`. */
export function shapeText(shape: readonly Dim[]): string {
  return `[${shape.map(dimText).join(", ")}]`;
}

/** NumPy's rule over any number of shapes. */
export function broadcastShapes(shapes: readonly (readonly Dim[])[]): Dim[] {
  const rank = Math.max(0, ...shapes.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dim = 1;
    for (const shape of shapes) {
      const dim = shape[axis - rank + shape.length] ?? 1;
      result = broadcastDims(result, dim, shapes);
    }
    return result;
  });
}

function broadcastDims(a: Dim, b: Dim, shapes: readonly (readonly Dim[])[]): Dim {
  if (b === 1 || dimEquals(a, b)) return a;
  if (a === 1) return b;
  const texts = shapes.map(shapeText).join(" and ");
  if (typeof a === "number" && typeof b === "number") {
    return fail("L0201", `the shapes ${texts} cannot be broadcast together: ${a} is not ${b}`);
  }
  throw needsEquality(a, b, `whether the shapes ${texts} can be broadcast together depends on it`);
}

/** `x` broadcasts to `shape` and does not enlarge it. */
export function requireBroadcastable(x: readonly Dim[], shape: readonly Dim[]): void {
  if (x.length > shape.length) {
    fail(
      "L0201",
      `the shape ${shapeText(x)} has too many dims to be broadcast to ${shapeText(shape)}`,
    );
  }
  const lead = shape.length - x.length;
  x.forEach((dim, axis) => {
    if (dim === 1) return;
    const target = shape[lead + axis]!;
    requireEqual(
      dim,
      target,
      `the shape ${shapeText(x)} cannot be broadcast to ${shapeText(shape)}`,
    );
  });
}

/** Equal for every binding; L0201 with `sentence` where they never are. */
export function requireEqual(a: Dim, b: Dim, sentence: string): void {
  if (dimEquals(a, b)) return;
  const difference = dimSub(a, b);
  if (dimMin(difference) > 0 || dimMax(difference) < 0) {
    fail("L0201", `${sentence}: ${dimText(a)} is not ${dimText(b)}`);
  }
  throw needsEquality(a, b, `${sentence} unless ${dimText(a)} equals ${dimText(b)}`);
}

function needsEquality(a: Dim, b: Dim, reason: string): NeedsBinding {
  const { symbols } = needsBinding([a, b], reason);
  return new NeedsBinding(symbols, reason, { equal: [a, b] });
}

export function needsBinding(dims: readonly Dim[], reason: string): NeedsBinding {
  return new NeedsBinding(
    [...symbolsOf(dims)].map((s) => s.name),
    reason,
  );
}

export function symbolsOf(dims: readonly Dim[]): Set<DimSymbol> {
  const symbols = new Set<DimSymbol>();
  for (const dim of dims) dimSymbols(dim, symbols);
  return symbols;
}

export function requireSameElements(from: readonly Dim[], to: readonly Dim[]): void {
  requireEqual(
    dimProduct(from),
    dimProduct(to),
    `${shapeText(from)} cannot be reshaped to ${shapeText(to)}, the numbers of elements differ`,
  );
}

/** A negative axis counted from the end. */
export function resolveAxis(axis: number, rank: number): number {
  const resolved = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || resolved < 0 || resolved >= rank) {
    return fail("L0201", `axis ${axis} does not exist in a tensor of rank ${rank}`);
  }
  return resolved;
}

/** Ascending, each once. */
export function resolveAxes(axes: readonly number[], rank: number): number[] {
  const resolved = axes.map((axis) => resolveAxis(axis, rank)).sort((a, b) => a - b);
  if (new Set(resolved).size !== resolved.length) {
    fail("L0201", `the axes ${axes.join(", ")} name an axis twice`);
  }
  return resolved;
}

function requireSameType(a: TensorType, b: TensorType, what: string): void {
  if (a.dtype !== b.dtype) fail("L0202", `${what} have different types, ${a.dtype} and ${b.dtype}`);
}

/** Type that holds the register that a map's result comes from. */
export function registerOf(dtype: DType): "f32" | "i32" {
  const { kind } = dtypes[dtype];
  if (kind === "string") return fail("L0202", "strings have no elementwise functions");
  return kind === "float" ? "f32" : "i32";
}

export function reduceType(
  x: TensorType,
  reduction: Reduction,
  axes: readonly number[],
): TensorType {
  const { kind } = dtypes[x.dtype];
  const logical = reduction === "and" || reduction === "or";
  if (kind === "string" || logical !== (kind === "bool")) {
    fail("L0202", `${reduction} cannot be taken of ${x.dtype}`);
  }
  const shape = x.shape.filter((_, axis) => !axes.includes(axis));
  const dtype = reduction === "argmax" || reduction === "argmin" ? "i32" : x.dtype;
  return { dtype, shape };
}

export function transposeShape(shape: readonly Dim[], perm: readonly number[]): Dim[] {
  const sorted = [...perm].sort((a, b) => a - b);
  if (perm.length !== shape.length || sorted.some((axis, i) => axis !== i)) {
    fail("L0201", `[${perm.join(", ")}] is not a permutation of the axes of ${shapeText(shape)}`);
  }
  return perm.map((axis) => shape[axis]!);
}

/** Starts and steps stay inside the input for every position. */
export function requireSliceInside(
  shape: readonly Dim[],
  starts: readonly Dim[],
  sizes: readonly Dim[],
  steps: readonly number[],
): void {
  if (
    starts.length !== shape.length ||
    sizes.length !== shape.length ||
    steps.length !== shape.length
  ) {
    throw new InternalError(`a slice of ${shapeText(shape)} needs a start, size and step per axis`);
  }
  shape.forEach((extent, axis) => {
    const [start, size, step] = [starts[axis]!, sizes[axis]!, steps[axis]!];
    if (step === 0) fail("L0201", `the slice of axis ${axis} has step 0`);
    if (size === 0) return;
    const last = dimAdd(start, dimMul(dimSub(size, 1), step));
    const ends = [start, last];
    const outside = ends.some((at) => dimMax(at) < 0 || dimMin(dimSub(at, extent)) >= 0);
    if (dimMin(size) > 0 && outside) {
      const text = `${dimText(size)} elements from ${dimText(start)} in steps of ${step}`;
      fail("L0201", `axis ${axis} of ${shapeText(shape)} does not have ${text}`);
    }
  });
}

export function padShape(
  shape: readonly Dim[],
  low: readonly number[],
  high: readonly number[],
): Dim[] {
  if (low.length !== shape.length || high.length !== shape.length) {
    fail("L0201", `padding of ${low.length} axes for a tensor of rank ${shape.length}`);
  }
  return shape.map((dim, axis) => dimAdd(dim, low[axis]! + high[axis]!));
}

export function windowShape(shape: readonly Dim[], axes: readonly WindowAxis[]): Dim[] {
  const result = [...shape];
  for (const { axis, size, stride, dilation } of axes) {
    const extent = shape[axis];
    if (extent === undefined) fail("L0201", `there is no axis ${axis} in ${shapeText(shape)}`);
    if (!(size >= 1 && stride >= 1 && dilation >= 1)) {
      fail("L0201", `a window of ${size} in steps of ${stride}, dilated by ${dilation}, is empty`);
    }
    const span = (size - 1) * dilation + 1;
    const slack = dimSub(extent, span);
    if (dimMax(slack) < 0) {
      fail("L0201", `a window of ${span} does not fit axis ${axis} of ${shapeText(shape)}`);
    }
    result[axis] = dimAdd(dimFloorDiv(slack, stride), 1);
    result.push(size);
  }
  return result;
}

export function concatType(xs: readonly TensorType[], axis: number): TensorType {
  const [first] = xs;
  if (first === undefined) fail("L0201", "there is nothing to concatenate");
  let along: Dim = 0;
  for (const x of xs) {
    requireSameType(first, x, "the tensors to concatenate");
    const sentence = `${shapeText(first.shape)} and ${shapeText(x.shape)} cannot be concatenated`;
    if (x.shape.length !== first.shape.length) fail("L0201", `${sentence}, their ranks differ`);
    x.shape.forEach((dim, i) => {
      if (i !== axis) requireEqual(first.shape[i]!, dim, sentence);
    });
    along = dimAdd(along, x.shape[axis]!);
  }
  return { dtype: first.dtype, shape: first.shape.map((dim, i) => (i === axis ? along : dim)) };
}

export function gatherType(data: TensorType, indices: TensorType, axis: number): TensorType {
  requireIndexType(indices);
  requireSomewhere(data, indices, axis);
  const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
  return { dtype: data.dtype, shape };
}

function requireIndexType(indices: TensorType): void {
  if (indices.dtype !== "i32" && indices.dtype !== "i64") {
    fail("L0202", `indices must be int32 or int64, not ${indices.dtype}`);
  }
}

/** An index into an axis without elements is out of range whatever it is. */
function requireSomewhere(data: TensorType, indices: TensorType, axis: number): void {
  if (data.shape[axis] !== 0 || dimMin(dimProduct(indices.shape)) <= 0) return;
  fail("L0201", `axis ${axis} of ${shapeText(data.shape)} has no elements to index`);
}

export function requireScatter(
  data: TensorType,
  indices: TensorType,
  updates: TensorType,
  axis: number,
): void {
  requireIndexType(indices);
  requireSomewhere(data, indices, axis);
  requireSameType(data, updates, "the data and the updates");
  const sentence = `updates ${shapeText(updates.shape)} do not match indices ${shapeText(indices.shape)}`;
  const rank = data.shape.length;
  if (indices.shape.length !== rank || updates.shape.length !== rank) {
    fail("L0201", `${sentence} in a tensor of rank ${rank}`);
  }
  indices.shape.forEach((dim, i) => {
    requireEqual(dim, updates.shape[i]!, sentence);
    if (i !== axis && dimMin(dimSub(dim, data.shape[i]!)) > 0) {
      fail("L0201", `indices ${shapeText(indices.shape)} exceed the data ${shapeText(data.shape)}`);
    }
  });
}

export function scanType(x: TensorType, axis: number): TensorType {
  if (axis >= x.shape.length)
    throw new InternalError(`scan over axis ${axis} of ${shapeText(x.shape)}`);
  if (dtypes[x.dtype].kind === "string" || x.dtype === "bool") {
    fail("L0202", `a running value cannot be taken of ${x.dtype}`);
  }
  return { dtype: x.dtype, shape: x.shape };
}

/** A value that core operations may use: its shape is known. */
export function requireKnownShape(x: Value): Value {
  if (x.unknownShape === true) {
    throw new InternalError(
      `the shape of "${x.name}" depends on data, only a host node may use it`,
    );
  }
  return x;
}
