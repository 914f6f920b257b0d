/**
 * What an operator record sees of its node: attributes with defaults and checks, inputs, what is known of
 * their elements. The import and the host evaluation make these contexts; `record.ts` has their types.
 */
import type { Tensor } from "../numerics/tensor.js";
import type { GraphBuilder } from "../ir/builder.js";
import { type Dim, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import type { AttributeValue, OnnxNode } from "../ir/onnx-node.js";
import { type Diagnostic, DiagnosticError, fail } from "../support/diagnostic.js";
import {
  Decline,
  type EvaluateContext,
  type HostValue,
  type LowerContext,
  type NodeContext,
  type OperatorRecord,
  type RankRule,
} from "./record.js";

export function createLowerContext(
  node: OnnxNode,
  b: GraphBuilder,
  inputs: readonly (Value | undefined)[],
): LowerContext {
  const known = (index: number): readonly Dim[] | undefined => {
    const value = inputs[index];
    return value === undefined ? undefined : b.knownDims(value);
  };
  const knownDims = (index: number, what: string): readonly Dim[] | undefined => {
    const dims = known(index);
    if (dims === undefined && inputs[index] !== undefined) dependsOnData(index, what);
    return dims;
  };
  const input = (index: number): Value => inputs[index] ?? missingInput(node, index);
  const dependsOnData = (index: number, what: string): never => {
    throw new Decline(`input ${index} (${what}) depends on data`, input(index));
  };
  return {
    ...createNodeContext(node),
    b,
    inputs,
    input,
    constant: (index) => inputs[index]?.data,
    knownTensor: (index, what) => input(index).data ?? dependsOnData(index, what),
    dims: known,
    knownDims,
    knownInts: (index, what) =>
      knownDims(index, what)?.map((dim) => staticDim(dim, `it is ${what}`)),
    axis(value, rank) {
      const axis = value < 0 ? value + rank : value;
      if (Number.isInteger(axis) && axis >= 0 && axis < rank) return axis;
      return invalid(node, "L0108", `axis ${value} is outside a tensor of rank ${rank}`);
    },
  };
}

/** `inputs`: one per input of the node, then the values that its subgraphs capture. */
export function createEvaluateContext(
  node: OnnxNode,
  inputs: readonly (HostValue | undefined)[],
  runGraph: EvaluateContext["runGraph"],
): EvaluateContext {
  const optionalTensor = (index: number): Tensor | undefined => {
    const value = inputs[index];
    if (value === undefined || isTensor(value)) return value;
    return invalid(node, "L0202", `input ${index} is a ${value.kind} where a tensor is needed`);
  };
  return {
    ...createNodeContext(node),
    inputs,
    optionalTensor,
    runGraph,
    tensorInput: (index) => optionalTensor(index) ?? missingInput(node, index),
  };
}

/** L0201 where the rank of an input is none that the operator takes; undefined: not known, or left out. */
export function requireRanks(
  { ranks = [] }: Pick<OperatorRecord, "ranks">,
  node: OnnxNode,
  given: readonly (number | undefined)[],
): void {
  for (const [index, rule] of ranks.entries()) {
    const rank = given[index];
    if (rule === undefined || rank === undefined) continue;
    const { least, most, wanted } = ranksOf(rule);
    if (rank < least || rank > most) {
      invalid(node, "L0201", `input ${index} has rank ${rank}, it takes ${wanted}`);
    }
  }
}

function ranksOf(rule: RankRule) {
  if (typeof rule === "number") return { least: rule, most: rule, wanted: `rank ${rule}` };
  const least = Number.parseInt(rule, 10);
  if (rule.endsWith("+")) return { least, most: Infinity, wanted: `at least rank ${least}` };
  const most = Number(rule.split("-")[1]);
  return { least, most, wanted: `rank ${least} to ${most}` };
}

export function isTensor(value: HostValue): value is Tensor {
  return "data" in value;
}

/** The same error with the node in every diagnostic that does not name one. */
export function atNode(
  error: DiagnosticError,
  node: Pick<OnnxNode, "name" | "operator">,
): DiagnosticError {
  return new DiagnosticError(
    error.diagnostics.map((d): Diagnostic => {
      if (d.place?.node !== undefined) return d;
      return { ...d, place: { node: node.name, operator: node.operator, ...d.place } };
    }),
  );
}

type AttributeKind = AttributeValue["kind"];
type ValueOf<K extends AttributeKind> = Extract<AttributeValue, { kind: K }>["value"];

function createNodeContext(node: OnnxNode): NodeContext {
  const { outputNames } = node;
  const get = <K extends AttributeKind>(name: string, kind: K): ValueOf<K> | undefined => {
    const attribute = node.attributes.get(name);
    if (attribute === undefined || attribute.kind === kind) {
      return attribute?.value as ValueOf<K> | undefined;
    }
    return invalid(node, "L0108", `attribute ${name} is of type ${attribute.kind}, not ${kind}`);
  };
  /** An empty list has no type of its own in the file. */
  const list = <K extends "ints" | "floats" | "strings">(name: string, kind: K) => {
    const attribute = node.attributes.get(name);
    if (Array.isArray(attribute?.value) && attribute.value.length === 0) return [];
    return get(name, kind);
  };
  const int = (name: string, defaultValue?: number) => {
    const value = get(name, "int");
    return value === undefined ? defaultValue : Number(value);
  };
  const ints = (name: string, defaultValue?: readonly number[]) =>
    list(name, "ints")?.map(Number) ?? defaultValue;
  return {
    node,
    opset: node.opset,
    outputCount: outputNames.length,
    wantsOutput: (index) => (outputNames[index] ?? "") !== "",
    attribute: (name) => node.attributes.get(name),
    int: int as NodeContext["int"],
    float: ((name: string, defaultValue?: number) =>
      get(name, "float") ?? defaultValue) as NodeContext["float"],
    string: ((name: string, defaultValue?: string) =>
      get(name, "string") ?? defaultValue) as NodeContext["string"],
    ints: ints as NodeContext["ints"],
    floats: (name) => list(name, "floats") as readonly number[] | undefined,
    strings: (name) => list(name, "strings") as readonly string[] | undefined,
    tensor: (name) => get(name, "tensor"),
    graph: (name) => get(name, "graph"),
    invalid: (code, message, hint) => invalid(node, code, message, hint),
  };
}

function invalid(
  { name, operator }: Pick<OnnxNode, "name" | "operator">,
  code: "L0108" | "L0201" | "L0202",
  message: string,
  hint?: string,
): never {
  fail(code, message, { place: { node: name, operator }, ...(hint === undefined ? {} : { hint }) });
}

function missingInput({ name, operator }: OnnxNode, index: number): never {
  fail("L0105", `input ${index} is missing`, { place: { node: name, operator } });
}

/** True of values that no core operation takes: unknown strings, and values whose shape depends on data. */
export function isHostOnly(value: Value): boolean {
  return value.unknownShape === true || (value.dtype === "string" && value.data === undefined);
}
