/** Loops that count, clamp, choose and mix integers at random; every state is scanned, so that each trip can be seen. */
import type { GraphBuilder } from "../../src/ir/builder.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Graph, Value } from "../../src/ir/graph.js";
import { buildLoop } from "../../src/ir/build/loop-builder.js";
import type { DType } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { i64 } from "./onnx-builder.js";
import { Random } from "./random.js";

export interface RandomLoop {
  readonly graph: Graph;
  readonly inputs: ReadonlyMap<string, Tensor>;
}

const types = ["i64", "i64", "i64", "u64", "i16", "i32"] as const satisfies readonly DType[];

export function randomLoop(seed: number): RandomLoop {
  const random = new Random(seed);
  const dtype = random.pick(types);
  const b = createGraphBuilder();
  const given = b.input("x", "i64", [2]);
  const x = b.cast(given, dtype);
  const trips = random.integer(1, 12);
  const count = random.integer(1, 3);
  const loop = buildLoop(b, {
    name: "loop",
    origins: [],
    trips,
    states: Array.from({ length: count }, () =>
      random.chance(0.5) ? x : b.full(dtype, random.integer(0, 5), [2]),
    ),
    captured: [x],
    body(inner, { index, states, captured }) {
      const number = inner.cast(inner.dims([index], { scalar: true }), dtype);
      const pool = [...states, ...captured, inner.broadcast(number, [2])];
      for (let i = random.integer(1, 6); i > 0; i--) pool.push(mixed(inner, random, pool, dtype));
      const next = states.map((state) =>
        random.chance(0.4)
          ? plus(inner, state, inner.full(dtype, random.integer(-1, 3), [2]))
          : random.pick(pool),
      );
      const scanned = [...states, ...next].map((value) => ({
        part: inner.unsqueeze(value, [0]),
        axis: 0,
        reverse: false,
      }));
      return { states: next, scanned };
    },
  });
  const results = [...loop.states, ...loop.scanned];
  const graph = b.finish(
    "g",
    results.map((value, i) => ({ name: `y${i}`, value })),
  );
  return {
    graph,
    inputs: new Map([["x", i64([2], [random.integer(-9, 9), random.integer(0, 99)])]]),
  };
}

function plus(b: GraphBuilder, x: Value, y: Value): Value {
  return b.map(x.dtype, [x, y], (l, p, q) => l.addI(p!, q!));
}

function mixed(b: GraphBuilder, random: Random, pool: readonly Value[], dtype: DType): Value {
  const [x, y, z] = [random.pick(pool), random.pick(pool), random.pick(pool)];
  const limit = b.full(dtype, random.integer(0, 1000), [2]);
  switch (random.integer(0, 6)) {
    case 0:
      return plus(b, x, y);
    case 1:
      return b.map(dtype, [x, y], (l, p, q) => l.subI(p!, q!));
    case 2:
      return b.map(dtype, [x, y], (l, p, q) => l.mulI(p!, q!));
    case 3:
      return b.map(dtype, [x, limit], (l, p, q) => l.minI(p!, q!));
    case 4:
      return b.map(dtype, [x, limit], (l, p, q) => l.maxI(p!, q!));
    case 5:
      return b.map(dtype, [x, y, z], (l, p, q, r) => l.selectI(l.ltI(p!, q!), q!, r!));
    default:
      return b.concat([b.sliceAxis(x, 0, 1, 1), b.sliceAxis(y, 0, 0, 1)], 0);
  }
}
