/**
 * Lane programs: registers are defined before they are used, with the types that operations take, operands exist,
 * and an indexed load stays inside its slot whatever the data. The last is decided by ranges of int32 registers,
 * so an index that comes from data must be clamped with maxI and minI.
 */
import { type LaneInstruction, laneOps } from "../numerics/lane.js";
import { isFloat } from "../numerics/dtype.js";
import type { Condition, Program, SlotDest, SlotSource } from "./program.js";
import type { VecBody } from "../ir/tile.js";
import { type Bounds, formOf, type Interval } from "./bounds.js";
import type { Site } from "./sites.js";

type Vec = VecBody<SlotSource, SlotDest, Condition>;

export function laneProblems(program: Program, body: Vec, site: Site): string[] {
  const problems: string[] = [];
  body.program.instructions.forEach((instruction, register) => {
    for (const reason of operationProblems(program, body, instruction, register)) {
      problems.push(`register ${register} (${instruction.op}): ${reason}`);
    }
  });
  problems.push(...resultProblems(program, body));
  return problems.length > 0 ? problems : lookupProblems(program, body, site);
}

function operationProblems(
  program: Program,
  body: Vec,
  { op, args, imm, type }: LaneInstruction,
  register: number,
): string[] {
  const row = laneOps[op];
  const { instructions } = body.program;
  const problems: string[] = [];
  if (args.length !== row.args.length) problems.push(`${args.length} arguments`);
  args.forEach((arg, i) => {
    if (!(arg >= 0 && arg < register)) problems.push(`argument r${arg} is not defined before`);
    else if (instructions[arg]!.type !== row.args[i]) {
      problems.push(`argument r${arg} is of ${instructions[arg]!.type}`);
    }
  });
  if (row.result !== "any" && type !== row.result) problems.push(`the result is not of ${type}`);
  if ("imm" in row !== (imm !== undefined))
    problems.push("its immediate is missing or one too many");
  if (imm === undefined || problems.length > 0) return problems;
  switch (op) {
    case "input":
    case "lookup": {
      const input = body.inputs[imm];
      if (input === undefined) return [`there is no input ${imm}`];
      const { dtype } = program.queues[input.source.queue]!;
      return registerType(dtype) === type ? [] : [`input ${imm} is of ${dtype}`];
    }
    case "index":
      return imm in body.axes ? [] : [`there is no axis ${imm}`];
    case "scalar":
      return Number.isInteger(imm) && imm >= 0 && imm < program.scalarCount
        ? []
        : [`there is no scalar ${imm}`];
    case "carry":
      return body.carries[imm]?.type === type
        ? []
        : [`there is no carried ${type} register ${imm}`];
    case "constI":
      return imm === (imm | 0) ? [] : [`${imm} is no int32`];
    case "constF":
      return Object.is(imm, Math.fround(imm)) ? [] : [`${imm} is no fp32 number`];
    default:
      return [];
  }
}

function registerType(dtype: Parameters<typeof isFloat>[0]): "f32" | "i32" {
  return isFloat(dtype) ? "f32" : "i32";
}

function resultProblems(program: Program, body: Vec): string[] {
  const { instructions, results } = body.program;
  const problems: string[] = [];
  for (const register of results) {
    if (!(register in instructions)) problems.push(`result r${register} is not defined`);
  }
  const requireType = (what: string, result: number, wanted: string) => {
    const type = instructions[results[result] ?? -1]?.type;
    if (type !== wanted)
      problems.push(`${what} is of ${wanted}, result ${result} of ${type ?? "nothing"}`);
  };
  body.outputs.forEach(({ dest }, i) => {
    requireType(`output ${i}`, i, registerType(program.queues[dest.queue]!.dtype));
  });
  body.carries.forEach(({ next, type, state }, i) => {
    requireType(`carried register ${i}`, next, type);
    if (state === undefined) return;
    const { dtype } = program.queues[state.dest.queue]!;
    if (registerType(dtype) !== type) problems.push(`carried register ${i} is kept as ${dtype}`);
  });
  return problems;
}

/** Every place that an indexed load can come to lies in its slot. */
function lookupProblems(program: Program, body: Vec, site: Site): string[] {
  const problems: string[] = [];
  const bounds = site.bounds;
  const ranges: Interval[] = [];
  body.program.instructions.forEach((instruction, register) => {
    ranges.push(rangeOf(instruction, ranges, { program, body, bounds }));
    if (instruction.op !== "lookup") return;
    const { source, strides } = body.inputs[instruction.imm!]!;
    const axes = body.axes.map(({ count }, i) => ({ count, stride: strides[i]! }));
    const walk = bounds.walk(formOf(source.offset), axes);
    const offset = ranges[instruction.args[0]!]!;
    const { name, elements } = program.queues[source.queue]!;
    if (walk.low + offset.low < 0 || walk.high + offset.high >= elements) {
      problems.push(
        `register ${register}: the lookup may reach elements ${walk.low + offset.low} to` +
          ` ${walk.high + offset.high} of queue ${name}, which has ${elements}`,
      );
    }
  });
  return problems;
}

interface LaneContext {
  readonly program: Program;
  readonly body: Vec;
  readonly bounds: Bounds;
}

const int32: Interval = { low: -(2 ** 31), high: 2 ** 31 - 1 };
const mask: Interval = { low: -1, high: 0 };

/** What an int32 register can hold; anything for the others. */
function rangeOf(
  { op, args, imm }: LaneInstruction,
  ranges: readonly Interval[],
  { program, body, bounds }: LaneContext,
): Interval {
  const [a, b, c] = args.map((arg) => ranges[arg]!) as [Interval, Interval, Interval];
  switch (op) {
    case "constI":
      return { low: imm!, high: imm! };
    case "input":
    case "lookup":
      return storedRange(program.queues[body.inputs[imm!]!.source.queue]!.dtype);
    case "index": {
      const { base, count } = body.axes[imm!]!;
      const { low, high } = bounds.walk(formOf(base), [{ count, stride: 1 }]);
      return wrapped(low, high);
    }
    case "addI":
      return wrapped(a.low + b.low, a.high + b.high);
    case "subI":
      return wrapped(a.low - b.high, a.high - b.low);
    case "mulI": {
      const corners = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high];
      return wrapped(Math.min(...corners), Math.max(...corners));
    }
    case "minI":
      return { low: Math.min(a.low, b.low), high: Math.min(a.high, b.high) };
    case "maxI":
      return { low: Math.max(a.low, b.low), high: Math.max(a.high, b.high) };
    case "divI":
      if (b.low !== b.high || b.low <= 0) return int32;
      return { low: Math.trunc(a.low / b.low), high: Math.trunc(a.high / b.low) };
    case "remI":
      return remainder(a, b);
    case "and":
      return a.low >= 0 || b.low >= 0
        ? { low: 0, high: Math.min(...[a, b].filter((r) => r.low >= 0).map((r) => r.high)) }
        : int32;
    case "shrS":
      if (b.low !== b.high || b.low < 0 || b.low > 31) return int32;
      return { low: a.low >> b.low, high: a.high >> b.low };
    case "selectI":
      return { low: Math.min(b.low, c.low), high: Math.max(b.high, c.high) };
    case "eq":
    case "lt":
    case "le":
    case "eqI":
    case "ltI":
    case "leI":
      return mask;
    default:
      return int32;
  }
}

function remainder(a: Interval, b: Interval): Interval {
  if (b.low !== b.high || b.low <= 0) return int32;
  if (a.low >= 0 && a.high < b.low) return a;
  return { low: a.low >= 0 ? 0 : 1 - b.low, high: b.low - 1 };
}

function wrapped(low: number, high: number): Interval {
  return low < int32.low || high > int32.high ? int32 : { low, high };
}

function storedRange(dtype: string): Interval {
  switch (dtype) {
    case "i16":
      return { low: -0x8000, high: 0x7fff };
    case "u16":
      return { low: 0, high: 0xffff };
    case "i8":
      return { low: -128, high: 127 };
    case "u8":
      return { low: 0, high: 255 };
    case "i4":
      return { low: -8, high: 7 };
    case "u4":
      return { low: 0, high: 15 };
    case "bool":
      return mask;
    default:
      return int32;
  }
}
