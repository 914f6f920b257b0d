/**
 * Operators on strings and encoded bytes, and the ones of ai.onnx.ml that map between strings and numbers.
 * All on the host.
 */
import type { Tensor } from "../numerics/tensor.js";
import type { DType } from "../numerics/dtype.js";
import { evaluateBroadcast } from "./broadcast.js";
import { operator, range } from "./helpers.js";
import { hostOperator, int64Tensor, stringTensor, tensorOf } from "./host.js";
import { Decline, type EvaluateContext, type NodeContext, type OperatorRecord } from "./record.js";

export const stringOperators: readonly OperatorRecord[] = [
  hostOperator("StringNormalizer", { since: 10 }, normalizeStrings),
  hostOperator("StringConcat", { since: 20 }, (c) => [
    evaluateBroadcast("string", [c.tensorInput(0), c.tensorInput(1)], (a, b) => `${a}${b}`),
  ]),
  hostOperator("StringSplit", { since: 20 }, splitStrings, (c) => [
    { dtype: "string" },
    { dtype: "i64", shape: c.input(0).shape },
  ]),
  hostOperator(
    "RegexFullMatch",
    { since: 20 },
    (c) => {
      const pattern = fullPattern(c);
      return [evaluateBroadcast("bool", [c.tensorInput(0)], (x) => pattern.test(String(x)))];
    },
    (c) => [{ dtype: "bool", shape: c.input(0).shape }],
  ),
  operator("ImageDecoder", { since: 20, note: "refused: decode images before" }, () => {
    throw new Decline("image files are to be decoded before they are given to the model");
  }),
  hostOperator("LabelEncoder", { domain: "ai.onnx.ml", since: 1 }, encodeLabels),
  operator("Binarizer", { domain: "ai.onnx.ml", since: 1 }, (c) => {
    const threshold = c.float("threshold", 0);
    const x = c.input(0);
    return c.b.map(x.dtype, [x], (l, v) => {
      if (v!.type === "i32") {
        return l.selectI(l.ltI(l.constI(Math.floor(threshold)), v!), l.constI(1), l.constI(0));
      }
      return l.select(l.lt(l.constF(threshold), v!), l.constF(1), l.constF(0));
    });
  }),
];

function stringsOf(c: EvaluateContext, index: number): readonly string[] {
  const { data } = c.tensorInput(index);
  return Array.isArray(data) ? data : c.invalid("L0202", `input ${index} does not hold strings`);
}

/** [C] or [1, C]; where every string is a stopword, one empty string remains. */
function normalizeStrings(c: EvaluateContext): readonly Tensor[] {
  const { shape } = c.tensorInput(0);
  const change = c.string("case_change_action", "NONE");
  const sensitive = c.int("is_case_sensitive", 0) !== 0;
  const fold = (text: string): string => (sensitive ? text : text.toLowerCase());
  const stopwords = new Set((c.strings("stopwords") ?? []).map(fold));
  const kept = stringsOf(c, 0)
    .filter((text) => !stopwords.has(fold(text)))
    .map((text) => {
      if (change === "LOWER") return text.toLowerCase();
      return change === "UPPER" ? text.toUpperCase() : text;
    });
  const result = kept.length === 0 ? [""] : kept;
  return [stringTensor([...shape.slice(0, -1), result.length], result)];
}

/** The parts of each string along a new axis, filled up with empty ones, and how many there are. */
function splitStrings(c: EvaluateContext): readonly Tensor[] {
  const { shape } = c.tensorInput(0);
  const delimiter = c.string("delimiter", "");
  const limit = c.int("maxsplit", Number.POSITIVE_INFINITY);
  const parts = stringsOf(c, 0).map((text) => {
    return delimiter === "" ? splitAtSpaces(text, limit) : splitAt(text, delimiter, limit);
  });
  const width = Math.max(0, ...parts.map((list) => list.length));
  const filled = parts.flatMap((list) => range(0, width).map((i) => list[i] ?? ""));
  const counts = parts.map((list) => list.length);
  return [stringTensor([...shape, width], filled), int64Tensor(shape, counts)];
}

function splitAtSpaces(text: string, limit: number): readonly string[] {
  const parts: string[] = [];
  let rest = text.trimStart();
  while (rest !== "" && parts.length < limit) {
    const space = rest.search(/\s/);
    if (space < 0) break;
    parts.push(rest.slice(0, space));
    rest = rest.slice(space).trimStart();
  }
  return rest === "" ? parts : [...parts, rest.trimEnd()];
}

function splitAt(text: string, delimiter: string, limit: number): readonly string[] {
  const parts = text === "" ? [] : text.split(delimiter);
  if (parts.length <= limit) return parts;
  return [...parts.slice(0, limit), parts.slice(limit).join(delimiter)];
}

/** RE2's syntax is JavaScript's for all that both have; (?P<name> is written (?<name>. */
function fullPattern(c: EvaluateContext): RegExp {
  const source = c.string("pattern") ?? c.invalid("L0108", "the pattern is missing");
  try {
    return new RegExp(`^(?:${source.replaceAll("(?P<", "(?<")})$`, "su");
  } catch {
    return c.invalid("L0108", `the pattern "${source}" is not understood`);
  }
}

/** Counts of n-grams with up to max_skip_count positions left out between their elements. */
type Label = string | number | bigint;

/** Values of one attribute family of LabelEncoder (keys_*, values_*), and their element type. */
function labelsOf(
  c: NodeContext,
  role: "keys" | "values",
): { readonly dtype: DType; readonly labels: readonly Label[] } {
  const strings = c.strings(`${role}_strings`);
  if (strings !== undefined) return { dtype: "string", labels: strings };
  const ints = c.attribute(`${role}_int64s`);
  if (ints?.kind === "ints") return { dtype: "i64", labels: ints.value };
  const floats = c.floats(`${role}_floats`);
  if (floats !== undefined) return { dtype: "f32", labels: floats };
  const tensor = c.tensor(`${role}_tensor`);
  if (tensor === undefined) return c.invalid("L0108", `${role} are missing`);
  return { dtype: tensor.dtype, labels: Array.from(tensor.data as ArrayLike<Label>) };
}

function encodeLabels(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const classes = c.strings("classes_strings");
  const { dtype, table, fallback } =
    classes === undefined ? labelTable(c) : classTable(c, classes, x.dtype);
  const given = Array.from(x.data as ArrayLike<Label>);
  const labels = given.map((label) => table.get(comparable(label)) ?? fallback);
  if (dtype === "string") return [stringTensor(x.shape, labels.map(String))];
  if (dtype === "i64") {
    const data = BigInt64Array.from(labels, (label) => BigInt(label));
    return [{ dtype, shape: x.shape, data }];
  }
  return [tensorOf(dtype, x.shape, labels.map(Number))];
}

interface LabelTable {
  readonly dtype: DType;
  readonly table: ReadonlyMap<string, Label>;
  readonly fallback: Label;
}

/** Numbers of any type compare by value, a NaN equals a NaN. */
function comparable(label: Label): string {
  return typeof label === "string" ? `"${label}` : String(label);
}

function labelTable(c: EvaluateContext): LabelTable {
  const keys = labelsOf(c, "keys");
  const { dtype, labels } = labelsOf(c, "values");
  const table = new Map(keys.labels.map((key, i) => [comparable(key), labels[i]!]));
  const given = c.tensor("default_tensor");
  if (given !== undefined) return { dtype, table, fallback: (given.data as Label[])[0]! };
  if (dtype === "string") return { dtype, table, fallback: c.string("default_string", "_Unused") };
  if (dtype === "i64") return { dtype, table, fallback: c.int("default_int64", -1) };
  return { dtype, table, fallback: c.float("default_float", -0) };
}

/** Version 1: a list of strings, mapped to their positions or back. */
function classTable(c: EvaluateContext, classes: readonly string[], from: DType): LabelTable {
  if (from === "string") {
    const table = new Map(classes.map((text, i) => [comparable(text), i]));
    return { dtype: "i64", table, fallback: c.int("default_int64", -1) };
  }
  const table = new Map(classes.map((text, i) => [comparable(i), text]));
  return { dtype: "string", table, fallback: c.string("default_string", "_Unused") };
}
