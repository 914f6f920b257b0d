import { describe, expect, test } from "vitest";
import { evaluateGraph, evaluateOperation } from "../../src/ir/evaluate/evaluate.js";
import { isPlain, type PlainOperation } from "../../src/ir/operation-types.js";
import { type LaneBuilder, type Lane, laneProgramBuilder } from "../../src/numerics/lanes.js";
import { encodeArray } from "../../src/numerics/convert.js";
import { type DType, isFloat } from "../../src/numerics/dtype.js";
import { elementCount, type Tensor } from "../../src/numerics/tensor.js";
import { plainOperation } from "../support/plain-evaluate.js";
import { Random } from "../support/random.js";
import { defaultRandomGraph, randomGraph } from "../support/random-graph.js";

const noHost = () => {
  throw new Error("no host node expected");
};

function tensor(dtype: DType, shape: readonly number[], values: readonly number[]): Tensor {
  return { dtype, shape, data: encodeArray(dtype, values) };
}

function big(dtype: "i64" | "u64", values: readonly bigint[]): Tensor {
  const data = dtype === "i64" ? BigInt64Array.from(values) : BigUint64Array.from(values);
  return { dtype, shape: [values.length], data };
}

function run(
  op: PlainOperation,
  inputs: readonly Tensor[],
  dtype: DType,
  shape: readonly number[],
) {
  return Array.from(evaluateOperation(op, inputs, { dtype, shape }).data as ArrayLike<unknown>);
}

describe("each operation of a random graph is evaluated as its definition says", () => {
  const dtypes = ["f32", "f32", "f16", "bf16", "i32", "i8", "u8", "bool"] as const;
  for (let seed = 0; seed < 150; seed++) {
    test(`seed ${seed}`, () => {
      const options = { ...defaultRandomGraph, dtypes, steps: 16, symbolic: false };
      const { graph, inputs } = randomGraph(seed, options);
      const made = graph.nodes.flatMap((node) => node.outputs);
      const outputs = made.map((value) => ({ name: value.name, value }));
      const results = evaluateGraph({ ...graph, outputs }, inputs, noHost);
      for (const { op, inputs: operands, outputs: made } of graph.nodes) {
        const tensors = operands.map(
          (value) => (value.data ?? results.get(value.name) ?? inputs.get(value.name)) as Tensor,
        );
        const { name, dtype, shape } = made[0]!;
        if (!isPlain(op)) throw new Error(`${op.kind} in a random graph`);
        const plain = plainOperation(op, tensors, dtype, shape as number[]);
        expect(results.get(name), op.kind).toEqual(plain);
      }
    });
  }
});

describe("contract", () => {
  const random = new Random(7);
  const floats = (shape: readonly number[]) =>
    tensor(
      "f32",
      shape,
      Array.from({ length: elementCount(shape) }, () => random.unit() - 0.5),
    );

  test.each([
    ["many segments", [3, 5000], [5000, 5], { a: "mk", b: "kn", out: "mn", order: "k" }],
    [
      "kernel positions within a block",
      [2, 100, 6, 6, 3, 3],
      [7, 100, 3, 3],
      {
        a: "bcyxhw",
        b: "ochw",
        out: "boyx",
        order: "chw",
      },
    ],
    [
      "one block longer than a segment",
      [70, 9, 8],
      [70, 9, 8, 2],
      {
        a: "chw",
        b: "chwn",
        out: "n",
        order: "chw",
      },
    ],
    [
      "batched, output transposed",
      [4, 3, 65],
      [65, 4, 5],
      {
        a: "bmk",
        b: "kbn",
        out: "nbm",
        order: "k",
      },
    ],
    ["nothing contracted", [3], [4], { a: "m", b: "n", out: "nm", order: "" }],
  ] as const)("%s", (_, shapeA, shapeB, labels) => {
    const [a, b] = [floats(shapeA), floats(shapeB)];
    const extents = new Map<string, number>();
    [...labels.a].forEach((label, i) => extents.set(label, shapeA[i]!));
    [...labels.b].forEach((label, i) => extents.set(label, shapeB[i]!));
    const shape = [...labels.out].map((label) => extents.get(label)!);
    const op = { kind: "contract", ...labels } as const;
    const result = evaluateOperation(op, [a, b], { dtype: "f32", shape });
    expect(result).toEqual(plainOperation(op, [a, b], "f32", shape));
  });

  test("segments change the sum: 2^24 + 1s, cut after 128", () => {
    const ones = new Array<number>(256).fill(1);
    const a = tensor("f32", [256], [2 ** 24, ...ones.slice(1)]);
    const b = tensor("f32", [256], ones);
    const op = { kind: "contract", a: "k", b: "k", out: "", order: "k" } as const;
    // The first segment absorbs its ones one by one, the second counts its 128 before it is added.
    expect(run(op, [a, b], "f32", [])).toEqual([2 ** 24 + 128]);
  });

  test("zero points, a vector of them, and wrapping", () => {
    const a = tensor("u8", [1, 2], [200, 3]);
    const b = tensor("i8", [2, 2], [-128, 127, 5, 6]);
    const zeros = [tensor("u8", [], [128]), tensor("i8", [2], [-1, 2])];
    const op = { kind: "contract", a: "mk", b: "kn", out: "mn", order: "k" } as const;
    const expected = [72 * -127 + -125 * 6, 72 * 125 + -125 * 4];
    expect(run(op, [a, b, ...zeros], "i32", [1, 2])).toEqual(expected);
    const large = tensor("i32", [1, 2], [2 ** 30, 2 ** 30]);
    const two = tensor("i32", [2, 1], [2, 1]);
    expect(run(op, [large, two], "i32", [1, 1])).toEqual([(3 * 2 ** 30) | 0]);
  });

  test("f64 in doubles, int64 to 64 bits", () => {
    const op = { kind: "contract", a: "k", b: "k", out: "", order: "k" } as const;
    const doubles = tensor("f64", [2], [1, 2 ** -40]);
    expect(run(op, [doubles, doubles], "f64", [])).toEqual([1 + 2 ** -80]);
    const wide = big("i64", [2n ** 62n, 3n]);
    expect(run(op, [wide, big("i64", [4n, 5n])], "i64", [])).toEqual([15n]);
  });
});

describe("reduce", () => {
  const all = (reduction: string) =>
    ({ kind: "reduce", reduction, axes: [0] }) as Extract<PlainOperation, { kind: "reduce" }>;

  test("a sum has 16 partials, a sequential sum has one", () => {
    const values = [2 ** 24, ...new Array<number>(16).fill(1)];
    // Elements 16 and 8 are lost on 2^24 (ties to even); 2 * 1, 2 * 2 and 2 * 4 are not.
    expect(run(all("sum"), [tensor("f32", [17], values)], "f32", [])).toEqual([2 ** 24 + 14]);
    expect(run(all("seqsum"), [tensor("f32", [17], values)], "f32", [])).toEqual([2 ** 24]);
  });

  test("of nothing", () => {
    const none = tensor("f32", [0], []);
    expect(run(all("sum"), [none], "f32", [])).toEqual([0]);
    expect(run(all("prod"), [none], "f32", [])).toEqual([1]);
    expect(run(all("max"), [none], "f32", [])).toEqual([-Infinity]);
    expect(run(all("min"), [tensor("u8", [0], [])], "u8", [])).toEqual([255]);
    expect(run(all("max"), [big("i64", [])], "i64", [])).toEqual([-(2n ** 63n)]);
    expect(run(all("and"), [tensor("bool", [0], [])], "bool", [])).toEqual([1]);
  });

  test("f16 is rounded once, int8 wraps, u32 and u64 compare unsigned", () => {
    const halves = tensor("f16", [3], [2048, 1, 1]);
    expect(run(all("sum"), [halves], "f16", [])).toEqual([0x6801]);
    expect(run(all("sum"), [tensor("i8", [2], [100, 100])], "i8", [])).toEqual([-56]);
    expect(run(all("max"), [tensor("u32", [2], [1, 2 ** 32 - 1])], "u32", [])).toEqual([
      2 ** 32 - 1,
    ]);
    expect(run(all("max"), [big("u64", [1n, 2n ** 64n - 1n])], "u64", [])).toEqual([
      2n ** 64n - 1n,
    ]);
    expect(run(all("prod"), [big("i64", [2n ** 40n, 2n ** 30n, 1n])], "i64", [])).toEqual([0n]);
  });

  test("the first NaN is the extreme", () => {
    const values = tensor("f32", [5], [1, 9, NaN, 10, NaN]);
    expect(run(all("argmax"), [values], "i32", [])).toEqual([2]);
    expect(run(all("argmin"), [values], "i32", [])).toEqual([2]);
    expect(run(all("max"), [tensor("f32", [2], [-0, 0])], "f32", [])).toEqual([0]);
    expect(run(all("min"), [tensor("f32", [2], [0, -0])], "f32", [])).toEqual([-0]);
  });
});

describe("map at other widths than the device's", () => {
  function map(
    inputs: readonly Tensor[],
    dtype: DType,
    body: (l: LaneBuilder, ...x: Lane[]) => Lane,
  ) {
    const builder = laneProgramBuilder({ wide: true });
    const lanes = inputs.map((x, i) =>
      builder.source("input", i, isFloat(x.dtype) ? "f32" : "i32"),
    );
    const program = builder.finish([body(builder.l, ...lanes)]);
    return run({ kind: "map", program }, inputs, dtype, inputs[0]!.shape);
  }

  test("int64 wraps at 64 bits and divides toward zero", () => {
    const x = big("i64", [2n ** 62n, -7n, -(2n ** 63n)]);
    const y = big("i64", [4n, 2n, -1n]);
    expect(map([x, y], "i64", (l, a, b) => l.mulI(a!, b!))).toEqual([0n, -14n, -(2n ** 63n)]);
    expect(map([x, y], "i64", (l, a, b) => l.divI(a!, b!))).toEqual([2n ** 60n, -3n, -(2n ** 63n)]);
    expect(map([x, y], "bool", (l, a, b) => l.ltI(a!, b!))).toEqual([0, 1, 1]);
  });

  test("uint64 compares and converts unsigned", () => {
    const x = big("u64", [2n ** 64n - 1n, 5n]);
    expect(map([x], "bool", (l, a) => l.ltI(l.constI(7), a!))).toEqual([1, 0]);
    expect(map([x], "f32", (l, a) => l.toF(a!))).toEqual([2 ** 64, 5]);
    expect(map([x], "f64", (l, a) => l.toF(a!))).toEqual([2 ** 64, 5]);
  });

  test("int64 to fp32 rounds once", () => {
    // Just above the middle of two floats, by less than a double can hold.
    const x = big("i64", [2n ** 60n + 2n ** 36n + 1n]);
    expect(map([x], "f32", (l, a) => l.toF(a!))).toEqual([2 ** 60 + 2 ** 37]);
  });

  test("floats stay fp32 beside int64, and are doubles beside f64", () => {
    const f = tensor("f32", [1], [16777216]);
    const one = (l: LaneBuilder) => l.constF(1);
    const add = (l: LaneBuilder, a: Lane, b: Lane) => l.add(l.add(a, one(l)), l.toF(b));
    expect(map([f, big("i64", [0n])], "f32", (l, a, b) => add(l, a!, b!))).toEqual([16777216]);
    const d = tensor("f64", [1], [0.1]);
    expect(map([d], "f64", (l, a) => l.mul(a!, l.constF(3)))).toEqual([0.1 * 3]);
    expect(map([d], "f64", (l, a) => l.exp(a!))).toEqual([Math.exp(0.1)]);
  });

  test("bits of an fp32 register are 32, also beside int64", () => {
    const f = tensor("f32", [1], [-1.5]);
    const flip = (l: LaneBuilder, x: Lane, y: Lane) =>
      l.bitsF(l.xor(l.bitsI(x), l.addI(y, l.constI(-(2 ** 31)))));
    expect(map([f, big("i64", [0n])], "f32", (l, a, b) => flip(l, a!, b!))).toEqual([1.5]);
  });
});

describe("movement of strings and empty axes", () => {
  test("strings move", () => {
    const words: Tensor = { dtype: "string", shape: [2, 2], data: ["a", "b", "c", "d"] };
    expect(run({ kind: "transpose", perm: [1, 0] }, [words], "string", [2, 2])).toEqual([
      "a",
      "c",
      "b",
      "d",
    ]);
    const indices = tensor("i32", [3], [1, -1, 0]);
    expect(run({ kind: "gather", axis: 0 }, [words, indices], "string", [3, 2])).toEqual([
      "c",
      "d",
      "c",
      "d",
      "a",
      "b",
    ]);
  });

  test("an index out of range is told", () => {
    const indices = tensor("i32", [1], [2]);
    expect(() =>
      run({ kind: "gather", axis: 0 }, [tensor("f32", [2], [1, 2]), indices], "f32", [1]),
    ).toThrowErrorMatchingInlineSnapshot(
      `[DiagnosticError: L0604: index 2 is out of range for an axis of 2]`,
    );
  });
});
