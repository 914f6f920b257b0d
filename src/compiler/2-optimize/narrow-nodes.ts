/**
 * Which nodes of one graph, not of its bodies, compute in int32 what they would in a wider type: the same numbers where
 * those fit. A conversion from float need not fit where what reads it makes no difference of how far it is out of range:
 * an index, a comparison, a minimum (`src/ir/ranges/saturation.ts`).
 */
import { dimMax, dimMin, dimProduct } from "../../ir/dim.js";
import { registerWidths } from "../../ir/evaluate/map.js";
import type { Graph, MapOperation, Node, Value } from "../../ir/graph.js";
import { int32Range, interval, within } from "../../ir/ranges/intervals.js";
import { mapRegisterRanges, typeRange } from "../../ir/ranges/map-ranges.js";
import { isPlain } from "../../ir/operation-types.js";
import { type Ranges, resultRange } from "../../ir/ranges/ranges.js";
import {
  either,
  exactly,
  isExact,
  type Saturated,
  saturatedResult,
} from "../../ir/ranges/saturation.js";
import type { DType } from "../../numerics/dtype.js";

const wideTypes: ReadonlySet<DType> = new Set(["i64", "u64", "u32"]);

export function isWide({ dtype }: Value): boolean {
  return wideTypes.has(dtype);
}

export function isSmall(value: Value, ranges: Ranges): boolean {
  return within(ranges.get(value)!, int32Range);
}

export function isIndex({ op }: Node, operand: number): boolean {
  return (op.kind === "gather" || op.kind === "scatter") && operand === 1;
}

export function provenNodes(graph: Graph, ranges: Ranges): ReadonlySet<Node> {
  const barred = new Set<Value>();
  for (;;) {
    const { nodes, saturated } = proofWithout(barred, graph, ranges);
    const elsewhere = readElsewhere(graph, nodes, saturated);
    if (elsewhere.length === 0) return nodes;
    for (const value of elsewhere) barred.add(value);
  }
}

interface Proof {
  readonly nodes: ReadonlySet<Node>;
  /** Their results of which int32 does not hold every number. */
  readonly saturated: ReadonlyMap<Value, Saturated>;
}

/** `barred` are values that may not be saturated. */
function proofWithout(barred: ReadonlySet<Value>, graph: Graph, ranges: Ranges): Proof {
  const nodes = new Set<Node>();
  const saturated = new Map<Value, Saturated>();
  const fits = (value: Value): boolean =>
    !isWide(value) || saturated.has(value) || isSmall(value, ranges);
  for (const node of graph.nodes) {
    const values = [...node.inputs, ...node.outputs];
    if (!isPlain(node.op) || !values.some(isWide) || values.some(isForeign)) continue;
    if (!node.inputs.every((value, i) => fits(value) || isComputedIndex(node, i))) continue;
    const [output] = node.outputs as [Value];
    const result = resultOf(node, ranges, saturated);
    if (result === undefined) continue;
    if (isExact(result)) {
      if (!fits(output)) continue;
    } else {
      if (output.dtype !== "i64" || barred.has(output)) continue;
      saturated.set(output, result);
    }
    nodes.add(node);
  }
  return { nodes, saturated };
}

/** Saturated values that something reads in their own type, or a result that is so read is made of. */
function readElsewhere(
  graph: Graph,
  nodes: Proof["nodes"],
  saturated: Proof["saturated"],
): Value[] {
  const read = new Set(graph.outputs.map(({ value }) => value));
  for (const node of graph.nodes.toReversed()) {
    const stays = !nodes.has(node) || node.outputs.some((x) => saturated.has(x) && read.has(x));
    if (stays) for (const value of node.inputs) read.add(value);
  }
  return [...saturated.keys()].filter((value) => read.has(value));
}

function isForeign({ dtype, unknownShape }: Value): boolean {
  return dtype === "f64" || dtype === "string" || unknownShape === true;
}

/** An index that can be clamped before it is read. */
function isComputedIndex(node: Node, operand: number): boolean {
  const { data, dims } = node.inputs[operand]!;
  return isIndex(node, operand) && data === undefined && dims === undefined;
}

/** Of int32 operands that fit or saturate; undefined where the result may be another than in the wide type. */
function resultOf(
  node: Node,
  ranges: Ranges,
  saturated: Proof["saturated"],
): Saturated | undefined {
  const { op, inputs, outputs } = node;
  const [output] = outputs as [Value];
  const operands = inputs.map((value) => ranges.get(value)!);
  if (isWide(output) && !within(resultRange(node, operands), typeRange(output.dtype)))
    return undefined;
  if (op.kind === "map") return mapResult(op, node, ranges, saturated);
  const read = inputs.map((value) => saturated.get(value) ?? exactly(ranges.get(value)!));
  const found = inputs.filter((value) => saturated.has(value));
  if (found.length > 0 && movements.has(op.kind)) {
    return read.reduce<Saturated | undefined>((a, b) => a && either(a, b), read[0]);
  }
  const known = read.every((one, i) => isExact(one) || isKnownIndex(node, i, one));
  return known && computesAlike(node) ? exactly(ranges.get(output)!) : undefined;
}

function mapResult(
  op: MapOperation,
  { inputs, outputs }: Node,
  ranges: Ranges,
  saturated: Proof["saturated"],
): Saturated | undefined {
  const [output] = outputs as [Value];
  const { integer } = registerWidths([...inputs, output].map((value) => value.dtype));
  const range = ranges.get(output)!;
  if (integer === "i32") return exactly(range);
  const operands = inputs.map((value) => ranges.get(value)!);
  const registers = mapRegisterRanges(op, inputs, output, operands);
  if (integer === "i64") {
    const given = inputs.map((value) => saturated.get(value));
    return saturatedResult(op.program, registers, given);
  }
  const isKnown = registers[op.program.results[0]!]!.exact && !inputs.some((x) => saturated.has(x));
  return isKnown ? exactly(range) : undefined;
}

const movements: ReadonlySet<string> = new Set([
  "reshape",
  "transpose",
  "broadcast",
  "slice",
  "window",
  "concat",
]);

/** A saturated index is out of range exactly where the number that it stands for is. */
function isKnownIndex(node: Node, operand: number, { same }: Saturated): boolean {
  const { op, inputs } = node;
  if (!isIndex(node, operand) || !("axis" in op)) return false;
  const extent = dimMax(inputs[0]!.shape[op.axis]!);
  return within(interval(-extent, extent - 1), same);
}

/** The same numbers in int32 as in the wide type, if the operands and the result fit. */
function computesAlike({ op, inputs }: Node): boolean {
  switch (op.kind) {
    case "reduce": {
      const count = dimProduct(op.axes.map((axis) => inputs[0]!.shape[axis]!));
      const startsAtLimit = op.reduction === "max" || op.reduction === "min";
      return !startsAtLimit || dimMin(count) > 0;
    }
    case "scan":
      return !op.exclusive || op.combine === "sum" || op.combine === "prod";
    default:
      return true;
  }
}
