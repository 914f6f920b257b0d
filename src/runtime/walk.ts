/**
 * The schedule walker: an Executable loaded on a device, and one run of it. Launch, copy, host region, one after
 * the other, branches and loops over such; symbols are bound from the inputs' shapes.
 */
import type {
  CopyStep,
  DeviceTensorRef,
  Executable,
  HostStep,
  HostTensorRef,
  LaunchStep,
  LoopStep,
  Port,
  Step,
  TensorRef,
} from "../isa/executable.js";
import { evaluateDim } from "../ir/dim.js";
import { bindShapes } from "../ir/bindings.js";
import { evaluateDims } from "../ir/evaluate/evaluate.js";
import { concatTensors } from "../ir/evaluate/movement.js";
import type { Value } from "../ir/graph.js";
import { encodeArray } from "../numerics/convert.js";
import type { DType } from "../numerics/dtype.js";
import { byteLength } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import { fail, InternalError } from "../support/diagnostic.js";
import type { Device, DeviceRegion, LoadedProgram } from "./device.js";
import { createHostRegion, type HostRegion, type RegionRun } from "./host-region.js";
import { type HostRuntimeSetting, referenceOnly } from "./host-runtime.js";
import { bindingOffsets, requireSafeSchedule } from "./launch-safety.js";
import { createResidentState, type ResidentState } from "./resident.js";
import { takesValues } from "./value-policy.js";
import { checkLimit, conform, type PlacedTensor, readTensor, writeTensor } from "./transfer.js";

export interface LoadedExecutable {
  readonly executable: Executable;
  /** Runs share the executable's memory: one begins when those before it have ended. */
  run(inputs: ReadonlyMap<string, HostValue>): Promise<HostValues>;
  /** Who ran the host regions that have run, and why. */
  hostRegions(): readonly RegionRun[];
  /**
   * Gives the device memory and the sessions of host regions back when the runs have ended. What they left on the
   * device can still be read.
   */
  release(): Promise<void>;
}

type HostValues = ReadonlyMap<string, HostValue>;

/** `host`: who runs host regions; by default the operators' references. */
export function loadExecutable(
  executable: Executable,
  device: Device,
  host: HostRuntimeSetting = referenceOnly,
): LoadedExecutable {
  const region = device.allocate(executable.memoryBytes);
  for (const buffer of executable.buffers) {
    if (buffer.constantOffset === undefined) continue;
    const length = byteLength(buffer.dtype, buffer.elements);
    const at = buffer.constantOffset;
    region.write(buffer.offsetBytes, executable.constants.subarray(at, at + length));
  }
  const programs = executable.programs.map((program) => region.load(program));
  requireSafeSchedule(executable);
  const states = statesOf(executable);
  const regions = new Map<HostStep, HostRegion>();
  const loaded: Loaded = { executable, region, programs, states, host, regions };
  let last: Promise<unknown> = Promise.resolve();
  const run = (inputs: HostValues): Promise<HostValues> => {
    const result = last.then(() => runOnce(loaded, inputs));
    last = result.catch(() => {});
    return result;
  };
  const release = async (): Promise<void> => {
    await last;
    for (const used of regions.values()) await used.release();
    region.release();
  };
  const hostRegions = () => [...regions.values()].flatMap(({ ran }) => ran ?? []);
  return { executable, run, hostRegions, release };
}

/** One state per buffer that is an input's and an output's. */
function statesOf(executable: Executable): ReadonlyMap<number, ResidentState> {
  const buffersOf = (ports: readonly Port[]): number[] =>
    ports.flatMap(({ location }) => (location.where === "device" ? [location.buffer] : []));
  const outputs = new Set(buffersOf(executable.outputs));
  const shared = buffersOf(executable.inputs).filter((buffer) => outputs.has(buffer));
  return new Map(shared.map((buffer) => [buffer, createResidentState()]));
}

interface Loaded {
  readonly executable: Executable;
  readonly region: DeviceRegion;
  readonly programs: readonly LoadedProgram[];
  readonly states: ReadonlyMap<number, ResidentState>;
  readonly host: HostRuntimeSetting;
  /** Those that have run. */
  readonly regions: Map<HostStep, HostRegion>;
}

interface Run extends Loaded {
  readonly bindings: Map<string, number>;
  readonly slots: Map<number, HostValue>;
  /** Where the buffers begin now: loops let some change places. */
  readonly offsetsBytes: number[];
}

async function runOnce(loaded: Loaded, inputs: HostValues): Promise<HostValues> {
  const { executable } = loaded;
  if (!takesValues(executable, inputs)) {
    const names = executable.boundInputs.map(({ name }) => `"${name}"`).join(", ");
    fail("L0602", `the program was made for other values of ${names}`);
  }
  const bindings = bindInputs(executable, inputs);
  const offsetsBytes = executable.buffers.map((buffer) => buffer.offsetBytes);
  const run: Run = { ...loaded, bindings, slots: new Map(), offsetsBytes };
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

function bindInputs(
  executable: Executable,
  inputs: ReadonlyMap<string, HostValue>,
): Map<string, number> {
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
  return {
    offsetBytes: run.offsetsBytes[ref.buffer]! + byteLength(ref.dtype, ref.offset),
    dtype: ref.dtype,
    shape: ref.shape.map((dim) => evaluateDim(dim, run.bindings)),
    strides: ref.strides,
  };
}

/** Only the host is waited for: of launches and copies there are thousands in a run. */
async function walkSteps(run: Run, steps: readonly Step[]): Promise<void> {
  for (const step of steps) {
    if (step.kind === "host") await walkHost(run, step);
    else if (step.kind === "if")
      await walkSteps(run, step.bodies[isTrue(run, step.condition) ? 0 : 1]!);
    else if (step.kind === "loop") await walkLoop(run, step);
    else walkDevice(run, step);
  }
}

async function walkLoop(run: Run, step: LoopStep): Promise<void> {
  const { condition, collected, bodies } = step;
  const limit = step.trips === undefined ? Infinity : evaluateDim(step.trips, run.bindings);
  const own: Run = { ...run, bindings: new Map(run.bindings) };
  const parts = collected.map((): Tensor[] => []);
  let goesOn = condition === undefined || isTrue(run, condition.first);
  let trip = 0;
  for (; trip < limit && goesOn; trip++) {
    own.bindings.set(step.index, trip);
    await walkSteps(own, bodies[0]!);
    goesOn = condition === undefined || isTrue(own, condition.next);
    collected.forEach(({ from }, i) =>
      parts[i]!.push(asTensor(hostValue(run, { where: "host", slot: from }), "a part")),
    );
    const values = step.carried.map(({ from }) => run.slots.get(from)!);
    step.carried.forEach(({ to }, i) => run.slots.set(to, values[i]!));
    for (const [one, other] of step.exchanged) exchange(run.offsetsBytes, one, other);
  }
  if (step.count !== undefined) run.bindings.set(step.count, trip);
  collected.forEach(({ to, axis, reverse, dtype, shape }, i) => {
    const ordered = reverse ? parts[i]!.toReversed() : parts[i]!;
    run.slots.set(to, concatTensors(ordered, axis, dtype, evaluateDims(shape, run.bindings)));
  });
}

function exchange(offsets: number[], one: number, other: number): void {
  [offsets[one], offsets[other]] = [offsets[other]!, offsets[one]!];
}

/** Looks at a condition; of the device it is read back. */
function isTrue(run: Run, ref: TensorRef): boolean {
  const value =
    ref.where === "device"
      ? readTensor(run.region, placed(run, ref), ref.dtype)
      : asTensor(hostValue(run, ref), "a condition");
  return Number(value.data[0]) !== 0;
}

function walkDevice(run: Run, step: LaunchStep | CopyStep): void {
  switch (step.kind) {
    case "launch":
      return launch(run, step);
    case "copy":
      return copy(run, step.from, step.to, step.dtype);
    default:
      step satisfies never;
  }
}

async function walkHost(run: Run, step: HostStep): Promise<void> {
  const { graph } = step;
  const dtypes = new Map(graph.inputs.map(({ name, dtype }) => [name, dtype]));
  const inputs = new Map(
    step.inputs.map(({ name, slot }) => {
      return [name, conformed(run.slots.get(slot)!, dtypes.get(name)!, name)];
    }),
  );
  const outputs =
    graph.nodes.length === 0
      ? graph.outputs.map(({ value }) => knownValue(run, value))
      : await regionOf(run, step).run(inputs, run.bindings);
  step.outputs.forEach(({ slot }, i) => run.slots.set(slot, outputs[i]!));
}

function regionOf({ regions, host }: Run, step: HostStep): HostRegion {
  let region = regions.get(step);
  if (region === undefined) {
    region = createHostRegion(step, host);
    regions.set(step, region);
  }
  return region;
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
  const offsets = bindingOffsets(run.executable, step, run.offsetsBytes);
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

function copy(run: Run, from: TensorRef, to: TensorRef, dtype: DType): void {
  if (from.where === "device" && to.where === "host") {
    run.slots.set(to.slot, readTensor(run.region, placed(run, from), dtype));
  } else if (from.where === "host" && to.where === "device") {
    const value = asTensor(hostValue(run, from), "a host region's result");
    writeTensor(run.region, placed(run, to), value, "a host region's result");
  } else if (from.where === "host" && to.where === "host") {
    run.slots.set(to.slot, hostValue(run, from));
  } else throw new InternalError(`copy from ${from.where} to ${to.where}`);
}
