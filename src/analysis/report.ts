/**
 * Where a model's time goes, as data: every kernel with what bounds it, what it moves and how near it comes to the
 * machine's limits; host regions and copies; memory; what runs where. All times are parts of one total that
 * they add up to. `print-report.ts` makes tables of it; the JSON form is this.
 */
import type { CopyStep, DecisionRecord, Executable, HostStep } from "../isa/executable.js";
import type { Origin } from "../ir/graph.js";
import { type Energy, energyOf, sumEnergies, totalEnergy } from "../sim/timing/energy.js";
import type { ExecutionTiming, StepTiming } from "../sim/timing/execution.js";
import { timeExecutable } from "../sim/timing/execution.js";
import { sumTallies, type Tally } from "../sim/timing/tally.js";
import type { EngineTiming } from "../sim/timing/timing.js";
import type { DeviceMachine } from "../target/machine.js";
import { type Bound, boundOf } from "./bound.js";
import { memoryMap, type MemoryMap } from "./memory-map.js";
import { leastCycles, type Roofline, rooflineOf } from "./roofline.js";
import { type ModelNode, supportReport, type SupportReport } from "./support.js";

export interface Report {
  readonly model: string;
  readonly machine: { readonly name: string; readonly frequencyHz: number };
  readonly bindings: { readonly [symbol: string]: number };
  readonly cycles: ExecutionTiming["cycles"];
  readonly seconds: ExecutionTiming["seconds"];
  /** In the order of the schedule. */
  readonly kernels: readonly KernelReport[];
  readonly regions: readonly RegionReport[];
  readonly ports: {
    readonly inputs: ExecutionTiming["inputs"];
    readonly outputs: ExecutionTiming["outputs"];
  };
  readonly tally: Tally;
  readonly utilisation: Utilisation;
  readonly roofline: Roofline;
  readonly energy: EnergyReport;
  readonly memory: MemoryMap;
  readonly support: SupportReport;
  readonly records: readonly DecisionRecord[];
}

export interface KernelReport {
  /** Number of the step in the schedule. */
  readonly step: number;
  readonly name: string;
  readonly roles: readonly { readonly role: string; readonly nodes: readonly Origin[] }[];
  readonly plan: string;
  /** Launches in one run of the model: in a loop there are several. All figures are for all of them. */
  readonly launches: number;
  /** Of the kernel, and of its launch beside it. */
  readonly cycles: number;
  readonly launchCycles: number;
  /** Of the total time, with the launch. */
  readonly share: number;
  readonly bound: Bound;
  readonly tally: Tally;
  readonly utilisation: Utilisation;
  readonly roofline: Roofline;
  /** Bytes asked for in proportion to the bandwidth that they took: near 1 where runs are long. */
  readonly runEfficiency: number;
  readonly engines: readonly EngineTiming[];
  /** In picojoules, with idle power during the kernel. */
  readonly energy: Energy;
}

/** What was done in proportion to what could be done in the time. */
export interface Utilisation {
  readonly tensor: number;
  readonly vector: number;
  readonly memory: number;
}

/** A host region with the copies that it needs; two regions may need the same one. */
export interface RegionReport {
  readonly step: number;
  readonly nodes: readonly Origin[];
  readonly reason: string;
  readonly cycles: number;
  readonly operations: number;
  /** That cross from and to the device for it, and the time of the copies. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  readonly copyCycles: number;
}

export interface EnergyReport {
  /** In picojoules; idle over the whole time. */
  readonly parts: Energy;
  readonly joules: number;
  readonly watts: number;
}

export interface ReportOptions {
  readonly executable: Executable;
  readonly machine: DeviceMachine;
  /** Values of symbols; those that are not named are at their maximum. */
  readonly bindings?: ReadonlyMap<string, number>;
  /** The model's nodes, so that those without a step are listed too. */
  readonly nodes?: readonly ModelNode[];
}

export function reportOf({ executable, machine, bindings, nodes }: ReportOptions): Report {
  const all = new Map(executable.symbols.map(({ name, max }) => [name, max]));
  for (const [name, value] of bindings ?? []) all.set(name, value);
  const timing = timeExecutable(executable, machine, all);
  const kernels = timing.steps.flatMap((step, i) =>
    step.kind === "launch" ? [kernelReport(step, i, { executable, machine, timing })] : [],
  );
  const tally = sumTallies(kernels.map((kernel) => kernel.tally));
  const { cycles, seconds } = timing;
  return {
    model: executable.name,
    machine: { name: machine.name, frequencyHz: machine.clock.frequencyHz },
    bindings: Object.fromEntries(all),
    cycles,
    seconds,
    kernels,
    regions: regionReports(timing),
    ports: { inputs: timing.inputs, outputs: timing.outputs },
    tally,
    utilisation: utilisationOf(tally, cycles.device, machine),
    roofline: rooflineOf(tally, cycles.device, machine),
    energy: energyReport(kernels, timing, machine),
    memory: memoryMap(executable, machine.hbm.capacityBytes),
    support: supportReport(executable, nodes),
    records: executable.records,
  };
}

interface Context {
  readonly executable: Executable;
  readonly machine: DeviceMachine;
  readonly timing: ExecutionTiming;
}

function kernelReport(
  { step, runs, kernel, launchCycles, cycles }: Extract<StepTiming, { readonly kind: "launch" }>,
  number: number,
  { executable, machine, timing }: Context,
): KernelReport {
  const { name, roles } = executable.programs[step.program]!;
  return {
    step: number,
    name,
    roles: roles.map((role, i) => ({ role, nodes: step.origins[i] ?? [] })),
    plan: step.plan,
    launches: runs,
    cycles: kernel.cycles,
    launchCycles,
    share: timing.cycles.total === 0 ? 0 : cycles / timing.cycles.total,
    bound: boundOf(kernel, launchCycles, machine),
    tally: kernel.tally,
    utilisation: utilisationOf(kernel.tally, kernel.cycles, machine),
    roofline: rooflineOf(kernel.tally, kernel.cycles, machine),
    runEfficiency: runEfficiency(kernel.tally),
    engines: kernel.engines,
    energy: kernel.energy,
  };
}

function runEfficiency(tally: Tally): number {
  const taken = tally.readBandwidthBytes + tally.writeBandwidthBytes;
  return taken === 0 ? 1 : (tally.loadedBytes + tally.storedBytes) / taken;
}

function utilisationOf(tally: Tally, cycles: number, machine: DeviceMachine): Utilisation {
  const least = leastCycles(tally, machine);
  const part = (n: number) => (cycles === 0 ? 0 : n / cycles);
  return { tensor: part(least.tensor), vector: part(least.vector), memory: part(least.memory) };
}

/** Host steps with the copies of their inputs and outputs; values known when compiled come out of no region. */
function regionReports({ steps }: ExecutionTiming): RegionReport[] {
  const copies = steps.flatMap((timing) => (timing.kind === "copy" ? [timing] : []));
  return steps.flatMap((timing, number): RegionReport[] => {
    if (timing.kind !== "host" || timing.step.graph.nodes.length === 0) return [];
    const { step, cycles, operations } = timing;
    const crossing = (direction: "to-host" | "to-device", slots: HostStep["inputs"]) =>
      copies.filter((copy) => {
        const at = direction === "to-host" ? copy.step.to : copy.step.from;
        return copy.direction === direction && slots.some((s) => isSlot(at, s.slot));
      });
    const before = crossing("to-host", step.inputs);
    const after = crossing("to-device", step.outputs);
    const bytes = (of: typeof copies) => of.reduce((sum, copy) => sum + copy.bytes, 0);
    return [
      {
        step: number,
        nodes: step.graph.nodes.flatMap((node) => node.origins),
        reason: step.reason,
        cycles,
        operations,
        bytesIn: bytes(before),
        bytesOut: bytes(after),
        copyCycles: [...before, ...after].reduce((sum, copy) => sum + copy.cycles, 0),
      },
    ];
  });
}

function isSlot(ref: CopyStep["to"], slot: number): boolean {
  return ref.where === "host" && ref.slot === slot;
}

function energyReport(
  kernels: readonly KernelReport[],
  { cycles, seconds }: ExecutionTiming,
  machine: DeviceMachine,
): EnergyReport {
  const busy = sumEnergies(kernels.map((kernel) => kernel.energy));
  const { idle } = energyOf(sumTallies([]), cycles.total, machine);
  const parts = { ...busy, idle };
  const joules = totalEnergy(parts) * 1e-12;
  return { parts, joules, watts: seconds.total === 0 ? 0 : joules / seconds.total };
}
