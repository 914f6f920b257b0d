/**
 * Level 2: the Kernel. A loop nest over tile values in SSA: what phase 4 makes of a fusion group and a plan.
 * No queues, no addresses. A tile value is produced once per iteration of its scope: the loops around its
 * producing statements, less those over which it accumulates. It may be read anywhere inside that scope
 * that comes later in the text. Emission derives queues, publishes and pops from nothing but that.
 *
 * A value that a loop carries is written once before the loop and once in every trip; a trip reads what the one before it
 * wrote, the first what was written before the loop.
 */
import type { DeviceDType } from "../../numerics/dtype.js";
import type { LoadBody, LoopHead, MmaBody, StoreBody, Affine, VecBody } from "../tile.js";

export interface Kernel {
  readonly name: string;
  /** Members along rows and columns that run it; at most the machine's. */
  readonly grid: { readonly rows: number; readonly columns: number };
  /** Number of runtime scalars that it reads; the launch says what they are. */
  readonly scalarCount: number;
  readonly bindings: readonly KernelBinding[];
  readonly values: readonly TileValue[];
  readonly body: readonly KernelNode[];
  /** Roles that statements play; a launch maps each to ONNX nodes. */
  readonly roles: readonly string[];
}

export interface KernelBinding {
  readonly name: string;
  readonly dtype: DeviceDType;
  readonly elements: number;
  readonly access: "read" | "write" | "shared";
}

export interface TileValue {
  readonly name: string;
  readonly space: "l1" | "accumulator";
  readonly dtype: DeviceDType;
  /** Elements of one slot, at the maximum of every extent. */
  readonly elements: number;
  /** Slots: 2 is double buffering, the least for a value that is carried. */
  readonly depth: number;
  /** Id of the temporal loop that carries it from trip to trip. */
  readonly carried?: number;
}

export type KernelNode = KernelLoop | KernelStatement;

export interface KernelLoop {
  readonly kind: "loop";
  readonly head: LoopHead;
  readonly body: readonly KernelNode[];
}

export interface KernelStatement {
  readonly kind: "statement";
  readonly body: KernelBody;
  /** Load or store channel; 0 on the other engines. */
  readonly channel: number;
  /** Software pipelining: runs `by` trips of that loop late. */
  readonly stage?: { readonly loop: number; readonly by: number };
  readonly role: number;
}

/** A tile value, from the element `offset` of its slot on. */
export interface TileOperand {
  readonly value: number;
  readonly offset: Affine;
}

/**
 * Ids of the loops over which a statement accumulates (`clear`, `init`: begins on the first trip of all of them,
 * the value is complete after the last of all) or which a segment spans (`fold`: after the last of all).
 */
export type Spanned = readonly number[];

export type KernelBody =
  | LoadBody<TileOperand, TileOperand>
  | StoreBody<TileOperand>
  | MmaBody<TileOperand, TileOperand, Spanned>
  | VecBody<TileOperand, TileOperand, Spanned>;
