/** Where the simulated time went: the whole, and kernel by kernel with the ONNX operators that it stands for. */
import type { KernelReport, Report } from "../analysis/report.js";
import { print, printTable } from "./output.js";

/** Launches of one program, summed up. */
export interface KernelShare {
  readonly kernel: string;
  readonly operators: readonly string[];
  readonly launches: number;
  /** With the fixed cost of launches. */
  readonly cycles: number;
  /** Of the device's cycles. */
  readonly share: number;
  /** What keeps the longest of the launches from being faster. */
  readonly bound: string;
}

/** The longest first. */
export function kernelShares({ kernels, cycles }: Report): readonly KernelShare[] {
  const byName = new Map<string, readonly KernelReport[]>();
  for (const kernel of kernels) {
    byName.set(kernel.name, [...(byName.get(kernel.name) ?? []), kernel]);
  }
  return [...byName]
    .map(([kernel, launches]) => {
      const sum = launches.reduce((all, launch) => all + cyclesOf(launch), 0);
      const longest = launches.reduce((a, b) => (cyclesOf(b) > cyclesOf(a) ? b : a));
      const nodes = launches.flatMap(({ roles }) => roles.flatMap((role) => role.nodes));
      return {
        kernel,
        operators: [...new Set(nodes.map((node) => node.operator))],
        launches: launches.length,
        cycles: sum,
        share: sum / cycles.device,
        bound: longest.bound.by,
      };
    })
    .sort((a, b) => b.cycles - a.cycles);
}

function cyclesOf({ cycles, launchCycles }: KernelReport): number {
  return cycles + launchCycles;
}

/** So many kernels are listed; the rest is summed up. */
const listedMax = 12;

export function printTiming(report: Report, rowsMax = listedMax): void {
  const shares = kernelShares(report);
  if (shares.length === 0) return;
  const rows = shares
    .slice(0, rowsMax)
    .map((k) => [k.kernel, listText(k.operators), k.launches, k.cycles, percent(k.share), k.bound]);
  const others = shares.slice(rowsMax);
  if (others.length > 0) {
    const sum = (of: (k: KernelShare) => number) => others.reduce((all, k) => all + of(k), 0);
    const [launches, cycles] = [sum((k) => k.launches), sum((k) => k.cycles)];
    rows.push([`${others.length} others`, "", launches, cycles, percent(sum((k) => k.share)), ""]);
  }
  printTable(["kernel", "operators", "launches", "cycles", "share", "bound by"], rows);
  print(`\n${totalsText(report)}`);
}

function totalsText({ cycles, seconds, utilisation, energy }: Report): string {
  const { tensor, vector, memory } = utilisation;
  return [
    `${cycles.device.toLocaleString("en")} cycles on the device, ${timeText(seconds.device)}, of them ` +
      `${percent(cycles.launches / cycles.device)} for launches; with copies and the host ${timeText(seconds.total)}`,
    `of what it could do: tensor engines ${percent(tensor)}, vector engines ${percent(vector)}, ` +
      `memory ${percent(memory)}; ${energy.watts.toPrecision(3)} W`,
  ].join("\n");
}

const operatorsMax = 4;

function listText(names: readonly string[]): string {
  const shown = names.slice(0, operatorsMax).join(", ");
  return names.length > operatorsMax ? `${shown}, ..` : shown;
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

export function timeText(seconds: number): string {
  if (seconds >= 1) return `${seconds.toPrecision(4)} s`;
  if (seconds >= 1e-3) return `${(seconds * 1e3).toPrecision(4)} ms`;
  return `${(seconds * 1e6).toPrecision(4)} us`;
}
