/**
 * How long one run of an executable takes: its steps one after the other. Launches are timed by `timing.ts`, each
 * program once per set of scalars; copies and host regions are costed by the machine's `host` record, which is an
 * estimate of another kind and kept apart from the rest.
 */
import { evaluateDim } from "../../ir/dim.js";
import type {
  CopyStep,
  DeviceTensorRef,
  Executable,
  HostStep,
  IfStep,
  LaunchStep,
  LoopStep,
  Port,
  Step,
  TensorRef,
} from "../../isa/executable.js";
import { byteLength, dtypes } from "../../numerics/dtype.js";
import { cyclesOfNs, type DeviceMachine } from "../../target/machine.js";
import { type KernelTiming, sumTimings, timeProgram } from "./timing.js";

/** A step with all its runs: in a loop there are several, in a branch that is not taken none. */
export type StepTiming = { readonly runs: number; readonly cycles: number } & (
  | {
      readonly kind: "launch";
      readonly step: LaunchStep;
      /** Fixed cost of a launch, then the kernel: the step's cycles are both. */
      readonly launchCycles: number;
      readonly kernel: KernelTiming;
      /** Of the first run. */
      readonly scalars: readonly number[];
    }
  | {
      readonly kind: "copy";
      readonly step: CopyStep;
      readonly direction: "to-device" | "to-host" | "on-host";
      readonly bytes: number;
    }
  | {
      readonly kind: "host";
      readonly step: HostStep;
      readonly operations: number;
      readonly bytes: number;
    }
  /** What is paid for looking at conditions; the steps of the bodies follow. */
  | { readonly kind: "if"; readonly step: IfStep }
  | { readonly kind: "loop"; readonly step: LoopStep }
);

export interface PortTiming {
  readonly name: string;
  readonly bytes: number;
  readonly cycles: number;
}

export interface ExecutionTiming {
  /** In the order of the executable's steps, those of bodies after the step that holds them. */
  readonly steps: readonly StepTiming[];
  /** Inputs brought to the device before the first step, outputs fetched after the last. */
  readonly inputs: readonly PortTiming[];
  readonly outputs: readonly PortTiming[];
  /** In device cycles; the parts add up to the total. */
  readonly cycles: {
    readonly kernels: number;
    readonly launches: number;
    readonly copies: number;
    readonly host: number;
    readonly inputs: number;
    readonly outputs: number;
    readonly total: number;
    /** Kernels and launches: without what the host record estimates. */
    readonly device: number;
  };
  readonly seconds: { readonly total: number; readonly device: number };
}

/** `given`: values of symbols; those that are not named, as counts that only a run shows, are at their maximum. */
export function timeExecutable(
  executable: Executable,
  machine: DeviceMachine,
  given: ReadonlyMap<string, number>,
): ExecutionTiming {
  const bindings = new Map(executable.symbols.map(({ name, max }) => [name, max]));
  for (const [name, value] of given) bindings.set(name, value);
  const kernels = new Map<string, KernelTiming>();
  const timeLaunch = ({ program }: LaunchStep, scalars: readonly number[]): KernelTiming => {
    const key = `${program}(${scalars.join()})`;
    let kernel = kernels.get(key);
    if (kernel === undefined) {
      kernel = timeProgram(executable.programs[program]!, machine, scalars);
      kernels.set(key, kernel);
    }
    return kernel;
  };
  const steps = timeSteps(executable.steps, { machine, bindings, timeLaunch });
  const inputs = executable.inputs.flatMap((port) => timePort(port, machine, bindings));
  const outputs = executable.outputs.flatMap((port) => timePort(port, machine, bindings));
  const cycles = sumCycles(steps, inputs, outputs);
  const secondsOf = (n: number) => n / machine.clock.frequencyHz;
  const seconds = { total: secondsOf(cycles.total), device: secondsOf(cycles.device) };
  return { steps, inputs, outputs, cycles, seconds };
}

function sumCycles(
  steps: readonly StepTiming[],
  inputs: readonly PortTiming[],
  outputs: readonly PortTiming[],
): ExecutionTiming["cycles"] {
  const sum = { kernels: 0, launches: 0, copies: 0, host: 0, inputs: 0, outputs: 0 };
  for (const timing of steps) {
    if (timing.kind === "launch") {
      sum.kernels += timing.kernel.cycles;
      sum.launches += timing.launchCycles;
    } else if (timing.kind === "host") sum.host += timing.cycles;
    else sum.copies += timing.cycles;
  }
  for (const port of inputs) sum.inputs += port.cycles;
  for (const port of outputs) sum.outputs += port.cycles;
  const device = sum.kernels + sum.launches;
  return { ...sum, total: device + sum.copies + sum.host + sum.inputs + sum.outputs, device };
}

interface StepContext {
  readonly machine: DeviceMachine;
  readonly bindings: ReadonlyMap<string, number>;
  timeLaunch(step: LaunchStep, scalars: readonly number[]): KernelTiming;
}

function timeSteps(steps: readonly Step[], context: StepContext): StepTiming[] {
  return steps.flatMap((step) => timeStep(step, context));
}

function timeStep(step: Step, context: StepContext): StepTiming[] {
  const { machine, bindings } = context;
  switch (step.kind) {
    case "launch": {
      const launchCycles = cyclesOfNs(machine, machine.launch.overheadNs);
      const scalars = step.scalars.map((dim) => evaluateDim(dim, bindings));
      const kernel = context.timeLaunch(step, scalars);
      const cycles = launchCycles + kernel.cycles;
      return [{ kind: "launch", step, runs: 1, launchCycles, kernel, scalars, cycles }];
    }
    case "copy": {
      const place = step.to.where === "device" ? step.to : step.from;
      const direction =
        step.to.where === "device" ? "to-device" : place.where === "device" ? "to-host" : "on-host";
      const bytes = place.where === "device" ? tensorBytes(place, bindings) : 0;
      const cycles = direction === "on-host" ? 0 : copyCycles(bytes, machine);
      return [{ kind: "copy", step, runs: 1, direction, bytes, cycles }];
    }
    case "host": {
      const { operations, bytes } = hostWork(step, bindings);
      const { operationsPerSecond, memoryBytesPerSecond } = machine.host;
      const seconds = Math.max(operations / operationsPerSecond, bytes / memoryBytesPerSecond);
      const cycles = cyclesOfNs(machine, seconds * 1e9);
      return [{ kind: "host", step, runs: 1, operations, bytes, cycles }];
    }
    case "if":
      return timeIf(step, context);
    case "loop":
      return timeLoop(step, context);
    default:
      return step satisfies never;
  }
}

/** Which branch is taken depends on data: the longer one counts, the other has no runs. */
function timeIf(step: IfStep, context: StepContext): StepTiming[] {
  const cycles = conditionCycles(step.condition, context.machine);
  const branches = step.bodies.map((body) => timeSteps(body, context));
  const total = (timings: readonly StepTiming[]) => timings.reduce((n, t) => n + t.cycles, 0);
  const longest = branches.reduce((a, b) => (total(b) > total(a) ? b : a));
  const counted = branches.map((branch) =>
    branch === longest ? branch : branch.map((timing) => joinRuns([timing], 0)),
  );
  return [{ kind: "if", step, runs: 1, cycles }, ...counted.flat()];
}

/** As many trips as there can be; a loop without a limit counts as one trip. */
function timeLoop(step: LoopStep, context: StepContext): StepTiming[] {
  const { trips, count, index, condition, bodies } = step;
  const { machine, bindings } = context;
  const most = trips === undefined ? 1 : evaluateDim(trips, bindings);
  const counted = count === undefined ? undefined : bindings.get(count);
  const number = Math.max(0, Math.min(most, counted ?? most));
  const looks = condition === undefined ? 0 : conditionCycles(condition.next, machine);
  const timings = Array.from({ length: Math.max(1, number) }, (_, trip) =>
    timeSteps(bodies[0]!, { ...context, bindings: new Map(bindings).set(index, trip) }),
  );
  const steps = timings[0]!.map((_, i) =>
    joinRuns(
      timings.map((trip) => trip[i]!),
      number === 0 ? 0 : 1,
    ),
  );
  return [{ kind: "loop", step, runs: 1, cycles: looks * (number + 1) }, ...steps];
}

/** A condition that the device computes is read back. */
function conditionCycles(ref: TensorRef, machine: DeviceMachine): number {
  return ref.where === "device" ? copyCycles(1, machine) : 0;
}

/** Several runs of one step as one timing, each of them `times` times. */
function joinRuns(all: readonly StepTiming[], times: 0 | 1): StepTiming {
  const first = all[0]!;
  if (all.length === 1 && times === 1) return first;
  const sum = <T>(of: (timing: T) => number, of_: readonly T[]): number =>
    times * of_.reduce((n, timing) => n + of(timing), 0);
  const runs = sum((t) => t.runs, all);
  const cycles = sum((t) => t.cycles, all);
  switch (first.kind) {
    case "launch": {
      const own = all as readonly (typeof first)[];
      const launchCycles = sum((t) => t.launchCycles, own);
      const kernel = sumTimings(times === 0 ? [] : own.map((t) => t.kernel), first.kernel);
      return { ...first, runs, cycles, launchCycles, kernel };
    }
    case "copy":
      return {
        ...first,
        runs,
        cycles,
        bytes: sum((t) => t.bytes, all as readonly (typeof first)[]),
      };
    case "host": {
      const own = all as readonly (typeof first)[];
      const operations = sum((t) => t.operations, own);
      return { ...first, runs, cycles, operations, bytes: sum((t) => t.bytes, own) };
    }
    case "if":
    case "loop":
      return { ...first, runs, cycles };
    default:
      return first satisfies never;
  }
}

function timePort(
  { name, location }: Port,
  machine: DeviceMachine,
  bindings: ReadonlyMap<string, number>,
): PortTiming[] {
  if (location.where === "host") return [];
  const bytes = tensorBytes(location, bindings);
  return [{ name, bytes, cycles: copyCycles(bytes, machine) }];
}

function tensorBytes(tensor: DeviceTensorRef, bindings: ReadonlyMap<string, number>): number {
  const elements = tensor.shape.reduce((n: number, dim) => n * evaluateDim(dim, bindings), 1);
  return byteLength(tensor.dtype, elements);
}

function copyCycles(bytes: number, machine: DeviceMachine): number {
  const { latencyNs, bytesPerSecond } = machine.host;
  return cyclesOfNs(machine, latencyNs + (bytes / bytesPerSecond) * 1e9);
}

type HostNode = HostStep["graph"]["nodes"][number];
type HostValue = HostNode["outputs"][number];

/**
 * An operation per element of the larger of a node's inputs and outputs, two per position of a contraction, and
 * every input and output through the host's memory. Values whose shape only the run shows count for nothing.
 */
function hostWork(
  { graph }: HostStep,
  bindings: ReadonlyMap<string, number>,
): { readonly operations: number; readonly bytes: number } {
  const elementsOf = ({ shape, unknownShape }: HostValue): number => {
    if (unknownShape) return 0;
    return shape.reduce((n: number, dim) => n * evaluateDim(dim, bindings), 1);
  };
  let operations = 0;
  let bytes = 0;
  for (const node of graph.nodes) {
    const values = [...node.inputs, ...node.outputs];
    operations += Math.max(0, contractionWork(node, bindings), ...values.map(elementsOf));
    for (const value of values)
      bytes += Math.ceil((elementsOf(value) * dtypes[value.dtype].bits) / 8);
  }
  return { operations, bytes };
}

function contractionWork({ op, inputs }: HostNode, bindings: ReadonlyMap<string, number>): number {
  if (op.kind !== "contract") return 0;
  const extents = new Map<string, number>();
  [op.a, op.b].forEach((labels, operand) =>
    [...labels].forEach((label, axis) =>
      extents.set(label, evaluateDim(inputs[operand]!.shape[axis]!, bindings)),
    ),
  );
  return 2 * [...extents.values()].reduce((a, b) => a * b, 1);
}
