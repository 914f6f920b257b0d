/**
 * Index maps: for a value read inside a group, which element is read at each point of the group's iteration
 * space. Movement operations (reshape, transpose, broadcast, slice, pad, window) are absorbed by composing them
 * into the map; what cannot be composed makes its input a materialised value (see groups.ts).
 *
 * A map has one expression per dim of the value: origin + sum of coefficient * axis.
 */
import { dimAdd, type Dim, dimEquals, dimMax, dimMul } from "../../ir/dim.js";
import type { Node, Value } from "../../ir/graph.js";

/** One axis of a group's iteration space. */
export interface Axis {
  readonly name: string;
  readonly extent: Dim;
}

export interface IndexExpression {
  readonly origin: Dim;
  readonly terms: readonly { readonly axis: number; readonly coefficient: number }[];
  /** Outside [0, limit) the element is the map's fill: the trace of a pad. */
  readonly limit?: Dim;
}

export interface IndexMap {
  readonly expressions: readonly IndexExpression[];
  /** What a clipped position reads as; undefined where nothing is clipped. */
  readonly fill?: number;
}

export const zeroIndex: IndexExpression = { origin: 0, terms: [] };

export function axisIndex(axis: number): IndexExpression {
  return { origin: 0, terms: [{ axis, coefficient: 1 }] };
}

/** The map of an operand of `shape` that NumPy-broadcasts to a result with map `map` and rank `rank`. */
export function broadcastOperand(map: IndexMap, shape: readonly Dim[], rank: number): IndexMap {
  const skip = rank - shape.length;
  const expressions = shape.map((dim, i) => (dim === 1 ? zeroIndex : map.expressions[skip + i]!));
  return { ...map, expressions };
}

/**
 * The map of a movement node's input, given that of its output; undefined where it is not affine or would
 * clip twice. `axes` are the iteration axes (for the extents).
 */
export function throughMovement(
  node: Node,
  map: IndexMap,
  axes: readonly Axis[],
): IndexMap | undefined {
  const input = node.inputs[0]!;
  const output = node.outputs[0]!;
  const { op } = node;
  if (op.kind === "pad") return throughPad(op.low, op.high, op.value, input, map);
  const clipped = map.expressions.some((e) => e.limit !== undefined);
  switch (op.kind) {
    case "transpose": {
      const expressions = new Array<IndexExpression>(op.perm.length);
      op.perm.forEach((from, to) => {
        expressions[from] = map.expressions[to]!;
      });
      return { ...map, expressions };
    }
    case "broadcast":
      if (clipped) return undefined;
      return broadcastOperand(map, input.shape, output.shape.length);
    case "slice": {
      if (clipped) return undefined;
      const expressions = map.expressions.map((e, i) =>
        scaleExpression(e, op.steps[i]!, op.starts[i]!),
      );
      return expressions.some((e) => e === undefined)
        ? undefined
        : { ...map, expressions: expressions as IndexExpression[] };
    }
    case "window": {
      if (clipped) return undefined;
      const rank = input.shape.length;
      const expressions = map.expressions.slice(0, rank);
      for (const [i, window] of op.axes.entries()) {
        const position = scaleExpression(expressions[window.axis]!, window.stride, 0);
        const kernel = scaleExpression(map.expressions[rank + i]!, window.dilation, 0);
        if (position === undefined || kernel === undefined) return undefined;
        expressions[window.axis] = addExpressions(position, kernel);
      }
      return { ...map, expressions };
    }
    case "reshape":
      if (clipped) return undefined;
      return throughReshape(input.shape, output.shape, map, axes);
    default:
      return undefined;
  }
}

export function isMovement(node: Node): boolean {
  return ["reshape", "transpose", "broadcast", "slice", "pad", "window"].includes(node.op.kind);
}

function throughPad(
  low: readonly number[],
  high: readonly number[],
  fill: number,
  input: Value,
  map: IndexMap,
): IndexMap | undefined {
  if (map.fill !== undefined && !Object.is(map.fill, fill)) return undefined;
  const expressions: IndexExpression[] = [];
  for (const [i, e] of map.expressions.entries()) {
    if (low[i] === 0 && high[i] === 0) {
      expressions.push(e);
      continue;
    }
    if (e.limit !== undefined) return undefined;
    expressions.push({
      origin: dimAdd(e.origin, -low[i]!),
      terms: e.terms,
      limit: input.shape[i]!,
    });
  }
  return { expressions, fill };
}

function scaleExpression(e: IndexExpression, by: number, start: Dim): IndexExpression | undefined {
  if (typeof e.origin !== "number" && by !== 1) return undefined;
  return {
    origin: dimAdd(dimMul(e.origin, by), start),
    terms: e.terms.map((t) => ({ axis: t.axis, coefficient: t.coefficient * by })),
  };
}

function addExpressions(a: IndexExpression, b: IndexExpression): IndexExpression {
  const terms = [...a.terms];
  for (const t of b.terms) {
    const at = terms.findIndex((x) => x.axis === t.axis);
    if (at < 0) terms.push(t);
    else terms[at] = { axis: t.axis, coefficient: terms[at]!.coefficient + t.coefficient };
  }
  return { origin: dimAdd(a.origin, b.origin), terms };
}

/** Splits both shapes into the shortest runs of equal product and maps run by run. */
function throughReshape(
  from: readonly Dim[],
  to: readonly Dim[],
  map: IndexMap,
  axes: readonly Axis[],
): IndexMap | undefined {
  const runs = reshapeRuns(from, to);
  if (runs === undefined) return undefined;
  const expressions: IndexExpression[] = from.map(() => zeroIndex);
  for (const run of runs) {
    const digits = mapRun(run, from, to, map, axes);
    if (digits === undefined) return undefined;
    run.from.forEach((dim, i) => {
      expressions[dim] = digits[i]!;
    });
  }
  return { ...map, expressions };
}

export interface ReshapeRun {
  readonly from: readonly number[];
  readonly to: readonly number[];
}

/** Dims of 1 are left out of the runs (their index is 0). Undefined where symbolic dims do not pair up. */
export function reshapeRuns(from: readonly Dim[], to: readonly Dim[]): ReshapeRun[] | undefined {
  const left = [...from.keys()].filter((i) => from[i] !== 1);
  const right = [...to.keys()].filter((i) => to[i] !== 1);
  const runs: ReshapeRun[] = [];
  let i = 0;
  let j = 0;
  while (i < left.length || j < right.length) {
    const runFrom: number[] = [];
    const runTo: number[] = [];
    let productFrom: Dim = 1;
    let productTo: Dim = 1;
    do {
      const shorter = runFrom.length === 0 || dimMax(productFrom) < dimMax(productTo);
      if ((shorter || j >= right.length) && i < left.length) {
        productFrom = dimMul(productFrom, from[left[i]!]!);
        runFrom.push(left[i++]!);
      } else if (j < right.length) {
        productTo = dimMul(productTo, to[right[j]!]!);
        runTo.push(right[j++]!);
      } else return undefined;
    } while (!dimEquals(productFrom, productTo) || runTo.length === 0);
    runs.push({ from: runFrom, to: runTo });
  }
  return runs;
}

function mapRun(
  run: ReshapeRun,
  from: readonly Dim[],
  to: readonly Dim[],
  map: IndexMap,
  axes: readonly Axis[],
): IndexExpression[] | undefined {
  if (run.from.length === 1 && run.to.length === 1) return [map.expressions[run.to[0]!]!];
  let flat: IndexExpression = zeroIndex;
  for (const dim of run.to) {
    const extent = to[dim]!;
    if (typeof extent !== "number" && dim !== run.to[0]) return undefined;
    const scaled = typeof extent === "number" ? scaleExpression(flat, extent, 0) : flat;
    if (scaled === undefined) return undefined;
    flat = addExpressions(scaled, map.expressions[dim]!);
  }
  return splitDigits(
    flat,
    run.from.map((dim) => from[dim]!),
    axes,
  );
}

/** Writes a flat index as digits of the given radices, if every term falls into one digit without carry. */
function splitDigits(
  flat: IndexExpression,
  radices: readonly Dim[],
  axes: readonly Axis[],
): IndexExpression[] | undefined {
  const digits = new Array<IndexExpression>(radices.length);
  let rest = flat;
  for (let i = radices.length - 1; i >= 1; i--) {
    const radix = radices[i]!;
    if (typeof radix !== "number" || typeof rest.origin !== "number") return undefined;
    const inner = rest.terms.filter((t) => t.coefficient % radix !== 0);
    const outer = rest.terms.filter((t) => t.coefficient % radix === 0);
    if (inner.some((t) => t.coefficient < 0)) return undefined;
    const origin = ((rest.origin % radix) + radix) % radix;
    const largest = inner.reduce(
      (sum, t) => sum + t.coefficient * (dimMax(axes[t.axis]!.extent) - 1),
      origin,
    );
    if (largest >= radix) return undefined;
    digits[i] = { origin, terms: inner };
    rest = {
      origin: (rest.origin - origin) / radix,
      terms: outer.map((t) => ({ axis: t.axis, coefficient: t.coefficient / radix })),
    };
  }
  digits[0] = rest;
  return digits;
}

/**
 * The map of a movement node's output, given that of its input, for movements that are bijective: used to carry
 * a contraction's own axes forward to the result of its epilogue. Undefined for all others.
 */
export function forwardMovement(node: Node, map: IndexMap): IndexMap | undefined {
  const from = node.inputs[0]!.shape;
  const to = node.outputs[0]!.shape;
  if (node.op.kind === "transpose") {
    return { expressions: node.op.perm.map((p) => map.expressions[p]!) };
  }
  if (node.op.kind !== "reshape") return undefined;
  const runs = reshapeRuns(from, to);
  if (runs === undefined) return undefined;
  const expressions: IndexExpression[] = to.map(() => zeroIndex);
  for (const run of runs) {
    // Merging dims is affine; splitting one would need division.
    if (run.to.length !== 1) return undefined;
    let flat = zeroIndex;
    for (const dim of run.from) {
      const extent = from[dim]!;
      if (typeof extent !== "number" && dim !== run.from[0]) return undefined;
      const scaled = typeof extent === "number" ? scaleExpression(flat, extent, 0) : flat;
      if (scaled === undefined) return undefined;
      flat = addExpressions(scaled, map.expressions[dim]!);
    }
    expressions[run.to[0]!] = flat;
  }
  return { expressions };
}
