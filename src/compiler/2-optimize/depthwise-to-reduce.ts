/**
 * A contraction without reuse (a depthwise convolution: one input and one output channel per group) is work for
 * the vector engine. Products and sums are the same, in the same order.
 *
 *   contract(a, b)   ->   reduce seqsum(map(a * b))
 */
import { dimMax } from "../../ir/dim.js";
import {
  type ContractOperation,
  contractBlock,
  contractSegment,
  type Graph,
  type Node,
  type Value,
} from "../../ir/graph.js";
import { isFloat } from "../../numerics/dtype.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import type { LaneProgram } from "../../numerics/lane.js";
import { NodeSequence, type Replacement, rewriteNodes } from "./rewrite.js";

export function depthwiseToReduce(graph: Graph): Graph {
  return rewriteNodes(graph, (node) => (hasNoReuse(node) ? convert(node) : undefined));
}

function extentsOf(node: Node): (label: string) => number {
  const op = node.op as ContractOperation;
  const [a, b] = node.inputs as [Value, Value];
  return (label) =>
    dimMax(op.a.includes(label) ? a.shape[op.a.indexOf(label)]! : b.shape[op.b.indexOf(label)]!);
}

function hasNoReuse(node: Node): boolean {
  const { op } = node;
  const { dtype } = node.outputs[0]!;
  const onDevice = dtype === "f32" || dtype === "i32";
  if (op.kind !== "contract" || op.order === "" || !onDevice) return false;
  const extent = extentsOf(node);
  const product = (labels: readonly string[]): number => labels.reduce((n, l) => n * extent(l), 1);
  const out = [...op.out];
  const groups = product(out.filter((l) => op.a.includes(l) && op.b.includes(l)));
  const columns = product(out.filter((l) => !op.a.includes(l)));
  // One multiplication per element of the larger operand: the tensor engine would idle.
  return groups > 1 && columns === 1 && isOneSequence(op, extent);
}

/** Positions in row-major order, the first label innermost, in one segment: one block, or blocks of that label alone. */
function isOneSequence({ order }: ContractOperation, extent: (label: string) => number): boolean {
  const [blocked, ...slower] = [...order].map(extent) as [number, ...number[]];
  const isAlone = slower.every((positions) => positions === 1);
  return blocked <= (isAlone ? contractSegment : contractBlock);
}

function convert(node: Node): Replacement {
  const op = node.op as ContractOperation;
  const output = node.outputs[0]!;
  const [a, b, zeroA, zeroB] = node.inputs as [Value, Value, Value?, Value?];
  const sequence = new NodeSequence(node, "depthwise");
  // Within its one block the first label varies fastest.
  const labels = [...op.out, ...op.order.slice(1), op.order[0]!];
  const aligned = [align(sequence, a, op.a, labels), align(sequence, b, op.b, labels)];
  const zeros = [zeroA, zeroB].filter((z) => z !== undefined);
  const float = isFloat(a.dtype);
  const shape = labels.map((label) =>
    op.a.includes(label) ? a.shape[op.a.indexOf(label)]! : b.shape[op.b.indexOf(label)]!,
  );
  const dtype = float ? "f32" : "i32";
  const program = productProgram(float, zeroA !== undefined, zeroB !== undefined);
  const product = sequence.add(
    { kind: "map", program },
    [...aligned, ...zeros.map((z) => scalarOf(sequence, z))],
    { dtype, shape },
  );
  const axes = labels.map((_, i) => i).slice(op.out.length);
  const reduction = float ? "seqsum" : "sum";
  return sequence.finish({ kind: "reduce", reduction, axes }, [product], {
    dtype,
    shape: output.shape,
  });
}

/** A zero point of one element per group column (there is one column) as a scalar. */
function scalarOf(sequence: NodeSequence, zero: Value): Value {
  if (zero.shape.length === 0) return zero;
  return sequence.add({ kind: "reshape" }, [zero], { dtype: zero.dtype, shape: [] });
}

/** The operand with one axis per label, 1 where it lacks the label. */
function align(
  sequence: NodeSequence,
  value: Value,
  own: string,
  labels: readonly string[],
): Value {
  const order = labels.filter((label) => own.includes(label)).map((label) => own.indexOf(label));
  const shape = order.map((axis) => value.shape[axis]!);
  const isSorted = order.every((axis, i) => axis === i);
  const moved = isSorted
    ? value
    : sequence.add({ kind: "transpose", perm: order }, [value], { dtype: value.dtype, shape });
  const full = labels.map((label) => (own.includes(label) ? value.shape[own.indexOf(label)]! : 1));
  return sequence.add({ kind: "reshape" }, [moved], { dtype: value.dtype, shape: full });
}

function productProgram(float: boolean, hasZeroA: boolean, hasZeroB: boolean): LaneProgram {
  const { l, source, finish } = laneProgramBuilder();
  const type = float ? "f32" : "i32";
  const a = source("input", 0, type);
  const b = source("input", 1, type);
  if (float) return finish([l.mul(a, b)]);
  const zero = (value: typeof a, present: boolean, index: number): typeof a =>
    present ? l.subI(value, source("input", index, "i32")) : value;
  return finish([l.mulI(zero(a, hasZeroA, 2), zero(b, hasZeroB, hasZeroA ? 3 : 2))]);
}
