/**
 * TfIdfVectorizer: how often n-grams of a pool occur in rows of words. Words that are numbers are compared with
 * every gram at every place; strings are looked up on the host.
 */
import type { DType } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { type Dim, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { declineStrings, operator, range } from "./helpers.js";
import { numbersOf, tensorOf } from "./host.js";
import type { EvaluateContext, LowerContext, NodeContext, OperatorRecord } from "./record.js";

export const gramOperators: readonly OperatorRecord[] = [
  {
    ...operator("TfIdfVectorizer", 9, countGrams),
    evaluate: vectorize,
    infer: (c) => [{ dtype: "f32", shape: resultShape(c) }],
  },
];

function resultShape(c: LowerContext): readonly Dim[] {
  return [...c.input(0).shape.slice(0, -1), widthOf(c)];
}

function widthOf(c: NodeContext): number {
  return 1 + Math.max(-1, ...(c.ints("ngram_indexes") ?? []));
}

function countGrams(c: LowerContext): Value {
  declineStrings(c);
  const { b } = c;
  const x = c.input(0);
  if (x.shape.length > 2) c.invalid("L0201", `words of rank ${x.shape.length} are no rows`);
  const length = staticDim(x.shape.at(-1) ?? 1, "n-grams are looked for at every place of a row");
  const rows = b.reshape(x, [x.shape.length > 1 ? x.shape[0]! : 1, length]);
  const grams = gramsOf(c);
  const lengths = [...new Set(grams.map(({ items }) => items.length))];
  const found = lengths.flatMap((size) => {
    const own = grams.filter(({ items }) => items.length === size);
    const counts = countsOf(c, rows, own, length);
    return counts === undefined ? [] : [{ own, counts }];
  });
  const width = widthOf(c);
  const zeros = b.broadcast(b.full("f32", 0), [rows.shape[0]!, width]);
  const sums = found.reduce((sum, { own, counts }) => {
    const outputs = Int32Array.from(own, ({ output }) => output);
    const indices = b.constant({ dtype: "i32", shape: [own.length], data: outputs });
    const values = weighted(c, own, counts);
    return b.scatter(sum, b.broadcast(indices, values.shape), values, 1, "add");
  }, zeros);
  return b.reshape(sums, resultShape(c));
}

/** How often each gram of one length occurs in each row, as [rows, grams]; undefined where no row is long enough. */
function countsOf(
  c: LowerContext,
  rows: Value,
  grams: readonly Gram[],
  length: number,
): Value | undefined {
  const { b } = c;
  const size = grams[0]!.items.length;
  const counts = distancesOf(c, size).flatMap((distance) => {
    const places = length - (size - 1) * distance;
    if (places <= 0) return [];
    const matches = range(0, size).map((i) => {
      const words = b.unsqueeze(b.sliceAxis(rows, 1, i * distance, places), [2]);
      return b.map("bool", [words, wordsOf(c, grams, i, rows.dtype)], (l, word, item) =>
        word!.type === "i32" ? l.eqI(word!, item!) : l.eq(word!, item!),
      );
    });
    const all = matches.reduce((one, other) =>
      b.map("bool", [one, other], (l, p, q) => l.and(p!, q!)),
    );
    return [b.reduce(b.cast(all, "f32"), "sum", [1])];
  });
  if (counts.length === 0) return undefined;
  return counts.reduce((sum, more) => b.map("f32", [sum, more], (l, p, q) => l.add(p!, q!)));
}

/** Word number i of every gram. */
function wordsOf(c: LowerContext, grams: readonly Gram[], i: number, dtype: DType): Value {
  return c.b.constant(
    tensorOf(
      dtype,
      [grams.length],
      grams.map(({ items }) => Number(items[i])),
    ),
  );
}

function weighted(c: LowerContext, grams: readonly Gram[], counts: Value): Value {
  const mode = modeOf(c);
  if (mode === "TF") return counts;
  const weights = c.b.constant(
    tensorOf(
      "f32",
      [grams.length],
      grams.map(({ weight }) => weight),
    ),
  );
  return c.b.map("f32", [counts, weights], (l, count, weight) => {
    if (mode === "TFIDF") return l.mul(count!, weight!);
    return l.select(l.lt(l.constF(0), count!), weight!, l.constF(0));
  });
}

function modeOf(c: NodeContext): "TF" | "IDF" | "TFIDF" {
  const mode = c.string("mode", "TF");
  if (mode === "TF" || mode === "IDF" || mode === "TFIDF") return mode;
  return c.invalid("L0108", `mode "${mode}" is none of TF, IDF, TFIDF`);
}

/** How far apart neighbouring words of a gram may be. */
function distancesOf(c: NodeContext, size: number): number[] {
  return range(1, (size === 1 ? 0 : c.int("max_skip_count", 0)) + 2);
}

function vectorize(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const elements: readonly (number | string)[] = Array.isArray(x.data)
    ? x.data
    : Array.from(numbersOf(x));
  const rowLength = x.shape.at(-1) ?? 1;
  const rows = x.shape.length > 1 ? x.shape[0]! : 1;
  const grams = gramsOf(c);
  const width = widthOf(c);
  const mode = modeOf(c);
  const result = new Float64Array(rows * width);
  for (const row of range(0, rows)) {
    const own = elements.slice(row * rowLength, (row + 1) * rowLength);
    for (const { items, output, weight } of grams) {
      const count = countGram(c, own, items);
      if (count === 0) continue;
      result[row * width + output]! +=
        mode === "TF" ? count : mode === "IDF" ? weight : count * weight;
    }
  }
  return [tensorOf("f32", [...x.shape.slice(0, -1), width], result)];
}

interface Gram {
  readonly items: readonly (number | string)[];
  readonly output: number;
  readonly weight: number;
}

function gramsOf(c: NodeContext): readonly Gram[] {
  const starts = c.ints("ngram_counts") ?? c.invalid("L0108", "ngram_counts is missing");
  const outputs = c.ints("ngram_indexes") ?? c.invalid("L0108", "ngram_indexes is missing");
  const pool = c.strings("pool_strings") ?? c.ints("pool_int64s") ?? [];
  const weights = c.floats("weights");
  const [shortest, longest] = [c.int("min_gram_length", 1), c.int("max_gram_length", 1)];
  const grams: Gram[] = [];
  let number = 0;
  for (const [i, start] of starts.entries()) {
    const length = i + 1;
    for (let at = start; at + length <= (starts[i + 1] ?? pool.length); at += length) {
      const gram = {
        items: pool.slice(at, at + length),
        output: outputs[number] ?? c.invalid("L0108", `ngram_indexes has no entry ${number}`),
        weight: weights?.[number] ?? 1,
      };
      number++;
      if (length >= shortest && length <= longest) grams.push(gram);
    }
  }
  return grams;
}

function countGram(
  c: EvaluateContext,
  row: readonly (number | string)[],
  items: readonly (number | string)[],
): number {
  let count = 0;
  for (const distance of distancesOf(c, items.length)) {
    for (const start of range(0, row.length - (items.length - 1) * distance)) {
      if (items.every((item, i) => row[start + i * distance] === item)) count++;
    }
  }
  return count;
}
