/**
 * Which ONNX node runs where, why, and what would change it. Data; `print-report.ts` makes tables of it.
 */
import { type DecisionRecord, everyStep, type Executable } from "../isa/executable.js";
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

/** The nodes of a model by the names that origins have. */
export function nodesOf(model: Model): Origin[] {
  return model.graph.node.map(({ name, opType, output }, i) => {
    const operator = opType ?? "";
    const fallback = output.find((text) => text !== "") ?? `${opType ?? "node"} #${i}`;
    return { node: name === undefined || name === "" ? fallback : name, operator };
  });
}

/**
 * `nodes`: the model's nodes in its order. Without them, and for the bodies of its subgraphs, only nodes that some
 * step names can be listed.
 */
export function supportReport(
  executable: Pick<Executable, "programs" | "steps" | "records">,
  nodes: readonly Origin[] = [],
): SupportReport {
  const kernels = new Map<string, Set<string>>();
  const onHost = new Map<string, DecisionRecord | undefined>();
  const named = new Map<string, Origin>();
  for (const step of everyStep(executable.steps)) {
    if (step.kind === "launch") {
      const { name } = executable.programs[step.program]!;
      for (const origin of step.origins.flat()) {
        named.set(origin.node, origin);
        kernels.set(origin.node, (kernels.get(origin.node) ?? new Set()).add(name));
      }
    } else if (step.kind === "host") {
      for (const origin of step.graph.nodes.flatMap((node) => node.origins)) {
        named.set(origin.node, origin);
        onHost.set(origin.node, undefined);
      }
    }
  }
  const patterns = new Map<string, Set<string>>();
  for (const record of executable.records) {
    for (const { node } of record.origins) {
      if (record.what === "host" && onHost.has(node)) onHost.set(node, record);
      if (record.what === "device")
        patterns.set(node, (patterns.get(node) ?? new Set()).add(record.why));
    }
  }
  for (const { node } of nodes) named.delete(node);
  const all = [...nodes, ...named.values()].map((origin): NodeSupport => {
    const own = [...(kernels.get(origin.node) ?? [])];
    const base = { ...origin, kernels: own, patterns: [...(patterns.get(origin.node) ?? [])] };
    if (!onHost.has(origin.node)) return { ...base, where: own.length > 0 ? "device" : "absorbed" };
    const { why = "", remedy, estimate } = onHost.get(origin.node) ?? {};
    return {
      ...base,
      where: own.length > 0 ? "both" : "host",
      reason: why,
      ...(remedy === undefined ? {} : { remedy }),
      ...(estimate === undefined ? {} : { estimate }),
    };
  });
  return { nodes: all, counts: countsOf(all), operators: operatorsOf(all) };
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
