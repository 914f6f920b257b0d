/**
 * One ONNX node on the host. Most operators have only a lowering: with constant inputs the builder folds it
 * to the result. The others, and forms that a lowering declines, have an evaluation of their own.
 */
import { type Bindings, evaluateGraph } from "../ir/evaluate/evaluate.js";
import { createGraphBuilder } from "../ir/build/graph-builder.js";
import type { Graph, HostOperation } from "../ir/graph.js";
import type { OnnxNode } from "../ir/onnx-node.js";
import type { Tensor } from "../numerics/tensor.js";
import { DiagnosticError, fail, InternalError } from "../support/diagnostic.js";
import {
  atNode,
  createEvaluateContext,
  createLowerContext,
  isTensor,
  requireRanks,
} from "./context.js";
import { Decline, type HostValue, type OperatorRecord } from "./record.js";
import { findOperator } from "./table.js";

type NonTensorValue = Exclude<HostValue, Tensor>;

/**
 * A whole graph on the host, host operations included: its outputs, in order. `known` are symbols that the
 * inputs' shapes need not bind.
 */
export function evaluateHostGraph(
  graph: Graph,
  inputs: ReadonlyMap<string, HostValue>,
  known: Bindings = new Map(),
): readonly HostValue[] {
  const outputs = evaluateGraph<NonTensorValue>(graph, inputs, evaluateHostOperation, known);
  return graph.outputs.map(({ name }) => outputs.get(name)!);
}

/**
 * `inputs`: one per input of the node (undefined where it is left out), then what its subgraphs capture.
 * Results: one per output of the node.
 */
export function evaluateOnnxNode(
  node: OnnxNode,
  inputs: readonly (HostValue | undefined)[],
): readonly (HostValue | undefined)[] {
  const record = findOperator(node.domain, node.operator, node.opset);
  if (record === undefined) throw new InternalError(`no record for ${node.operator}`);
  try {
    return evaluateRecord(record, node, inputs);
  } catch (error) {
    if (error instanceof DiagnosticError) throw atNode(error, node);
    throw error;
  }
}

/** As a graph holds it: inputs that are left out and outputs that nobody asks for do not occur. */
export function evaluateHostOperation(
  { node }: HostOperation,
  given: readonly HostValue[],
): readonly HostValue[] {
  const rest = [...given];
  const inputs = node.inputNames.map((name) => (name === "" ? undefined : rest.shift()));
  const results = evaluateOnnxNode(node, [...inputs, ...rest]);
  return node.outputNames.flatMap((name, index) => {
    if (name === "") return [];
    const result = results[index];
    if (result === undefined) {
      fail("L0105", `the operator has no output ${index} in this form`, {
        place: { node: node.name, operator: node.operator, tensor: name },
      });
    }
    return [result];
  });
}

function evaluateRecord(
  record: OperatorRecord,
  node: OnnxNode,
  inputs: readonly (HostValue | undefined)[],
): readonly (HostValue | undefined)[] {
  const ranks = inputs.map((value) => (value && isTensor(value) ? value.shape.length : undefined));
  requireRanks(record, node, ranks);
  let reason = "its inputs are no tensors";
  const tensors = inputs.every((value) => value === undefined || isTensor(value));
  if (record.lower !== undefined && tensors) {
    try {
      return foldLowering(record.lower, node, inputs);
    } catch (error) {
      if (!(error instanceof Decline)) throw error;
      reason = error.reason;
    }
  }
  if (record.evaluate === undefined) fail("L0301", `this form is not supported: ${reason}`);
  try {
    return record.evaluate(createEvaluateContext(node, inputs, evaluateHostGraph));
  } catch (error) {
    if (error instanceof Decline) fail("L0301", `this form is not supported: ${error.reason}`);
    throw error;
  }
}

function foldLowering(
  lower: NonNullable<OperatorRecord["lower"]>,
  node: OnnxNode,
  inputs: readonly (HostValue | undefined)[],
): readonly (HostValue | undefined)[] {
  const b = createGraphBuilder({ foldAll: true });
  const values = inputs.map((value) =>
    value !== undefined && isTensor(value) ? b.constant(value) : undefined,
  );
  const results = lower(createLowerContext(node, b, values));
  return results.map((value) => {
    if (value === undefined || value.data !== undefined) return value?.data;
    throw new InternalError(`${node.operator} with constant inputs did not fold`);
  });
}
