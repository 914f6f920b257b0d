/** What phases 4, 5 and 6 hand on: storages, kernels, steps. */
import type { Dim } from "../ir/dim.js";
import type { Graph, Node, Origin, Value } from "../ir/graph.js";
import type { Kernel, KernelBinding } from "../ir/kernel/kernel.js";
import type { DecisionRecord } from "../isa/executable.js";
import type { DeviceDType } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";

export interface StorageRoot {
  readonly id: number;
  readonly name: string;
  readonly dtype: DeviceDType;
  readonly elements: number;
  readonly kind: "input" | "output" | "constant" | "temporary";
  /** Constants: the tensor and the order in which its dims are stored. */
  readonly contents?: { readonly tensor: Tensor; readonly order: readonly number[] };
}

/** A view of a root: element [i..] of the value is at offset + sum of i * stride. */
export interface Storage {
  readonly root: StorageRoot;
  readonly offset: number;
  readonly shape: readonly Dim[];
  readonly strides: readonly number[];
  /** Room that the dims have in the root: the maximum of `shape`, or the whole of a concat. */
  readonly extents: readonly number[];
  /** Coordinates at which the view begins where they are known only at run time (parts of a concat). */
  readonly origins?: readonly Dim[];
}

/** A kernel with what it needs from outside: which storage each binding is, what each scalar stands for. */
export interface WrittenKernel {
  readonly kernel: Kernel;
  readonly bindings: readonly BoundStorage[];
  readonly scalars: readonly Dim[];
  readonly origins: readonly (readonly Origin[])[];
}

export interface BoundStorage {
  readonly storage: Storage;
  readonly access: KernelBinding["access"];
}

/** What phase 4 makes: steps in order, and where every value lies. */
export interface TiledGraph {
  readonly graph: Graph;
  readonly steps: readonly TiledStep[];
  readonly roots: readonly StorageRoot[];
  /** What was decided on the way. */
  readonly records: readonly DecisionRecord[];
  /** Storage of every value that has one. */
  storage(value: Value): Storage | undefined;
  /** What a body takes from outside, as the value that it is there; other values as they are. */
  source(value: Value): Value;
}

export type TiledStep =
  | {
      readonly kind: "launch";
      readonly written: WrittenKernel;
      readonly plan: string;
      readonly origins: readonly Origin[];
    }
  | { readonly kind: "host"; readonly node: Node }
  /** A value that a host node made, or that is known only as dims, is needed on the device. */
  | { readonly kind: "upload"; readonly value: Value }
  /** A value of the device that a host node in a body to come reads. */
  | { readonly kind: "download"; readonly value: Value }
  | TiledIf
  | TiledLoop;

export interface TiledIf {
  readonly kind: "if";
  readonly node: Node;
  readonly bodies: readonly (readonly TiledStep[])[];
}

export interface TiledLoop {
  readonly kind: "loop";
  readonly node: Node;
  readonly bodies: readonly (readonly TiledStep[])[];
  /** By state: the roots that it has by turns, the first before the first trip; absent: it is on the host. */
  readonly states: readonly (readonly [StorageRoot, StorageRoot] | undefined)[];
  /** By scan: the root that its parts are written to; absent: it is collected on the host. */
  readonly scans: readonly (StorageRoot | undefined)[];
}

/** Every step, each before those of its bodies. */
export function everyTiledStep(steps: readonly TiledStep[]): readonly TiledStep[] {
  return steps.flatMap((step) =>
    step.kind === "if" || step.kind === "loop"
      ? [step, ...step.bodies.flatMap(everyTiledStep)]
      : [step],
  );
}

/** With an address for every root, in the order of `tiled.roots`. */
export interface PlacedGraph {
  readonly tiled: TiledGraph;
  readonly offsetsBytes: readonly number[];
  readonly sizesBytes: readonly number[];
  readonly memoryBytes: number;
}
