/**
 * Random counted loops: states that are multiplied by weights, mixed, reduced and handed on in any order, sequences read and
 * stacked forwards and backwards, lanes that compute with the number of the trip.
 */
import type { GraphBuilder } from "../../src/ir/builder.js";
import { type Dim, dimSub, symbolDim } from "../../src/ir/dim.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Value } from "../../src/ir/graph.js";
import { buildLoop, type ScannedPart, type TripResults } from "../../src/ir/build/loop-builder.js";
import type { DType } from "../../src/numerics/dtype.js";
import { encodeArray } from "../../src/numerics/convert.js";
import { elementCount, type Tensor } from "../../src/numerics/tensor.js";
import type { RandomGraph } from "./random-graph.js";
import { Random } from "./random.js";

const rows = 3;
const columns = 6;

export interface RandomLoop extends RandomGraph {
  readonly trips: number;
}

/** `open`: the number of trips is a symbol, whose greatest value is more than `trips`. */
export function randomLoop(seed: number, trips: number, open = false): RandomLoop {
  const random = new Random(seed);
  const dtype = random.pick(["f32", "f32", "f32", "f16", "bf16"] as const);
  const b = createGraphBuilder();
  const inputs = new Map<string, Tensor>();
  const count: Dim = open ? symbolDim({ name: "T", min: 1, max: trips + 3, multipleOf: 1 }) : trips;
  const length = count === 0 ? 1 : count;
  const input = (name: string, shape: readonly Dim[], actual: readonly number[]): Value => {
    inputs.set(name, randomTensor(random, dtype, actual));
    return b.input(name, dtype, shape);
  };
  const square = [rows, columns];
  const states = Array.from({ length: random.integer(1, 3) }, (_, i) =>
    random.chance(0.2)
      ? b.broadcast(b.full(dtype, i + 0.5), square)
      : input(`first.${i}`, square, square),
  );
  const sequence = input("x", [length, ...square], [Math.max(1, trips), ...square]);
  const same = input("same", [columns], [columns]);
  const weight = b.constant(randomTensor(random, dtype, [columns, columns]));
  const { states: last, scanned } = buildLoop(b, {
    name: "loop",
    trips: count,
    origins: [{ node: "loop", operator: "Loop" }],
    states,
    captured: [sequence, same],
    body(inner, { index, states: taken, captured: [x, y] }) {
      const at = random.chance(0.5) ? index : dimSub(dimSub(length, 1), index);
      const own = inner.squeeze(inner.sliceAxis(x!, 0, at, 1), [0]);
      const values = [...taken, own, inner.broadcast(y!, square)];
      for (let i = random.integer(1, 5); i > 0; i--) {
        values.push(randomStep(inner, random, values, { weight, index }));
      }
      return tripResults(inner, random, values, states.length);
    },
  });
  const outputs = [...last, ...scanned].map((value, i) => ({ name: `out.${i}`, value }));
  return { graph: b.finish(`loop ${seed}`, outputs), inputs, trips };
}

/** States from anywhere, the later values more often; stacked along the first or the second axis. */
function tripResults(
  b: GraphBuilder,
  random: Random,
  values: readonly Value[],
  states: number,
): TripResults {
  const any = (): Value =>
    random.chance(0.6) ? values.at(-1 - random.integer(0, 1))! : random.pick(values);
  const next = Array.from({ length: states }, any);
  const scanned = Array.from({ length: random.integer(0, 2) }, (): ScannedPart => {
    const axis = random.integer(0, 1);
    return { part: b.unsqueeze(any(), [axis]), axis, reverse: random.chance(0.5) };
  });
  return { states: next, scanned };
}

interface StepOptions {
  readonly weight: Value;
  readonly index: Dim;
}

function randomStep(
  b: GraphBuilder,
  random: Random,
  values: readonly Value[],
  { weight, index }: StepOptions,
): Value {
  const [x, y] = [random.pick(values), random.pick(values)];
  const { dtype } = x;
  switch (random.integer(0, 5)) {
    case 0:
      return b.map(dtype, [x, y], (l, p, q) => l.sub(p!, l.mul(q!, l.constF(0.5))));
    case 1:
      return b.map(dtype, [x], (l, p) => l.tanh(p!));
    case 2: {
      const matrix = b.constant(weight.data!);
      const product = b.contract(x, matrix, { a: "rk", b: "kc", out: "rc", order: "k" });
      return b.cast(product, dtype);
    }
    case 3: {
      const most = b.reduce(x, random.pick(["max", "sum"] as const), [1], { keepDims: true });
      return b.map(dtype, [y, most], (l, p, m) => l.sub(p!, l.mul(m!, l.constF(0.125))));
    }
    case 4: {
      const number = b.cast(b.dims([index], { scalar: true }), dtype);
      return b.map(dtype, [x, number], (l, p, n) => l.add(p!, l.mul(n!, l.constF(0.25))));
    }
    default: {
      const [left, right] = [b.sliceAxis(x, 1, 0, 2), b.sliceAxis(y, 1, 2, columns - 2)];
      const narrow = b.map(dtype, [left], (l, p) => l.neg(p!));
      return b.map(
        dtype,
        [b.pad(narrow, [0, 0], [0, columns - 2], 0), b.pad(right, [0, 2], [0, 0], 0)],
        (l, p, q) => l.add(p!, q!),
      );
    }
  }
}

function randomTensor(random: Random, dtype: DType, shape: readonly number[]): Tensor {
  const values = Array.from({ length: elementCount(shape) }, () => random.integer(-8, 8) / 8);
  return { dtype, shape: [...shape], data: encodeArray(dtype, values) };
}
