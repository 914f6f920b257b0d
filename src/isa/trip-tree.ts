/**
 * Composes the effects of a program's instructions over its loops without running it: a body is summarised per
 * phase (first, middle, last, only trip), a loop from the summaries of its trips, inside out, stages included.
 * What an effect is and how two of them follow one another is the {@link Algebra}'s; verify-queues.ts has two.
 *
 * How often a loop runs is known as a range. Loops of one class (same range, same step) make the same trips, so
 * their cases are told apart together; the other cases of a loop are merged into one effect.
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

export interface Algebra<E> {
  readonly nothing: E;
  /** b after a. `loop`: they are two trips of that loop. */
  then(a: E, b: E, loop: LoopHead | undefined): E;
  /** `count` times the same effect, one trip of the loop after the other. */
  repeat(effect: E, count: Interval, loop: LoopHead): E;
  /** One of several, it is not known which. */
  either(effects: readonly E[], why: Uncertainty): E;
}

/** Why an effect is not known exactly. */
export interface Uncertainty {
  readonly path: readonly number[];
  readonly what: string;
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
type TripCase =
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

function rangeLoops(head: LoopHead): readonly number[] {
  return loopsIn(head.start, ...head.total);
}

/** Of the instructions in the node: they are all in the same stage of the loop. */
function stageOf<E>(node: TripNode<E>, loop: number): number {
  if (node.kind === "loop") return stageOf(node.children[0]!.node, loop);
  const { stage } = node.leaf.site.instruction;
  return stage?.loop === loop ? stage.by : 0;
}

/** How a loop may run where the outer loops are in these phases. */
function casesOf<E>(loop: TripLoop<E>, phases: Phases): readonly TripCase[] {
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

function phaseText(phase: Phase | undefined): string {
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

/** What is known at some place: phases of the loops around it, and cases of classes told apart there. */
interface Known {
  readonly phases: Phases;
  readonly cases: ReadonlyMap<string, TripCase>;
}

/** The whole program's effect on one member, one for each way in which its loops can run. */
export function effectsOf<E>(tree: TripTree<E>, algebra: Algebra<E>): E[] {
  const known: Known = { phases: new Map(), cases: new Map() };
  const effects: E[] = [];
  for (const cases of casesToTell(tree.nodes, undefined, known.phases)) {
    effects.push(sequence(tree.nodes, { ...known, cases }, algebra));
  }
  return effects;
}

function sequence<E>(nodes: readonly TripNode<E>[], known: Known, algebra: Algebra<E>): E {
  let effect = algebra.nothing;
  for (const node of nodes)
    effect = algebra.then(effect, effectOf(node, known, algebra), undefined);
  return effect;
}

function effectOf<E>(node: TripNode<E>, known: Known, algebra: Algebra<E>): E {
  if (node.kind === "leaf") return node.leaf.effect(known.phases);
  const key = [
    ...node.outer.map((id) => phaseText(known.phases.get(id))),
    ...node.classes.map((name) => caseText(known.cases.get(name))),
  ].join();
  let effect = node.memo.get(key);
  if (effect === undefined) {
    effect = effectOfLoop(node, known, algebra);
    node.memo.set(key, effect);
  }
  return effect;
}

function caseText(one: TripCase | undefined): string {
  if (one === undefined) return "-";
  if (one.kind === "place") return one.phase === undefined ? "none" : phaseText(one.phase);
  return one.kind === "trips" ? String(one.count) : `${one.count.low}..${one.count.high}`;
}

function effectOfLoop<E>(loop: TripLoop<E>, known: Known, algebra: Algebra<E>): E {
  const told = known.cases.get(loop.class);
  if (told !== undefined) return effectOfCase(loop, told, known, algebra);
  const effects = casesOf(loop, known.phases).map((one) => effectOfCase(loop, one, known, algebra));
  return algebra.either(effects, {
    path: loop.path,
    what:
      loop.head.over === "time"
        ? `how often loop ${loop.head.name} runs`
        : `which trip of loop ${loop.head.name} a member has`,
  });
}

function effectOfCase<E>(loop: TripLoop<E>, one: TripCase, known: Known, algebra: Algebra<E>): E {
  const { head, stages } = loop;
  /** The step of a staged loop in which the child of stage `by` has the phase that is given for it. */
  const step = (phaseOf: (by: number) => Phase | undefined): E =>
    body(loop, phaseOf, known, algebra);
  switch (one.kind) {
    case "place":
      return one.phase === undefined ? algebra.nothing : step(() => one.phase);
    case "trips": {
      let effect = algebra.nothing;
      const { count } = one;
      for (let t = 0; t < count + (count > 0 ? stages : 0); t++) {
        const now = step((by) => phaseAt(t - by, count));
        effect = t === 0 ? now : algebra.then(effect, now, head);
      }
      return effect;
    }
    case "many": {
      let effect = step((by) => (by > 0 ? undefined : { first: true, last: false }));
      for (let t = 1; t <= stages; t++) {
        const opening = step((by) => (by > t ? undefined : { first: by === t, last: false }));
        effect = algebra.then(effect, opening, head);
      }
      const middle = step(() => ({ first: false, last: false }));
      const count = { low: one.count.low - stages - 2, high: one.count.high - stages - 2 };
      effect = algebra.then(effect, algebra.repeat(middle, count, head), head);
      for (let t = 0; t <= stages; t++) {
        const closing = step((by) => (by < t ? undefined : { first: false, last: by === t }));
        effect = algebra.then(effect, closing, head);
      }
      return effect;
    }
    default:
      return one satisfies never;
  }
}

function phaseAt(trip: number, count: number): Phase | undefined {
  if (trip < 0 || trip >= count) return undefined;
  return { first: trip === 0, last: trip === count - 1 };
}

/** One step of a loop: each child in its phase, for every way in which the loops that depend on this one can run. */
function body<E>(
  loop: TripLoop<E>,
  phaseOf: (by: number) => Phase | undefined,
  known: Known,
  algebra: Algebra<E>,
): E {
  const at = (by: number): Phases | undefined => {
    const phase = phaseOf(by);
    return phase === undefined ? undefined : new Map(known.phases).set(loop.head.id, phase);
  };
  const effects: E[] = [];
  // Stages see different trips at once: their loops' cases cannot be told apart together.
  const told =
    loop.stages > 0 ? [new Map()] : casesToTell(nodesOf(loop), loop.head.id, at(0) ?? known.phases);
  for (const cases of told) {
    let effect = algebra.nothing;
    for (const { node, by } of loop.children) {
      const phases = at(by);
      if (phases === undefined) continue;
      const inside = { phases, cases: new Map([...known.cases, ...cases]) };
      effect = algebra.then(effect, effectOf(node, inside, algebra), undefined);
    }
    effects.push(effect);
  }
  return algebra.either(effects, {
    path: loop.path,
    what: `how often the loops inside loop ${loop.head.name} run`,
  });
}

function nodesOf<E>(loop: TripLoop<E>): TripNode<E>[] {
  return loop.children.map(({ node }) => node);
}

const combinationsMax = 512;

/**
 * Every combination of cases of the classes that become known here (their ranges depend on loop `id` and on none
 * inside it; at the top on none) and that several loops have. Too many: none are told apart.
 */
function casesToTell<E>(
  nodes: readonly TripNode<E>[],
  id: number | undefined,
  phases: Phases,
): ReadonlyMap<string, TripCase>[] {
  const loops: TripLoop<E>[] = [];
  const collect = (node: TripNode<E>): void => {
    if (node.kind === "leaf") return;
    loops.push(node);
    nodesOf(node).forEach(collect);
  };
  nodes.forEach(collect);
  const inside = new Set(loops.map((loop) => loop.head.id));
  const several = new Map<string, TripLoop<E>[]>();
  for (const loop of loops) {
    const depends = rangeLoops(loop.head);
    const known = id === undefined ? depends.length === 0 : depends.includes(id);
    if (!known || depends.some((d) => inside.has(d))) continue;
    several.set(loop.class, [...(several.get(loop.class) ?? []), loop]);
  }
  let combinations: ReadonlyMap<string, TripCase>[] = [new Map()];
  for (const [name, of] of several) {
    if (of.length < 2) continue;
    // The one with most stages tells most cases apart.
    const cases = casesOf(
      of.reduce((a, b) => (b.stages > a.stages ? b : a)),
      phases,
    );
    if (combinations.length * cases.length > combinationsMax) return [new Map()];
    combinations = combinations.flatMap((known) =>
      cases.map((one) => new Map(known).set(name, one)),
    );
  }
  return combinations;
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
