/** Operators of ai.onnx.ml against ONNX Runtime. */
import { describe, test } from "vitest";
import {
  compareWithOnnxRuntime,
  nameOf,
  numbers,
  type OperatorCase,
  tensorOf,
} from "./against-onnxruntime.js";

const x = numbers("f32", [6, 4], [-2, 2]);

const features: readonly OperatorCase[] = [
  {
    op: "ai.onnx.ml::FeatureVectorizer",
    opset: 1,
    attributes: { inputdimensions: [4, 4] },
    inputs: [x, numbers("f32", [6, 4], [0, 1], 2)],
  },
  ...(["i64", "f32"] as const).map(
    (dtype): OperatorCase => ({
      op: "ai.onnx.ml::OneHotEncoder",
      opset: 1,
      about: dtype,
      attributes: { cats_int64s: [3, -1, 7] },
      inputs: [tensorOf(dtype, [2, 3], [3, 7, 0, -1, 3, 7])],
      outputs: ["f32"],
      lowered: true,
    }),
  ),
  {
    op: "ai.onnx.ml::Scaler",
    opset: 1,
    attributes: { offset: { floats: [1, 0, -1, 2] }, scale: { floats: [0.5, 2, 3, 1] } },
    inputs: [x],
  },
  ...["MAX", "L1", "L2"].map(
    (norm): OperatorCase => ({
      op: "ai.onnx.ml::Normalizer",
      opset: 1,
      about: norm,
      attributes: { norm },
      inputs: [numbers("f32", [6, 4], [0.1, 2])],
    }),
  ),
  {
    op: "ai.onnx.ml::Imputer",
    opset: 1,
    about: "NaN",
    attributes: {
      imputed_value_floats: { floats: [1, 2] },
      replaced_value_float: { float: Number.NaN },
    },
    inputs: [tensorOf("f32", [2, 2], [Number.NaN, 0, 5, Number.NaN])],
  },
  {
    op: "ai.onnx.ml::Imputer",
    opset: 1,
    about: "i64",
    attributes: { imputed_value_int64s: [7, 8], replaced_value_int64: -1 },
    inputs: [tensorOf("i64", [2, 2], [-1, 0, 5, -1])],
  },
  {
    op: "ai.onnx.ml::LinearRegressor",
    opset: 1,
    attributes: {
      coefficients: { floats: [1, 2, 3, 4, -1, 0.5, 0, 2] },
      intercepts: { floats: [0.1, -5] },
      targets: 2,
    },
    inputs: [x],
  },
  {
    op: "ai.onnx.ml::Binarizer",
    opset: 1,
    attributes: { threshold: { float: 0.25 } },
    inputs: [x],
  },
  {
    op: "ai.onnx.ml::ArrayFeatureExtractor",
    opset: 1,
    inputs: [x, tensorOf("i64", [3], [3, 0, 3])],
  },
];

/** x0 <= 0.5 ? (x1 > -1 ? leaf 0 : leaf 1) : leaf 2, and a second tree with one split. */
const treeAttributes = {
  nodes_treeids: [0, 0, 0, 0, 0, 1, 1, 1],
  nodes_nodeids: [0, 1, 2, 3, 4, 0, 1, 2],
  nodes_featureids: [0, 1, 0, 0, 0, 3, 0, 0],
  nodes_values: { floats: [0.5, -1, 0, 0, 0, 0.1, 0, 0] },
  nodes_modes: ["BRANCH_LEQ", "BRANCH_GT", "LEAF", "LEAF", "LEAF", "BRANCH_LT", "LEAF", "LEAF"],
  nodes_truenodeids: [1, 3, 0, 0, 0, 1, 0, 0],
  nodes_falsenodeids: [2, 4, 0, 0, 0, 2, 0, 0],
  nodes_missing_value_tracks_true: [0, 0, 0, 0, 0, 0, 0, 0],
  target_treeids: [0, 0, 0, 1, 1, 1, 1],
  target_nodeids: [3, 4, 2, 1, 2, 1, 2],
  target_ids: [0, 0, 1, 1, 0, 0, 1],
  target_weights: { floats: [1, 2, 3, 0.7, 0.2, -1, 0.4] },
  n_targets: 2,
  base_values: { floats: [0.5, -0.5] },
} as const;

const trees: readonly OperatorCase[] = [
  ...["SUM", "AVERAGE", "MIN", "MAX"].map(
    (aggregate_function): OperatorCase => ({
      op: "ai.onnx.ml::TreeEnsembleRegressor",
      opset: 1,
      about: aggregate_function,
      attributes: { ...treeAttributes, aggregate_function },
      inputs: [x],
    }),
  ),
  ...["SOFTMAX", "LOGISTIC"].map(
    (post_transform): OperatorCase => ({
      op: "ai.onnx.ml::TreeEnsembleRegressor",
      opset: 1,
      about: post_transform,
      attributes: { ...treeAttributes, post_transform },
      inputs: [x],
    }),
  ),
  {
    op: "ai.onnx.ml::TreeEnsemble",
    opset: 5,
    about: "membership",
    attributes: {
      nodes_modes: tensorOf("u8", [3], [0, 3, 6]),
      nodes_splits: tensorOf("f32", [3], [0.5, -1, 0]),
      nodes_featureids: [0, 1, 2],
      nodes_truenodeids: [1, 0, 3],
      nodes_falsenodeids: [2, 1, 2],
      nodes_trueleafs: [0, 1, 1],
      nodes_falseleafs: [0, 1, 1],
      membership_values: tensorOf("f32", [3], [1, -2, Number.NaN]),
      leaf_targetids: [0, 1, 1, 0],
      leaf_weights: tensorOf("f32", [4], [1.5, 2, -3, 4]),
      tree_roots: [0],
      n_targets: 2,
    },
    inputs: [tensorOf("f32", [4, 3], [0, 0, 0, 0.2, -2, 0, 1, 0, -2, 1, 0, 3])],
  },
];

describe.each([
  ["features", features],
  ["trees", trees],
] as const)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (_name, c) => {
    await compareWithOnnxRuntime(c);
  });
});
