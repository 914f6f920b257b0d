/** Which pass changed what a graph means: each graph of phase 2 evaluated by the op references, and compared in bits. */
import { type Bindings, evaluateGraph, type NonTensor } from "../ir/evaluate/evaluate.js";
import type { Graph, HostOperation, Node, Value } from "../ir/graph.js";
import { printGraph } from "../ir/text/print.js";
import { isTensor } from "../ops/context.js";
import { evaluateHostGraph, evaluateHostOperation } from "../ops/evaluate-node.js";
import type { HostValue } from "../ops/record.js";
import { conform } from "../runtime/transfer.js";
import { accuracyLoss } from "./accuracy.js";
import { bitDifference, type Difference, excerptOf, type Finding } from "./bisect-finding.js";

type Values = ReadonlyMap<string, HostValue>;

/** A graph after the pass that made it; the first one is the import's. */
export interface GraphAfter {
  readonly pass: string;
  readonly graph: Graph;
  /** It rounds elsewhere, or adds in another order: its graph's numbers are the right ones from then on. */
  readonly rounds: boolean;
  /** Bodies of its host regions, by node. */
  readonly regions?: ReadonlyMap<string, { readonly body: Graph }>;
}

/** Root of the mean squared difference, by that of the values, that a pass which rounds may bring about. */
const roundingMax = 0.25;

/** Undefined where all graphs mean the same. Every search halves the passes that come into question. */
export function checkPasses(graphs: readonly GraphAfter[], inputs: Values): Finding | undefined {
  let before: { readonly last: GraphAfter; readonly outputs: Values } | undefined;
  for (const section of sectionsOf(graphs)) {
    const [first] = section as [GraphAfter];
    const outputs = outputsOf(first, inputs);
    const rounded = before && firstDifference(before.outputs, outputs, isFarOff);
    if (rounded !== undefined) return findingIn(before!.last, first, inputs, rounded, isFarOff);
    const wrong = firstWrong(section, inputs, outputs);
    if (wrong !== undefined) return wrong;
    before = { last: section.at(-1)!, outputs };
  }
  return undefined;
}

/** From one graph whose numbers are right by definition to before the next such one. */
function sectionsOf(graphs: readonly GraphAfter[]): GraphAfter[][] {
  const sections: GraphAfter[][] = [];
  for (const after of graphs) {
    if (after.rounds || sections.length === 0) sections.push([after]);
    else sections.at(-1)!.push(after);
  }
  return sections;
}

/** In graphs that should all mean the same, to the bit. */
function firstWrong(
  section: readonly GraphAfter[],
  inputs: Values,
  wanted: Values,
): Finding | undefined {
  let right = 0;
  let wrong = section.length - 1;
  const differenceAt = (at: number) =>
    firstDifference(wanted, outputsOf(section[at]!, inputs), differenceOf);
  let difference = differenceAt(wrong);
  if (difference === undefined) return undefined;
  while (wrong - right > 1) {
    const middle = Math.floor((right + wrong) / 2);
    const found = differenceAt(middle);
    if (found === undefined) right = middle;
    else [wrong, difference] = [middle, found];
  }
  return findingIn(section[right]!, section[wrong]!, inputs, difference, differenceOf);
}

type Differ = typeof differenceOf;

function firstDifference(wanted: Values, given: Values, differ: Differ): Difference | undefined {
  for (const [name, want] of wanted) {
    const difference = differ(name, given.get(name), want);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

/** By name. */
export function outputsOf(after: GraphAfter, inputs: Values): Values {
  const { graph } = after;
  const outputs = evaluateAfter(after, graph, inputs);
  return new Map(graph.outputs.map(({ name }, i) => [name, outputs[i]!]));
}

type NonTensorValue = HostValue & NonTensor;

/** A graph with the nodes of `after`, host regions included. */
function evaluateAfter(
  { regions }: GraphAfter,
  graph: Graph,
  inputs: Values,
  known?: Bindings,
): readonly HostValue[] {
  const evaluateHost = (
    op: HostOperation,
    given: readonly HostValue[],
    bindings: Bindings,
  ): readonly HostValue[] => {
    const region = regions?.get(op.node.name);
    if (region === undefined) return evaluateHostOperation(op, given);
    const own = new Map(region.body.inputs.map((value, i) => [value.name, as(value, given[i]!)]));
    return evaluateHostGraph(region.body, own, bindings);
  };
  const outputs = evaluateGraph<NonTensorValue>(
    graph,
    conformed(graph, inputs) as ReadonlyMap<string, NonTensorValue>,
    evaluateHost as never,
    known,
  );
  return graph.outputs.map(({ name }) => outputs.get(name)!);
}

/** Inputs in the types that the graph has narrowed them to. */
function conformed(graph: Graph, inputs: Values): Values {
  return new Map(graph.inputs.map((value) => [value.name, as(value, inputs.get(value.name)!)]));
}

function as({ dtype, name }: Pick<Value, "dtype" | "name">, value: HostValue): HostValue {
  return isTensor(value) && value.dtype !== dtype ? conform(value, dtype, name) : value;
}

function differenceOf(name: string, got: HostValue | undefined, want: HostValue) {
  if (got === undefined || !isTensor(want)) return bitDifference(name, got, want);
  return bitDifference(name, as({ name, dtype: want.dtype }, got), want);
}

/** Not what rounding brings about. */
function isFarOff(name: string, got: HostValue | undefined, want: HostValue) {
  const found = differenceOf(name, got, want);
  if (found === undefined || got === undefined || !isTensor(got) || !isTensor(want)) return found;
  const loss = accuracyLoss(name, want, conform(got, want.dtype, name));
  return loss === undefined || loss.rootMeanSquareRelative <= roundingMax ? undefined : found;
}

/** The first value of the wrong graph that the graph before it has too, with other elements. */
function findingIn(
  before: GraphAfter,
  after: GraphAfter,
  inputs: Values,
  difference: Difference,
  differ: Differ,
): Finding {
  const wanted = valuesOf(before, inputs);
  const given = valuesOf(after, inputs);
  for (const node of after.graph.nodes) {
    for (const { name } of node.outputs) {
      const want = wanted.get(name);
      if (want === undefined) continue;
      const found = differ(name, given.get(name), want);
      if (found !== undefined) return finding(after, node, found);
    }
  }
  const producer = after.graph.nodes.find((node) =>
    after.graph.outputs.some(
      ({ name, value }) => name === difference.tensor && node.outputs.includes(value),
    ),
  );
  return finding(after, producer, difference);
}

function valuesOf(after: GraphAfter, inputs: Values): Values {
  return new Map([...graphValues(after, inputs)].map(([{ name }, value]) => [name, value]));
}

/** Every value that a node of the graph makes or reads, evaluated; of a body, symbols from outside are `known`. */
export function graphValues(
  after: GraphAfter,
  inputs: Values,
  known?: Bindings,
): ReadonlyMap<Value, HostValue> {
  const { graph } = after;
  const values = new Set([
    ...graph.inputs,
    ...graph.nodes.flatMap((node) => [...node.inputs, ...node.outputs]),
    ...graph.outputs.map(({ value }) => value),
  ]);
  const all = [...values];
  const named = { ...graph, outputs: all.map((value, i) => ({ name: `${i}`, value })) };
  const results = evaluateAfter(after, named, inputs, known);
  return new Map(all.map((value, i) => [value, results[i]!]));
}

function finding(after: GraphAfter, node: Node | undefined, difference: Difference): Finding {
  const lines = printGraph(after.graph).trimEnd().split("\n");
  const names = [difference.tensor, JSON.stringify(difference.tensor)];
  const at = lines.findIndex((line) => names.some((name) => line.startsWith(`%${name}:`)));
  return {
    level: "pass",
    pass: after.pass,
    nodes: node?.origins ?? [],
    difference,
    excerpt: at < 0 ? [] : excerptOf(lines, at),
    notes: [],
  };
}
