/**
 * The loops around the instructions that touch some queue, each with the ways in which it can run: numbers of trips
 * for temporal loops, places of a member for spatial ones. What the instructions do over them is composed by
 * trip-effects.ts.
 */
import { constantAffine, type LoopHead } from "../ir/tile.js";
import { boundsWithin, type Interval } from "./bounds.js";
import type { Condition, Program } from "./program.js";
import { loopClass, loopsIn, placesAlong, type Site } from "./sites.js";

/** Where a trip lies among the trips of its loop. */
export interface Phase {
  readonly first: boolean;
  readonly last: boolean;
}

export type Phases = ReadonlyMap<number, Phase>;

export interface Leaf<E> {
  readonly site: Site;
  /** Loops on whose phases the effect depends. */
  readonly loops: readonly number[];
  effect(phases: Phases): E;
}

export type TripNode<E> = { readonly kind: "leaf"; readonly leaf: Leaf<E> } | TripLoop<E>;

export interface TripLoop<E> {
  readonly kind: "loop";
  readonly head: LoopHead;
  readonly path: readonly number[];
  readonly class: string;
  readonly children: readonly { readonly node: TripNode<E>; readonly by: number }[];
  /** Greatest stage of the children; the least is 0. */
  readonly stages: number;
  /** Outermost first. */
  readonly enclosing: readonly LoopHead[];
  readonly basis: TreeBasis;
  /** Loops on whose indices and extents the range depends. */
  readonly depends: readonly number[];
  /** Outer loops on whose phases the effect depends, and classes of loops. */
  readonly outer: readonly number[];
  readonly classes: readonly string[];
  readonly memo: Map<string, E>;
}

/** How a loop may run. `place`: the trip of a spatial loop that one member has, `none` if it has none. */
export type TripCase =
  | { readonly kind: "trips"; readonly count: number }
  | { readonly kind: "many"; readonly count: Interval }
  | { readonly kind: "place"; readonly phase: Phase | undefined };

export interface TripTree<E> {
  readonly nodes: readonly TripNode<E>[];
}

/** What all trees over one program share. */
export interface TreeBasis {
  readonly program: Program;
  /** Instructions that touch a queue, by its number, in text order. */
  readonly touching: readonly (readonly Site[])[];
  /** Numbers of trips that have been worked out, by loop and by phases of the loops around it. */
  readonly trips: Map<string, Interval>;
}

export function treeBasis(program: Program, sites: readonly Site[]): TreeBasis {
  const touching: Site[][] = program.queues.map(() => []);
  for (const site of sites) {
    const { waits = [], signals = [] } = site.instruction;
    const operands = [...site.slots.map((access) => access.slot), ...waits, ...signals];
    for (const queue of new Set(operands.map((slot) => slot.queue))) touching[queue]!.push(site);
  }
  return { program, touching, trips: new Map() };
}

/** The loops around some instructions that have an effect, given in text order; all else is left out. */
export function tripTree<E>(basis: TreeBasis, leaves: readonly Leaf<E>[]): TripTree<E> {
  const build = (among: readonly Leaf<E>[], depth: number): readonly TripNode<E>[] => {
    const nodes: TripNode<E>[] = [];
    for (let i = 0; i < among.length; ) {
      const { path, loops } = among[i]!.site;
      let end = i + 1;
      while (end < among.length && among[end]!.site.path[depth] === path[depth]) end++;
      const inside = among.slice(i, end);
      if (path.length === depth + 1) nodes.push({ kind: "leaf", leaf: inside[0]! });
      else {
        const stage = (node: TripNode<E>) => stageOf(node, loops[depth]!.id);
        const inner = build(inside, depth + 1).map((node) => ({ node, by: stage(node) }));
        const enclosing = loops.slice(0, depth);
        nodes.push(
          loopNode(loops[depth]!, { path: path.slice(0, depth + 1), inner, enclosing, basis }),
        );
      }
      i = end;
    }
    return nodes;
  };
  return { nodes: build(leaves, 0) };
}

interface LoopParts<E> {
  readonly path: readonly number[];
  readonly inner: readonly { readonly node: TripNode<E>; readonly by: number }[];
  readonly enclosing: readonly LoopHead[];
  readonly basis: TreeBasis;
}

function loopNode<E>(head: LoopHead, { path, inner, enclosing, basis }: LoopParts<E>): TripLoop<E> {
  const least = Math.min(...inner.map(({ by }) => by));
  const children = inner.map(({ node, by }) => ({ node, by: by - least }));
  const depends = new Set(rangeLoops(head));
  for (const outer of enclosing.toReversed()) {
    if (depends.has(outer.id)) for (const id of rangeLoops(outer)) depends.add(id);
  }
  const outer = new Set(depends);
  const classes = new Set([loopClass(head)]);
  for (const { node } of children) {
    for (const id of node.kind === "leaf" ? node.leaf.loops : node.outer) {
      if (id !== head.id) outer.add(id);
    }
    if (node.kind === "loop") for (const inside of node.classes) classes.add(inside);
  }
  return {
    kind: "loop",
    head,
    path,
    class: loopClass(head),
    children,
    stages: Math.max(...children.map(({ by }) => by)),
    enclosing,
    basis,
    depends: [...depends],
    outer: [...outer],
    classes: [...classes],
    memo: new Map(),
  };
}

export function rangeLoops(head: LoopHead): readonly number[] {
  return loopsIn(head.start, ...head.total);
}

/** Of the instructions in the node: they are all in the same stage of the loop. */
function stageOf<E>(node: TripNode<E>, loop: number): number {
  if (node.kind === "loop") return stageOf(node.children[0]!.node, loop);
  const { stage } = node.leaf.site.instruction;
  return stage?.loop === loop ? stage.by : 0;
}

/** How a loop may run where the outer loops are in these phases. */
export function casesOf<E>(loop: TripLoop<E>, phases: Phases): readonly TripCase[] {
  const { head, depends, enclosing, basis } = loop;
  const key = [head.id, ...depends.map((id) => phaseText(phases.get(id)))].join();
  let trips = basis.trips.get(key);
  if (trips === undefined) {
    const around = enclosing.map((outer) =>
      depends.includes(outer.id) ? inPhase(outer, phases.get(outer.id)) : outer,
    );
    trips = boundsWithin(around).trips(head);
    basis.trips.set(key, trips);
  }
  if (head.over === "time") return temporalCases(trips, loop.stages);
  return spatialCases(trips, placesAlong(basis.program, head.over));
}

/** A loop that makes only the trips of one phase. */
function inPhase(head: LoopHead, phase: Phase | undefined): LoopHead {
  const { start, total, step } = head;
  if (phase === undefined || start.terms.length > 0) return head;
  if (phase.first) {
    const end = start.constant + step;
    return {
      ...head,
      total: [...total, constantAffine(end)],
      minTotal: Math.min(head.minTotal, end),
      maxTotal: Math.min(head.maxTotal, end),
    };
  }
  const fixed =
    total.every((affine) => affine.terms.length === 0) || head.minTotal === head.maxTotal;
  const second = start.constant + step;
  if (!fixed) return { ...head, start: constantAffine(second) };
  const least = Math.min(...total.map((affine) => affine.constant));
  const end = Math.min(Math.max(least, head.minTotal), head.maxTotal);
  const last = start.constant + (Math.ceil((end - start.constant) / step) - 1) * step;
  if (phase.last) return { ...head, start: constantAffine(last) };
  const middle = { total: [constantAffine(last)], minTotal: last, maxTotal: last };
  return { ...head, start: constantAffine(second), ...middle };
}

export function phaseText(phase: Phase | undefined): string {
  if (phase === undefined) return "-";
  return `${phase.first ? "f" : ""}${phase.last ? "l" : ""}`;
}

/** Counts up to that from which on some trip has all stages in the middle, then all greater ones at once. */
function temporalCases(trips: Interval, stages: number): TripCase[] {
  const cases: TripCase[] = [];
  for (let count = trips.low; count <= Math.min(trips.high, stages + 2); count++) {
    cases.push({ kind: "trips", count });
  }
  if (trips.high > stages + 2) {
    const low = Math.max(trips.low, stages + 3);
    cases.push({ kind: "many", count: { low, high: trips.high } });
  }
  // Ranges that contradict each other: the loop stands where nothing runs.
  return cases.length > 0 ? cases : [{ kind: "trips", count: 0 }];
}

function spatialCases({ low, high }: Interval, places: number): TripCase[] {
  const cases: TripCase[] = [];
  const add = (possible: boolean, phase: Phase | undefined) => {
    if (possible) cases.push({ kind: "place", phase });
  };
  add(low < places, undefined);
  add(low <= 1 && high >= 1, { first: true, last: true });
  add(high >= 2, { first: true, last: false });
  add(high >= 3, { first: false, last: false });
  add(high >= 2, { first: false, last: true });
  return cases;
}

export function holdsIn(condition: Condition, phases: Phases): boolean {
  switch (condition.kind) {
    case "never":
      return false;
    case "always":
      return true;
    case "all":
      return condition.terms.every(
        ({ loop, edge, negated }) => phases.get(loop)![edge] !== negated,
      );
    default:
      return condition satisfies never;
  }
}
