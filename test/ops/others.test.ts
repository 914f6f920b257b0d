/** Signals, losses, matrices, strings and random numbers; against ONNX Runtime where it has them. */
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import {
  compareWithOnnxRuntime,
  evaluate,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const i64 = (shape: readonly number[], ...values: number[]) => tensorOf("i64", shape, values);
const scalar = (value: number) => i64([], value);
const strings = (shape: readonly number[], ...data: string[]): Tensor => ({
  dtype: "string",
  shape,
  data,
});

const signals: readonly OperatorCase[] = [
  ...[0, 1].flatMap((onesided) =>
    [1, 2].map(
      (axis): OperatorCase => ({
        op: "DFT",
        opset: 20,
        about: `onesided ${onesided}, axis ${axis}`,
        attributes: { onesided },
        inputs: [numbers("f32", [2, 9, 6, 1]), undefined, scalar(axis)],
        constant: [2],
        lowered: true,
        tolerance: 1e-5,
      }),
    ),
  ),
  {
    op: "DFT",
    opset: 17,
    about: "inverse",
    attributes: { inverse: 1, axis: 1 },
    inputs: [numbers("f32", [2, 8, 2])],
    tolerance: 1e-5,
  },
  ...[6, 12].map(
    (length): OperatorCase => ({
      op: "DFT",
      opset: 17,
      about: `length ${length} of 8`,
      attributes: { axis: 1 },
      inputs: [numbers("f32", [2, 8, 2]), scalar(length)],
      constant: [1],
      tolerance: 1e-5,
    }),
  ),
  {
    op: "STFT",
    opset: 17,
    inputs: [numbers("f32", [2, 50, 1]), scalar(7), numbers("f32", [16], [0, 1]), scalar(16)],
    constant: [1, 3],
    open: ["N", 50, 1],
    lowered: true,
    tolerance: 1e-5,
  },
  {
    op: "STFT",
    opset: 17,
    about: "two-sided, without a window",
    attributes: { onesided: 0 },
    inputs: [numbers("f32", [1, 50, 2]), scalar(8), undefined, scalar(10)],
    constant: [1, 3],
    tolerance: 1e-5,
  },
  ...["HannWindow", "HammingWindow", "BlackmanWindow"].flatMap((op) =>
    [0, 1].map(
      (periodic): OperatorCase => ({
        op,
        opset: 17,
        about: `periodic ${periodic}`,
        attributes: { periodic },
        inputs: [scalar(11)],
        outputs: ["f32"],
        tolerance: 1e-5,
      }),
    ),
  ),
  {
    op: "MelWeightMatrix",
    opset: 17,
    inputs: [
      scalar(8),
      scalar(16),
      scalar(8192),
      tensorOf("f32", [], [0]),
      tensorOf("f32", [], [4096]),
    ],
    outputs: ["f32"],
  },
];

const scores = numbers("f32", [3, 5, 2, 4], [-3, 3]);
const targets = numbers("i64", [3, 2, 4], [0, 4], 3);
const weights = numbers("f32", [5], [0.2, 2], 5);

const losses = ["none", "sum", "mean"].flatMap((reduction): OperatorCase[] => [
  {
    op: "NegativeLogLikelihoodLoss",
    about: reduction,
    attributes: { reduction },
    inputs: [scores, targets, weights],
    lowered: true,
    tolerance: 1e-5,
  },
  {
    op: "NegativeLogLikelihoodLoss",
    about: `${reduction}, one class ignored`,
    attributes: { reduction, ignore_index: 2 },
    inputs: [scores, targets],
    tolerance: 1e-5,
  },
  {
    op: "SoftmaxCrossEntropyLoss",
    about: reduction,
    attributes: { reduction },
    inputs: [numbers("f32", [4, 6], [-3, 3]), numbers("i64", [4], [0, 5], 3)],
    outputs: ["f32", "f32"],
    lowered: true,
    tolerance: 1e-5,
  },
]);

const matrices: readonly OperatorCase[] = [
  ...[1, 2, 3, 7, 16].map(
    (size): OperatorCase => ({
      op: "Det",
      about: `${size} rows`,
      inputs: [numbers("f32", [3, 2, size, size])],
      lowered: true,
      tolerance: 1e-5,
    }),
  ),
  { op: "Det", about: "17 rows", inputs: [numbers("f32", [17, 17])], tolerance: 1e-5 },
  {
    op: "Det",
    about: "open",
    inputs: [numbers("f32", [3, 4, 4])],
    open: ["N", 4, 4],
    lowered: true,
    tolerance: 1e-5,
  },
  {
    op: "Det",
    about: "singular, and with rows to exchange",
    inputs: [
      tensorOf(
        "f32",
        [4, 3, 3],
        [
          [1, 2, 3, 2, 4, 6, 1, 0, 1],
          [0, 1, 2, 0, 3, 4, 0, 5, 6],
          [0, 2, 0, 3, 0, 0, 0, 0, 5],
          [0, 0, 1, 1, 0, 0, 0, 1, 0],
        ].flat(),
      ),
    ],
    lowered: true,
    tolerance: 1e-6,
  },
  {
    op: "Col2Im",
    inputs: [numbers("f32", [2, 12, 8]), i64([2], 5, 4), i64([2], 2, 3)],
    constant: [1, 2],
    lowered: true,
    tolerance: 1e-5,
  },
  {
    op: "Col2Im",
    about: "strides, pads, dilations",
    attributes: { strides: [2, 1], pads: [1, 0, 1, 2], dilations: [1, 2] },
    inputs: [numbers("f32", [1, 8, 15]), i64([2], 4, 5), i64([2], 2, 2)],
    constant: [1, 2],
    tolerance: 1e-5,
  },
];

const texts: readonly OperatorCase[] = [
  {
    op: "StringNormalizer",
    about: "stopwords",
    attributes: { stopwords: ["monday", "Friday"], is_case_sensitive: 1 },
    inputs: [strings([4], "monday", "Tuesday", "FRIDAY", "sunday")],
  },
  {
    op: "StringNormalizer",
    about: "nothing remains",
    attributes: { stopwords: ["a"], is_case_sensitive: 1 },
    inputs: [strings([1, 2], "a", "a")],
  },
  {
    op: "StringConcat",
    opset: 20,
    inputs: [strings([2, 1], "a", "b"), strings([3], "x", "", "zz")],
  },
  {
    op: "StringSplit",
    opset: 20,
    attributes: { delimiter: "-", maxsplit: 2 },
    inputs: [strings([3], "a-b--c-d", "", "e")],
    outputs: ["string", "i64"],
  },
  {
    op: "StringSplit",
    opset: 20,
    about: "at spaces",
    inputs: [strings([2], "  hello   world ", "one")],
    outputs: ["string", "i64"],
  },
  {
    op: "RegexFullMatch",
    opset: 20,
    attributes: { pattern: "(\\w+)@\\w+\\.(com|org)" },
    inputs: [strings([3], "a@b.com", "a@b.net", "see a@b.org")],
    outputs: ["bool"],
  },
  ...["TF", "IDF", "TFIDF"].map(
    (mode): OperatorCase => ({
      op: "TfIdfVectorizer",
      about: mode,
      attributes: {
        mode,
        min_gram_length: 1,
        max_gram_length: 2,
        max_skip_count: 1,
        ngram_counts: [0, 3],
        ngram_indexes: [1, 0, 4, 2, 3],
        pool_int64s: [2, 3, 5, 5, 4, 7, 8],
        weights: { floats: [1, 2, 0.5, 3, 4] },
      },
      inputs: [tensorOf("i64", [2, 6], [5, 5, 4, 7, 8, 2, 5, 4, 3, 3, 7, 8])],
      outputs: ["f32"],
      open: ["N", 6],
      lowered: true,
    }),
  ),
  ...[[3], [2, 1], [1, 0]].map(
    (shape): OperatorCase => ({
      op: "TfIdfVectorizer",
      about: `of ${shape.join(" x ")} words`,
      attributes: {
        mode: "TF",
        min_gram_length: 1,
        max_gram_length: 2,
        max_skip_count: 5,
        ngram_counts: [0, 2],
        ngram_indexes: [0, 1, 3],
        pool_int64s: [2, 3, 3, 5],
      },
      inputs: [numbers("i32", shape, [2, 5])],
      outputs: ["f32"],
      lowered: true,
    }),
  ),
  {
    op: "TfIdfVectorizer",
    about: "strings",
    attributes: {
      mode: "TF",
      min_gram_length: 2,
      max_gram_length: 2,
      max_skip_count: 0,
      ngram_counts: [0, 1],
      ngram_indexes: [0, 1],
      pool_strings: ["a", "b", "c"],
    },
    inputs: [strings([4], "a", "b", "c", "b")],
    outputs: ["f32"],
  },
];

describe.each([
  ["signals", signals],
  ["losses", losses],
  ["matrices", matrices],
  ["strings", texts],
  [
    "dropout",
    [
      { op: "Dropout", inputs: [scores], outputs: ["f32", "bool"], lowered: true },
      {
        op: "Dropout",
        about: "of nothing, in training",
        inputs: [scores, tensorOf("f32", [], [0]), tensorOf("bool", [], [1])],
        outputs: ["f32", "bool"],
        lowered: true,
      },
    ],
  ],
] as readonly (readonly [string, readonly OperatorCase[]])[])("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (_name, c) => {
    await compareWithOnnxRuntime(c);
  });
});

function draw(operatorCase: OperatorCase): number[] {
  return Array.from(evaluate(operatorCase)[0]!.data as Float32Array);
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

describe("random numbers", () => {
  const zeros = numbers("f32", [10_000], [0, 0]);

  test("are uniform between their bounds, and the same for the same seed", () => {
    const seeded = (seed: number): number[] => {
      const attributes = {
        low: { float: 2 },
        high: { float: 5 },
        seed: { float: seed },
      };
      return draw({ op: "RandomUniformLike", attributes, inputs: [zeros] });
    };
    const values = seeded(1);
    expect(Math.min(...values)).toBeGreaterThanOrEqual(2);
    expect(Math.max(...values)).toBeLessThan(5);
    expect(Math.abs(average(values) - 3.5)).toBeLessThan(0.03);
    expect(new Set(values).size).toBeGreaterThan(9_900);
    expect(seeded(1)).toEqual(values);
    expect(seeded(2)).not.toEqual(values);
  });

  test("have the mean and the deviation of a normal distribution", () => {
    const attributes = { mean: { float: 1 }, scale: { float: 3 } };
    const values = draw({ op: "RandomNormalLike", attributes, inputs: [zeros] });
    const mean = average(values);
    expect(Math.abs(mean - 1)).toBeLessThan(0.1);
    const deviation = Math.sqrt(average(values.map((v) => (v - mean) ** 2)));
    expect(Math.abs(deviation - 3)).toBeLessThan(0.1);
  });

  test("of Bernoulli follow their chances", () => {
    const chances = tensorOf("f32", [10_000], new Array<number>(10_000).fill(0.3));
    expect(Math.abs(average(draw({ op: "Bernoulli", inputs: [chances] })) - 0.3)).toBeLessThan(
      0.02,
    );
  });

  test("of Multinomial follow their weights", () => {
    const logits = tensorOf("f32", [1, 3], [Math.log(0.2), Math.log(0.5), Math.log(0.3)]);
    const attributes = { sample_size: 10_000 };
    const drawn = draw({ op: "Multinomial", attributes, inputs: [logits], outputs: ["i32"] });
    const share = (category: number): number =>
      drawn.filter((value) => value === category).length / drawn.length;
    for (const [category, chance] of [0.2, 0.5, 0.3].entries()) {
      expect(Math.abs(share(category) - chance)).toBeLessThan(0.02);
    }
  });

  test("Dropout in training scales what it keeps", () => {
    const ones = tensorOf("f32", [10_000], new Array<number>(10_000).fill(1));
    const values = draw({
      op: "Dropout",
      inputs: [ones, tensorOf("f32", [], [0.75]), tensorOf("bool", [], [1])],
    });
    expect([...new Set(values)].sort()).toEqual([0, 4]);
    expect(Math.abs(average(values) - 1)).toBeLessThan(0.1);
  });
});
