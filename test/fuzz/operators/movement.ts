/** Rows of operators that move, choose and shape elements. */
import type { DType } from "../../../src/numerics/dtype.js";
import { elementCount } from "../../../src/numerics/tensor.js";
import { dtypeToOnnx } from "../../../src/onnx/dtypes.js";
import {
  each,
  float,
  type Generator,
  type NodeDraft,
  type Row,
  type TypedName,
} from "./generator.js";

const anyTensor = (g: Generator, least = 0, most = 5): TypedName =>
  g.valueOf(() => g.any(), least, most);
const odd = (g: Generator, low: number, high: number): number => g.r.integer(low, high);

const castTypes: readonly DType[] = [
  ...(["f32", "f16", "bf16", "f64", "bool", "string"] as const),
  ...(["i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"] as const),
];

const axesOf: Row = (g, operator) => {
  const x = anyTensor(g, 0, 4);
  const ones = x.shape.flatMap((n, i) => (n === 1 ? [i] : []));
  const isSqueeze = operator === "Squeeze";
  const rank = x.shape.length + (isSqueeze ? 0 : 2);
  const axes = isSqueeze
    ? ones
    : g.r
        .shuffled([...Array(rank).keys()])
        .slice(0, 2)
        .map((a) => (g.r.chance(0.3) ? a - rank : a));
  if (isSqueeze && g.r.chance(0.3)) return { inputs: [x] };
  return g.opset >= 13 ? { inputs: [x, g.ints(axes)] } : { inputs: [x], attributes: { axes } };
};

const elementsAt: Row = (g, operator) => {
  const x = anyTensor(g, 1, 4);
  const rank = x.shape.length;
  const axis = g.axis(rank);
  const at = axis < 0 ? axis + rank : axis;
  if (operator === "Gather") {
    return { inputs: [x, g.indices(g.shape(0, 2), x.shape[at]!)], attributes: { axis } };
  }
  const shape = x.shape.map((n, i) => (i === at ? odd(g, 0, 4) : g.r.integer(Math.min(1, n), n)));
  const indices = g.indices(shape, x.shape[at]!);
  if (operator === "GatherElements") return { inputs: [x, indices], attributes: { axis } };
  const reductions = g.opset >= 18 ? ["none", "add", "mul", "max", "min"] : ["none", "add", "mul"];
  const reduction = g.opset >= 16 ? g.maybe(0.5, () => g.r.pick(reductions)) : undefined;
  return { inputs: [x, indices, g.tensor(x.dtype, shape)], attributes: { axis, reduction } };
};

/** Index tuples over the first axes of x. */
function tuples(g: Generator, x: TypedName, outer: readonly number[], depth: number): TypedName {
  const data = Array.from({ length: elementCount(outer) }, () =>
    x.shape.slice(0, depth).map((n) => g.r.integer(-n, Math.max(0, n - 1))),
  ).flat();
  const shape = [...outer, depth];
  return g.give({ dtype: "i64", shape, data: BigInt64Array.from(data, BigInt) }, 0.3);
}

const byTuples: Row = (g, operator) => {
  const x = g.value(g.number(), 1, 4);
  const depth = odd(g, 1, x.shape.length);
  const outer = g.shape(1, 2).map((n) => Math.min(n, 4));
  const indices = tuples(g, x, outer, depth);
  if (operator !== "ScatterND") return { inputs: [x, indices] };
  const updates = g.tensor(x.dtype, [...outer, ...x.shape.slice(depth)]);
  const reduction =
    g.opset >= 16 ? g.maybe(0.5, () => g.r.pick(["none", "add", "mul"])) : undefined;
  return { inputs: [x, indices, updates], attributes: { reduction } };
};

const blocks: Row = (g, operator) => {
  const size = odd(g, 1, 3);
  const [n, c, h, w] = [odd(g, 1, 2), odd(g, 1, 3), odd(g, 1, 3), odd(g, 1, 4)];
  const isDepth = operator === "DepthToSpace";
  const shape = isDepth ? [n, c * size * size, h, w] : [n, c, h * size, w * size];
  const mode = isDepth && g.opset >= 11 ? g.maybe(0.5, () => g.r.pick(["DCR", "CRD"])) : undefined;
  return { inputs: [g.tensor(g.number(), shape)], attributes: { blocksize: size, mode } };
};

const padding: Row = (g, operator) => {
  const x = g.value(g.number(), 1, 4);
  const mode = g.r.pick([
    "constant",
    "constant",
    "reflect",
    "edge",
    ...(g.opset >= 19 ? ["wrap"] : []),
  ]);
  const low = g.r.chance(0.2) ? -1 : 0;
  const most = (n: number): number =>
    mode === "reflect" ? Math.max(0, n - 1) : mode === "wrap" ? n : 3;
  const pads = [...x.shape, ...x.shape].map((n) => odd(g, low, Math.min(3, most(n))));
  if (g.opset < 11 && !operator.includes("::"))
    return { inputs: [x], attributes: { pads, mode, value: float(1.5) } };
  const value = g.maybe(0.5, () => g.numbers(x.dtype, [], 0, 3));
  return { inputs: [x, g.ints(pads), value], attributes: { mode } };
};

const triangle: Row = (g) => ({
  inputs: [g.value(g.number(), 2, 4), g.maybe(0.6, () => g.scalar("i64", odd(g, -3, 3)))],
  attributes: { upper: g.maybe(0.6, () => g.r.integer(0, 1)) },
});

const ranged: Row = (g) => {
  const dtype = g.r.pick(["f32", "i64", "i32", "f64", "i16"] as const);
  const step = g.r.pick([1, 2, -1, 3]);
  const start = odd(g, -3, 3);
  return { inputs: [start, start + step * odd(g, -1, 7), step].map((n) => g.scalar(dtype, n)) };
};

const uniques: Row = (g, operator) => {
  const x = g.value(g.number(), 1, 3);
  return {
    inputs: [x],
    attributes: {
      axis: g.maybe(0.5, () => g.axis(x.shape.length)),
      sorted: g.maybe(0.5, () => g.r.integer(0, 1)),
    },
    outputs: odd(g, 1, operator.includes("::") ? 3 : 4),
  };
};

const drawn: Row = (g, operator): NodeDraft =>
  operator.endsWith("Like")
    ? { inputs: [g.value(g.float())] }
    : { inputs: [], attributes: { shape: [...g.shape()], dtype: g.r.pick([1, 10, 11]) } };

export const movementRows: Readonly<Record<string, Row>> = {
  ...each(["Squeeze", "Unsqueeze"], axesOf),
  ...each(["Gather", "GatherElements", "Scatter", "ScatterElements"], elementsAt),
  ...each(["GatherND", "ScatterND", "com.microsoft::GatherND"], byTuples),
  ...each(["DepthToSpace", "SpaceToDepth"], blocks),
  ...each(["Pad", "com.microsoft::Pad"], padding),
  ...each(["Trilu", "com.microsoft::Trilu"], triangle),
  ...each(["Range", "com.microsoft::Range"], ranged),
  ...each(["Unique", "com.microsoft::Unique"], uniques),
  ...each(["RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike"], drawn),
  Identity: (g) => ({ inputs: [anyTensor(g)] }),
  Shape(g) {
    const x = anyTensor(g);
    if (g.opset < 15) return { inputs: [x] };
    return {
      inputs: [x],
      attributes: {
        start: g.maybe(0.3, () => odd(g, -3, 3)),
        end: g.maybe(0.3, () => odd(g, -3, 6)),
      },
    };
  },
  Size: (g) => ({ inputs: [anyTensor(g)] }),
  Reshape(g) {
    const x = anyTensor(g);
    const target = g.r
      .shuffled(x.shape)
      .map((n, i) => (n === x.shape[i] && n !== 0 && g.r.chance(0.2) ? 0 : n));
    if (target.length > 0 && g.r.chance(0.3) && !target.includes(0)) target[0] = -1;
    const shape = g.r.chance(0.2) ? [-1] : target;
    return {
      inputs: [x, g.ints(shape)],
      attributes: { allowzero: g.opset >= 14 ? g.maybe(0.1, () => 1) : undefined },
    };
  },
  Flatten(g) {
    const x = anyTensor(g);
    return {
      inputs: [x],
      attributes: {
        axis: g.maybe(0.7, () => odd(g, g.opset >= 11 ? -x.shape.length : 0, x.shape.length)),
      },
    };
  },
  Transpose(g) {
    const x = anyTensor(g);
    return {
      inputs: [x],
      attributes: { perm: g.maybe(0.8, () => g.r.shuffled([...x.shape.keys()])) },
    };
  },
  Expand(g) {
    const x = anyTensor(g, 0, 4);
    const shape = x.shape.map((n) => (n === 1 ? g.extent() % 20 : g.r.chance(0.3) ? 1 : n));
    return { inputs: [x, g.ints(g.r.chance(0.3) ? [2, ...shape] : shape)] };
  },
  Tile(g) {
    const x = anyTensor(g, 0, 4);
    return { inputs: [x, g.ints(x.shape.map(() => odd(g, 0, 3)))] };
  },
  Concat(g) {
    const x = anyTensor(g, 1);
    const axis = g.axis(x.shape.length);
    const at = axis < 0 ? axis + x.shape.length : axis;
    const more = Array.from({ length: odd(g, 0, 3) }, () =>
      g.tensor(x.dtype, x.shape.with(at, g.extent() % 9)),
    );
    return { inputs: [x, ...more], attributes: { axis } };
  },
  Split(g) {
    const x = anyTensor(g, 1);
    const axis = g.axis(x.shape.length);
    const extent = x.shape.at(axis)!;
    const first = odd(g, 0, extent);
    const parts = [first, extent - first];
    if (g.opset >= 18 && g.r.chance(0.4))
      return { inputs: [x], attributes: { axis, num_outputs: 2 }, outputs: 2 };
    return g.opset >= 13
      ? { inputs: [x, g.ints(parts)], attributes: { axis }, outputs: 2 }
      : { inputs: [x], attributes: { axis, split: parts }, outputs: 2 };
  },
  Slice(g) {
    const x = anyTensor(g, 1);
    const axes = g.axes(x.shape.length);
    const pick = (): number => g.r.pick([0, 1, -1, 2, -2, 5, -7, 1000, -1000]);
    const [starts, ends] = [axes.map(pick), axes.map(pick)];
    if (g.opset < 10) return { inputs: [x], attributes: { starts, ends, axes } };
    const steps = g.maybe(0.6, () => g.ints(axes.map(() => g.r.pick([1, 2, 3, -1, -2, 7]))));
    return { inputs: [x, g.ints(starts), g.ints(ends), g.ints(axes), steps] };
  },
  CenterCropPad(g) {
    const x = g.value(g.number(), 1);
    const axes = g.axes(x.shape.length);
    return { inputs: [x, g.ints(axes.map(() => odd(g, 0, 8)))], attributes: { axes } };
  },
  ReverseSequence(g) {
    const x = g.value(g.any(), 2, 4);
    const [a, b] = g.r.chance(0.5) ? [0, 1] : [1, 0];
    const lengths = Array.from({ length: x.shape[b]! }, () => odd(g, 0, x.shape[a]!));
    return { inputs: [x, g.ints(lengths)], attributes: { time_axis: a, batch_axis: b } };
  },
  Compress(g) {
    const x = g.value(g.number(), 1);
    const axis = g.maybe(0.6, () => g.axis(x.shape.length));
    const extent = axis === undefined ? elementCount(x.shape) : x.shape.at(axis)!;
    return { inputs: [x, g.tensor("bool", [odd(g, 0, extent)])], attributes: { axis } };
  },
  TopK(g) {
    const x = g.value(g.number(), 1);
    const axis = g.axis(x.shape.length);
    const k = odd(g, 0, x.shape.at(axis)!);
    const more = g.opset >= 11 ? { largest: g.maybe(0.5, () => g.r.integer(0, 1)), sorted: 1 } : {};
    if (g.opset < 10) return { inputs: [x], attributes: { axis, k }, outputs: 2 };
    return { inputs: [x, g.ints([k])], attributes: { axis, ...more }, outputs: 2 };
  },
  OneHot(g) {
    const indices = g.value(g.index(), 0, 3);
    const values = g.tensor(g.number(), [2]);
    return {
      inputs: [indices, g.scalar("i64", odd(g, 1, 6)), values],
      attributes: { axis: g.maybe(0.5, () => g.axis(indices.shape.length + 1)) },
    };
  },
  TensorScatter(g) {
    const [n, room, add, width] = [odd(g, 1, 3), odd(g, 2, 6), odd(g, 1, 2), odd(g, 1, 4)];
    const dtype = g.float();
    const at = g.ints(Array.from({ length: n }, () => odd(g, 0, room - add)));
    return {
      inputs: [
        g.tensor(dtype, [n, 2, room, width]),
        g.tensor(dtype, [n, 2, add, width]),
        g.maybe(0.8, () => at),
      ],
      attributes: { mode: g.maybe(0.5, () => g.r.pick(["linear", "circular"])) },
    };
  },
  NonZero: (g) => ({ inputs: [g.value(g.number())] }),
  EyeLike: (g) => ({
    inputs: [g.value(g.number(), 2, 2)],
    attributes: {
      k: g.maybe(0.5, () => odd(g, -3, 3)),
      dtype: g.maybe(0.5, () => g.r.pick([1, 6, 7, 10, 9])),
    },
  }),
  Constant: (g) => ({
    inputs: [],
    attributes: g.r.pick([
      { value_float: float(1.5) },
      { value_ints: [1, 2] },
      { value_int: 3 },
      { value_string: "a" },
    ]),
  }),
  ConstantOfShape: (g) => ({ inputs: [g.ints(g.shape(0, 3))] }),
  Cast: (g) => ({
    inputs: [g.valueOf(() => g.any())],
    attributes: { to: dtypeToOnnx(g.r.pick([...castTypes, ...g.smallTypes()])) },
  }),
  CastLike: (g) => ({ inputs: [g.valueOf(() => g.any()), g.tensor(g.any(), [1])] }),
  BitCast: (g) => ({
    inputs: [g.value(g.r.pick(["f32", "i32", "u32"] as const))],
    attributes: { to: g.r.pick([1, 6, 12]) },
  }),
  "com.microsoft::ExpandDims"(g) {
    const x = anyTensor(g, 0, 4);
    return { inputs: [x, g.scalar("i32", odd(g, -x.shape.length - 1, x.shape.length))] };
  },
  "ai.onnx.ml::ArrayFeatureExtractor"(g) {
    const x = g.value(g.number(), 1, 3);
    return { inputs: [x, g.numbers("i64", [1, odd(g, 1, 3)], 0, Math.max(1, x.shape.at(-1)!))] };
  },
  Bernoulli: (g) => ({ inputs: [g.numbers(g.float(), g.shape(), 0, 1)] }),
  Multinomial: (g) => ({
    inputs: [g.value("f32", 2, 2)],
    attributes: { sample_size: odd(g, 1, 4) },
  }),
};
