/** Cast and CastLike. Between numbers they are one map; strings and unusual roundings stay on the host. */
import type { Value } from "../ir/graph.js";
import { convertData, decodeElement, encodeArray } from "../numerics/convert.js";
import { type DType, isFloat } from "../numerics/dtype.js";
import { saturate } from "../numerics/quantized-lanes.js";
import type { Tensor } from "../numerics/tensor.js";
import { dtypeAttribute, operator } from "./helpers.js";
import {
  Decline,
  type EvaluateContext,
  type LowerContext,
  type NodeContext,
  type OperatorRecord,
} from "./record.js";

const specialNames: ReadonlyMap<string, number> = new Map([
  ["nan", Number.NaN],
  ["inf", Infinity],
  ["+inf", Infinity],
  ["-inf", -Infinity],
]);

function lowerCast(c: LowerContext, to: DType): Value {
  const x = c.input(0);
  if (x.dtype === "string" || to === "string") throw new Decline("strings stay on the host");
  if (to === "f8e8m0" && roundMode(c) !== "up") throw new Decline("f8e8m0 is rounded up elsewhere");
  return c.b.cast(x, to, { saturate: c.int("saturate", 1) !== 0 });
}

/** Before opset 25 floats become 4-bit integers by rounding and saturation, and NaN the largest 4-bit float. */
function lowerOldCast(c: LowerContext, to: DType): Value {
  const x = c.input(0);
  const integer = to === "i4" || to === "u4";
  if (!isFloat(x.dtype) || !(integer || to === "f4e2m1")) return lowerCast(c, to);
  if (integer) return c.b.map(to, [x], (l, a) => saturate(l, l.toI(l.rint(a!)), to));
  const largest = c.b.map(x.dtype, [x], (l, a) => l.select(l.eq(a!, a!), a!, l.constF(6)));
  return c.b.cast(largest, to);
}

function roundMode(c: NodeContext): "up" | "down" | "nearest" {
  const mode = c.string("round_mode", "up");
  if (mode === "up" || mode === "down" || mode === "nearest") return mode;
  return c.invalid("L0108", `round_mode "${mode}" is none of up, down, nearest`);
}

function evaluateCast(c: EvaluateContext, to: DType): readonly Tensor[] {
  const x = c.tensorInput(0);
  return [{ dtype: to, shape: x.shape, data: castData(c, x, to) }];
}

function castData(c: EvaluateContext, x: Tensor, to: DType): Tensor["data"] {
  if (to === "string") return Array.from({ length: x.data.length }, (_, i) => textOf(x, i));
  if (x.dtype !== "string") {
    const saturate = c.int("saturate", 1) !== 0;
    return convertData(x.dtype, x.data, to, { saturate, roundMode: roundMode(c) });
  }
  const numbers = (x.data as readonly string[]).map((text) => parseNumber(c, text));
  if (isFloat(to)) return encodeArray(to, numbers);
  return convertData("f64", Float64Array.from(numbers), to);
}

/** L0202 where the text is no number. */
export function parseNumber(c: EvaluateContext, text: string): number {
  const trimmed = text.trim();
  const value = specialNames.get(trimmed.toLowerCase()) ?? Number(trimmed);
  const special = specialNames.has(trimmed.toLowerCase());
  if (!special && (trimmed === "" || Number.isNaN(value))) {
    c.invalid("L0202", `"${text}" is not a number`);
  }
  return value;
}

/** The shortest decimal text that gives the element back in its own type. */
function textOf(x: Tensor, index: number): string {
  if (x.dtype === "string" || !isFloat(x.dtype)) return String(x.data[index]);
  const value = decodeElement(x.dtype, x.data, index);
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "INF" : "-INF";
  if (x.dtype === "f64") return String(value);
  for (let digits = 1; digits < 9; digits++) {
    const text = Number(value.toPrecision(digits));
    const back = encodeArray(x.dtype, [text]);
    if (decodeElement(x.dtype, back, 0) === value) return String(text);
  }
  return String(Number(value.toPrecision(9)));
}

function castRecords(
  name: string,
  since: number,
  target: { lower: (c: LowerContext) => DType; evaluate: (c: EvaluateContext) => DType },
): OperatorRecord[] {
  const host = {
    evaluate: (c: EvaluateContext) => evaluateCast(c, target.evaluate(c)),
    infer: (c: LowerContext) => [{ dtype: target.lower(c), shape: c.input(0).shape }],
  };
  const old = operator(name, { since, until: 24 }, (c) => lowerOldCast(c, target.lower(c)));
  const now = operator(name, 25, (c) => lowerCast(c, target.lower(c)));
  return [
    { ...old, ...host },
    { ...now, ...host },
  ];
}

const named = (c: NodeContext): DType => dtypeAttribute(c, "to");

export const castOperators: readonly OperatorRecord[] = [
  ...castRecords("Cast", 6, { lower: named, evaluate: named }),
  ...castRecords("CastLike", 15, {
    lower: (c) => c.input(1).dtype,
    evaluate: (c) => c.tensorInput(1).dtype,
  }),
];
