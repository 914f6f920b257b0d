/**
 * Integers of types that the device lacks (int64, uint64, uint32) become int32 wherever interval
 * analysis proves that every number fits. What cannot be proven stays on the host; casts stand where the two meet.
 *
 *   p: i64 = map(ids, one); y = gather(table, p)   ->   p: i32 = map(ids, one); y = gather(table, p)
 *
 * An input that becomes int32 gets a limit to what its elements may be, which the runtime checks before a run; an
 * output keeps its type for the caller. An index need not be proven to fit: what
 * does not is out of range of any axis, so it is clamped on its way to int32.
 *
 * Bodies of control flow go along: states and results are int32 inside and outside, where their ranges hold for every
 * trip (`src/ir/ranges/control-ranges.ts`).
 */
import { bodiesOf, bodyOperands, tripResults } from "../../ir/control.js";
import {
  type ControlOperation,
  type Graph,
  isControl,
  type Node,
  type Value,
} from "../../ir/graph.js";
import { interval, type Interval } from "../../ir/ranges/intervals.js";
import { typeRange } from "../../ir/ranges/map-ranges.js";
import { valueRanges } from "../../ir/ranges/ranges.js";
import { valuesOf } from "../../ir/verify.js";
import { isWide } from "./narrow-nodes.js";
import { type Narrow, proveNarrow, readNarrow } from "./narrow-proof.js";
import { rewriteNarrow } from "./narrow-rewrite.js";

/**
 * Largest magnitudes to assume of an input, the first as long as it proves as much as the others. Sums over long axes
 * and products of inputs (ids times a mask) need smaller ones; an input that exceeds its limit is run on the host.
 */
const inputLimits = [2 ** 31 - 1, 2 ** 30, 2 ** 24, 2 ** 20, 2 ** 16, 2 ** 15] as const;

export function narrowIntegers(graph: Graph): Graph {
  if (!hasWide(graph)) return graph;
  const limits = chooseLimits(graph);
  const limitOf = (input: Value) => limits.get(input) ?? inputLimits[0];
  const narrow = narrowWithin(graph, limitOf);
  if (narrow.nodes.size === 0 && narrow.passed.size === 0) return graph;
  return rewriteNarrow(graph, narrow, limitOf);
}

function hasWide(graph: Graph): boolean {
  return valuesOf(graph).some(isWide) || graph.nodes.some(({ op }) => bodiesOf(op).some(hasWide));
}

/** Inputs for which a smaller limit than the first lets more nodes compute in int32, with that limit. */
function chooseLimits(graph: Graph): ReadonlyMap<Value, number> {
  const limits = new Map<Value, number>();
  const sources = inputsBehind(graph);
  let before = narrowWithin(graph, () => inputLimits[0]).nodes;
  for (const limit of inputLimits.slice(1)) {
    const { nodes } = narrowWithin(graph, () => limit);
    for (const node of nodes) {
      if (before.has(node)) continue;
      for (const value of node.inputs) {
        for (const input of sources.get(value) ?? []) limits.set(input, limit);
      }
    }
    before = new Set([...before, ...nodes]);
  }
  return limits;
}

type Sources = Map<Value, ReadonlySet<Value>>;

/** Per value, in bodies too: the inputs of wide types that it is computed from. */
function inputsBehind(graph: Graph): ReadonlyMap<Value, ReadonlySet<Value>> {
  const behind: Sources = new Map();
  for (const input of graph.inputs) if (isWide(input)) behind.set(input, new Set([input]));
  addSources(graph, behind);
  return behind;
}

function addSources(graph: Graph, behind: Sources): void {
  for (const node of graph.nodes) {
    if (isControl(node.op)) addControlSources(node, node.op, behind);
    else for (const output of node.outputs) addTo(behind, output, node.inputs);
  }
}

function addControlSources({ inputs, outputs }: Node, op: ControlOperation, behind: Sources) {
  const operands = bodyOperands(op, inputs);
  op.bodies.forEach((body, i) => {
    body.inputs.forEach((input, j) => addTo(behind, input, [operands[i]![j]!]));
    addSources(body, behind);
    const given = body.outputs.map(({ value }) => value);
    if (op.kind === "if") outputs.forEach((result, j) => addTo(behind, result, [given[j]!]));
    else {
      const { states, scanned } = tripResults(op, given);
      const taken = body.inputs.slice(0, op.states);
      const grow = () => taken.filter((input, j) => addTo(behind, input, [states[j]!])).length;
      while (grow() > 0) addSources(body, behind);
      const results = [...taken, ...scanned];
      outputs.forEach((result, j) => addTo(behind, result, [results[j]!]));
    }
  });
}

/** Whether anything is new. */
function addTo(behind: Sources, value: Value, from: readonly Value[]): boolean {
  const before = behind.get(value)?.size ?? 0;
  const sources = new Set([value, ...from].flatMap((one) => [...(behind.get(one) ?? [])]));
  if (sources.size > 0) behind.set(value, sources);
  return sources.size > before;
}

/**
 * What computes in int32. Inputs are assumed to keep their limits only while something narrow reads them, since only
 * then does the runtime check them: what was proven from others is proven again without.
 */
function narrowWithin(graph: Graph, limitOf: (input: Value) => number): Narrow {
  let checked = new Set(graph.inputs.filter(isWide));
  for (;;) {
    const ranges = valueRanges(graph, (input) =>
      checked.has(input) ? inputRange(input, limitOf(input)) : undefined,
    );
    const narrow = proveNarrow(graph, ranges);
    const read = readNarrow(graph, narrow);
    const still = new Set([...checked].filter((input) => read.has(input)));
    if (still.size === checked.size) return narrow;
    checked = still;
  }
}

function inputRange({ dtype }: Value, limit: number): Interval {
  const { low, high } = typeRange(dtype);
  return interval(Math.max(low, -limit), Math.min(high, limit));
}
