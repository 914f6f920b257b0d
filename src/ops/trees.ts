/**
 * Decision trees of ai.onnx.ml, walked on the host: TreeEnsemble, and TreeEnsembleRegressor, which says the
 * same with lists by tree and node numbers.
 */
import type { DType } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { range } from "./helpers.js";
import { hostOperator, numbersOf, shapeless, tensorOf } from "./host.js";
import type { EvaluateContext, OperatorRecord } from "./record.js";

const domain = "ai.onnx.ml";

export const treeOperators: readonly OperatorRecord[] = [
  hostOperator("TreeEnsemble", { domain, since: 5 }, (c) => [evaluateTrees(c, ensembleOf(c))]),
  hostOperator(
    "TreeEnsembleRegressor",
    { domain, since: 1 },
    (c) => [evaluateTrees(c, regressorOf(c))],
    () => shapeless("f32"),
  ),
];

type Tree =
  | { readonly kind: "leaf"; readonly weights: readonly Weight[] }
  | {
      readonly kind: "branch";
      readonly feature: number;
      readonly goesTrue: (value: number) => boolean;
      readonly yes: Tree;
      readonly no: Tree;
    };

interface Weight {
  readonly target: number;
  readonly weight: number;
}

interface Ensemble {
  readonly trees: readonly Tree[];
  readonly targets: number;
  readonly aggregate: string;
  readonly transform: string;
  readonly base: readonly number[];
  readonly dtype: DType;
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

function evaluateTrees(c: EvaluateContext, ensemble: Ensemble): Tensor {
  const x = c.tensorInput(0);
  const [rows, features] = x.shape.length === 1 ? [1, x.shape[0]!] : [x.shape[0]!, x.shape[1]!];
  const values = numbersOf(x);
  const result = range(0, rows).flatMap((row) => {
    const own = values.subarray(row * features, (row + 1) * features);
    const votes = ensemble.trees.flatMap((tree) => walk(tree, own));
    const scores = range(0, ensemble.targets).map((target) => {
      const weights = votes.filter((vote) => vote.target === target).map((vote) => vote.weight);
      return aggregated(ensemble, weights) + (ensemble.base[target] ?? 0);
    });
    return transformed(c, ensemble.transform, scores);
  });
  return tensorOf(ensemble.dtype, [rows, ensemble.targets], result);
}

function walk(tree: Tree, row: ArrayLike<number>): readonly Weight[] {
  let node = tree;
  while (node.kind === "branch") node = node.goesTrue(row[node.feature]!) ? node.yes : node.no;
  return node.weights;
}

function aggregated({ aggregate, trees }: Ensemble, weights: readonly number[]): number {
  if (aggregate === "MIN") return weights.length === 0 ? 0 : Math.min(...weights);
  if (aggregate === "MAX") return weights.length === 0 ? 0 : Math.max(...weights);
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return aggregate === "AVERAGE" ? sum / trees.length : sum;
}

function transformed(
  c: EvaluateContext,
  transform: string,
  scores: readonly number[],
): readonly number[] {
  switch (transform) {
    case "NONE":
      return scores;
    case "LOGISTIC":
      return scores.map((score) => 1 / (1 + Math.exp(-score)));
    case "SOFTMAX":
    case "SOFTMAX_ZERO": {
      const largest = Math.max(...scores);
      const keepsZero = transform === "SOFTMAX_ZERO";
      const powers = scores.map((s) => (keepsZero && s === 0 ? 0 : Math.exp(s - largest)));
      const sum = powers.reduce((total, power) => total + power, 0);
      return powers.map((power) => power / sum);
    }
    default:
      return c.invalid("L0108", `post_transform "${transform}" is not supported`);
  }
}

/** Whether a value takes the true branch; a missing one (NaN) where `missing` says so. */
function condition(
  mode: string,
  split: number,
  members: ReadonlySet<number>,
  missing: boolean,
): (value: number) => boolean {
  return (value) => {
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
  };
}

function list(c: EvaluateContext, name: string): readonly number[] {
  return c.ints(name) ?? c.invalid("L0108", `${name} is missing`);
}

function elements(c: EvaluateContext, name: string): readonly number[] {
  const tensor = c.tensor(name) ?? c.invalid("L0108", `${name} is missing`);
  return Array.from(numbersOf(tensor));
}

function ensembleOf(c: EvaluateContext): Ensemble {
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
    goesTrue: condition(nodeModes[i]!, splits[i]!, members[i]!, missing[i] === 1),
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
    dtype: c.tensorInput(0).dtype,
  };
}

/** The values of the nodes that test for membership come one after the other, each set ended by a NaN. */
function memberSets(c: EvaluateContext, nodeModes: readonly string[]): readonly Set<number>[] {
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

function regressorOf(c: EvaluateContext): Ensemble {
  const trees = list(c, "nodes_treeids");
  const nodes = list(c, "nodes_nodeids");
  const nodeModes = c.strings("nodes_modes") ?? c.invalid("L0108", "nodes_modes is missing");
  const features = list(c, "nodes_featureids");
  const [yesIds, noIds] = [list(c, "nodes_truenodeids"), list(c, "nodes_falsenodeids")];
  const splits = c.floats("nodes_values") ?? elements(c, "nodes_values_as_tensor");
  const missing = c.ints("nodes_missing_value_tracks_true") ?? [];
  const key = (tree: number, node: number): string => `${tree}:${node}`;
  const numbers = new Map(nodes.map((node, i) => [key(trees[i]!, node), i]));
  const weights = leafWeights(c, key);
  const noMembers = new Set<number>();
  const build = (i: number): Tree => {
    const tree = trees[i]!;
    if (nodeModes[i] === "LEAF") {
      return { kind: "leaf", weights: weights.get(key(tree, nodes[i]!)) ?? [] };
    }
    return {
      kind: "branch",
      feature: features[i]!,
      goesTrue: condition(nodeModes[i]!, splits[i]!, noMembers, missing[i] === 1),
      yes: build(numbers.get(key(tree, yesIds[i]!))!),
      no: build(numbers.get(key(tree, noIds[i]!))!),
    };
  };
  const roots = trees.flatMap((tree, i) => (trees.indexOf(tree) === i ? [i] : []));
  return {
    trees: roots.map(build),
    targets: c.int("n_targets", 1),
    aggregate: c.string("aggregate_function", "SUM"),
    transform: c.string("post_transform", "NONE"),
    base: c.floats("base_values") ?? [],
    dtype: "f32",
  };
}

function leafWeights(
  c: EvaluateContext,
  key: (tree: number, node: number) => string,
): ReadonlyMap<string, readonly Weight[]> {
  const trees = list(c, "target_treeids");
  const nodes = list(c, "target_nodeids");
  const targets = list(c, "target_ids");
  const weights = c.floats("target_weights") ?? elements(c, "target_weights_as_tensor");
  const byLeaf = new Map<string, Weight[]>();
  for (const [i, target] of targets.entries()) {
    const leaf = key(trees[i]!, nodes[i]!);
    byLeaf.set(leaf, [...(byLeaf.get(leaf) ?? []), { target, weight: weights[i]! }]);
  }
  return byLeaf;
}
