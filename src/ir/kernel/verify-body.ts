/** The part of verify.ts that looks inside the bodies of statements. */
import { isFloat, type DeviceDType } from "../../numerics/dtype.js";
import { laneOps, type LaneProgram, type RegisterType } from "../../numerics/lane.js";
import type { Kernel, KernelBody, Spanned, TileOperand } from "./kernel.js";
import { tileLimits } from "../tile.js";
import type {
  Affine,
  Count,
  Delivery,
  LoadBody,
  LoopHead,
  MmaBody,
  StoreBody,
  VecBody,
} from "../tile.js";

export type Report = (problem: string) => void;

type Load = LoadBody<TileOperand, TileOperand>;
type Store = StoreBody<TileOperand>;
type Mma = MmaBody<TileOperand, TileOperand, Spanned>;
type Vec = VecBody<TileOperand, TileOperand, Spanned>;

interface Context {
  readonly kernel: Kernel;
  readonly loops: readonly LoopHead[];
  readonly report: Report;
}

export function verifyBody(
  kernel: Kernel,
  body: KernelBody,
  loops: readonly LoopHead[],
  report: Report,
): void {
  const context = { kernel, loops, report };
  switch (body.op) {
    case "load":
      verifyTransfer(body, context);
      verifyLoad(body, context);
      return;
    case "store":
      verifyTransfer(body, context);
      verifyBinding(body.memory.binding, "read", context);
      return;
    case "mma":
      return verifyMma(body, context);
    case "vec":
      return verifyVec(body, context);
    default:
      body satisfies never;
  }
}

function verifyTransfer(body: Load | Store, context: Context): void {
  const { report, kernel } = context;
  const axes = body.axes.length;
  if (axes > tileLimits.transferAxes) report(`${axes} axes`);
  verifyOffset(body.memory.offset, context);
  for (const { count, clip } of body.axes) {
    verifyCount(count, context);
    if (clip === undefined) continue;
    verifyOffset(clip.origin, context);
    verifyCount(clip.limit, context);
  }
  const { index } = body;
  if (index === undefined) return;
  if (body.axes[index.axis] === undefined) report(`there is no axis ${index.axis} to index`);
  verifyStrides(index.strides, axes, "the index", context);
  verifyCount(index.extent, context);
  if (isFloat(kernel.values[index.source.value]!.dtype)) report("its index is no integer");
}

function verifyLoad(body: Load, context: Context): void {
  verifyBinding(body.memory.binding, "write", context);
  if (body.delivery !== undefined) verifyDelivery(body.delivery, context);
  if (body.dequantize === undefined) return;
  for (const walk of [body.dequantize.scale, body.dequantize.zero]) {
    if (walk === undefined) continue;
    verifyBinding(walk.memory.binding, "write", context);
    verifyOffset(walk.memory.offset, context);
    verifyStrides(walk.strides, body.axes.length, "a dequantizing walk", context);
  }
}

function verifyBinding(number: number, wrong: "read" | "write", { kernel, report }: Context): void {
  const binding = kernel.bindings[number];
  if (binding === undefined) report(`there is no binding ${number}`);
  else if (binding.access === wrong) report(`binding ${binding.name} is only for ${wrong}`);
}

function verifyDelivery(delivery: Delivery, { loops, report }: Context): void {
  if (delivery.kind === "neighbour") return;
  const head = loops.find(({ id }) => id === delivery.loop);
  if (head === undefined || head.over === "time") {
    report(`delivers along loop ${delivery.loop}, which is no spatial loop around it`);
  }
}

function verifyMma(body: Mma, context: Context): void {
  const { kernel, report, loops } = context;
  const most = { g: 1, m: 2, n: 2, k: 3 } as const;
  for (const [role, limit] of Object.entries(most)) {
    const used = body.axes.filter((axis) => axis.role === role).length;
    if (used > limit) report(`${used} axes ${role}`);
  }
  for (const { role, count, strideC } of body.axes) {
    verifyCount(count, context);
    if (role === "k" && strideC !== 0) report("a k axis moves over the accumulator");
  }
  const dtypeOf = ({ value }: TileOperand): DeviceDType => kernel.values[value]!.dtype;
  const float = isFloat(dtypeOf(body.dest));
  for (const operand of [body.a, body.b]) {
    if (isFloat(dtypeOf(operand)) !== float) {
      report(`multiplies ${dtypeOf(operand)} into ${dtypeOf(body.dest)}`);
    }
  }
  for (const zero of [body.zeroA, body.zeroB]) {
    if (zero === undefined) continue;
    if (float || isFloat(dtypeOf(zero.source))) report("zero points are for integers");
    verifyStrides(zero.strides, body.axes.length, "a zero point", context);
  }
  for (const id of [...body.clear, ...body.fold]) {
    if (!loops.some((head) => head.id === id)) report(`loop ${id} does not enclose it`);
  }
}

function verifyVec(body: Vec, context: Context): void {
  const { kernel, report } = context;
  const { axes, inputs, outputs, carries, program } = body;
  if (axes.length > tileLimits.vecAxes) report(`${axes.length} axes`);
  if (inputs.length > tileLimits.vecInputs) report(`${inputs.length} inputs`);
  if (outputs.length > tileLimits.vecOutputs) report(`${outputs.length} outputs`);
  if (carries.length > tileLimits.vecCarries) report(`${carries.length} carried registers`);
  if (!/^p*(r*|s?)$/.test(axes.map(({ kind }) => kind[0]).join(""))) {
    report("its axes are not parallel axes, then reduce axes or one scan axis");
  }
  for (const { count, base } of axes) {
    verifyCount(count, context);
    verifyOffset(base, context);
  }
  for (const { strides } of inputs) verifyStrides(strides, axes.length, "an input", context);
  verifyLanes(body, context);
  const dtypeOf = ({ value }: TileOperand): DeviceDType => kernel.values[value]!.dtype;
  outputs.forEach(({ dest, strides, reduce }, i) => {
    const type = resultType(program, i);
    verifyRegister(type, dtypeOf(dest), `output ${i}`, context);
    verifyStrides(strides, axes.length, `output ${i}`, context);
    if (reduce === undefined) return;
    verifyOffset(reduce.phase, context);
    const hasPartials = type === "f32" && ["sum", "prod"].includes(reduce.reduction);
    if (reduce.partialStride !== undefined && !hasPartials) {
      report(`a ${reduce.reduction} of ${type} has no partials`);
    }
    if (reduce.partialStride === undefined && hasPartials && reduce.init.length > 0) {
      report(`output ${i} goes on over several trips without partials`);
    }
    if (type === "f32" && ["and", "or"].includes(reduce.reduction)) {
      report(`output ${i} is a reduction by ${reduce.reduction} of fp32`);
    }
  });
  carries.forEach(({ next, type, state }, i) => {
    if (resultType(program, next) !== type) report(`carry ${i} changes its type`);
    if (state === undefined) return;
    verifyRegister(type, dtypeOf(state.dest), `carry ${i}`, context);
    verifyStrides(state.strides, axes.length, `carry ${i}`, context);
  });
}

function resultType(program: LaneProgram, result: number): RegisterType | undefined {
  return program.instructions[program.results[result] ?? -1]?.type;
}

function verifyLanes({ program, inputs, axes, carries }: Vec, context: Context): void {
  const { kernel, report } = context;
  program.instructions.forEach(({ op, args, imm, type }, i) => {
    const row = laneOps[op];
    const here = `r${i} = ${op}`;
    if (row.result !== "any" && row.result !== type) report(`${here} is no ${type}`);
    if (args.length !== row.args.length) report(`${here} has ${args.length} arguments`);
    args.forEach((arg, a) => {
      if (!(arg < i)) report(`${here} reads r${arg}`);
      else if (program.instructions[arg]!.type !== row.args[a]) {
        report(`${here} takes no ${program.instructions[arg]!.type} as argument ${a}`);
      }
    });
    const limits: { readonly [name: string]: number } = {
      input: inputs.length,
      lookup: inputs.length,
      index: axes.length,
      scalar: kernel.scalarCount,
      carry: carries.length,
    };
    const limit = limits[op];
    if (limit === undefined) return;
    if (imm === undefined || !(imm >= 0 && imm < limit)) return report(`${here} of number ${imm}`);
    if (op === "input" || op === "lookup") {
      const { value } = inputs[imm]!.source;
      verifyRegister(type, kernel.values[value]!.dtype, here, context);
    }
    if (op === "carry" && carries[imm]!.type !== type) report(`${here} is no ${type}`);
  });
  for (const result of program.results) {
    if (program.instructions[result] === undefined) report(`there is no r${result}`);
  }
}

function verifyRegister(
  type: RegisterType | undefined,
  dtype: DeviceDType,
  what: string,
  { report }: Context,
): void {
  if (type === undefined) report(`${what} has no result`);
  else if (isFloat(dtype) !== (type === "f32")) report(`${what}: ${type} meets ${dtype}`);
}

function verifyStrides(
  strides: readonly number[],
  axes: number,
  what: string,
  { report }: Context,
): void {
  if (strides.length !== axes) report(`${what} has ${strides.length} strides for ${axes} axes`);
}

function verifyOffset(affine: Affine, { kernel, loops, report }: Context): void {
  verifyAffine(kernel, affine, loops, report);
}

function verifyCount(count: Count, context: Context): void {
  verifyOffset(count.value, context);
  if (!(Number.isInteger(count.max) && count.max >= 0)) {
    context.report(`a count of at most ${count.max}`);
  }
}

export function verifyAffine(
  kernel: Kernel,
  affine: Affine,
  around: readonly LoopHead[],
  report: Report,
): void {
  if (!Number.isSafeInteger(affine.constant)) report(`${affine.constant} is no whole number`);
  for (const { coefficient, of, id } of affine.terms) {
    if (!Number.isSafeInteger(coefficient)) report(`${coefficient} is no whole number`);
    if (of === "scalar") {
      if (!(id >= 0 && id < kernel.scalarCount)) report(`there is no runtime scalar ${id}`);
    } else if (!around.some((head) => head.id === id)) {
      report(`loop ${id} does not enclose its use`);
    }
  }
}
