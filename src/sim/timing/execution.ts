/**
 * How long one run of an executable takes: its steps one after the other. Launches are timed by `timing.ts`, each
 * program once per set of scalars; copies and host regions are costed by the machine's `host` record, which is an
 * estimate of another kind and kept apart from the rest.
 */
import { evaluateDim } from "../../ir/dim.js";
import type {
  DeviceTensorRef,
  Executable,
  HostStep,
  LaunchStep,
  Port,
  Step,
} from "../../isa/executable.js";
import { byteLength, dtypes } from "../../numerics/dtype.js";
import { cyclesOfNs, type DeviceMachine } from "../../target/machine.js";
import { type KernelTiming, timeProgram } from "./timing.js";

export type CopyStep = Extract<Step, { readonly kind: "copy" }>;

export type StepTiming =
  | {
      readonly kind: "launch";
      readonly step: LaunchStep;
      /** Fixed cost of a launch, then the kernel: the step's cycles are both. */
      readonly launchCycles: number;
      readonly kernel: KernelTiming;
      readonly cycles: number;
    }
  | {
      readonly kind: "copy";
      readonly step: CopyStep;
      readonly direction: "to-device" | "to-host";
      readonly bytes: number;
      readonly cycles: number;
    }
  | {
      readonly kind: "host";
      readonly step: HostStep;
      readonly operations: number;
      readonly bytes: number;
      readonly cycles: number;
    };

export interface PortTiming {
  readonly name: string;
  readonly bytes: number;
  readonly cycles: number;
}

export interface ExecutionTiming {
  /** In the order of the executable's steps. */
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

/** `bindings`: the value of every symbol of the executable. */
export function timeExecutable(
  executable: Executable,
  machine: DeviceMachine,
  bindings: ReadonlyMap<string, number>,
): ExecutionTiming {
  const kernels = new Map<string, KernelTiming>();
  const timeLaunch = (step: LaunchStep): KernelTiming => {
    const scalars = step.scalars.map((dim) => evaluateDim(dim, bindings));
    const key = `${step.program}(${scalars.join()})`;
    let kernel = kernels.get(key);
    if (kernel === undefined) {
      kernel = timeProgram(executable.programs[step.program]!, machine, scalars);
      kernels.set(key, kernel);
    }
    return kernel;
  };
  const steps = executable.steps.map((step) => timeStep(step, { machine, bindings, timeLaunch }));
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
    } else if (timing.kind === "copy") sum.copies += timing.cycles;
    else sum.host += timing.cycles;
  }
  for (const port of inputs) sum.inputs += port.cycles;
  for (const port of outputs) sum.outputs += port.cycles;
  const device = sum.kernels + sum.launches;
  return { ...sum, total: device + sum.copies + sum.host + sum.inputs + sum.outputs, device };
}

interface StepContext {
  readonly machine: DeviceMachine;
  readonly bindings: ReadonlyMap<string, number>;
  timeLaunch(step: LaunchStep): KernelTiming;
}

function timeStep(step: Step, { machine, bindings, timeLaunch }: StepContext): StepTiming {
  switch (step.kind) {
    case "launch": {
      const kernel = timeLaunch(step);
      const launchCycles = cyclesOfNs(machine, machine.launch.overheadNs);
      return { kind: "launch", step, launchCycles, kernel, cycles: launchCycles + kernel.cycles };
    }
    case "copy": {
      const direction = step.to.where === "device" ? "to-device" : "to-host";
      const place = step.to.where === "device" ? step.to : step.from;
      const bytes = place.where === "device" ? tensorBytes(place, bindings) : 0;
      return { kind: "copy", step, direction, bytes, cycles: copyCycles(bytes, machine) };
    }
    case "host": {
      const { operations, bytes } = hostWork(step, bindings);
      const { operationsPerSecond, memoryBytesPerSecond } = machine.host;
      const seconds = Math.max(operations / operationsPerSecond, bytes / memoryBytesPerSecond);
      return { kind: "host", step, operations, bytes, cycles: cyclesOfNs(machine, seconds * 1e9) };
    }
    default:
      return step satisfies never;
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
