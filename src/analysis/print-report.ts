/** A report as tables for people. */
import type { Origin } from "../ir/graph.js";
import { energyParts, totalEnergy } from "../sim/timing/energy.js";
import { macsOf, type Tally } from "../sim/timing/tally.js";
import type { KernelReport, Report } from "./report.js";
import { macTypes } from "./roofline.js";
import type { NodeSupport, SupportReport } from "./support.js";
import {
  bytesText,
  type Cell,
  colourStyle,
  percentText,
  plainStyle,
  scaledText,
  secondsText,
  type Style,
  tableText,
} from "./tables.js";

export interface PrintOptions {
  readonly color?: boolean;
  /** Kernels listed, those that take longest; default all, in the order of the schedule. */
  readonly kernelsMax?: number;
}

const cellWidthMax = 60;

export function printReport(report: Report, options: PrintOptions = {}): string {
  const style = options.color === true ? colourStyle : plainStyle;
  const sections = [
    headText(report, style),
    timeText(report, style),
    kernelsText(report, style, options.kernelsMax),
    regionsText(report, style),
    memoryText(report, style),
    energyText(report, style),
    supportText(report.support, style),
    recordsText(report, style),
  ];
  return `${sections.filter((section) => section !== "").join("\n\n")}\n`;
}

export function printSupport(support: SupportReport, options: PrintOptions = {}): string {
  const style = options.color === true ? colourStyle : plainStyle;
  // Some exporters write every weight as a node, which would hide the others.
  const listed = support.nodes.filter((node) => !isPlainConstant(node));
  const rows = listed.map(({ node, operator, where, kernels, reason, remedy }): Cell[] => [
    node,
    operator,
    whereText[where],
    reason ?? (where === "absorbed" ? absorbedText : kernels.join(", ")),
    remedy ?? "",
  ]);
  const nodes = table(
    ["node", "operator", "runs", "in, or why there", "what would help"],
    rows,
    style,
  );
  const left = support.nodes.length - listed.length;
  const constants = left === 0 ? "" : `\nand Constants that are known when compiled: ${left}`;
  return `${nodes}${constants}\n\n${supportText(support, style)}\n`;
}

function isPlainConstant({ operator, where }: NodeSupport): boolean {
  return operator === "Constant" && where === "absorbed";
}

const whereText = {
  device: "accelerator",
  host: "host",
  both: "both",
  absorbed: "no step",
} as const;

const absorbedText = "known when compiled, or part of a neighbour's access";

function table(head: readonly string[], rows: readonly (readonly Cell[])[], style: Style): string {
  return tableText(head, rows, { style, widthMax: cellWidthMax });
}

function titled(title: string, text: string, style: Style): string {
  return `${style.bold(title)}\n${text}`;
}

function headText(report: Report, style: Style): string {
  const { model, machine, seconds, utilisation, bindings, tally } = report;
  const symbols = Object.entries(bindings).map(([name, value]) => `${name} = ${value}`);
  const lines = [
    `${style.bold(model)} on ${machine.name}${symbols.length > 0 ? `, ${symbols.join(", ")}` : ""}`,
    `${secondsText(seconds.total)} in all, ${secondsText(seconds.device)} on the accelerator: ` +
      `${percentText(utilisation.tensor)} of tensor, ${percentText(utilisation.vector)} of vector ` +
      `and ${percentText(utilisation.memory)} of memory peak`,
    macsText(tally),
  ];
  return lines.join("\n");
}

/** In which precision how much was multiplied. */
function macsText(tally: Tally): string {
  const parts = macTypes
    .filter(([, field]) => tally[field] > 0)
    .map(([type, field]) => `${scaledText(tally[field], "")} in ${type}`);
  return parts.length === 0
    ? "no multiply-accumulates"
    : `multiply-accumulates: ${parts.join(", ")}`;
}

function timeText({ cycles, machine, kernels }: Report, style: Style): string {
  const rows = (
    [
      [`kernels (${kernels.length})`, cycles.kernels],
      ["launches", cycles.launches],
      ["host regions (estimated)", cycles.host],
      ["copies (estimated)", cycles.copies],
      ["inputs to the device (estimated)", cycles.inputs],
      ["outputs to the host (estimated)", cycles.outputs],
      ["total", cycles.total],
    ] as const
  ).map(([name, n]): Cell[] => [
    name,
    n,
    secondsText(n / machine.frequencyHz),
    percentText(cycles.total === 0 ? 0 : n / cycles.total),
  ]);
  return titled("Time", table(["part", "cycles", "time", "share"], rows, style), style);
}

function kernelsText({ kernels, machine }: Report, style: Style, kernelsMax?: number): string {
  if (kernels.length === 0) return "";
  const longest = [...kernels].sort((a, b) => b.cycles - a.cycles).slice(0, kernelsMax);
  const shown = kernelsMax === undefined ? kernels : longest;
  const rows = shown.map((kernel) => kernelRow(kernel, machine.frequencyHz));
  const head = [
    "step",
    "kernel",
    "nodes",
    "cycles",
    "share",
    "bound by",
    "busy",
    "read",
    "written",
    "tensor",
    "memory",
    "runs",
    "ops/B",
    "ops/s",
    "of roofline",
  ];
  const text = table(head, rows, style);
  const rest = kernels.length - shown.length;
  const more = rest > 0 ? `\n${style.dim(`and ${rest} that take less`)}` : "";
  return titled("Kernels", `${text}${more}`, style);
}

function kernelRow(kernel: KernelReport, frequencyHz: number): Cell[] {
  const { tally, utilisation, roofline, bound } = kernel;
  return [
    kernel.step,
    kernel.launches === 1 ? kernel.name : `${kernel.name} x${kernel.launches}`,
    nodesText(kernel.roles.flatMap(({ nodes }) => nodes)),
    kernel.cycles,
    percentText(kernel.share),
    bound.by,
    percentText(bound.fraction),
    bytesText(tally.loadedBytes),
    bytesText(tally.storedBytes),
    macsOf(tally) === 0 ? "-" : percentText(utilisation.tensor),
    percentText(utilisation.memory),
    percentText(kernel.runEfficiency),
    roofline.intensity?.toPrecision(3) ?? "-",
    scaledText(roofline.reached * frequencyHz, ""),
    percentText(roofline.efficiency),
  ];
}

/** `Conv_0 +2`: the first of distinct nodes, and how many more. */
function nodesText(nodes: readonly Origin[]): string {
  const names = [...new Set(nodes.map(({ node }) => node))];
  if (names.length === 0) return "";
  return names.length === 1 ? names[0]! : `${names[0]} +${names.length - 1}`;
}

function regionsText({ regions, machine }: Report, style: Style): string {
  if (regions.length === 0) return "";
  const rows = regions.map((region): Cell[] => [
    region.step,
    nodesText(region.nodes),
    region.reason,
    bytesText(region.bytesIn),
    bytesText(region.bytesOut),
    secondsText(region.cycles / machine.frequencyHz),
    secondsText(region.copyCycles / machine.frequencyHz),
  ]);
  const head = ["step", "nodes", "why", "in", "out", "time", "copies"];
  return titled("Host regions", table(head, rows, style), style);
}

function memoryText({ memory }: Report, style: Style): string {
  const kinds = ["input", "output", "constant", "temporary"] as const;
  const rows = kinds.map((kind): Cell[] => [
    `${kind}s`.replace("temporarys", "temporaries"),
    memory.buffers.filter((buffer) => buffer.kind === kind).length,
    bytesText(memory.bytesByKind[kind]),
  ]);
  const peak =
    `${bytesText(memory.allocatedBytes)} of ${bytesText(memory.capacityBytes)} allocated; ` +
    `${bytesText(memory.peakBytes)} in use at most, at step ${memory.peakStep}`;
  return titled("Memory", `${table(["kind", "buffers", "size"], rows, style)}\n${peak}`, style);
}

function energyText({ energy }: Report, style: Style): string {
  const total = totalEnergy(energy.parts);
  const rows = energyParts.map((part): Cell[] => [
    part,
    scaledText(energy.parts[part] * 1e-12, "J"),
    percentText(total === 0 ? 0 : energy.parts[part] / total),
  ]);
  const sum = `${scaledText(energy.joules, "J")}, ${scaledText(energy.watts, "W")} on average`;
  return titled("Energy", `${table(["part", "energy", "share"], rows, style)}\n${sum}`, style);
}

function supportText({ counts, operators, nodes }: SupportReport, style: Style): string {
  if (nodes.length === 0) return "";
  const rows = operators.map(({ operator, counts: own }): Cell[] => [
    operator,
    own.device,
    own.both,
    own.host,
    own.absorbed,
  ]);
  const head = ["operator", "accelerator", "both", "host", "no step"];
  const sum =
    `${counts.device} of ${nodes.length} nodes on the accelerator, ${counts.host} on the host, ` +
    `${counts.both} on both, ${counts.absorbed} without a step of their own`;
  return titled("Nodes", `${table(head, rows, style)}\n${sum}`, style);
}

function recordsText({ records }: Report, style: Style): string {
  if (records.length === 0) return "";
  const groups = new Map<
    string,
    { readonly what: string; readonly why: string; nodes: Origin[] }
  >();
  for (const { what, why, origins } of records) {
    const key = `${what} ${why}`;
    const group = groups.get(key) ?? { what, why, nodes: [] };
    group.nodes.push(...origins);
    groups.set(key, group);
  }
  const rows = [...groups.values()].map(({ what, why, nodes }): Cell[] => [
    what,
    why,
    nodesText(nodes),
  ]);
  return titled("Decisions", table(["what", "why", "nodes"], rows, style), style);
}
