/**
 * What a machine is: every figure that the compiler, the simulators and the planner read, with its unit in its
 * name. Nothing in them is a hard-wired size, so a new machine is a new file in `machines/`.
 * Shape and ranges of a description are checked by `schema.ts`, sense by `validate.ts`.
 *
 * A device is described so that code can be compiled for it and run in time; a roofline machine only so that
 * planning results can be held against published measurements.
 */

import type { DeviceDType } from "../numerics/dtype.js";

export type Machine = DeviceMachine | RooflineMachine;

export interface DeviceMachine {
  readonly kind: "device";
  readonly name: string;
  /** One sentence for `lightloom machines`. */
  readonly about: string;
  readonly clock: { readonly frequencyHz: number };
  /** The grid of tiles. A kernel's members are tiles of it. */
  readonly tile: { readonly rows: number; readonly columns: number };
  readonly tensor: TensorEngine;
  readonly vector: VectorEngine;
  readonly l1: L1;
  readonly accumulators: Accumulators;
  readonly channels: Channels;
  readonly network: Network;
  readonly hbm: Memory;
  readonly fabric: FabricPorts;
  readonly launch: { readonly overheadNs: number };
  readonly host: Host;
  readonly energy: DeviceEnergy;
  readonly topology: Topology;
}

/** Operand types of the tensor engine; int4 operands are unpacked to i8 on their way in. */
export const tensorTypes = ["f32", "f16", "bf16", "f8", "i8"] as const;
export type TensorType = (typeof tensorTypes)[number];

/**
 * A weight-stationary array: a pass holds a block of rows (along k) by columns (along m or n) and streams the
 * other operand's vectors through it.
 */
export interface TensorEngine {
  readonly rows: number;
  readonly columns: number;
  /** Multiply-accumulates per cell and cycle. */
  readonly rate: { readonly [T in TensorType]: number };
  /** A pass takes one cycle per streamed vector (over the rate), but no less than this. */
  readonly passCyclesMin: number;
  /** From the operands' readiness to the first result of an instruction; hidden between instructions in a row. */
  readonly startCycles: number;
  /** Between the starts of two instructions. */
  readonly issueCycles: number;
}

export interface VectorEngine {
  readonly lanes: number;
  /** Cycles of one lane operation, on all lanes at once. */
  readonly simpleCycles: number;
  /** The same for functions of `numerics/functions.ts`, for division and for the square root. */
  readonly transcendentalCycles: number;
  /** An indexed load from a slot. */
  readonly lookupCycles: number;
  readonly startCycles: number;
  readonly issueCycles: number;
}

/** A tile's scratchpad. Each engine and each channel has a port of its own. */
export interface L1 {
  readonly bytes: number;
  readonly portBytesPerCycle: number;
  readonly accessStartCycles: number;
}

/** A tile's accumulators. A floating cell takes 8 bytes (sum and open segment), an int32 cell 4. */
export interface Accumulators {
  readonly bytes: number;
  readonly portBytesPerCycle: number;
}

export interface Channels {
  /** Number of load and of store channels per tile; each runs its instructions in order. */
  readonly load: number;
  readonly store: number;
  /** Between the starts of two instructions of one channel. */
  readonly issueCycles: number;
  /** From issue to the first byte, without the memory's own latency. */
  readonly latencyNs: number;
  /** Bytes that one channel may have requested and not received (or sent and not had acknowledged). */
  readonly outstandingBytes: number;
  /** Every contiguous run is rounded up to whole accesses of this size. */
  readonly accessBytes: number;
  /** Each contiguous run costs as much as this many bytes more. */
  readonly runOverheadBytes: number;
  /** Runs of at least this many bytes move at (nearly) the full rate; what a tiler aims at. */
  readonly efficientRunBytes: number;
  /** Elements per cycle where every element has a place of its own (gather, scatter, transposing walks). */
  readonly elementsPerCycle: number;
}

/** Links between neighbouring tiles, dimension-ordered. */
export interface Network {
  /** Per link and direction. */
  readonly bytesPerCycle: number;
  readonly hopCycles: number;
  readonly injectionCycles: number;
  /** Rows and columns close to rings. */
  readonly torus: boolean;
}

export interface Memory {
  readonly capacityBytes: number;
  readonly bytesPerSecond: number;
  readonly latencyNs: number;
}

/** Photonic ports of one device. */
export interface FabricPorts {
  readonly ports: number;
  /** Per port and direction. */
  readonly portBytesPerSecond: number;
  /** From device to device. */
  readonly latencyNs: number;
}

/** What the partitioner weighs: moving a value to the host, computing there, and coming back. */
export interface Host {
  readonly bytesPerSecond: number;
  readonly latencyNs: number;
  /** Floating operations per second that a host region reaches. */
  readonly operationsPerSecond: number;
  readonly memoryBytesPerSecond: number;
}

export interface DeviceEnergy {
  readonly macPicojoules: { readonly [T in TensorType]: number };
  readonly laneOperationPicojoules: number;
  readonly transcendentalPicojoules: number;
  readonly l1PicojoulesPerBit: number;
  readonly accumulatorPicojoulesPerBit: number;
  readonly hopPicojoulesPerBit: number;
  readonly hbmPicojoulesPerBit: number;
  readonly fabric: LinkEnergy;
  /** Memory behind the fabric. */
  readonly poolCachePicojoulesPerBit: number;
  readonly poolBackingPicojoulesPerBit: number;
  readonly idleWatts: number;
}

/** source adapter + one entry per switch + destination adapter. */
export interface LinkEnergy {
  readonly adapterPicojoulesPerBit: number;
  readonly switchPicojoulesPerBit: number;
  /** Between devices of one tray or box. */
  readonly localPicojoulesPerBit: number;
}

export interface Topology {
  readonly devices: number;
  readonly pool?: Pool;
}

/** Appliances: switches with memory modules. Any port of an appliance reaches any of its modules. */
export interface Pool {
  readonly appliances: number;
  readonly appliance: {
    /** Devices attached to one appliance. */
    readonly radix: number;
    readonly modules: number;
    /** All ports together, each direction. */
    readonly switchBytesPerSecond: number;
    /** Consecutive stripes of this size lie in consecutive modules. */
    readonly interleaveBytes: number;
  };
  readonly module: {
    /** A write-through cache over `backing`; latencies are from the device, `backing` on top of `cache`. */
    readonly cache: Memory;
    readonly backing: Memory;
    /** What one module's port gives, each direction. */
    readonly portBytesPerSecond: number;
  };
  /** Between appliances, where there are several. */
  readonly tier?: { readonly latencyNs: number; readonly linkBytesPerSecond: number };
}

export interface RooflineMachine {
  readonly kind: "roofline";
  readonly name: string;
  readonly about: string;
  readonly devices: number;
  /** Floating (integer) operations per second of one device, a multiply-accumulate being two. */
  readonly peak: { readonly [T in TensorType]?: number };
  readonly vectorOperationsPerSecond: number;
  /** Fastest first; of one device. */
  readonly memories: readonly (Memory & { readonly name: string })[];
  /** Innermost first. */
  readonly links: readonly RooflineLink[];
  readonly overheadNs: { readonly [K in OverheadKind]: number };
  readonly efficiency: {
    /** Fraction of peak against the operations of one contraction. */
    readonly contraction: EfficiencyCurve;
    /** Fraction of bandwidth against bytes moved by one operator. */
    readonly memory: EfficiencyCurve;
  };
  readonly energy: LinkEnergy & { readonly memoryPicojoulesPerBit: number; readonly watts: number };
}

/** Fixed time per operator: launch, tail, synchronisation. */
export const overheadKinds = ["contraction", "softmax", "normalization", "elementwise"] as const;
export type OverheadKind = (typeof overheadKinds)[number];

export interface RooflineLink {
  readonly name: string;
  /** Devices that it joins. */
  readonly devices: number;
  /** Per device and direction. */
  readonly bytesPerSecond: number;
  readonly latencyNs: number;
  /** What one collective costs whatever its size. */
  readonly collectiveStartNs: number;
}

/** Points (size, fraction), sizes ascending; linear in log size between them, constant beyond the ends. */
export type EfficiencyCurve = readonly (readonly [size: number, fraction: number])[];

export function tileCount(machine: DeviceMachine): number {
  return machine.tile.rows * machine.tile.columns;
}

/** Operations per second of one device, a multiply-accumulate being two. */
export function peakOperationsPerSecond(machine: Machine, type: TensorType): number | undefined {
  if (machine.kind === "roofline") return machine.peak[type];
  const { rows, columns, rate } = machine.tensor;
  return 2 * tileCount(machine) * rows * columns * rate[type] * machine.clock.frequencyHz;
}

export function cyclesOfNs(machine: DeviceMachine, ns: number): number {
  return Math.ceil((ns * machine.clock.frequencyHz) / 1e9);
}

/** As what the tensor engine multiplies values of a type that the device stores. */
export function tensorTypeOf(dtype: DeviceDType): TensorType {
  switch (dtype) {
    case "f16":
    case "bf16":
      return dtype;
    case "f8e4m3fn":
    case "f8e5m2":
      return "f8";
    case "f32":
    case "i32":
    case "i16":
    case "u16":
    case "bool":
      return "f32";
    case "i8":
    case "u8":
    case "i4":
    case "u4":
      return "i8";
    default:
      return dtype satisfies never;
  }
}
