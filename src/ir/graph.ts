/**
 * Level 1: the Graph. Tensors and about a dozen core operations; what ONNX's two hundred operators become
 * at import. Plain data: `builder.ts` makes it, `verify.ts` checks it, `text/` is its text form,
 * `evaluate/` its meaning.
 *
 * What every operation means for floats, to the bit, is said here, and no later phase may change it.
 * A value of f16, bf16 or f8 is rounded when it is produced.
 */
import type { DType } from "../numerics/dtype.js";
import type { EncodeOptions } from "../numerics/float-formats.js";
import type { LaneProgram } from "../numerics/lane.js";
import type { Tensor } from "../numerics/tensor.js";
import type { Dim, DimSymbol } from "./dim.js";
import type { OnnxNode } from "./onnx-node.js";

export interface Graph {
  readonly name: string;
  readonly symbols: readonly DimSymbol[];
  readonly inputs: readonly Value[];
  /** `name` is what the caller knows the output by; several may name one value. */
  readonly outputs: readonly { readonly name: string; readonly value: Value }[];
  /** In an order in which every value is produced before it is used. */
  readonly nodes: readonly Node[];
}

/** A tensor: an input, a constant or the result of one node. Identity is the object. */
export interface Value {
  /** Unique in its graph; the ONNX name where it has one. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  /** Present on constants: the value itself (`shape` is then numbers). */
  readonly data?: Tensor;
  /** Present on integer vectors and scalars whose elements are known only as dims. */
  readonly dims?: readonly Dim[];
  /** The shape depends on data (it follows a NonZero, say): `shape` is empty and only the host may use it. */
  readonly unknownShape?: true;
  /**
   * On inputs that were narrowed to int32: the largest magnitude of an element for which the graph is right.
   * Checked before a run; one with larger elements has to be computed in the model's own types.
   */
  readonly limit?: number;
  /** Order of the dims in memory, outermost first; absent: row-major. Set by the layout pass. */
  readonly layout?: readonly number[];
}

export interface Node {
  readonly op: Operation;
  readonly inputs: readonly Value[];
  readonly outputs: readonly Value[];
  /** The ONNX nodes that this one came from. */
  readonly origins: readonly Origin[];
}

export interface Origin {
  /** The node's name in the model, or the name of its first output where it has none. */
  readonly node: string;
  readonly operator: string;
}

export type Operation =
  | IotaOperation
  | ReshapeOperation
  | TransposeOperation
  | BroadcastOperation
  | SliceOperation
  | PadOperation
  | WindowOperation
  | ConcatOperation
  | MapOperation
  | ReduceOperation
  | ContractOperation
  | GatherOperation
  | ScatterOperation
  | ScanOperation
  | ControlOperation
  | HostOperation;

/** Operations that run graphs of their own. */
export type ControlOperation = IfOperation | LoopOperation;

export type OperationKind = Operation["kind"];

/** () -> int32: each element is its index along `axis` of the output's shape. */
export interface IotaOperation {
  readonly kind: "iota";
  readonly axis: number;
}

/** (x): same elements in row-major order, the output's shape. */
export interface ReshapeOperation {
  readonly kind: "reshape";
}

/** (x): output dim i is input dim perm[i]. */
export interface TransposeOperation {
  readonly kind: "transpose";
  readonly perm: readonly number[];
}

/** (x): same rank; dims of 1 are repeated to the output's shape. */
export interface BroadcastOperation {
  readonly kind: "broadcast";
}

/** (x): element i of axis a is input element start[a] + i * step[a]; step may be negative, never 0. */
export interface SliceOperation {
  readonly kind: "slice";
  readonly starts: readonly Dim[];
  readonly steps: readonly number[];
}

/** (x): `low[a]` elements of `value` before, `high[a]` after; both at least 0. */
export interface PadOperation {
  readonly kind: "pad";
  readonly low: readonly number[];
  readonly high: readonly number[];
  readonly value: number;
}

/**
 * (x): for each entry the input's axis is replaced by the number of positions, and one axis of `size` is
 * appended at the end, in order of the entries: out[.., p, .., k] = x[.., p * stride + k * dilation, ..].
 * Positions = floor((extent - (size - 1) * dilation - 1) / stride) + 1.
 */
export interface WindowOperation {
  readonly kind: "window";
  readonly axes: readonly WindowAxis[];
}

export interface WindowAxis {
  readonly axis: number;
  readonly size: number;
  readonly stride: number;
  readonly dilation: number;
}

export interface ConcatOperation {
  readonly kind: "concat";
  readonly axis: number;
}

/**
 * (x0, x1, ..): one element at a time, inputs broadcast to the output by NumPy's rule. Floats enter fp32
 * registers, integers int32 registers, bool a mask. On the host i64 and f64 compute at their own width.
 * A result in an fp32 register is rounded to the output's type; an int32 one is stored in its low bits;
 * a mask is stored as bool.
 */
export interface MapOperation {
  readonly kind: "map";
  readonly program: LaneProgram;
  /** How f8 results are rounded, where not as by default (saturating). Such a map stays on the host. */
  readonly encode?: EncodeOptions;
}

/**
 * (x): `axes` are removed. The reduced elements are taken in row-major order of the axes as listed ascending.
 * - sum, prod of floats: 16 partials (start +0 or 1), element i into partial i mod 16 in increasing i, then
 *   p[j] op p[j+8], +4, +2, +1.
 * - seqsum of floats: starts at +0, elements added one by one, in order.
 * - max, min: IEEE maximum/minimum; start -inf/+inf (integers: the type's smallest/largest).
 * - and, or: of masks. Integers: any order, wrapping.
 * - argmax, argmin: int32 index (row-major over the axes) of the first extreme element; a NaN counts as extreme.
 */
export interface ReduceOperation {
  readonly kind: "reduce";
  readonly reduction: Reduction;
  readonly axes: readonly number[];
}

export type Reduction =
  | "sum"
  | "prod"
  | "seqsum"
  | "max"
  | "min"
  | "and"
  | "or"
  | "argmax"
  | "argmin";

/**
 * (a, b[, zeroA, zeroB]): out[o] = sum over the labels of `order` of a[..] * b[..]. Each operand's axes carry
 * one-letter labels, unique per operand. A label in `out` comes from a, b or both; all others stand in `order`
 * and in both a and b.
 *
 * Order of accumulation (floats, accumulated in fp32): order[0] is cut in blocks of 64; within a block the
 * labels order[1..] vary slower than order[0], order[1] slowest. Whole blocks form segments of at most 128
 * positions (at least one block); a segment starts at +0 and adds rounded products one by one; segment sums
 * are added in order. An empty contraction is +0. The output is f32, rounded by a following map if need be.
 * The builder puts labels of extent 1 last (see {@link canonicalOrder}), so that order[0] is one that varies.
 * Integers: int32 result, (a - zeroA) * (b - zeroB) wrapping; the zero points are scalars or vectors along
 * b's only non-contracted label (zeroB).
 */
export interface ContractOperation {
  readonly kind: "contract";
  readonly a: string;
  readonly b: string;
  readonly out: string;
  readonly order: string;
}

/**
 * (data, indices): axis `axis` of data is replaced by the axes of indices (int32 or int64). A negative index
 * counts from the end. Out of range is a fault on the device, an error on the host.
 */
export interface GatherOperation {
  readonly kind: "gather";
  readonly axis: number;
}

/**
 * (data, indices, updates): copy of data, then for each position p of `indices` (rank r, in row-major order)
 * out[p with p[axis] = indices[p]] combined with updates[p]. The ScatterElements form; others are lowered to it.
 */
export interface ScatterOperation {
  readonly kind: "scatter";
  readonly axis: number;
  readonly combine: "assign" | "add" | "mul" | "min" | "max";
}

/**
 * (x): running value along one axis, one element after the other, starting at +0 (1 for prod).
 * `exclusive`: the value before the element; `reverse`: from the end.
 */
export interface ScanOperation {
  readonly kind: "scan";
  readonly axis: number;
  readonly combine: "sum" | "prod" | "max" | "min";
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/**
 * (condition, what the first body takes, what the second takes): the outputs of the first body where the condition
 * (a bool of one element) holds, else those of the second. Both have outputs of the same types.
 */
export interface IfOperation {
  readonly kind: "if";
  /** Two. */
  readonly bodies: readonly Graph[];
}

/**
 * ([condition,] states.., captured..): runs the body, which takes (states.., captured..) and gives
 * ([condition,] states.., scanned..), again and again. A state that the body gives is what its next trip takes; states
 * keep their types. Results are the last states, then per scan the body's outputs joined along the scan's axis.
 *
 * There are at most `trips` trips, and with `condition` only as long as it holds (a bool of one element, looked at
 * before every trip). Without either there is no end. In the body the symbol `index` is the number of the trip.
 */
export interface LoopOperation {
  readonly kind: "loop";
  readonly index: DimSymbol;
  readonly trips?: Dim;
  readonly condition: boolean;
  readonly states: number;
  readonly scans: readonly LoopScan[];
  /** Bound when the loop has ended: how many trips there were. Extents of what a conditional loop scans depend on it. */
  readonly count?: DimSymbol;
  /** One. */
  readonly bodies: readonly Graph[];
}

export interface LoopScan {
  readonly axis: number;
  /** The first trip gives the last part. Only without condition. */
  readonly reverse: boolean;
}

/**
 * (the inputs that are not left out, then the values that its subgraphs capture, in the order of their
 * templates' `captures`): an ONNX node that has no lowering here, evaluated on the host by its operator record.
 * Its outputs are those of the node's that have a name.
 */
export interface HostOperation {
  readonly kind: "host";
  readonly node: OnnxNode;
  readonly reason: string;
}

export function isControl(op: Operation): op is ControlOperation {
  return op.kind === "if" || op.kind === "loop";
}

/** Positions per block of the blocked contraction label, and per segment at most. */
export const contractBlock = 64;
export const contractSegment = 128;
/** Partial sums of a floating reduction. */
export const reducePartials = 16;
