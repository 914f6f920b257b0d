/**
 * Regions: composites of one target that belong together. Cutting a region out may never close a cycle (a region
 * that waits for what waits for it), and every border is a copy, so regions are as few as cycles allow:
 *
 * 1. A composite's level is the number of changes of target on the longest way to it. What edges join in one target
 *    and level is one region: a way out of it and back would change target, and so level.
 * 2. Levels count from the front, so a host composite may sit in an earlier region than it has to. Two host regions
 *    with an edge between them become one where no other way leads from the first to the second. Device regions are
 *    those of the graph that this leaves.
 */
import type { Value } from "../../ir/graph.js";
import type { Composite } from "./annotate.js";

export interface Region {
  readonly target: Composite["target"];
  /** Producers first. */
  readonly composites: readonly Composite[];
}

/** `composites`: producers first. Regions come in the order of their first composites. */
export function mergeRegions(composites: readonly Composite[]): readonly Region[] {
  const producers = producersOf(composites);
  const isHost = (item: number): boolean => composites[item]!.target === "host";
  const groups = createGroups(composites.length);
  joinLevels(quotientOf(producers, groups), groups, isHost, "host");
  joinHosts(producers, groups, isHost);
  joinLevels(quotientOf(producers, groups), groups, isHost, "device");
  const members = new Map<number, Composite[]>();
  composites.forEach((composite, item) => {
    const known = members.get(groups.of(item));
    if (known === undefined) members.set(groups.of(item), [composite]);
    else known.push(composite);
  });
  return [...members.values()].map((own) => ({ target: own[0]!.target, composites: own }));
}

/** Of each composite, the numbers of those that it reads from. */
function producersOf(composites: readonly Composite[]): readonly ReadonlySet<number>[] {
  const maker = new Map<Value, number>();
  composites.forEach(({ nodes }, item) => {
    for (const node of nodes) for (const output of node.outputs) maker.set(output, item);
  });
  return composites.map(({ nodes }, item) => {
    const made = nodes.flatMap((node) => node.inputs.map((input) => maker.get(input)));
    return new Set(made.filter((from): from is number => from !== undefined && from !== item));
  });
}

/** Disjoint sets of numbers, each named by one of its members. */
interface Groups {
  readonly size: number;
  of(item: number): number;
  join(a: number, b: number): void;
}

function createGroups(size: number): Groups {
  const parents = Array.from({ length: size }, (_, item) => item);
  const of = (item: number): number => {
    let root = item;
    while (parents[root] !== root) root = parents[root]!;
    parents[item] = root;
    return root;
  };
  return { size, of, join: (a, b) => void (parents[of(a)] = of(b)) };
}

/** The graph whose nodes are groups: producers of each, and an order of execution. */
interface Quotient {
  readonly order: readonly number[];
  readonly producers: ReadonlyMap<number, ReadonlySet<number>>;
}

function quotientOf(producers: readonly ReadonlySet<number>[], groups: Groups): Quotient {
  const between = new Map<number, Set<number>>();
  producers.forEach((own, item) => {
    const group = groups.of(item);
    const from = between.get(group) ?? new Set();
    between.set(group, from);
    for (const producer of own) if (groups.of(producer) !== group) from.add(groups.of(producer));
  });
  const order: number[] = [];
  const seen = new Set<number>();
  for (const start of between.keys()) {
    // A group follows its producers; without recursion, as chains may be long.
    const stack = [start];
    while (stack.length > 0) {
      const group = stack.at(-1)!;
      const missing = seen.has(group) ? [] : [...between.get(group)!].filter((p) => !seen.has(p));
      if (missing.length > 0) stack.push(...missing);
      else {
        stack.pop();
        if (!seen.has(group)) order.push(group);
        seen.add(group);
      }
    }
  }
  return { order, producers: between };
}

function joinLevels(
  { order, producers }: Quotient,
  groups: Groups,
  isHost: (item: number) => boolean,
  target: Composite["target"],
): void {
  const levels = new Map<number, number>();
  for (const group of order) {
    const steps = [...producers.get(group)!].map(
      (from) => levels.get(from)! + (isHost(from) === isHost(group) ? 0 : 1),
    );
    levels.set(group, Math.max(0, ...steps));
  }
  for (const group of order) {
    if (isHost(group) !== (target === "host")) continue;
    for (const from of producers.get(group)!)
      if (isHost(from) === isHost(group) && levels.get(from) === levels.get(group))
        groups.join(from, group);
  }
}

function joinHosts(
  producers: readonly ReadonlySet<number>[],
  groups: Groups,
  isHost: (item: number) => boolean,
): void {
  for (;;) {
    const quotient = quotientOf(producers, groups);
    const pair = joinable(quotient, isHost);
    if (pair === undefined) return;
    groups.join(...pair);
  }
}

/** Two host groups with an edge between them, and no other way. */
function joinable(
  { order, producers }: Quotient,
  isHost: (item: number) => boolean,
): readonly [number, number] | undefined {
  for (const group of order) {
    if (!isHost(group)) continue;
    for (const from of producers.get(group)!) {
      if (isHost(from) && !hasDetour(from, group, producers)) return [from, group];
    }
  }
  return undefined;
}

function hasDetour(from: number, to: number, producers: Quotient["producers"]): boolean {
  const seen = new Set([...producers.get(to)!].filter((group) => group !== from));
  for (const group of seen) {
    for (const next of producers.get(group)!) {
      if (next === from) return true;
      seen.add(next);
    }
  }
  return false;
}
