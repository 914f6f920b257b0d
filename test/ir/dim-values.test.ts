/** What is known of values computed from symbolic dims is what folding gives once the symbols are numbers. */
import { expect, test } from "vitest";
import type { GraphBuilder, Lane, LaneBuilder } from "../../src/ir/builder.js";
import {
  type Dim,
  dimAdd,
  dimMul,
  evaluateDim,
  NeedsBinding,
  symbolDim,
} from "../../src/ir/dim.js";
import { createGraphBuilder } from "../../src/ir/build/graph-builder.js";
import type { Value } from "../../src/ir/graph.js";
import { Random } from "../support/random.js";

const symbols = { T: { min: 1, max: 64, multipleOf: 1 }, W: { min: 32, max: 640, multipleOf: 32 } };
const T = symbolDim({ name: "T", ...symbols.T });
const W = symbolDim({ name: "W", ...symbols.W });

type Body = (l: LaneBuilder, x: Lane, y: Lane) => Lane;

const bodies: readonly Body[] = [
  (l, x, y) => l.addI(x, y),
  (l, x, y) => l.subI(x, y),
  (l, x) => l.mulI(x, l.constI(3)),
  (l, x) => l.divI(x, l.constI(2)),
  (l, x) => l.remI(x, l.constI(4)),
  (l, x, y) => l.minI(x, y),
  (l, x, y) => l.maxI(x, y),
  (l, x, y) => l.selectI(l.ltI(x, y), x, l.constI(7)),
  (l, x, y) => l.selectI(l.eqI(x, l.constI(-1)), y, x),
  (l, x) => l.toI(l.floor(l.mul(l.toF(x), l.constF(0.25)))),
  (l, x) => l.toI(l.ceil(l.div(l.add(l.toF(x), l.constF(1)), l.constF(2)))),
];

/** The same steps for the same seed, whatever the dims are. */
function compute(b: GraphBuilder, seed: number, dims: readonly Dim[]): Value {
  const r = new Random(seed);
  let x = b.dims(dims);
  for (let i = 0; i < 6; i++) {
    const other = b.gather(
      x,
      b.constant({ dtype: "i64", shape: [1], data: BigInt64Array.of(1n) }),
      0,
    );
    const body = r.pick(bodies);
    const kind = r.integer(0, 5);
    if (kind === 0) x = b.concat([other, x], 0);
    else if (kind === 1) x = b.sliceAxis(x, 0, 1, 2, -1);
    else if (kind === 2) {
      x = b.concat([b.reduce(x, r.pick(["sum", "prod"]), [0], { keepDims: true }), other], 0);
    } else if (kind === 3)
      x = b.cast(
        b.map("f32", [b.cast(x, "f32")], (l, v) => l.rint(v!)),
        "i64",
      );
    else x = b.map("i64", [x, other], (l, v, w) => body(l, v!, w!));
  }
  return x;
}

test("symbolic and numeric arithmetic agree", () => {
  let known = 0;
  for (let seed = 0; seed < 400; seed++) {
    const r = new Random(1000 + seed);
    const bindings = new Map([
      ["T", r.integer(1, 64)],
      ["W", 32 * r.integer(1, 20)],
    ]);
    const dims = [dimAdd(T, r.integer(-1, 3)), W, dimMul(T, 2), r.integer(1, 9)];
    const numbers = dims.map((dim) => evaluateDim(dim, bindings));
    const b = createGraphBuilder();
    const expected = b.knownDims(compute(b, seed, numbers));
    let symbolic: readonly Dim[] | undefined;
    try {
      const open = createGraphBuilder();
      symbolic = open.knownDims(compute(open, seed, dims));
    } catch (error) {
      if (!(error instanceof NeedsBinding)) throw error;
      continue;
    }
    known++;
    expect(
      symbolic?.map((dim) => evaluateDim(dim, bindings)),
      `seed ${seed}`,
    ).toEqual(expected);
  }
  expect(known).toBeGreaterThan(150);
});
