/**
 * A loop nest that reads operands, runs a lane program and writes operands: the one form into which vec instructions
 * and all loads and stores are brought (walk/vec.ts, transfer/). nest.ts makes a WebAssembly function of it. Strides,
 * counts and addresses are the function's parameters, so that equal structures share one function whatever their
 * sizes; what is in the spec is what the code depends on.
 */
import type { DeviceDType } from "../../../numerics/dtype.js";
import type { LaneProgram, RegisterType } from "../../../numerics/lane.js";
import type { BoolForm, Rounding } from "../lanes/format.js";
import type { LaneStep } from "../lanes/access.js";

export interface NestSpec {
  /** Loops, outermost first: the axis whose positions each counts, -1 where nothing asks for its index. */
  readonly levels: readonly { readonly axis: number }[];
  /** So many levels from the outermost are parallel. Those inside run in order: they reduce or scan. */
  readonly parallel: number;
  /**
   * The level that runs in chunks of four lanes: the last parallel one (each lane another cell) or the last of all
   * (lanes are neighbours of one reduction). Absent: one position at a time, in row-major order.
   */
  readonly chunk?: number;
  /** So many chunks are handled at once as long as there are. */
  readonly vectors?: number;
  readonly operands: readonly NestOperand[];
  readonly program: LaneProgram;
  /** Per input number of the lane program: its operand. */
  readonly inputs: readonly number[];
  readonly outputs: readonly NestOutput[];
  readonly carries: readonly NestCarry[];
  /** An operand that an output may overwrite is read anew at every position. */
  readonly rereads: boolean;
  readonly gather?: NestGather;
}

export interface NestOperand {
  readonly dtype: DeviceDType;
  /** int4 as it lies in device memory, two to a byte. */
  readonly packed: boolean;
  readonly boolForm: BoolForm;
  /** Written values are rounded to this type, and kept in fp32. */
  readonly rounding?: Rounding;
  /** Per level: whether it has a stride. */
  readonly moves: readonly boolean[];
  /** How the lanes of a chunk lie. */
  readonly step: LaneStep;
}

export interface NestOutput {
  readonly operand: number;
  readonly result: number;
  readonly reduce?: {
    readonly reduction: "sum" | "prod" | "seqsum" | "max" | "min" | "and" | "or";
    readonly type: RegisterType;
    /** Leaves its 16 partials. */
    readonly raw: boolean;
  };
}

export interface NestCarry {
  readonly next: number;
  readonly initial: number;
  readonly type: RegisterType;
  /** Operand of the kept state. */
  readonly state?: number;
}

/** Some operands lie where an index says, which is read when `level` is entered. */
export interface NestGather {
  readonly operands: readonly number[];
  readonly index: number;
  readonly level: number;
  /** What happens where the index is out of range: result 0 becomes `fill`, or nothing is done. */
  readonly miss: { readonly kind: "fill"; readonly bits: number } | { readonly kind: "skip" };
}

/** One parameter of the function, all of type i32, in the order of `nestParams`. */
export type NestParam =
  | { readonly kind: "count"; readonly level: number }
  /** Address of an operand's first element; of the element 0 of its binding if packed. */
  | { readonly kind: "address"; readonly operand: number }
  /** Packed: number of the first element. */
  | { readonly kind: "element"; readonly operand: number }
  /** In bytes; in elements if packed. */
  | { readonly kind: "stride"; readonly operand: number; readonly level: number }
  | { readonly kind: "base"; readonly axis: number }
  | { readonly kind: "scalar"; readonly id: number }
  | { readonly kind: "init"; readonly output: number }
  | { readonly kind: "phase"; readonly output: number }
  | { readonly kind: "partialStride"; readonly output: number }
  | { readonly kind: "carryInit"; readonly carry: number }
  | { readonly kind: "gatherStride" }
  | { readonly kind: "gatherExtent" }
  /** Address of the byte that a miss sets. */
  | { readonly kind: "fault" }
  /** Address of `nestScratchBytes` of the caller's. */
  | { readonly kind: "scratch" };

export const nestScratchBytes = 3 * 256;

export function nestParams(spec: NestSpec): NestParam[] {
  const params: NestParam[] = spec.levels.map((_, level) => ({ kind: "count", level }));
  spec.operands.forEach((operand, number) => {
    params.push({ kind: "address", operand: number });
    if (operand.packed) params.push({ kind: "element", operand: number });
    operand.moves.forEach((moves, level) => {
      const implied = level === spec.chunk && operand.step === "side";
      if (moves && !implied) params.push({ kind: "stride", operand: number, level });
    });
  });
  const immediates = (op: "index" | "scalar"): number[] => {
    const uses = spec.program.instructions.flatMap((i) => (i.op === op ? [i.imm!] : []));
    return [...new Set(uses)].sort((a, b) => a - b);
  };
  for (const axis of immediates("index")) params.push({ kind: "base", axis });
  for (const id of immediates("scalar")) params.push({ kind: "scalar", id });
  spec.outputs.forEach(({ reduce }, output) => {
    if (reduce === undefined) return;
    params.push({ kind: "init", output });
    if (!hasPartials(reduce)) return;
    params.push({ kind: "phase", output });
    if (reduce.raw) params.push({ kind: "partialStride", output });
  });
  spec.carries.forEach(({ state }, carry) => {
    if (state !== undefined) params.push({ kind: "carryInit", carry });
  });
  if (spec.gather !== undefined) {
    params.push({ kind: "gatherStride" }, { kind: "gatherExtent" }, { kind: "fault" });
  }
  if (spec.outputs.some(({ reduce }) => reduce !== undefined && hasPartials(reduce))) {
    params.push({ kind: "scratch" });
  }
  return params;
}

/** Floating sums and products go through 16 partials. */
export function hasPartials(reduce: NonNullable<NestOutput["reduce"]>): boolean {
  const { reduction, type } = reduce;
  return type === "f32" && (reduction === "sum" || reduction === "prod");
}
