/**
 * Composes the effects of a program's instructions over its loops without running it: a body is summarised per
 * phase (first, middle, last, only trip), a loop from the summaries of its trips, inside out, stages included.
 * What an effect is and how two of them follow one another is the {@link Algebra}'s; verify-queues.ts has one,
 * verify-contents.ts two.
 *
 * How often a loop runs is known as a range. Loops of one class (same range, same step) make the same trips, so
 * their cases are told apart together; the other cases of a loop are merged into one effect.
 */
import type { LoopHead } from "../ir/tile.js";
import type { Interval } from "./bounds.js";
import {
  casesOf,
  type Phase,
  type Phases,
  phaseText,
  rangeLoops,
  type TripCase,
  type TripLoop,
  type TripNode,
  type TripTree,
} from "./trip-tree.js";

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
