/**
 * Phase 6, the whole: tiled steps and placed memory become an Executable. Kernels with the same program share it;
 * values cross between host and device by copy steps, which also convert what the caller calls int64.
 */
import { emitProgram } from "./emit.js";
import { encodeConstant } from "./constants.js";
import type {
  DecisionRecord,
  DeviceBuffer,
  DeviceTensorRef,
  Executable,
  HostTensorRef,
  LaunchStep,
  Port,
  Step,
  TensorRef,
} from "../../isa/executable.js";
import type { Program } from "../../isa/program.js";
import { bodyOperands, tripResults } from "../../ir/control.js";
import { symbolsOf } from "../../ir/graph-shapes.js";
import { kernelKey } from "../../ir/kernel/key.js";
import type { Graph, Value } from "../../ir/graph.js";
import type { DType } from "../../numerics/dtype.js";
import { InternalError } from "../../support/diagnostic.js";
import type { PlacedGraph, TiledGraph, TiledIf, TiledLoop, TiledStep } from "../tiled.js";

export interface ScheduleOptions {
  readonly name: string;
  readonly machine: { readonly name: string; readonly hash: string };
  readonly placed: PlacedGraph;
  /** Types that the caller sees where they differ from the graph's, by input or output name. */
  readonly outerTypes: ReadonlyMap<string, DType>;
  readonly records: readonly DecisionRecord[];
  /** Bodies of host regions, by the name of the node that stands for one. */
  readonly regions: ReadonlyMap<string, { readonly body: Graph }>;
}

export function buildExecutable(options: ScheduleOptions): Executable {
  const { placed } = options;
  const { tiled } = placed;
  const { graph } = tiled;
  const state: State = {
    options,
    tiled,
    programs: [],
    programKeys: new Map(),
    slots: new Map(),
    slotCount: 0,
    steps: [],
    downloads: new Set(),
  };
  const inputs = graph.inputs.map((value) => inputPort(state, value));
  state.steps.push(...stepsOf(state, tiled.steps));
  const outputs = graph.outputs.map(({ name, value }) => outputPort(state, name, value));
  const { buffers, constants } = placeConstants(placed);
  return {
    name: options.name,
    machine: options.machine,
    symbols: graph.symbols,
    programs: state.programs,
    buffers,
    memoryBytes: placed.memoryBytes,
    constants,
    inputs,
    boundInputs: [],
    outputs,
    later: [],
    steps: state.steps,
    records: options.records,
  };
}

interface State {
  readonly options: ScheduleOptions;
  readonly tiled: TiledGraph;
  readonly programs: Program[];
  /** By the kernel that a program is made of; one that several launch keeps the names of the first. */
  readonly programKeys: Map<string, number>;
  /** A loop's state has one slot inside and outside. */
  readonly slots: Map<Value, number>;
  slotCount: number;
  /** Of the body at hand. */
  steps: Step[];
  /** Values that a copy step has brought to the host. */
  readonly downloads: Set<Value>;
}

function inputPort(state: State, value: Value): Port {
  const dtype = state.options.outerTypes.get(value.name) ?? value.dtype;
  const location = deviceRef(state, value) ?? hostRef(state, value);
  const limit = value.limit === undefined ? {} : { limit: value.limit };
  return { name: value.name, dtype, shape: value.shape, location, ...unknown(value), ...limit };
}

function unknown(value: Value): { unknownShape?: true } {
  return value.unknownShape ? { unknownShape: true } : {};
}

function outputPort(state: State, name: string, value: Value): Port {
  const dtype = state.options.outerTypes.get(name) ?? value.dtype;
  const location = deviceRef(state, value) ?? hostValue(state, value);
  return { name, dtype, shape: value.shape, location, ...unknown(value) };
}

/** An output that no kernel writes: made on the host, or known at compile time. */
function hostValue(state: State, value: Value): HostTensorRef {
  if (value.data !== undefined || value.dims !== undefined) provideKnown(state, value);
  return hostRef(state, value);
}

/** Constants and dims that are needed on the host come out of a graph without nodes. */
function provideKnown(state: State, value: Value): void {
  if (state.slots.has(value)) return;
  const slot = hostRef(state, value).slot;
  const body: Graph = {
    name: value.name,
    symbols: [...symbolsOf([...value.shape, ...(value.dims ?? [])])],
    inputs: [],
    outputs: [{ name: value.name, value }],
    nodes: [],
  };
  state.steps.push({
    kind: "host",
    graph: body,
    inputs: [],
    outputs: [{ name: value.name, slot }],
    reason: "its value is known when the model is compiled",
  });
}

function deviceRef(state: State, value: Value): DeviceTensorRef | undefined {
  const storage = state.tiled.storage(value);
  if (storage === undefined) return undefined;
  if (storage.origins !== undefined) throw new InternalError(`${value.name} begins at a dim`);
  return {
    where: "device",
    buffer: storage.root.id,
    offset: storage.offset,
    dtype: storage.root.dtype,
    shape: storage.shape,
    strides: storage.strides,
  };
}

function hostRef(state: State, value: Value): HostTensorRef {
  const source = state.tiled.source(value);
  let slot = state.slots.get(source);
  if (slot === undefined) {
    slot = state.slotCount++;
    state.slots.set(source, slot);
  }
  return { where: "host", slot };
}

/** `tail` adds what stands at the end. */
function stepsOf(state: State, tiled: readonly TiledStep[], tail: () => void = () => {}): Step[] {
  const outer = state.steps;
  const steps: Step[] = [];
  state.steps = steps;
  for (const step of tiled) addStep(state, step);
  tail();
  state.steps = outer;
  return steps;
}

function addStep(state: State, step: TiledStep): void {
  switch (step.kind) {
    case "launch":
      state.steps.push(launchStep(state, step));
      return;
    case "upload": {
      const { value } = step;
      const from = hostValue(state, value);
      state.downloads.add(value);
      state.steps.push({ kind: "copy", from, to: deviceRef(state, value)!, dtype: value.dtype });
      return;
    }
    case "download":
      return download(state, step.value);
    case "host":
      return addHostStep(state, step);
    case "if":
      return addIf(state, step);
    case "loop":
      return addLoop(state, step);
    default:
      step satisfies never;
  }
}

/** Where a value is, on the device if it is there. */
function tensorRef(state: State, value: Value): TensorRef {
  return deviceRef(state, value) ?? hostValue(state, value);
}

/** Lets a host slot take the value of another; one of the device is fetched. */
function moveToSlot(state: State, from: Value, to: HostTensorRef): void {
  state.steps.push({ kind: "copy", from: tensorRef(state, from), to, dtype: from.dtype });
}

function addIf(state: State, { node, bodies }: TiledIf): void {
  const { op, inputs, outputs, origins } = node;
  if (op.kind !== "if") throw new InternalError(`an if step for ${op.kind}`);
  const condition = tensorRef(state, inputs[0]!);
  const branches = bodies.map((body, i) =>
    stepsOf(state, body, () =>
      outputs.forEach((result, j) => {
        if (deviceRef(state, result) !== undefined) return;
        moveToSlot(state, op.bodies[i]!.outputs[j]!.value, hostRef(state, result));
      }),
    ),
  );
  state.steps.push({ kind: "if", condition, bodies: branches, origins });
}

function addLoop(state: State, { node, bodies, states, scans }: TiledLoop): void {
  const { op, inputs, outputs, origins } = node;
  if (op.kind !== "loop") throw new InternalError(`a loop step for ${op.kind}`);
  const body = op.bodies[0]!;
  const given = body.outputs.map((output) => output.value);
  const results = tripResults({ ...op, condition: false }, outputs);
  const trip = tripResults(op, given);
  const operands = bodyOperands(op, inputs)[0]!;
  const first = op.condition ? tensorRef(state, inputs[0]!) : undefined;
  const onHost = states.flatMap((pair, i) => (pair === undefined ? [i] : []));
  for (const i of onHost) {
    const slot = hostRef(state, results.states[i]!);
    state.slots.set(body.inputs[i]!, slot.slot);
    moveToSlot(state, operands[i]!, slot);
  }
  const collected = scans.flatMap((root, i) => (root === undefined ? [i] : []));
  const steps = stepsOf(state, bodies[0]!, () => {
    for (const value of onHost.map((i) => trip.states[i]!)) onHostNow(state, value);
    for (const value of collected.map((i) => trip.scanned[i]!)) onHostNow(state, value);
  });
  const next = op.condition ? tensorRef(state, given[0]!) : undefined;
  state.steps.push({
    kind: "loop",
    index: op.index.name,
    ...(op.trips === undefined ? {} : { trips: op.trips }),
    ...(first === undefined || next === undefined ? {} : { condition: { first, next } }),
    bodies: [steps],
    exchanged: states.flatMap((pair) => (pair === undefined ? [] : [[pair[0].id, pair[1].id]])),
    carried: onHost.map((i) => ({
      from: hostRef(state, trip.states[i]!).slot,
      to: hostRef(state, results.states[i]!).slot,
    })),
    collected: collected.map((i) => {
      const { dtype, shape } = results.scanned[i]!;
      const from = hostRef(state, trip.scanned[i]!).slot;
      return { ...op.scans[i]!, from, to: hostRef(state, results.scanned[i]!).slot, dtype, shape };
    }),
    ...(op.count === undefined ? {} : { count: op.count.name }),
    origins,
  });
}

/** Sees to it that a value's slot holds it at the end of a body. */
function onHostNow(state: State, value: Value): void {
  if (deviceRef(state, value) === undefined) hostValue(state, value);
  else download(state, value);
}

function launchStep(state: State, step: TiledStep & { kind: "launch" }): LaunchStep {
  const { kernel } = step.written;
  const key = kernelKey(kernel);
  let index = state.programKeys.get(key);
  if (index === undefined) {
    index = state.programs.length;
    state.programs.push(emitProgram(kernel));
    state.programKeys.set(key, index);
  }
  return {
    kind: "launch",
    program: index,
    bindings: step.written.bindings.map(({ storage }) => ({
      buffer: storage.root.id,
      offset: storage.offset,
    })),
    scalars: step.written.scalars,
    origins: step.written.origins,
    plan: step.plan,
  };
}

function addHostStep(state: State, step: TiledStep & { kind: "host" }): void {
  const { op, inputs, outputs } = step.node;
  const region = op.kind === "host" ? state.options.regions.get(op.node.name) : undefined;
  if (op.kind !== "host" || region === undefined)
    throw new InternalError("a host node outside any region");
  for (const value of inputs) download(state, value);
  const slotOf = (value: Value): number => hostRef(state, value).slot;
  // The region knows values by its own names: what it reads may have become a copy since.
  const { body } = region;
  for (const value of outputs) state.downloads.add(value);
  state.steps.push({
    kind: "host",
    graph: body,
    inputs: body.inputs.map(({ name }, i) => ({ name, slot: slotOf(inputs[i]!) })),
    outputs: body.outputs.map(({ name }, i) => ({ name, slot: slotOf(outputs[i]!) })),
    reason: op.reason,
  });
}

/** Brings a device value to the host once. */
function download(state: State, given: Value): void {
  const value = state.tiled.source(given);
  if (value.data !== undefined || value.dims !== undefined) return provideKnown(state, value);
  const from = deviceRef(state, value);
  if (from === undefined || state.downloads.has(value)) return;
  state.downloads.add(value);
  state.steps.push({ kind: "copy", from, to: hostRef(state, value), dtype: value.dtype });
}

function placeConstants(placed: PlacedGraph): { buffers: DeviceBuffer[]; constants: Uint8Array } {
  const parts: Uint8Array[] = [];
  let constantOffset = 0;
  const buffers = placed.tiled.roots.map((root, i): DeviceBuffer => {
    const base = {
      name: root.name,
      dtype: root.dtype,
      elements: root.elements,
      offsetBytes: placed.offsetsBytes[i]!,
      sizeBytes: placed.sizesBytes[i]!,
      kind: root.kind,
    };
    if (root.contents === undefined) return base;
    const bytes = encodeConstant(root.contents.tensor, root.contents.order);
    const at = constantOffset;
    const padded = Math.ceil(bytes.length / 64) * 64;
    parts.push(bytes);
    constantOffset += padded;
    return { ...base, constantOffset: at };
  });
  const constants = new Uint8Array(constantOffset);
  let at = 0;
  for (const bytes of parts) {
    constants.set(bytes, at);
    at += Math.ceil(bytes.length / 64) * 64;
  }
  return { buffers, constants };
}
