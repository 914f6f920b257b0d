/**
 * Where a model is cut because shapes depend on data: what follows a NonZero, or a Range up to a sum of durations, can
 * be compiled only when the nodes before have run. The cut leaves two models, the first part and a later one, which
 * may be cut again. `docs/decisions/` says why so, and what it costs.
 */
import { dimMax } from "../../ir/dim.js";
import type { Value } from "../../ir/graph.js";
import type { Body, BodyNode } from "./body.js";

/** What importing the whole model has shown. */
export interface Cuttable {
  readonly body: Body;
  /** Of the body's nodes those that its outputs need, producers first. */
  readonly nodes: readonly BodyNode[];
  /** By name, as far as they are known. */
  readonly values: ReadonlyMap<string, Value | undefined>;
  /** Constant elements that make a node worth a part of its own. */
  readonly weightsMin: number;
  traits(node: BodyNode): NodeTraits;
}

export interface NodeTraits {
  /** Core operations may express it, so that the device may run it. */
  readonly lowers: boolean;
  readonly isRandom: boolean;
}

/**
 * Numbers of the nodes of the later part, producers first; none where there is nothing to gain. A node waits if the shape of an
 * input depends on data. The cut is made for nodes that wait and read weights: a tail without is post-processing, for
 * which the host is as good. What waits before those goes along, unless another node that only the host runs waits for
 * it: that way a chain of such nodes is one part, not many. What is known without running anything (weights, dims)
 * is computed in both parts.
 */
export function laterNodes(cuttable: Cuttable): readonly number[] {
  const { nodes, traits } = cuttable;
  const waiting = new Set(nodes.filter((node) => waits(node, cuttable)));
  const isConstant = constantNames(cuttable);
  const weighty = weightyNodes(cuttable, waiting, isConstant);
  if (weighty.size === 0) return [];
  const later = new Set<BodyNode>();
  const earlier = new Set<string>();
  for (const node of nodes.toReversed()) {
    if (!waiting.has(node)) continue;
    const goes = traits(node).lowers && !node.proto.output.some((name) => earlier.has(name));
    if (weighty.has(node) || goes) later.add(node);
    else for (const name of node.uses) earlier.add(name);
  }
  if (!isWaitedFor(later, cuttable)) return [];
  const isKnown = (name: string): boolean => {
    const value = cuttable.values.get(name);
    return isConstant.has(name) || value?.data !== undefined || value?.dims !== undefined;
  };
  const needed = new Set([...later].flatMap(({ uses }) => uses.filter(isKnown)));
  for (const node of nodes.toReversed()) {
    if (later.has(node) || !node.proto.output.some((name) => needed.has(name))) continue;
    later.add(node);
    for (const name of node.uses) if (isKnown(name)) needed.add(name);
  }
  return nodes.filter((node) => later.has(node)).map(({ number }) => number);
}

function waits({ uses }: BodyNode, { values }: Cuttable): boolean {
  return uses.some((name) => values.get(name)?.unknownShape === true);
}

/** Whether running the other nodes shows a shape: that of an input is as known later as it is now. */
function isWaitedFor(later: ReadonlySet<BodyNode>, { nodes, values }: Cuttable): boolean {
  const others = nodes.filter((node) => !later.has(node));
  const made = new Set(others.flatMap(({ proto }) => proto.output));
  const isShown = (name: string) => made.has(name) && values.get(name)?.unknownShape === true;
  return [...later].some(({ uses }) => uses.some(isShown));
}

/** Those that wait and read weights, and what is computed from them. */
function weightyNodes(
  { nodes, values, weightsMin, traits }: Cuttable,
  waiting: ReadonlySet<BodyNode>,
  isConstant: ReadonlySet<string>,
): ReadonlySet<BodyNode> {
  const readsWeights = ({ uses }: BodyNode): boolean =>
    uses.some((name) => isConstant.has(name) && elementsOf(values.get(name)) >= weightsMin);
  const weighty = new Set<BodyNode>();
  const made = new Set<string>();
  for (const node of nodes) {
    if (!waiting.has(node)) continue;
    const isFirst = traits(node).lowers && readsWeights(node);
    if (!isFirst && !node.uses.some((name) => made.has(name))) continue;
    weighty.add(node);
    for (const name of node.proto.output) made.add(name);
  }
  return weighty;
}

function elementsOf(value: Value | undefined): number {
  return value === undefined ? 0 : value.shape.reduce((n: number, dim) => n * dimMax(dim), 1);
}

/** Names of constants, and of what is computed from nothing else. */
function constantNames({ body, nodes, values, traits }: Cuttable): ReadonlySet<string> {
  const given = new Set(body.inputNames);
  const constant = new Set([...body.initializers.keys()].filter((name) => !given.has(name)));
  for (const [name, value] of values) if (value?.data !== undefined) constant.add(name);
  for (const node of nodes) {
    const { uses, proto } = node;
    if (uses.length === 0 || !uses.every((name) => constant.has(name))) continue;
    if (traits(node).isRandom) continue;
    for (const name of proto.output) constant.add(name);
  }
  return constant;
}
