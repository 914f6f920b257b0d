/**
 * The schedule walker: an Executable loaded on a device, and one run of it. Launch, copy, host region, one after
 * the other; symbols are bound from the inputs' shapes.
 */
import type {
  DeviceTensorRef,
  Executable,
  HostStep,
  HostTensorRef,
  LaunchStep,
  Port,
  Step,
} from "../isa/executable.js";
import { verifyLaunch } from "../isa/verify.js";
import { evaluateDim } from "../ir/dim.js";
import { bindShapes } from "../ir/bindings.js";
import { evaluateDims } from "../ir/evaluate.js";
import type { Value } from "../ir/graph.js";
import { encodeArray } from "../numerics/convert.js";
import type { DType } from "../numerics/dtype.js";
import { byteLength } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import { evaluateHostGraph } from "../ops/evaluate-node.js";
import type { HostValue } from "../ops/record.js";
import { fail, InternalError } from "../support/diagnostic.js";
import type { Device, DeviceRegion, LoadedProgram } from "./device.js";
import { createResidentState, type ResidentState } from "./resident.js";
import { takesValues } from "./value-policy.js";
import { checkLimit, conform, type PlacedTensor, readTensor, writeTensor } from "./transfer.js";

export interface LoadedExecutable {
  readonly executable: Executable;
  /** Runs share the executable's memory: one begins when those before it have ended. */
  run(inputs: ReadonlyMap<string, HostValue>): Promise<HostValues>;
  /** Gives the device memory back when the runs have ended. What they left on the device can still be read. */
  release(): Promise<void>;
}

type HostValues = ReadonlyMap<string, HostValue>;

export function loadExecutable(executable: Executable, device: Device): LoadedExecutable {
  const region = device.allocate(executable.memoryBytes);
  for (const buffer of executable.buffers) {
    if (buffer.constantOffset === undefined) continue;
    const length = byteLength(buffer.dtype, buffer.elements);
    const at = buffer.constantOffset;
    region.write(buffer.offsetBytes, executable.constants.subarray(at, at + length));
  }
  const programs = executable.programs.map((program) => region.load(program));
  for (const step of executable.steps)
    if (step.kind === "launch") requireSafeLaunch(executable, step);
  const loaded: Loaded = { executable, region, programs, states: statesOf(executable) };
  let last: Promise<unknown> = Promise.resolve();
  const run = (inputs: HostValues): Promise<HostValues> => {
    const result = last.then(() => runOnce(loaded, inputs));
    last = result.catch(() => {});
    return result;
  };
  return { executable, run, release: () => last.then(region.release) };
}

/** One state per buffer that is an input's and an output's. */
function statesOf(executable: Executable): ReadonlyMap<number, ResidentState> {
  const buffersOf = (ports: readonly Port[]): number[] =>
    ports.flatMap(({ location }) => (location.where === "device" ? [location.buffer] : []));
  const outputs = new Set(buffersOf(executable.outputs));
  const shared = buffersOf(executable.inputs).filter((buffer) => outputs.has(buffer));
  return new Map(shared.map((buffer) => [buffer, createResidentState()]));
}

/** Where a launch's bindings lie is fixed when the executable is made, so it is checked once. */
function requireSafeLaunch(executable: Executable, step: LaunchStep): void {
  const program = executable.programs[step.program]!;
  const [problem] = verifyLaunch(program, {
    bindings: bindingOffsets(executable, step).map((offsetBytes) => ({ offsetBytes })),
    memoryBytes: executable.memoryBytes,
    scalars: step.scalars.length,
  });
  if (problem === undefined) return;
  fail("L0501", `a launch of program "${program.name}" is not safe: ${problem.reason}`);
}

function bindingOffsets(executable: Executable, step: LaunchStep): number[] {
  return step.bindings.map(({ buffer, offset }) => {
    const { offsetBytes, dtype } = executable.buffers[buffer]!;
    return offsetBytes + byteLength(dtype, offset);
  });
}

interface Loaded {
  readonly executable: Executable;
  readonly region: DeviceRegion;
  readonly programs: readonly LoadedProgram[];
  readonly states: ReadonlyMap<number, ResidentState>;
}

interface Run extends Loaded {
  readonly bindings: ReadonlyMap<string, number>;
  readonly slots: Map<number, HostValue>;
}

async function runOnce(loaded: Loaded, inputs: HostValues): Promise<HostValues> {
  const { executable } = loaded;
  if (!takesValues(executable, inputs)) {
    const names = executable.boundInputs.map(({ name }) => `"${name}"`).join(", ");
    fail("L0602", `the program was made for other values of ${names}`);
  }
  const bindings = bindInputs(executable, inputs);
  const run: Run = { ...loaded, bindings, slots: new Map() };
  for (const port of executable.inputs) {
    const value = inputs.get(port.name);
    if (value === undefined) throw new InternalError(`input ${port.name} was not checked`);
    if (port.limit !== undefined) checkLimit(asTensor(value, port.name), port.limit, port.name);
    if (port.location.where === "host") run.slots.set(port.location.slot, value);
    else writeInput(run, port.location, asTensor(value, port.name), port.name);
  }
  await walkSteps(run, executable.steps);
  return new Map(executable.outputs.map((port) => [port.name, readPort(run, port)]));
}

/** The value of every symbol of the executable for these inputs; L0602 where they do not fit. */
function writeInput(run: Run, location: DeviceTensorRef, tensor: Tensor, name: string): void {
  if (run.states.get(location.buffer)?.accept(tensor)) return;
  writeTensor(run.region, placed(run, location), tensor, name);
}

export function bindInputs(
  executable: Executable,
  inputs: ReadonlyMap<string, HostValue>,
): ReadonlyMap<string, number> {
  const bindings = new Map<string, number>();
  const given = executable.inputs.flatMap((port) => {
    const value = inputs.get(port.name);
    if (value === undefined || !isTensor(value) || port.unknownShape) return [];
    return [{ value: port, shape: value.shape }];
  });
  bindShapes(given, bindings);
  return bindings;
}

function asTensor(value: HostValue, name: string): Tensor {
  if (isTensor(value)) return value;
  return fail("L0602", `input "${name}" is a ${value.kind}, a tensor is needed`);
}

function readPort(run: Run, port: Port): HostValue {
  if (port.location.where === "host") {
    const value = hostValue(run, port.location);
    // What the model declares of a value that only the host knows may be wrong.
    return port.unknownShape ? value : conformed(value, port.dtype, port.name);
  }
  const place = placed(run, port.location);
  const read = (): Tensor => readTensor(run.region, place, port.dtype);
  const state = run.states.get(port.location.buffer);
  return state === undefined ? read() : state.issue(port.dtype, place.shape, () => read().data);
}

/** Inputs reach the host in the caller's type, results leave it in that of the graph. */
function conformed(value: HostValue, dtype: DType, name: string): HostValue {
  return isTensor(value) && value.dtype !== dtype ? conform(value, dtype, name) : value;
}

function hostValue(run: Run, ref: HostTensorRef): HostValue {
  const value = run.slots.get(ref.slot);
  if (value === undefined) throw new InternalError(`host slot ${ref.slot} is empty`);
  return value;
}

function placed(run: Run, ref: DeviceTensorRef): PlacedTensor {
  const buffer = run.executable.buffers[ref.buffer]!;
  return {
    offsetBytes: buffer.offsetBytes + byteLength(ref.dtype, ref.offset),
    dtype: ref.dtype,
    shape: ref.shape.map((dim) => evaluateDim(dim, run.bindings)),
    strides: ref.strides,
  };
}

/** Only the host is waited for: of launches and copies there are thousands in a run. */
async function walkSteps(run: Run, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if (step.kind === "host") await walkHost(run, step);
    else walkDevice(run, step);
  }
}

function walkDevice(run: Run, step: Exclude<Step, HostStep>): void {
  switch (step.kind) {
    case "launch":
      return launch(run, step);
    case "copy":
      return copy(run, step.from, step.to, step.dtype);
    default:
      step satisfies never;
  }
}

async function walkHost(run: Run, { graph, ...step }: HostStep): Promise<void> {
  const dtypes = new Map(graph.inputs.map(({ name, dtype }) => [name, dtype]));
  const inputs = new Map(
    step.inputs.map(({ name, slot }) => {
      return [name, conformed(run.slots.get(slot)!, dtypes.get(name)!, name)];
    }),
  );
  const isKnown = graph.nodes.length === 0;
  const outputs = isKnown
    ? graph.outputs.map(({ value }) => knownValue(run, value))
    : evaluateHostGraph(graph, inputs, run.bindings);
  step.outputs.forEach(({ slot }, i) => run.slots.set(slot, outputs[i]!));
}

/** A constant, or a vector of dims under this run's bindings. */
function knownValue(
  run: Run,
  { data, dims = [], dtype, shape }: Pick<Value, "data" | "dims" | "dtype" | "shape">,
): Tensor {
  if (data !== undefined) return data;
  const elements = evaluateDims(dims, run.bindings);
  return {
    dtype,
    shape: evaluateDims(shape, run.bindings),
    data: encodeArray(dtype, elements),
  };
}

function launch(run: Run, step: LaunchStep): void {
  const program = run.executable.programs[step.program]!;
  const offsets = bindingOffsets(run.executable, step);
  const scalars = Int32Array.from(step.scalars, (dim) => evaluateDim(dim, run.bindings));
  const { faults } = run.programs[step.program]!.launch(offsets, scalars);
  const [fault] = faults;
  if (fault === undefined) return;
  const origin = step.origins[fault.role]?.[0];
  fail("L0604", "an index is out of range", {
    ...(origin === undefined ? {} : { place: { node: origin.node, operator: origin.operator } }),
    notes: [`kernel "${program.name}", instruction ${fault.instruction}`],
    hint: "check the values of the inputs that are used as indices",
  });
}

function copy(
  run: Run,
  from: DeviceTensorRef | HostTensorRef,
  to: DeviceTensorRef | HostTensorRef,
  dtype: DType,
): void {
  if (from.where === "device" && to.where === "host") {
    run.slots.set(to.slot, readTensor(run.region, placed(run, from), dtype));
  } else if (from.where === "host" && to.where === "device") {
    const value = asTensor(hostValue(run, from), "a host region's result");
    writeTensor(run.region, placed(run, to), value, "a host region's result");
  } else throw new InternalError(`copy from ${from.where} to ${to.where}`);
}
