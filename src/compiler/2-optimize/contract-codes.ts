/**
 * Products of dequantized numbers become products of codes: the sum is an exact int32, and one multiplication by the
 * product of the scales makes a number of it. A bias that was quantized with that product joins the sum.
 *
 *   contract(decode(a, sa, za), decode(b, sb, zb))   ->   contract(a, b, za, zb) * (sa * sb)
 *   sum * s + decode(bias, s)                        ->   (sum + bias) * s
 *
 * Movement may stand between; padding then holds the zero point. The QOperator and dynamic forms are imported as what
 * this pass makes.
 */
import type { DecisionRecord } from "../../isa/executable.js";
import type { GraphBuilder } from "../../ir/builder.js";
import { dimMax } from "../../ir/dim.js";
import { zeroPointLabel } from "../../ir/contract-types.js";
import type { ContractOperation, Graph, Node, Origin, Value } from "../../ir/graph.js";
import {
  difference,
  int32Range,
  type Interval,
  interval,
  product,
  sum,
  within,
} from "../../ir/ranges/intervals.js";
import { typeRange } from "../../ir/ranges/map-ranges.js";
import { type Ranges, valueRanges } from "../../ir/ranges/ranges.js";
import type { DType } from "../../numerics/dtype.js";
import { decodeNumbers } from "../../numerics/convert.js";
import { decodeCode, matchPair } from "../../numerics/quantized-lanes.js";
import { type Codes, type DecodedOperand, decodedOperand, moveCodes } from "./codes.js";
import { buildReplacement, type Replacement, rewriteNodes } from "./rewrite.js";

const codeTypes: ReadonlySet<DType> = new Set(["i8", "u8", "i4", "u4"]);

export function contractCodes(graph: Graph, records: DecisionRecord[]): Graph {
  let ranges: Ranges | undefined;
  const state: State = {
    ranges: () => (ranges ??= valueRanges(graph)),
    producers: new Map(),
    sums: new Map(),
    decline: (why, { origins }) => records.push({ what: "precision", why, origins }),
  };
  return rewriteNodes(graph, (node) => {
    const made =
      node.op.kind === "contract" ? contraction(state, node, node.op) : withBias(state, node);
    const nodes = made?.replacement.nodes ?? [node];
    for (const each of nodes) for (const output of each.outputs) state.producers.set(output, each);
    if (made === undefined) return undefined;
    const [scaled] = made.replacement.outputs;
    state.sums.set(decodedOperand(scaled!, state.producers)!.codes.values, made.range);
    return made.replacement;
  });
}

interface State {
  /** Of the values of the graph as it came. */
  readonly ranges: () => Ranges;
  /** Of the graph as it becomes. */
  readonly producers: Map<Value, Node>;
  /** What the exact sums that this pass made can be. */
  readonly sums: Map<Value, Interval>;
  readonly decline: (why: string, node: Node) => void;
}

/** A number that is an exact sum times its scale. */
interface ScaledSum {
  readonly replacement: Replacement;
  readonly range: Interval;
}

function contraction(state: State, node: Node, op: ContractOperation): ScaledSum | undefined {
  const [left, right] = node.inputs.map((value) => decodedOperand(value, state.producers));
  if (left === undefined || right === undefined) return undefined;
  const range = sumRange(state, node, op, [left, right]);
  if (typeof range === "string") {
    state.decline(`multiplied in fp32: ${range}`, node);
    return undefined;
  }
  const origins = originsOf([...left.decoders, ...right.decoders, node]);
  const replacement = buildReplacement(node, "codes", origins, (b) => {
    const [x, w] = [moveCodes(b, left), moveCodes(b, right)];
    return x && w && contractMoved(b, op, x, w);
  });
  if (replacement === undefined) {
    state.decline("multiplied in fp32: scales or zero points vary along a sum", node);
    return undefined;
  }
  return { replacement, range };
}

function originsOf(nodes: readonly Node[]): Origin[] {
  return [...new Set(nodes.flatMap((node) => node.origins))];
}

/** What the sum can be; in words, why it cannot be an int32. */
function sumRange(
  state: State,
  { inputs }: Node,
  op: ContractOperation,
  operands: readonly DecodedOperand[],
): Interval | string {
  for (const { codes, decoders } of operands) {
    if (!codeTypes.has(codes.values.dtype)) return `codes are of type ${codes.values.dtype}`;
    const { dtype } = decoders.at(-1)!.outputs[0]!;
    if (dtype !== "f32") return `what is dequantized is rounded to ${dtype}`;
  }
  const [a, b] = operands.map(({ codes: { values, zero } }) => {
    const range = rangeOf(state, values);
    return zero === undefined ? range : difference(range, rangeOf(state, zero));
  });
  const count = [...op.order]
    .map((label) => dimMax(inputs[0]!.shape[op.a.indexOf(label)]!))
    .reduce((n, extent) => n * extent, 1);
  const range = product(product(a!, b!), interval(0, count));
  return within(range, int32Range) ? range : `a sum of ${count} products could exceed int32`;
}

function rangeOf({ ranges }: State, value: Value): Interval {
  return ranges().get(value) ?? typeRange(value.dtype);
}

/** The number that the sum of codes stands for; undefined where a scale varies along the sum. */
function contractMoved(
  b: GraphBuilder,
  op: ContractOperation,
  left: Codes,
  right: Codes,
): Value | undefined {
  const scales = [alongResult(b, left.scale, op.a, op), alongResult(b, right.scale, op.b, op)];
  if (scales.includes(undefined)) return undefined;
  const [scaleA, scaleB] = scales as [Value, Value];
  const x = withZero(b, left, op, "");
  const w = withZero(b, right, op, zeroPointLabel(op));
  const zeros = { ...(x.zero && { a: x.zero }), ...(w.zero && { b: w.zero }) };
  const exact = b.contract(x.values, w.values, op, zeros);
  const factor = b.map("f32", [scaleA, scaleB], (l, s, t) => l.mul(s!, t!));
  return decodeSum(b, exact, factor);
}

function decodeSum(b: GraphBuilder, exact: Value, factor: Value): Value {
  return b.map("f32", [exact, factor], (l, y, f) => decodeCode(l, y!, f!, undefined));
}

/** An operand's parameter along the result's axes; undefined if it varies along a contracted one. */
function alongResult(
  b: GraphBuilder,
  parameter: Value,
  labels: string,
  { order, out }: ContractOperation,
): Value | undefined {
  if (parameter.shape.length === 0) return parameter;
  const isContracted = (axis: number): boolean => order.includes(labels[axis]!);
  if (parameter.shape.some((dim, axis) => dim !== 1 && isContracted(axis))) return undefined;
  const kept = [...labels].filter((_, axis) => !isContracted(axis));
  const flat = b.reshape(
    parameter,
    parameter.shape.filter((_, axis) => !isContracted(axis)),
  );
  const present = [...out].filter((label) => kept.includes(label));
  const moved = b.transpose(
    flat,
    present.map((label) => kept.indexOf(label)),
  );
  const missing = [...out].flatMap((label, axis) => (kept.includes(label) ? [] : [axis]));
  return b.unsqueeze(moved, missing);
}

/** A zero point that the contraction takes: one number, or one along `label`. Others are subtracted before. */
function withZero(
  b: GraphBuilder,
  { values, zero }: Codes,
  op: ContractOperation,
  label: string,
): { readonly values: Value; readonly zero?: Value } {
  if (zero === undefined || zero.shape.length === 0) return { values, ...(zero && { zero }) };
  const axis = label.length === 1 ? op.b.indexOf(label) : -1;
  if (zero.shape.every((dim, i) => dim === 1 || i === axis)) {
    return { values, zero: b.reshape(zero, [zero.shape[axis]!]) };
  }
  return { values: b.map("i32", [values, zero], (l, q, z) => l.subI(q!, z!)) };
}

/** A sum times its scale, plus a bias of the same scale. */
function withBias(state: State, node: Node): ScaledSum | undefined {
  if (node.op.kind !== "map") return undefined;
  const terms = matchPair(node.op.program, "add") ?? [];
  for (const [x, z] of [terms, [...terms].reverse()]) {
    if (x === undefined || z === undefined) continue;
    const scaled = decodedOperand(node.inputs[x]!, state.producers);
    const bias = decodedOperand(node.inputs[z]!, state.producers);
    if (scaled === undefined || bias === undefined) continue;
    const range = state.sums.get(scaled.codes.values);
    if (range === undefined || !isQuantizedBias(bias)) continue;
    const total = sum(range, rangeOf(state, bias.codes.values));
    if (!within(total, int32Range)) continue;
    const replacement = joinBias(node, scaled, bias);
    if (replacement !== undefined) return { replacement, range: total };
  }
  return undefined;
}

function isQuantizedBias({ codes: { values, zero, scale } }: DecodedOperand): boolean {
  return values.dtype === "i32" && values.data !== undefined && scale.data !== undefined && !zero;
}

function joinBias(
  node: Node,
  scaled: DecodedOperand,
  bias: DecodedOperand,
): Replacement | undefined {
  const origins = originsOf([...scaled.decoders, ...bias.decoders, node]);
  return buildReplacement(node, "bias", origins, (b) => {
    const [y, z] = [moveCodes(b, scaled), moveCodes(b, bias)];
    if (y === undefined || z === undefined || !isSameScale(b, y.scale, z.scale)) return undefined;
    const exact = b.map("i32", [y.values, z.values], (l, s, t) => l.addI(s!, t!));
    return decodeSum(b, exact, y.scale);
  });
}

/** Exporters multiply the two scales in fp32 or in double: the last bits may differ. */
const scaleTolerance = 2 ** -21;

function isSameScale(b: GraphBuilder, factor: Value, scale: Value): boolean {
  const ratio = b.map("f32", [factor, scale], (l, s, t) => l.div(s!, t!));
  if (ratio.data === undefined) return false;
  return decodeNumbers("f32", ratio.data.data).every((r) => Math.abs(r - 1) <= scaleTolerance);
}
