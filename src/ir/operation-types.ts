/**
 * Type of an operation's result from its inputs, attributes and declared shape, with every rule of `graph.ts`
 * checked: throws where one is broken. The verifier's half of the shape rules; the builder has the other.
 */
import { type LaneProgram, laneOps, type RegisterType } from "../numerics/lane.js";
import { InternalError } from "../support/diagnostic.js";
import { contractType } from "./contract-types.js";
import { type Dim, dimEquals } from "./dim.js";
import * as shapes from "./graph-shapes.js";
import type { TensorType } from "./graph-shapes.js";
import { type ControlOperation, type HostOperation, isControl, type Operation } from "./graph.js";

/** Inputs that an operation takes, at least and at most. */
const arities: { readonly [K in PlainOperation["kind"]]: readonly [number, number] } = {
  iota: [0, 0],
  reshape: [1, 1],
  transpose: [1, 1],
  broadcast: [1, 1],
  slice: [1, 1],
  pad: [1, 1],
  window: [1, 1],
  concat: [1, Infinity],
  map: [0, Infinity],
  reduce: [1, 1],
  contract: [2, 4],
  gather: [2, 2],
  scatter: [3, 3],
  scan: [1, 1],
};

/** Operations with one result that follows from their operands: the others have rules of their own. */
export type PlainOperation = Exclude<Operation, HostOperation | ControlOperation>;

export function isPlain(op: Operation): op is PlainOperation {
  return op.kind !== "host" && !isControl(op);
}

export function operationType(
  op: PlainOperation,
  inputs: readonly TensorType[],
  declared: TensorType,
): TensorType {
  const [least, most] = arities[op.kind];
  if (
    inputs.length < least ||
    inputs.length > most ||
    (inputs.length === 3 && op.kind === "contract")
  ) {
    throw new InternalError(`${op.kind} cannot take ${inputs.length} inputs`);
  }
  const x = inputs[0]!;
  switch (op.kind) {
    case "iota":
      requireAxis(op.axis, declared.shape);
      if (declared.dtype !== "i32" && declared.dtype !== "i64") broken("iota counts in i32 or i64");
      return declared;
    case "reshape":
      shapes.requireSameElements(x.shape, declared.shape);
      return { dtype: x.dtype, shape: declared.shape };
    case "transpose":
      return { dtype: x.dtype, shape: shapes.transposeShape(x.shape, op.perm) };
    case "broadcast":
      requireRank(x.shape, declared.shape.length);
      shapes.requireBroadcastable(x.shape, declared.shape);
      return { dtype: x.dtype, shape: declared.shape };
    case "slice":
      requireRank(x.shape, declared.shape.length);
      shapes.requireSliceInside(x.shape, op.starts, declared.shape, op.steps);
      return { dtype: x.dtype, shape: declared.shape };
    case "pad":
      if ([...op.low, ...op.high].some((n) => !(n >= 0))) broken("padding is never negative");
      return { dtype: x.dtype, shape: shapes.padShape(x.shape, op.low, op.high) };
    case "window":
      requireWindows(op.axes, x.shape);
      return { dtype: x.dtype, shape: shapes.windowShape(x.shape, op.axes) };
    case "concat":
      requireAxis(op.axis, x.shape);
      return shapes.concatType(inputs, op.axis);
    case "map":
      requireMapProgram(op.program, inputs, declared);
      return { dtype: declared.dtype, shape: shapes.broadcastShapes(inputs.map((v) => v.shape)) };
    case "reduce":
      requireAscending(op.axes, x.shape);
      return shapes.reduceType(x, op.reduction, op.axes);
    case "contract":
      return contractType(inputs, op);
    case "gather":
      requireAxis(op.axis, x.shape);
      return shapes.gatherType(x, inputs[1]!, op.axis);
    case "scatter":
      requireAxis(op.axis, x.shape);
      shapes.requireScatter(x, inputs[1]!, inputs[2]!, op.axis);
      return x;
    case "scan":
      requireAxis(op.axis, x.shape);
      return shapes.scanType(x, op.axis);
    default:
      return op satisfies never;
  }
}

export function sameType(a: TensorType, b: TensorType): boolean {
  return (
    a.dtype === b.dtype &&
    a.shape.length === b.shape.length &&
    a.shape.every((dim, axis) => dimEquals(dim, b.shape[axis]!))
  );
}

function broken(rule: string): never {
  throw new InternalError(rule);
}

function requireAxis(axis: number, shape: readonly Dim[]): void {
  if (!Number.isInteger(axis) || axis < 0 || axis >= shape.length) {
    broken(`axis ${axis} does not exist in ${shapes.shapeText(shape)}`);
  }
}

function requireAscending(axes: readonly number[], shape: readonly Dim[]): void {
  for (const axis of axes) requireAxis(axis, shape);
  if (axes.some((axis, i) => i > 0 && axis <= axes[i - 1]!)) broken("axes ascend");
}

function requireRank(shape: readonly Dim[], rank: number): void {
  if (shape.length !== rank) broken(`${shapes.shapeText(shape)} does not have rank ${rank}`);
}

function requireWindows(
  axes: readonly { axis: number; size: number; stride: number; dilation: number }[],
  shape: readonly Dim[],
): void {
  for (const { axis, size, stride, dilation } of axes) {
    requireAxis(axis, shape);
    if ([size, stride, dilation].some((n) => !Number.isInteger(n) || n < 1)) {
      broken("a window's size, stride and dilation are at least 1");
    }
  }
  if (new Set(axes.map((entry) => entry.axis)).size !== axes.length) broken("one window per axis");
}

/** SSA, types of registers, every operand used, one result of the right register type. */
function requireMapProgram(
  { instructions, results }: LaneProgram,
  inputs: readonly TensorType[],
  result: TensorType,
): void {
  const used = new Set<number>();
  instructions.forEach(({ op, args, imm, type }, at) => {
    const row = laneOps[op];
    if (op === "input") {
      const operand = inputs[imm ?? -1];
      if (operand === undefined) return broken(`the map has no input ${imm}`);
      used.add(imm!);
      if (shapes.registerOf(operand.dtype) !== type) broken(`input ${imm} is no ${type}`);
    } else if (op === "index" || op === "scalar" || op === "carry" || op === "lookup") {
      broken(`a map cannot use ${op}`);
    } else if (row.result !== type) broken(`${op} gives no ${type}`);
    const wanted: readonly RegisterType[] = row.args;
    const given = args.map((arg) => (arg < at ? instructions[arg]?.type : undefined));
    if (given.length !== wanted.length || given.some((t, i) => t !== wanted[i])) {
      broken(`instruction ${at} of the map, ${op}, has wrong operands`);
    }
  });
  if (used.size !== inputs.length) broken("the map does not read all of its inputs");
  const register = results.length === 1 ? instructions[results[0]!]?.type : undefined;
  if (register !== shapes.registerOf(result.dtype)) {
    broken(`the map's result is no single register for ${result.dtype}`);
  }
}
