/**
 * What the compiler hands to the runtime: programs, constants, where every buffer lies in device memory, and a
 * schedule of steps. Plain data; `isa/elf.ts` writes it as one ELF64 file and reads it back.
 */
import type { DType, DeviceDType } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import type { Program } from "./program.js";
import type { Dim, DimSymbol } from "../ir/dim.js";
import type { Graph, LoopScan, Origin } from "../ir/graph.js";

export interface Executable {
  readonly name: string;
  /** Name and content hash of the machine that it was compiled for. */
  readonly machine: { readonly name: string; readonly hash: string };
  readonly symbols: readonly DimSymbol[];
  readonly programs: readonly Program[];
  readonly buffers: readonly DeviceBuffer[];
  /** Bytes of device memory in all: max over buffers of offset + size. */
  readonly memoryBytes: number;
  /** Contents of the constant buffers, concatenated; a buffer says where its part begins. */
  readonly constants: Uint8Array;
  readonly inputs: readonly Port[];
  /** Inputs that are none to the program: it was made for these values, and takes no others. */
  readonly boundInputs: readonly BoundInput[];
  readonly outputs: readonly Port[];
  /**
   * Nodes of the model, by their number in its graph, that a later part of the run computes: shapes of theirs depend
   * on data. What they read of the nodes before them is among the outputs.
   */
  readonly later: readonly number[];
  readonly steps: readonly Step[];
  /** Decisions with their reasons: host fallbacks, bindings of dims, lost fusions, chosen tiles. */
  readonly records: readonly DecisionRecord[];
}

export interface DeviceBuffer {
  readonly name: string;
  readonly dtype: DeviceDType;
  readonly elements: number;
  readonly offsetBytes: number;
  readonly sizeBytes: number;
  readonly kind: "input" | "output" | "constant" | "temporary";
  /** Constants only: where the contents begin in `constants`. */
  readonly constantOffset?: number;
}

/** An input or output of the model: what the caller sees and where it lies on the device or the host. */
export interface Port {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly Dim[];
  /** Rank known, shape known only after the run. */
  readonly unknownShape?: true;
  readonly location: HostTensorRef | DeviceTensorRef;
  /** Inputs that were narrowed to int32: the largest magnitude of an element that the executable takes. */
  readonly limit?: number;
  /** True for inputs that default to an initializer. */
  readonly optional?: true;
}

export interface BoundInput {
  readonly name: string;
  readonly value: Tensor;
}

/** A tensor in device memory: strides in elements, laid out for the maximum of every dim. */
export interface DeviceTensorRef {
  readonly where: "device";
  readonly buffer: number;
  readonly offset: number;
  readonly dtype: DeviceDType;
  readonly shape: readonly Dim[];
  readonly strides: readonly number[];
}

/** A tensor that the runtime holds on the host between steps, by slot number. */
export interface HostTensorRef {
  readonly where: "host";
  readonly slot: number;
}

export type Step =
  | LaunchStep
  /**
   * Device to host or back, with conversion between the outer and the device's type (int64 <-> int32 checked). From
   * host to host a slot takes the value of another.
   */
  | CopyStep
  /** A piece of the graph evaluated on the host: inputs and outputs are host slots, by value name. */
  | HostStep
  | IfStep
  | LoopStep;

export type TensorRef = DeviceTensorRef | HostTensorRef;

export interface CopyStep {
  readonly kind: "copy";
  readonly from: TensorRef;
  readonly to: TensorRef;
  readonly dtype: DType;
}

export interface LaunchStep {
  readonly kind: "launch";
  readonly program: number;
  /** Per binding of the program: a buffer and the element where the binding begins. */
  readonly bindings: readonly { readonly buffer: number; readonly offset: number }[];
  /** Runtime scalars: dims evaluated at launch. */
  readonly scalars: readonly Dim[];
  /** Per role of the program: the ONNX nodes. */
  readonly origins: readonly (readonly Origin[])[];
  /** Text of the plan that the kernel was made from. */
  readonly plan: string;
}

export interface HostStep {
  readonly kind: "host";
  readonly graph: Graph;
  readonly inputs: readonly { readonly name: string; readonly slot: number }[];
  readonly outputs: readonly { readonly name: string; readonly slot: number }[];
  readonly reason: string;
}

/** The steps of one body of two: the first where the condition (a bool of one element) holds. */
export interface IfStep {
  readonly kind: "if";
  readonly condition: TensorRef;
  readonly bodies: readonly (readonly Step[])[];
  readonly origins: readonly Origin[];
}

/** The steps of one body, again and again; `LoopOperation` of `ir/graph.ts` says how often. */
export interface LoopStep {
  readonly kind: "loop";
  /** Name of the symbol that is the number of the trip in the body's steps. */
  readonly index: string;
  readonly trips?: Dim;
  /** Where the condition stands before the first trip, and after each. */
  readonly condition?: { readonly first: TensorRef; readonly next: TensorRef };
  readonly bodies: readonly (readonly Step[])[];
  /** Pairs of buffers that change places after every trip: what one was is the other's contents from then on. */
  readonly exchanged: readonly (readonly [number, number])[];
  /** Slots that take the values of others after every trip, all at once. */
  readonly carried: readonly { readonly from: number; readonly to: number }[];
  /** Slots whose values of all trips are joined in another one when the loop has ended. */
  readonly collected: readonly CollectedSlot[];
  /** Name of the symbol that is the number of trips from then on. */
  readonly count?: string;
  readonly origins: readonly Origin[];
}

export interface CollectedSlot extends LoopScan {
  readonly from: number;
  readonly to: number;
  /** Of the whole. */
  readonly dtype: DType;
  readonly shape: readonly Dim[];
}

/** Every step, each before those of its bodies. */
export function everyStep(steps: readonly Step[]): readonly Step[] {
  return steps.flatMap((step) =>
    step.kind === "if" || step.kind === "loop" ? [step, ...step.bodies.flatMap(everyStep)] : [step],
  );
}

export interface DecisionRecord {
  readonly what: "device" | "host" | "bound-dim" | "bound-input" | "later" | "loop" | "precision";
  readonly why: string;
  readonly origins: readonly Origin[];
  /** Cost in the unit that `why` names, where it was weighed. */
  readonly cost?: number;
  /** What would change it, where that is known. */
  readonly remedy?: string;
  /** Host regions that could run on the device: what either way costs, as the compiler estimates it. */
  readonly estimate?: {
    readonly deviceSeconds: number;
    readonly deviceCopySeconds: number;
    readonly hostSeconds: number;
    readonly hostCopySeconds: number;
  };
}
