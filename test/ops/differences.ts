/**
 * Where results knowingly differ from those of ONNX Runtime, each with a node that shows it: docs/differences.md is
 * made from it, and the test beside it holds that both still compute what they are said to.
 */
import { encodeArray } from "../../src/numerics/convert.js";
import type { DType } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import type { OperatorCase } from "./against-onnxruntime.js";

export interface Difference {
  readonly here: string;
  readonly there: string;
  readonly why: string;
  readonly example: OperatorCase;
  /** What is computed here; a code where the node is refused. */
  readonly expected: readonly Tensor[] | "L0301";
  /** What ONNX Runtime says where it ends with an error. */
  readonly errorThere?: string;
}

const numbers = (dtype: DType, shape: readonly number[], ...values: number[]): Tensor => ({
  dtype,
  shape,
  data: encodeArray(dtype, values),
});
const strings = (shape: readonly number[], ...data: string[]): Tensor => ({
  dtype: "string",
  shape,
  data,
});
const floats = (...values: number[]) => ({ floats: values });

const definition = "as ONNX defines it";
const left = "ONNX leaves it open";

const stump = {
  nodes_treeids: [0, 0, 0],
  nodes_nodeids: [0, 1, 2],
  nodes_featureids: [0, 0, 0],
  nodes_values: floats(0.5, 0, 0),
  nodes_modes: ["BRANCH_LEQ", "LEAF", "LEAF"],
  nodes_truenodeids: [1, 0, 0],
  nodes_falsenodeids: [2, 0, 0],
  nodes_missing_value_tracks_true: [0, 0, 0],
};

const learning: readonly Difference[] = [
  {
    here: "`post_transform` is applied",
    there: "it is left out",
    why: definition,
    example: {
      op: "ai.onnx.ml::SVMRegressor",
      opset: 1,
      attributes: {
        kernel_type: "LINEAR",
        kernel_params: floats(0, 0, 0),
        n_supports: 1,
        support_vectors: floats(1, 2),
        coefficients: floats(1),
        rho: floats(0),
        post_transform: "SOFTMAX",
      },
      inputs: [numbers("f32", [1, 2], 3, 4)],
    },
    expected: [numbers("f32", [1, 1], 1)],
  },
  {
    here: "a target without votes has its base value",
    there: "it is 0",
    why: definition,
    example: {
      op: "ai.onnx.ml::TreeEnsembleRegressor",
      opset: 1,
      attributes: {
        ...stump,
        target_treeids: [0, 0],
        target_nodeids: [1, 2],
        target_ids: [0, 0],
        target_weights: floats(10, 20),
        n_targets: 2,
        base_values: floats(1, 2),
      },
      inputs: [numbers("f32", [1, 1], 1)],
    },
    expected: [numbers("f32", [1, 2], 21, 2)],
  },
  {
    here: "the better of two classes is named",
    there: "where both have weights, the second is, if its own are positive",
    why: definition,
    example: {
      op: "ai.onnx.ml::TreeEnsembleClassifier",
      opset: 1,
      attributes: {
        ...stump,
        class_treeids: [0, 0, 0, 0],
        class_nodeids: [1, 1, 2, 2],
        class_ids: [0, 1, 0, 1],
        class_weights: floats(0.7, 0.3, 0.8, 0.2),
        classlabels_int64s: [4, 9],
      },
      inputs: [numbers("f32", [2, 1], 0, 1)],
      outputs: ["i64", "f32"],
    },
    expected: [numbers("i64", [2], 4, 4), numbers("f32", [2, 2], 0.7, 0.3, 0.8, 0.2)],
  },
  {
    here: "one score of two classes is refused with PROBIT",
    there: "the second score is 0",
    why: left,
    example: {
      op: "ai.onnx.ml::LinearClassifier",
      opset: 1,
      attributes: {
        coefficients: floats(1, -1),
        intercepts: floats(0.1),
        classlabels_ints: [0, 1],
        post_transform: "PROBIT",
      },
      inputs: [numbers("f32", [1, 2], 0.5, 0.2)],
      outputs: ["i64", "f32"],
    },
    expected: "L0301",
  },
  {
    here: "norms of integers are sums in fp32",
    there: "squares wrap in the type of the integers",
    why: definition,
    example: {
      op: "ai.onnx.ml::Normalizer",
      opset: 1,
      attributes: { norm: "L2" },
      inputs: [numbers("i32", [1, 2], 60000, 80000)],
      outputs: ["f32"],
    },
    expected: [numbers("f32", [1, 2], 0.6, 0.8)],
  },
];

const shapes: readonly Difference[] = [
  {
    here: "an empty list of axes names none",
    there: "it names all of extent 1",
    why: "a list that is there means what it lists, as in Unsqueeze",
    example: {
      op: "Squeeze",
      inputs: [numbers("f32", [1, 2, 1], 1, 2), numbers("i64", [0])],
    },
    expected: [numbers("f32", [1, 2, 1], 1, 2)],
  },
  {
    here: "SAME gives as many elements as input times stride",
    there: "elements are missing at the end where strides are longer than the kernel",
    why: definition,
    example: {
      op: "ConvTranspose",
      attributes: { strides: [3], auto_pad: "SAME_UPPER" },
      inputs: [numbers("f32", [1, 1, 2], 1, 2), numbers("f32", [1, 1, 2], 1, 1)],
    },
    expected: [numbers("f32", [1, 1, 6], 1, 1, 0, 2, 2, 0)],
  },
  {
    here: "SAME begins at the first element where strides are longer than the window",
    there: "the padding would be negative, and the run ends with an error",
    why: definition,
    example: {
      op: "MaxPool",
      attributes: { kernel_shape: [1], strides: [4], auto_pad: "SAME_UPPER" },
      inputs: [numbers("f32", [1, 1, 8], 1, 2, 3, 4, 5, 6, 7, 8)],
    },
    expected: [numbers("f32", [1, 1, 2], 1, 5)],
    errorThere: "padding values must be non-negative",
  },
  {
    here: "SAME counts the extent of a window with its dilations",
    there: "windows are taken for dense: there are too few results",
    why: definition,
    example: {
      op: "MaxPool",
      attributes: { kernel_shape: [2], dilations: [2], auto_pad: "SAME_UPPER" },
      inputs: [numbers("f32", [1, 1, 5], 1, 2, 5, 3, 4)],
    },
    expected: [numbers("f32", [1, 1, 5], 2, 5, 3, 5, 3)],
  },
  {
    here: "wrapping goes round as often as it takes",
    there: "elements further than once round are left unwritten",
    why: definition,
    example: {
      op: "Pad",
      attributes: { mode: "wrap" },
      inputs: [numbers("f32", [2], 1, 2), numbers("i64", [2], 5, 0)],
    },
    expected: [numbers("f32", [7], 2, 1, 2, 1, 2, 1, 2)],
  },
  {
    here: "every string of a row is gathered",
    there: "only the first one is",
    why: definition,
    example: {
      op: "Gather",
      inputs: [strings([2, 2], "a", "b", "c", "d"), numbers("i64", [1], 1)],
    },
    expected: [strings([1, 2], "c", "d")],
  },
  {
    here: "after past keys, a query sees those up to its own position with `is_causal`",
    there: "it sees all keys if it comes alone",
    why: definition,
    example: {
      op: "Attention",
      opset: 23,
      attributes: { is_causal: 1 },
      inputs: [
        numbers("f32", [1, 1, 1, 1], 1),
        numbers("f32", [1, 1, 2, 1], 1, 1),
        numbers("f32", [1, 1, 2, 1], 3, 8),
        undefined,
        numbers("f32", [1, 1, 1, 1], 1),
        numbers("f32", [1, 1, 1, 1], 7),
      ],
      outputs: ["f32", "f32", "f32"],
    },
    expected: [
      numbers("f32", [1, 1, 1, 1], 5),
      numbers("f32", [1, 1, 3, 1], 1, 1, 1),
      numbers("f32", [1, 1, 3, 1], 7, 3, 8),
    ],
  },
  {
    here: "a flag that is neither 0 nor 1 is set",
    there: "it is not set",
    why: left,
    example: {
      op: "ReduceMax",
      opset: 13,
      attributes: { keepdims: 2, axes: [0] },
      inputs: [numbers("f32", [3], 1, 2, 4)],
    },
    expected: [numbers("f32", [1], 4)],
  },
];

const arithmetic: readonly Difference[] = [
  {
    here: "corners are aligned in the length before it is rounded",
    there: "in the rounded length",
    why: "as the tests of ONNX have it",
    example: {
      op: "Resize",
      attributes: { coordinate_transformation_mode: "align_corners", mode: "linear" },
      inputs: [
        numbers("f32", [1, 1, 1, 4], 1, 2, 3, 4),
        undefined,
        numbers("f32", [4], 1, 1, 1, 0.65),
      ],
      constant: [2],
    },
    expected: [numbers("f32", [1, 1, 1, 2], 1, 2.875)],
  },
  {
    here: "equal elements give 0, by the epsilon of the function's body",
    there: "they give NaN",
    why: definition,
    example: {
      op: "MeanVarianceNormalization",
      attributes: { axes: [1] },
      inputs: [numbers("f32", [1, 2], 3, 3)],
    },
    expected: [numbers("f32", [1, 2], 0, 0)],
  },
  {
    here: "of integers, the result alone is rounded",
    there: "every term of the sum is",
    why: "a node rounds its results and nothing inside",
    example: {
      op: "ReduceLogSumExp",
      attributes: { keepdims: 0 },
      inputs: [numbers("i32", [21], 1, ...new Array<number>(20).fill(0))],
    },
    expected: [numbers("i32", [], 3)],
  },
  {
    here: "a negative power of the integer 0 is 0",
    there: "it is the least integer",
    why: left,
    example: {
      op: "Pow",
      inputs: [numbers("i32", [2], 0, 1), numbers("i32", [2], -1, -2)],
    },
    expected: [numbers("i32", [2], 0, 1)],
  },
  {
    here: "a power that its type does not hold wraps",
    there: "it is the least integer; beyond 53 bits, powers are rounded as doubles are",
    why: left,
    example: { op: "Pow", inputs: [numbers("i32", [2], 3, 2), numbers("i32", [2], 21, 8)] },
    expected: [numbers("i32", [2], 3 ** 21 - 2 ** 33, 256)],
  },
  {
    here: "an integer divided by 0 is 0",
    there: "the run ends with an error",
    why: left,
    example: { op: "Div", inputs: [numbers("i32", [2], 5, -6), numbers("i32", [2], 0, 2)] },
    expected: [numbers("i32", [2], 0, -3)],
    errorThere: "Integer division by zero",
  },
  {
    here: "the remainder of a division by 0 is the dividend",
    there: "the run ends with an error",
    why: left,
    example: { op: "Mod", inputs: [numbers("i32", [2], 5, -5), numbers("i32", [2], 0, 3)] },
    expected: [numbers("i32", [2], 5, 1)],
    errorThere: "Integer modulo by zero",
  },
  {
    here: "floats that int32 cannot hold become its limits, NaN becomes 0",
    there: "they become the least integer",
    why: left,
    example: {
      op: "Cast",
      attributes: { to: 6 },
      inputs: [numbers("f32", [3], 3e9, -3e9, NaN)],
      outputs: ["i32"],
    },
    expected: [numbers("i32", [3], 2 ** 31 - 1, -(2 ** 31), 0)],
  },
  {
    here: "floats as text are the shortest that is read as the same number, in JavaScript's notation",
    there: "the same digits, exponents of two digits",
    why: left,
    example: {
      op: "Cast",
      attributes: { to: 8 },
      inputs: [numbers("f32", [2], 0.1, 1e-7)],
      outputs: ["string"],
    },
    expected: [strings([2], "0.1", "1e-7")],
  },
];

export const differences: readonly Difference[] = [...learning, ...shapes, ...arithmetic];
