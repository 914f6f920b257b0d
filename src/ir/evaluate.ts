/**
 * What a graph means, on tensors of any type and to the bit: the constant folder, the evaluator of host regions
 * and the oracle that faster engines are checked against. The rules are in `graph.ts`, each family of operations
 * in a file of its own (`evaluate-*.ts`).
 */
import { allocateData, encodeArray } from "../numerics/convert.js";
import type { DType } from "../numerics/dtype.js";
import { elementCount, rowMajorStrides, type Tensor } from "../numerics/tensor.js";
import { fail, InternalError } from "../support/diagnostic.js";
import { bindDims } from "./bindings.js";
import { type Dim, evaluateDim } from "./dim.js";
import { contractTensors } from "./evaluate-contract.js";
import { gatherTensor, scatterTensor } from "./evaluate-index.js";
import { mapTensors } from "./evaluate-map.js";
import {
  broadcastTensor,
  concatTensors,
  padTensor,
  sliceTensor,
  transposeTensor,
  windowTensor,
} from "./evaluate-movement.js";
import { reduceTensor, scanTensor } from "./evaluate-reduce.js";
import type { Graph, HostOperation, Node, Operation, Value } from "./graph.js";

/** What an operation is asked for: type and extents of its output. */
export interface OutputType {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

/** Values of the symbols. */
export type Bindings = ReadonlyMap<string, number>;

/** One core operation. Results may share the data of an input; tensors are never written to. */
export function evaluateOperation(
  op: Operation,
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
    case "host":
      throw new InternalError(`${op.node.operator} is no core operation`);
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

/** Runs a host node: one tensor per output of the node. */
export type EvaluateHost = (
  op: HostOperation,
  inputs: readonly Tensor[],
  bindings: Bindings,
) => readonly Tensor[];

/** Outputs by name. Symbols are bound from the shapes of the inputs and of what host nodes return. */
export function evaluateGraph(
  graph: Graph,
  inputs: ReadonlyMap<string, Tensor>,
  evaluateHost: EvaluateHost,
): Map<string, Tensor> {
  const bindings = new Map<string, number>();
  const tensors = new Map<Value, Tensor>();
  for (const value of graph.inputs) {
    const tensor = inputs.get(value.name);
    if (tensor === undefined) fail("L0603", `the input "${value.name}" is missing`);
    bindValue(value, tensor, bindings);
    tensors.set(value, tensor);
  }
  const lastUses = lastUsesOf(graph);
  graph.nodes.forEach((node, at) => {
    const operands = node.inputs.map((value) => tensorOf(value, tensors, bindings));
    evaluateNode(node, operands, bindings, evaluateHost).forEach((tensor, i) => {
      tensors.set(node.outputs[i]!, tensor);
    });
    for (const value of lastUses.get(at) ?? []) tensors.delete(value);
  });
  return new Map(
    graph.outputs.map(({ name, value }) => [name, tensorOf(value, tensors, bindings)]),
  );
}

function evaluateNode(
  { op, outputs }: Node,
  inputs: readonly Tensor[],
  bindings: Map<string, number>,
  evaluateHost: EvaluateHost,
): readonly Tensor[] {
  if (op.kind === "host") {
    const results = evaluateHost(op, inputs, bindings);
    outputs.forEach((value, i) => bindValue(value, results[i]!, bindings));
    return results.slice(0, outputs.length);
  }
  const [output] = outputs;
  const shape = evaluateDims(output!.shape, bindings);
  return [evaluateOperation(op, inputs, { dtype: output!.dtype, shape }, bindings)];
}

/** Checks a tensor against a value and binds the symbols that its shape determines. */
function bindValue(value: Value, tensor: Tensor, bindings: Map<string, number>): void {
  if (tensor.dtype !== value.dtype) {
    fail("L0602", `"${value.name}" is ${tensor.dtype}, the model wants ${value.dtype}`);
  }
  if (value.unknownShape !== true) bindDims(value, tensor.shape, bindings);
}

function tensorOf(value: Value, tensors: ReadonlyMap<Value, Tensor>, bindings: Bindings): Tensor {
  const tensor = value.data ?? tensors.get(value);
  if (tensor !== undefined) return tensor;
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
