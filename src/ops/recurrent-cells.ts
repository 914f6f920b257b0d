/** One step of an LSTM, GRU or RNN: from the gates' inputs and the last state to the next state. */
import type { DType } from "../numerics/dtype.js";
import type { Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { atLeast, atMost, range } from "./helpers.js";
import { type Activation, namedActivation, takesAlpha } from "./named-activations.js";
import type { LowerContext } from "./record.js";

export interface CellState {
  /** [batch, hidden], as are all states. */
  readonly hidden: Value;
  /** The cell state of an LSTM. */
  readonly memory?: Value;
}

/** Of one direction, in the type that the layer computes in. */
export interface CellWeights {
  readonly dtype: DType;
  readonly hidden: number;
  /** [gates * hidden, inputs]. */
  readonly input: Value;
  /** [gates * hidden, hidden]. */
  readonly state: Value;
  /** [gates * hidden], already in the gates' inputs. */
  readonly bias: Value | undefined;
  /** [hidden]: the state's own bias of the last gate, where it must not be added to the inputs' bias. */
  readonly stateBias: Value | undefined;
  /** [3 * hidden]: of the gates input, output, forget. */
  readonly peepholes: Value | undefined;
}

/** `gates`: [batch, gates * hidden], the products of this step's input with its weights, plus bias. */
export type Step = (gates: Value, state: CellState) => CellState;

export interface Cell {
  readonly gates: number;
  readonly hasMemory: boolean;
  separatesStateBias(c: LowerContext): boolean;
  prepare(c: LowerContext, weights: CellWeights, direction: number): Step;
}

export const lstmCell: Cell = {
  gates: 4,
  hasMemory: true,
  separatesStateBias: () => false,
  prepare: prepareLstm,
};

export const gruCell: Cell = {
  gates: 3,
  hasMemory: false,
  separatesStateBias: (c) => c.int("linear_before_reset", 0) !== 0,
  prepare: prepareGru,
};

export const rnnCell: Cell = {
  gates: 1,
  hasMemory: false,
  separatesStateBias: () => false,
  prepare: prepareRnn,
};

/** Gates in order input, output, forget, cell. */
function prepareLstm(c: LowerContext, weights: CellWeights, direction: number): Step {
  const [f, g, h] = activationsOf(c, ["Sigmoid", "Tanh", "Tanh"], direction);
  const couples = c.int("input_forget", 0) !== 0;
  const [peepInput, peepOutput, peepForget] = range(0, 3).map((gate) =>
    weights.peepholes === undefined ? undefined : gateOf(c, weights.peepholes, gate, weights, 0),
  );
  return (gates, { hidden: before, memory: kept }) => {
    const product = timesState(c, before, weights);
    // A vec reads no more than eight operands: with peepholes the sums go first.
    const sums = weights.peepholes === undefined ? [gates, product] : [add(c, gates, product)];
    const [input, output, forget, cell] = range(0, 4).map((gate) =>
      sums.map((sum) => gateOf(c, sum, gate, weights, 1)),
    );
    const memory = mapSums(
      c,
      weights.dtype,
      [input!, forget!, cell!, [kept!], ...given(peepInput, peepForget).map((p) => [p])],
      (l, i, fo, ce, m, pi, pf) => {
        const opened = f!(l, pi === undefined ? i! : l.add(i!, l.mul(pi, m!)));
        const held = couples
          ? l.sub(l.constF(1), opened)
          : f!(l, pf === undefined ? fo! : l.add(fo!, l.mul(pf, m!)));
        return l.add(l.mul(held, m!), l.mul(opened, g!(l, ce!)));
      },
    );
    const hidden = mapSums(
      c,
      weights.dtype,
      [output!, [memory], ...given(peepOutput).map((p) => [p])],
      (l, o, m, po) => {
        const opened = f!(l, po === undefined ? o! : l.add(o!, l.mul(po, m!)));
        return l.mul(opened, h!(l, m!));
      },
    );
    return { hidden, memory };
  };
}

/** Gates in order update, reset, hidden. */
function prepareGru(c: LowerContext, weights: CellWeights, direction: number): Step {
  const [f, g] = activationsOf(c, ["Sigmoid", "Tanh"], direction);
  const linearFirst = c.int("linear_before_reset", 0) !== 0;
  const { dtype, hidden: size, stateBias } = weights;
  const gate = (values: readonly Value[], number: number): readonly Value[] =>
    values.map((value) => gateOf(c, value, number, weights, 1));
  const blend = (update: readonly Value[], proposal: Value, hidden: Value): CellState => ({
    hidden: mapSums(c, dtype, [update, [proposal], [hidden]], (l, z, p, h) => {
      const opened = f!(l, z!);
      return l.add(l.mul(l.sub(l.constF(1), opened), p!), l.mul(opened, h!));
    }),
  });
  if (linearFirst) {
    return (gates, { hidden }) => {
      const product = timesState(c, hidden, weights);
      const linear = [...gate([product], 2), ...given(stateBias)];
      const terms = [gate([gates], 2), gate([gates, product], 1), linear];
      const proposal = mapSums(c, dtype, terms, (l, x, r, p) =>
        g!(l, l.add(x!, l.mul(f!(l, r!), p!))),
      );
      return blend(gate([gates, product], 0), proposal, hidden);
    };
  }
  const ofGates = (start: number, length: number): CellWeights => ({
    ...weights,
    state: c.b.sliceAxis(weights.state, 0, start * size, length * size),
  });
  const [control, candidate] = [ofGates(0, 2), ofGates(2, 1)];
  return (gates, { hidden }) => {
    const product = timesState(c, hidden, control);
    const kept = mapSums(c, dtype, [gate([gates, product], 1), [hidden]], (l, r, h) =>
      l.mul(f!(l, r!), h!),
    );
    const again = timesState(c, kept, candidate);
    const terms = [[...gate([gates], 2), again]];
    const proposal = mapSums(c, dtype, terms, (l, x) => g!(l, x!));
    return blend(gate([gates, product], 0), proposal, hidden);
  };
}

function prepareRnn(c: LowerContext, weights: CellWeights, direction: number): Step {
  const [f] = activationsOf(c, ["Tanh"], direction);
  return (gates, { hidden }) => {
    const product = timesState(c, hidden, weights);
    return {
      hidden: c.b.map(weights.dtype, [gates, product], (l, x, p) => f!(l, l.add(x!, p!))),
    };
  };
}

function timesState(c: LowerContext, hidden: Value, { state }: CellWeights): Value {
  return c.b.contract(hidden, state, { a: "bh", b: "gh", out: "bg", order: "h" });
}

function gateOf(
  c: LowerContext,
  gates: Value,
  index: number,
  { hidden }: CellWeights,
  axis: number,
): Value {
  return c.b.sliceAxis(gates, axis, index * hidden, hidden);
}

function add(c: LowerContext, x: Value, y: Value): Value {
  return c.b.map(x.dtype, [x, y], addAll);
}

/** A map of sums: what is listed together reaches the body as one lane. */
function mapSums(
  c: LowerContext,
  dtype: DType,
  terms: readonly (readonly Value[])[],
  body: (l: LaneBuilder, ...sums: Lane[]) => Lane,
): Value {
  return c.b.map(dtype, terms.flat(), (l, ...lanes) => {
    const left = [...lanes];
    return body(l, ...terms.map((own) => addAll(l, ...left.splice(0, own.length))));
  });
}

function addAll(l: LaneBuilder, ...lanes: Lane[]): Lane {
  return lanes.reduce((a, b) => l.add(a, b));
}

function given(...values: readonly (Value | undefined)[]): readonly Value[] {
  return values.filter((value) => value !== undefined);
}

/** The activations of one direction; their inputs are clipped where the node says so. */
function activationsOf(
  c: LowerContext,
  defaults: readonly string[],
  direction: number,
): readonly Activation[] {
  const names = c.strings("activations") ?? [];
  const alphas = [...(c.floats("activation_alpha") ?? [])];
  const betas = [...(c.floats("activation_beta") ?? [])];
  const clip = c.float("clip");
  const all = (names.length === 0 ? [...defaults, ...defaults] : names).map(
    (name, i): Activation => {
      const takes = takesAlpha(name);
      const alpha = takes.alpha ? alphas.shift() : undefined;
      const beta = takes.beta ? betas.shift() : undefined;
      const activation = namedActivation(name, alpha, beta);
      if (activation === undefined)
        return c.invalid("L0108", `activation "${name}" does not exist`);
      // What an LSTM puts out is not clipped: its third function is of the state, not of a gate.
      if (clip === undefined || clip === 0 || i % defaults.length === 2) return activation;
      return (l, x) => activation(l, atMost(l, atLeast(l, x, l.constF(-clip)), l.constF(clip)));
    },
  );
  const own = all.slice(direction * defaults.length, (direction + 1) * defaults.length);
  if (own.length === defaults.length) return own;
  return c.invalid("L0108", `${names.length} activations where ${defaults.length} are needed`);
}
