/**
 * A whole graph on the host, host operations included: the slowest oracle, the runtime of host regions
 * without another one, and the body of control flow. Values are dropped after their last use.
 */
import type { Graph, HostOperation, Node, Value } from "../ir/graph.js";
import { evaluateDim } from "../ir/dim.js";
import { type Bindings, evaluateDims, evaluateOperation } from "../ir/evaluate.js";
import type { Tensor } from "../numerics/tensor.js";
import { fail, InternalError } from "../support/diagnostic.js";
import { isTensor } from "./context.js";
import type { HostValue } from "./record.js";

/** How host operations are evaluated: inputs and outputs as the graph's node holds them. */
export type HostEvaluator = (
  operation: HostOperation,
  inputs: readonly HostValue[],
) => readonly HostValue[];

/** The outputs, in order. `inputs` by name; symbols take their values from the inputs' shapes. */
export function evaluateGraphWith(
  evaluateHost: HostEvaluator,
  graph: Graph,
  inputs: ReadonlyMap<string, HostValue>,
): readonly HostValue[] {
  const bindings = bindSymbols(graph, inputs);
  const values = new Map<Value, HostValue>();
  for (const input of graph.inputs) {
    const value = inputs.get(input.name);
    if (value === undefined) fail("L0603", `the input "${input.name}" is missing`);
    values.set(input, value);
  }
  const get = (value: Value): HostValue => {
    if (value.data !== undefined) return value.data;
    const computed = values.get(value);
    if (computed !== undefined) return computed;
    if (value.dims !== undefined) return dimsTensor(value, bindings);
    throw new InternalError(`"${value.name}" is used before it is computed`);
  };
  const lastUses = lastUseOf(graph);
  graph.nodes.forEach((node, index) => {
    const { op } = node;
    const given = node.inputs.map(get);
    const results =
      op.kind === "host"
        ? evaluateHost(op, given)
        : [evaluateCore(node, given as readonly Tensor[], bindings)];
    node.outputs.forEach((output, i) => values.set(output, results[i]!));
    for (const value of lastUses.get(index) ?? []) values.delete(value);
  });
  return graph.outputs.map((output) => get(output.value));
}

/** Values of a graph's symbols, from the shapes of its inputs. */
export function bindSymbols(graph: Graph, inputs: ReadonlyMap<string, HostValue>): Bindings {
  const bindings = new Map<string, number>();
  for (const { name, shape } of graph.inputs) {
    const value = inputs.get(name);
    if (value === undefined || !isTensor(value)) continue;
    shape.forEach((dim, axis) => {
      if (typeof dim === "number" || dim.terms.length !== 1) return;
      const { coefficient, atoms } = dim.terms[0]!;
      const [atom] = atoms;
      if (atoms.length !== 1 || atom?.kind !== "symbol") return;
      bindings.set(atom.symbol.name, value.shape[axis]! / coefficient);
    });
  }
  return bindings;
}

function evaluateCore(node: Node, inputs: readonly Tensor[], bindings: Bindings): Tensor {
  const [output] = node.outputs;
  const shape = evaluateDims(output!.shape, bindings);
  return evaluateOperation(node.op, inputs, { dtype: output!.dtype, shape }, bindings);
}

function dimsTensor({ dtype, shape, dims }: Value, bindings: Bindings): Tensor {
  const elements = dims!.map((dim) => evaluateDim(dim, bindings));
  const data = dtype === "i64" ? BigInt64Array.from(elements, BigInt) : Int32Array.from(elements);
  return { dtype, shape: evaluateDims(shape, bindings), data };
}

/** By node index: the values that no later node and no output reads. */
function lastUseOf(graph: Graph): ReadonlyMap<number, readonly Value[]> {
  const last = new Map<Value, number>();
  graph.nodes.forEach((node, index) => {
    for (const value of [...node.outputs, ...node.inputs]) last.set(value, index);
  });
  for (const output of graph.outputs) last.delete(output.value);
  const dead = new Map<number, Value[]>();
  for (const [value, index] of last) {
    const list = dead.get(index) ?? [];
    list.push(value);
    dead.set(index, list);
  }
  return dead;
}
