/**
 * Which ONNX node runs where, why, and what would change it. Data; `print-report.ts` makes tables of it.
 */
import type { DecisionRecord, Executable, Step } from "../isa/executable.js";
import type { Origin } from "../ir/graph.js";
import type { Model } from "../onnx/model.js";

export type Where =
  /** In kernels on the accelerator. */
  | "device"
  | "host"
  /** Parts of it in kernels, parts on the host. */
  | "both"
  /** No step of its own: known when the model was compiled, or part of how a neighbour reads or writes memory. */
  | "absorbed";

export interface NodeSupport extends Origin {
  readonly where: Where;
  /** Names of its kernels. */
  readonly kernels: readonly string[];
  /** Rows of the pattern table that took (parts of) it to the device. */
  readonly patterns: readonly string[];
  /** Why (a part of) it runs on the host. */
  readonly reason?: string;
  readonly remedy?: string;
  /** Where it could run on the device: what either way costs. */
  readonly estimate?: DecisionRecord["estimate"];
}

export interface SupportReport {
  readonly nodes: readonly NodeSupport[];
  readonly counts: { readonly [W in Where]: number };
  /** By operator, most frequent first. */
  readonly operators: readonly OperatorSupport[];
}

export interface OperatorSupport {
  readonly operator: string;
  readonly counts: { readonly [W in Where]: number };
}

/** A node of the model itself, by the name that origins have. */
export interface ModelNode extends Origin {
  /** It calls a function of the model, whose nodes are named "call/node". */
  readonly isCall: boolean;
}

export function nodesOf({ graph, functions }: Model): ModelNode[] {
  const called = new Set(functions.map(({ domain = "", name }) => `${domain}:${name}`));
  return graph.node.map(({ name, opType, domain = "", output }, i) => {
    const operator = opType ?? "";
    const fallback = output.find((text) => text !== "") ?? `${opType ?? "node"} #${i}`;
    return {
      node: name === undefined || name === "" ? fallback : name,
      operator,
      isCall: called.has(`${domain}:${operator}`),
    };
  });
}

/**
 * `nodes`: the model's nodes in its order. Without them, and for the bodies of its subgraphs, only nodes that some
 * step names can be listed. A branch, a loop and the call of a function run where their bodies do.
 */
export function supportReport(
  { programs, steps, records }: Pick<Executable, "programs" | "steps" | "records">,
  nodes: readonly ModelNode[] = [],
): SupportReport {
  const calls = new Set(nodes.filter(({ isCall }) => isCall).map(({ node }) => node));
  const shares = new Map<string, NodeShare>();
  const shareOf = (origin: Origin): NodeShare => {
    const share = shares.get(origin.node) ?? { origin, kernels: new Set(), onHost: new Set() };
    shares.set(origin.node, share);
    return share;
  };
  const visit = (step: Step, around: readonly Origin[]): void => {
    if (step.kind === "launch") {
      const { name } = programs[step.program]!;
      for (const origin of step.origins.flat()) {
        for (const one of withCalls(origin, calls)) shareOf(one).kernels.add(name);
      }
      for (const holder of around) shareOf(holder).kernels.add(name);
    } else if (step.kind === "host") {
      for (const origin of step.graph.nodes.flatMap((node) => node.origins)) {
        for (const one of [...withCalls(origin, calls), ...around]) {
          shareOf(one).onHost.add(origin.node);
        }
      }
    } else if (step.kind === "if" || step.kind === "loop") {
      const within = [...around, ...step.origins.flatMap((origin) => withCalls(origin, calls))];
      for (const inner of step.bodies.flat()) visit(inner, within);
    }
  };
  for (const step of steps) visit(step, []);
  const decisions = decisionsOf(records);
  const listed = new Set(nodes.map(({ node }) => node));
  const others = [...shares.values()].filter(({ origin }) => !listed.has(origin.node));
  const all = [...nodes, ...others.map(({ origin }) => origin)].map(({ node, operator }) => {
    const origin = { node, operator };
    return supportOf({ ...shareOf(origin), origin }, decisions);
  });
  return { nodes: all, counts: countsOf(all), operators: operatorsOf(all) };
}

/** What steps do for a node. */
interface NodeShare {
  readonly origin: Origin;
  /** Names. */
  readonly kernels: Set<string>;
  /** Itself, or nodes of its body. */
  readonly onHost: Set<string>;
}

/** The node and the calls of functions, "outer" of "outer/inner", that it stands in. */
function withCalls(origin: Origin, calls: ReadonlySet<string>): readonly Origin[] {
  if (calls.size === 0) return [origin];
  const parts = origin.node.split("/");
  const around = parts.map((_, i) => parts.slice(0, i).join("/")).filter((name) => calls.has(name));
  return [origin, ...around.map((node) => ({ node, operator: "" }))];
}

interface Decisions {
  readonly patterns: ReadonlyMap<string, readonly string[]>;
  readonly host: ReadonlyMap<string, DecisionRecord>;
}

function decisionsOf(records: readonly DecisionRecord[]): Decisions {
  const patterns = new Map<string, string[]>();
  const host = new Map<string, DecisionRecord>();
  for (const record of records) {
    for (const { node } of record.origins) {
      if (record.what === "host") host.set(node, record);
      if (record.what === "device") {
        const known = patterns.get(node) ?? [];
        if (!known.includes(record.why)) patterns.set(node, [...known, record.why]);
      }
    }
  }
  return { patterns, host };
}

function supportOf(
  { origin, kernels, onHost }: NodeShare,
  { patterns, host }: Decisions,
): NodeSupport {
  const base = { ...origin, kernels: [...kernels], patterns: patterns.get(origin.node) ?? [] };
  if (onHost.size === 0) return { ...base, where: kernels.size > 0 ? "device" : "absorbed" };
  const record = [origin.node, ...onHost].map((node) => host.get(node)).find((r) => r);
  const { why = "", remedy, estimate } = record ?? {};
  return {
    ...base,
    where: kernels.size > 0 ? "both" : "host",
    reason: why,
    ...(remedy === undefined ? {} : { remedy }),
    ...(estimate === undefined ? {} : { estimate }),
  };
}

function countsOf(nodes: readonly NodeSupport[]): SupportReport["counts"] {
  const counts = { device: 0, host: 0, both: 0, absorbed: 0 };
  for (const { where } of nodes) counts[where]++;
  return counts;
}

function operatorsOf(nodes: readonly NodeSupport[]): OperatorSupport[] {
  const groups = new Map<string, NodeSupport[]>();
  for (const node of nodes) groups.set(node.operator, [...(groups.get(node.operator) ?? []), node]);
  return [...groups]
    .sort(([a, x], [b, y]) => y.length - x.length || (a < b ? -1 : 1))
    .map(([operator, own]) => ({ operator, counts: countsOf(own) }));
}
