/** Core operations in ONNX, one function each. What has no counterpart is a {@link CannotExport} with the reason. */
import { type Dim, dimAdd, dimEquals, dimMul } from "../../ir/dim.js";
import type { Node, Operation, OperationKind, Value } from "../../ir/graph.js";
import type { DType } from "../../numerics/dtype.js";
import { dtypes, isFloat } from "../../numerics/dtype.js";
import { encodeArray } from "../../numerics/convert.js";
import { mapNodes } from "./map-nodes.js";
import { CannotExport, int, int64, ints, type ModelWriter, text } from "./model-writer.js";

/** The first opset in which all that is written here means what it should. */
export const coreOpset = 14;

/** The name of the model's value that the node's result is. */
export function coreNodes(node: Node, w: ModelWriter): string {
  const write = writers[node.op.kind as CoreKind] as Write<CoreKind>;
  return write(node as Node & { readonly op: Extract<Operation, { kind: CoreKind }> }, w);
}

type CoreKind = Exclude<OperationKind, "host">;

type Write<K extends CoreKind> = (
  node: Node & { readonly op: Extract<Operation, { kind: K }> },
  w: ModelWriter,
) => string;

const sliceNodes: Write<"slice"> = ({ op, inputs, outputs }, w) => {
  const ends = op.starts.map((start, axis): Dim => {
    const step = op.steps[axis]!;
    const extent = outputs[0]!.shape[axis]!;
    const past = dimAdd(start, dimMul(extent, step));
    if (step > 0) return past;
    if (typeof past !== "number") throw new CannotExport("a reversed slice of open length");
    // A negative end would count from the back.
    return past < 0 ? -(2 ** 31) : past;
  });
  const axes = w.dims(op.starts.map((_, axis) => axis));
  const [starts, past, steps] = [w.dims(op.starts), w.dims(ends), w.dims(op.steps)];
  return w.add("Slice", [w.nameOf(inputs[0]!), starts, past, axes, steps]);
};

/** A gather by a table of positions per axis; what it appends goes to the end. */
const windowNodes: Write<"window"> = ({ op, inputs, outputs }, w) => {
  let name = w.nameOf(inputs[0]!);
  let rank = inputs[0]!.shape.length;
  for (const { axis, size, stride, dilation } of op.axes) {
    const count = outputs[0]!.shape[axis]!;
    if (typeof count !== "number") throw new CannotExport("a window over an open dim");
    const { data } = int64(
      Array.from({ length: count * size }, (_, i) => {
        return Math.floor(i / size) * stride + (i % size) * dilation;
      }),
    );
    const table = w.constant({ dtype: "i64", shape: [count, size], data });
    const gathered = w.add("Gather", [name, table], { axis: int(axis) });
    const order = Array.from({ length: rank + 1 }, (_, i) => i);
    const perm = [...order.filter((i) => i !== axis + 1), axis + 1];
    name = w.add("Transpose", [gathered], { perm: ints(perm) });
    rank++;
  }
  return name;
};

const iotaNodes: Write<"iota"> = ({ op, outputs }, w) => {
  const { shape, dtype } = outputs[0]!;
  const scalar = (value: number): string =>
    w.constant({ dtype: "i64", shape: [], data: BigInt64Array.of(BigInt(value)) });
  const extent = w.add("Reshape", [w.dims([shape[op.axis]!]), w.dims([])]);
  const counted = w.add("Range", [scalar(0), extent, scalar(1)]);
  const line = shape.map((_, axis) => (axis === op.axis ? -1 : 1));
  const placed = w.add("Reshape", [counted, w.dims(line)]);
  return w.cast(w.add("Expand", [placed, w.dims(shape)]), "i64", dtype);
};

const reductions = { sum: "Sum", seqsum: "Sum", prod: "Prod", max: "Max", min: "Min" } as const;

const reduceNodes: Write<"reduce"> = ({ op, inputs, outputs }, w) => {
  const [x] = inputs;
  const { dtype } = outputs[0]!;
  const { reduction } = op;
  if (reduction === "argmax" || reduction === "argmin")
    throw new CannotExport("the place of an extreme, where NaN counts as one");
  // Of masks: all is the least of 0 and 1, any the greatest.
  const kind = reduction === "and" ? "min" : reduction === "or" ? "max" : reduction;
  const wide = widened(x!.dtype);
  const name = w.cast(w.nameOf(x!), x!.dtype, wide);
  // Without axes ONNX would reduce them all.
  if (op.axes.length === 0) return w.cast(name, wide, dtype);
  if (kind === "prod" && wide === "i64") throw new CannotExport("products of int64, which wrap");
  const reduced = (input: string): string =>
    reduceNode(`Reduce${reductions[kind]}`, input, op.axes, w);
  const result = reduced(name);
  const isExtreme = kind === "max" || kind === "min";
  if (!isExtreme || !isFloat(wide)) return w.cast(result, wide, dtype);
  // Among NaN runtimes pick as they like: here one wins.
  const isNumber = w.cast(w.add("Equal", [name, name]), "bool", "i32");
  const areNumbers = w.cast(reduceNode("ReduceMin", isNumber, op.axes, w), "i32", "bool");
  const nan = w.constant({ dtype: wide, shape: [], data: encodeArray(wide, [NaN]) });
  return w.cast(w.add("Where", [areNumbers, result, nan]), wide, dtype);
};

function reduceNode(operator: string, name: string, axes: readonly number[], w: ModelWriter) {
  const keep = { keepdims: int(0) };
  const takesInput = w.opset >= 18 || operator === "ReduceSum";
  return takesInput
    ? w.add(operator, [name, w.dims(axes)], keep)
    : w.add(operator, [name], { ...keep, axes: ints(axes) });
}

/** Bodies of core operations run here: what is worth another runtime in them was cut out as a region of its own. */
function declineControlFlow(): never {
  throw new CannotExport("control flow");
}

/** What ONNX reduces and multiplies in: narrow types would be rounded, or wrap, on the way. */
function widened(dtype: DType): DType {
  if (dtype === "u64") throw new CannotExport("64-bit unsigned integers");
  if (dtypes[dtype].kind === "string") throw new CannotExport("arithmetic of strings");
  if (isFloat(dtype)) return dtype === "f64" ? "f64" : "f32";
  return dtype === "i64" || dtype === "u32" ? "i64" : "i32";
}

const contractNodes: Write<"contract"> = ({ op, inputs, outputs }, w) => {
  const { dtype } = outputs[0]!;
  const [a, b, zeroA, zeroB] = inputs as readonly (Value | undefined)[];
  const operand = (value: Value, zero: Value | undefined, labels: string): string => {
    const name = w.cast(w.nameOf(value), value.dtype, dtype);
    if (zero === undefined) return name;
    const point = w.cast(w.nameOf(zero), zero.dtype, dtype);
    return w.add("Sub", [name, w.add("Reshape", [point, w.dims(line(zero, value, labels, op))])]);
  };
  const left = operand(a!, zeroA, op.a);
  const right = operand(b!, zeroB, op.b);
  return w.add("Einsum", [left, right], { equation: text(`${op.a},${op.b}->${op.out}`) });
};

/** The shape of a zero point beside its operand: a scalar, or along the only label that is not contracted. */
function line(
  zero: Value,
  value: Value,
  labels: string,
  { order }: { readonly order: string },
): number[] {
  const isLong = zero.shape.length === 1 && !dimEquals(zero.shape[0]!, 1);
  return value.shape.map((_, axis) => (isLong && !order.includes(labels[axis]!) ? -1 : 1));
}

const writers: { readonly [K in CoreKind]: Write<K> } = {
  map: mapNodes,
  reshape: ({ inputs, outputs }, w) =>
    w.add("Reshape", [w.nameOf(inputs[0]!), w.dims(outputs[0]!.shape)], { allowzero: int(1) }),
  transpose: ({ op, inputs }, w) =>
    w.add("Transpose", [w.nameOf(inputs[0]!)], { perm: ints(op.perm) }),
  broadcast: ({ inputs, outputs }, w) =>
    w.add("Expand", [w.nameOf(inputs[0]!), w.dims(outputs[0]!.shape)]),
  slice: sliceNodes,
  pad: ({ op, inputs }, w) => {
    const { dtype } = inputs[0]!;
    const value = w.constant({ dtype, shape: [], data: encodeArray(dtype, [op.value]) });
    return w.add("Pad", [w.nameOf(inputs[0]!), w.dims([...op.low, ...op.high]), value], {
      mode: text("constant"),
    });
  },
  window: windowNodes,
  concat: ({ op, inputs }, w) =>
    w.add(
      "Concat",
      inputs.map((value) => w.nameOf(value)),
      { axis: int(op.axis) },
    ),
  iota: iotaNodes,
  reduce: reduceNodes,
  contract: contractNodes,
  if: () => declineControlFlow(),
  loop: () => declineControlFlow(),
  gather: ({ op, inputs }, w) =>
    w.add(
      "Gather",
      inputs.map((value) => w.nameOf(value)),
      { axis: int(op.axis) },
    ),
  scatter: ({ op, inputs }, w) => {
    if (op.combine !== "assign" && w.opset < 18)
      throw new CannotExport("scatter with a combination before opset 18");
    const isExtreme = op.combine === "min" || op.combine === "max";
    if (isExtreme && isFloat(inputs[0]!.dtype))
      throw new CannotExport(`scatter with ${op.combine}, where NaN wins`);
    const combine = op.combine === "assign" ? {} : { reduction: text(op.combine) };
    return w.add(
      "ScatterElements",
      inputs.map((value) => w.nameOf(value)),
      { axis: int(op.axis), ...combine },
    );
  },
  scan: ({ op, inputs }, w) => {
    if (op.combine !== "sum") throw new CannotExport(`a running ${op.combine}`);
    const [x] = inputs;
    const wide = widened(x!.dtype);
    const axis = w.constant({ dtype: "i64", shape: [], data: BigInt64Array.of(BigInt(op.axis)) });
    const flags = { exclusive: int(op.exclusive ? 1 : 0), reverse: int(op.reverse ? 1 : 0) };
    const result = w.add("CumSum", [w.cast(w.nameOf(x!), x!.dtype, wide), axis], flags);
    return w.cast(result, wide, x!.dtype);
  },
};
