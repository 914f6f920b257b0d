/**
 * Operators that choose elements by their values: TopK, Unique, NonZero, Compress, NonMaxSuppression. Most
 * have shapes that depend on data and run on the host; a TopK of few elements is counted out in core
 * operations.
 */
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { dtypes } from "../numerics/dtype.js";
import type { Lane, LaneBuilder } from "../ir/builder.js";
import { type Dim, dimProduct } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { range } from "./helpers.js";
import {
  hostAxis,
  hostOperator,
  hostScalar,
  int64Tensor,
  numbersOf,
  positionsAlong,
  shapeless,
  takeElements,
} from "./host.js";
import { Decline, type EvaluateContext, type LowerContext, type OperatorRecord } from "./record.js";

export const selectionOperators: readonly OperatorRecord[] = [
  {
    name: "TopK",
    domain: "",
    since: 1,
    note: "up to 256 elements, or k = 1, on the accelerator",
    lower: lowerTopK,
    evaluate: evaluateTopK,
    infer: inferTopK,
  },
  hostOperator("NonZero", { since: 9 }, evaluateNonZero, () => shapeless("i64")),
  hostOperator("Unique", { since: 11 }, evaluateUnique, (c) =>
    shapeless(c.input(0).dtype, "i64", "i64", "i64"),
  ),
  {
    name: "Compress",
    domain: "",
    since: 9,
    note: "on the accelerator where the condition is constant",
    lower: (c) => [lowerCompress(c)],
    evaluate: evaluateCompress,
    infer: (c) => shapeless(c.input(0).dtype),
  },
];

/** Above this comparing every pair of elements costs more than a sort on the host. */
const rankedMax = 256;

function topKCount(c: LowerContext): Dim {
  const k = c.int("k") ?? c.knownDims(1, "k")?.[0];
  return k ?? c.invalid("L0108", "k is missing");
}

function inferTopK(c: LowerContext): ReturnType<NonNullable<OperatorRecord["infer"]>> {
  const x = c.input(0);
  const k = c.int("k") ?? c.dims(1)?.[0];
  if (k === undefined) return shapeless(x.dtype, "i64");
  const axis = c.axis(c.int("axis", -1), x.shape.length);
  const shape = x.shape.map((dim, i) => (i === axis ? k : dim));
  return [
    { dtype: x.dtype, shape },
    { dtype: "i64", shape },
  ];
}

function lowerTopK(c: LowerContext): readonly Value[] {
  const x = c.input(0);
  const axis = c.axis(c.int("axis", -1), x.shape.length);
  const k = topKCount(c);
  const extent = x.shape[axis]!;
  const largest = c.int("largest", 1) !== 0;
  if (k === 1 && extent !== 0) {
    const [extreme, position] = largest
      ? (["max", "argmax"] as const)
      : (["min", "argmin"] as const);
    const index = c.b.reduce(x, position, [axis], { keepDims: true });
    return [c.b.reduce(x, extreme, [axis], { keepDims: true }), c.b.cast(index, "i64")];
  }
  if (typeof extent !== "number" || extent > rankedMax) {
    throw new Decline(`a TopK of more than ${rankedMax} elements is sorted on the host`);
  }
  const last = x.shape.length - 1;
  const perm = range(0, last + 1)
    .filter((i) => i !== axis)
    .concat(axis);
  const back = range(0, last + 1).map((i) => perm.indexOf(i));
  const rows = c.b.transpose(x, perm);
  const rank = ranks(c, rows, largest);
  const indices = c.b.broadcast(c.b.iota("i32", [extent], 0), rows.shape);
  return [rows, indices].map((values, output) => {
    const sorted = c.b.scatter(values, rank, values, last, "assign");
    const first = c.b.transpose(c.b.sliceAxis(sorted, last, 0, k), back);
    return output === 1 ? c.b.cast(first, "i64") : first;
  });
}

/** How many elements of its row come before each element; equal ones in order of position. */
export function ranks(c: LowerContext, rows: Value, largest: boolean): Value {
  const last = rows.shape.length - 1;
  const extent = rows.shape[last]!;
  const before = c.b.map(
    "i32",
    [
      c.b.unsqueeze(rows, [last + 1]),
      c.b.unsqueeze(rows, [last]),
      c.b.iota("i32", [extent, 1], 0),
      c.b.iota("i32", [1, extent], 1),
    ],
    (l, own, other, i, j) => {
      const wins = largest ? isAbove(l, other!, own!) : isAbove(l, own!, other!);
      const loses = largest ? isAbove(l, own!, other!) : isAbove(l, other!, own!);
      const isFirst = l.ltI(j!, i!);
      const goesBefore = l.or(wins, l.and(isFirst, l.xor(loses, l.constI(-1))));
      return l.and(goesBefore, l.constI(1));
    },
  );
  return c.b.reduce(before, "sum", [last + 1]);
}

/** a > b in an order of all values, NaN above everything. */
function isAbove(l: LaneBuilder, a: Lane, b: Lane): Lane {
  if (a.type === "i32") return l.ltI(b, a);
  const onlyNaN = l.and(l.eq(b, b), l.xor(l.eq(a, a), l.constI(-1)));
  return l.or(l.lt(b, a), onlyNaN);
}

type Ordered = number | bigint | string;

/** Elements that compare as their values do. */
function orderedElements(x: Tensor): ArrayLike<Ordered> {
  const is64 = x.dtype === "i64" || x.dtype === "u64" || x.dtype === "string";
  return is64 ? (x.data as ArrayLike<Ordered>) : numbersOf(x);
}

function compare(a: Ordered, b: Ordered): number {
  if (a < b) return -1;
  if (a > b) return 1;
  return a === b ? 0 : Number(a !== a) - Number(b !== b);
}

function evaluateTopK(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const axis = hostAxis(c, c.int("axis", -1), x.shape.length);
  const k = c.int("k") ?? hostScalar(c, 1) ?? c.invalid("L0108", "k is missing");
  const extent = x.shape[axis]!;
  if (!(k >= 0 && k <= extent)) {
    return c.invalid("L0201", `k is ${k}, the axis has ${extent} elements`);
  }
  const sign = c.int("largest", 1) !== 0 ? -1 : 1;
  const elements = orderedElements(x);
  const shape = x.shape.with(axis, k);
  const inner = elementCount(x.shape.slice(axis + 1));
  const positions = new Array<number>(elementCount(shape));
  const indices = new Array<number>(positions.length);
  for (const first of positionsAlong(x.shape, axis, 0)) {
    const order = range(0, extent).sort(
      (i, j) => sign * compare(elements[first + i * inner]!, elements[first + j * inner]!) || i - j,
    );
    const outer = Math.floor(first / (inner * extent));
    for (let r = 0; r < k; r++) {
      const at = (outer * k + r) * inner + (first % inner);
      positions[at] = first + order[r]! * inner;
      indices[at] = order[r]!;
    }
  }
  return [takeElements(x, positions, shape), int64Tensor(shape, indices)];
}

/** [rank, count]: the coordinates of each element that is not 0. */
function evaluateNonZero(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const rank = Math.max(1, x.shape.length);
  const shape = x.shape.length === 0 ? [1] : x.shape;
  const found: number[] = [];
  const elements = x.dtype === "string" ? (x.data as string[]) : numbersOf(x);
  for (let i = 0; i < elements.length; i++) {
    if (elements[i] !== 0 && elements[i] !== "") found.push(i);
  }
  const coordinates = range(0, rank).flatMap((axis) => {
    const inner = elementCount(shape.slice(axis + 1));
    return found.map((position) => Math.floor(position / inner) % shape[axis]!);
  });
  return [int64Tensor([rank, found.length], coordinates)];
}

export function evaluateUnique(c: EvaluateContext): readonly (Tensor | undefined)[] {
  const given = c.tensorInput(0);
  const axisAttribute = c.int("axis");
  const x = axisAttribute === undefined ? { ...given, shape: [elementCount(given.shape)] } : given;
  const axis = hostAxis(c, axisAttribute ?? 0, x.shape.length);
  const elements = orderedElements(x);
  const slices = range(0, x.shape[axis]!).map((index) =>
    positionsAlong(x.shape, axis, index).map((position) => elements[position]!),
  );
  const compareSlices = (i: number, j: number): number => {
    for (const [at, element] of slices[i]!.entries()) {
      const order = compare(element, slices[j]![at]!);
      if (order !== 0) return order;
    }
    return 0;
  };
  // A stable sort puts the first occurrence of each slice before its repetitions.
  const sorted = range(0, slices.length).sort(compareSlices);
  const groups: number[][] = [];
  for (const index of sorted) {
    const group = groups.at(-1);
    if (group !== undefined && compareSlices(group[0]!, index) === 0) group.push(index);
    else groups.push([index]);
  }
  if (c.int("sorted", 1) === 0) groups.sort((a, b) => a[0]! - b[0]!);
  const inverse = new Array<number>(slices.length);
  for (const [number, group] of groups.entries()) for (const i of group) inverse[i] = number;
  const firsts = groups.map((group) => group[0]!);
  const counts = groups.map((group) => group.length);
  const vector = (values: number[]): Tensor => int64Tensor([values.length], values);
  return [takeSlices(x, axis, firsts), vector(firsts), vector(inverse), vector(counts)];
}

/** The slices with the given indices along an axis. */
function takeSlices(x: Tensor, axis: number, indices: readonly number[]): Tensor {
  const inner = elementCount(x.shape.slice(axis + 1));
  const outer = elementCount(x.shape.slice(0, axis));
  const positions: number[] = [];
  for (let o = 0; o < outer; o++) {
    for (const index of indices) {
      const start = (o * x.shape[axis]! + index) * inner;
      for (let i = 0; i < inner; i++) positions.push(start + i);
    }
  }
  return takeElements(x, positions, x.shape.with(axis, indices.length));
}

function lowerCompress(c: LowerContext): Value {
  const condition = c.knownTensor(1, "which elements remain");
  const axisAttribute = c.int("axis");
  const x =
    axisAttribute === undefined
      ? c.b.reshape(c.input(0), [dimProduct(c.input(0).shape)])
      : c.input(0);
  if (dtypes[x.dtype].kind === "string") throw new Decline("strings stay on the host");
  const data = Int32Array.from(chosen(condition));
  const indices = c.b.constant({ dtype: "i32", shape: [data.length], data });
  return c.b.gather(x, indices, c.axis(axisAttribute ?? 0, x.shape.length));
}

function chosen(condition: Tensor): readonly number[] {
  const flags = condition.data as Uint8Array;
  return range(0, flags.length).filter((i) => flags[i] !== 0);
}

function evaluateCompress(c: EvaluateContext): readonly Tensor[] {
  const given = c.tensorInput(0);
  const axis = c.int("axis");
  const x = axis === undefined ? { ...given, shape: [elementCount(given.shape)] } : given;
  const along = hostAxis(c, axis ?? 0, x.shape.length);
  const kept = chosen(c.tensorInput(1)).filter((i) => i < x.shape[along]!);
  return [takeSlices(x, along, kept)];
}
