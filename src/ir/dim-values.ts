/**
 * Elements that are known as expressions over symbols: what becomes of them under the core operations. So
 * Shape -> Gather -> Mul -> Concat -> Reshape chains vanish at import, also where a dim is symbolic.
 * Elements are quotients of a dim by a power of two, since exporters compute sizes in floats.
 * Anything undecidable gives undefined; the builder then keeps the operation.
 */
import { decodeElement } from "../numerics/convert.js";
import { type DType, isFloat } from "../numerics/dtype.js";
import type { LaneInstruction, LaneProgram } from "../numerics/lane.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import {
  type Dim,
  dimAdd,
  dimCeilDiv,
  dimEquals,
  dimExactDiv,
  dimFloorDiv,
  dimMax,
  dimMin,
  dimMul,
  dimSub,
} from "./dim.js";
import { evaluateOperation } from "./evaluate/evaluate.js";
import type { PlainOperation } from "./operation-types.js";

/** `dim` / `divisor`; the divisor is a power of two, 1 for integers. */
export interface KnownElement {
  readonly dim: Dim;
  readonly divisor: number;
}

export interface KnownValue {
  readonly shape: readonly number[];
  readonly elements: readonly KnownElement[];
}

/** Beyond this fp32 could not hold the integers exactly. */
const exactMax = 2 ** 24;
/** Larger vectors are data, not shapes. */
const elementsMax = 4096;

export function knownInteger(dim: Dim): KnownElement {
  return { dim, divisor: 1 };
}

/** Elements of a constant; undefined where one is no such quotient. */
export function knownElements({ dtype, data }: Tensor): readonly KnownElement[] | undefined {
  if (dtype === "string") return undefined;
  const known: KnownElement[] = [];
  for (let i = 0; i < data.length; i++) {
    const value = decodeElement(dtype, data, i);
    const element =
      dtype === "bool"
        ? knownInteger(-value)
        : isFloat(dtype)
          ? knownFloat(value)
          : knownInteger(value);
    if (element === undefined) return undefined;
    known.push(element);
  }
  return known;
}

/** A float as a quotient, where it is one with a small power of two. */
function knownFloat(value: number): KnownElement | undefined {
  for (let divisor = 1; divisor <= 1024; divisor *= 2) {
    if (Number.isInteger(value * divisor) && Math.abs(value * divisor) < exactMax) {
      return { dim: value * divisor, divisor };
    }
  }
  return undefined;
}

export function evaluateKnown(
  op: PlainOperation,
  inputs: readonly KnownValue[],
  shape: readonly number[],
): readonly KnownElement[] | undefined {
  if (elementCount(shape) > elementsMax) return undefined;
  switch (op.kind) {
    case "slice":
      if (op.starts.some((start) => typeof start !== "number")) return undefined;
      return select(op, inputs, shape);
    case "reshape":
    case "transpose":
    case "broadcast":
    case "concat":
      return select(op, inputs, shape);
    case "gather":
      return gatherKnown(op, inputs, shape);
    case "map":
      return mapKnown(op.program, inputs, shape);
    case "reduce":
      return reduceKnown(op, inputs[0]!, shape);
    case "iota":
    case "pad":
    case "window":
    case "contract":
    case "scatter":
    case "scan":
      return undefined;
    default:
      return op satisfies never;
  }
}

/** Movement chooses elements: done on their positions. */
function select(
  op: PlainOperation,
  inputs: readonly KnownValue[],
  shape: readonly number[],
): readonly KnownElement[] {
  const pool: KnownElement[] = [];
  const positions = inputs.map(({ shape: from, elements }) => {
    const first = pool.length;
    pool.push(...elements);
    return {
      dtype: "i32" as DType,
      shape: from,
      data: Int32Array.from(elements, (_, i) => first + i),
    };
  });
  const chosen = evaluateOperation(op, positions, { dtype: "i32", shape }).data as Int32Array;
  return Array.from(chosen, (position) => pool[position]!);
}

function gatherKnown(
  op: PlainOperation & { kind: "gather" },
  [data, indices]: readonly KnownValue[],
  shape: readonly number[],
): readonly KnownElement[] | undefined {
  const numbers = indices!.elements.map((e) => e.dim);
  if (numbers.some((n) => typeof n !== "number")) return undefined;
  const positions = Int32Array.from(data!.elements, (_, i) => i);
  const tensors = [
    { dtype: "i32" as DType, shape: data!.shape, data: positions },
    { dtype: "i32" as DType, shape: indices!.shape, data: Int32Array.from(numbers as number[]) },
  ];
  const chosen = evaluateOperation(op, tensors, { dtype: "i32", shape }).data as Int32Array;
  return Array.from(chosen, (position) => data!.elements[position]!);
}

function reduceKnown(
  op: PlainOperation & { kind: "reduce" },
  x: KnownValue,
  shape: readonly number[],
): readonly KnownElement[] | undefined {
  const combine = reductions[op.reduction as keyof typeof reductions];
  if (combine === undefined || op.axes.length !== x.shape.length) return undefined;
  const [first, ...rest] = x.elements;
  if (first === undefined || elementCount(shape) !== 1) return undefined;
  const result = rest.reduce<KnownElement | undefined>(
    (acc, e) => (acc === undefined ? undefined : combine(acc, e)),
    first,
  );
  return result === undefined ? undefined : [result];
}

function mapKnown(
  program: LaneProgram,
  inputs: readonly KnownValue[],
  shape: readonly number[],
): readonly KnownElement[] | undefined {
  const aligned = inputs.map((x) => {
    const rank = shape.length - x.shape.length;
    const from = [...new Array<number>(rank).fill(1), ...x.shape];
    return select({ kind: "broadcast" }, [{ shape: from, elements: x.elements }], shape);
  });
  const results: KnownElement[] = [];
  for (let i = 0; i < elementCount(shape); i++) {
    const element = runLane(
      program,
      aligned.map((x) => x[i]!),
    );
    if (element === undefined) return undefined;
    results.push(element);
  }
  return results;
}

function runLane(program: LaneProgram, inputs: readonly KnownElement[]): KnownElement | undefined {
  const registers: (KnownElement | undefined)[] = [];
  for (const instruction of program.instructions) {
    const args = instruction.args.map((register) => registers[register]);
    registers.push(step(instruction, args, inputs));
  }
  const result = registers[program.results[0]!];
  if (result === undefined || magnitude(result.dim) >= exactMax * result.divisor * 64)
    return undefined;
  return result;
}

function magnitude(dim: Dim): number {
  return Math.max(Math.abs(dimMin(dim)), Math.abs(dimMax(dim)));
}

type Step = (...args: KnownElement[]) => KnownElement | undefined;

function step(
  { op, imm, type }: LaneInstruction,
  args: readonly (KnownElement | undefined)[],
  inputs: readonly KnownElement[],
): KnownElement | undefined {
  if (op === "input") return inputs[imm!];
  if (op === "constI") return knownInteger(imm!);
  if (op === "constF") return knownFloat(imm!);
  if (op === "select" || op === "selectI") {
    const mask = args[0]?.dim;
    return typeof mask === "number" ? args[mask === 0 ? 2 : 1] : undefined;
  }
  const run: Step | undefined = steps[op as keyof typeof steps];
  if (run === undefined || args.some((a) => a === undefined)) return undefined;
  const result = run(...(args as KnownElement[]));
  if (result === undefined) return undefined;
  return type === "f32" && magnitude(result.dim) >= exactMax ? undefined : result;
}

/** Both over one divisor. */
function aligned(a: KnownElement, b: KnownElement): readonly [Dim, Dim, number] {
  const divisor = Math.max(a.divisor, b.divisor);
  return [dimMul(a.dim, divisor / a.divisor), dimMul(b.dim, divisor / b.divisor), divisor];
}

function quotient(dim: Dim, divisor: number): KnownElement | undefined {
  let rest = divisor;
  let reduced = dim;
  while (rest > 1) {
    const half = dimExactDiv(reduced, 2);
    if (rest % 2 !== 0 || half === undefined) break;
    reduced = half;
    rest /= 2;
  }
  const whole = dimExactDiv(reduced, rest);
  if (whole !== undefined) return knownInteger(whole);
  return Number.isInteger(Math.log2(rest)) ? { dim: reduced, divisor: rest } : undefined;
}

const add: Step = (a, b) => {
  const [x, y, divisor] = aligned(a!, b!);
  return quotient(dimAdd(x, y), divisor);
};
const sub: Step = (a, b) => {
  const [x, y, divisor] = aligned(a!, b!);
  return quotient(dimSub(x, y), divisor);
};
const mul: Step = (a, b) => quotient(dimMul(a!.dim, b!.dim), a!.divisor * b!.divisor);

const divide: Step = (a, b) => {
  if (typeof b!.dim === "number") {
    if (b!.dim === 0) return undefined;
    const sign = Math.sign(b!.dim);
    return quotient(dimMul(a!.dim, sign * b!.divisor), a!.divisor * Math.abs(b!.dim));
  }
  const exact = dimExactDiv(dimMul(a!.dim, b!.divisor), b!.dim);
  return exact === undefined ? undefined : quotient(exact, a!.divisor);
};

const divideInteger: Step = (a, b) => {
  if (b!.dim === 0) return undefined;
  const exact = dimExactDiv(a!.dim, b!.dim);
  if (exact !== undefined) return knownInteger(exact);
  if (typeof b!.dim !== "number" || dimMin(a!.dim) < 0 || b!.dim < 0) return undefined;
  return knownInteger(dimFloorDiv(a!.dim, b!.dim));
};

const remainder: Step = (a, b) => {
  const whole = divideInteger(a!, b!);
  return whole === undefined ? undefined : sub(a!, mul(whole, b!)!);
};

const floor: Step = (a) => knownInteger(dimFloorDiv(a!.dim, a!.divisor));
const ceil: Step = (a) => knownInteger(dimCeilDiv(a!.dim, a!.divisor));
const trunc: Step = (a) =>
  a!.divisor === 1 || dimMin(a!.dim) >= 0 ? floor(a!) : dimMax(a!.dim) <= 0 ? ceil(a!) : undefined;
const whole: Step = (a) => (a!.divisor === 1 ? a : undefined);

/** Range of a - b. */
function difference(a: KnownElement, b: KnownElement): readonly [number, number] {
  const [x, y] = aligned(a, b);
  const d = dimSub(x, y);
  return [dimMin(d), dimMax(d)];
}

const smaller: Step = (a, b) => {
  const [low, high] = difference(a!, b!);
  return high <= 0 ? a : low >= 0 ? b : undefined;
};
const larger: Step = (a, b) => {
  const [low, high] = difference(a!, b!);
  return low >= 0 ? a : high <= 0 ? b : undefined;
};

function mask(truth: boolean): KnownElement {
  return knownInteger(truth ? -1 : 0);
}

const equal: Step = (a, b) => {
  const [low, high] = difference(a!, b!);
  if (low === 0 && high === 0) return mask(true);
  return low > 0 || high < 0 ? mask(false) : undefined;
};
const less: Step = (a, b) => {
  const [low, high] = difference(a!, b!);
  return high < 0 ? mask(true) : low >= 0 ? mask(false) : undefined;
};
const lessOrEqual: Step = (a, b) => {
  const [low, high] = difference(a!, b!);
  return high <= 0 ? mask(true) : low > 0 ? mask(false) : undefined;
};

function bits(compute: (a: number, b: number) => number): Step {
  return (a, b) =>
    typeof a!.dim === "number" && typeof b!.dim === "number"
      ? knownInteger(compute(a!.dim, b!.dim))
      : undefined;
}

const and: Step = (a, b) => {
  if (a!.dim === 0 || b!.dim === 0) return knownInteger(0);
  if (a!.dim === -1 || (b!.dim !== -1 && dimEquals(a!.dim, b!.dim))) return b;
  return b!.dim === -1 ? a : bits((x, y) => x & y)(a!, b!);
};

const steps = {
  add,
  addI: add,
  sub,
  subI: sub,
  mul,
  mulI: mul,
  div: divide,
  divI: divideInteger,
  remI: remainder,
  neg: (a) => sub(knownInteger(0), a!),
  abs: (a) => (dimMin(a!.dim) >= 0 ? a : undefined),
  floor,
  ceil,
  trunc,
  rint: whole,
  toF: (a) => a,
  toI: trunc,
  min: smaller,
  minI: smaller,
  max: larger,
  maxI: larger,
  eq: equal,
  eqI: equal,
  lt: less,
  ltI: less,
  le: lessOrEqual,
  leI: lessOrEqual,
  and,
  or: bits((x, y) => x | y),
  xor: bits((x, y) => x ^ y),
} satisfies Record<string, Step>;

const reductions = { sum: add, prod: mul, max: larger, min: smaller };
