/**
 * uint32, which the device lacks, is carried in int32 registers and memory that hold the same bits: exactly, for
 * all numbers. What reads such bits as numbers (comparisons, quotients, conversions to floats) is written in
 * signed arithmetic; an extreme is taken of numbers whose sign bits are flipped.
 *
 *   q: u32 = map(x, y)   ->   x': i32 = map(x); y': i32 = map(y); q': i32 = map(x', y'); q: u32 = map(q')
 *
 * The maps between the two types move no bit. Between carried nodes none is left, and `convert-at-borders` takes away
 * those at inputs and outputs. What takes part in 64-bit arithmetic as well is left as it is.
 */
import { convertData } from "../../numerics/convert.js";
import { deviceDTypes, type DType } from "../../numerics/dtype.js";
import { type Lane, type LaneBuilder, laneProgramBuilder } from "../../numerics/lanes.js";
import { flipSign } from "../../numerics/unsigned-lanes.js";
import type { Graph, MapOperation, Node, Operation, Value } from "../../ir/graph.js";
import { interval, type Interval } from "../../ir/ranges/intervals.js";
import { lowWords } from "../../ir/ranges/low-words.js";
import { isPlain } from "../../ir/operation-types.js";
import { typeRange } from "../../ir/ranges/map-ranges.js";
import { NodeSequence, type Replacement, rewriteNodes } from "./rewrite.js";

export function carryUnsigned(graph: Graph): Graph {
  const carried = new Map<Value, Value>();
  return rewriteNodes(graph, (node) => carryNode(node, carried));
}

/** `carried`: int32 values with the bits of uint32 ones. */
function carryNode(node: Node, carried: Map<Value, Value>): Replacement | undefined {
  const { inputs, outputs } = node;
  const [output] = outputs as [Value];
  if (![...inputs, output].some(isUnsigned)) return undefined;
  if (![...inputs, ...outputs].every((value) => isUnsigned(value) || isDevice(value)))
    return undefined;
  const op = carriedOperation(node);
  if (op === undefined) return undefined;
  const sequence = new NodeSequence(node, "bits");
  const turn = takesExtreme(op) ? (x: Value) => sequence.add(flip, [x], int32(x)) : (x: Value) => x;
  const operands = inputs.map((value) =>
    isUnsigned(value) ? turn(bitsOf(value, carried, sequence)) : value,
  );
  if (!isUnsigned(output))
    return sequence.finish(op, operands, { dtype: output.dtype, shape: output.shape });
  const bits = turn(sequence.add(op, operands, int32(output)));
  const replacement = sequence.finish(identity, [bits], { dtype: "u32", shape: output.shape });
  carried.set(replacement.outputs[0]!, bits);
  return replacement;
}

function isUnsigned({ dtype }: Value): boolean {
  return dtype === "u32";
}

function isDevice({ dtype, unknownShape }: Value): boolean {
  return unknownShape !== true && deviceDTypes.some((known: DType) => known === dtype);
}

function int32({ shape }: Value): Pick<Value, "dtype" | "shape"> {
  return { dtype: "i32", shape };
}

const identity = mapOf((_, x) => x);

function mapOf(body: (l: LaneBuilder, x: Lane) => Lane): MapOperation {
  const builder = laneProgramBuilder();
  const result = body(builder.l, builder.source("input", 0, "i32"));
  return { kind: "map", program: builder.finish([result]) };
}

const flip = mapOf(flipSign);

function bitsOf(value: Value, carried: Map<Value, Value>, sequence: NodeSequence): Value {
  const known = carried.get(value);
  if (known !== undefined) return known;
  const bits = constantBits(value) ?? sequence.add(identity, [value], int32(value));
  carried.set(value, bits);
  return bits;
}

function constantBits(value: Value): Value | undefined {
  const { data, name } = value;
  if (data === undefined) return undefined;
  const elements = convertData("u32", data.data, "i32");
  const tensor = { dtype: "i32", shape: data.shape, data: elements } as const;
  return { ...value, name: `${name}.bits`, dtype: "i32", data: tensor };
}

/** The operation on the bits; undefined where they do not tell enough. */
function carriedOperation({ op, inputs, outputs }: Node): Operation | undefined {
  if (!isPlain(op)) return undefined;
  if (op.kind === "pad") return { ...op, value: op.value | 0 };
  if (op.kind !== "map") return op;
  const asTruth = outputs[0]!.dtype === "bool";
  const program = lowWords(op.program, inputs.map(registerRange), { asTruth });
  return program && { ...op, program };
}

function registerRange({ dtype }: Value): Interval {
  return dtype === "bool" ? interval(-1, 0) : typeRange(dtype);
}

function takesExtreme(op: Operation): boolean {
  switch (op.kind) {
    case "reduce":
      return extremes.has(op.reduction);
    case "scan":
    case "scatter":
      return extremes.has(op.combine);
    default:
      return false;
  }
}

const extremes: ReadonlySet<string> = new Set(["max", "min", "argmax", "argmin"]);
