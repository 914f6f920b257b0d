/** Rows of operators that stay on the host: strings, sequences, optionals, trees. */
import { graphProto, node } from "../../support/onnx-builder.js";
import { each, float, type Generator, type Row, type TypedName } from "./generator.js";

const int = (g: Generator, low: number, high: number): number => g.r.integer(low, high);

/** A body that doubles its tensor, with what comes before and after it in the operator's order. */
const doubled = (type: string) =>
  graphProto({
    name: "body",
    inputs: { item: type },
    nodes: [node("Add", ["item", "item"], ["twice"])],
    outputs: { twice: type },
  });

const trees = {
  nodes_treeids: [0, 0, 0],
  nodes_nodeids: [0, 1, 2],
  nodes_featureids: [0, 0, 0],
  nodes_modes: ["BRANCH_LEQ", "LEAF", "LEAF"],
  nodes_truenodeids: [1, 0, 0],
  nodes_falsenodeids: [2, 0, 0],
  nodes_values: { floats: [0.5, 0, 0] },
  target_treeids: [0, 0],
  target_nodeids: [1, 2],
  target_ids: [0, 0],
  target_weights: { floats: [1, 2] },
  n_targets: 1,
} as const;

const sequenceOf: Row = (g) => {
  const first = g.value(g.number(), 1, 3);
  return {
    inputs: [
      first,
      ...Array.from({ length: int(g, 0, 2) }, () => g.tensor(first.dtype, first.shape)),
    ],
  };
};

/** A sequence of tensors of one shape. */
function sequence(g: Generator): TypedName {
  const x = g.value(g.number(), 1, 3);
  const more = Array.from({ length: int(g, 0, 2) }, () => g.tensor(x.dtype, x.shape));
  return g.made("SequenceConstruct", [x, ...more]);
}

export const hostRows: Readonly<Record<string, Row>> = {
  SequenceConstruct: sequenceOf,
  SequenceEmpty: (g) => ({ inputs: [], attributes: { dtype: g.maybe(0.5, () => 7) } }),
  SplitToSequence(g) {
    const x = g.value(g.number(), 1, 3);
    return {
      inputs: [x, g.maybe(0.5, () => g.scalar("i64", int(g, 0, 3)))],
      attributes: { axis: g.axis(x.shape.length), keepdims: g.maybe(0.3, () => 0) },
    };
  },
  Optional: (g) => ({ inputs: [g.value(g.number())] }),
  ...each(["OptionalGetElement", "OptionalHasElement"], (g) => ({
    inputs: [g.made("Optional", [g.value(g.number())])],
  })),
  ...each(["SequenceAt", "SequenceErase"], (g) => ({
    inputs: [sequence(g), g.scalar(g.index(), int(g, -3, 2))],
  })),
  SequenceLength: (g) => ({ inputs: [sequence(g)] }),
  ConcatFromSequence: (g) => ({
    inputs: [sequence(g)],
    attributes: { axis: int(g, -1, 1), new_axis: g.maybe(0.4, () => 1) },
  }),
  SequenceInsert(g) {
    const items = sequence(g);
    const position = g.maybe(0.5, () => g.scalar("i64", int(g, -2, 2)));
    return { inputs: [items, g.tensor(items.dtype, g.shape(1, 3)), position] };
  },
  SequenceMap(g) {
    const items = sequence(g);
    return { inputs: [items], attributes: { body: { graph: doubled(items.dtype) } } };
  },
  StringConcat(g) {
    const x = g.value("string");
    return { inputs: [x, g.tensor("string", g.like(x.shape))] };
  },
  StringSplit: (g) => ({
    inputs: [g.value("string")],
    attributes: {
      delimiter: g.maybe(0.6, () => g.r.pick([",", " ", "l"])),
      maxsplit: g.maybe(0.4, () => int(g, 0, 2)),
    },
    outputs: 2,
  }),
  StringNormalizer: (g) => ({
    inputs: [g.tensor("string", [int(g, 0, 4)])],
    attributes: { case_change_action: g.r.pick(["LOWER", "UPPER", "NONE"]), stopwords: ["a"] },
  }),
  RegexFullMatch: (g) => ({
    inputs: [g.value("string")],
    attributes: { pattern: g.r.pick(["[a-z]+", "", "(", ".*"]) },
  }),
  TfIdfVectorizer: (g) => ({
    inputs: [g.numbers(g.index(), g.shape(1, 2), 0, 9)],
    attributes: {
      mode: g.r.pick(["TF", "IDF", "TFIDF"]),
      min_gram_length: 1,
      max_gram_length: 2,
      max_skip_count: int(g, 0, 1),
      ngram_counts: [0, 3],
      ngram_indexes: [1, 0, 4, 2, 3],
      pool_int64s: [2, 3, 5, 5, 4, 7, 8],
    },
  }),
  ImageDecoder: (g) => ({ inputs: [g.tensor("u8", [9])] }),
  "ai.onnx.ml::LabelEncoder": (g) => ({
    inputs: [g.numbers("i64", g.shape(), 0, 4)],
    attributes: {
      keys_int64s: [0, 1, 2],
      values_floats: { floats: [1, 2, 3] },
      default_float: float(-1),
    },
  }),
  "ai.onnx.ml::TreeEnsembleRegressor": (g) => ({
    inputs: [g.tensor("f32", [int(g, 0, 4), int(g, 1, 2)])],
    attributes: trees,
  }),
  "ai.onnx.ml::TreeEnsemble": (g) => ({
    inputs: [g.tensor("f32", [int(g, 0, 4), 2])],
    attributes: {
      n_targets: 1,
      tree_roots: [0],
      nodes_featureids: [0],
      nodes_splits: { dtype: "f32", shape: [1], data: Float32Array.of(0.5) },
      nodes_modes: { dtype: "u8", shape: [1], data: Uint8Array.of(0) },
      nodes_truenodeids: [0],
      nodes_trueleafs: [1],
      nodes_falsenodeids: [1],
      nodes_falseleafs: [1],
      leaf_targetids: [0, 0],
      leaf_weights: { dtype: "f32", shape: [2], data: Float32Array.of(1, 2) },
    },
  }),
};
