/**
 * LSTM, GRU and RNN: the products of all inputs with their weights are one contraction, then each step is a
 * contraction with the state and a few maps, in a loop whose state stays on the device. What happens to one step's
 * gates is in `recurrent-cells.ts`.
 */
import { type Dim, dimSub } from "../ir/dim.js";
import { buildLoop } from "../ir/build/loop-builder.js";
import type { Value } from "../ir/graph.js";
import { computeType, range } from "./helpers.js";
import {
  type Cell,
  type CellState,
  type CellWeights,
  gruCell,
  lstmCell,
  rnnCell,
} from "./recurrent-cells.js";
import { Decline, type HostType, type LowerContext, type OperatorRecord } from "./record.js";

export const recurrentOperators: readonly OperatorRecord[] = [
  recurrentOperator("LSTM", lstmCell),
  recurrentOperator("GRU", gruCell),
  recurrentOperator("RNN", rnnCell),
];

/** So few steps are no more kernels than a loop's body and what surrounds it. */
const unrolledStepsMax = 2;

function recurrentOperator(name: string, cell: Cell): OperatorRecord {
  return {
    name,
    domain: "",
    since: 1,
    ranks: [3, 3, 3, 2, 1, 3, 3, 2],
    lower: (c) => lowerRecurrent(c, cell),
    infer: (c) => {
      const { time, batch, hidden, directions, batchFirst } = sizesOf(c);
      const { dtype } = c.input(0);
      const state: HostType = {
        dtype,
        shape: batchFirst ? [batch, directions, hidden] : [directions, batch, hidden],
      };
      const all = batchFirst
        ? [batch, time, directions, hidden]
        : [time, directions, batch, hidden];
      return [{ dtype, shape: all }, state, state];
    },
  };
}

interface Sizes {
  readonly time: Dim;
  readonly batch: Dim;
  readonly hidden: Dim;
  readonly directions: number;
  readonly batchFirst: boolean;
}

function sizesOf(c: LowerContext): Sizes {
  const { shape } = c.input(0);
  if (shape.length !== 3) c.invalid("L0201", `the input has rank ${shape.length}, not 3`);
  const batchFirst = c.int("layout", 0) !== 0;
  const direction = c.string("direction", "forward");
  if (!["forward", "reverse", "bidirectional"].includes(direction)) {
    c.invalid("L0108", `direction "${direction}" does not exist`);
  }
  return {
    time: shape[batchFirst ? 1 : 0]!,
    batch: shape[batchFirst ? 0 : 1]!,
    hidden: c.input(2).shape[2]!,
    directions: direction === "bidirectional" ? 2 : 1,
    batchFirst,
  };
}

interface DirectionResult {
  /** The hidden state after each step; the directions' axis is 1 long. */
  readonly sequence: Value;
  readonly last: CellState;
}

function lowerRecurrent(c: LowerContext, cell: Cell): readonly (Value | undefined)[] {
  const sizes = sizesOf(c);
  const { directions, batchFirst } = sizes;
  const { dtype } = c.input(0);
  const reverseOnly = c.string("direction", "forward") === "reverse";
  const results = range(0, directions).map((direction) =>
    runDirection(c, cell, sizes, direction, reverseOnly || direction === 1),
  );
  const join = (values: readonly Value[], axis: number): Value =>
    c.b.cast(c.b.concat(values, axis), dtype);
  const states = (of: (last: CellState) => Value): Value => {
    const axis = batchFirst ? 1 : 0;
    return join(
      results.map(({ last }) => c.b.unsqueeze(of(last), [axis])),
      axis,
    );
  };
  const makers = [
    () =>
      join(
        results.map(({ sequence }) => sequence),
        batchFirst ? 2 : 1,
      ),
    () => states((last) => last.hidden),
    () => states((last) => last.memory!),
  ];
  return makers.map((make, i) => (c.wantsOutput(i) ? make() : undefined));
}

function runDirection(
  c: LowerContext,
  cell: Cell,
  sizes: Sizes,
  direction: number,
  backwards: boolean,
): DirectionResult {
  const weights = weightsOf(c, cell, sizes, direction);
  const x = c.b.cast(c.input(0), weights.dtype);
  const labels = sizes.batchFirst ? "bti" : "tbi";
  const products = c.b.contract(x, weights.input, {
    a: labels,
    b: "gi",
    out: labels.replace("i", "g"),
    order: "i",
  });
  const layer: Layer = {
    cell,
    sizes,
    direction,
    backwards,
    weights,
    gates: weights.bias === undefined ? products : add(c, products, weights.bias),
    lengths: c.inputs[4] === undefined ? undefined : lengthsOf(c, c.input(4), sizes.batch),
    first: {
      hidden: initialState(c, 5, sizes, direction, weights),
      ...(cell.hasMemory && { memory: initialState(c, 6, sizes, direction, weights) }),
    },
  };
  const { time } = sizes;
  return typeof time === "number" && time <= unrolledStepsMax
    ? unrolled(c, layer, time)
    : looped(c, layer);
}

interface Layer {
  readonly cell: Cell;
  readonly sizes: Sizes;
  readonly direction: number;
  readonly backwards: boolean;
  readonly weights: CellWeights;
  /** Products of all inputs with their weights, with bias. */
  readonly gates: Value;
  /** [batch, 1]. */
  readonly lengths: Value | undefined;
  readonly first: CellState;
}

function unrolled(c: LowerContext, layer: Layer, time: number): DirectionResult {
  const { sizes, backwards, weights, first } = layer;
  const steps = range(0, time);
  const outputs = new Map<number, Value>();
  let last = first;
  for (const t of backwards ? steps.toReversed() : steps) {
    const { output, state } = stepOf(c, layer, t, last);
    outputs.set(t, output);
    last = state;
  }
  const { batch, hidden, batchFirst } = sizes;
  const none = batchFirst ? [batch, 0, 1, hidden] : [0, 1, batch, hidden];
  const sequence =
    time === 0
      ? c.b.broadcast(c.b.full(weights.dtype, 0), none)
      : c.b.concat(
          steps.map((t) => outputs.get(t)!),
          batchFirst ? 1 : 0,
        );
  return { sequence, last };
}

/** The state stays where it is; only one step's kernels are compiled, however many steps there are. */
function looped(c: LowerContext, layer: Layer): DirectionResult {
  const { weights, first, gates, lengths, sizes, backwards } = layer;
  const { time, batchFirst } = sizes;
  const { state, stateBias, peepholes } = weights;
  const read = { gates, lengths, state, stateBias, peepholes };
  const names = (Object.keys(read) as (keyof typeof read)[]).filter((name) => read[name]);
  const { node } = c;
  const { states, scanned } = buildLoop(c.b, {
    name: node.name,
    trips: time,
    origins: [{ node: node.name, operator: node.operator }],
    states: first.memory === undefined ? [first.hidden] : [first.hidden, first.memory],
    captured: names.map((name) => read[name]!),
    body(b, { index, states: [hidden, memory], captured }) {
      const inside = Object.fromEntries(names.map((name, i) => [name, captured[i]!]));
      const inner: Layer = {
        ...layer,
        weights: { ...weights, ...inside, state: inside["state"]! },
        gates: inside["gates"]!,
        lengths: inside["lengths"],
      };
      const t = backwards ? dimSub(dimSub(time, 1), index) : index;
      const before: CellState = { hidden: hidden!, ...(memory && { memory }) };
      const after = stepOf({ ...c, b }, inner, t, before);
      const next = [after.state.hidden, after.state.memory].filter((v) => v !== undefined);
      const part = { part: after.output, axis: batchFirst ? 1 : 0, reverse: backwards };
      return { states: next, scanned: [part] };
    },
  });
  const [hidden, memory] = states;
  return { sequence: scanned[0]!, last: { hidden: hidden!, ...(memory && { memory }) } };
}

/** Step t of the sequence, and its part of the output. */
function stepOf(
  c: LowerContext,
  { cell, sizes, direction, weights, gates, lengths }: Layer,
  t: Dim,
  before: CellState,
): { readonly output: Value; readonly state: CellState } {
  const timeAxis = sizes.batchFirst ? 1 : 0;
  const own = c.b.squeeze(c.b.sliceAxis(gates, timeAxis, t, 1), [timeAxis]);
  const next = cell.prepare(c, weights, direction)(own, before);
  const placed = (x: Value): Value => c.b.unsqueeze(x, sizes.batchFirst ? [1, 2] : [0, 1]);
  if (lengths === undefined) return { output: placed(next.hidden), state: next };
  const runs = { lengths, t: c.b.cast(c.b.dims([t], { scalar: true }), "i32") };
  const zero = c.b.full(weights.dtype, 0);
  return {
    output: placed(keepRunning(c, runs, next.hidden, zero)),
    state: {
      hidden: keepRunning(c, runs, next.hidden, before.hidden),
      ...(next.memory && { memory: keepRunning(c, runs, next.memory, before.memory!) }),
    },
  };
}

function lengthsOf(c: LowerContext, lengths: Value, batch: Dim): Value {
  return c.b.reshape(c.b.cast(lengths, "i32"), [batch, 1]);
}

/** `next` where the sequence of the batch entry has step t, else `rest`. */
function keepRunning(
  c: LowerContext,
  { lengths, t }: { readonly lengths: Value; readonly t: Value },
  next: Value,
  rest: Value,
): Value {
  return c.b.map(next.dtype, [lengths, t, next, rest], (l, length, step, n, r) =>
    l.select(l.ltI(step!, length!), n!, r!),
  );
}

function weightsOf(c: LowerContext, cell: Cell, sizes: Sizes, direction: number): CellWeights {
  const dtype = computeType(c.input(0).dtype);
  const own = (x: Value): Value => {
    const slice = c.b.squeeze(c.b.sliceAxis(x, 0, direction, 1), [0]);
    return c.b.cast(slice, dtype);
  };
  const { hidden } = sizes;
  if (typeof hidden !== "number") throw new Decline("the size of the state is not known");
  const both = c.inputs[3] === undefined ? undefined : own(c.input(3));
  const gates = cell.gates * hidden;
  const [inputBias, stateBias] =
    both === undefined
      ? [undefined, undefined]
      : [c.b.sliceAxis(both, 0, 0, gates), c.b.sliceAxis(both, 0, gates, gates)];
  const separate = cell.separatesStateBias(c);
  const apart = gates - hidden;
  const added = (x: Value): Value =>
    separate ? c.b.pad(c.b.sliceAxis(x, 0, 0, apart), [0], [hidden], 0) : x;
  const bias = inputBias && add(c, inputBias, added(stateBias!));
  return {
    dtype,
    hidden,
    input: own(c.input(1)),
    state: own(c.input(2)),
    bias,
    stateBias: separate && stateBias ? c.b.sliceAxis(stateBias, 0, apart, hidden) : undefined,
    peepholes: c.inputs[7] === undefined ? undefined : own(c.input(7)),
  };
}

/** [batch, hidden] of one direction; zeros where the input is left out. */
function initialState(
  c: LowerContext,
  index: number,
  { batch, hidden, batchFirst }: Sizes,
  direction: number,
  { dtype }: CellWeights,
): Value {
  if (c.inputs[index] === undefined) return c.b.broadcast(c.b.full(dtype, 0), [batch, hidden]);
  const axis = batchFirst ? 1 : 0;
  const own = c.b.squeeze(c.b.sliceAxis(c.input(index), axis, direction, 1), [axis]);
  return c.b.cast(own, dtype);
}

function add(c: LowerContext, x: Value, y: Value): Value {
  return c.b.map(x.dtype, [x, y], (l, p, q) => l.add(p!, q!));
}
