/** Rows of classifiers by trees and support vectors, and of maps, which only other nodes make. */
import { node } from "../../support/onnx-builder.js";
import { type Generator, type Row, type TypedName } from "./generator.js";

const int = (g: Generator, low: number, high: number): number => g.r.integer(low, high);
const floats = (g: Generator, count: number): { readonly floats: readonly number[] } => ({
  floats: Array.from({ length: count }, () => g.r.unit() * 2 - 1),
});
const features = (g: Generator, count: number): TypedName =>
  g.tensor(g.r.pick(["f32", "f32", "i64", "i32", "f64"] as const), [int(g, 0, 4), count]);
const transforms = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO"];

/** Numbers, or the same count of names. */
const labels = (g: Generator, count: number, numbers: string, names: string) =>
  g.r.chance(0.6)
    ? { [numbers]: Array.from({ length: count }, (_, i) => i) }
    : { [names]: ["a", "bb", "ccc", ""].slice(0, count) };

/** Complete trees of two levels. */
const treeClassifier: Row = (g) => {
  const [trees, classes, width] = [int(g, 1, 3), int(g, 2, 4), int(g, 1, 3)];
  const ids = Array.from({ length: trees }, (_, tree) => tree);
  const ofNodes = <T>(make: (id: number) => T): readonly T[] =>
    ids.flatMap(() => [0, 1, 2, 3, 4, 5, 6].map(make));
  // Converters let each leaf vote for all classes.
  const voted = g.r.chance(0.7)
    ? Array.from({ length: classes }, (_, i) => i)
    : [int(g, 0, classes - 1)];
  const ofVotes = <T>(make: (tree: number, id: number, vote: number) => T): readonly T[] =>
    ids.flatMap((tree) => [3, 4, 5, 6].flatMap((id) => voted.map((vote) => make(tree, id, vote))));
  const mode = g.r.pick(["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ"]);
  return {
    inputs: [features(g, width)],
    attributes: {
      ...labels(g, classes, "classlabels_int64s", "classlabels_strings"),
      nodes_treeids: ids.flatMap((tree) => new Array<number>(7).fill(tree)),
      nodes_nodeids: ofNodes((id) => id),
      nodes_featureids: ofNodes(() => int(g, 0, width - 1)),
      nodes_modes: ofNodes((id) => (id < 3 ? mode : "LEAF")),
      nodes_values: floats(g, 7 * trees),
      nodes_truenodeids: ofNodes((id) => (id < 3 ? 2 * id + 1 : 0)),
      nodes_falsenodeids: ofNodes((id) => (id < 3 ? 2 * id + 2 : 0)),
      class_treeids: ofVotes((tree) => tree),
      class_nodeids: ofVotes((_, id) => id),
      class_ids: ofVotes((_, __, vote) => vote),
      class_weights: floats(g, 4 * trees * voted.length),
      base_values: g.maybe(0.3, () => floats(g, classes)),
      post_transform: g.maybe(0.5, () => g.r.pick(transforms)),
    },
    outputs: 2,
  };
};

const vectorClassifier: Row = (g) => {
  const [classes, width] = [int(g, 2, 4), int(g, 1, 4)];
  const perClass = Array.from({ length: classes }, () => int(g, 1, 3));
  const vectors = perClass.reduce((a, b) => a + b);
  const pairs = (classes * (classes - 1)) / 2;
  const hasProbabilities = g.r.chance(0.4);
  return {
    inputs: [features(g, width)],
    attributes: {
      ...labels(g, classes, "classlabels_ints", "classlabels_strings"),
      kernel_type: g.r.pick(["LINEAR", "RBF", "POLY", "SIGMOID"]),
      kernel_params: { floats: [0.5, 1, 2] },
      vectors_per_class: perClass,
      support_vectors: floats(g, vectors * width),
      coefficients: floats(g, vectors * (classes - 1)),
      rho: floats(g, pairs),
      prob_a: hasProbabilities ? floats(g, pairs) : undefined,
      prob_b: hasProbabilities ? floats(g, pairs) : undefined,
      post_transform: g.maybe(0.4, () => g.r.pick(transforms)),
    },
    outputs: 2,
  };
};

/** A map from the first integers to floats. */
function map(g: Generator, count: number): TypedName {
  const rows = g.tensor("f32", [1, count]);
  const [maps, name] = [g.unique(), g.unique()];
  const keys = Array.from({ length: count }, (_, i) => i);
  g.before.push(
    node("ai.onnx.ml::ZipMap", [rows.name], [maps], { classlabels_int64s: keys }),
    node("SequenceAt", [maps, g.scalar("i64", 0).name], [name]),
  );
  return { name, dtype: "f32", shape: [] };
}

export const classicalRows: Readonly<Record<string, Row>> = {
  "ai.onnx.ml::TreeEnsembleClassifier": treeClassifier,
  "ai.onnx.ml::SVMClassifier": vectorClassifier,
  "ai.onnx.ml::DictVectorizer": (g) => ({
    inputs: [map(g, int(g, 1, 4))],
    attributes: { int64_vocabulary: g.r.shuffled([0, 1, 2, 5]) },
  }),
  "ai.onnx.ml::CastMap": (g) => ({
    inputs: [map(g, int(g, 1, 4))],
    attributes: {
      cast_to: g.r.pick(["TO_FLOAT", "TO_INT64", "TO_STRING"]),
      map_form: g.r.pick(["DENSE", "SPARSE"]),
      max_map: int(g, 1, 6),
    },
  }),
};
