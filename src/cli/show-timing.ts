/** Where the simulated time went: the whole, and kernel by kernel with the ONNX nodes that it stands for. */
import type { Executable, LaunchStep } from "../isa/executable.js";
import { type ExecutionTiming, type StepTiming, timeExecutable } from "../sim/timing/execution.js";
import type { DeviceMachine } from "../target/machine.js";
import { print, printTable } from "./output.js";

export interface TimingSummary {
  readonly deviceCycles: number;
  readonly deviceMicroseconds: number;
  /** With what copying and the host's part are estimated to take. */
  readonly totalMicroseconds: number;
  readonly cycles: ExecutionTiming["cycles"];
  /** Busy share of the engine on all tiles, over the device's time. */
  readonly utilisation: { readonly tensor: number; readonly vector: number };
  readonly kernels: readonly KernelShare[];
}

export interface KernelShare {
  readonly kernel: string;
  readonly operators: string;
  readonly launches: number;
  /** With the fixed cost of launches. */
  readonly cycles: number;
  readonly share: number;
}

type Launched = Extract<StepTiming, { readonly kind: "launch" }>;

export function summarizeTiming(
  executable: Executable,
  machine: DeviceMachine,
  bindings: ReadonlyMap<string, number>,
): TimingSummary {
  const timing = timeExecutable(executable, machine, bindings);
  const launched = timing.steps.filter((step): step is Launched => step.kind === "launch");
  return {
    deviceCycles: timing.cycles.device,
    deviceMicroseconds: timing.seconds.device * 1e6,
    totalMicroseconds: timing.seconds.total * 1e6,
    cycles: timing.cycles,
    utilisation: {
      tensor: busyShare(launched, machine, "tensor"),
      vector: busyShare(launched, machine, "vector"),
    },
    kernels: sharesOf(executable, launched, timing.cycles.device),
  };
}

/** So many kernels are listed; the rest is summed up. */
const listedMax = 12;

export function printTiming(summary: TimingSummary): void {
  const { kernels, utilisation, cycles, deviceMicroseconds, totalMicroseconds } = summary;
  if (kernels.length === 0) return;
  const listed = kernels.slice(0, listedMax);
  const others = kernels.slice(listedMax);
  const rows = listed.map((k) => [k.kernel, k.operators, k.launches, k.cycles, percent(k.share)]);
  if (others.length > 0) {
    const sum = (of: (k: KernelShare) => number) => others.reduce((all, k) => all + of(k), 0);
    const name = `${others.length} others`;
    rows.push([
      name,
      "",
      sum((k) => k.launches),
      sum((k) => k.cycles),
      percent(sum((k) => k.share)),
    ]);
  }
  printTable(["kernel", "operators", "launches", "cycles", "share"], rows);
  const device = `${summary.deviceCycles.toLocaleString("en")} cycles on the device`;
  print(
    `\n${device} (${time(deviceMicroseconds)}), of them ${percent(cycles.launches / cycles.device)} launching; ` +
      `tensor engines busy ${percent(utilisation.tensor)}, vector engines ${percent(utilisation.vector)}`,
  );
  print(`${time(totalMicroseconds)} with copies to and from the host`);
}

function busyShare(
  launched: readonly Launched[],
  { tile }: DeviceMachine,
  engine: "tensor" | "vector",
): number {
  let busy = 0;
  let total = 0;
  for (const { kernel, cycles } of launched) {
    total += cycles * tile.rows * tile.columns;
    for (const timing of kernel.engines) {
      if (timing.engine.engine === engine) busy += timing.cycles.busy;
    }
  }
  return total === 0 ? 0 : busy / total;
}

/** By program, the longest first. */
function sharesOf(
  executable: Executable,
  launched: readonly Launched[],
  deviceCycles: number,
): readonly KernelShare[] {
  const byProgram = new Map<number, Launched[]>();
  for (const step of launched) {
    const { program } = step.step;
    byProgram.set(program, [...(byProgram.get(program) ?? []), step]);
  }
  return [...byProgram]
    .map(([program, steps]) => {
      const cycles = steps.reduce((sum, step) => sum + step.cycles, 0);
      return {
        kernel: executable.programs[program]!.name,
        operators: operatorsOf(steps.map(({ step }) => step)),
        launches: steps.length,
        cycles,
        share: cycles / deviceCycles,
      };
    })
    .sort((a, b) => b.cycles - a.cycles);
}

const operatorsMax = 4;

function operatorsOf(steps: readonly LaunchStep[]): string {
  const names = new Set(steps.flatMap((step) => step.origins.flat().map((o) => o.operator)));
  const shown = [...names].slice(0, operatorsMax).join(", ");
  return names.size > operatorsMax ? `${shown}, ..` : shown;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}

function time(microseconds: number): string {
  if (microseconds >= 1e6) return `${(microseconds / 1e6).toPrecision(4)} s`;
  if (microseconds >= 1e3) return `${(microseconds / 1e3).toPrecision(4)} ms`;
  return `${microseconds.toPrecision(4)} us`;
}
