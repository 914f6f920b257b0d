/**
 * Islands: device regions between host regions that cost more to move to and from the device than to compute where
 * their data are. They join the host. Both costs are estimated and kept.
 */
import { type Graph, isControl, type Node, type Value } from "../../ir/graph.js";
import type { DeviceMachine } from "../../target/machine.js";
import type { Composite } from "./annotate.js";
import { copySeconds, deviceSeconds, hostSeconds, launchSeconds } from "./costs.js";
import { mergeRegions, type Region } from "./merge-regions.js";
import { type Neighbours, neighboursOf } from "./pattern.js";
import type { WhyNot } from "./pattern-table.js";

/** Seconds of the two ways to run a region, each with the copies that it needs. */
export interface Estimate {
  readonly deviceSeconds: number;
  readonly deviceCopySeconds: number;
  readonly hostSeconds: number;
  readonly hostCopySeconds: number;
}

export interface Placement {
  readonly regions: readonly Region[];
  /** What the host took over, by composite. */
  readonly islands: ReadonlyMap<Composite, Estimate>;
}

/** The regions of the composites, once no island is left. */
export function placeIslands(
  graph: Graph,
  annotated: readonly Composite[],
  machine: DeviceMachine,
): Placement {
  const neighbours = neighboursOf(graph);
  const islands = new Map<Composite, Estimate>();
  let composites = annotated;
  for (;;) {
    const regions = mergeRegions(composites);
    const targets = targetsOf(composites);
    const found = new Map<Composite, Estimate>();
    for (const region of regions) {
      if (!isBetweenHosts(region, targets, neighbours)) continue;
      const estimate = estimateRegion(region, { targets, neighbours, machine });
      if (!isIsland(estimate)) continue;
      for (const composite of region.composites) found.set(composite, estimate);
    }
    if (found.size === 0) return { regions, islands };
    composites = composites.map((composite) => {
      const estimate = found.get(composite);
      if (estimate === undefined) return composite;
      const moved: Composite = { target: "host", whyNot: whyNot(estimate), nodes: composite.nodes };
      islands.set(moved, estimate);
      return moved;
    });
  }
}

function whyNot(cost: Estimate): WhyNot {
  const there = microseconds(cost.deviceSeconds + cost.deviceCopySeconds);
  const here = microseconds(cost.hostSeconds + cost.hostCopySeconds);
  return {
    reason: `an island: ${there} us on the device with copies, ${here} us here`,
    remedy: "bring its neighbours to the device",
  };
}

function microseconds(seconds: number): string {
  return (seconds * 1e6).toPrecision(2);
}

function isIsland(cost: Estimate): boolean {
  const device = cost.deviceSeconds + cost.deviceCopySeconds;
  return device > cost.hostSeconds + cost.hostCopySeconds;
}

type Targets = ReadonlyMap<Node, Composite["target"]>;

function targetsOf(composites: readonly Composite[]): Targets {
  return new Map(
    composites.flatMap(({ target, nodes }) => nodes.map((node) => [node, target] as const)),
  );
}

function nodesOf({ composites }: Region): readonly Node[] {
  return composites.flatMap(({ nodes }) => nodes);
}

/** It reads what a host region made, and a host region reads what it makes. */
function isBetweenHosts(region: Region, targets: Targets, neighbours: Neighbours): boolean {
  // What control flow costs is in its bodies, which have regions of their own.
  if (region.target === "host" || nodesOf(region).some(({ op }) => isControl(op))) return false;
  const isHost = (node: Node | undefined): boolean =>
    node !== undefined && targets.get(node) === "host";
  const nodes = nodesOf(region);
  return (
    nodes.some(({ inputs }) => inputs.some((v) => isHost(neighbours.producer.get(v)))) &&
    nodes.some(({ outputs }) => outputs.some((v) => neighbours.users.get(v)?.some(isHost)))
  );
}

interface Setting {
  readonly targets: Targets;
  readonly neighbours: Neighbours;
  readonly machine: DeviceMachine;
}

function estimateRegion(region: Region, setting: Setting): Estimate {
  const { targets, neighbours, machine } = setting;
  const nodes = nodesOf(region);
  const values = new Set(nodes.flatMap(({ inputs, outputs }) => [...inputs, ...outputs]));
  const onHost = new Map(targets);
  for (const node of nodes) onHost.set(node, "host");
  const copies = (of: Targets): number =>
    sum([...values], (value) => copyCount(value, of, neighbours) * copySeconds(value, machine));
  return {
    deviceSeconds:
      sum(nodes, (node) => deviceSeconds(node, machine)) +
      launchCount(nodes, neighbours) * launchSeconds(machine),
    deviceCopySeconds: copies(targets),
    hostSeconds: sum(nodes, (node) => hostSeconds(node, machine)),
    hostCopySeconds: copies(onHost),
  };
}

/** How often the value crosses: at most once per direction. The caller's inputs and outputs are the host's. */
function copyCount(
  value: Value,
  targets: Targets,
  { producer, users, results }: Neighbours,
): 0 | 1 {
  // Constants lie on the device from the beginning, dims come as scalars.
  if (value.data !== undefined || value.dims !== undefined) return 0;
  const maker = producer.get(value);
  const readers = (users.get(value) ?? []).map((node) => targets.get(node));
  const isOnHost = maker === undefined || targets.get(maker) === "host";
  if (isOnHost) return readers.includes("device") ? 1 : 0;
  return readers.includes("host") || results.has(value) ? 1 : 0;
}

/** Movement is absorbed by its neighbours, and a map by the only producer that it reads from. */
function launchCount(nodes: readonly Node[], { producer, users }: Neighbours): number {
  const own = new Set(nodes);
  const isCompute = (node: Node | undefined): boolean =>
    node !== undefined && own.has(node) && computing.has(node.op.kind);
  return nodes.filter((node) => {
    if (!isCompute(node)) return false;
    const isFused =
      node.op.kind === "map" &&
      node.inputs.some((v) => isCompute(producer.get(v)) && users.get(v)!.length === 1);
    return !isFused;
  }).length;
}

const computing: ReadonlySet<string> = new Set([
  "map",
  "reduce",
  "contract",
  "gather",
  "scatter",
  "scan",
]);

function sum<T>(of: readonly T[], value: (one: T) => number): number {
  return of.reduce((total, one) => total + value(one), 0);
}
