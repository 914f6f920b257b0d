/** Operators of ai.onnx.ml against ONNX Runtime. */
import { describe, test } from "vitest";
import { node } from "../support/onnx-builder.js";
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
    op: "ai.onnx.ml::OneHotEncoder",
    opset: 1,
    about: "fractions, and categories that fp32 does not hold",
    attributes: { cats_int64s: [3, -1, 0, 2 ** 24 + 1] },
    inputs: [tensorOf("f32", [7], [3.9, -1.5, -0.5, 0.5, 2.999, 2 ** 24, 3e30])],
    outputs: ["f32"],
    lowered: true,
  },
  {
    op: "ai.onnx.ml::OneHotEncoder",
    opset: 1,
    about: "strings",
    attributes: { cats_strings: ["a", "b"] },
    inputs: [{ dtype: "string", shape: [3, 1], data: ["b", "x", "a"] }],
    outputs: ["f32"],
  },
  ...(["i64", "f32"] as const).map(
    (dtype): OperatorCase => ({
      op: "ai.onnx.ml::OneHotEncoder",
      opset: 1,
      about: `${dtype}, each of some category`,
      attributes: { cats_int64s: [3, -1], zeros: 0 },
      inputs: [tensorOf(dtype, [3], [3, -1, 3])],
      outputs: ["f32"],
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

const transforms = ["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO", "PROBIT"];
const coefficients = { floats: [1, 2, 3, 4, -1, 0.5, 0, 2, 0.3, -1, 2, 0.1] };
const names = { classlabels_strings: ["red", "green", "blue"] };

const linear: readonly OperatorCase[] = [
  ...transforms.flatMap((post_transform): OperatorCase[] => {
    const rows = numbers("f32", [6, 4], post_transform === "PROBIT" ? [0.01, 0.05] : [-2, 2]);
    const shift = post_transform === "PROBIT" ? [0.3, 0.4, 0.2] : [0.1, -0.2, 0];
    return [
      {
        op: "ai.onnx.ml::LinearRegressor",
        opset: 1,
        about: post_transform,
        attributes: { coefficients, intercepts: { floats: shift }, targets: 3, post_transform },
        inputs: [rows],
        lowered: true,
      },
      {
        op: "ai.onnx.ml::LinearClassifier",
        opset: 1,
        about: post_transform,
        attributes: {
          coefficients,
          intercepts: { floats: shift },
          classlabels_ints: [7, 3, 5],
          post_transform,
        },
        inputs: [rows],
        outputs: ["i64", "f32"],
        lowered: true,
      },
      ...(post_transform === "PROBIT"
        ? []
        : [
            {
              op: "ai.onnx.ml::LinearClassifier",
              opset: 1,
              about: `${post_transform}, one score, two classes`,
              attributes: {
                coefficients: { floats: [1, 2, 3, -4] },
                intercepts: { floats: [0.1] },
                classlabels_ints: [7, 3],
                post_transform,
              },
              inputs: [rows],
              outputs: ["i64", "f32"] as const,
              lowered: true,
            },
          ]),
    ];
  }),
  ...(["f32", "i64", "f64"] as const).map(
    (dtype): OperatorCase => ({
      op: "ai.onnx.ml::LinearClassifier",
      opset: 1,
      about: `strings, ${dtype}`,
      attributes: { coefficients, intercepts: { floats: [0.1, 0.2, 0.3] }, ...names },
      inputs: [numbers(dtype, [6, 4], [-3, 3])],
      outputs: ["string", "f32"],
    }),
  ),
];

const kernelForms = [
  { kernel_type: "LINEAR", kernel_params: { floats: [1, 0, 3] } },
  { kernel_type: "POLY", kernel_params: { floats: [0.5, 1, 3] } },
  { kernel_type: "RBF", kernel_params: { floats: [0.3, 0, 3] } },
  { kernel_type: "SIGMOID", kernel_params: { floats: [0.2, 0.1, 3] } },
];
const vectors = Array.from(numbers("f32", [5, 4], [-1, 1], 9).data as Float32Array);

const machines: readonly OperatorCase[] = [
  ...kernelForms.flatMap((kernel): OperatorCase[] => [
    ...[0, 1].map(
      (one_class): OperatorCase => ({
        op: "ai.onnx.ml::SVMRegressor",
        opset: 1,
        about: `${kernel.kernel_type}, one class ${one_class}`,
        attributes: {
          ...kernel,
          one_class,
          n_supports: 5,
          support_vectors: { floats: vectors },
          coefficients: { floats: [1, -0.5, 0.3, 2, -1] },
          rho: { floats: [0.2] },
        },
        inputs: [x],
        lowered: true,
      }),
    ),
    ...[
      { about: "two classes", perClass: [2, 3], rho: [0.2], a: [] },
      { about: "two classes, probabilities", perClass: [2, 3], rho: [0.2], a: [-1.5] },
      { about: "three classes", perClass: [2, 2, 1], rho: [0.2, -0.1, 0.3], a: [] },
      {
        about: "three classes, probabilities",
        perClass: [2, 2, 1],
        rho: [0.2, -0.1, 0.3],
        a: [-1.5, -2, -1],
      },
    ].map(
      ({ about, perClass, rho, a }): OperatorCase => ({
        op: "ai.onnx.ml::SVMClassifier",
        opset: 1,
        about: `${kernel.kernel_type}, ${about}`,
        attributes: {
          ...kernel,
          support_vectors: { floats: vectors },
          coefficients: {
            floats: [1, 0.5, -0.3, -2, -1, 0.7, -0.2, 0.4, -1, 0.1].slice(
              0,
              5 * (perClass.length - 1),
            ),
          },
          vectors_per_class: perClass,
          rho: { floats: rho },
          classlabels_ints: [4, 2, 9].slice(0, perClass.length),
          ...(a.length > 0 && { prob_a: { floats: a }, prob_b: { floats: a.map((v) => -v / 9) } }),
        },
        inputs: [x],
        outputs: ["i64", "f32"],
        tolerance: 1e-5,
        lowered: a.length === 0,
      }),
    ),
  ]),
  ...["LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"].map(
    (post_transform): OperatorCase => ({
      op: "ai.onnx.ml::SVMClassifier",
      opset: 1,
      about: `two classes, ${post_transform}`,
      attributes: {
        ...kernelForms[0],
        post_transform,
        support_vectors: { floats: vectors },
        coefficients: { floats: [1, 0.5, -0.3, -2, -1] },
        vectors_per_class: [2, 3],
        rho: { floats: [0.2] },
        classlabels_ints: [4, 2],
      },
      inputs: [x],
      outputs: ["i64", "f32"],
      tolerance: 1e-5,
      lowered: true,
    }),
  ),
  {
    op: "ai.onnx.ml::SVMRegressor",
    opset: 1,
    about: "no support vectors",
    attributes: {
      ...kernelForms[0]!,
      n_supports: 0,
      coefficients: { floats: [1, -0.5, 0.3, 2] },
      rho: { floats: [0.2] },
    },
    inputs: [x],
    lowered: true,
  },
];

const { target_treeids, target_nodeids, target_ids, target_weights } = treeAttributes;
const nodes = Object.fromEntries(
  Object.entries(treeAttributes).filter(([name]) => name.startsWith("nodes_")),
) as Pick<typeof treeAttributes, Extract<keyof typeof treeAttributes, `nodes_${string}`>>;
const classed = (ids: readonly number[], weights: readonly number[]) => ({
  class_treeids: target_treeids,
  class_nodeids: target_nodeids,
  class_ids: ids,
  class_weights: { floats: weights },
});
const oneMode = { nodes_modes: nodes.nodes_modes.map((m) => (m === "LEAF" ? m : "BRANCH_LEQ")) };
const { floats: weights } = target_weights;

/** The scores of two classes by the node itself, the class by the larger one. */
const bestOfTwo = (w: readonly number[], post_transform: string) => [
  node("ai.onnx.ml::TreeEnsembleClassifier", ["x0"], ["named", "y1"], {
    ...nodes,
    ...oneMode,
    ...classed(target_ids, w),
    classlabels_int64s: [4, 2],
    post_transform,
  }),
  node("ArgMax", ["y1"], ["best"], { axis: 1, keepdims: 0 }),
  node("Constant", [], ["all"], { value: tensorOf("i64", [2], [4, 2]) }),
  node("Gather", ["all", "best"], ["y0"]),
];

const classifiers: readonly OperatorCase[] = [
  ...["NONE", "LOGISTIC", "SOFTMAX", "SOFTMAX_ZERO"].flatMap((post_transform) =>
    [
      {
        about: "three classes",
        ids: [0, 1, 2, 1, 0, 0, 2],
        labels: [4, 2, 9],
        base: [0.1, 0.2, 0.3],
      },
      { about: "two classes", ids: target_ids, labels: [4, 2], base: [] },
      {
        about: "one weight for two classes",
        ids: [0, 0, 0, 0, 0, 0, 0],
        labels: [4, 2],
        base: [0.1],
      },
      { about: "the second of two classes", ids: [1, 1, 1, 1, 1, 1, 1], labels: [4, 2], base: [] },
    ].flatMap(({ about, ids, labels, base }) =>
      [weights, weights.map((w) => Math.abs(w) / 4)].map(
        (w, positive): OperatorCase => ({
          op: "ai.onnx.ml::TreeEnsembleClassifier",
          opset: 1,
          about: `${post_transform}, ${about}${positive === 1 ? ", all positive" : ""}`,
          attributes: {
            ...nodes,
            ...oneMode,
            ...classed(ids, w),
            classlabels_int64s: labels,
            post_transform,
            ...(base.length > 0 && { base_values: { floats: base } }),
          },
          inputs: [x],
          outputs: ["i64", "f32"],
          // Where both of two classes have weights, ONNX Runtime names the second one wherever it has any.
          ...(about === "two classes" && { instead: { nodes: bestOfTwo(w, post_transform) } }),
          lowered: true,
        }),
      ),
    ),
  ),
  {
    op: "ai.onnx.ml::TreeEnsembleClassifier",
    opset: 1,
    about: "doubles",
    attributes: {
      ...nodes,
      ...oneMode,
      ...classed([0, 1, 2, 1, 0, 0, 2], weights),
      classlabels_int64s: [4, 2, 9],
      base_values: { floats: [0.1, 0.2, 0.3] },
    },
    inputs: [tensorOf("f64", x.shape, Array.from(x.data as Float32Array))],
    outputs: ["i64", "f32"],
  },
  {
    op: "ai.onnx.ml::TreeEnsembleClassifier",
    opset: 1,
    about: "strings, conditions of several kinds",
    attributes: { ...nodes, ...classed([0, 1, 2, 1, 0, 0, 2], weights), ...names },
    inputs: [x],
    outputs: ["string", "f32"],
  },
  ...["BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"].flatMap((mode) =>
    [0, 1].map(
      (missing): OperatorCase => ({
        op: "ai.onnx.ml::TreeEnsembleRegressor",
        opset: 1,
        about: `${mode}, missing values ${missing}`,
        attributes: {
          ...treeAttributes,
          nodes_modes: nodes.nodes_modes.map((m) => (m === "LEAF" ? m : mode)),
          nodes_missing_value_tracks_true: [missing, 0, 0, 0, 0, missing, 0, 0],
        },
        inputs: [
          tensorOf("f32", [3, 4], [0.5, -1, 0, 0.1, Number.NaN, 2, 0, 0, 1, 3, 0, Number.NaN]),
        ],
        lowered: true,
      }),
    ),
  ),
];

const text = (shape: readonly number[], ...data: string[]) => ({
  dtype: "string" as const,
  shape,
  data,
});
const encoder = (
  opset: number,
  about: string,
  attributes: OperatorCase["attributes"],
  input: OperatorCase["inputs"][0],
  output: NonNullable<OperatorCase["outputs"]>[0],
): OperatorCase => ({
  op: "ai.onnx.ml::LabelEncoder",
  opset,
  about,
  attributes: attributes!,
  inputs: [input],
  outputs: [output],
});
const words = text([2, 2], "b", "a", "zz", "c");
const whole = tensorOf("i64", [2, 2], [2, 0, 9, 1]);

const labels: readonly OperatorCase[] = [
  encoder(1, "strings", { classes_strings: ["a", "b", "c"], default_int64: -7 }, words, "i64"),
  encoder(1, "integers", { classes_strings: ["a", "b", "c"] }, whole, "string"),
  encoder(
    2,
    "strings to integers",
    { keys_strings: ["a", "b"], values_int64s: [5, 6], default_int64: 1 },
    words,
    "i64",
  ),
  encoder(
    2,
    "integers to floats",
    { keys_int64s: [2, 0], values_floats: { floats: [0.5, 1.5] }, default_float: { float: 9 } },
    whole,
    "f32",
  ),
  encoder(
    2,
    "floats to strings",
    { keys_floats: { floats: [2, 0] }, values_strings: ["two", "none"] },
    tensorOf("f32", [3], [0, 2, 5]),
    "string",
  ),
  encoder(
    4,
    "tensors",
    {
      keys_tensor: text([2], "a", "c"),
      values_tensor: tensorOf("i16", [2], [20, 10]),
      default_tensor: tensorOf("i16", [1], [3]),
    },
    words,
    "i16",
  ),
  {
    op: "ai.onnx.ml::CategoryMapper",
    opset: 1,
    about: "strings",
    attributes: { cats_strings: ["a", "b"], cats_int64s: [5, 6], default_int64: 1 },
    inputs: [words],
    outputs: ["i64"],
  },
  {
    op: "ai.onnx.ml::CategoryMapper",
    opset: 1,
    about: "integers",
    attributes: { cats_strings: ["a", "b"], cats_int64s: [2, 0] },
    inputs: [whole],
    outputs: ["string"],
  },
];

describe.each([
  ["features", features],
  ["trees", trees],
  ["linear", linear],
  ["machines", machines],
  ["classifiers", classifiers],
  ["labels", labels],
] as const)("%s", (_, cases) => {
  test.each(cases.map((c) => [nameOf(c), c] as const))("%s", async (_name, c) => {
    await compareWithOnnxRuntime(c);
  });
});
