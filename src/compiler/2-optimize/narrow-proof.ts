/** What can be int32, given the ranges of all values: nodes, in bodies too, and what control flow takes and gives. */
import { bodiesOf, bodyOperands, tripResults } from "../../ir/control.js";
import {
  type ControlOperation,
  type Graph,
  isControl,
  type Node,
  type Value,
} from "../../ir/graph.js";
import { isKnown } from "../../ir/build/loop-builder.js";
import type { Ranges } from "../../ir/ranges/ranges.js";
import { isSmall, isWide, provenNodes } from "./narrow-nodes.js";

export interface Narrow {
  /** Nodes that compute in int32, in bodies too. */
  readonly nodes: ReadonlySet<Node>;
  /** Values of wide types that control flow hands over as int32: inputs of bodies, and its results. */
  readonly passed: ReadonlySet<Value>;
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
