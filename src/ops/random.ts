/**
 * Random numbers and Dropout. Numbers come from a counter: element i of a draw is a hash of the seed and i,
 * so a node without a seed gives the same numbers at every run. They are not those of other libraries.
 */
import type { DType } from "../numerics/dtype.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import type { Value } from "../ir/graph.js";
import { dtypeAttribute, optionalDtypeAttribute, range } from "./helpers.js";
import { hostOperator, hostScalar, numbersOf, shapeless, tensorOf } from "./host.js";
import {
  Decline,
  type EvaluateContext,
  type HostType,
  type LowerContext,
  type NodeContext,
  type OperatorRecord,
} from "./record.js";

const note = "the same numbers at every run, from the seed if there is one";

const records: readonly OperatorRecord[] = [
  {
    name: "Dropout",
    domain: "",
    since: 1,
    note: "training mode on the host",
    lower: lowerDropout,
    evaluate: evaluateDropout,
    infer: (c) => {
      const { dtype, shape } = c.input(0);
      return [
        { dtype, shape },
        { dtype: maskType(c, dtype), shape },
      ];
    },
  },
  hostOperator("RandomUniform", { since: 1, note }, (c) => [uniform(c, shapeOf(c))], inferShaped),
  hostOperator("RandomNormal", { since: 1, note }, (c) => [normal(c, shapeOf(c))], inferShaped),
  hostOperator("RandomUniformLike", { since: 1, note }, (c) => [uniform(c, like(c))], inferLike),
  hostOperator("RandomNormalLike", { since: 1, note }, (c) => [normal(c, like(c))], inferLike),
  hostOperator("Bernoulli", { since: 15, note }, bernoulli, inferLike),
  hostOperator("Multinomial", { since: 7, note }, multinomial, (c) =>
    shapeless(optionalDtypeAttribute(c, "dtype") ?? "i32"),
  ),
];

export const randomOperators: readonly OperatorRecord[] = records.map((record) => ({
  ...record,
  isRandom: true,
}));

/** A fraction in [0, 1) with 24 random bits: element `index` of the stream of `seed`. */
function fraction(seed: number, index: number): number {
  let h = Math.imul(index ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(seed, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 16), 0x7feb352d);
  h = Math.imul(h ^ (h >>> 15), 0x846ca68b);
  return ((h ^ (h >>> 16)) >>> 8) / 2 ** 24;
}

/** The seed attribute, a float, as 32 bits. */
function seedOf(c: NodeContext): number {
  const bits = new Float32Array([c.float("seed", 0)]);
  return new Int32Array(bits.buffer)[0]!;
}

interface Drawn {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

function shapeOf(c: EvaluateContext): Drawn {
  const shape = c.ints("shape") ?? c.invalid("L0108", "the shape is missing");
  return { dtype: optionalDtypeAttribute(c, "dtype") ?? "f32", shape };
}

function like(c: EvaluateContext): Drawn {
  const { dtype, shape } = c.tensorInput(0);
  return { dtype: optionalDtypeAttribute(c, "dtype") ?? dtype, shape };
}

function inferShaped(c: LowerContext): readonly HostType[] {
  const shape = c.ints("shape") ?? c.invalid("L0108", "the shape is missing");
  return [{ dtype: optionalDtypeAttribute(c, "dtype") ?? "f32", shape }];
}

function inferLike(c: LowerContext): readonly HostType[] {
  const { dtype, shape } = c.input(0);
  return [{ dtype: optionalDtypeAttribute(c, "dtype") ?? dtype, shape }];
}

function draw(c: NodeContext, { dtype, shape }: Drawn, one: (i: number) => number): Tensor {
  return tensorOf(
    dtype,
    shape,
    Float64Array.from({ length: elementCount(shape) }, (_, i) => one(i)),
  );
}

function uniform(c: EvaluateContext, drawn: Drawn): Tensor {
  const [low, high] = [c.float("low", 0), c.float("high", 1)];
  const seed = seedOf(c);
  return draw(c, drawn, (i) => low + (high - low) * fraction(seed, i));
}

/** By the polar form of Box and Muller, from two fractions per element. */
function normal(c: EvaluateContext, drawn: Drawn): Tensor {
  const [mean, scale] = [c.float("mean", 0), c.float("scale", 1)];
  const seed = seedOf(c);
  return draw(c, drawn, (i) => {
    const radius = Math.sqrt(-2 * Math.log(1 - fraction(seed, 2 * i)));
    return mean + scale * radius * Math.cos(2 * Math.PI * fraction(seed, 2 * i + 1));
  });
}

function bernoulli(c: EvaluateContext): readonly Tensor[] {
  const chances = numbersOf(c.tensorInput(0));
  const seed = seedOf(c);
  return [draw(c, like(c), (i) => (fraction(seed, i) < chances[i]! ? 1 : 0))];
}

/** Class numbers drawn from rows of unnormalized log-probabilities. */
function multinomial(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const [rows, classes] = x.shape as [number, number];
  const samples = c.int("sample_size", 1);
  const dtype = c.int("dtype") === undefined ? "i32" : dtypeAttribute(c, "dtype");
  const logits = numbersOf(x);
  const seed = seedOf(c);
  const drawn = range(0, rows).flatMap((row) => {
    const own = Array.from(logits.subarray(row * classes, (row + 1) * classes));
    const largest = Math.max(...own);
    let sum = 0;
    const sums = own.map((logit) => {
      sum += Math.exp(logit - largest);
      return sum;
    });
    return range(0, samples).map((i) => {
      const target = fraction(seed, row * samples + i) * sum;
      return sums.findIndex((reached) => target < reached);
    });
  });
  return [tensorOf(dtype, [rows, samples], drawn)];
}

function maskType(c: NodeContext, dtype: DType): DType {
  return c.opset < 10 ? dtype : "bool";
}

/** Outside training nothing is dropped. */
function lowerDropout(c: LowerContext): readonly (Value | undefined)[] {
  const x = c.input(0);
  if (c.opset >= 12 && c.inputs[2] !== undefined) {
    const training = c.knownTensor(2, "whether it trains");
    if (Number(training.data[0]) !== 0 && ratioOf(c) !== 0) {
      throw new Decline("it drops elements at random");
    }
  }
  if (!c.wantsOutput(1)) return [x];
  return [x, c.b.broadcast(c.b.full(maskType(c, x.dtype), 1), x.shape)];
}

function ratioOf(c: LowerContext): number {
  return c.inputs[1] === undefined ? 0.5 : numbersOf(c.knownTensor(1, "how much it drops"))[0]!;
}

function evaluateDropout(c: EvaluateContext): readonly Tensor[] {
  const x = c.tensorInput(0);
  const ratio = hostScalar(c, 1) ?? c.float("ratio", 0.5);
  const isTraining = (hostScalar(c, 2) ?? 0) !== 0;
  const seed = c.int("seed", 0);
  const values = numbersOf(x);
  const kept = range(0, values.length).map((i) => !isTraining || fraction(seed, i) >= ratio);
  const scale = isTraining ? 1 / (1 - ratio) : 1;
  const result = Float64Array.from(values, (v, i) => (kept[i] ? v * scale : 0));
  return [
    tensorOf(x.dtype, x.shape, result),
    tensorOf(maskType(c, x.dtype), x.shape, kept.map(Number)),
  ];
}
