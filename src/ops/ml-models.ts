/** Linear models and support vector machines of ai.onnx.ml: products with constant matrices. */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import { createGraphBuilder } from "../ir/build/graph-builder.js";
import type { Value } from "../ir/graph.js";
import type { Tensor } from "../numerics/tensor.js";
import { createLowerContext } from "./context.js";
import { operator, operatorOfMany, range, type Versions } from "./helpers.js";
import { numbersOf, tensorOf } from "./host.js";
import { vector } from "./ml-features.js";
import { classLabels, namesOf, postTransform, transformScores, twoScores } from "./ml-scores.js";
import { coupledProbabilities } from "./pair-coupling.js";
import { matrixProduct } from "./product.js";
import {
  Decline,
  type EvaluateContext,
  type LowerContext,
  type NodeContext,
  type OperatorRecord,
} from "./record.js";

const versions: Versions = { domain: "ai.onnx.ml", since: 1, ranks: ["1-2"] };

/** Features [n, features] in fp32; a vector is one row. */
function featureRows(c: LowerContext): Value {
  const x = c.b.cast(c.input(0), "f32");
  return x.shape.length === 1 ? c.b.unsqueeze(x, [0]) : x;
}

function requiredFloats(c: LowerContext, name: string): readonly number[] {
  return c.floats(name) ?? c.invalid("L0108", `${name} are missing`);
}

/** Rows times the rows of a constant matrix, plus a constant for each of those. */
function affine(
  c: LowerContext,
  rows: Value,
  { matrix, count, shift }: { matrix: readonly number[]; count: number; shift: readonly number[] },
): Value {
  const weights = c.b.constant(tensorOf("f32", [count, matrix.length / count], matrix));
  const product = matrixProduct(c.b, rows, weights, { transposeW: true });
  if (shift.length === 0) return product;
  return c.b.map("f32", [product, vector(c.b, shift)], (l, p, i) => l.add(p!, i!));
}

function lowerLinearRegressor(c: LowerContext): Value {
  const shift = c.floats("intercepts") ?? [];
  const matrix = requiredFloats(c, "coefficients");
  return transformScores(
    c,
    affine(c, featureRows(c), { matrix, count: c.int("targets", 1), shift }),
  );
}

/** Outputs: the class of each row, and the scores [n, classes]. */
function lowerLinearClassifier(c: LowerContext): readonly Value[] {
  const labels = classLabels(c, "classlabels_ints");
  const shift = c.floats("intercepts") ?? [];
  const count = shift.length > 0 ? shift.length : labels.count;
  const scores = affine(c, featureRows(c), {
    matrix: requiredFloats(c, "coefficients"),
    count,
    shift,
  });
  if (count > 1) {
    const best = c.b.reduce(scores, "argmax", [1]);
    return [namesOf(c, best, labels), transformScores(c, scores)];
  }
  const name = namesOf(c, isPositive(c, scores), labels);
  if (labels.count !== 2) return [name, transformScores(c, scores)];
  const transform = postTransform(c);
  if (transform === "PROBIT") throw new Decline(noSecondScore);
  const own = transform === "LOGISTIC" ? transformScores(c, scores) : scores;
  return [name, twoScores(c, own, (l, s) => l.sub(l.constF(1), s))];
}

/** 1 where the one score [n, 1] of a row is above 0: [n] of i32. */
function isPositive({ b }: LowerContext, score: Value): Value {
  const positive = b.map("i32", [score], (l, s) =>
    l.selectI(l.lt(l.constF(0), s!), l.constI(1), l.constI(0)),
  );
  return b.squeeze(positive, [1]);
}

/** The kernel of each row and each support vector: [n, vectors]. */
function kernels(c: LowerContext, rows: Value, vectors: Value): Value {
  const { b } = c;
  const kind = c.string("kernel_type", "LINEAR");
  const [gamma = 0, shift = 0, degree = 0] = c.floats("kernel_params") ?? [];
  if (kind === "RBF") {
    const squares = b.map("f32", [b.unsqueeze(rows, [1]), b.unsqueeze(vectors, [0])], (l, x, v) => {
      const difference = l.sub(x!, v!);
      return l.mul(difference, difference);
    });
    const distance = b.reduce(squares, "sum", [2]);
    return b.map("f32", [distance], (l, d) => l.exp(l.mul(l.constF(-gamma), d!)));
  }
  const product = matrixProduct(b, rows, vectors, { transposeW: true });
  const scaled = (l: LaneBuilder, p: Lane) => l.add(l.mul(l.constF(gamma), p), l.constF(shift));
  switch (kind) {
    case "LINEAR":
      return product;
    case "POLY":
      return b.map("f32", [product], (l, p) => l.pow(scaled(l, p!), l.constF(degree)));
    case "SIGMOID":
      return b.map("f32", [product], (l, p) => l.tanh(scaled(l, p!)));
    default:
      return c.invalid("L0108", `kernel_type "${kind}" does not exist`);
  }
}

function supportVectors(c: LowerContext, count: number): Value {
  const elements = requiredFloats(c, "support_vectors");
  return c.b.constant(tensorOf("f32", [count, elements.length / count], elements));
}

function lowerSvmRegressor(c: LowerContext): Value {
  const { b } = c;
  const rows = featureRows(c);
  const count = c.int("n_supports", 0);
  const weights = requiredFloats(c, "coefficients");
  const shift = (c.floats("rho") ?? [0]).slice(0, 1);
  const inner = count === 0 ? rows : kernels(c, rows, supportVectors(c, count));
  const score = affine(c, inner, { matrix: weights, count: 1, shift });
  if (c.int("one_class", 0) === 0) return transformScores(c, score);
  return b.map("f32", [score], (l, s) =>
    l.select(l.lt(l.constF(0), s!), l.constF(1), l.constF(-1)),
  );
}

/** Pairs of classes, the smaller one first. */
function pairsOf(classes: number): readonly (readonly [number, number])[] {
  return range(0, classes).flatMap((i) => range(i + 1, classes).map((j) => [i, j] as const));
}

/**
 * One score for each pair of classes. The vectors of a class have a coefficient for each other class, in rows
 * of `coefficients` that leave the class itself out.
 */
function pairScores(c: LowerContext, rows: Value, perClass: readonly number[]): Value {
  const count = perClass.reduce((sum, n) => sum + n, 0);
  const coefficients = requiredFloats(c, "coefficients");
  const starts = perClass.map((_, i) => perClass.slice(0, i).reduce((sum, n) => sum + n, 0));
  const matrix = pairsOf(perClass.length).flatMap(([i, j]) => {
    const row = new Array<number>(count).fill(0);
    const put = (own: number, other: number) => {
      for (const k of range(starts[own]!, starts[own]! + perClass[own]!)) {
        row[k] = coefficients[other * count + k]!;
      }
    };
    put(i, j - 1);
    put(j, i);
    return row;
  });
  const pairs = pairsOf(perClass.length).length;
  const shift = c.floats("rho") ?? [];
  return affine(c, kernels(c, rows, supportVectors(c, count)), { matrix, count: pairs, shift });
}

/** The class that wins most of its pairs. */
function winner(c: LowerContext, scores: Value, classes: number): Value {
  const { b } = c;
  const pairs = pairsOf(classes);
  const side = (position: 0 | 1) =>
    pairs.flatMap((pair) => range(0, classes).map((i) => (pair[position] === i ? 1 : 0)));
  const wins = b.map("f32", [scores], (l, s) =>
    l.select(l.lt(l.constF(0), s!), l.constF(1), l.constF(0)),
  );
  const losses = b.map("f32", [wins], (l, w) => l.sub(l.constF(1), w!));
  const counted = (won: Value, position: 0 | 1) =>
    matrixProduct(b, won, b.constant(tensorOf("f32", [pairs.length, classes], side(position))));
  const votes = b.map("f32", [counted(wins, 0), counted(losses, 1)], (l, x, y) => l.add(x!, y!));
  return b.reduce(votes, "argmax", [1]);
}

/** Outputs: the class of each row, and scores: of pairs, or (with prob_a and prob_b) of classes. */
function lowerSvmClassifier(c: LowerContext): readonly Value[] {
  const rows = featureRows(c);
  const labels = classLabels(c, "classlabels_ints");
  const perClass = c.ints("vectors_per_class") ?? [];
  if (perClass.length === 0) return linearSvm(c, rows);
  const scores = pairScores(c, rows, perClass);
  if (hasProbabilities(c)) throw new Decline("probabilities of classes are iterated");
  const name = namesOf(c, winner(c, scores, perClass.length), labels);
  if (perClass.length > 2) return [name, transformScores(c, scores)];
  return [name, svmPair(c, scores)];
}

function hasProbabilities(c: NodeContext): boolean {
  return (c.floats("prob_a") ?? []).length > 0;
}

const noSecondScore = "one score has no second one by PROBIT";

/** With probabilities: what the pairs say is lowered and folded, then coupled. */
function evaluateSvmClassifier(c: EvaluateContext): readonly (Tensor | undefined)[] {
  if (!hasProbabilities(c)) return c.invalid("L0108", "the machine has no probabilities");
  const b = createGraphBuilder({ foldAll: true });
  const inner = createLowerContext(c.node, b, [b.constant(c.tensorInput(0))]);
  const perClass = c.ints("vectors_per_class") ?? [];
  const classes = perClass.length;
  const scores = pairScores(inner, featureRows(inner), perClass);
  const [a, shift] = [c.floats("prob_a") ?? [], c.floats("prob_b") ?? []];
  const pairs = pairsOf(classes).length;
  const numbers = numbersOf(scores.data!);
  const rows = range(0, numbers.length / pairs).flatMap((row) =>
    coupledProbabilities(
      classes,
      range(0, pairs).map((k) => {
        const against = numbers[row * pairs + k]! * (a[k] ?? 0) + (shift[k] ?? 0);
        return Math.min(Math.max(1 / (1 + Math.exp(against)), 1e-7), 1 - 1e-7);
      }),
    ),
  );
  const probabilities = b.constant(tensorOf("f32", [rows.length / classes, classes], rows));
  const name = namesOf(inner, winner(inner, scores, classes), classLabels(c, "classlabels_ints"));
  return [name.data, transformScores(inner, probabilities).data];
}

/** Both scores of a machine for two classes, from the one that it has. As in ONNX Runtime, one score has no softmax. */
function svmPair(c: LowerContext, score: Value): Value {
  const transform = postTransform(c);
  if (transform === "PROBIT") return c.invalid("L0108", noSecondScore);
  if (transform.startsWith("SOFTMAX")) return twoScores(c, score, (l, s) => l.sub(l.constF(1), s));
  return transformScores(
    c,
    twoScores(c, score, (l, s) => l.neg(s)),
  );
}

/** Without support vectors the coefficients are a matrix, and one number is added to every product. */
function linearSvm(c: LowerContext, rows: Value): readonly Value[] {
  const labels = classLabels(c, "classlabels_ints");
  const [shift = 0] = c.floats("rho") ?? [];
  const matrix = requiredFloats(c, "coefficients");
  const count = labels.count;
  const scores = affine(c, rows, { matrix, count, shift: range(0, count).map(() => shift) });
  return [namesOf(c, c.b.reduce(scores, "argmax", [1]), labels), transformScores(c, scores)];
}

export const mlModelOperators: readonly OperatorRecord[] = [
  operator("LinearRegressor", versions, lowerLinearRegressor),
  operatorOfMany("LinearClassifier", versions, lowerLinearClassifier),
  operator("SVMRegressor", versions, lowerSvmRegressor),
  {
    ...operatorOfMany("SVMClassifier", versions, lowerSvmClassifier),
    evaluate: evaluateSvmClassifier,
    infer: (c) => {
      const { strings, count } = classLabels(c, "classlabels_ints");
      const { shape } = c.input(0);
      const rows = shape.length === 1 ? 1 : shape[0]!;
      const classes = c.ints("vectors_per_class")?.length ?? count;
      return [
        { dtype: strings === undefined ? "i64" : "string", shape: [rows] },
        { dtype: "f32", shape: [rows, classes] },
      ];
    },
  },
];
