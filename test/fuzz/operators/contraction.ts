/** Rows of operators that multiply and add: products, convolutions, pools, images, signals. */
import { each, float, type Generator, type NodeDraft, type Row } from "./generator.js";

const int = (g: Generator, low: number, high: number): number => g.r.integer(low, high);
const list = (g: Generator, n: number, low: number, high: number): readonly number[] =>
  Array.from({ length: n }, () => int(g, low, high));

interface Windowed {
  readonly batch: number;
  readonly extents: readonly number[];
  readonly kernel: readonly number[];
  readonly attributes: NonNullable<NodeDraft["attributes"]>;
}

/** Sizes of a window that mostly fits its image. */
function windowed(g: Generator): Windowed {
  const rank = g.r.pick([1, 2, 2, 2, 3]);
  const kernel = list(g, rank, 1, 3);
  const dilations = g.maybe(0.4, () => list(g, rank, 1, g.r.chance(0.1) ? 7 : 3));
  const extents = kernel.map(
    (k, i) => (k - 1) * (dilations?.[i] ?? 1) + 1 + int(g, g.r.chance(0.05) ? -1 : 0, 6),
  );
  const auto = g.maybe(0.2, () => g.r.pick(["SAME_UPPER", "SAME_LOWER", "VALID"]));
  return {
    batch: g.r.chance(0.05) ? 0 : int(g, 1, 2),
    extents,
    kernel,
    attributes: {
      strides: g.maybe(0.6, () => list(g, rank, 1, g.r.chance(0.1) ? 9 : 3)),
      dilations,
      auto_pad: auto,
      pads: auto === undefined ? g.maybe(0.6, () => list(g, 2 * rank, 0, 2)) : undefined,
    },
  };
}

const convolution: Row = (g, operator) => {
  const { batch, extents, kernel, attributes } = windowed(g);
  const group = g.r.pick([1, 1, 2, 3]);
  const [perGroup, outPerGroup] = [int(g, 1, 4), int(g, 1, 4)];
  const dtype = g.float();
  const x = g.tensor(dtype, [batch, group * perGroup, ...extents]);
  const isTransposed = operator === "ConvTranspose";
  const outputs = group * outPerGroup;
  const weights = isTransposed
    ? [group * perGroup, outPerGroup, ...kernel]
    : [outputs, perGroup, ...kernel];
  return {
    inputs: [x, g.tensor(dtype, weights), g.maybe(0.5, () => g.tensor(dtype, [outputs]))],
    attributes: {
      ...attributes,
      group: group === 1 ? undefined : group,
      kernel_shape: g.maybe(0.5, () => kernel),
      activation: operator.endsWith("FusedConv")
        ? g.r.pick(["Relu", "Tanh", "Sigmoid"])
        : undefined,
      output_padding: isTransposed ? g.maybe(0.2, () => list(g, kernel.length, 0, 1)) : undefined,
    },
  };
};

const pool: Row = (g, operator) => {
  const { batch, extents, kernel, attributes } = windowed(g);
  const isMax = operator === "MaxPool";
  const { dilations, ...rest } = attributes;
  return {
    inputs: [
      g.tensor(isMax && g.r.chance(0.2) ? "u8" : g.float(), [batch, int(g, 1, 5), ...extents]),
    ],
    attributes: {
      ...rest,
      ...(operator !== "LpPool" && g.opset >= (isMax ? 10 : 19) ? { dilations } : {}),
      kernel_shape: kernel,
      ceil_mode: g.opset >= 10 && operator !== "LpPool" ? g.maybe(0.4, () => 1) : undefined,
      count_include_pad:
        operator === "AveragePool" ? g.maybe(0.5, () => g.r.integer(0, 1)) : undefined,
      p: operator === "LpPool" ? g.maybe(0.5, () => int(g, 1, 3)) : undefined,
    },
    outputs: isMax ? g.r.pick([1, 1, 2]) : 1,
  };
};

const wholeImage: Row = (g) => ({ inputs: [g.value(g.float(), 3, 5)] });

function matrices(g: Generator): readonly [readonly number[], readonly number[]] {
  const [m, k, n] = [g.extent(), g.extent(), g.extent()];
  const batch = g.shape(0, 2).map((e) => Math.min(e, 3));
  const a = g.r.chance(0.1) ? [k] : [...g.like(batch), m, k];
  const b = g.r.chance(0.1) ? [k] : [...g.like(batch), k, n];
  return [a, b];
}

const product: Row = (g) => {
  const [a, b] = matrices(g);
  const dtype = g.r.chance(0.8) ? g.float() : g.r.pick(["i32", "i64", "u32", "u64"] as const);
  return { inputs: [g.tensor(dtype, a), g.tensor(dtype, b)] };
};

const fusedProduct: Row = (g) => {
  const [m, k, n] = [g.extent(), g.extent(), g.extent()];
  const [transA, transB] = [int(g, 0, 1), int(g, 0, 1)];
  const batch = g.shape(0, 1).map((e) => Math.min(e, 3));
  return {
    inputs: [
      g.tensor("f32", [...batch, ...(transA ? [k, m] : [m, k])]),
      g.tensor("f32", [...batch, ...(transB ? [n, k] : [k, n])]),
    ],
    attributes: { transA, transB, alpha: g.maybe(0.5, () => float(0.5)) },
  };
};

const gemm: Row = (g, operator) => {
  const [m, k, n] = [g.extent(), g.extent(), g.extent()];
  const [transA, transB] = [int(g, 0, 1), int(g, 0, 1)];
  const dtype = g.r.chance(0.9) ? g.float() : g.r.pick(["i32", "i64"] as const);
  const bias = g.r.chance(0.6)
    ? g.tensor(dtype, g.like([m, n]))
    : g.opset < 11
      ? g.tensor(dtype, [n])
      : undefined;
  return {
    inputs: [
      g.tensor(dtype, transA ? [k, m] : [m, k]),
      g.tensor(dtype, transB ? [n, k] : [k, n]),
      bias,
    ],
    attributes: {
      transA,
      transB,
      alpha: g.maybe(0.4, () => float(0.5)),
      beta: g.maybe(0.4, () => float(2)),
      activation: operator.endsWith("FusedGemm") ? "Relu" : undefined,
    },
  };
};

const resize: Row = (g, operator) => {
  const x = g.value(g.r.pick(["f32", "f32", "f16", "u8", "i8"] as const), 1, 4);
  const scales = g.give(
    {
      dtype: "f32",
      shape: [x.shape.length],
      data: Float32Array.from(x.shape, () => g.r.pick([1, 1, 2, 0.5, 1.5, 0.3])),
    },
    0.9,
  );
  const isOld = operator === "Upsample" || g.opset < 11;
  const mode = g.r.pick(["nearest", "linear", ...(isOld ? [] : ["cubic"])]);
  if (operator === "Upsample" && g.opset < 9)
    return { inputs: [x], attributes: { mode, scales: { floats: x.shape.map(() => 2) } } };
  if (isOld) return { inputs: [x, scales], attributes: { mode } };
  const sizes = g.ints(x.shape.map((n) => (g.r.chance(0.5) ? n : int(g, 1, 7))));
  const transforms = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel"];
  return {
    inputs: g.r.chance(0.5) ? [x, undefined, scales] : [x, undefined, undefined, sizes],
    attributes: {
      mode,
      coordinate_transformation_mode: g.maybe(0.7, () => g.r.pick(transforms)),
      nearest_mode: g.maybe(0.5, () =>
        g.r.pick(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"]),
      ),
      antialias: g.opset >= 18 ? g.maybe(0.2, () => 1) : undefined,
      exclude_outside: mode === "cubic" ? g.maybe(0.4, () => 1) : undefined,
    },
  };
};

const gridSample: Row = (g, operator) => {
  const rank = operator.includes("::") || g.opset < 20 ? 2 : g.r.pick([1, 2, 3]);
  const n = int(g, 1, 2);
  const names = g.opset >= 20 ? ["linear", "nearest", "cubic"] : ["bilinear", "nearest", "bicubic"];
  return {
    inputs: [
      g.tensor("f32", [n, int(g, 1, 3), ...list(g, rank, 1, 5)]),
      g.numbers("f32", [n, ...list(g, rank, 1, 4), rank], -1.2, 1.2),
    ],
    attributes: {
      mode: g.maybe(0.7, () => g.r.pick(rank === 3 ? names.slice(0, 2) : names)),
      padding_mode: g.maybe(0.7, () => g.r.pick(["zeros", "border", "reflection"])),
      align_corners: g.maybe(0.5, () => g.r.integer(0, 1)),
    },
  };
};

const equations: readonly (readonly [string, (g: Generator) => readonly (readonly number[])[]])[] =
  [
    [
      "ij,jk->ik",
      (g) => [[3, g.extent()], []].map((s, i, all) => (i === 0 ? s : [all[0]![1]!, 4])),
    ],
    [
      "bij,bjk->bik",
      () => [
        [2, 3, 4],
        [2, 4, 5],
      ],
    ],
    ["ii->i", () => [[4, 4]]],
    ["...ij->...ji", (g) => [g.shape(2, 4)]],
    ["ij->", (g) => [g.shape(2, 2)]],
    ["i,j->ij", () => [[3], [5]]],
    [
      "bhwc,hkc->bhwk",
      () => [
        [1, 2, 3, 4],
        [2, 5, 4],
      ],
    ],
    [
      " ij , ij",
      (g) =>
        [
          [3, 2],
          [3, 2],
        ]
          .map((s) => [...s])
          .slice(0, g.r.integer(2, 2)),
    ],
  ];

const windows: Row = (g) => ({
  inputs: [g.scalar("i64", int(g, 1, 20))],
  attributes: {
    periodic: g.maybe(0.5, () => g.r.integer(0, 1)),
    output_datatype: g.maybe(0.3, () => g.r.pick([1, 10, 11])),
  },
});

export const contractionRows: Readonly<Record<string, Row>> = {
  ...each(["Conv", "ConvTranspose", "com.microsoft::FusedConv"], convolution),
  ...each(["MaxPool", "AveragePool", "LpPool"], pool),
  ...each(["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"], wholeImage),
  ...each(["Gemm", "com.microsoft::FusedGemm"], gemm),
  ...each(["Upsample", "Resize"], resize),
  ...each(["GridSample", "com.microsoft::GridSample"], gridSample),
  ...each(["com.microsoft::FusedMatMul", "com.microsoft::TransposeMatMul"], fusedProduct),
  ...each(["HannWindow", "HammingWindow", "BlackmanWindow"], windows),
  MatMul: product,
  Einsum(g) {
    const [equation, shapes] = g.r.pick(equations);
    const dtype = g.float();
    return { inputs: shapes(g).map((shape) => g.tensor(dtype, shape)), attributes: { equation } };
  },
  MaxUnpool(g) {
    const [n, c, h, w] = [1, int(g, 1, 2), int(g, 1, 3), int(g, 1, 3)];
    const indices = g.give(
      {
        dtype: "i64",
        shape: [n, c, h, w],
        data: BigInt64Array.from({ length: n * c * h * w }, (_, i) => BigInt(i)),
      },
      0.3,
    );
    return {
      inputs: [g.tensor("f32", [n, c, h, w]), indices],
      attributes: { kernel_shape: [2, 2], strides: [2, 2] },
    };
  },
  DeformConv(g) {
    const [c, m, k] = [2 * int(g, 1, 2), int(g, 1, 3), int(g, 1, 2)];
    const [h, w] = [k + int(g, 0, 3), k + int(g, 0, 3)];
    const [oh, ow] = [h - k + 1, w - k + 1];
    return {
      inputs: [
        g.tensor("f32", [1, c, h, w]),
        g.tensor("f32", [m, c, k, k]),
        g.numbers("f32", [1, 2 * k * k, oh, ow], -1, 1),
        g.maybe(0.5, () => g.tensor("f32", [m])),
        g.maybe(0.4, () => g.tensor("f32", [1, k * k, oh, ow])),
      ],
      attributes: { kernel_shape: [k, k] },
    };
  },
  Col2Im(g) {
    const [h, w, k] = [int(g, 2, 5), int(g, 2, 5), int(g, 1, 2)];
    const columns = (h - k + 1) * (w - k + 1);
    return {
      inputs: [
        g.tensor(g.float(), [int(g, 1, 2), 2 * k * k, columns]),
        g.ints([h, w]),
        g.ints([k, k]),
      ],
    };
  },
  AffineGrid(g) {
    const rank = g.r.pick([2, 3]);
    const n = int(g, 1, 2);
    return {
      inputs: [g.tensor("f32", [n, rank, rank + 1]), g.ints([n, 1, ...list(g, rank, 2, 4)])],
      attributes: { align_corners: g.maybe(0.5, () => g.r.integer(0, 1)) },
    };
  },
  RoiAlign: (g) => ({
    inputs: [
      g.tensor("f32", [2, 2, 6, 6]),
      g.numbers("f32", [3, 4], 0, 6),
      g.ints(list(g, 3, 0, 1)),
    ],
    attributes: {
      output_height: int(g, 1, 3),
      output_width: int(g, 1, 3),
      sampling_ratio: int(g, 0, 2),
      mode: g.r.pick(["avg", "max"]),
    },
  }),
  MaxRoiPool: (g) => ({
    inputs: [
      g.tensor("f32", [1, 2, 6, 6]),
      g.give({ dtype: "f32", shape: [1, 5], data: Float32Array.of(0, 0, 1, 4, 5) }, 0.5),
    ],
    attributes: { pooled_shape: list(g, 2, 1, 3) },
  }),
  NonMaxSuppression(g) {
    const count = int(g, 0, 6);
    return {
      inputs: [
        g.numbers("f32", [1, count, 4], 0, 3),
        g.numbers("f32", [1, int(g, 1, 2), count], 0, 1),
        g.maybe(0.8, () => g.scalar("i64", int(g, 0, 4))),
        g.maybe(0.6, () => g.scalar("f32", 0.5)),
        g.maybe(0.6, () => g.scalar("f32", 0)),
      ],
      attributes: { center_point_box: g.maybe(0.5, () => g.r.integer(0, 1)) },
    };
  },
  Det: (g) => {
    const n = int(g, 1, 4);
    return { inputs: [g.tensor("f32", [...g.shape(0, 2).map((e) => Math.min(e, 3)), n, n])] };
  },
  DFT(g) {
    const shape = [int(g, 1, 2), int(g, 1, 9), int(g, 1, 3), g.r.pick([1, 2])];
    const length = g.maybe(0.3, () => g.scalar("i64", int(g, 1, 8)));
    const attributes = { inverse: g.maybe(0.3, () => 1), onesided: g.maybe(0.2, () => 1) };
    if (g.opset < 20)
      return { inputs: [g.tensor("f32", shape), length], attributes: { ...attributes, axis: 1 } };
    return {
      inputs: [g.tensor("f32", shape), length, g.scalar("i64", g.r.pick([1, 2, -2, -3]))],
      attributes,
    };
  },
  STFT(g) {
    const frame = g.r.pick([4, 8, 5]);
    return {
      inputs: [
        g.tensor("f32", [int(g, 1, 2), int(g, 8, 40), 1]),
        g.scalar("i64", int(g, 1, 5)),
        g.maybe(0.5, () => g.tensor("f32", [frame])),
        g.scalar("i64", frame),
      ],
      attributes: { onesided: g.maybe(0.5, () => g.r.integer(0, 1)) },
    };
  },
  MelWeightMatrix: (g) => ({
    inputs: [
      g.scalar("i64", int(g, 1, 8)),
      g.scalar("i64", 16),
      g.scalar("i64", 8192),
      g.scalar("f32", 0),
      g.scalar("f32", 4096),
    ],
  }),
};
