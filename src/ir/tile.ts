/**
 * What kernels and programs share: affine expressions, counts, walks and the bodies of the instructions.
 * A body is generic in how its operands are named. A Kernel names tile values (kernel/kernel.ts) and says over which
 * loops something accumulates; a Program names queues with publish and pop (isa/program.ts) and conditions. So an
 * instruction has one meaning, in semantics/, for the kernel evaluator and for the reference simulator.
 *
 * All strides and offsets count elements, all intervals are half-open.
 */
import type { DeviceDType } from "../numerics/dtype.js";
import type { LaneProgram } from "../numerics/lane.js";

/** constant + sum of coefficient * term. An extent is that of the current (perhaps ragged) trip. */
export interface Affine {
  readonly constant: number;
  readonly terms: readonly AffineTerm[];
}

export interface AffineTerm {
  readonly coefficient: number;
  readonly of: "scalar" | "index" | "extent";
  /** Number of the runtime scalar, or id of an enclosing loop. */
  readonly id: number;
}

/** The value, clamped to [0, max]. Static where `value` has no terms. */
export interface Count {
  readonly value: Affine;
  readonly max: number;
}

/**
 * A loop over the range [start, total) by `step`: trip t has index start + t * step and
 * extent min(step, total - index). total = min over `total`, clamped to [minTotal, maxTotal].
 * Start is never negative. A temporal loop runs its trips one after the other. A spatial loop gives
 * trip t to the members whose coordinate is t (row, column, or row * columns + column); members without a trip
 * skip the body. Spatial loops enclose everything they concern: a temporal loop never contains one.
 */
export interface LoopHead {
  readonly id: number;
  /** For people: "m", "oh", "k". */
  readonly name: string;
  readonly over: "time" | "rows" | "columns" | "members";
  readonly start: Affine;
  readonly total: readonly Affine[];
  readonly minTotal: number;
  readonly maxTotal: number;
  readonly step: number;
}

/** Place in a binding (a range of device memory that the launch supplies). */
export interface MemoryOperand {
  readonly binding: number;
  readonly offset: Affine;
}

/** One axis of a transfer between memory and a slot. At position i: memory + i * memoryStride, slot + i * slotStride. */
export interface TransferAxis {
  readonly count: Count;
  readonly memoryStride: number;
  readonly slotStride: number;
  /**
   * Position i is inside iff 0 <= origin + i * step < limit. Outside, a load fills and a store does nothing.
   * The limit is a count, so that its maximum bounds the walk whatever the runtime scalars are.
   */
  readonly clip?: { readonly origin: Affine; readonly step: number; readonly limit: Count };
}

/**
 * One axis takes its position in memory from a slot of int32: at position i the memory offset is
 * index[i] * memoryStride instead of i * memoryStride. An index outside [0, extent) fills (a store drops it)
 * and sets the launch's fault.
 */
export interface IndexOperand<S> {
  readonly axis: number;
  readonly source: S;
  /** Stride of the index slot per transfer axis, in elements. */
  readonly strides: readonly number[];
  readonly extent: Count;
}

/** Which members get the result of an instruction with a destination slot. Absent: the member itself. */
export type Delivery =
  /** Every member along the spatial loop gets the same data; the walk may not depend on that loop. */
  | { readonly kind: "multicast"; readonly loop: number }
  /** The member at `by` (+1 or -1) along rows or columns gets it, at the edge nobody unless `wrap`. */
  | {
      readonly kind: "neighbour";
      readonly axis: "rows" | "columns";
      readonly by: 1 | -1;
      readonly wrap: boolean;
    }
  /** All members along the spatial loop get one slot, each filling its part of it. */
  | { readonly kind: "gather"; readonly loop: number };

/** Memory to slot. At most 5 axes. The value is converted to the slot's type. */
export interface LoadBody<S, D> {
  readonly op: "load";
  readonly axes: readonly TransferAxis[];
  readonly memory: MemoryOperand;
  readonly dest: D;
  readonly fill: number;
  readonly index?: IndexOperand<S>;
  /** value = (stored - zero) * scale in fp32, each read by its own walk over the same axes. */
  readonly dequantize?: { readonly scale: MemoryWalk; readonly zero?: MemoryWalk };
  readonly delivery?: Delivery;
}

export interface MemoryWalk {
  readonly memory: MemoryOperand;
  /** Per transfer axis. */
  readonly strides: readonly number[];
}

/** Slot to memory. With `index` a scatter: positions are applied in row-major order, combined as said. */
export interface StoreBody<S> {
  readonly op: "store";
  readonly axes: readonly TransferAxis[];
  readonly memory: MemoryOperand;
  readonly source: S;
  readonly index?: IndexOperand<S>;
  readonly combine?: "add" | "mul" | "min" | "max";
}

/**
 * acc[g, m, n] += sum over k of a[g, m, k] * b[g, k, n], the k axes in the order listed, the first slowest.
 * Axes: g at most 1, m at most 2, n at most 2, k at most 3.
 *
 * A float accumulator cell holds a sum and an open segment, both fp32. `clear` sets both to +0 before; products
 * are rounded and added one by one to the open segment; `fold` then adds the segment to the sum and sets
 * it to +0. Reading an accumulator gives the sum. Integers: int32, (a - zeroA) * (b - zeroB), wrapping;
 * `fold` has no effect.
 */
export interface MmaBody<S, D, C> {
  readonly op: "mma";
  readonly axes: readonly MmaAxis[];
  readonly a: S;
  readonly b: S;
  readonly zeroA?: { readonly source: S; readonly strides: readonly number[] };
  readonly zeroB?: { readonly source: S; readonly strides: readonly number[] };
  readonly dest: D;
  readonly clear: C;
  readonly fold: C;
}

export interface MmaAxis {
  readonly role: "g" | "m" | "n" | "k";
  readonly count: Count;
  readonly strideA: number;
  readonly strideB: number;
  /** 0 on k axes. */
  readonly strideC: number;
}

/**
 * Runs a lane program at every position of its axes (at most 5), in row-major order. Inputs (at most 8) are read
 * from slots, converted to the register's type (floats to fp32, integers to int32, bool to a mask); outputs
 * (at most 3) are written to slots, converted to the slot's type (floats rounded to nearest even, f8
 * saturating; integers low bits; bool: 1 where not 0).
 */
export interface VecBody<S, D, C> {
  readonly op: "vec";
  readonly axes: readonly VecAxis[];
  readonly inputs: readonly { readonly source: S; readonly strides: readonly number[] }[];
  readonly program: LaneProgram;
  readonly carries: readonly VecCarry<D, C>[];
  /** Output i takes program.results[i]. Results beyond the outputs feed the carries. */
  readonly outputs: readonly VecOutput<D, C>[];
}

export interface VecAxis {
  /** Parallel axes come first; `scan` (at most one, last) runs in order with carried registers. */
  readonly kind: "parallel" | "reduce" | "scan";
  readonly count: Count;
  /** Value of the lane op `index` at position 0; it counts up by one. */
  readonly base: Affine;
}

export interface VecOutput<D, C> {
  readonly dest: D;
  /** Per axis; 0 on reduce axes of a reduced output. */
  readonly strides: readonly number[];
  readonly reduce?: {
    readonly reduction: "sum" | "prod" | "seqsum" | "max" | "min" | "and" | "or";
    /**
     * Row-major number of the first reduced element, for the partial it goes to: element i of floating
     * sum and prod goes into partial (phase + i) mod 16. Compilers keep chunks in order.
     */
    readonly phase: Affine;
    /** Start from the identity; otherwise go on from what the unpublished slot holds. */
    readonly init: C;
    /**
     * Leave floating sum and prod as 16 partials, `partialStride` apart, to be gone on with or folded by a
     * later reduce over those 16. Without it the folded result is written. Needed if `init` is not always.
     */
    readonly partialStride?: number;
  };
}

/** A register carried along the scan axis (lane op `carry`), kept between instructions in a slot. */
export interface VecCarry<D, C> {
  /** program.results index whose value is the register's next value. */
  readonly next: number;
  readonly initial: number;
  readonly type: "f32" | "i32";
  /** Where it is kept between instructions, one cell per parallel position; absent: starts anew. */
  readonly state?: { readonly dest: D; readonly strides: readonly number[]; readonly init: C };
}

export function constantAffine(constant: number): Affine {
  return { constant, terms: [] };
}

export function variableAffine(of: AffineTerm["of"], id: number): Affine {
  return { constant: 0, terms: [{ coefficient: 1, of, id }] };
}

/** a + b * scale. */
export function addAffine(a: Affine, b: Affine, scale = 1): Affine {
  const terms = [...a.terms];
  for (const t of b.terms) {
    const at = terms.findIndex((x) => x.of === t.of && x.id === t.id);
    const coefficient = t.coefficient * scale + (at < 0 ? 0 : terms[at]!.coefficient);
    if (at < 0) terms.push({ ...t, coefficient });
    else terms[at] = { ...t, coefficient };
  }
  return {
    constant: a.constant + b.constant * scale,
    terms: terms.filter((t) => t.coefficient !== 0),
  };
}

export function scaleAffine(a: Affine, scale: number): Affine {
  return addAffine(constantAffine(0), a, scale);
}

export function staticCount(count: number): Count {
  return { value: constantAffine(count), max: count };
}

export function isStatic(value: Affine): boolean {
  return value.terms.length === 0;
}

export const tileLimits = {
  loopDepth: 8,
  transferAxes: 5,
  vecAxes: 5,
  vecInputs: 8,
  vecOutputs: 3,
  vecCarries: 4,
  consumers: 4,
  scalars: 16,
} as const;

export type { DeviceDType };
