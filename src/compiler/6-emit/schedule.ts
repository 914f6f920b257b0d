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
} from "../../isa/executable.js";
import type { Program } from "../../isa/program.js";
import type { Graph, Value } from "../../ir/graph.js";
import type { DType } from "../../numerics/dtype.js";
import { InternalError } from "../../support/diagnostic.js";
import type { PlacedGraph, TiledGraph, TiledStep } from "../tiled.js";

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
    steps: [],
    downloads: new Set(),
  };
  const inputs = graph.inputs.map((value) => inputPort(state, value));
  for (const step of tiled.steps) addStep(state, step);
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
    steps: state.steps,
    records: options.records,
  };
}

interface State {
  readonly options: ScheduleOptions;
  readonly tiled: TiledGraph;
  readonly programs: Program[];
  readonly programKeys: Map<string, number>;
  readonly slots: Map<Value, number>;
  readonly steps: Step[];
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
    symbols: state.tiled.graph.symbols,
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
  let slot = state.slots.get(value);
  if (slot === undefined) {
    slot = state.slots.size;
    state.slots.set(value, slot);
  }
  return { where: "host", slot };
}

function addStep(state: State, step: TiledStep): void {
  switch (step.kind) {
    case "launch":
      state.steps.push(launchStep(state, step));
      return;
    case "upload": {
      const { value } = step;
      if (value.dims !== undefined || value.data !== undefined) provideKnown(state, value);
      state.steps.push({
        kind: "copy",
        from: hostRef(state, value),
        to: deviceRef(state, value)!,
        dtype: value.dtype,
      });
      return;
    }
    case "host":
      addHostStep(state, step);
      return;
    default:
      step satisfies never;
  }
}

function launchStep(state: State, step: TiledStep & { kind: "launch" }): LaunchStep {
  const program = emitProgram(step.written.kernel);
  const key = JSON.stringify(withoutNames(program));
  let index = state.programKeys.get(key);
  if (index === undefined) {
    index = state.programs.length;
    state.programs.push(program);
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

/** What equal layers have in common: a program that several launch keeps the names of the first. */
function withoutNames(program: Program): unknown {
  const nameless = <T extends { readonly name: string }>(list: readonly T[]): T[] =>
    list.map((item) => ({ ...item, name: "" }));
  const { bindings, queues } = program;
  return { ...program, name: "", bindings: nameless(bindings), queues: nameless(queues) };
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
  state.steps.push({
    kind: "host",
    graph: body,
    inputs: body.inputs.map(({ name }, i) => ({ name, slot: slotOf(inputs[i]!) })),
    outputs: body.outputs.map(({ name }, i) => ({ name, slot: slotOf(outputs[i]!) })),
    reason: op.reason,
  });
}

/** Brings a device value to the host once. */
function download(state: State, value: Value): void {
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
