/**
 * Phase 3: what runs where, in the steps and words of TVM's BYOC. The pattern table makes composites, annotation gives
 * each a target, composites of one target merge into regions, islands join the host, and every region for the host is
 * cut out as an external function that the runtime calls between launches.
 */
import { mapBodies } from "../../ir/control.js";
import type { Graph, Node, Origin, Value } from "../../ir/graph.js";
import type { DecisionRecord } from "../../isa/executable.js";
import type { DeviceMachine } from "../../target/machine.js";
import { annotate, type Composite } from "./annotate.js";
import { type Estimate, placeIslands } from "./islands.js";
import type { Region } from "./merge-regions.js";
import { neighboursOf, type Neighbours } from "./pattern.js";

export interface PartitionedGraph {
  readonly graph: Graph;
  /** Body of each host region, by the name of the node that stands for it. */
  readonly regions: ReadonlyMap<string, HostRegion>;
  /** Where every node went, and why. */
  readonly records: readonly DecisionRecord[];
}

export interface HostRegion {
  readonly body: Graph;
}

/** Bodies of control flow are cut for themselves. `path` keeps their regions apart. */
export function partition(given: Graph, machine: DeviceMachine, path = "host"): PartitionedGraph {
  const inner: PartitionedGraph[] = [];
  const graph = mapBodies(given, (body) => {
    const parts = partition(body, machine, `${path}_${inner.length}`);
    inner.push(parts);
    return parts.graph;
  });
  const { regions, islands } = placeIslands(graph, annotate(graph), machine);
  const hostRegions = regions.filter(({ target }) => target === "host");
  const cut = cutRegions(graph, hostRegions, path);
  return {
    graph: hostRegions.length === 0 ? graph : cut.graph,
    regions: new Map([cut, ...inner].flatMap((parts) => [...parts.regions])),
    records: [
      ...regions.flatMap((region) => recordsOf(region, islands)),
      ...inner.flatMap((parts) => parts.records),
    ],
  };
}

/** The graph with one node in place of each region. */
function cutRegions(
  graph: Graph,
  regions: readonly Region[],
  path: string,
): Pick<PartitionedGraph, "graph" | "regions"> {
  const neighbours = neighboursOf(graph);
  const bodies = new Map<string, HostRegion>();
  const standIns = new Map<Node, Node>();
  for (const region of regions) {
    const members = new Set(region.composites.flatMap(({ nodes }) => nodes));
    const body = bodyOf(graph, members, neighbours, path);
    const node = callOf(body, region);
    bodies.set(body.name, { body });
    for (const member of members) standIns.set(member, node);
  }
  const nodes = [...new Set(graph.nodes.map((node) => standIns.get(node) ?? node))];
  return { graph: { ...graph, nodes: producersFirst(nodes) }, regions: bodies };
}

function bodyOf(
  graph: Graph,
  members: ReadonlySet<Node>,
  { users, results }: Neighbours,
  path: string,
): Graph {
  const nodes = graph.nodes.filter((node) => members.has(node));
  const made = new Set(nodes.flatMap((node) => node.outputs));
  const isGiven = (v: Value): boolean =>
    !made.has(v) && v.data === undefined && v.dims === undefined;
  const isRead = (v: Value): boolean =>
    results.has(v) || (users.get(v) ?? []).some((user) => !members.has(user));
  return {
    name: `${path}.${nodes[0]!.outputs[0]!.name}`,
    symbols: graph.symbols,
    inputs: [...new Set(nodes.flatMap((node) => node.inputs))].filter(isGiven),
    outputs: [...made].filter(isRead).map((value) => ({ name: value.name, value })),
    nodes,
  };
}

/** The call of an external function: what the body reads goes in, what others read of it comes out. */
function callOf(body: Graph, { composites }: Region): Node {
  const [first] = composites;
  return {
    op: {
      kind: "host",
      reason: first?.target === "host" ? first.whyNot.reason : "",
      node: {
        name: body.name,
        operator: "HostRegion",
        domain: "lightloom",
        opset: 1,
        attributes: new Map(),
        inputNames: body.inputs.map((value) => value.name),
        outputNames: body.outputs.map(({ name }) => name),
      },
    },
    inputs: body.inputs,
    outputs: body.outputs.map(({ value }) => value),
    origins: originsOf(body.nodes),
  };
}

/**
 * The nodes with every producer before its readers; otherwise as they were. Without recursion: a region's first node may
 * stand before all of a long model that its last one reads.
 */
function producersFirst(nodes: readonly Node[]): Node[] {
  const producers = new Map<Value, Node>();
  for (const node of nodes) for (const output of node.outputs) producers.set(output, node);
  const ordered = new Set<Node>();
  for (const node of nodes) {
    const open = [{ node, next: 0 }];
    while (open.length > 0) {
      const top = open.at(-1)!;
      const input = ordered.has(top.node) ? undefined : top.node.inputs[top.next++];
      if (input === undefined) {
        ordered.add(top.node);
        open.pop();
        continue;
      }
      const producer = producers.get(input);
      if (producer !== undefined && !ordered.has(producer)) open.push({ node: producer, next: 0 });
    }
  }
  return [...ordered];
}

/** One per reason of a host region, one per pattern of a device region. */
function recordsOf(
  { composites }: Region,
  islands: ReadonlyMap<Composite, Estimate>,
): DecisionRecord[] {
  const byDecision = new Map<string, { readonly first: Composite; readonly nodes: Node[] }>();
  for (const composite of composites) {
    const key = composite.target === "host" ? `host ${composite.whyNot.reason}` : composite.pattern;
    const known = byDecision.get(key);
    if (known === undefined) byDecision.set(key, { first: composite, nodes: [...composite.nodes] });
    else known.nodes.push(...composite.nodes);
  }
  return [...byDecision.values()].map(({ first, nodes }): DecisionRecord => {
    const origins = originsOf(nodes);
    if (first.target === "device") return { what: "device", why: first.pattern, origins };
    const { reason, remedy } = first.whyNot;
    const estimate = islands.get(first);
    return {
      what: "host",
      why: reason,
      origins,
      ...(remedy === undefined ? {} : { remedy }),
      ...(estimate === undefined ? {} : { estimate }),
    };
  });
}

function originsOf(nodes: readonly Node[]): Origin[] {
  return [...new Set(nodes.flatMap((node) => node.origins))];
}
