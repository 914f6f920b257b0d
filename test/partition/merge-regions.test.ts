/**
 * Regions on random graphs, held against a checker that knows nothing of levels: it asks for every pair of nodes
 * whether a path joins them.
 */
import { describe, expect, it } from "vitest";
import type { Composite } from "../../src/compiler/3-partition/annotate.js";
import { mergeRegions, type Region } from "../../src/compiler/3-partition/merge-regions.js";
import type { Node, Value } from "../../src/ir/graph.js";
import { Random } from "../support/random.js";

type Target = Composite["target"];

/** Composites of one node each: node i reads the results of `edges[i]`, all of them earlier ones. */
function compositesOf(targets: readonly Target[], edges: readonly (readonly number[])[]) {
  const results = targets.map((_, i): Value => ({ name: `v${i}`, dtype: "f32", shape: [4] }));
  return targets.map((target, i): Composite => {
    const node: Node = {
      op: { kind: "reshape" },
      inputs: edges[i]!.map((from) => results[from]!),
      outputs: [results[i]!],
      origins: [],
    };
    return target === "host"
      ? { target, whyNot: { reason: "asked for" }, nodes: [node] }
      : { target, pattern: "lightloom.movement", nodes: [node] };
  });
}

function randomDag(seed: number) {
  const random = new Random(seed);
  const size = random.integer(1, 24);
  const hosts = random.integer(1, 9);
  const targets = Array.from({ length: size }, (): Target => {
    return random.integer(0, 9) < hosts ? "host" : "device";
  });
  const edges = targets.map((_, i) => {
    const count = i === 0 ? 0 : random.integer(0, Math.min(3, i));
    return Array.from({ length: count }, () => random.integer(0, i - 1));
  });
  return { targets, edges };
}

/** reaches[a][b]: a path of at least one edge leads from a to b. */
function reachability(edges: readonly (readonly number[])[]): boolean[][] {
  const reaches = edges.map(() => edges.map(() => false));
  edges.forEach((from, to) => from.forEach((a) => (reaches[a]![to] = true)));
  for (let k = 0; k < edges.length; k++)
    for (let a = 0; a < edges.length; a++)
      for (let b = 0; b < edges.length; b++)
        if (reaches[a]![k] && reaches[k]![b]) reaches[a]![b] = true;
  return reaches;
}

/** The graph in which each set is one node: edges between different sets. */
function collapsed(edges: readonly (readonly number[])[], setOf: readonly number[], sets: number) {
  const between = Array.from({ length: sets }, () => new Set<number>());
  edges.forEach((from, to) => {
    for (const a of from) if (setOf[a] !== setOf[to]) between[setOf[to]!]!.add(setOf[a]!);
  });
  return between.map((own) => [...own]);
}

function isAcyclic(edges: readonly (readonly number[])[]): boolean {
  return reachability(edges).every((row, i) => !row[i]);
}

function problems(
  composites: readonly Composite[],
  edges: readonly (readonly number[])[],
  regions: readonly Region[],
): string[] {
  const found: string[] = [];
  const regionOf = composites.map((c) => regions.findIndex((r) => r.composites.includes(c)));
  const total = regions.reduce((n, region) => n + region.composites.length, 0);
  if (total !== composites.length || regionOf.includes(-1)) found.push("not every node once");
  for (const { target, composites: own } of regions)
    if (own.some((composite) => composite.target !== target)) found.push("targets mixed");
  if (!isAcyclic(collapsed(edges, regionOf, regions.length))) found.push("a cycle of regions");
  // No two neighbouring host regions could have been one.
  const hosts = regions.flatMap(({ target }, i) => (target === "host" ? [i] : []));
  for (const a of hosts) {
    for (const b of hosts) {
      const touch = edges.some((from, to) => {
        return regionOf[to] === b && from.some((x) => regionOf[x] === a);
      });
      if (a === b || !touch) continue;
      // Device nodes stand for themselves: only host regions are cut out.
      const sets = composites.map((composite, i) => {
        return composite.target === "device" ? regions.length + i : regionOf[i]!;
      });
      const joined = sets.map((set) => (set === b ? a : set));
      const size = regions.length + composites.length;
      if (isAcyclic(collapsed(edges, joined, size))) found.push(`regions ${a} and ${b} are apart`);
    }
  }
  return found;
}

describe("regions of random graphs", () => {
  for (let start = 0; start < 600; start += 100) {
    it(`seeds ${start} to ${start + 99}`, () => {
      for (let seed = start; seed < start + 100; seed++) {
        const { targets, edges } = randomDag(seed);
        const composites = compositesOf(targets, edges);
        expect(problems(composites, edges, mergeRegions(composites)), `seed ${seed}`).toEqual([]);
      }
    });
  }
});

describe("regions", () => {
  const sizes = (targets: readonly Target[], edges: readonly (readonly number[])[]) =>
    mergeRegions(compositesOf(targets, edges)).map((region) => [
      region.target,
      region.composites.length,
    ]);

  it("do not swallow what runs in between", () => {
    expect(sizes(["host", "device", "host"], [[], [0], [0, 1]])).toEqual([
      ["host", 1],
      ["device", 1],
      ["host", 1],
    ]);
  });

  it("wait for a later one rather than be two", () => {
    expect(sizes(["host", "device", "host"], [[], [], [0, 1]])).toEqual([
      ["host", 2],
      ["device", 1],
    ]);
  });

  it("leave the device whole beside a host node that it does not wait for", () => {
    expect(sizes(["device", "host", "device", "device"], [[], [0], [0], [2]])).toEqual([
      ["device", 3],
      ["host", 1],
    ]);
  });

  it("of long chains take no deep recursion", () => {
    const length = 20_000;
    const edges = Array.from({ length }, (_, i) => (i === 0 ? [] : [i - 1]));
    expect(sizes(new Array<Target>(length).fill("host"), edges)).toEqual([["host", length]]);
  });
});

describe("the checker", () => {
  const edges = [[], [0], [0, 1]];
  const composites = compositesOf(["host", "device", "host"], edges);

  it("sees a cycle", () => {
    const regions: Region[] = [
      { target: "host", composites: [composites[0]!, composites[2]!] },
      { target: "device", composites: [composites[1]!] },
    ];
    expect(problems(composites, edges, regions)).toContain("a cycle of regions");
  });

  it("sees what could be one", () => {
    const chain = compositesOf(["host", "host"], [[], [0]]);
    const regions = chain.map((own): Region => ({ target: "host", composites: [own] }));
    expect(problems(chain, [[], [0]], regions)).toEqual(["regions 0 and 1 are apart"]);
  });
});
