/**
 * Decision trees of ai.onnx.ml: TreeEnsemble, and TreeEnsembleRegressor and -Classifier, which say the same with
 * lists by tree and node numbers. Small ones are products (`tree-votes.ts`), others are walked on the host.
 */
import type { Dim } from "../ir/dim.js";
import { createGraphBuilder } from "../ir/build/graph-builder.js";
import type { Value } from "../ir/graph.js";
import type { DType } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { createLowerContext } from "./context.js";
import { range } from "./helpers.js";
import { numbersOf, tensorOf } from "./host.js";
import { vector } from "./ml-features.js";
import { type ClassLabels, classLabels, namesOf, transformScores, twoScores } from "./ml-scores.js";
import type {
  EvaluateContext,
  HostType,
  LowerContext,
  NodeContext,
  OperatorRecord,
} from "./record.js";
import { lowerVotes } from "./tree-votes.js";
import type { Branch, Ensemble, Tree, Weight } from "./tree-types.js";

const domain = "ai.onnx.ml";

const regressorOf = (c: NodeContext) => listedEnsemble(c, "target", c.int("n_targets", 1));

export const treeOperators: readonly OperatorRecord[] = [
  {
    name: "TreeEnsemble",
    domain,
    since: 5,
    ranks: ["1-2"],
    lower: (c) => lowerEnsemble(c, ensembleOf(c, c.input(0).dtype)),
    evaluate: (c) => evaluateEnsemble(c, ensembleOf(c, c.tensorInput(0).dtype)),
    infer: (c) => scoreTypes(c, c.input(0).dtype),
  },
  {
    name: "TreeEnsembleRegressor",
    domain,
    since: 1,
    ranks: ["1-2"],
    lower: (c) => lowerEnsemble(c, regressorOf(c)),
    evaluate: (c) => evaluateEnsemble(c, regressorOf(c)),
    infer: (c) => scoreTypes(c, "f32"),
  },
  {
    name: "TreeEnsembleClassifier",
    domain,
    since: 1,
    ranks: ["1-2"],
    lower: (c) => {
      const classifier = classifierOf(c);
      return classify(c, classifier, lowerVotes(c, classifier.ensemble));
    },
    evaluate: (c) => {
      const classifier = classifierOf(c);
      return evaluateVotes(c, classifier.ensemble, (inner, votes) =>
        classify(inner, classifier, votes),
      );
    },
    infer: (c) => {
      const { strings, count } = classLabels(c, "classlabels_int64s");
      const rows = rowCount(c);
      return [
        { dtype: strings === undefined ? "i64" : "string", shape: [rows] },
        { dtype: "f32", shape: [rows, count] },
      ];
    },
  },
];

function scoreTypes(c: LowerContext, dtype: DType): readonly HostType[] {
  return [{ dtype, shape: [rowCount(c), c.int("n_targets", 1)] }];
}

function rowCount(c: LowerContext): Dim {
  const { dtype, shape } = c.input(0);
  requireNumbers(c, dtype);
  return shape.length === 1 ? 1 : shape[0]!;
}

function requireNumbers(c: NodeContext, dtype: DType): void {
  if (dtype === "string") c.invalid("L0202", "the features are strings where numbers are needed");
}

function lowerEnsemble(c: LowerContext, ensemble: Ensemble): readonly Value[] {
  return [scoresOf(c, ensemble, lowerVotes(c, ensemble))];
}

function evaluateEnsemble(c: EvaluateContext, ensemble: Ensemble) {
  return evaluateVotes(c, ensemble, (inner, votes) => [scoresOf(inner, ensemble, votes)]);
}

function scoresOf(c: LowerContext, ensemble: Ensemble, votes: Value): Value {
  const scores = withBase(c, votes, ensemble.base);
  return c.b.cast(transformScores(c, scores, ensemble.transform), ensemble.dtype);
}

function withBase(c: LowerContext, scores: Value, base: readonly number[]): Value {
  if (base.length === 0) return scores;
  return c.b.map(scores.dtype, [scores, vector(c.b, base)], (l, s, z) => l.add(s!, z!));
}

interface Classifier {
  readonly ensemble: Ensemble;
  readonly labels: ClassLabels;
  /** Of two classes only one has weights: that at `position`. */
  readonly isBinary: boolean;
  readonly position: number;
  readonly allPositive: boolean;
}

function classifierOf(c: NodeContext): Classifier {
  const labels = classLabels(c, "classlabels_int64s");
  const ids = list(c, "class_ids");
  const weights = c.floats("class_weights") ?? elements(c, "class_weights_as_tensor");
  const isBinary = labels.count === 2 && new Set(ids).size === 1;
  const ensemble = listedEnsemble(c, "class", labels.count);
  const position = ids[0] ?? 0;
  return {
    labels,
    isBinary,
    position,
    ensemble,
    allPositive: weights.every((weight) => weight >= 0),
  };
}

/** Outputs: the class of each row, and the scores [n, classes] in fp32. */
function classify(c: LowerContext, classifier: Classifier, votes: Value): readonly Value[] {
  const [name, scores] = classified(c, classifier, votes);
  return [name, c.b.cast(scores, "f32")];
}

function classified(c: LowerContext, classifier: Classifier, votes: Value): [Value, Value] {
  const { ensemble, labels, isBinary, allPositive } = classifier;
  if (!isBinary) {
    const scores = withBase(c, votes, ensemble.base);
    return [namesOf(c, c.b.reduce(scores, "argmax", [1]), labels), transformScores(c, scores)];
  }
  const { position } = classifier;
  const scores = withBase(c, votes, position === 0 ? [ensemble.base[0] ?? 0, 0] : ensemble.base);
  const score = c.b.sliceAxis(scores, 1, position, 1);
  const positive = c.b.map("i32", [score], (l, s) =>
    l.selectI(l.lt(l.constF(allPositive ? 0.5 : 0), s!), l.constI(1), l.constI(0)),
  );
  const name = namesOf(c, c.b.squeeze(positive, [1]), labels);
  if (position === 1) return [name, transformScores(c, scores)];
  if (ensemble.transform === "LOGISTIC") {
    return [
      name,
      transformScores(
        c,
        twoScores(c, score, (l, s) => l.neg(s)),
      ),
    ];
  }
  return [name, twoScores(c, score, (l, s) => (allPositive ? l.sub(l.constF(1), s) : l.neg(s)))];
}

/** Walks the trees, where they are too large or too mixed to be lowered; `rest` is what follows. */
function evaluateVotes(
  c: EvaluateContext,
  ensemble: Ensemble,
  rest: (c: LowerContext, votes: Value) => readonly Value[],
): readonly (Tensor | undefined)[] {
  const b = createGraphBuilder({ foldAll: true });
  const x = c.tensorInput(0);
  requireNumbers(c, x.dtype);
  const votes = b.constant(walkedVotes(x, ensemble));
  return rest(createLowerContext(c.node, b, [votes]), votes).map((value) => value.data);
}

const aggregates = ["AVERAGE", "SUM", "MIN", "MAX"];
const transforms = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];
const modes = [
  "BRANCH_LEQ",
  "BRANCH_LT",
  "BRANCH_GTE",
  "BRANCH_GT",
  "BRANCH_EQ",
  "BRANCH_NEQ",
  "BRANCH_MEMBER",
];

/** What the trees say of each row, before base values and transforms: [n, targets]. */
function walkedVotes(x: Tensor, ensemble: Ensemble): Tensor {
  const [rows, features] = x.shape.length === 1 ? [1, x.shape[0]!] : [x.shape[0]!, x.shape[1]!];
  const values = numbersOf(x);
  const result = range(0, rows).flatMap((row) => {
    const own = values.subarray(row * features, (row + 1) * features);
    const votes = ensemble.trees.flatMap((tree) => walk(tree, own));
    return range(0, ensemble.targets).map((target) => {
      const weights = votes.filter((vote) => vote.target === target).map((vote) => vote.weight);
      return aggregated(ensemble, weights);
    });
  });
  return tensorOf(ensemble.dtype, [rows, ensemble.targets], result);
}

function walk(tree: Tree, row: ArrayLike<number>): readonly Weight[] {
  let node = tree;
  while (node.kind === "branch") node = goesTrue(node, row[node.feature]!) ? node.yes : node.no;
  return node.weights;
}

function aggregated({ aggregate, trees }: Ensemble, weights: readonly number[]): number {
  if (aggregate === "MIN") return weights.length === 0 ? 0 : Math.min(...weights);
  if (aggregate === "MAX") return weights.length === 0 ? 0 : Math.max(...weights);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return aggregate === "AVERAGE" ? sum / trees.length : sum;
}

function goesTrue({ mode, split, members, missing }: Branch, value: number): boolean {
  if (missing && Number.isNaN(value)) return true;
  switch (mode) {
    case "BRANCH_LEQ":
      return value <= split;
    case "BRANCH_LT":
      return value < split;
    case "BRANCH_GTE":
      return value >= split;
    case "BRANCH_GT":
      return value > split;
    case "BRANCH_EQ":
      return value === split;
    case "BRANCH_NEQ":
      return value !== split;
    default:
      return members.has(value);
  }
}

function list(c: NodeContext, name: string): readonly number[] {
  return c.ints(name) ?? c.invalid("L0108", `${name} is missing`);
}

function elements(c: NodeContext, name: string): readonly number[] {
  const tensor = c.tensor(name) ?? c.invalid("L0108", `${name} is missing`);
  return Array.from(numbersOf(tensor));
}

function optionalElements(c: NodeContext, name: string): readonly number[] {
  return c.tensor(name) === undefined ? [] : elements(c, name);
}

function ensembleOf(c: NodeContext, dtype: DType): Ensemble {
  const nodeModes = elements(c, "nodes_modes").map((mode) => modes[mode]!);
  const splits = elements(c, "nodes_splits");
  const features = list(c, "nodes_featureids");
  const [yesIds, noIds] = [list(c, "nodes_truenodeids"), list(c, "nodes_falsenodeids")];
  const [yesLeafs, noLeafs] = [list(c, "nodes_trueleafs"), list(c, "nodes_falseleafs")];
  const targets = list(c, "leaf_targetids");
  const weights = elements(c, "leaf_weights");
  const missing = c.ints("nodes_missing_value_tracks_true") ?? [];
  const members = memberSets(c, nodeModes);
  const leaf = (i: number): Tree => ({
    kind: "leaf",
    weights: [{ target: targets[i]!, weight: weights[i]! }],
  });
  const branch = (i: number): Tree => ({
    kind: "branch",
    feature: features[i]!,
    mode: nodeModes[i]!,
    split: splits[i]!,
    members: members[i]!,
    missing: missing[i] === 1,
    yes: yesLeafs[i] === 1 ? leaf(yesIds[i]!) : branch(yesIds[i]!),
    no: noLeafs[i] === 1 ? leaf(noIds[i]!) : branch(noIds[i]!),
  });
  // A tree of one leaf is written as a node whose two branches are that leaf.
  return {
    trees: list(c, "tree_roots").map(branch),
    targets: c.int("n_targets", 1),
    aggregate: aggregates[c.int("aggregate_function", 1)]!,
    transform: transforms[c.int("post_transform", 0)]!,
    base: [],
    dtype,
  };
}

/** The values of the nodes that test for membership come one after the other, each set ended by a NaN. */
function memberSets(c: NodeContext, nodeModes: readonly string[]): readonly Set<number>[] {
  const tensor = c.tensor("membership_values");
  const values = tensor === undefined ? [] : Array.from(numbersOf(tensor));
  let at = 0;
  return nodeModes.map((mode) => {
    const set = new Set<number>();
    if (mode !== "BRANCH_MEMBER") return set;
    while (at < values.length && !Number.isNaN(values[at])) set.add(values[at++]!);
    at++;
    return set;
  });
}

function listedEnsemble(c: NodeContext, role: "target" | "class", targets: number): Ensemble {
  const trees = list(c, "nodes_treeids");
  const nodes = list(c, "nodes_nodeids");
  const nodeModes = c.strings("nodes_modes") ?? c.invalid("L0108", "nodes_modes is missing");
  const features = list(c, "nodes_featureids");
  const [yesIds, noIds] = [list(c, "nodes_truenodeids"), list(c, "nodes_falsenodeids")];
  const splits = c.floats("nodes_values") ?? elements(c, "nodes_values_as_tensor");
  const missing = c.ints("nodes_missing_value_tracks_true") ?? [];
  const key = (tree: number, node: number): string => `${tree}:${node}`;
  const numbers = new Map(nodes.map((node, i) => [key(trees[i]!, node), i]));
  const weights = leafWeights(c, role, key);
  const noMembers = new Set<number>();
  const build = (i: number): Tree => {
    const tree = trees[i]!;
    if (nodeModes[i] === "LEAF") {
      return { kind: "leaf", weights: weights.get(key(tree, nodes[i]!)) ?? [] };
    }
    return {
      kind: "branch",
      feature: features[i]!,
      mode: nodeModes[i]!,
      split: splits[i]!,
      members: noMembers,
      missing: missing[i] === 1,
      yes: build(numbers.get(key(tree, yesIds[i]!))!),
      no: build(numbers.get(key(tree, noIds[i]!))!),
    };
  };
  const roots = trees.flatMap((tree, i) => (trees.indexOf(tree) === i ? [i] : []));
  return {
    trees: roots.map(build),
    targets,
    aggregate: c.string("aggregate_function", "SUM"),
    transform: c.string("post_transform", "NONE"),
    base: c.floats("base_values") ?? optionalElements(c, "base_values_as_tensor"),
    dtype: "f32",
  };
}

function leafWeights(
  c: NodeContext,
  role: "target" | "class",
  key: (tree: number, node: number) => string,
): ReadonlyMap<string, readonly Weight[]> {
  const trees = list(c, `${role}_treeids`);
  const nodes = list(c, `${role}_nodeids`);
  const targets = list(c, `${role}_ids`);
  const weights = c.floats(`${role}_weights`) ?? elements(c, `${role}_weights_as_tensor`);
  const byLeaf = new Map<string, Weight[]>();
  for (const [i, target] of targets.entries()) {
    const leaf = key(trees[i]!, nodes[i]!);
    byLeaf.set(leaf, [...(byLeaf.get(leaf) ?? []), { target, weight: weights[i]! }]);
  }
  return byLeaf;
}
