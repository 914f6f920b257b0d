/** What fuzzing has found, as small models: each once crashed, hung, or gave a wrong result. */
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import { decodeModel, encodeModel } from "../../src/onnx/model.js";
import {
  attribute,
  f32,
  graphProto,
  i64,
  modelProto,
  type ModelInit,
  node,
  tensor,
} from "../support/onnx-builder.js";
import { Random } from "../support/random.js";
import { checkCase } from "./check.js";
import { tensorOf } from "./inputs.js";

interface Found {
  readonly about: string;
  readonly model: ModelInit;
  /** Of one run after the other. */
  readonly runs: readonly Readonly<Record<string, Tensor>>[];
  /** "equal", or the code of the refusal. */
  readonly verdict: string;
}

const r = new Random(1);
const random = (dtype: Tensor["dtype"], ...shape: readonly number[]): Tensor =>
  tensorOf(r, dtype, shape);
const scalar = (dtype: "f32" | "i8" | "u8", value: number): Tensor =>
  tensor(dtype, [], { f32: Float32Array, i8: Int8Array, u8: Uint8Array }[dtype].of(value));

/** Branches of what is "x" outside. */
const branch = (operator: string) => ({
  graph: graphProto({ nodes: [node(operator, ["x"], ["out"])], outputs: { out: "f32" } }),
});
const eitherBranch = { then_branch: branch("Neg"), else_branch: branch("Abs") };

const refused: readonly Found[] = [
  {
    about: "a Resize to more positions than can be counted in single precision",
    model: {
      inputs: { x: "f32[1, 5]" },
      initializers: { sizes: i64([2], [1, 2 ** 40]) },
      nodes: [node("Resize", ["x", "", "", "sizes"], ["y"], { mode: "linear" })],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 1, 5) }],
    verdict: "L0301",
  },
  {
    about: "a Slice with more axes than starts",
    model: {
      opset: { "": 6 },
      inputs: { x: "f32[4, 1]" },
      nodes: [node("Slice", ["x"], ["y"], { axes: [0, 0], starts: [0], ends: [1] })],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 4, 1) }],
    verdict: "L0201",
  },
  {
    about: "trees of a scalar",
    model: {
      opset: { "": 16, "ai.onnx.ml": 3 },
      inputs: { x: "f32[]" },
      nodes: [node("ai.onnx.ml::TreeEnsembleClassifier", ["x"], ["y"])],
      outputs: { y: "i64" },
    },
    runs: [{ x: random("f32") }],
    verdict: "L0201",
  },
  {
    about: "a convolution with a negative dilation",
    model: {
      inputs: { x: "f32[1, 1, 8, 8]", w: "f32[1, 1, 3, 3]" },
      nodes: [node("Conv", ["x", "w"], ["y"], { dilations: [2, -3] })],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 1, 1, 8, 8), w: random("f32", 1, 1, 3, 3) }],
    verdict: "L0108",
  },
  {
    about: "a convolution of a scalar",
    model: {
      inputs: { x: "f32[]", w: "f32[3, 4, 3, 3]" },
      nodes: [node("ConvTranspose", ["x", "w"], ["y"])],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32"), w: random("f32", 3, 4, 3, 3) }],
    verdict: "L0201",
  },
  {
    about: "a negative number of repeats",
    model: {
      inputs: { x: "f32[1, 2]", n: "i64[2]" },
      nodes: [node("Tile", ["x", "n"], ["y"])],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 1, 2), n: i64([2], [3, -1]) }],
    verdict: "L0201",
  },
  {
    about: "a tensor that no memory holds, from a shape that is known when it runs",
    model: {
      inputs: { n: "i64[2]" },
      nodes: [node("ConstantOfShape", ["n"], ["y"])],
      outputs: { y: "f32" },
    },
    runs: [{ n: i64([2], [2 ** 31, 2 ** 31]) }],
    verdict: "L0201",
  },
  {
    about: "an output that the operator does not have, on the host",
    model: {
      inputs: { x: "f32[2]" },
      nodes: [node("SequenceConstruct", ["x"], ["y", "z"]), node("SequenceAt", ["z", "i"], ["at"])],
      initializers: { i: i64([], [0]) },
      outputs: { y: "seq(f32)", at: "f32" },
    },
    runs: [{ x: random("f32", 2) }],
    verdict: "L0105",
  },
  {
    about: "an output that the operator does not have, on the device",
    model: {
      inputs: { x: "f32[2]" },
      nodes: [node("Relu", ["x"], ["y", "z"]), node("Neg", ["z"], ["at"])],
      outputs: { y: "f32", at: "f32" },
    },
    runs: [{ x: random("f32", 2) }],
    verdict: "L0105",
  },
  {
    about: "an attribute of a function, outside of all functions",
    model: {
      inputs: { x: "f32[2, 3]" },
      nodes: [node("Transpose", ["x"], ["y"], { perm: { ref: "order", type: "ints" } })],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 2, 3) }],
    verdict: "L0108",
  },
  {
    about: "a classifier of a scalar",
    model: {
      inputs: { x: "string[]" },
      nodes: [node("ai.onnx.ml::SVMClassifier", ["x"], ["y"], { classlabels_ints: [0, 1] })],
      opset: { "": 21, "ai.onnx.ml": 3 },
      outputs: { y: "i64" },
    },
    runs: [{ x: random("string") }],
    verdict: "L0201",
  },
  {
    about: "a concatenation of no inputs at all",
    model: { nodes: [node("Concat", [], ["y"], { axis: 0 })], outputs: { y: "f32" } },
    runs: [{}],
    verdict: "L0105",
  },
  {
    about: "a condition that is no bool",
    model: {
      inputs: { x: "f32[2]", c: "f32[1]" },
      nodes: [node("If", ["c"], ["y"], eitherBranch)],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 2), c: f32([1], [1]) }],
    verdict: "L0202",
  },
  {
    about: "a condition of two",
    model: {
      inputs: { x: "f32[2]" },
      initializers: { c: tensor("bool", [2], Uint8Array.of(0, 1)) },
      nodes: [node("If", ["c"], ["y"], eitherBranch)],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 2) }],
    verdict: "L0201",
  },
  {
    about: "an attribute that is given twice",
    model: {
      inputs: { x: "f32[2, 3]" },
      nodes: [
        {
          ...node("Transpose", ["x"], ["y"]),
          attribute: [attribute("perm", [0, 1]), attribute("perm", [1, 0])],
        },
      ],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 2, 3) }],
    verdict: "L0108",
  },
  {
    about: "parts of no elements",
    model: {
      inputs: { x: "f32[4]", n: "i64[]" },
      nodes: [node("SplitToSequence", ["x", "n"], ["y"])],
      outputs: { y: "seq(f32)" },
    },
    runs: [{ x: random("f32", 4), n: i64([], [0]) }],
    verdict: "L0201",
  },
  {
    about: "normalization of integers",
    model: {
      inputs: { x: "i32[1, 2, 3]", s: "f32[2]" },
      nodes: [node("InstanceNormalization", ["x", "s", "s"], ["y"])],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("i32", 1, 2, 3), s: random("f32", 2) }],
    verdict: "L0202",
  },
  {
    about: "an index into an axis without elements",
    model: {
      inputs: { x: "u8[3, 0]", i: "i64[3, 2]", u: "u8[3, 2]" },
      nodes: [node("ScatterElements", ["x", "i", "u"], ["y"], { axis: -1 })],
      outputs: { y: "u8" },
    },
    runs: [{ x: random("u8", 3, 0), i: random("i64", 3, 2), u: random("u8", 3, 2) }],
    verdict: "L0201",
  },
  {
    about: "a product of integers times a fraction",
    model: {
      inputs: { a: "i32[2, 3]", b: "i32[3, 4]" },
      nodes: [node("Gemm", ["a", "b"], ["y"], { alpha: { float: 0.5 } })],
      outputs: { y: "i32" },
    },
    runs: [{ a: random("i32", 2, 3), b: random("i32", 3, 4) }],
    verdict: "L0108",
  },
];

const equal: readonly Found[] = [
  {
    about: "a map of fractions as integers",
    model: {
      opset: { "": 18, "ai.onnx.ml": 3 },
      inputs: { x: "f32[1, 2]" },
      initializers: { first: i64([], [0]) },
      nodes: [
        node("ai.onnx.ml::ZipMap", ["x"], ["maps"], { classlabels_int64s: [0, 1] }),
        node("SequenceAt", ["maps", "first"], ["map"]),
        node("ai.onnx.ml::CastMap", ["map"], ["y"], { cast_to: "TO_INT64" }),
      ],
      outputs: { y: "i64" },
    },
    runs: [{ x: random("f32", 1, 2) }],
    verdict: "equal",
  },
  {
    about: "a product of codes whose rounding a pass changes, beside a node of the host",
    model: {
      opset: { "": 20 },
      inputs: { x: "u8[4, 64]", w: "i8[64, 5]", text: "string[2]" },
      initializers: { xs: scalar("f32", 0.1), ws: scalar("f32", 0.3) },
      nodes: [
        node("DequantizeLinear", ["x", "xs"], ["a"]),
        node("DequantizeLinear", ["w", "ws"], ["b"]),
        node("MatMul", ["a", "b"], ["product"]),
        node("StringConcat", ["text", "text"], ["twice"]),
      ],
      outputs: { product: "f32", twice: "string" },
    },
    runs: [{ x: random("u8", 4, 64), w: random("i8", 64, 5), text: random("string", 2) }],
    verdict: "equal",
  },
  {
    about: "indices out of range, of rows without elements",
    model: {
      inputs: { x: "f32[2, 1, 2, 0]", i: "i64[3]" },
      nodes: [node("Gather", ["x", "i"], ["y"])],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 2, 1, 2, 0), i: i64([3], [-1, 0, 2]) }],
    verdict: "equal",
  },
  {
    about: "an attribute without axes to squeeze, which stands for all of one element",
    model: {
      opset: 11,
      inputs: { x: "f32[1, 2, 1]" },
      nodes: [
        { ...node("Squeeze", ["x"], ["y"]), attribute: [{ name: "axes", type: 7 }] },
        node("Concat", ["y", "two"], ["z"], { axis: 0 }),
      ],
      initializers: { two: f32([2], [1, 2]) },
      outputs: { z: "f32[4]" },
    },
    runs: [{ x: random("f32", 1, 2, 1) }],
    verdict: "equal",
  },
  {
    about: "outputs that operators do not have, and nobody reads",
    model: {
      inputs: { x: "f32[2]" },
      nodes: [
        node("SequenceConstruct", ["x"], ["s", "more"]),
        node("Relu", ["x"], ["y", "another"]),
      ],
      outputs: { s: "seq(f32)", y: "f32" },
    },
    runs: [{ x: random("f32", 2) }],
    verdict: "equal",
  },
  {
    about: "a recurrent layer without steps",
    model: {
      inputs: { x: "f32[0, 2, 3]", w: "f32[1, 12, 3]", r: "f32[1, 12, 4]" },
      nodes: [node("GRU", ["x", "w", "r"], ["y", "last"])],
      outputs: { y: "f32", last: "f32" },
    },
    runs: [{ x: random("f32", 0, 2, 3), w: random("f32", 1, 12, 3), r: random("f32", 1, 12, 4) }],
    verdict: "equal",
  },
  {
    about: "a type that the model declares wrongly of what the host computes",
    model: {
      inputs: { x: "f32[2, 3]" },
      nodes: [
        node("SequenceConstruct", ["x", "x"], ["s"]),
        node("ConcatFromSequence", ["s"], ["y"], { axis: 1 }),
      ],
      outputs: { y: "u16[3]" },
    },
    runs: [{ x: random("f32", 2, 3) }],
    verdict: "equal",
  },
  {
    about: "open dims whose largest values multiply to more than a number can count",
    model: {
      inputs: { x: "f32[a, b, c, d, e]" },
      nodes: [node("AveragePool", ["x"], ["y"], { kernel_shape: [3, 3, 3] })],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 1, 2, 4, 4, 4) }, { x: random("f32", 2, 1, 5, 5, 5) }],
    verdict: "equal",
  },
  {
    about: "a constant result of a type that the device does not have",
    model: {
      nodes: [node("Constant", [], ["y"], { value: tensor("f4e2m1", [2], Uint8Array.of(3, 11)) })],
      outputs: { y: "f4e2m1" },
    },
    runs: [{}],
    verdict: "equal",
  },
  {
    about: "weights that stay for a loop which may run no trip",
    model: {
      inputs: { x: "f32[2, 3, 6, N]" },
      initializers: { w: random("f32", 4, 3, 3, 2) },
      nodes: [node("Conv", ["x", "w"], ["y"])],
      outputs: { y: "f32" },
    },
    runs: [{ x: random("f32", 2, 3, 6, 2) }, { x: random("f32", 2, 3, 6, 8) }],
    verdict: "equal",
  },
  {
    about: "vectors several at once beside a scalar that none of them moves",
    model: {
      inputs: { x: "i8[2, 4, 8, 3]", w: "u8[4, 4, 3, 3]", zx: "i8[]", zw: "u8[]", zy: "i8[]" },
      initializers: { s: scalar("f32", 0.3) },
      nodes: [
        node("QLinearConv", ["x", "s", "zx", "w", "s", "zw", "s", "zy"], ["y"], {
          pads: [1, 1, 1, 1],
        }),
      ],
      outputs: { y: "i8" },
    },
    runs: [
      {
        x: random("i8", 2, 4, 8, 3),
        w: random("u8", 4, 4, 3, 3),
        zx: scalar("i8", 13),
        zw: scalar("u8", 230),
        zy: scalar("i8", -39),
      },
    ],
    verdict: "equal",
  },
  {
    about: "outputs that are constants, of numbers that differ in no digit",
    model: {
      inputs: { x: "f32[1]" },
      nodes: [
        node("Relu", ["x"], ["y"]),
        ...[0, 1, 2, 3, 4].map((i) => node("Neg", [`c${i}`], [`y${i}`])),
      ],
      initializers: Object.fromEntries(
        [Infinity, -Infinity, Number.NaN, 0, -0].map((x, i) => [`c${i}`, f32([1], [x])]),
      ),
      outputs: {
        y: "f32[1]",
        ...Object.fromEntries([0, 1, 2, 3, 4].map((i) => [`y${i}`, "f32[1]"])),
      },
    },
    runs: [{ x: f32([1], [1]) }],
    verdict: "equal",
  },
];

describe.each([
  ["refused", refused],
  ["equal", equal],
] as const)("%s", (_, cases) => {
  test.each(cases.map((found) => [found.about, found] as const))("%s", async (_about, found) => {
    const file = encodeModel(modelProto(found.model));
    const runs = found.runs.map((run) => new Map(Object.entries(run)));
    const verdict = await checkCase({ file, runs: () => runs });
    expect(verdict).toMatchObject(
      found.verdict === "equal" ? { kind: "equal" } : { kind: "refused", code: found.verdict },
    );
  });
});

test("two outputs of one name are refused", async () => {
  const proto = modelProto({
    inputs: { x: "f32[2]" },
    nodes: [node("Relu", ["x"], ["y"])],
    outputs: { y: "f32[2]" },
  });
  const output = [...proto.graph!.output!, ...proto.graph!.output!];
  const file = encodeModel({ ...proto, graph: { ...proto.graph!, output } });
  expect(decodeModel(file).graph.output).toHaveLength(2);
  const runs = () => [new Map([["x", f32([2], [1, 2])]])];
  expect(await checkCase({ file, runs })).toMatchObject({ kind: "refused", code: "L0105" });
});
