/**
 * One lane instruction over a chunk of fp32 and int32 registers. Same bits as `numerics/scalar.ts`, where each
 * row's meaning is; the rows that real models spend their time in have loops of their own here.
 */
import type { LaneInstruction } from "../numerics/lane.js";
import { scalarAlgebra } from "../numerics/scalar.js";
import { wideFunctions } from "../numerics/wide.js";
import { InternalError } from "../support/diagnostic.js";
import type { Register } from "./evaluate-map.js";

export const scalarOps: Record<string, (...args: number[]) => number> = {
  ...(scalarAlgebra as unknown as Record<string, (...args: number[]) => number>),
  ...Object.fromEntries(
    Object.entries(wideFunctions).map(([name, f]) => [
      name,
      (...x: number[]) => Math.fround(f(...x) as number),
    ]),
  ),
};

export function runNarrow(
  { op, args, imm }: LaneInstruction,
  registers: readonly Register[],
  target: number,
  count: number,
): void {
  const out = registers[target] as Float32Array;
  const [a, b, c] = args.map((register) => registers[register] as Float32Array);
  if (op === "constF" || op === "constI") {
    out.fill(imm!);
    return;
  }
  const row: Row | undefined = rows[op as keyof typeof rows];
  if (row !== undefined) {
    row(out, a!, b!, c!, count);
    return;
  }
  const compute = scalarOps[op as keyof typeof scalarOps];
  if (compute === undefined) throw new InternalError(`a map cannot use the lane operation ${op}`);
  runGeneric(compute, out, [a!, b!, c!].slice(0, args.length), count);
}

type Numbers = Float32Array | Int32Array;
type Row = (out: Numbers, a: Numbers, b: Numbers, c: Numbers, count: number) => void;

function runGeneric(
  compute: (...args: number[]) => number,
  out: Numbers,
  [a, b, c]: readonly Numbers[],
  count: number,
): void {
  if (b === undefined) for (let i = 0; i < count; i++) out[i] = compute(a![i]!);
  else if (c === undefined) for (let i = 0; i < count; i++) out[i] = compute(a![i]!, b[i]!);
  else for (let i = 0; i < count; i++) out[i] = compute(a![i]!, b[i]!, c[i]!);
}

/** Storing into the typed array rounds to fp32 or wraps to int32. */
const rows = {
  add: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! + b[i]!;
  },
  sub: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! - b[i]!;
  },
  mul: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! * b[i]!;
  },
  div: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! / b[i]!;
  },
  neg: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = -a[i]!;
  },
  sqrt: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.sqrt(a[i]!);
  },
  min: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.min(a[i]!, b[i]!);
  },
  max: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.max(a[i]!, b[i]!);
  },
  lt: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! < b[i]! ? -1 : 0;
  },
  le: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! <= b[i]! ? -1 : 0;
  },
  eq: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! === b[i]! ? -1 : 0;
  },
  addI: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! + b[i]!;
  },
  subI: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]! - b[i]!;
  },
  mulI: (out, a, b, _, count) => {
    for (let i = 0; i < count; i++) out[i] = Math.imul(a[i]!, b[i]!);
  },
  toF: (out, a, _b, _c, count) => {
    for (let i = 0; i < count; i++) out[i] = a[i]!;
  },
} satisfies Record<string, Row>;
