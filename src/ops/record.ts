/**
 * What one ONNX operator is: one record says everything about it. `table.ts` lists the records.
 *
 * `lower` writes the operator in core operations; the builder infers shapes, folds what is constant and
 * carries symbolic dims. That alone gives the shape rule, the accelerator's code and the host's evaluation (the
 * same lowering with constant inputs folds to the result). `evaluate` is for operators, or forms of them,
 * that core operations cannot express (NonZero, strings, NMS).
 */
import type { DType } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import type { GraphBuilder } from "../ir/builder.js";
import type { Dim } from "../ir/dim.js";
import type { Graph, Value } from "../ir/graph.js";
import type { AttributeValue, OnnxNode, SubgraphTemplate } from "../ir/onnx-node.js";

export interface OperatorRecord {
  readonly name: string;
  /** "" is ai.onnx. */
  readonly domain: string;
  /** First opset version of the domain that this record is right for. */
  readonly since: number;
  /** Last one, where a later record of the same name differs. */
  readonly until?: number;
  /** Names and meaning in ONNX's words where they differ, or limits, for the supported-operators page. */
  readonly note?: string;
  /** ONNX leaves the generator of random numbers to the runtime: two correct ones give different values. */
  readonly isRandom?: true;
  /** Ranks of the inputs, by position, where the operator does not take any. */
  readonly ranks?: readonly (RankRule | undefined)[];
  /** Output values, one per output of the node (undefined for outputs that are not asked for). */
  readonly lower?: (context: LowerContext) => Lowered;
  /** Reference evaluation on tensors, for what `lower` declines or where there is none. */
  readonly evaluate?: (context: EvaluateContext) => readonly (HostValue | undefined)[];
  /** Types of the outputs of a node that only `evaluate` runs; absent: known when it has run. */
  readonly infer?: (context: LowerContext) => readonly (HostType | undefined)[];
}

/** That rank, ("3+") at least that, or ("1-2") from one to another. */
export type RankRule = number | `${number}+` | `${number}-${number}`;

/** What flows between host operations: tensors, and ONNX's sequences, optionals and maps. */
export type HostValue =
  | Tensor
  | { readonly kind: "sequence"; readonly elementType: DType; readonly items: readonly HostValue[] }
  | { readonly kind: "optional"; readonly item: HostValue | undefined }
  | HostMap;

/** Vectors of the same length: keys (i64 or strings) and what each stands for. */
export interface HostMap {
  readonly kind: "map";
  readonly keys: Tensor;
  readonly values: Tensor;
}

export interface HostType {
  readonly dtype: DType;
  /** Absent where the shape depends on data. */
  readonly shape?: readonly Dim[];
}

/** What an operator becomes; undefined for outputs that it does not have. */
export type Lowered = readonly (Value | undefined)[];

/** Thrown by `lower` to say why this form runs on the host instead. */
export class Decline extends Error {
  readonly reason: string;
  /** The value that would have to be known: with it, the form can be lowered. */
  readonly needs?: Value;
  /** What the node becomes where that value is not to be had, if not a host operation. */
  readonly otherwise?: () => Lowered;

  constructor(reason: string, needs?: Value, otherwise?: () => Lowered) {
    super(reason);
    this.reason = reason;
    if (needs !== undefined) this.needs = needs;
    if (otherwise !== undefined) this.otherwise = otherwise;
  }
}

export interface NodeContext {
  readonly node: OnnxNode;
  /** Version of the node's domain. */
  readonly opset: number;
  /** How many outputs the node lists, and whether output `index` is asked for (listed with a name). */
  readonly outputCount: number;
  wantsOutput(index: number): boolean;
  /** Attributes with their defaults; a wrong type is an L0108. `attribute` gives the raw one. */
  attribute(name: string): AttributeValue | undefined;
  int(name: string, defaultValue: number): number;
  int(name: string): number | undefined;
  float(name: string, defaultValue: number): number;
  float(name: string): number | undefined;
  string(name: string, defaultValue: string): string;
  string(name: string): string | undefined;
  ints(name: string, defaultValue: readonly number[]): readonly number[];
  ints(name: string): readonly number[] | undefined;
  floats(name: string): readonly number[] | undefined;
  strings(name: string): readonly string[] | undefined;
  tensor(name: string): Tensor | undefined;
  graph(name: string): SubgraphTemplate | undefined;
  /** Throws a diagnostic at this node: L0201 for shapes, L0202 for types, L0108 for attributes. */
  invalid(code: "L0108" | "L0201" | "L0202", message: string, hint?: string): never;
}

export interface LowerContext extends NodeContext {
  readonly b: GraphBuilder;
  readonly inputs: readonly (Value | undefined)[];
  /** Input that must be there; its absence is an L0105. */
  input(index: number): Value;
  /** Data of an input that is constant; undefined if it is absent or not constant. */
  constant(index: number): Tensor | undefined;
  /** Data of an input that must be there and constant; declines with `what` if it depends on data. */
  knownTensor(index: number, what: string): Tensor;
  /** Elements of an integer input that are known, as numbers or dims; undefined if it is absent or depends on data. */
  dims(index: number): readonly Dim[] | undefined;
  /** As `dims`, but declines with `what` if the input is there and depends on data. */
  knownDims(index: number, what: string): readonly Dim[] | undefined;
  /** As `knownDims`, numbers only (symbols get bound). */
  knownInts(index: number, what: string): readonly number[] | undefined;
  /** A negative axis counted from the end, checked: L0108 if out of range. */
  axis(value: number, rank: number): number;
}

export interface EvaluateContext extends NodeContext {
  readonly inputs: readonly (HostValue | undefined)[];
  /** Tensor input that must be there. */
  tensorInput(index: number): Tensor;
  optionalTensor(index: number): Tensor | undefined;
  /** Evaluates the graph of a subgraph's body: its outputs, in order. */
  runGraph(graph: Graph, inputs: ReadonlyMap<string, HostValue>): readonly HostValue[];
}
