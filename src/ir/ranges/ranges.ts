/**
 * Which numbers the elements of each value of a graph can be, by interval analysis: what proves that int64 data
 * fits int32. NaN is left out; integers are what is stored, after wrapping. Bodies of control flow are taken for
 * whatever they may be given.
 */
import { decodeElement } from "../../numerics/convert.js";
import { type DType, dtypes } from "../../numerics/dtype.js";
import { decodeFloat, encodeFloat, isSmallFloat } from "../../numerics/float-formats.js";
import type { Tensor } from "../../numerics/tensor.js";
import { type BodyRanges, controlRanges } from "./control-ranges.js";
import { type Dim, dimMax, dimMin, dimProduct } from "../dim.js";
import {
  type ContractOperation,
  type Graph,
  isControl,
  type MapOperation,
  type Node,
  type ReduceOperation,
  type ScanOperation,
  type Value,
} from "../graph.js";
import {
  difference,
  everything,
  interval,
  type Interval,
  product,
  sum,
  union,
  within,
} from "./intervals.js";
import { mapRegisterRanges, typeRange } from "./map-ranges.js";
import { offsetsOf } from "./offsets.js";
import { InternalError } from "../../support/diagnostic.js";

export type Ranges = ReadonlyMap<Value, Interval>;

/** `inputs` gives what is known of a graph's inputs beyond their types. */
export function valueRanges(
  graph: Graph,
  inputs: (input: Value) => Interval | undefined = () => undefined,
): Ranges {
  const ranges = new Map<Value, Interval>();
  for (const input of graph.inputs) ranges.set(input, inputs(input) ?? typeRange(input.dtype));
  addRanges(graph, ranges, 0);
  return ranges;
}

/** Of all that a graph computes from its inputs, in its bodies too; gives the ranges of its outputs. */
function addRanges(graph: Graph, ranges: Map<Value, Interval>, depth: number): readonly Interval[] {
  const rangeOf = (value: Value): Interval => {
    const range = ranges.get(value) ?? ownRange(value);
    ranges.set(value, range);
    return range;
  };
  const bodies: BodyRanges = {
    depth,
    stored,
    run(body, given) {
      body.inputs.forEach((input, i) => ranges.set(input, stored(given[i]!, input.dtype)));
      return addRanges(body, ranges, depth + 1);
    },
    offsets: (body) => offsetsOf(body, ranges),
  };
  for (const node of graph.nodes) {
    const { op, outputs } = node;
    const operands = node.inputs.map(rangeOf);
    const results = isControl(op) ? controlRanges(op, operands, bodies) : undefined;
    outputs.forEach((output, i) => {
      ranges.set(output, stored(results?.[i] ?? resultRange(node, operands), output.dtype));
    });
  }
  return graph.outputs.map(({ value }) => rangeOf(value));
}

/** What remains of a computed range in storage: an integer that does not fit wraps to anything. */
function stored(range: Interval, dtype: DType): Interval {
  if (isSmallFloat(dtype)) {
    const round = (x: number) => decodeFloat(dtype, encodeFloat(dtype, x));
    const [low, high] = [round(range.low), round(range.high)];
    return Number.isNaN(low) || Number.isNaN(high) ? everything : interval(low, high);
  }
  if (dtype === "bool") return interval(0, 1);
  const limits = typeRange(dtype);
  return within(range, limits) ? range : limits;
}

function ownRange({ name, data, dims }: Value): Interval {
  if (dims !== undefined) return dims.map(dimRange).reduce(union, interval(0, 0));
  return data === undefined ? unknownValue(name) : tensorRange(data);
}

function unknownValue(name: string): never {
  throw new InternalError(`"${name}" is used before it is produced`);
}

function dimRange(dim: Dim): Interval {
  return interval(dimMin(dim), dimMax(dim));
}

/** Constants do not change, and may be large. */
const tensorRanges = new WeakMap<Tensor, Interval>();

function tensorRange(tensor: Tensor): Interval {
  const known = tensorRanges.get(tensor) ?? scanned(tensor);
  tensorRanges.set(tensor, known);
  return known;
}

function scanned({ dtype, data }: Tensor): Interval {
  if (dtype === "string" || data.length === 0) return interval(0, 0);
  const numbers = data instanceof Float32Array || data instanceof Int32Array;
  let low = Infinity;
  let high = -Infinity;
  for (let i = 0; i < data.length; i++) {
    const x = numbers ? data[i]! : decodeElement(dtype, data, i);
    if (x < low) low = x;
    if (x > high) high = x;
  }
  return low > high ? everything : interval(low, high);
}

/** Of the results of a node before they are stored, where they may wrap; of control flow nothing is known here. */
export function resultRange(
  { op, inputs, outputs }: Node,
  operands: readonly Interval[],
): Interval {
  const [x, , z] = operands as readonly [Interval, Interval, Interval];
  switch (op.kind) {
    case "iota":
      return interval(0, Math.max(0, dimMax(outputs[0]!.shape[op.axis]!) - 1));
    case "reshape":
    case "transpose":
    case "broadcast":
    case "slice":
    case "window":
    case "gather":
      return x;
    case "pad":
      return union(x, interval(op.value, op.value));
    case "concat":
      return operands.reduce(union);
    case "map":
      return mapRange(op, inputs, outputs[0]!, operands);
    case "reduce":
      return reduceRange(op, inputs[0]!, x);
    case "contract":
      return contractRange(op, inputs, operands);
    case "scatter":
      return scatterRange(op, inputs[2]!, x, z);
    case "scan":
      return scanRange(op, inputs[0]!, x);
    case "if":
    case "loop":
    case "host":
      return everything;
    default:
      return op satisfies never;
  }
}

function mapRange(
  op: MapOperation,
  inputs: readonly Value[],
  output: Value,
  operands: readonly Interval[],
): Interval {
  return mapRegisterRanges(op, inputs, output, operands)[op.program.results[0]!]!;
}

/** Relative room for the rounding of floating sums, and the counts for which it suffices. */
const sumRoom = 1.01;
const sumCountMax = 2 ** 16;

/** Sums of at least `fewest` and at most `most` elements of a range. */
function sumRange(x: Interval, fewest: number, most: number, dtype: DType): Interval {
  const total = union(product(x, interval(fewest, fewest)), product(x, interval(most, most)));
  if (dtypes[dtype].kind !== "float") return total;
  return most > sumCountMax ? everything : product(total, interval(1 / sumRoom, sumRoom));
}

function productRange(x: Interval, most: number): Interval {
  const size = Math.max(Math.abs(x.low), Math.abs(x.high), 1) ** most * sumRoom;
  return interval(x.low >= 0 ? 0 : -size, size);
}

function reduceRange(op: ReduceOperation, input: Value, x: Interval): Interval {
  const { dtype } = input;
  const count = dimProduct(op.axes.map((axis) => input.shape[axis]!));
  const [fewest, most] = [dimMin(count), dimMax(count)];
  switch (op.reduction) {
    case "sum":
    case "seqsum":
      return sumRange(x, fewest, most, dtype);
    case "prod":
      return productRange(x, most);
    case "max":
    case "min":
      return fewest > 0 ? x : typeRange(dtype);
    case "and":
    case "or":
      return interval(0, 1);
    case "argmax":
    case "argmin":
      return interval(0, Math.max(0, most - 1));
    default:
      return op.reduction satisfies never;
  }
}

function scanRange(op: ScanOperation, input: Value, x: Interval): Interval {
  const most = dimMax(input.shape[op.axis]!);
  switch (op.combine) {
    case "sum":
      return sumRange(x, op.exclusive ? 0 : Math.min(1, most), most, input.dtype);
    case "prod":
      return productRange(x, most);
    case "max":
    case "min":
      return op.exclusive ? typeRange(input.dtype) : x;
    default:
      return op.combine satisfies never;
  }
}

function contractRange(
  op: ContractOperation,
  inputs: readonly Value[],
  operands: readonly Interval[],
): Interval {
  const [a, b, zeroA, zeroB] = operands as readonly [Interval, Interval, Interval?, Interval?];
  if (dtypes[inputs[0]!.dtype].kind === "float") return everything;
  const left = zeroA === undefined ? a : difference(a, zeroA);
  const right = zeroB === undefined ? b : difference(b, zeroB);
  const count = dimProduct([...op.order].map((label) => inputs[0]!.shape[op.a.indexOf(label)]!));
  return sumRange(product(left, right), dimMin(count), dimMax(count), "i64");
}

function scatterRange(
  { combine }: { readonly combine: "assign" | "add" | "mul" | "min" | "max" },
  updates: Value,
  x: Interval,
  z: Interval,
): Interval {
  if (combine === "mul") return everything;
  if (combine !== "add") return union(x, z);
  const most = dimMax(dimProduct(updates.shape));
  const added = sumRange(z, 0, most, updates.dtype);
  return sum(x, added);
}
