/** Form of the bodies of instructions: axes, strides, data types, and that a lane program is well-typed. */
import { type Count, tileLimits } from "../ir/tile.js";
import { isFloat } from "../numerics/dtype.js";
import { formOf } from "./bounds.js";
import type { Condition, Program, SlotDest, SlotSource } from "./program.js";
import type { LoadBody, MmaBody, StoreBody, TransferAxis, VecBody } from "../ir/tile.js";
import type { Site } from "./sites.js";
import { laneProblems } from "./verify-lanes.js";

type Load = LoadBody<SlotSource, SlotDest>;
type Store = StoreBody<SlotSource>;
type Mma = MmaBody<SlotSource, SlotDest, Condition>;
type Vec = VecBody<SlotSource, SlotDest, Condition>;

export function bodyProblems(program: Program, site: Site): string[] {
  const { body } = site.instruction;
  switch (body.op) {
    case "load":
    case "store":
      return transferProblems(program, body);
    case "mma":
      return mmaProblems(program, body);
    case "vec":
      return vecProblems(program, body, site);
    default:
      return body satisfies never;
  }
}

function countProblems(axes: readonly { readonly count: Count }[]): string[] {
  return axes.flatMap(({ count }) =>
    Number.isSafeInteger(count.max) && count.max >= 0 ? [] : [`a count has maximum ${count.max}`],
  );
}

function transferProblems(program: Program, body: Load | Store): string[] {
  const problems = countProblems(body.axes);
  const { axes, index } = body;
  if (axes.length > tileLimits.transferAxes) {
    problems.push(`${axes.length} axes; at most ${tileLimits.transferAxes} are possible`);
  }
  axes.forEach((axis) => problems.push(...axisProblems(axis)));
  const { name, access } = program.bindings[body.memory.binding]!;
  if (body.op === "load" && access === "write") {
    problems.push(`load from binding ${name}, which is only written`);
  }
  if (body.op === "store" && access === "read") {
    problems.push(`store to binding ${name}, which is only read`);
  }
  if (index !== undefined) {
    if (!(index.axis in axes)) problems.push(`the index stands for axis ${index.axis}`);
    problems.push(...strideProblems("index", index.strides, axes.length));
    problems.push(...countProblems([{ count: index.extent }]));
    const { dtype } = program.queues[index.source.queue]!;
    if (isFloat(dtype) || dtype === "bool") problems.push(`the index is of ${dtype}`);
  }
  if (body.op === "load" && body.dequantize !== undefined) {
    const { scale, zero } = body.dequantize;
    for (const walk of zero === undefined ? [scale] : [scale, zero]) {
      problems.push(...strideProblems("dequantizing walk", walk.strides, axes.length));
      const binding = program.bindings[walk.memory.binding]!;
      if (binding.access === "write") {
        problems.push(`load from binding ${binding.name}, which is only written`);
      }
    }
  }
  return problems;
}

function axisProblems({ memoryStride, slotStride, clip }: TransferAxis): string[] {
  const problems = strideProblems("axis", [memoryStride, slotStride], 2);
  if (clip === undefined) return problems;
  problems.push(...strideProblems("clip", [clip.step], 1));
  problems.push(...countProblems([{ count: clip.limit }]));
  return problems;
}

function strideProblems(what: string, strides: readonly number[], axes: number): string[] {
  const problems: string[] = [];
  if (strides.length !== axes) {
    problems.push(`${what} has ${strides.length} strides for ${axes} axes`);
  }
  for (const stride of strides) {
    if (!Number.isSafeInteger(stride)) problems.push(`${what} has stride ${stride}`);
  }
  return problems;
}

const mmaAxesMax = { g: 1, m: 2, n: 2, k: 3 } as const;

function mmaProblems(program: Program, body: Mma): string[] {
  const problems = countProblems(body.axes);
  for (const [role, most] of Object.entries(mmaAxesMax)) {
    const count = body.axes.filter((axis) => axis.role === role).length;
    if (count > most) problems.push(`${count} axes of role ${role}; at most ${most} are possible`);
  }
  for (const { role, strideA, strideB, strideC } of body.axes) {
    problems.push(...strideProblems("axis", [strideA, strideB, strideC], 3));
    if (role === "k" && strideC !== 0) problems.push(`a k axis has stride ${strideC} in the sum`);
  }
  const typeOf = (slot: SlotSource | SlotDest) => program.queues[slot.queue]!.dtype;
  const float = isFloat(typeOf(body.dest));
  const operands = [body.a, body.b].map(typeOf);
  if (operands.some((dtype) => isFloat(dtype) !== float || dtype === "bool")) {
    problems.push(`${operands.join(" times ")} cannot be summed in ${typeOf(body.dest)}`);
  }
  for (const zero of [body.zeroA, body.zeroB]) {
    if (zero === undefined) continue;
    problems.push(...strideProblems("zero point", zero.strides, body.axes.length));
    const dtype = typeOf(zero.source);
    if (float || isFloat(dtype)) problems.push(`a zero point of ${dtype} beside ${operands[0]}`);
  }
  if (!hasDistinctCells(body)) problems.push("two positions may share an accumulator cell");
  return problems;
}

/** Sorted by stride, each axis steps over everything that the finer ones reach. */
function hasDistinctCells({ axes }: Mma): boolean {
  const outer = axes
    .filter((axis) => axis.role !== "k" && axis.count.max > 1)
    .map(({ count, strideC }) => ({ count: count.max, stride: Math.abs(strideC) }))
    .sort((a, b) => a.stride - b.stride);
  let reach = 0;
  for (const { count, stride } of outer) {
    if (stride <= reach) return false;
    reach += (count - 1) * stride;
  }
  return true;
}

function vecProblems(program: Program, body: Vec, site: Site): string[] {
  const { axes, inputs, outputs, carries } = body;
  const problems = countProblems(axes);
  const limits = [
    ["axes", axes.length, tileLimits.vecAxes],
    ["inputs", inputs.length, tileLimits.vecInputs],
    ["outputs", outputs.length, tileLimits.vecOutputs],
    ["carried registers", carries.length, tileLimits.vecCarries],
  ] as const;
  for (const [what, count, most] of limits) {
    if (count > most) problems.push(`${count} ${what}; at most ${most} are possible`);
  }
  problems.push(...axisOrderProblems(axes.map((axis) => axis.kind)));
  const operands = [...inputs, ...outputs, ...carries.flatMap((c) => c.state ?? [])];
  for (const { strides } of operands) {
    problems.push(...strideProblems("operand", strides, axes.length));
  }
  if (problems.length > 0) return problems;
  for (const output of outputs) problems.push(...outputProblems(body, output, site));
  problems.push(...laneProblems(program, body, site));
  for (const { state } of carries) {
    if (state?.strides.some((stride, i) => stride !== 0 && axes[i]!.kind !== "parallel")) {
      problems.push("a carried register is kept per parallel position only");
    }
  }
  return problems;
}

function axisOrderProblems(kinds: readonly string[]): string[] {
  const inner = kinds.slice(kinds.findLastIndex((kind) => kind === "parallel") + 1);
  const outer = kinds.slice(0, kinds.length - inner.length);
  const mixed = inner.some((kind) => kind !== inner[0]) || outer.some((k) => k !== "parallel");
  if (!mixed && !(inner[0] === "scan" && inner.length > 1)) return [];
  return ["axes are parallel axes, then reduce axes or one scan axis"];
}

function outputProblems(body: Vec, output: Vec["outputs"][number], site: Site): string[] {
  const { reduce, strides } = output;
  if (reduce === undefined) return [];
  const problems: string[] = [];
  if (strides.some((stride, i) => stride !== 0 && body.axes[i]!.kind !== "parallel")) {
    problems.push("a reduced output moves along a reduce axis");
  }
  const { reduction, partialStride, init, phase } = reduce;
  const type = typeOfResult(body, body.outputs.indexOf(output));
  const partial = type === "f32" && (reduction === "sum" || reduction === "prod");
  if (type === "f32" && (reduction === "and" || reduction === "or")) {
    problems.push(`a reduction by ${reduction} of f32`);
  }
  if (partialStride !== undefined && !partial) {
    problems.push(`a ${reduction} of ${type} has no partials`);
  }
  if (partial && partialStride === undefined && init.kind !== "always") {
    problems.push("a floating sum or product that may go on needs its partials");
  }
  if (partialStride === 0) problems.push("partials lie on top of one another");
  const { low } = site.bounds.range(formOf(phase));
  if (low < 0) problems.push(`the phase of a reduction may be ${low}`);
  return problems;
}

function typeOfResult({ program }: Vec, output: number): "f32" | "i32" | undefined {
  return program.instructions[program.results[output] ?? -1]?.type;
}
