/**
 * Layers that carry a state from call to call: CausalConvWithState and LinearAttention. Caches of keys and
 * values are in `attention.ts` and `contrib-attention.ts`, TensorScatter in `gather.ts`.
 */
import type { GraphBuilder } from "../ir/builder.js";
import { type Dim, dimMul, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { swish } from "./activations.js";
import { operatorOfMany, range, requiredInt } from "./helpers.js";
import { exactQuotient } from "./movement.js";
import { Decline, type LowerContext, type OperatorRecord } from "./record.js";

/** Longer sequences make more operations than a compiled model should have. */
const unrolledStepsMax = 128;

/** Inputs: x [n, channels, length], kernel [channels, 1, size], bias, past [n, channels, size - 1]. */
function lowerCausalConv(c: LowerContext): readonly (Value | undefined)[] {
  const { b } = c;
  const [x, kernel, bias, past] = [c.input(0), c.input(1), c.inputs[2], c.inputs[3]];
  const [n, channels, length] = x.shape as readonly [Dim, Dim, Dim];
  const size = staticDim(kernel.shape[2]!, "it is the extent of a kernel");
  const before = past ?? b.broadcast(b.full(x.dtype, 0), [n, channels, size - 1]);
  const padded = b.concat([before, x], 2);
  const windows = b.window(padded, [{ axis: 2, size, stride: 1, dilation: 1 }]);
  const sum = b.contract(windows, b.reshape(kernel, [channels, size]), {
    a: "nclk",
    b: "ck",
    out: "ncl",
    order: "k",
  });
  const biased =
    bias === undefined
      ? b.cast(sum, x.dtype)
      : b.map(x.dtype, [sum, b.unsqueeze(bias, [1])], (l, y, z) => l.add(y!, z!));
  const activation = c.string("activation", "none");
  if (!["none", "silu", "swish"].includes(activation)) {
    c.invalid("L0108", `activation "${activation}" is none of none, silu, swish`);
  }
  const result =
    activation === "none" ? biased : b.map(x.dtype, [biased], (l, y) => swish(l, y!, 1));
  const state = b.sliceAxis(padded, 2, length, size - 1);
  return [result, state].slice(0, c.outputCount);
}

/** One token: parts [n, heads, ...] of the inputs. */
interface Step {
  readonly query: Value;
  readonly key: Value;
  readonly value: Value;
  /** e^decay, beside the state [n, heads, d, e]. */
  readonly gate: Value | undefined;
  readonly beta: Value | undefined;
  /** What is looked up and taken out of the state before it is written. */
  readonly erased: Value;
}

/** The state after a token: state * gate + key (x) value, by the delta rule less what it held for the key. */
function advance(b: GraphBuilder, state: Value, step: Step): Value {
  const { gate, beta, key, value, erased } = step;
  const kept = gate === undefined ? state : b.map("f32", [state, gate], (l, s, g) => l.mul(s!, g!));
  const written = beta === undefined ? value : correction(b, kept, value, beta, erased);
  return b.map("f32", [kept, b.unsqueeze(key, [3]), b.unsqueeze(written, [2])], (l, s, k, v) =>
    l.add(s!, l.mul(k!, v!)),
  );
}

/** beta * (value - what the state holds for the key). */
function correction(b: GraphBuilder, state: Value, value: Value, beta: Value, key: Value): Value {
  const held = b.contract(key, state, { a: "nhd", b: "nhde", out: "nhe", order: "d" });
  return b.map("f32", [value, held, beta], (l, v, h, w) => l.mul(w!, l.sub(v!, h!)));
}

/** The inputs of LinearAttention with their heads apart: [n, length, heads, ...], in f32. */
function tokens(c: LowerContext, { heads, shared }: HeadForm): (index: number) => Step {
  const { b } = c;
  const apart = (x: Value, ...inner: number[]): Value => {
    const [n, length, last] = x.shape as readonly [Dim, Dim, Dim];
    const count = inner.reduce((product, extent) => product * extent, 1);
    const rest = exactQuotient(c, last, count, () => `${count} heads do not divide an input`);
    return b.cast(b.reshape(x, [n, length, ...inner, rest]), "f32");
  };
  const [query, key, value] = [
    apart(c.input(0), heads, shared),
    apart(c.input(1), heads),
    apart(c.input(2), heads),
  ];
  const [decay, beta, erase] = [c.inputs[4], c.inputs[5], c.inputs[6]];
  const gates =
    decay === undefined
      ? undefined
      : b.map("f32", [b.unsqueeze(apart(decay, heads), [4])], (l, g) => l.exp(g!));
  const betas = beta === undefined ? undefined : b.unsqueeze(b.cast(beta, "f32"), [3]);
  const erased =
    erase === undefined
      ? key
      : b.map("f32", [apart(erase, heads), key], (l, gate, k) => l.mul(gate!, k!));
  return (index) => {
    const at = (x: Value) => b.squeeze(b.sliceAxis(x, 1, index, 1), [1]);
    return {
      query: at(query),
      key: at(key),
      value: at(value),
      gate: gates && at(gates),
      beta: betas && at(betas),
      erased: at(erased),
    };
  };
}

interface HeadForm {
  /** Of keys and values. */
  readonly heads: number;
  /** Heads of queries for each of them. */
  readonly shared: number;
}

/** Inputs: query, key, value [n, length, heads * features], past state, decay, beta, erase gate. */
export function lowerLinearAttention(c: LowerContext): readonly (Value | undefined)[] {
  const { b } = c;
  const query = c.input(0);
  const [n, length] = query.shape as readonly [Dim, Dim];
  const heads = requiredInt(c, "kv_num_heads");
  const shared = requiredInt(c, "q_num_heads") / heads;
  const token = tokens(c, { heads, shared });
  const first = token(0);
  const [features, valueFeatures] = [first.key.shape[2]!, first.value.shape[2]!];
  const past = c.inputs[3];
  let state =
    past === undefined
      ? b.broadcast(b.full("f32", 0), [n, heads, features, valueFeatures])
      : b.cast(past, "f32");
  const scale =
    c.float("scale", 0) || 1 / Math.sqrt(staticDim(features, "queries are scaled by it"));
  const outputs = range(0, stepCount(c, length)).map((i) => {
    const step = token(i);
    state = advance(b, state, step);
    const read = b.contract(step.query, state, { a: "nhgd", b: "nhde", out: "nhge", order: "d" });
    const result = b.map(query.dtype, [read], (l, y) => l.mul(y!, l.constF(scale)));
    return b.unsqueeze(result, [1]);
  });
  const joined = [n, length, dimMul(valueFeatures, heads * shared)];
  const result = b.reshape(b.concat(outputs, 1), joined);
  return [result, b.cast(state, past?.dtype ?? query.dtype)].slice(0, c.outputCount);
}

function stepCount(c: LowerContext, length: Dim): number {
  const steps = staticDim(length, "the recurrence of LinearAttention is unrolled");
  const known = c.inputs.every((x) => x === undefined || x.data !== undefined);
  if (steps <= unrolledStepsMax || known) return steps;
  throw new Decline(`${steps} steps are too many to unroll, ${unrolledStepsMax} are allowed`);
}

export const statefulOperators: readonly OperatorRecord[] = [
  operatorOfMany("CausalConvWithState", { since: 27, ranks: [3, 3, 1, 3] }, lowerCausalConv),
  operatorOfMany("LinearAttention", { since: 27, ranks: [3, 3, 3, 4, 3, 3] }, lowerLinearAttention),
];
