/**
 * What the builder makes of operations that only move elements. A chain of the same operation is one operation, what
 * moves nothing is its operand, and a value all of whose elements are equal is repeated in its new shape.
 */
import { encodeArray } from "../../numerics/convert.js";
import type { DType } from "../../numerics/dtype.js";
import { fail } from "../../support/diagnostic.js";
import { type Dim, dimAdd, dimEquals, dimMul } from "../dim.js";
import type { GraphAssembly } from "./assembly.js";
import * as shapes from "../graph-shapes.js";
import type { Value, WindowAxis } from "../graph.js";

export function reshape(graph: GraphAssembly, x: Value, shape: readonly Dim[]): Value {
  if (sameShape(shapes.requireKnownShape(x).shape, shape)) return x;
  shapes.requireSameElements(x.shape, shape);
  const uniform = graph.uniform(x);
  if (uniform !== undefined && uniform !== x) return broadcast(graph, uniform, shape);
  const before = graph.producer(x);
  if (before?.op.kind === "reshape") return reshape(graph, before.inputs[0]!, shape);
  return graph.emit({ kind: "reshape" }, [x], x.dtype, shape);
}

export function transpose(graph: GraphAssembly, x: Value, perm: readonly number[]): Value {
  const shape = shapes.transposeShape(shapes.requireKnownShape(x).shape, perm);
  if (perm.every((axis, i) => axis === i)) return x;
  const uniform = graph.uniform(x);
  if (uniform !== undefined) return broadcast(graph, uniform, shape);
  const before = graph.producer(x);
  if (before?.op.kind === "transpose") {
    const { perm: first } = before.op;
    return transpose(
      graph,
      before.inputs[0]!,
      perm.map((axis) => first[axis]!),
    );
  }
  return graph.emit({ kind: "transpose", perm }, [x], x.dtype, shape);
}

export function broadcast(graph: GraphAssembly, x: Value, shape: readonly Dim[]): Value {
  shapes.requireBroadcastable(shapes.requireKnownShape(x).shape, shape);
  const lead = shape.length - x.shape.length;
  const aligned = reshape(graph, x, [...new Array<number>(lead).fill(1), ...x.shape]);
  if (sameShape(aligned.shape, shape)) return aligned;
  const before = graph.producer(aligned);
  if (before?.op.kind === "broadcast") return broadcast(graph, before.inputs[0]!, shape);
  return graph.emit({ kind: "broadcast" }, [aligned], x.dtype, shape);
}

export function slice(
  graph: GraphAssembly,
  x: Value,
  starts: readonly Dim[],
  sizes: readonly Dim[],
  steps: readonly number[] = starts.map(() => 1),
): Value {
  shapes.requireSliceInside(shapes.requireKnownShape(x).shape, starts, sizes, steps);
  const whole = sizes.every((size, a) => dimEquals(size, x.shape[a]!) && starts[a] === 0);
  const forward = steps.map((step, a) => (sizes[a] === 1 || sizes[a] === 0 ? 1 : step));
  const from = starts.map((start, a) => (sizes[a] === 0 ? 0 : start));
  if (whole && forward.every((step) => step === 1)) return x;
  const uniform = graph.uniform(x);
  if (uniform !== undefined) return broadcast(graph, uniform, sizes);
  const before = graph.producer(x);
  if (before?.op.kind === "slice") {
    const { starts: first, steps: stride } = before.op;
    return slice(
      graph,
      before.inputs[0]!,
      from.map((start, a) => dimAdd(first[a]!, dimMul(start, stride[a]!))),
      sizes,
      forward.map((step, a) => step * stride[a]!),
    );
  }
  return graph.emit({ kind: "slice", starts: from, steps: forward }, [x], x.dtype, sizes);
}

export function sliceAxis(
  graph: GraphAssembly,
  x: Value,
  axis: number,
  start: Dim,
  size: Dim,
  step = 1,
): Value {
  const at = shapes.resolveAxis(axis, shapes.requireKnownShape(x).shape.length);
  return slice(
    graph,
    x,
    x.shape.map((_, a) => (a === at ? start : 0)),
    x.shape.map((dim, a) => (a === at ? size : dim)),
    x.shape.map((_, a) => (a === at ? step : 1)),
  );
}

export function pad(
  graph: GraphAssembly,
  x: Value,
  low: readonly number[],
  high: readonly number[],
  value: number,
): Value {
  const shape = shapes.padShape(shapes.requireKnownShape(x).shape, low, high);
  if (low.some((n) => n < 0) || high.some((n) => n < 0)) {
    const cut = (n: number) => Math.min(n, 0);
    const kept = shapes.padShape(x.shape, low.map(cut), high.map(cut));
    const inner = slice(
      graph,
      x,
      low.map((n) => -cut(n)),
      kept,
    );
    const add = (n: number) => Math.max(n, 0);
    return pad(graph, inner, low.map(add), high.map(add), value);
  }
  if (sameShape(shape, x.shape)) return x;
  if (x.shape.includes(0)) return full(graph, x.dtype, value, shape);
  return graph.emit({ kind: "pad", low, high, value }, [x], x.dtype, shape);
}

export function window(graph: GraphAssembly, x: Value, axes: readonly WindowAxis[]): Value {
  const shape = shapes.windowShape(shapes.requireKnownShape(x).shape, axes);
  const trivial = axes.every(({ size, stride }) => size === 1 && stride === 1);
  if (trivial) return reshape(graph, x, shape);
  return graph.emit({ kind: "window", axes }, [x], x.dtype, shape);
}

export function concat(graph: GraphAssembly, xs: readonly Value[], axis: number): Value {
  const [first] = xs;
  if (first === undefined) fail("L0201", "there is nothing to concatenate");
  for (const x of xs) shapes.requireKnownShape(x);
  const at = shapes.resolveAxis(axis, first.shape.length);
  const { dtype, shape } = shapes.concatType(xs, at);
  const parts = xs.filter((x) => x.shape[at] !== 0);
  if (parts.length <= 1) return parts[0] ?? first;
  return graph.emit({ kind: "concat", axis: at }, parts, dtype, shape);
}

export function unsqueeze(graph: GraphAssembly, x: Value, axes: readonly number[]): Value {
  const rank = shapes.requireKnownShape(x).shape.length + axes.length;
  const resolved = shapes.resolveAxes(axes, rank);
  const rest = [...x.shape];
  const shape = Array.from({ length: rank }, (_, a) => (resolved.includes(a) ? 1 : rest.shift()!));
  return reshape(graph, x, shape);
}

export function squeeze(graph: GraphAssembly, x: Value, axes: readonly number[]): Value {
  const resolved = shapes.resolveAxes(axes, shapes.requireKnownShape(x).shape.length);
  for (const axis of resolved) {
    shapes.requireEqual(
      x.shape[axis]!,
      1,
      `axis ${axis} of ${shapes.shapeText(x.shape)} cannot be squeezed`,
    );
  }
  return reshape(
    graph,
    x,
    x.shape.filter((_, axis) => !resolved.includes(axis)),
  );
}

/** The value as often as `shape` asks. */
export function full(
  graph: GraphAssembly,
  dtype: DType,
  value: number,
  shape: readonly Dim[],
): Value {
  const scalar = graph.constant({ dtype, shape: [], data: encodeArray(dtype, [value]) });
  return broadcast(graph, scalar, shape);
}

function sameShape(a: readonly Dim[], b: readonly Dim[]): boolean {
  return a.length === b.length && a.every((dim, axis) => dimEquals(dim, b[axis]!));
}
