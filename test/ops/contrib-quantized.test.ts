/** Quantized operators of com.microsoft against ONNX Runtime, form by form; codes may differ by one. */
import { describe, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import { node } from "../support/onnx-builder.js";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

type Code = "u8" | "i8";

const ms = (name: string) => `com.microsoft::${name}`;
const f32 = (shape: readonly number[], seed = 1) => numbers("f32", shape, [-2, 2], seed);
const scale = (value: number) => tensorOf("f32", [], [value]);
const zero = (dtype: Code, value: number) => tensorOf(dtype, [], [value]);
/** Kernels of the oracle saturate products of u8 and i8 at 16 bits: its signed codes stay below 64 here. */
const codes = (dtype: Code, shape: readonly number[], seed = 1) =>
  numbers(dtype, shape, dtype === "u8" ? [0, 255] : [-64, 63], seed);
const bytes = (shape: readonly number[], seed = 1) => numbers("u8", shape, [0, 255], seed);
const kinds = ["u8", "i8"] as const;

/**
 * The case with and without its zero points, whose positions are given. ONNX Runtime's checks of types need
 * those that may be left out.
 */
function withAndWithout(given: OperatorCase, points: readonly number[]): OperatorCase[] {
  const of = (value: (x: Tensor) => Tensor | undefined) =>
    given.inputs.map((x, i) => (x !== undefined && points.includes(i) ? value(x) : x));
  const zeros = of((x) => ({ ...x, data: (x.data as Uint8Array).map(() => 0) }));
  const without = {
    ...given,
    about: `${given.about}, no zero points`,
    inputs: of(() => undefined),
    instead: { ...given.instead, inputs: zeros },
  };
  return [given, without];
}

const functions = kinds.flatMap((dtype): OperatorCase[] => {
  const one = (name: string, rest: Partial<OperatorCase>, y = 0.01): OperatorCase => ({
    op: ms(name),
    inputs: [codes(dtype, [3, 20]), scale(0.05), zero(dtype, 12), scale(y), zero(dtype, 10)],
    constant: [1, 2, 3, 4],
    tolerance: 1,
    ...rest,
    about: `${dtype}, ${rest.about ?? ""}`,
  });
  const pair = (name: string, other: readonly number[]): OperatorCase => ({
    op: ms(name),
    about: `${dtype}, ${other.join(" x ")}`,
    inputs: [
      codes(dtype, [3, 20]),
      scale(0.1),
      zero(dtype, 12),
      codes(dtype, other, 2),
      scale(0.05),
      zero(dtype, 7),
      scale(0.2),
      zero(dtype, 9),
    ],
    tolerance: 1,
  });
  const image = (name: string, attributes: NonNullable<OperatorCase["attributes"]>) => ({
    op: ms(name),
    about: `${dtype}, ${JSON.stringify(attributes)}`,
    attributes,
    inputs: [codes(dtype, [2, 6, 8, 5]), scale(0.1), zero(dtype, 12), scale(0.08), zero(dtype, 10)],
    tolerance: 1,
  });
  const reduced = (keepdims: number): OperatorCase => ({
    ...image("QLinearReduceMean", { axes: [2, 3], keepdims }),
    instead: {
      nodes: [
        node("DequantizeLinear", ["x0", "x1", "x2"], ["x"]),
        node("ReduceMean", ["x"], ["m"], { axes: [2, 3], keepdims }),
        node("QuantizeLinear", ["m", "x3", "x4"], ["y0"]),
      ],
      opset: 17,
    },
  });
  const window = { kernel_shape: [3, 2], strides: [2, 1] };
  const pools = [
    window,
    { ...window, pads: [1, 1, 0, 1] },
    { ...window, pads: [1, 1, 0, 1], count_include_pad: 1 },
    { ...window, ceil_mode: 1 },
    { ...window, auto_pad: "SAME_UPPER" },
    { ...window, pads: [1, 1, 0, 1], channels_last: 1 },
  ];
  return [
    ...["QLinearAdd", "QLinearMul"].flatMap((name) =>
      [[20], [3, 20], [3, 1], [1]].flatMap((other) => withAndWithout(pair(name, other), [2, 5, 7])),
    ),
    ...[
      one("QLinearSigmoid", {}),
      one("QLinearLeakyRelu", { about: "alpha", attributes: { alpha: { float: 0.2 } } }),
      one("QLinearLeakyRelu", {}),
      ...pools.map((attributes) => image("QLinearAveragePool", attributes)),
      reduced(0),
      reduced(1),
    ].flatMap((c) => withAndWithout(c, [2, 4])),
    one("QLinearSoftmax", { attributes: { opset: 13 } }, 0.004),
    one("QLinearSoftmax", { about: "axis", attributes: { opset: 13, axis: 0 } }, 0.004),
    one("QLinearSoftmax", { about: "old", attributes: { opset: 11, axis: 0 } }, 0.004),
    image("QLinearGlobalAveragePool", {}),
    image("QLinearGlobalAveragePool", { channels_last: 1 }),
  ];
});

const layers = kinds.flatMap((dtype): OperatorCase[] => [
  {
    op: ms("QLinearWhere"),
    about: dtype,
    inputs: [
      numbers("bool", [3, 20], [0, 1], 5),
      codes(dtype, [3, 20]),
      scale(0.1),
      zero(dtype, 12),
      codes(dtype, [20], 2),
      scale(0.05),
      zero(dtype, 7),
      scale(0.2),
      zero(dtype, 9),
    ],
    constant: [2, 3, 5, 6, 7, 8],
    outputs: [dtype],
    tolerance: 1,
  },
  ...[0, -1].map(
    (axis): OperatorCase => ({
      op: ms("QLinearConcat"),
      about: `${dtype}, axis ${axis}`,
      attributes: { axis },
      inputs: [
        scale(0.1),
        zero(dtype, 9),
        codes(dtype, [3, 4]),
        scale(0.05),
        zero(dtype, 7),
        codes(dtype, [3, 4], 2),
        scale(0.2),
        zero(dtype, 12),
        codes(dtype, [3, 4], 3),
        scale(0.1),
        zero(dtype, 9),
      ],
      constant: [0, 1, 3, 4, 6, 7, 9, 10],
      outputs: [dtype],
      tolerance: 1,
    }),
  ),
  ...[0, 1].flatMap((channels_last) =>
    [1, 2].flatMap((group) =>
      [false, true].map(
        (bias): OperatorCase => ({
          op: ms("QLinearConv"),
          about: `${dtype}, group ${group}, channels last ${channels_last}, bias ${bias}`,
          attributes: { channels_last, group, pads: [1, 1, 1, 1], strides: [2, 1] },
          inputs: [
            codes(dtype, channels_last === 1 ? [1, 8, 9, 4] : [1, 4, 8, 9]),
            scale(0.02),
            zero(dtype, 20),
            codes("i8", [6, 4 / group, 3, 3], 2),
            numbers("f32", [6], [0.01, 0.05]),
            tensorOf("i8", [6], [0, 0, 0, 0, 0, 0]),
            scale(0.9),
            zero(dtype, 9),
            bias ? numbers("i32", [6], [-900, 900]) : undefined,
          ],
          constant: [1, 2, 3, 4, 5, 6, 7],
          tolerance: 1,
        }),
      ),
    ),
  ),
]);

const products: readonly OperatorCase[] = [
  ...kinds.flatMap((left) =>
    // ONNX Runtime has no kernels for signed times unsigned codes.
    (left === "u8" ? kinds : (["i8"] as const)).flatMap((right) =>
      [true, false].flatMap((rich): OperatorCase[] => {
        const about = `${left} ${right}, ${rich ? "by column, all inputs" : "scalars"}`;
        const parameters = rich
          ? [numbers("f32", [9], [0.1, 1]), codes(right, [9], 3)]
          : [scale(0.3), undefined];
        const w = codes(right, [20, 9], 2);
        return [
          {
            op: ms("MatMulIntegerToFloat"),
            about,
            inputs: [
              codes(left, [2, 5, 20]),
              w,
              scale(0.1),
              parameters[0],
              rich ? zero(left, 50) : undefined,
              parameters[1],
              rich ? f32([9]) : undefined,
            ],
            outputs: ["f32"],
          },
          ...(left === "u8"
            ? [
                {
                  op: ms("DynamicQuantizeMatMul"),
                  about,
                  inputs: [f32([2, 5, 20]), w, ...parameters, rich ? f32([9], 4) : undefined],
                  tolerance: 1e-5,
                } satisfies OperatorCase,
              ]
            : []),
          ...[0, 1].flatMap((transA) =>
            [0, 1].map(
              (transB): OperatorCase => ({
                op: ms("QGemm"),
                about: `${about}, ${transA} ${transB}`,
                attributes: { transA, transB, ...(rich && { alpha: { float: 0.5 } }) },
                inputs: [
                  codes(left, transA === 1 ? [20, 5] : [5, 20]),
                  scale(0.1),
                  zero(left, 20),
                  codes(right, transB === 1 ? [9, 20] : [20, 9], 2),
                  parameters[0],
                  rich ? codes(right, [9], 3) : zero(right, 3),
                  ...(rich
                    ? [numbers("i32", [9], [-900, 900]), scale(3), zero(left, 60)]
                    : [undefined, undefined, undefined]),
                ],
                outputs: [rich ? left : "f32"],
                tolerance: rich ? 1 : 1e-5,
              }),
            ),
          ),
        ];
      }),
    ),
  ),
  {
    op: ms("MatMulInteger16"),
    inputs: [numbers("i16", [2, 5, 20], [-3000, 3000]), numbers("i16", [20, 9], [-3000, 3000], 2)],
    outputs: ["i32"],
  },
  {
    op: ms("MulInteger"),
    inputs: [codes("u8", [3, 5]), zero("u8", 9), codes("u8", [5], 2), zero("u8", 120)],
    outputs: ["i32"],
    instead: {
      nodes: [
        ...[0, 1, 2, 3].map((i) => node("Cast", [`x${i}`], [`w${i}`], { to: 6 })),
        node("Sub", ["w0", "w1"], ["a"]),
        node("Sub", ["w2", "w3"], ["b"]),
        node("Mul", ["a", "b"], ["y0"]),
      ],
    },
  },
  {
    op: ms("ReduceSumInteger"),
    attributes: { axes: [1], keepdims: 0 },
    inputs: [codes("i8", [3, 5])],
    outputs: ["i32"],
    instead: {
      nodes: [
        node("Cast", ["x0"], ["x"], { to: 6 }),
        node("Constant", [], ["axes"], { value: tensorOf("i64", [1], [1]) }),
        node("ReduceSum", ["x", "axes"], ["y0"], { keepdims: 0 }),
      ],
    },
  },
];

const linear: readonly OperatorCase[] = [
  ...(["u8", "i8", "u16", "i16"] as const).flatMap((dtype): OperatorCase[] => [
    {
      op: ms("QuantizeLinear"),
      about: dtype,
      inputs: [numbers("f32", [4, 9], [-9, 9]), scale(0.07), tensorOf(dtype, [], [3])],
      outputs: [dtype],
    },
    {
      op: ms("QuantizeLinear"),
      about: `${dtype}, by axis`,
      attributes: { axis: 0 },
      inputs: [
        numbers("f32", [4, 9], [-9, 9]),
        numbers("f32", [4], [0.1, 1]),
        numbers(dtype, [4], [0, 9]),
      ],
      outputs: [dtype],
    },
    {
      op: ms("DequantizeLinear"),
      about: `${dtype}, by axis`,
      attributes: { axis: 0 },
      inputs: [
        numbers(dtype, [4, 9], [0, 100]),
        numbers("f32", [4], [0.1, 1]),
        numbers(dtype, [4], [0, 9]),
      ],
      outputs: ["f32"],
    },
  ]),
  ...(["u4", "i4"] as const).map(
    (dtype): OperatorCase => ({
      op: ms("DequantizeLinear"),
      about: dtype,
      inputs: [numbers(dtype, [4, 9], [0, 7]), scale(0.3), tensorOf(dtype, [], [3])],
      constant: [0, 2],
      outputs: ["f32"],
    }),
  ),
  {
    op: ms("DequantizeLinear"),
    about: "i32",
    inputs: [numbers("i32", [9], [-1e6, 1e6]), scale(0.3)],
    outputs: ["f32"],
  },
];

interface FewBits {
  readonly bits: number;
  readonly block: number;
  readonly k: number;
  readonly zeros: "none" | "packed" | "numbers";
  readonly dtype: "f32" | "f16";
  readonly bias: boolean;
  readonly level?: number;
}

function matMulNBits({ bits, block, k, zeros, dtype, bias, level }: FewBits): OperatorCase {
  const blocks = Math.ceil(k / block);
  const rows = 6;
  const points =
    zeros === "none"
      ? undefined
      : zeros === "packed"
        ? bytes([rows * Math.ceil((blocks * bits) / 8)], 3)
        : numbers(dtype, [rows * blocks], [1, 4], 3);
  return {
    op: ms("MatMulNBits"),
    about: [bits, block, k, zeros, dtype, bias ? "bias" : "", level ?? ""].join(" "),
    attributes: { N: rows, K: k, bits, block_size: block, ...(level && { accuracy_level: level }) },
    inputs: [
      numbers(dtype, [2, 3, k], [-2, 2]),
      bytes([rows, blocks, (block * bits) / 8]),
      numbers(dtype, [rows * blocks], [0.01, 0.2]),
      points,
      undefined,
      bias ? numbers(dtype, [rows], [-2, 2], 4) : undefined,
    ],
    constant: [1, 2, 3, 5],
    outputs: [dtype],
    tolerance: level === 4 ? 2e-2 : dtype === "f16" ? 4e-3 : 1e-5,
  };
}

const fewBits: readonly OperatorCase[] = [
  ...[2, 4, 8].flatMap((bits) =>
    [16, 32, 128].flatMap((block) =>
      [128, 80].flatMap((k) =>
        (["none", "packed", "numbers"] as const)
          // ONNX Runtime's CPU has no 8-bit weights with zero points that are numbers.
          .filter((zeros) => !(bits === 8 && zeros === "numbers"))
          .map((zeros) => matMulNBits({ bits, block, k, zeros, dtype: "f32", bias: block === 32 })),
      ),
    ),
  ),
  ...[4, 8].map((bits) =>
    matMulNBits({ bits, block: 32, k: 128, zeros: "packed", dtype: "f16", bias: true }),
  ),
  matMulNBits({
    bits: 4,
    block: 32,
    k: 128,
    zeros: "packed",
    dtype: "f32",
    bias: true,
    level: 4,
  }),
  ...[0, 1].map(
    (quant_type): OperatorCase => ({
      op: ms("MatMulBnb4"),
      about: `type ${quant_type}`,
      attributes: { N: 16, K: 64, block_size: 32, quant_type },
      inputs: [f32([3, 64]), bytes([512]), numbers("f32", [32], [0.1, 1], 2)],
      constant: [1, 2],
      tolerance: 1e-5,
    }),
  ),
  ...(["u4", "i4"] as const).flatMap((dtype) =>
    [0, 1].flatMap((gather_axis) =>
      (["f32", "f16"] as const).map(
        (scales): OperatorCase => ({
          op: ms("GatherBlockQuantized"),
          about: `${dtype}, axis ${gather_axis}, ${scales}`,
          attributes: { gather_axis, quantize_axis: 2, block_size: 16 },
          inputs: [
            numbers(dtype, [5, 6, 32], dtype === "u4" ? [0, 15] : [-8, 7]),
            numbers("i64", [2, 2], [0, 4]),
            numbers(scales, [5, 6, 2], [0.1, 1]),
            numbers(dtype, [5, 6, 2], [0, 7], 2),
          ],
          constant: [0, 2, 3],
          outputs: [scales],
        }),
      ),
    ),
  ),
  ...[4, 8].flatMap((bits) =>
    [false, true].map(
      (points): OperatorCase => ({
        op: ms("GatherBlockQuantized"),
        about: `bytes of ${bits} bits${points ? ", zero points" : ""}`,
        attributes: { gather_axis: 0, quantize_axis: 1, block_size: 16, bits },
        inputs: [
          bytes([5, (64 * bits) / 8]),
          numbers("i32", [3], [0, 4]),
          numbers("f32", [5, 4], [0.1, 1]),
          points ? bytes([5, (4 * bits) / 8], 2) : undefined,
        ],
        constant: [0, 2, 3],
        outputs: ["f32"],
      }),
    ),
  ),
];

const table = (shape: readonly number[], seed: number): Tensor => bytes(shape, seed);
const embedding: readonly OperatorCase[] = [true, false].map((segments) => ({
  op: ms("QEmbedLayerNormalization"),
  about: segments ? "" : "no segments",
  inputs: [
    numbers("i32", [2, 5], [0, 9]),
    segments ? numbers("i32", [2, 5], [0, 1], 2) : undefined,
    table([10, 24], 1),
    table([8, 24], 2),
    segments ? table([2, 24], 3) : undefined,
    table([24], 4),
    table([24], 5),
    tensorOf("i32", [2, 5], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]),
    ...[0.01, 0.02, 0.03, 0.01, 0.005].map((x, i) => (i === 2 && !segments ? undefined : scale(x))),
    ...[100, 120, 128, 3, 90].map((x, i) => (i === 2 && !segments ? undefined : zero("u8", x))),
  ],
  outputs: ["f32", "i32"],
  tolerance: 1e-5,
}));

/** Activations keep their values here and become codes there: what is compared is the layer, not its rounding. */
const recurrent: readonly OperatorCase[] = (["forward", "bidirectional"] as const).flatMap(
  (direction) =>
    [false, true].map((columns): OperatorCase => {
      const directions = direction === "forward" ? 1 : 2;
      const parameters = (seed: number): Tensor[] =>
        columns
          ? [
              numbers("f32", [directions, 24], [0.005, 0.01], seed),
              numbers("u8", [directions, 24], [125, 125]),
            ]
          : [
              numbers("f32", [directions], [0.005, 0.01], seed),
              numbers("u8", [directions], [120, 130], seed),
            ];
      return {
        op: ms("DynamicQuantizeLSTM"),
        about: `${direction}, scales by ${columns ? "column" : "direction"}`,
        attributes: { hidden_size: 6, direction },
        inputs: [
          f32([4, 2, 5]),
          bytes([directions, 5, 24], 2),
          bytes([directions, 6, 24], 3),
          f32([directions, 48], 4),
          undefined,
          f32([directions, 2, 6], 5),
          f32([directions, 2, 6], 6),
          undefined,
          ...parameters(7),
          ...parameters(8),
        ],
        constant: [1, 2, 8, 9, 10, 11],
        outputs: ["f32", "f32", "f32"],
        tolerance: 2e-2,
      };
    }),
);

describe.each(
  Object.entries({ functions, layers, products, linear, fewBits, embedding, recurrent }),
)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (__, c) => {
    await compareWithOnnxRuntime({ lowered: true, ...c });
  });
});
