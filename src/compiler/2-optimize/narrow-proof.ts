/**
 * What can be int32, given the ranges of all values: nodes that compute the same there, in bodies too, and what control
 * flow takes and gives.
 */
import { dimMin, dimProduct } from "../../ir/dim.js";
import { bodiesOf, bodyOperands, tripResults } from "../../ir/control.js";
import { registerWidths } from "../../ir/evaluate-map.js";
import {
  type ControlOperation,
  type Graph,
  isControl,
  type Node,
  type Value,
} from "../../ir/graph.js";
import { int32Range, within } from "../../ir/intervals.js";
import { isKnown } from "../../ir/loop-builder.js";
import { mapRegisterRanges, typeRange } from "../../ir/map-ranges.js";
import { isPlain } from "../../ir/operation-types.js";
import { type Ranges, resultRange } from "../../ir/ranges.js";
import type { DType } from "../../numerics/dtype.js";

export interface Narrow {
  /** Nodes that compute in int32, in bodies too. */
  readonly nodes: ReadonlySet<Node>;
  /** Values of wide types that control flow hands over as int32: inputs of bodies, and its results. */
  readonly passed: ReadonlySet<Value>;
}

const wideTypes: ReadonlySet<DType> = new Set(["i64", "u64", "u32"]);

export function isWide({ dtype }: Value): boolean {
  return wideTypes.has(dtype);
}

export function proveNarrow(graph: Graph, ranges: Ranges): Narrow {
  const nodes = new Set<Node>();
  const graphs: Graph[] = [];
  const visit = (one: Graph): void => {
    graphs.push(one);
    for (const node of provenNodes(one, ranges)) nodes.add(node);
    for (const { op } of one.nodes) bodiesOf(op).forEach(visit);
  };
  visit(graph);
  return { nodes, passed: passedValues(graphs, nodes, ranges) };
}

/** Values of one graph that something in it reads as int32. */
export function readNarrow(graph: Graph, { nodes, passed }: Narrow): ReadonlySet<Value> {
  const read = new Set<Value>();
  for (const node of graph.nodes) {
    const { op, inputs } = node;
    if (nodes.has(node)) for (const value of inputs) read.add(value);
    if (!isControl(op)) continue;
    bodyOperands(op, inputs).forEach((operands, i) =>
      operands.forEach((operand, j) => {
        if (passed.has(op.bodies[i]!.inputs[j]!)) read.add(operand);
      }),
    );
  }
  return read;
}

/**
 * All that fits, less what no body makes or reads as int32: whether one does may depend on the others, so values are
 * dropped until all that remain agree.
 */
function passedValues(
  graphs: readonly Graph[],
  nodes: ReadonlySet<Node>,
  ranges: Ranges,
): ReadonlySet<Value> {
  const controls = graphs.flatMap((graph) => graph.nodes.filter(({ op }) => isControl(op)));
  const handOvers = controls.flatMap(({ op, outputs }) =>
    handOversOf(op as ControlOperation, outputs),
  );
  const fits = (value: Value): boolean =>
    isWide(value) && value.unknownShape !== true && isSmall(value, ranges);
  const made = new Set([...nodes].flatMap((node) => node.outputs));
  let kept = handOvers.filter(({ values, given }) => [...values, ...given].every(fits));
  for (;;) {
    const passed = new Set(kept.flatMap(({ values }) => values));
    const read = new Map<Graph, ReadonlySet<Value>>();
    const isRead = (body: Graph, value: Value): boolean => {
      const known = read.get(body) ?? readNarrow(body, { nodes, passed });
      read.set(body, known);
      return known.has(value);
    };
    const still = kept.filter(({ values, given, reader }) =>
      reader === undefined
        ? given.every((value) => isKnown(value) || made.has(value) || passed.has(value))
        : isRead(reader, values[0]!),
    );
    if (still.length === kept.length) return passed;
    kept = still;
  }
}

/** What has to be of one type. */
interface HandOver {
  readonly values: readonly Value[];
  /** Outputs of bodies that are handed over as those. */
  readonly given: readonly Value[];
  /** The body whose reading decides where nothing is given. */
  readonly reader?: Graph;
}

function handOversOf(op: ControlOperation, results: readonly Value[]): readonly HandOver[] {
  const given = op.bodies.map((body) => body.outputs.map(({ value }) => value));
  const taken = op.bodies.flatMap((body) =>
    body.inputs
      .slice(op.kind === "loop" ? op.states : 0)
      .map((input): HandOver => ({ values: [input], given: [], reader: body })),
  );
  if (op.kind === "if") {
    const joined = results.map((result, i) => ({
      values: [result],
      given: given.map((outputs) => outputs[i]!),
    }));
    return [...taken, ...joined];
  }
  const { states, scanned } = tripResults(op, given[0]!);
  const counted = states.map((next, i) => ({
    values: [op.bodies[0]!.inputs[i]!, results[i]!],
    given: [next],
  }));
  const stacked = scanned.map((part, i) => ({ values: [results[op.states + i]!], given: [part] }));
  return [...taken, ...counted, ...stacked];
}

function isSmall(value: Value, ranges: Ranges): boolean {
  return within(ranges.get(value)!, int32Range);
}

/** Nodes of one graph, not of its bodies. */
function provenNodes(graph: Graph, ranges: Ranges): ReadonlySet<Node> {
  const tolerant = indexOnlyValues(graph);
  const saturated = new Set<Value>();
  const fits = (value: Value): boolean =>
    !isWide(value) || isSmall(value, ranges) || saturated.has(value);
  const proven = new Set<Node>();
  for (const node of graph.nodes) {
    const values = [...node.inputs, ...node.outputs];
    if (!isPlain(node.op) || !values.some(isWide) || values.some(isForeign)) continue;
    if (!node.inputs.every((value, i) => fits(value) || isComputedIndex(node, i))) continue;
    const [output] = node.outputs;
    if (computesAlike(node, ranges) && fits(output!)) proven.add(node);
    else if (tolerant.has(output!) && saturates(node, ranges)) {
      saturated.add(output!);
      proven.add(node);
    }
  }
  return proven;
}

function isForeign({ dtype, unknownShape }: Value): boolean {
  return dtype === "f64" || dtype === "string" || unknownShape === true;
}

export function isIndex({ op }: Node, operand: number): boolean {
  return (op.kind === "gather" || op.kind === "scatter") && operand === 1;
}

/** An index that can be clamped before it is read. */
function isComputedIndex(node: Node, operand: number): boolean {
  const { data, dims } = node.inputs[operand]!;
  return isIndex(node, operand) && data === undefined && dims === undefined;
}

/** The same numbers in int32 as in the wide type, if the operands and the result fit. */
function computesAlike(node: Node, ranges: Ranges): boolean {
  const { op, inputs, outputs } = node;
  const [output] = outputs;
  const operands = inputs.map((value) => ranges.get(value)!);
  if (isWide(output!) && !within(resultRange(node, operands), typeRange(output!.dtype)))
    return false;
  switch (op.kind) {
    case "map": {
      if (registerWidths([...inputs, output!].map((value) => value.dtype)).integer === "i32")
        return true;
      return mapRegisterRanges(op, inputs, output!, operands)[op.program.results[0]!]!.exact;
    }
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

/** Values that are read only as indices, perhaps after having been moved. */
function indexOnlyValues(graph: Graph): ReadonlySet<Value> {
  const others = new Set(graph.outputs.map((output) => output.value));
  for (const node of graph.nodes.toReversed()) {
    const passes = isMovement(node) && !others.has(node.outputs[0]!);
    node.inputs.forEach((value, i) => {
      if (!passes && !isIndex(node, i)) others.add(value);
    });
  }
  const made = graph.nodes.flatMap((node) => node.outputs);
  return new Set(made.filter((value) => !others.has(value)));
}

const movements: ReadonlySet<string> = new Set([
  "reshape",
  "transpose",
  "broadcast",
  "slice",
  "window",
  "concat",
]);

function isMovement({ op }: Node): boolean {
  return movements.has(op.kind);
}

/** What does not fit saturates to int32: a conversion from float, and whatever moves its result. */
function saturates({ op, inputs, outputs }: Node, ranges: Ranges): boolean {
  if (movements.has(op.kind)) return true;
  if (op.kind !== "map" || outputs[0]!.dtype !== "i64") return false;
  const { instructions, results } = op.program;
  const last = instructions[results[0]!]!;
  if (last.op !== "toI") return false;
  const operands = inputs.map((value) => ranges.get(value)!);
  return mapRegisterRanges(op, inputs, outputs[0]!, operands)[last.args[0]!]!.exact;
}
