/**
 * LSTM, GRU and RNN, unrolled over time: the products of all inputs with their weights are one contraction,
 * then each step is a contraction with the state and a few maps. What happens to one step's gates is in
 * `recurrent-cells.ts`.
 */
import type { Dim } from "../ir/dim.js";
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

const note = "on the accelerator for a known sequence length of at most 64";

export const recurrentOperators: readonly OperatorRecord[] = [
  recurrentOperator("LSTM", lstmCell),
  recurrentOperator("GRU", gruCell),
  recurrentOperator("RNN", rnnCell),
];

/** Longer sequences would make programs of too many instructions. */
const unrolledStepsMax = 64;

function recurrentOperator(name: string, cell: Cell): OperatorRecord {
  return {
    name,
    domain: "",
    since: 1,
    note,
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
  /** The hidden state after each step, in order of time. */
  readonly outputs: readonly Value[];
  readonly last: CellState;
}

function lowerRecurrent(c: LowerContext, cell: Cell): readonly (Value | undefined)[] {
  const sizes = sizesOf(c);
  const { time, directions, batchFirst } = sizes;
  const folds = c.inputs.every((value) => value === undefined || value.data !== undefined);
  if (typeof time !== "number" || (time > unrolledStepsMax && !folds)) {
    throw new Decline(`it is unrolled for at most ${unrolledStepsMax} steps of known number`);
  }
  const { dtype } = c.input(0);
  const reverseOnly = c.string("direction", "forward") === "reverse";
  const results = range(0, directions).map((direction) =>
    runDirection(c, cell, sizes, direction, reverseOnly || direction === 1),
  );
  const stackDirections = (values: readonly Value[], axis: number): Value => {
    return c.b.cast(
      c.b.concat(
        values.map((v) => c.b.unsqueeze(v, [axis])),
        axis,
      ),
      dtype,
    );
  };
  const sequence = (): Value => {
    const steps = range(0, time).map((t) =>
      stackDirections(
        results.map(({ outputs }) => outputs[t]!),
        batchFirst ? 1 : 0,
      ),
    );
    return stackDirections(steps, batchFirst ? 1 : 0);
  };
  const stateAxis = batchFirst ? 1 : 0;
  const hidden = (): Value =>
    stackDirections(
      results.map(({ last }) => last.hidden),
      stateAxis,
    );
  const memory = (): Value =>
    stackDirections(
      results.map(({ last }) => last.memory!),
      stateAxis,
    );
  return [sequence, hidden, memory].map((make, i) => (c.wantsOutput(i) ? make() : undefined));
}

function runDirection(
  c: LowerContext,
  cell: Cell,
  sizes: Sizes,
  direction: number,
  backwards: boolean,
): DirectionResult {
  const time = sizes.time as number;
  const weights = weightsOf(c, cell, sizes, direction);
  const step = cell.prepare(c, weights, direction);
  const x = c.b.cast(c.input(0), weights.dtype);
  const labels = sizes.batchFirst ? "bti" : "tbi";
  const products = c.b.contract(x, weights.input, {
    a: labels,
    b: "gi",
    out: labels.replace("i", "g"),
    order: "i",
  });
  const gates = weights.bias === undefined ? products : add(c, products, weights.bias);
  const timeAxis = sizes.batchFirst ? 1 : 0;
  const lengths = c.inputs[4] === undefined ? undefined : lengthsOf(c, c.input(4), sizes.batch);
  let state: CellState = {
    hidden: initialState(c, 5, sizes, direction, weights),
    ...(cell.hasMemory && { memory: initialState(c, 6, sizes, direction, weights) }),
  };
  const outputs = new Array<Value>(time);
  const zero = c.b.full(weights.dtype, 0);
  for (const t of backwards ? range(0, time).reverse() : range(0, time)) {
    const own = c.b.squeeze(c.b.sliceAxis(gates, timeAxis, t, 1), [timeAxis]);
    const next = step(own, state);
    if (lengths === undefined) {
      state = next;
      outputs[t] = next.hidden;
      continue;
    }
    const hidden = keepRunning(c, lengths, t, next.hidden, state.hidden);
    outputs[t] = keepRunning(c, lengths, t, next.hidden, zero);
    state = {
      hidden,
      ...(next.memory && { memory: keepRunning(c, lengths, t, next.memory, state.memory!) }),
    };
  }
  return { outputs, last: state };
}

function lengthsOf(c: LowerContext, lengths: Value, batch: Dim): Value {
  return c.b.reshape(c.b.cast(lengths, "i32"), [batch, 1]);
}

/** `next` where the sequence of the batch entry has step t, else `rest`. */
function keepRunning(c: LowerContext, lengths: Value, t: number, next: Value, rest: Value): Value {
  return c.b.map(next.dtype, [lengths, next, rest], (l, length, n, r) =>
    l.select(l.ltI(l.constI(t), length!), n!, r!),
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
  const bias = inputBias === undefined || separate ? inputBias : add(c, inputBias, stateBias!);
  return {
    dtype,
    hidden,
    input: own(c.input(1)),
    state: own(c.input(2)),
    bias,
    stateBias: separate ? stateBias : undefined,
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
