/**
 * What a graph means, on tensors of any type and to the bit: the constant folder, the evaluator of host regions
 * and the oracle that faster engines are checked against. The rules are in `graph.ts`, each family of operations
 * in a file of its own (`evaluate-*.ts`).
 */
import { allocateData, encodeArray } from "../../numerics/convert.js";
import type { DType } from "../../numerics/dtype.js";
import { elementCount, rowMajorStrides, type Tensor } from "../../numerics/tensor.js";
import { fail, InternalError } from "../../support/diagnostic.js";
import { bindShapes, type ShapeAtHand } from "../bindings.js";
import { type Dim, evaluateDim } from "../dim.js";
import { contractTensors } from "./contract.js";
import { gatherTensor, scatterTensor } from "./indexing.js";
import { mapTensors } from "./map.js";
import {
  broadcastTensor,
  concatTensors,
  padTensor,
  sliceTensor,
  transposeTensor,
  windowTensor,
} from "./movement.js";
import { reduceTensor, scanTensor } from "./reduce.js";
import { evaluateControl, type RunBody } from "./control.js";
import { type Graph, type HostOperation, isControl, type Node, type Value } from "../graph.js";
import type { PlainOperation } from "../operation-types.js";

/** What an operation is asked for: type and extents of its output. */
export interface OutputType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Values of the symbols. */
export type Bindings = ReadonlyMap<string, number>;

/** One core operation that runs no graph of its own. Results may share the data of an input; tensors are never written to. */
export function evaluateOperation(
  op: PlainOperation,
  inputs: readonly Tensor[],
  { dtype, shape }: OutputType,
  bindings: Bindings = new Map(),
): Tensor {
  const x = inputs[0]!;
  switch (op.kind) {
    case "iota":
      return iotaTensor(dtype, shape, op.axis);
    case "reshape":
      return { dtype, shape, data: x.data };
    case "transpose":
      return transposeTensor(x, op.perm);
    case "broadcast":
      return broadcastTensor(x, shape);
    case "slice":
      return sliceTensor(x, evaluateDims(op.starts, bindings), op.steps, shape);
    case "pad":
      return padTensor(x, op.low, op.value, shape);
    case "window":
      return windowTensor(x, op.axes, shape);
    case "concat":
      return concatTensors(inputs, op.axis, dtype, shape);
    case "map":
      return mapTensors(inputs, op, dtype, shape);
    case "reduce":
      return reduceTensor(x, op, dtype, shape);
    case "contract":
      return contractTensors(inputs, op, dtype, shape);
    case "gather":
      return gatherTensor(x, inputs[1]!, op.axis, shape);
    case "scatter":
      return scatterTensor(x, inputs[1]!, inputs[2]!, op);
    case "scan":
      return scanTensor(x, op);
    default:
      return op satisfies never;
  }
}

function iotaTensor(dtype: DType, shape: readonly number[], axis: number): Tensor {
  const data = allocateData(dtype, elementCount(shape));
  const stride = rowMajorStrides(shape)[axis]!;
  const extent = shape[axis]!;
  const wide = data instanceof BigInt64Array;
  for (let i = 0; i < data.length; i++) {
    const index = Math.floor(i / stride) % extent;
    data[i] = wide ? BigInt(index) : index;
  }
  return { dtype, shape, data };
}

export function evaluateDims(dims: readonly Dim[], bindings: Bindings): number[] {
  return dims.map((dim) => evaluateDim(dim, bindings));
}

/** What host nodes pass one another besides tensors: sequences, optionals. Core operations see none of it. */
export interface NonTensor {
  readonly kind: string;
}

/** Runs a host node: one value per output of the node. */
export type EvaluateHost<V extends NonTensor = never> = (
  op: HostOperation,
  inputs: readonly (Tensor | V)[],
  bindings: Bindings,
) => readonly (Tensor | V)[];

/** For graphs that have none. */
export function noHost({ node }: HostOperation): never {
  throw new InternalError(`${node.operator} is no core operation`);
}

/**
 * Outputs by name. Symbols are bound from the shapes of the inputs and of what host nodes return; a part of a
 * larger graph gets those that are `known` already.
 */
export function evaluateGraph<V extends NonTensor = never>(
  graph: Graph,
  inputs: ReadonlyMap<string, Tensor | V>,
  evaluateHost: EvaluateHost<V>,
  known: Bindings = new Map(),
): Map<string, Tensor | V> {
  const bindings = new Map(known);
  const values = new Map<Value, Tensor | V>();
  for (const value of graph.inputs) {
    const given = inputs.get(value.name);
    if (given === undefined) fail("L0603", `the input "${value.name}" is missing`);
    values.set(value, given);
  }
  bindValues(values, bindings);
  const lastUses = lastUsesOf(graph);
  graph.nodes.forEach((node, at) => {
    const operands = node.inputs.map((value) => valueOf(value, values, bindings));
    evaluateNode(node, operands, bindings, evaluateHost).forEach((result, i) => {
      values.set(node.outputs[i]!, result);
    });
    for (const value of lastUses.get(at) ?? []) values.delete(value);
  });
  return new Map(graph.outputs.map(({ name, value }) => [name, valueOf(value, values, bindings)]));
}

function evaluateNode<V extends NonTensor>(
  { op, outputs }: Node,
  inputs: readonly (Tensor | V)[],
  bindings: Map<string, number>,
  evaluateHost: EvaluateHost<V>,
): readonly (Tensor | V)[] {
  if (op.kind === "host") {
    const results = evaluateHost(op, inputs, bindings).slice(0, outputs.length);
    bindValues(new Map(outputs.map((value, i) => [value, results[i]!])), bindings);
    return results;
  }
  if (isControl(op)) {
    const run: RunBody<Tensor | V> = (body, given, own) => {
      const named = new Map(body.inputs.map(({ name }, i) => [name, given[i]!]));
      return [...evaluateGraph(body, named, evaluateHost, own).values()];
    };
    return evaluateControl(op, { inputs, outputs, bindings, run });
  }
  const [output] = outputs;
  const shape = evaluateDims(output!.shape, bindings);
  const tensors = inputs as readonly Tensor[];
  return [evaluateOperation(op, tensors, { dtype: output!.dtype, shape }, bindings)];
}

/** Checks tensors against their values and binds the symbols that their shapes determine. */
function bindValues(
  given: ReadonlyMap<Value, Tensor | NonTensor>,
  bindings: Map<string, number>,
): void {
  const shapes: ShapeAtHand[] = [];
  for (const [value, tensor] of given) {
    // What has no known shape has been through the host: even its type may be known only now.
    if (value.unknownShape === true || !("data" in tensor)) continue;
    if (tensor.dtype !== value.dtype) {
      fail("L0602", `"${value.name}" is ${tensor.dtype}, the model wants ${value.dtype}`);
    }
    shapes.push({ value, shape: tensor.shape });
  }
  bindShapes(shapes, bindings);
}

function valueOf<V extends NonTensor>(
  value: Value,
  values: ReadonlyMap<Value, Tensor | V>,
  bindings: Bindings,
): Tensor | V {
  const known = value.data ?? values.get(value);
  if (known !== undefined) return known;
  if (value.dims === undefined) throw new InternalError(`"${value.name}" has no value yet`);
  const elements = evaluateDims(value.dims, bindings);
  const shape = evaluateDims(value.shape, bindings);
  return { dtype: value.dtype, shape, data: encodeArray(value.dtype, elements) };
}

/** Values by the node after which nobody needs them. */
function lastUsesOf(graph: Graph): Map<number, Value[]> {
  const last = new Map<Value, number>();
  graph.nodes.forEach((node, at) => {
    for (const value of [...node.inputs, ...node.outputs]) last.set(value, at);
  });
  for (const { value } of graph.outputs) last.delete(value);
  const byNode = new Map<number, Value[]>();
  for (const [value, at] of last) {
    const values = byNode.get(at) ?? [];
    values.push(value);
    byNode.set(at, values);
  }
  return byNode;
}
