/** What a person wants to see of an output: shape, range, the class on top or the first values. */
import { decodeNumbers } from "../numerics/convert.js";
import { dtypes } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import { entriesOf } from "../ops/host-value.js";
import type { HostValue } from "../ops/record.js";
import { typeName } from "../runtime/type-names.js";
import { printTable } from "./output.js";

export interface OutputSummary {
  readonly name: string;
  readonly type: string;
  readonly shape?: readonly number[];
  readonly min?: number;
  readonly max?: number;
  /** Index of the largest value along the last axis, of every row; absent where that tells nothing. */
  readonly argmax?: readonly number[];
  readonly first: readonly (number | string)[];
  /** Of what is no tensor: sequences as lists, maps as objects, tensors in them as summaries. */
  readonly value?: unknown;
}

const firstMax = 8;
/** More rows than this are not listed by their largest value. */
const rowsMax = 64;

export function summarizeOutput(name: string, value: HostValue): OutputSummary {
  if (!isTensor(value)) {
    const items = itemsOf(value);
    return {
      name,
      type: `${value.kind} of ${items.length}`,
      first: items.slice(0, firstMax),
      value: plainValue(value),
    };
  }
  const { dtype, shape, data } = value;
  const type = typeName(dtype);
  if (Array.isArray(data)) return { name, type, shape, first: data.slice(0, firstMax) };
  const numbers = decodeNumbers(dtype, data);
  const first = [...numbers.slice(0, firstMax)];
  if (numbers.length === 0) return { name, type, shape, first };
  let [min, max] = [Infinity, -Infinity];
  for (const number of numbers) {
    if (number < min) min = number;
    if (number > max) max = number;
  }
  const argmax = argmaxOf(value, numbers);
  return { name, type, shape, min, max, ...(argmax === undefined ? {} : { argmax }), first };
}

/** What a sequence, a map or an optional holds, each item as a text. */
function itemsOf(value: Exclude<HostValue, Tensor>): readonly string[] {
  switch (value.kind) {
    case "map":
      return entriesOf(value).map(([key, item]) => `${key}: ${item}`);
    case "sequence":
      return value.items.map(itemText);
    case "optional":
      return value.item === undefined ? [] : [itemText(value.item)];
  }
}

function plainValue(value: HostValue): unknown {
  if (isTensor(value)) return summarizeOutput("", value);
  if (value.kind === "map") return Object.fromEntries(entriesOf(value));
  if (value.kind === "sequence") return value.items.map(plainValue);
  return value.item === undefined ? null : plainValue(value.item);
}

function itemText(item: HostValue): string {
  if (isTensor(item)) return text(item);
  return `{${itemsOf(item).join(", ")}}`;
}

export function printOutputs(summaries: readonly OutputSummary[]): void {
  printTable(
    ["output", "type", "shape", "min", "max", "values"],
    summaries.map((s) => [
      s.name,
      s.type,
      s.shape === undefined ? "-" : `[${s.shape.join(", ")}]`,
      s.min === undefined ? "-" : shown(s.min),
      s.max === undefined ? "-" : shown(s.max),
      valuesText(s),
    ]),
  );
}

function text(tensor: Tensor): string {
  return `${typeName(tensor.dtype)} [${tensor.shape.join(", ")}]`;
}

/** Of floats with at most three axes, as scores by class are; pictures and caches have more. */
function argmaxOf(
  { dtype, shape }: Tensor,
  numbers: ArrayLike<number>,
): readonly number[] | undefined {
  const classes = shape.at(-1) ?? 0;
  const rows = numbers.length / classes;
  const isScores =
    dtypes[dtype].kind === "float" && shape.length <= 3 && classes > 1 && rows <= rowsMax;
  if (!isScores) return undefined;
  return Array.from({ length: rows }, (_, row) => {
    let best = 0;
    for (let i = 1; i < classes; i++) {
      if (numbers[row * classes + i]! > numbers[row * classes + best]!) best = i;
    }
    return best;
  });
}

function valuesText({ argmax, first }: OutputSummary): string {
  const values = first.map((value) => (typeof value === "number" ? shown(value) : value)).join(" ");
  if (argmax === undefined) return values;
  const tops = argmax.slice(0, firstMax).join(" ") + (argmax.length > firstMax ? " .." : "");
  return `largest at ${tops}`;
}

function shown(value: number): string {
  return `${Number(value.toPrecision(5))}`;
}
