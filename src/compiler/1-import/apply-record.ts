/**
 * What becomes of one node by its operator record: core operations where the record lowers it, constants where
 * everything is known, else a host operation with the reason.
 */
import type { Value } from "../../ir/graph.js";
import type { OnnxNode } from "../../ir/onnx-node.js";
import type { Tensor } from "../../numerics/tensor.js";
import { createLowerContext, isHostOnly, isTensor, requireRanks } from "../../ops/context.js";
import { evaluateOnnxNode } from "../../ops/evaluate-node.js";
import { Decline, type HostType, type Lowered, type OperatorRecord } from "../../ops/record.js";
import { type Frame, freeName } from "./frame.js";
import { requestValue } from "./known-values.js";

export interface NodeInputs {
  readonly inputs: readonly (Value | undefined)[];
  /** What the node's subgraphs capture, in the order of their templates. */
  readonly captured: readonly Value[];
}

export function applyRecord(
  frame: Frame,
  node: OnnxNode,
  record: OperatorRecord,
  given: NodeInputs,
): readonly (Value | undefined)[] {
  const { inputs, captured } = given;
  requireRanks(
    record,
    node,
    inputs.map((x) => (x === undefined || x.unknownShape ? undefined : x.shape.length)),
  );
  const hostOnly = inputs.map(hostReason).find((r) => r !== undefined);
  const { lower = () => decline("it has no lowering") } = record;
  const lowered = tryLower(frame, () =>
    hostOnly === undefined
      ? lower(createLowerContext(node, frame.b, [...inputs, ...captured]))
      : decline(hostOnly),
  );
  if (lowered.outputs !== undefined) return lowered.outputs;
  return (
    evaluateNow(frame, node, record, given) ?? makeHost(frame, node, record, given, lowered.reason)
  );
}

function decline(reason: string): never {
  throw new Decline(reason);
}

type Attempt =
  | { readonly outputs: Lowered }
  | { readonly outputs?: undefined; readonly reason: string };

/** Asks for the values that a form needs; where they are not to be had, for another form, if there is one. */
function tryLower(frame: Frame, lower: () => Lowered): Attempt {
  try {
    return { outputs: lower() };
  } catch (error) {
    if (!(error instanceof Decline)) throw error;
    const { needs, otherwise, reason } = error;
    if (needs !== undefined) requestValue(frame.b, frame.offered, needs, reason);
    return otherwise === undefined ? { reason } : tryLower(frame, otherwise);
  }
}

function hostReason(value: Value | undefined): string | undefined {
  if (value === undefined || !isHostOnly(value)) return undefined;
  return value.unknownShape === true
    ? `the shape of "${value.name}" depends on data`
    : `"${value.name}" holds strings`;
}

/** Results of a node whose inputs are all constants; undefined if they are not, or not all tensors. */
function evaluateNow(
  frame: Frame,
  node: OnnxNode,
  record: OperatorRecord,
  { inputs, captured }: NodeInputs,
): readonly (Value | undefined)[] | undefined {
  if (record.evaluate === undefined) return undefined;
  const all = [...inputs, ...captured];
  if (all.some((value) => value !== undefined && value.data === undefined)) return undefined;
  const results = evaluateOnnxNode(
    node,
    all.map((value) => value?.data),
  );
  if (!results.every((result) => result === undefined || isTensor(result))) return undefined;
  return results.map((result) => result && frame.b.constant(result as Tensor));
}

function makeHost(
  frame: Frame,
  node: OnnxNode,
  record: OperatorRecord,
  { inputs, captured }: NodeInputs,
  reason: string,
): readonly (Value | undefined)[] {
  const types = inferTypes(frame, node, record, [...inputs, ...captured]);
  const wanted = node.outputNames.flatMap((name, index) => (name === "" ? [] : { name, index }));
  const outputs = wanted.map(({ name, index }) => ({
    name: freeName(frame, name),
    ...(types[index] ?? { dtype: frame.declared.get(name) ?? inputs[0]?.dtype ?? "f32" }),
  }));
  const values = frame.b.host(node, reason, [...inputs, ...captured], outputs);
  const indices = wanted.map(({ index }) => index);
  return node.outputNames.map((_, index) => values[indices.indexOf(index)]);
}

function inferTypes(
  frame: Frame,
  node: OnnxNode,
  record: OperatorRecord,
  inputs: readonly (Value | undefined)[],
): readonly (HostType | undefined)[] {
  if (record.infer === undefined || inputs.some((value) => value?.unknownShape)) return [];
  try {
    return record.infer(createLowerContext(node, frame.b, inputs));
  } catch (error) {
    if (error instanceof Decline) return [];
    throw error;
  }
}
