/**
 * Chooses how a walk over axes becomes a loop nest: which axes merge, in which order the loops stand, which of them runs
 * four lanes at a time. The positions of parallel axes are independent, so their order is free; reduce and scan
 * axes keep theirs.
 */
import type { DeviceDType } from "../../../numerics/dtype.js";
import type { LaneProgram } from "../../../numerics/lane.js";
import { type BoolForm, elementBytes, type Rounding } from "../lanes/format.js";
import type { LaneStep } from "../lanes/access.js";
import type { FunctionBuilder } from "../wasm/function.js";
import { boundsOf, constant, type Int, isValue, scale, zero } from "../walk/ints.js";
import {
  hasPartials,
  type NestCarry,
  type NestOutput,
  type NestParam,
  type NestSpec,
} from "./spec.js";
import { InternalError } from "../../../support/diagnostic.js";

/** A walk: axes with operands that have one stride per axis, in elements. */
export interface Walk {
  readonly axes: readonly WalkAxis[];
  readonly operands: readonly WalkOperand[];
  readonly program: LaneProgram;
  readonly inputs: readonly number[];
  readonly outputs: readonly WalkOutput[];
  readonly carries: readonly WalkCarry[];
  readonly scalars: readonly Int[];
  /** Positions run one by one in row-major order, because one may read or overwrite what another wrote. */
  readonly ordered: boolean;
  /** An operand that an output may overwrite is read anew at every position. */
  readonly rereads: boolean;
  readonly gather?: WalkGather;
  /** Address of scratch memory, and of the byte that a gather's miss sets. */
  readonly scratch: Int;
  readonly fault?: Int;
}

export interface WalkAxis {
  readonly kind: "parallel" | "reduce" | "scan";
  readonly count: Int;
  /** Value of the lane operation `index` at position 0. */
  readonly base: Int;
}

export interface WalkOperand {
  readonly dtype: DeviceDType;
  readonly packed: boolean;
  readonly boolForm: BoolForm;
  readonly rounding?: Rounding;
  /** Of element 0; if packed of the binding. */
  readonly address: Int;
  /** Packed: number of the first element. */
  readonly element?: Int;
  readonly strides: readonly number[];
}

export type WalkOutput = NestOutput & {
  readonly init?: Int;
  readonly phase?: Int;
  /** In elements. */
  readonly partialStride?: number;
};

export type WalkCarry = NestCarry & { readonly init?: Int };

export interface WalkGather {
  readonly operands: readonly number[];
  readonly index: number;
  readonly axis: number;
  readonly extent: Int;
  /** Of the gathered operands along the axis, in elements. */
  readonly stride: number;
  readonly miss: { readonly kind: "fill"; readonly bits: number } | { readonly kind: "skip" };
}

export interface NestPlan {
  readonly spec: NestSpec;
  argument(param: NestParam): Int;
  /** The counts of all levels; where one is zero a parallel walk does nothing. */
  readonly counts: readonly Int[];
  /** In bytes; in elements if packed. */
  strideOf(operand: number, level: number): number;
}

/** An axis or several merged ones. */
interface Level {
  readonly axis: number;
  readonly kind: WalkAxis["kind"];
  readonly count: Int;
  readonly base: Int;
  readonly strides: readonly number[];
}

export function planNest(f: FunctionBuilder, walk: Walk): NestPlan {
  const levels = mergedLevels(f, walk);
  const order = arrange(walk, levels);
  const spec = specOf(walk, order);
  return {
    spec,
    argument: (param) => argumentOf(walk, order, param),
    counts: order.levels.map((level) => level.count),
    strideOf: (operand, level) => strideInBytes(walk, operand, order.levels[level]!),
  };
}

/** The levels in loop order. */
interface Arrangement {
  readonly levels: readonly Level[];
  readonly parallel: number;
  readonly chunk?: number;
  readonly gatherLevel?: number;
}

function usesIndex(walk: Walk, axis: number): boolean {
  return walk.program.instructions.some((i) => i.op === "index" && i.imm === axis);
}

/** Axes of one position vanish; neighbours that all operands walk as one become one. */
function mergedLevels(f: FunctionBuilder, walk: Walk): Level[] {
  const merged: Level[] = [];
  for (let axis = walk.axes.length - 1; axis >= 0; axis--) {
    const { kind, count, base } = walk.axes[axis]!;
    if (isValue(count, 1)) continue;
    const strides = walk.operands.map((operand) => operand.strides[axis]!);
    const level: Level = { axis, kind, count, base, strides };
    const inner = merged[0];
    const joined = inner && join(f, walk, level, inner);
    if (joined === undefined) merged.unshift(level);
    else merged[0] = joined;
  }
  return merged;
}

function join(f: FunctionBuilder, walk: Walk, outer: Level, inner: Level): Level | undefined {
  if (outer.kind !== inner.kind || outer.kind === "scan") return undefined;
  if (usesIndex(walk, outer.axis) || usesIndex(walk, inner.axis)) return undefined;
  if (walk.gather?.axis === outer.axis || walk.gather?.axis === inner.axis) return undefined;
  if (inner.count.kind !== "constant") return undefined;
  const count = inner.count.value;
  if (outer.strides.some((stride, i) => stride !== inner.strides[i]! * count)) return undefined;
  return { ...inner, count: scale(f, outer.count, count) };
}

function arrange(walk: Walk, levels: readonly Level[]): Arrangement {
  const parallel = levels.filter((level) => level.kind === "parallel").length;
  const plain: Arrangement = {
    levels,
    parallel,
    ...(walk.gather === undefined ? {} : { gatherLevel: gatherLevelOf(walk, levels) }),
  };
  if (walk.ordered) return plain;
  let best = { arrangement: plain, cost: costOf(walk, plain) };
  for (const candidate of candidates(walk, levels, parallel)) {
    const cost = costOf(walk, candidate);
    if (cost < best.cost) best = { arrangement: candidate, cost };
  }
  return best.arrangement;
}

function* candidates(
  walk: Walk,
  levels: readonly Level[],
  parallel: number,
): Generator<Arrangement> {
  const outer = levels.slice(0, parallel);
  const inner = levels.slice(parallel);
  for (const lanes of outer) {
    if (!mayBeLanes(walk, lanes)) continue;
    const others = outer.filter((level) => level !== lanes);
    if (walk.gather === undefined) {
      yield { levels: [...others, lanes, ...inner], parallel, chunk: parallel - 1 };
      continue;
    }
    if (isIndexed(walk, lanes)) continue;
    const first = others.filter((level) => isIndexed(walk, level));
    const rest = others.filter((level) => !isIndexed(walk, level));
    yield {
      levels: [...first, ...rest, lanes, ...inner],
      parallel,
      chunk: parallel - 1,
      gatherLevel: first.length,
    };
  }
  if (inner.length > 0 && walk.gather === undefined && mayBeRow(walk, inner)) {
    yield { levels, parallel, chunk: levels.length - 1 };
  }
}

/** The place of the index, or the position that it replaces, depends on the level. */
function isIndexed({ gather }: Walk, level: Level): boolean {
  return gather !== undefined && (level.axis === gather.axis || level.strides[gather.index] !== 0);
}

function gatherLevelOf(walk: Walk, levels: readonly Level[]): number {
  return 1 + levels.findLastIndex((level) => isIndexed(walk, level));
}

/** Lanes write cells of their own. */
function mayBeLanes(walk: Walk, level: Level): boolean {
  const written = [
    ...walk.outputs.map((output) => output.operand),
    ...walk.carries.flatMap((carry) => (carry.state === undefined ? [] : [carry.state])),
  ];
  return written.every((operand) => level.strides[operand] !== 0);
}

/** The lanes of the last level are neighbours in one reduction. */
function mayBeRow(walk: Walk, inner: readonly Level[]): boolean {
  const last = inner.at(-1)!;
  return (
    last.kind === "reduce" &&
    walk.carries.length === 0 &&
    walk.outputs.every(({ operand, reduce }) => {
      if (reduce === undefined) return last.strides[operand] !== 0;
      return reduce.reduction !== "seqsum" || reduce.type === "i32";
    })
  );
}

/** Roughly, cycles per position. Only the order of the candidates' costs matters. */
function costOf(walk: Walk, arrangement: Arrangement): number {
  const { levels, parallel, chunk } = arrangement;
  const level = chunk === undefined ? undefined : levels[chunk]!;
  const size = level === undefined ? 1 : Math.max(1, boundsOf(level.count).most);
  const rounds = level === undefined ? 1 : Math.floor(size / 4) + (size % 4);
  const isRow = chunk !== undefined && chunk >= parallel;
  let perRound = 2 + walk.program.instructions.length;
  walk.operands.forEach((operand, number) => {
    const step = level === undefined ? "same" : stepOf(walk, number, level);
    perRound += stepCosts[step] + (elementBytes[operand.dtype] === 4 ? 0 : 2);
  });
  for (const { reduce } of walk.outputs) {
    if (reduce === undefined || reduce.type !== "f32") continue;
    if (reduce.reduction === "sum" || reduce.reduction === "prod") perRound += isRow ? 2 : 6;
  }
  const perRow = isRow ? 20 / size : 2 / size;
  return (perRound * rounds) / size + perRow;
}

const stepCosts = { same: 1, side: 1, apart: 6, packed: 20 } as const satisfies Record<
  LaneStep,
  number
>;

function stepOf(walk: Walk, operand: number, level: Level | undefined): LaneStep {
  const { packed } = walk.operands[operand]!;
  if (packed) return "packed";
  const stride = level?.strides[operand] ?? 0;
  if (stride === 0) return "same";
  const isLookedUp = walk.program.instructions.some(
    ({ op, imm }) => op === "lookup" && walk.inputs[imm!] === operand,
  );
  return stride === 1 && !isLookedUp ? "side" : "apart";
}

function specOf(walk: Walk, arrangement: Arrangement): NestSpec {
  const { levels, parallel, chunk, gatherLevel } = arrangement;
  const chunked = chunk === undefined ? undefined : levels[chunk];
  const gather = walk.gather;
  return {
    levels: levels.map(({ axis }) => ({ axis: usesIndex(walk, axis) ? axis : -1 })),
    parallel,
    ...(chunk === undefined ? {} : { chunk }),
    ...vectorsOf(walk, arrangement),
    operands: walk.operands.map(({ dtype, packed, boolForm, rounding }, number) => ({
      dtype,
      packed,
      boolForm,
      ...(rounding === undefined ? {} : { rounding }),
      moves: levels.map((level) => strideOf(walk, number, level) !== 0),
      step: stepOf(walk, number, chunked),
    })),
    program: walk.program,
    inputs: walk.inputs,
    outputs: walk.outputs.map(({ operand, result, reduce }) => ({
      operand,
      result,
      ...(reduce === undefined ? {} : { reduce }),
    })),
    carries: walk.carries.map(({ next, initial, type, state }) => ({
      next,
      initial,
      type,
      ...(state === undefined ? {} : { state }),
    })),
    rereads: walk.rereads,
    ...(gather === undefined || gatherLevel === undefined
      ? {}
      : {
          gather: {
            operands: gather.operands,
            index: gather.index,
            level: gatherLevel,
            miss: gather.miss,
          },
        }),
  };
}

/**
 * A short program that reduces waits for its own last result; several chunks at once fill the time. Only where lanes
 * lie side by side, so that chunks are a fixed distance apart.
 */
function vectorsOf(walk: Walk, { levels, parallel, chunk }: Arrangement): { vectors?: number } {
  if (chunk === undefined || chunk >= parallel || parallel === levels.length) return {};
  const level = levels[chunk]!;
  const { most } = boundsOf(level.count);
  const { instructions } = walk.program;
  const isPlain =
    walk.gather === undefined &&
    walk.carries.length === 0 &&
    instructions.length <= 8 &&
    instructions.every(({ op }) => op !== "lookup") &&
    walk.outputs.every(({ reduce }) => reduce !== undefined && !hasPartials(reduce)) &&
    walk.operands.every((_, operand) => {
      const step = stepOf(walk, operand, level);
      return step === "side" || step === "same";
    });
  return isPlain && most >= 8 ? { vectors: most >= 16 ? 4 : 2 } : {};
}

/** A gathered operand does not move along the axis whose position the index replaces. */
function strideOf({ gather }: Walk, operand: number, level: Level): number {
  if (gather?.axis === level.axis && gather.operands.includes(operand)) return 0;
  return level.strides[operand]!;
}

function strideInBytes(walk: Walk, operand: number, level: Level): number {
  return strideOf(walk, operand, level) * unitOf(walk, operand);
}

function unitOf(walk: Walk, operand: number): number {
  const { packed, dtype } = walk.operands[operand]!;
  return packed ? 1 : elementBytes[dtype];
}

function argumentOf(walk: Walk, { levels }: Arrangement, param: NestParam): Int {
  const unit = (operand: number): number => unitOf(walk, operand);
  switch (param.kind) {
    case "count":
      return levels[param.level]!.count;
    case "address":
      return walk.operands[param.operand]!.address;
    case "element":
      return walk.operands[param.operand]!.element ?? zero;
    case "stride":
      return constant(strideInBytes(walk, param.operand, levels[param.level]!));
    case "base":
      return walk.axes[param.axis]!.base;
    case "scalar":
      return known(walk.scalars[param.id]);
    case "init":
      return known(walk.outputs[param.output]!.init);
    case "phase":
      return known(walk.outputs[param.output]!.phase);
    case "partialStride": {
      const output = walk.outputs[param.output]!;
      return constant((output.partialStride ?? 0) * unit(output.operand));
    }
    case "carryInit":
      return known(walk.carries[param.carry]!.init);
    case "gatherStride":
      return constant(walk.gather!.stride * unit(walk.gather!.operands[0]!));
    case "gatherExtent":
      return walk.gather!.extent;
    case "fault":
      return known(walk.fault);
    case "scratch":
      return walk.scratch;
    default:
      return param satisfies never;
  }
}

function known(x: Int | undefined): Int {
  if (x === undefined) throw new InternalError("a loop nest lacks an argument");
  return x;
}
