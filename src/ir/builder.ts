/**
 * Builds graphs of core operations: infers shapes and types, folds what is constant, drops what does nothing.
 * The operator records are written against this interface. `createGraphBuilder` is in `build/graph-builder.ts`.
 */
import type { DType } from "../numerics/dtype.js";
import type { EncodeOptions } from "../numerics/float-formats.js";
import type { Lane, LaneBuilder } from "../numerics/lanes.js";
import type { Tensor } from "../numerics/tensor.js";
import type { Dim, DimSymbol } from "./dim.js";
import type {
  ContractOperation,
  ControlOperation,
  Graph,
  Origin,
  Reduction,
  ScanOperation,
  ScatterOperation,
  Value,
  WindowAxis,
} from "./graph.js";
import type { OnnxNode } from "./onnx-node.js";

export type { Lane, LaneBuilder };

export interface GraphBuilder {
  /** Origin of the nodes made from now on. */
  setOrigins(origins: readonly Origin[]): void;

  /** Gives a value the model's name for it. The first name stays; constants and inputs have theirs. */
  name(value: Value, name: string): void;

  /** Without a shape: a value of `unknownShape`, which only host operations take. */
  input(name: string, dtype: DType, shape: readonly Dim[] | undefined): Value;
  /** A name that is taken gets a number. */
  constant(tensor: Tensor, name?: string): Value;
  /** A constant of the given shape (default: rank 0), every element `value` converted to dtype. */
  full(dtype: DType, value: number, shape?: readonly number[]): Value;
  /** An int64 vector of dims: constant where they are all numbers. Rank 0 with `scalar`. */
  dims(elements: readonly Dim[], options?: { readonly scalar?: boolean }): Value;
  /**
   * Elements of an integer value that are known (constants and `dims` values). Of a value that is computed from
   * dims in a way that symbols do not follow, it throws NeedsBinding.
   */
  knownDims(value: Value): readonly Dim[] | undefined;

  /**
   * Elementwise with NumPy broadcasting. `body` gets one lane per input and returns the result lane. With
   * `keep` it stays an operation although its inputs are constant: codes of weights are a fraction of the
   * numbers they stand for.
   */
  map(
    dtype: DType,
    inputs: readonly Value[],
    body: (l: LaneBuilder, ...x: Lane[]) => Lane,
    options?: { readonly keep?: boolean },
  ): Value;
  /** Conversion of type as ONNX Cast defines it. */
  cast(x: Value, dtype: DType, options?: EncodeOptions): Value;

  /** Result drops `axes` (negative allowed); `keepDims` leaves them as 1. */
  reduce(
    x: Value,
    reduction: Reduction,
    axes: readonly number[],
    options?: { readonly keepDims?: boolean },
  ): Value;
  contract(
    a: Value,
    b: Value,
    labels: Omit<ContractOperation, "kind">,
    zeros?: { a?: Value; b?: Value },
  ): Value;
  scan(x: Value, operation: Omit<ScanOperation, "kind">): Value;
  gather(data: Value, indices: Value, axis: number): Value;
  scatter(
    data: Value,
    indices: Value,
    updates: Value,
    axis: number,
    combine: ScatterOperation["combine"],
  ): Value;

  iota(dtype: "i32" | "i64", shape: readonly Dim[], axis: number): Value;
  reshape(x: Value, shape: readonly Dim[]): Value;
  transpose(x: Value, perm: readonly number[]): Value;
  /** To `shape` by NumPy's rule: missing leading dims are added, dims of 1 repeated. */
  broadcast(x: Value, shape: readonly Dim[]): Value;
  /** Per axis of x; `sizes` are the output extents. */
  slice(x: Value, starts: readonly Dim[], sizes: readonly Dim[], steps?: readonly number[]): Value;
  /** One axis only. */
  sliceAxis(x: Value, axis: number, start: Dim, size: Dim, step?: number): Value;
  /** Negative low or high cuts instead (a slice). */
  pad(x: Value, low: readonly number[], high: readonly number[], value: number): Value;
  window(x: Value, axes: readonly WindowAxis[]): Value;
  concat(xs: readonly Value[], axis: number): Value;
  unsqueeze(x: Value, axes: readonly number[]): Value;
  squeeze(x: Value, axes: readonly number[]): Value;

  /** Whether the device computes with elements of that type. */
  computes(dtype: DType): boolean;
  /** A builder for a body of control flow in this graph. */
  inner(): GraphBuilder;

  /** Of the graph, so far. */
  readonly inputs: readonly Value[];
  /** The value itself and all that it is computed from. */
  ancestorsOf(value: Value): ReadonlySet<Value>;

  /** A host node; outputs without a shape get `unknownShape`. */
  host(
    node: OnnxNode,
    reason: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly { name: string; dtype: DType; shape?: readonly Dim[] }[],
  ): readonly Value[];

  /** Control flow over finished bodies; `graph.ts` says which operands it takes. */
  control(op: ControlOperation, inputs: readonly Value[]): readonly Value[];
  /**
   * A new symbol for a number that only a run shows; undefined where none may stay open, as in a body. Throws
   * NeedsBinding later, wherever the number is needed.
   */
  openCount(name: string, max: number): DimSymbol | undefined;

  /** Shape that NumPy broadcasting gives; L0201 where there is none. */
  broadcastShape(...values: readonly Value[]): readonly Dim[];

  finish(name: string, outputs: readonly { name: string; value: Value }[]): Graph;
}
