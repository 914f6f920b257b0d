/**
 * Decision trees as products: all conditions of a tree are computed at once, a matrix of signs counts for each leaf
 * how many of those on its path hold, and the one leaf that has them all gives its weights.
 */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { computeType, range } from "./helpers.js";
import { tensorOf } from "./host.js";
import { Decline, type LowerContext } from "./record.js";
import type { Branch, Ensemble, Leaf, Tree } from "./tree-types.js";

/** Elements of the matrices of signs; larger ones cost more than walking the trees. */
const signsMax = 2 ** 22;

interface Path {
  readonly leaf: Leaf;
  /** Conditions by number, and whether they have to hold. */
  readonly steps: readonly (readonly [number, boolean])[];
}

interface FlatTree {
  readonly conditions: readonly Branch[];
  readonly paths: readonly Path[];
}

function flatten(tree: Tree): FlatTree {
  const conditions: Branch[] = [];
  const paths: Path[] = [];
  const visit = (node: Tree, steps: Path["steps"]): void => {
    if (node.kind === "leaf") {
      paths.push({ leaf: node, steps });
      return;
    }
    const number = conditions.push(node) - 1;
    visit(node.yes, [...steps, [number, true]]);
    visit(node.no, [...steps, [number, false]]);
  };
  visit(tree, []);
  return { conditions, paths };
}

/** The aggregate of the weights of each row's leaves [n, targets], before base values. Input 0: [n, features]. */
export function lowerVotes(c: LowerContext, ensemble: Ensemble): Value {
  const { b } = c;
  const { aggregate, targets } = ensemble;
  const sums = aggregate === "SUM" || aggregate === "AVERAGE";
  if (!sums && targets > 1) throw new Decline("extremes of several targets are taken by walking");
  const trees = ensemble.trees.map(flatten);
  const size = {
    trees: trees.length,
    conditions: Math.max(1, ...trees.map(({ conditions }) => conditions.length)),
    leaves: Math.max(...trees.map(({ paths }) => paths.length)),
  };
  const { conditions, leaves } = size;
  if (trees.length * conditions * leaves > signsMax) {
    throw new Decline("trees of that size are walked");
  }
  const isLeaf = reachedLeaves(c, trees, size);
  const weights = new Float32Array(trees.length * leaves * targets);
  for (const [t, { paths }] of trees.entries()) {
    for (const [i, { leaf }] of paths.entries()) {
      for (const { target, weight } of leaf.weights) {
        weights[(t * leaves + i) * targets + target]! += weight;
      }
    }
  }
  const matrix = b.constant(tensorOf(isLeaf.dtype, [trees.length, leaves, targets], weights));
  if (!sums) {
    const each = b.contract(isLeaf, matrix, { a: "ntl", b: "tlc", out: "ntc", order: "l" });
    return b.reduce(each, aggregate === "MIN" ? "min" : "max", [1]);
  }
  const sum = b.contract(isLeaf, matrix, { a: "ntl", b: "tlc", out: "nc", order: "tl" });
  if (aggregate === "SUM") return sum;
  return b.map(sum.dtype, [sum], (l, s) => l.div(s!, l.constF(trees.length)));
}

interface Size {
  readonly trees: number;
  readonly conditions: number;
  readonly leaves: number;
}

/** 1 for the leaf of each tree that a row comes to, 0 for the others: [n, trees, leaves]. */
function reachedLeaves(c: LowerContext, trees: readonly FlatTree[], size: Size): Value {
  const { b } = c;
  const { conditions, leaves } = size;
  const holds = heldConditions(c, trees, size);
  const signs = new Float32Array(trees.length * conditions * leaves);
  // A leaf that only fills the matrix up has no path and waits for a condition: it is never reached.
  const counts = new Float32Array(trees.length * leaves).fill(1);
  for (const [t, { paths }] of trees.entries()) {
    for (const [i, { steps }] of paths.entries()) {
      counts[t * leaves + i] = steps.filter(([, yes]) => yes).length;
      for (const [k, yes] of steps) signs[(t * conditions + k) * leaves + i] = yes ? 1 : -1;
    }
  }
  const matrix = b.constant(tensorOf(holds.dtype, [trees.length, conditions, leaves], signs));
  const sums = b.contract(holds, matrix, { a: "ntk", b: "tkl", out: "ntl", order: "k" });
  const wanted = b.constant(tensorOf(holds.dtype, [trees.length, leaves], counts));
  return b.map(sums.dtype, [sums, wanted], (l, s, n) =>
    l.select(l.eq(s!, n!), l.constF(1), l.constF(0)),
  );
}

/** 1 where a condition holds: [n, trees, conditions]. */
function heldConditions(c: LowerContext, trees: readonly FlatTree[], size: Size): Value {
  const { b } = c;
  const all = trees.flatMap(({ conditions }) =>
    range(0, size.conditions).map((k) => conditions[k]),
  );
  const known = all.filter((condition) => condition !== undefined);
  const modes = new Set(known.map(({ mode }) => mode));
  const compare = comparisons[[...modes][0] ?? "BRANCH_LEQ"];
  if (modes.size > 1 || compare === undefined) {
    throw new Decline("trees whose conditions are of several kinds are walked");
  }
  const x = b.cast(c.input(0), computeType(c.input(0).dtype));
  const rows = x.shape.length === 1 ? b.unsqueeze(x, [0]) : x;
  const features = Int32Array.from(all, (condition) => condition?.feature ?? 0);
  const indices = b.constant({ dtype: "i32", shape: [features.length], data: features });
  const beside = (values: readonly number[]) => b.constant(tensorOf(x.dtype, [all.length], values));
  const splits = beside(all.map((condition) => condition?.split ?? 0));
  const missing = known.some((condition) => condition.missing)
    ? [beside(all.map((condition) => (condition?.missing === true ? 1 : 0)))]
    : [];
  const inputs = [b.gather(rows, indices, 1), splits, ...missing];
  const holds = b.map(x.dtype, inputs, (l, value, split, takesMissing) => {
    const own = l.select(compare(l, value!, split!), l.constF(1), l.constF(0));
    if (takesMissing === undefined) return own;
    return l.select(l.eq(value!, value!), own, l.max(own, takesMissing));
  });
  return b.reshape(holds, [rows.shape[0]!, trees.length, size.conditions]);
}

const comparisons: Readonly<Record<string, (l: LaneBuilder, value: Lane, split: Lane) => Lane>> = {
  BRANCH_LEQ: (l, value, split) => l.le(value, split),
  BRANCH_LT: (l, value, split) => l.lt(value, split),
  BRANCH_GTE: (l, value, split) => l.le(split, value),
  BRANCH_GT: (l, value, split) => l.lt(split, value),
  BRANCH_EQ: (l, value, split) => l.eq(value, split),
  BRANCH_NEQ: (l, value, split) => l.xor(l.eq(value, split), l.constI(-1)),
};
