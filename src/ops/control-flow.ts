/**
 * If, Loop, Scan and SequenceMap, and how the host evaluates them: by running their bodies. What they become on the
 * device is in `control-lowering.ts`. An If whose condition is known never gets here: the import puts its branch in
 * place.
 *
 * The inputs of such a node are followed by what its subgraphs capture, in the order of their templates.
 */
import { lowerIf, lowerLoop, lowerScan, neverEnds } from "./control-lowering.js";
import { padTensor } from "../ir/evaluate/movement.js";
import type { Value } from "../ir/graph.js";
import type { Tensor } from "../numerics/tensor.js";
import { isTensor } from "./context.js";
import { DiagnosticError } from "../support/diagnostic.js";
import {
  Decline,
  type EvaluateContext,
  type HostType,
  type HostValue,
  type LowerContext,
  type NodeContext,
  type OperatorRecord,
} from "./record.js";
import { type ScanPlan, scanPlan } from "./scan-plan.js";
import { requireCondition, runnerOf, type SubgraphRunner } from "./subgraph.js";
import { bodyTypes, commonType, hostType, inferStates } from "./subgraph-types.js";
import { emptyStack, type StackOptions, stackTensors, takeSlice } from "./tensor-stack.js";

export const controlFlowOperators: readonly OperatorRecord[] = [
  {
    name: "If",
    domain: "",
    since: 1,
    lower: lowerIf,
    evaluate: evaluateIf,
    infer: inferIf,
  },
  {
    name: "Loop",
    domain: "",
    since: 1,
    note: "on the host where the number of scanned parts depends on data, or a state changes its shape",
    lower: lowerLoop,
    evaluate: evaluateLoop,
    infer: inferLoop,
  },
  hostOnly("Scan", { since: 8, until: 8 }, "scans with a batch dimension run on the host", {
    evaluate: evaluateBatchedScan,
  }),
  {
    name: "Scan",
    domain: "",
    since: 9,
    lower: lowerScan,
    evaluate: evaluateScan,
    infer: inferScan,
  },
  hostOnly("SequenceMap", { since: 17 }, "sequences stay on the host", {
    evaluate: evaluateSequenceMap,
  }),
];

function hostOnly(
  name: string,
  versions: { readonly since: number; readonly until?: number },
  reason: string,
  rest: Pick<OperatorRecord, "evaluate" | "infer">,
): OperatorRecord {
  const lower = (): never => {
    throw new Decline(reason);
  };
  return { name, domain: "", ...versions, ...rest, lower };
}

function evaluateIf(c: EvaluateContext): readonly HostValue[] {
  const taken = condition(c, c.tensorInput(0)) ? "then_branch" : "else_branch";
  return runnerOf(c, taken).run([]);
}

/**
 * What both branches agree on. A branch whose shapes do not fit cannot be taken with inputs of these shapes: such
 * pairs are models for two sampling rates in one file.
 */
function inferIf(c: LowerContext): readonly (HostType | undefined)[] {
  const errors: DiagnosticError[] = [];
  const branches = ["then_branch", "else_branch"].flatMap((name) => {
    try {
      return [bodyTypes(c, name, [])];
    } catch (error) {
      if (!isShapeError(error)) throw error;
      errors.push(error);
      return [];
    }
  });
  const [first, second] = branches;
  if (branches.length === 0) throw errors[0]!;
  if (branches.includes(undefined)) return [];
  return first!.map((type, i) =>
    second === undefined ? hostType(type) : commonType(type, second[i]!),
  );
}

function isShapeError(error: unknown): error is DiagnosticError {
  return error instanceof DiagnosticError && error.diagnostics.every((d) => d.code === "L0201");
}

function evaluateLoop(c: EvaluateContext): readonly HostValue[] {
  const runner = runnerOf(c, "body");
  const trips = c.optionalTensor(0);
  const limit = trips === undefined ? Infinity : Number(trips.data[0]);
  const first = c.optionalTensor(1);
  let go = first === undefined || condition(c, first);
  let states = c.inputs.slice(2, c.node.inputNames.length) as readonly HostValue[];
  const scans = scanLists(runner.outputCount - 1 - states.length);
  for (let trip = 0; trip < limit && go; trip++) {
    const outputs = runner.run([int64(trip), bool(go), ...states]);
    go = condition(c, tensorOf(c, outputs[0]));
    states = outputs.slice(1, 1 + states.length);
    scans.forEach((scan, i) => scan.push(tensorOf(c, outputs[1 + states.length + i])));
  }
  const types = () => runner.outputTypes([int64(0), bool(true), ...states]);
  return [
    ...states,
    ...scans.map((scan, i) => stackScan(scan, () => types()[1 + states.length + i])),
  ];
}

/** States keep their type if the body does; scan outputs have as many slices as a Loop without stop runs. */
function inferLoop(c: LowerContext): readonly (HostType | undefined)[] {
  const counter: Value = { name: "trip", dtype: "i64", shape: [] };
  // A trip that is made has begun with a true condition.
  const go: Value = { name: "go", dtype: "bool", shape: [], data: bool(true) };
  const stop = c.inputs[1];
  const states = c.inputs.slice(2, c.node.inputNames.length) as readonly Value[];
  return inferStates(c, states, (current) => [counter, go, ...current], {
    outputsBefore: 1,
    slices: (body) => {
      const neverStops = body[0]?.data !== undefined && Number(body[0].data.data[0]) !== 0;
      const starts = stop === undefined || (stop.data !== undefined && condition(c, stop.data));
      if (!neverStops || !starts) return undefined;
      if (c.inputs[0] === undefined) neverEnds(c);
      const [trips] = c.dims(0) ?? [];
      return trips;
    },
    axis: () => 0,
  });
}

function evaluateScan(c: EvaluateContext): readonly HostValue[] {
  const runner = runnerOf(c, "body");
  const plan = scanPlan(c, runner.outputCount);
  const states = c.inputs.slice(0, plan.stateCount) as readonly HostValue[];
  const sequences = range(plan.scanCount).map((i) => c.tensorInput(plan.stateCount + i));
  return runScan(c, runner, { states, sequences, plan });
}

function inferScan(c: LowerContext): readonly (HostType | undefined)[] {
  const plan = scanPlan(c, c.outputCount);
  const states = c.inputs.slice(0, plan.stateCount) as readonly Value[];
  const sequences = range(plan.scanCount).map((i) => c.input(plan.stateCount + i));
  const axes = sequences.map((x, i) => c.axis(plan.inputAxes[i] ?? 0, x.shape.length));
  const elements = sequences.map(
    (x, i): Value => ({
      name: x.name,
      dtype: x.dtype,
      shape: x.shape.filter((_, axis) => axis !== axes[i]),
    }),
  );
  return inferStates(c, states, (current) => [...current, ...elements], {
    outputsBefore: 0,
    slices: () => sequences[0]?.shape[axes[0]!],
    axis: (i) => plan.outputAxes[i] ?? 0,
  });
}

interface ScanRun {
  readonly states: readonly HostValue[];
  readonly sequences: readonly Tensor[];
  readonly plan: ScanPlan;
  /** Fewer than the sequences have, in a batch of ragged ones. */
  readonly length?: number;
}

function runScan(c: EvaluateContext, runner: SubgraphRunner, run: ScanRun): readonly HostValue[] {
  const { sequences, plan } = run;
  const axes = sequences.map((x, i) => fromEnd(plan.inputAxes[i] ?? 0, x.shape.length));
  const lengths = sequences.map((x, i) => x.shape[axes[i]!]!);
  const length = run.length ?? lengths[0]!;
  if (run.length === undefined && lengths.some((l) => l !== length)) {
    c.invalid("L0201", `the scanned inputs have different lengths: ${lengths.join(", ")}`);
  }
  let states = run.states;
  const scans = scanLists(runner.outputCount - states.length);
  const elementsAt = (step: number): Tensor[] =>
    sequences.map((x, i) => {
      const at = plan.inputDirections[i] === 1 ? length - 1 - step : step;
      return takeSlice(x, axes[i]!, at);
    });
  for (let step = 0; step < length; step++) {
    const outputs = runner.run([...states, ...elementsAt(step)]);
    states = outputs.slice(0, states.length);
    scans.forEach((scan, i) => scan.push(tensorOf(c, outputs[states.length + i])));
  }
  const slice = (x: Tensor, i: number): Value => ({
    name: "slice",
    dtype: x.dtype,
    shape: x.shape.filter((_, axis) => axis !== axes[i]),
  });
  const types = () => runner.outputTypes([...states, ...sequences.map(slice)]);
  const stacked = scans.map((scan, i) =>
    stackScan(scan, () => types()[states.length + i], {
      axis: plan.outputAxes[i] ?? 0,
      reverse: plan.outputDirections[i] === 1,
    }),
  );
  return [...states, ...stacked];
}

/** Opset 8: a batch dim in front of everything, and optional lengths of each batch entry's sequences. */
function evaluateBatchedScan(c: EvaluateContext): readonly HostValue[] {
  const runner = runnerOf(c, "body");
  const scanCount = c.int("num_scan_inputs") ?? c.invalid("L0108", "num_scan_inputs is missing");
  const given = range(c.node.inputNames.length - 1).map((i) => c.tensorInput(i + 1));
  const stateCount = given.length - scanCount;
  const lengths = c.optionalTensor(0);
  const padded = given[stateCount]?.shape[1] ?? 0;
  const plan: ScanPlan = {
    stateCount,
    scanCount,
    inputAxes: [],
    outputAxes: [],
    inputDirections: c.ints("directions", []),
    outputDirections: [],
  };
  const batches = range(given[0]?.shape[0] ?? 0).map((batch) => {
    const entries = given.map((x) => takeSlice(x, 0, batch));
    return runScan(c, runner, {
      states: entries.slice(0, stateCount),
      sequences: entries.slice(stateCount),
      plan,
      length: lengths === undefined ? padded : Number(lengths.data[batch]),
    });
  });
  return range(runner.outputCount).map((i) => {
    const parts = batches.map((outputs) => {
      const part = tensorOf(c, outputs[i]);
      return i < stateCount ? part : padTensor(part, [0], 0, part.shape.with(0, padded));
    });
    return stackTensors(parts, { axis: 0, reverse: false });
  });
}

function evaluateSequenceMap(c: EvaluateContext): readonly HostValue[] {
  const runner = runnerOf(c, "body");
  const inputs = c.inputs.slice(0, c.node.inputNames.length) as readonly HostValue[];
  const [first] = inputs;
  if (first === undefined || isTensor(first) || first.kind !== "sequence") {
    return c.invalid("L0202", "the first input is not a sequence");
  }
  const results = first.items.map((_, i) =>
    runner.run(
      inputs.map((x) => (isTensor(x) || x.kind !== "sequence" ? x : (x.items[i] ?? missing(c, i)))),
    ),
  );
  return range(runner.outputCount).map((k) => {
    const items = results.map((outputs) => tensorOf(c, outputs[k]));
    return { kind: "sequence", elementType: items[0]?.dtype ?? first.elementType, items };
  });
}

function missing(c: NodeContext, index: number): never {
  return c.invalid("L0201", `a sequence has no item ${index} while the first one has`);
}

/** Slices stacked along a new axis; with none at all, the body's type gives the other extents. */
function stackScan(
  slices: readonly Tensor[],
  type: () => Value | undefined,
  options: StackOptions = { axis: 0, reverse: false },
): Tensor {
  if (slices.length > 0) return stackTensors(slices, options);
  const { dtype, shape } = type() ?? { dtype: "f32" as const, shape: [] };
  const extents = shape.map((dim) => (typeof dim === "number" ? dim : 0));
  return emptyStack(dtype, extents, options.axis);
}

function scanLists(count: number): Tensor[][] {
  return Array.from({ length: Math.max(0, count) }, () => []);
}

function condition(c: NodeContext, tensor: Tensor): boolean {
  requireCondition(c, tensor);
  return Number(tensor.data[0]) !== 0;
}

function tensorOf(c: NodeContext, value: HostValue | undefined): Tensor {
  if (value !== undefined && isTensor(value)) return value;
  return c.invalid("L0202", "the body gives a value that is no tensor where one is needed");
}

function int64(value: number): Tensor {
  return { dtype: "i64", shape: [], data: BigInt64Array.of(BigInt(value)) };
}

function bool(value: boolean): Tensor {
  return { dtype: "bool", shape: [], data: Uint8Array.of(value ? 1 : 0) };
}

function fromEnd(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis;
}

function range(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i);
}
