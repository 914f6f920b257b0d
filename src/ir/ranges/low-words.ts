/**
 * Lane programs over 64-bit integers, rewritten to give the low 32 bits of the same integers in int32 registers.
 * What an operation makes of its operands beyond those bits (an order, a quotient, a number to convert) is known where
 * interval analysis shows that they are signed or unsigned 32-bit numbers.
 */
import type { LaneInstruction, LaneProgram } from "../../numerics/lane.js";
import {
  type Lane,
  type LaneBuilder,
  laneProgramBuilder,
  type LaneProgramBuilder,
} from "../../numerics/lanes.js";
import {
  divideUnsigned,
  floatToLowWord,
  lessOrEqualUnsigned,
  lessUnsigned,
  maxUnsigned,
  minUnsigned,
  remainderUnsigned,
  unsignedToFloat,
} from "../../numerics/unsigned-lanes.js";
import { int32Range, interval, type Interval, within } from "./intervals.js";
import { laneRanges } from "./lane-ranges.js";

const unsignedRange = interval(0, 2 ** 32 - 1);
const mask = interval(-1, 0);

/**
 * `inputs` are the ranges of the operands; a bool one is a mask. With `asTruth`, zero or not is all that is asked of the
 * result. Undefined where the low bits of something do not tell enough.
 */
export function lowWords(
  program: LaneProgram,
  inputs: readonly Interval[],
  { asTruth = false }: { readonly asTruth?: boolean } = {},
): LaneProgram | undefined {
  const ranges = laneRanges(program, inputs, "i64");
  const builder = laneProgramBuilder();
  const lanes: Lane[] = [];
  for (const instruction of program.instructions) {
    const operands = instruction.args.map((register) => lanes[register]!);
    const known = instruction.args.map((register) => ranges[register]!);
    const { op, imm, type } = instruction;
    const lane =
      op === "input"
        ? builder.source("input", imm!, type)
        : lowWord(builder.l, instruction, operands, known, builder.emit);
    if (lane === undefined) return undefined;
    lanes.push(lane);
  }
  const [result] = program.results as [number];
  if (asTruth && reading([ranges[result]!]) === undefined) return undefined;
  return builder.finish(program.results.map((register) => lanes[register]!));
}

/** How 32-bit registers that hold numbers of these ranges are read; undefined where one needs more bits. */
function reading(ranges: readonly Interval[]): "signed" | "unsigned" | undefined {
  if (ranges.every((range) => within(range, int32Range))) return "signed";
  return ranges.every((range) => within(range, unsignedRange)) ? "unsigned" : undefined;
}

type Emit = LaneProgramBuilder["emit"];

function lowWord(
  l: LaneBuilder,
  { op, imm, type }: LaneInstruction,
  x: readonly Lane[],
  ranges: readonly Interval[],
  emit: Emit,
): Lane | undefined {
  const [a, b] = x as readonly [Lane, Lane];
  switch (op) {
    case "constI":
      return l.constI(Number(BigInt.asIntN(32, BigInt(imm!))));
    case "shl":
    case "shrU":
    case "shrS":
      return shifted(l, op, a, { count: b, ranges });
    case "toI":
      return floatToLowWord(l, a);
    case "select":
      return within(ranges[0]!, mask) ? emit(op, x, type) : undefined;
    default:
      break;
  }
  const unsigned = unsignedForms[op as keyof typeof unsignedForms];
  if (unsigned === undefined) return emit(op, x, type, imm);
  const read = reading(ranges);
  if (read === undefined) return undefined;
  return read === "signed" ? emit(op, x, type) : unsigned(l, a, b);
}

/** Operations that read their operands as numbers. */
const unsignedForms = {
  divI: divideUnsigned,
  remI: remainderUnsigned,
  minI: minUnsigned,
  maxI: maxUnsigned,
  eqI: (l, a, b) => l.eqI(a, b),
  ltI: lessUnsigned,
  leI: lessOrEqualUnsigned,
  toF: unsignedToFloat,
} satisfies { readonly [op: string]: (l: LaneBuilder, a: Lane, b: Lane) => Lane };

/** By the count modulo 64; more than 31 places leave nothing, or the sign. */
function shifted(
  l: LaneBuilder,
  op: "shl" | "shrU" | "shrS",
  x: Lane,
  { count, ranges }: { readonly count: Lane; readonly ranges: readonly Interval[] },
): Lane | undefined {
  const read = reading([ranges[0]!]);
  const isSigned = op === "shrS" && read === "signed";
  if (op === "shrU" && !within(ranges[0]!, unsignedRange)) return undefined;
  if (op === "shrS" && read === undefined) return undefined;
  const by = isSigned || op === "shl" ? op : "shrU";
  if (within(ranges[1]!, interval(0, 31))) return l[by](x, count);
  const places = l.and(count, l.constI(63));
  const most = l.constI(31);
  if (isSigned) return l.shrS(x, l.minI(places, most));
  return l.selectI(l.leI(places, most), l[by](x, places), l.constI(0));
}
