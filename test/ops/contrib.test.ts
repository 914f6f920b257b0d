/**
 * Operators of com.microsoft on floats against ONNX Runtime; those that its CPU has no kernel for against the
 * same computation in operators of ONNX.
 */
import { describe, test } from "vitest";
import type { DType } from "../../src/numerics/dtype.js";
import { node } from "../support/onnx-builder.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const f32 = (shape: readonly number[], seed = 1) => numbers("f32", shape, [-2, 2], seed);
const i64 = (...values: number[]) => tensorOf("i64", [values.length], values);
const ms = (name: string) => `com.microsoft::${name}`;

const activations: readonly OperatorCase[] = [
  ...["Gelu", "QuickGelu", "FastGelu"].map((name) => ({ op: ms(name), inputs: [f32([3, 40])] })),
  {
    op: ms("QuickGelu"),
    about: "alpha",
    attributes: { alpha: { float: 0.7 } },
    inputs: [f32([40])],
  },
  ...["FastGelu", "BiasGelu"].map((name) => ({
    op: ms(name),
    about: "bias",
    inputs: [f32([3, 40]), f32([40], 2)],
  })),
  {
    op: ms("GemmFastGelu"),
    inputs: [f32([3, 8]), f32([8, 5], 2), f32([5], 3)],
    instead: {
      nodes: [
        node("MatMul", ["x0", "x1"], ["p"]),
        node("Add", ["p", "x2"], ["s"]),
        node("Gelu", ["s"], ["y0"], { approximate: "tanh" }),
      ],
    },
  },
  {
    op: ms("BiasSplitGelu"),
    inputs: [f32([2, 3, 8]), f32([8], 2)],
    instead: {
      nodes: [
        node("Add", ["x0", "x1"], ["s"]),
        node("Split", ["s"], ["a", "b"], { axis: -1, num_outputs: 2 }),
        node("Gelu", ["b"], ["g"]),
        node("Mul", ["a", "g"], ["y0"]),
      ],
    },
  },
  {
    op: ms("BiasAdd"),
    inputs: [f32([2, 3, 8]), f32([8], 2), f32([2, 3, 8], 3)],
    instead: { nodes: [node("Sum", ["x0", "x1", "x2"], ["y0"])] },
  },
  ...([0, 1] as const).map(
    (inner): OperatorCase => ({
      op: ms("BiasSoftmax"),
      about: inner === 1 ? "inner axes" : "outer axes",
      attributes: { axis: 3, is_inner_broadcast: inner },
      inputs: [f32([2, 3, 4, 5]), f32(inner === 1 ? [2, 1, 1, 5] : [1, 1, 4, 5], 2)],
      instead: {
        nodes: [node("Add", ["x0", "x1"], ["s"]), node("Softmax", ["s"], ["y0"], { axis: 3 })],
      },
    }),
  ),
];

const groups = ({ last, skip, silu }: { last: boolean; skip?: number[]; silu: boolean }) => {
  const shape = last ? [2, 3, 5, 8] : [2, 8, 3, 5];
  const toFirst = last ? [node("Transpose", ["s"], ["c"], { perm: [0, 3, 1, 2] })] : [];
  const first = last ? "c" : "s";
  const sum =
    skip === undefined
      ? [node("Identity", ["x0"], ["s"])]
      : [node("Add", ["x0", "k"], ["s0"]), node("Add", ["s0", "x4"], ["s"])];
  const flat = skip?.length === 2 ? i64(2, 1, 1, 8) : i64(...shape.map((_, i) => skip?.[i] ?? 1));
  const result: OperatorCase = {
    op: ms(skip === undefined ? "GroupNorm" : "SkipGroupNorm"),
    about: [last ? "channels last" : "", silu ? "SiLU" : "", skip?.join(" x ") ?? ""].join(" "),
    attributes: {
      groups: 2,
      activation: silu ? 1 : 0,
      channels_last: last ? 1 : 0,
      epsilon: { float: 1e-3 },
    },
    inputs: [
      f32(shape),
      f32([8], 2),
      f32([8], 3),
      ...(skip === undefined ? [] : [f32(skip, 4), f32([8], 5)]),
    ],
    outputs: skip === undefined ? ["f32"] : ["f32", "f32"],
    tolerance: 1e-5,
    instead: {
      nodes: [
        ...(skip === undefined
          ? []
          : [
              node("Constant", [], ["shape"], { value: flat }),
              node("Reshape", ["x3", "shape"], ["k"]),
            ]),
        ...sum,
        ...toFirst,
        node("GroupNormalization", [first, "x1", "x2"], ["n"], {
          num_groups: 2,
          epsilon: { float: 1e-3 },
        }),
        node("Sigmoid", ["n"], ["g"]),
        silu ? node("Mul", ["n", "g"], ["a"]) : node("Identity", ["n"], ["a"]),
        last
          ? node("Transpose", ["a"], ["y0"], { perm: [0, 2, 3, 1] })
          : node("Identity", ["a"], ["y0"]),
        ...(skip === undefined ? [] : [node("Identity", ["s"], ["y1"])]),
      ],
    },
  };
  return result;
};

const window = { kernel_shape: [3, 3], strides: [2, 1], pads: [1, 0, 1, 2] };
const images: readonly OperatorCase[] = [
  ...[true, false].flatMap((silu) => [
    groups({ last: true, silu }),
    groups({ last: false, silu }),
    groups({ last: true, silu, skip: [2, 3, 5, 8] }),
    groups({ last: true, silu, skip: [2, 1, 1, 8] }),
    groups({ last: true, silu, skip: [2, 8] }),
  ]),
  ...["Relu", "LeakyRelu", "Clip", "HardSigmoid", "Tanh", "Sigmoid"].map(
    (activation): OperatorCase => {
      const parameters: Record<string, readonly number[]> = {
        LeakyRelu: [0.1],
        Clip: [-0.5, 0.5],
        HardSigmoid: [0.3, 0.4],
      };
      const floats = parameters[activation];
      return {
        op: ms("FusedConv"),
        about: activation,
        attributes: { ...window, activation, ...(floats && { activation_params: { floats } }) },
        inputs: [f32([1, 3, 8, 7]), f32([4, 3, 3, 3], 2), f32([4], 3)],
        tolerance: 1e-5,
      };
    },
  ),
  {
    op: ms("FusedConv"),
    about: "sum, group",
    attributes: { ...window, group: 2, activation: "Relu" },
    inputs: [f32([1, 4, 8, 7]), f32([4, 2, 3, 3], 2), f32([4], 3), f32([1, 4, 4, 7], 4)],
    tolerance: 1e-5,
  },
  {
    op: ms("NhwcConv"),
    attributes: { ...window, group: 2 },
    inputs: [f32([1, 8, 7, 4]), f32([6, 3, 3, 2], 2), f32([6], 3)],
    tolerance: 1e-5,
    instead: {
      nodes: [
        node("Transpose", ["x0"], ["x"], { perm: [0, 3, 1, 2] }),
        node("Transpose", ["x1"], ["w"], { perm: [0, 3, 1, 2] }),
        node("Conv", ["x", "w", "x2"], ["y"], { ...window, group: 2 }),
        node("Transpose", ["y"], ["y0"], { perm: [0, 2, 3, 1] }),
      ],
    },
  },
  {
    op: ms("NhwcFusedConv"),
    attributes: { ...window, activation: "Relu" },
    inputs: [f32([1, 8, 7, 4]), f32([6, 4, 3, 3], 2), f32([6], 3), f32([1, 4, 7, 6], 4)],
    tolerance: 1e-5,
    instead: {
      nodes: [
        node("Transpose", ["x0"], ["x"], { perm: [0, 3, 1, 2] }),
        node("Conv", ["x", "x1", "x2"], ["y"], window),
        node("Transpose", ["y"], ["l"], { perm: [0, 2, 3, 1] }),
        node("Add", ["l", "x3"], ["s"]),
        node("Relu", ["s"], ["y0"]),
      ],
    },
  },
  ...["u8", "i8"].map(
    (dtype): OperatorCase => ({
      op: ms("NhwcMaxPool"),
      about: dtype,
      attributes: window,
      inputs: [numbers(dtype as DType, [1, 8, 7, 4], [-100, 100])],
    }),
  ),
];

const row = f32([24], 3);
const norms: readonly OperatorCase[] = [
  ...(["f32", "f16"] as const).flatMap((dtype) => {
    const make = (shape: readonly number[], seed = 1) => numbers(dtype, shape, [-2, 2], seed);
    const tolerance = dtype === "f16" ? 4e-3 : 1e-5;
    return [
      {
        op: ms("SkipLayerNormalization"),
        about: dtype,
        attributes: { epsilon: { float: 1e-3 } },
        inputs: [
          make([2, 5, 24]),
          make([2, 5, 24], 2),
          make([24], 3),
          make([24], 4),
          make([24], 5),
        ],
        outputs: [dtype, undefined, undefined, dtype],
        tolerance,
      },
      {
        op: ms("SkipSimplifiedLayerNormalization"),
        about: dtype,
        inputs: [make([2, 5, 24]), make([2, 5, 24], 2), make([24], 3), make([24], 5)],
        outputs: [dtype, undefined, undefined, dtype],
        tolerance,
      },
      {
        op: ms("SkipLayerNormalization"),
        about: `${dtype}, no batch, no bias`,
        inputs: [make([5, 24]), make([5, 24], 2), make([24], 3)],
        outputs: [dtype],
        tolerance,
      },
      {
        op: ms("SkipLayerNormalization"),
        about: `${dtype}, skip of one batch entry`,
        inputs: [make([2, 5, 24]), make([1, 5, 24], 2), make([24], 3)],
        outputs: [dtype],
        tolerance,
      },
      {
        op: ms("SkipSimplifiedLayerNormalization"),
        about: `${dtype}, skip without batch`,
        inputs: [make([2, 5, 24]), make([5, 24], 2), make([24], 3)],
        outputs: [dtype],
        tolerance,
      },
      {
        op: "SimplifiedLayerNormalization",
        opset: 17,
        about: dtype,
        attributes: { axis: -1, epsilon: { float: 1e-6 }, stash_type: 1 },
        inputs: [make([2, 5, 24]), make([24], 3)],
        outputs: [dtype],
        tolerance,
      },
    ] satisfies OperatorCase[];
  }),
  ...[false, true].flatMap((mask): OperatorCase[] => {
    const ids = numbers("i32", [2, 5], [0, 9]);
    const rest = [f32([10, 24]), f32([8, 24], 2)];
    const masked = mask ? tensorOf("i32", [2, 5], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]) : undefined;
    return [
      {
        op: ms("EmbedLayerNormalization"),
        about: mask ? "mask" : "",
        inputs: [
          ids,
          numbers("i32", [2, 5], [0, 1], 2),
          ...rest,
          f32([2, 24], 4),
          row,
          row,
          masked,
        ],
        outputs: ["f32", "i32", "f32"],
        tolerance: 1e-5,
      },
      {
        op: ms("EmbedLayerNormalization"),
        about: mask ? "no segments, mask, positions" : "no segments, positions",
        inputs: [
          ids,
          undefined,
          ...rest,
          undefined,
          row,
          row,
          masked,
          numbers("i32", [2, 5], [0, 7], 5),
        ],
        outputs: ["f32", "i32", "f32"],
        tolerance: 1e-5,
      },
    ];
  }),
];

const products: readonly OperatorCase[] = [
  ...[0, 1].flatMap((transA) =>
    [0, 1].flatMap((transB) =>
      [0, 1].map((batch): OperatorCase => {
        const shapes = {
          a: transA === 1 ? [2, 6, 4] : [2, 4, 6],
          b: transB === 1 ? [2, 5, 6] : [2, 6, 5],
        };
        const turned = ([n, rows, columns]: number[]) => [rows!, n!, columns!];
        return {
          op: ms("FusedMatMul"),
          about: `transA ${transA} transB ${transB} batch ${batch}`,
          attributes: {
            transA,
            transB,
            transBatchA: batch,
            transBatchB: batch,
            alpha: { float: 0.5 },
          },
          inputs: [
            f32(batch === 1 ? turned(shapes.a) : shapes.a),
            f32(batch === 1 ? turned(shapes.b) : shapes.b, 2),
          ],
          tolerance: 1e-5,
        };
      }),
    ),
  ),
  {
    op: ms("TransposeMatMul"),
    attributes: { transA: 1, alpha: { float: 0.5 } },
    inputs: [f32([6, 4]), f32([6, 5], 2)],
    tolerance: 1e-5,
  },
  ...["Relu", "LeakyRelu", "Tanh"].map(
    (activation): OperatorCase => ({
      op: ms("FusedGemm"),
      about: activation,
      attributes: {
        activation,
        transB: 1,
        alpha: { float: 0.5 },
        beta: { float: 2 },
        ...(activation === "LeakyRelu" && { activation_alpha: { float: 0.2 } }),
      },
      inputs: [f32([3, 6]), f32([5, 6], 2), f32([5], 3)],
      tolerance: 1e-5,
    }),
  ),
  ...["euclidean", "sqeuclidean"].map(
    (metric): OperatorCase => ({
      op: ms("CDist"),
      about: metric,
      attributes: { metric },
      inputs: [f32([6, 5]), f32([4, 5], 2)],
      tolerance: 1e-5,
    }),
  ),
  {
    op: ms("UnfoldTensor"),
    attributes: { dim: 1, size: 3, step: 2 },
    inputs: [f32([2, 8, 3])],
  },
  {
    op: ms("Rfft"),
    attributes: { signal_ndim: 1 },
    inputs: [f32([3, 12])],
    tolerance: 1e-5,
    instead: {
      nodes: [
        node("Constant", [], ["last"], { value: i64(2) }),
        node("Unsqueeze", ["x0", "last"], ["parts"]),
        node("DFT", ["parts"], ["y0"], { onesided: 1 }),
      ],
      opset: 20,
    },
  },
];

const aliases: readonly OperatorCase[] = [
  ...[0, 1].map((upper) => ({
    op: ms("Trilu"),
    about: `upper ${upper}`,
    attributes: { upper },
    inputs: [f32([4, 5]), tensorOf("i64", [], [1])],
    constant: [1],
  })),
  {
    op: ms("Range"),
    inputs: [2, 11, 3].map((x) => tensorOf("f32", [], [x])),
    constant: [0, 1, 2],
  },
  {
    op: ms("Range"),
    about: "default step",
    inputs: [2, 6].map((x) => tensorOf("i32", [], [x])),
    constant: [0, 1],
  },
  { op: ms("ExpandDims"), inputs: [f32([2, 3]), tensorOf("i32", [], [-1])], constant: [1] },
  {
    op: ms("GatherND"),
    inputs: [f32([3, 4, 2]), tensorOf("i64", [2, 2], [0, 1, 2, 3])],
  },
  ...["constant", "reflect", "edge"].map((mode) => ({
    op: ms("Pad"),
    about: mode,
    attributes: { mode },
    inputs: [f32([3, 4]), i64(1, 0, 2, 1), tensorOf("f32", [1], [0.5])],
    constant: [1, 2],
  })),
  ...["bilinear", "nearest", "bicubic"].map((mode) => ({
    op: ms("GridSample"),
    about: mode,
    attributes: { mode, align_corners: 1 },
    inputs: [f32([1, 2, 4, 5]), numbers("f32", [1, 3, 3, 2], [-1, 1], 2)],
    tolerance: 1e-4,
  })),
];

const states: readonly OperatorCase[] = [
  {
    op: ms("CausalConvWithState"),
    attributes: { activation: "silu", ndim: 1 },
    inputs: [f32([2, 6, 5]), f32([6, 1, 4], 2), f32([6], 3), f32([2, 6, 3], 4)],
    outputs: ["f32", "f32"],
    tolerance: 1e-5,
  },
  ...["linear", "gated", "delta", "gated_delta"].map(
    (rule): OperatorCase => ({
      op: ms("LinearAttention"),
      about: rule,
      attributes: { q_num_heads: 4, kv_num_heads: 2, update_rule: rule },
      inputs: [
        f32([2, 3, 32]),
        f32([2, 3, 16], 2),
        f32([2, 3, 12], 3),
        f32([2, 2, 8, 6], 4),
        rule.startsWith("gated") ? numbers("f32", [2, 3, 2], [-1, 0], 5) : undefined,
        rule.endsWith("delta") ? numbers("f32", [2, 3, 2], [0, 1], 6) : undefined,
      ],
      outputs: ["f32", "f32"],
      tolerance: 1e-5,
    }),
  ),
  {
    op: ms("LinearAttentionGate"),
    inputs: [f32([2, 3, 4]), f32([4], 2), f32([4], 3), f32([2, 3, 4], 4)],
    outputs: ["f32", "f32"],
  },
];

const experts: readonly OperatorCase[] = [
  ...["relu", "gelu", "silu", "identity", "swiglu"].flatMap((activation_type) =>
    [0, 1].map((normalize_routing_weights): OperatorCase => {
      const wide = activation_type === "swiglu" ? 12 : 6;
      return {
        op: ms("MoE"),
        about: `${activation_type}, normalized ${normalize_routing_weights}`,
        attributes: {
          k: 2,
          activation_type,
          normalize_routing_weights,
          ...(activation_type === "swiglu" && {
            swiglu_fusion: 1,
            swiglu_limit: { float: 1 },
            activation_alpha: { float: 1.7 },
            activation_beta: { float: 1 },
          }),
        },
        inputs: [
          f32([5, 8]),
          f32([5, 4], 2),
          f32([4, wide, 8], 3),
          f32([4, wide], 4),
          f32([4, 8, 6], 5),
          f32([4, 8], 6),
        ],
        tolerance: 1e-4,
      };
    }),
  ),
  ...[0, 32].flatMap((block_size) =>
    [4, 8].flatMap((bits) =>
      [false, true].map((zeros): OperatorCase => {
        const per = 8 / bits;
        const codes = (shape: number[], seed: number) => numbers("u8", shape, [0, 255], seed);
        const scales = (outputs: number, inputs: number, seed: number) =>
          numbers(
            "f32",
            block_size === 0 ? [3, outputs] : [3, outputs, inputs / block_size],
            [0.01, 0.02],
            seed,
          );
        const points = (outputs: number, inputs: number, seed: number) =>
          zeros
            ? codes(
                block_size === 0 ? [3, outputs / per] : [3, outputs, inputs / block_size / per],
                seed,
              )
            : undefined;
        return {
          op: ms("QMoE"),
          about: `${bits} bits${zeros ? ", zero points" : ""}${block_size === 0 ? "" : ", blocks"}`,
          attributes: {
            k: 2,
            activation_type: "silu",
            normalize_routing_weights: 1,
            expert_weight_bits: bits,
            ...(block_size !== 0 && { block_size }),
          },
          inputs: [
            f32([5, 64]),
            f32([5, 3], 2),
            codes([3, 128, 64 / per], 3),
            scales(128, 64, 4),
            f32([3, 128], 5),
            codes([3, 64, 128 / per], 6),
            scales(64, 128, 7),
            f32([3, 64], 8),
            undefined,
            undefined,
            undefined,
            points(128, 64, 9),
            points(64, 128, 10),
          ],
          constant: [2, 3, 5, 6, 11, 12],
          tolerance: 2e-2,
        };
      }),
    ),
  ),
];

const host: readonly OperatorCase[] = [
  { op: ms("Inverse"), inputs: [f32([2, 4, 4])], tolerance: 1e-4 },
  {
    op: ms("Unique"),
    inputs: [tensorOf("f32", [6], [3, 1, 3, 2, 1, 9])],
    outputs: ["f32", "i64", "i64"],
  },
];

const lowered = { activations, images, norms, products, aliases, states, experts };

describe.each(
  Object.entries({
    ...Object.fromEntries(
      Object.entries(lowered).map(([family, cases]) => [
        family,
        cases.map((c): OperatorCase => ({ ...c, lowered: true })),
      ]),
    ),
    host,
  }),
)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (__, c) => {
    await compareWithOnnxRuntime(c);
  });
});
