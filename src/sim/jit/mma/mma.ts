/** Mma instructions as calls of the matrix kernels: which operand is cut into panels, and with which strides. */
import { isFloat } from "../../../numerics/dtype.js";
import type { MmaAxis, MmaBody } from "../../../ir/tile.js";
import type {
  Condition,
  Instruction,
  Program,
  ProgramNode,
  SlotDest,
  SlotSource,
} from "../../../isa/program.js";
import { emitCondition, emitCount } from "../walk/environment.js";
import * as ints from "../walk/ints.js";
import type { Int } from "../walk/ints.js";
import type { Kernel } from "../kernels.js";
import { elementBytes } from "../lanes/format.js";
import { addFloatMma, floatWorkBytes, mmaMode } from "./float.js";
import type { ZeroPoint } from "./int-pack.js";
import { addIntMma, intMmaKey, intMmaParams, intWorkBytes } from "./int.js";
import { type MmaParam, mmaParams, type ZeroParam, zeroParams } from "./params.js";
import { placeOf, scratchAt, type Site, type SlotPlace, strideIn } from "../walk/site.js";

type Mma = MmaBody<SlotSource, SlotDest, Condition>;

const floatKernel: Kernel = { key: "mma f32", params: mmaParams.length, add: addFloatMma };

export function emitMma(site: Site, written: Mma): void {
  const body = oriented(written);
  const a = placeOf(site, body.a);
  const b = placeOf(site, body.b);
  const c = placeOf(site, body.dest);
  const common = commonArguments(site, body, { a, b, c });
  const args = mmaParams.map((name) => common[name]);
  if (isFloat(c.dtype)) return site.call(floatKernel, args);
  const zeroA = body.zeroA && placeOf(site, body.zeroA.source);
  const zeroB = body.zeroB && placeOf(site, body.zeroB.source);
  const types = {
    a: a.dtype,
    b: b.dtype,
    ...(zeroA === undefined ? {} : { zeroA: zeroPoint(body, body.zeroA!.strides, zeroA) }),
    ...(zeroB === undefined ? {} : { zeroB: zeroPoint(body, body.zeroB!.strides, zeroB) }),
  };
  const kernel: Kernel = {
    key: intMmaKey(types),
    params: intMmaParams,
    add: (module, exported) => addIntMma(module, types, exported),
  };
  site.call(kernel, [
    ...args,
    ...zeroArguments(body, "m", body.zeroA?.strides, zeroA),
    ...zeroArguments(body, "n", body.zeroB?.strides, zeroB),
  ]);
}

function zeroPoint(body: Mma, strides: readonly number[], { dtype }: SlotPlace): ZeroPoint {
  const moves = body.axes.some(
    ({ role, count }, i) => role === "k" && count.max > 1 && strides[i] !== 0,
  );
  return { dtype, moves };
}

/** Work area that the mmas of a program need at most. */
export function mmaWorkBytes(program: Program): number {
  const needs = (node: ProgramNode): number => {
    if (node.kind === "loop") return Math.max(0, ...node.body.map(needs));
    return node.kind === "instruction" ? instructionWorkBytes(program, node.instruction) : 0;
  };
  return Math.max(0, ...program.body.map(needs));
}

function instructionWorkBytes(program: Program, { body: written }: Instruction): number {
  if (written.op !== "mma") return 0;
  const body = oriented(written);
  const most = (role: MmaAxis["role"]): number =>
    axesOf(body, role).reduce((product, axis) => product * axis.count.max, 1);
  const bytes = isFloat(program.queues[body.dest.queue]!.dtype) ? floatWorkBytes : intWorkBytes;
  return bytes(most("m"), most("n"), most("k"));
}

function axesOf(body: Mma, role: MmaAxis["role"]): MmaAxis[] {
  return body.axes.filter((axis) => axis.role === role);
}

/**
 * a * b is b * a to the bit, so rows and columns may change places: columns are what lies side by side in the
 * accumulators, since they are computed four to a vector.
 */
function oriented(body: Mma): Mma {
  const isSide = (role: "m" | "n"): boolean => {
    const inner = axesOf(body, role).findLast((axis) => axis.count.max > 1);
    return inner?.strideC === 1;
  };
  if (isSide("n") || !isSide("m")) return body;
  const { zeroA, zeroB, ...rest } = body;
  const other = { g: "g", k: "k", m: "n", n: "m" } as const;
  return {
    ...rest,
    a: body.b,
    b: body.a,
    ...(zeroB === undefined ? {} : { zeroA: zeroB }),
    ...(zeroA === undefined ? {} : { zeroB: zeroA }),
    axes: body.axes.map((axis) => ({
      ...axis,
      role: other[axis.role],
      strideA: axis.strideB,
      strideB: axis.strideA,
    })),
  };
}

interface Places {
  readonly a: SlotPlace;
  readonly b: SlotPlace;
  readonly c: SlotPlace;
}

function commonArguments(site: Site, body: Mma, { a, b, c }: Places): Record<MmaParam, Int> {
  const { f, environment, layout } = site;
  const condition = (x: Condition, bit: number): Int =>
    ints.scale(f, emitCondition(f, x, environment), bit);
  const isWhole = body.clear.kind === "always" && body.fold.kind === "always";
  const mode = isWhole
    ? ints.constant(mmaMode.clear | mmaMode.fold | wholeMode(site.program, body.dest.queue))
    : ints.add(f, condition(body.clear, mmaMode.clear), condition(body.fold, mmaMode.fold));
  const args: Record<string, Int> = {
    a: a.address,
    b: b.address,
    c: c.address,
    open: ints.constant(layout.queues[c.queue]!.openBytes),
    mode,
    work: scratchAt(site, layout.workOffset),
  };
  for (const [role, places] of Object.entries(axisPlaces)) {
    const axes = axesOf(body, role as MmaAxis["role"]);
    const missing = places.length - axes.length;
    places.forEach((name, i) => {
      const axis = axes[i - missing];
      args[name] = axis === undefined ? ints.one : emitCount(f, axis.count, environment);
      const suffix = name.toUpperCase();
      args[`a${suffix}`] = ints.constant(strideIn(a, axis?.strideA ?? 0) * elementBytes[a.dtype]);
      args[`b${suffix}`] = ints.constant(strideIn(b, axis?.strideB ?? 0) * elementBytes[b.dtype]);
      args[`c${suffix}`] = ints.constant((axis?.strideC ?? 0) * elementBytes[c.dtype]);
    });
  }
  return args as Record<MmaParam, Int>;
}

/** Where all mmas on a queue begin and end their segments themselves, no open segment is ever read. */
function wholeMode(program: Program, queue: number): number {
  const isWhole = (node: ProgramNode): boolean => {
    if (node.kind === "loop") return node.body.every(isWhole);
    if (node.kind !== "instruction") return true;
    const { body } = node.instruction;
    if (body.op !== "mma" || body.dest.queue !== queue) return true;
    return body.clear.kind === "always" && body.fold.kind === "always";
  };
  return program.body.every(isWhole) ? mmaMode.closed : 0;
}

/** The parameters of each role's axes, slowest first. */
const axisPlaces: { readonly [R in MmaAxis["role"]]: readonly MmaParam[] } = {
  g: ["g"],
  m: ["m0", "m1"],
  n: ["n0", "n1"],
  k: ["k0", "k1", "k2"],
};

function zeroArguments(
  body: Mma,
  role: "m" | "n",
  strides: readonly number[] | undefined,
  place: SlotPlace | undefined,
): Int[] {
  const strideOf = (axis: MmaAxis | undefined): Int => {
    if (axis === undefined || strides === undefined || place === undefined) return ints.zero;
    const stride = strideIn(place, strides[body.axes.indexOf(axis)]!);
    return ints.constant(stride * elementBytes[place.dtype]);
  };
  const places = (of: MmaAxis["role"], count: number): Int[] => {
    const axes = axesOf(body, of);
    return Array.from({ length: count }, (_, i) => strideOf(axes[i - count + axes.length]));
  };
  const named: Record<ZeroParam, Int> = {
    z: place?.address ?? ints.zero,
    zG: places("g", 1)[0]!,
    z0: places(role, 2)[0]!,
    z1: places(role, 2)[1]!,
    zK0: places("k", 3)[0]!,
    zK1: places("k", 3)[1]!,
    zK2: places("k", 3)[2]!,
  };
  return zeroParams.map((name) => named[name]);
}
