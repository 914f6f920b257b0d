/**
 * Phase 3: what runs where. A node runs on the device if every type it touches is one of the device's and its
 * operation has a kernel; the rest runs on the host, with the reason. Host nodes in a row become one region, an
 * external function that the runtime evaluates between launches.
 */
import { deviceDTypes, dtypes } from "../../numerics/dtype.js";
import type { Graph, Node, Origin, Value } from "../../ir/graph.js";

export interface PartitionedGraph {
  readonly graph: Graph;
  /** Body of each host region, by the node that stands for it. */
  readonly regions: ReadonlyMap<Node, HostRegion>;
}

export interface HostRegion {
  readonly body: Graph;
  readonly reasons: readonly { readonly origins: readonly Origin[]; readonly reason: string }[];
}

/** Dims that transfers and vecs can walk; more of them need merging that data-dependent indices forbid. */
const indexedRankMax = 4;

export function partition(graph: Graph): PartitionedGraph {
  const reasons = new Map<Node, string>();
  for (const node of graph.nodes) {
    const reason = whyHost(node);
    if (reason !== undefined) reasons.set(node, reason);
  }
  if (reasons.size === 0) return { graph, regions: new Map() };
  return cutRegions(graph, reasons);
}

/** Why a node cannot run on the device; undefined if it can. */
export function whyHost(node: Node): string | undefined {
  const { op } = node;
  if (op.kind === "host") return op.reason;
  if (op.kind === "map" && op.encode !== undefined)
    return "the device rounds to fp8 with saturation only";
  for (const value of [...node.inputs, ...node.outputs]) {
    if (value.unknownShape) return `the shape of "${value.name}" depends on data`;
    const isScalar = value.dims !== undefined && value.dims.length <= 1;
    if (!deviceDTypes.some((dtype) => dtype === value.dtype) && !isScalar) {
      return `the device has no ${value.dtype} ("${value.name}")`;
    }
  }
  const packed = node.outputs.find(({ dtype }) => dtypes[dtype].bits < 8);
  if (packed !== undefined) {
    return `the device reads ${packed.dtype} but stores none ("${packed.name}"): two elements share a byte`;
  }
  if (
    (op.kind === "gather" || op.kind === "scatter") &&
    node.outputs[0]!.shape.length > indexedRankMax
  ) {
    return `${op.kind} with more than ${indexedRankMax} dimensions`;
  }
  return undefined;
}

/** Runs of host nodes in the order of the graph, each cut out as a graph of its own. */
function cutRegions(graph: Graph, reasons: ReadonlyMap<Node, string>): PartitionedGraph {
  const nodes: Node[] = [];
  const regions = new Map<Node, HostRegion>();
  const used = usedLater(graph);
  let run: Node[] = [];
  const flush = (): void => {
    if (run.length === 0) return;
    const { node, region } = makeRegion(graph, run, reasons, used);
    regions.set(node, region);
    nodes.push(node);
    run = [];
  };
  for (const node of graph.nodes) {
    if (reasons.has(node)) {
      run.push(node);
      continue;
    }
    // A device node that the run does not feed can go before it; one that it feeds ends the run.
    const feeds = run.some((host) => host.outputs.some((v) => node.inputs.includes(v)));
    if (feeds) flush();
    else if (run.length > 0) {
      const later = run.some((host) => host.inputs.some((v) => node.outputs.includes(v)));
      if (later) flush();
    }
    nodes.push(node);
  }
  flush();
  return { graph: { ...graph, nodes: orderNodes(nodes) }, regions };
}

/** Values that something outside a given node list reads. */
function usedLater(graph: Graph): Map<Value, Node[]> {
  const uses = new Map<Value, Node[]>();
  for (const node of graph.nodes) {
    for (const input of node.inputs) uses.set(input, [...(uses.get(input) ?? []), node]);
  }
  return uses;
}

function makeRegion(
  graph: Graph,
  run: readonly Node[],
  reasons: ReadonlyMap<Node, string>,
  uses: ReadonlyMap<Value, readonly Node[]>,
): { node: Node; region: HostRegion } {
  const made = new Set(run.flatMap((node) => node.outputs));
  const inputs = new Set(
    run
      .flatMap((node) => node.inputs)
      .filter((v) => !made.has(v) && v.data === undefined && v.dims === undefined),
  );
  const results = new Set(graph.outputs.map((o) => o.value));
  const outputs = [...made].filter(
    (v) => results.has(v) || (uses.get(v) ?? []).some((user) => !run.includes(user)),
  );
  const first = run[0]!;
  const origins = [...new Set(run.flatMap((node) => node.origins))];
  const body: Graph = {
    name: `host.${first.outputs[0]!.name}`,
    symbols: graph.symbols,
    inputs: [...inputs],
    outputs: outputs.map((value) => ({ name: value.name, value })),
    nodes: run,
  };
  const node: Node = {
    op: {
      kind: "host",
      reason: reasons.get(first)!,
      node: {
        name: body.name,
        operator: "HostRegion",
        domain: "lightloom",
        opset: 1,
        attributes: new Map(),
        inputNames: body.inputs.map((v) => v.name),
        outputNames: outputs.map((v) => v.name),
      },
    },
    inputs: body.inputs,
    outputs,
    origins,
  };
  const why = run.map((host) => ({ origins: host.origins, reason: reasons.get(host)! }));
  return { node, region: { body, reasons: why } };
}

/** The nodes with every producer before its readers; otherwise as they were. */
function orderNodes(nodes: readonly Node[]): Node[] {
  const producers = new Map<Value, Node>();
  for (const node of nodes) for (const output of node.outputs) producers.set(output, node);
  const ordered: Node[] = [];
  const state = new Set<Node>();
  const visit = (node: Node): void => {
    if (state.has(node)) return;
    state.add(node);
    for (const input of node.inputs) {
      const producer = producers.get(input);
      if (producer !== undefined) visit(producer);
    }
    ordered.push(node);
  };
  nodes.forEach(visit);
  return ordered;
}
