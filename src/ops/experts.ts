/**
 * Mixtures of experts of com.microsoft. Every expert computes every token and the router's weights, 0 for
 * experts that are not chosen, add them up: what each token needs would be a gather of whole matrices.
 */
import { dimMul, staticDim } from "../ir/dim.js";
import type { Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { geluTanh, swish } from "./activations.js";
import { atLeast, atMost, operator } from "./helpers.js";
import { dequantize } from "./quantization.js";
import { Decline, type LowerContext, type OperatorRecord } from "./record.js";
import { ranks } from "./selection.js";
import { softmax } from "./softmax.js";
import { unpack } from "./weight-only.js";

const contrib = { domain: "com.microsoft", since: 1 };

/** Weights [experts, outputs, inputs] and bias [experts, outputs]. */
interface Layer {
  readonly weights: Value;
  readonly bias: Value | undefined;
}

interface Experts {
  readonly first: Layer;
  readonly second: Layer;
  /** What the activated first layer is multiplied by. */
  readonly gate: Layer | undefined;
}

type Activation = (l: LaneBuilder, x: Lane) => Lane;

const activations: Readonly<Record<string, Activation>> = {
  relu: (l, x) => atLeast(l, x, l.constF(0)),
  gelu: geluTanh,
  silu: (l, x) => swish(l, x, 1),
  identity: (_, x) => x,
};

/** Inputs 0 and 1: tokens [.., hidden], scores of the experts for each token [tokens, experts]. */
function mixture(c: LowerContext, experts: Experts, chosen: Value): Value {
  const { b } = c;
  const x = c.input(0);
  const hidden = x.shape.at(-1)!;
  const tokens = b.reshape(x, [c.input(1).shape[0]!, hidden]);
  const inner = activated(c, experts, tokens);
  const outputs = layer(c, inner, experts.second, "teh");
  const sum = b.contract(chosen, outputs, { a: "te", b: "teh", out: "th", order: "e" });
  return b.cast(b.reshape(sum, x.shape), x.dtype);
}

/** x [tokens, inputs] or [tokens, experts, inputs] through a layer of each expert: [tokens, experts, outputs]. */
function layer(c: LowerContext, x: Value, { weights, bias }: Layer, labels: "th" | "teh"): Value {
  const product = c.b.contract(x, weights, { a: labels, b: "eoh", out: "teo", order: "h" });
  if (bias === undefined) return product;
  return c.b.map("f32", [product, bias], (l, y, z) => l.add(y!, z!));
}

function activated(c: LowerContext, experts: Experts, tokens: Value): Value {
  const { b } = c;
  const name = c.string("activation_type", "relu");
  const first = layer(c, tokens, experts.first, "th");
  const gate = experts.gate && layer(c, tokens, experts.gate, "th");
  if (name === "swiglu") {
    const [glu, linear] = gate === undefined ? halves(c, first) : [first, gate];
    return swiGlu(c, glu, linear);
  }
  const activation = activations[name];
  if (activation === undefined) return c.invalid("L0108", `activation "${name}" does not exist`);
  if (gate === undefined) return b.map("f32", [first], (l, y) => activation(l, y!));
  return b.map("f32", [first, gate], (l, y, z) => l.mul(activation(l, y!), z!));
}

/** Both operands of SwiGLU, which one product gave: by turns, or one after the other. */
function halves(c: LowerContext, both: Value): readonly [Value, Value] {
  const { b } = c;
  const fusion = c.int("swiglu_fusion", 0);
  if (fusion === 0) return c.invalid("L0201", "SwiGLU that is not fused needs a third layer");
  const size = staticDim(both.shape[2]!, "SwiGLU takes it in halves") / 2;
  const [start, step] = fusion === 1 ? [1, 2] : [size, 1];
  return [b.sliceAxis(both, 2, 0, size, step), b.sliceAxis(both, 2, start!, size, step)];
}

function swiGlu(c: LowerContext, glu: Value, linear: Value): Value {
  const [alpha, beta] = [c.float("activation_alpha", 1), c.float("activation_beta", 0)];
  const limit = c.float("swiglu_limit");
  return c.b.map("f32", [glu, linear], (l, g, x) => {
    const gate = limit === undefined ? g! : atMost(l, g!, l.constF(limit));
    const value =
      limit === undefined ? x! : atMost(l, atLeast(l, x!, l.constF(-limit)), l.constF(limit));
    return l.mul(swish(l, gate, alpha), l.add(value, l.constF(beta)));
  });
}

/** The weight of each expert for each token, 0 for those that are not among the k best. */
function routing(c: LowerContext): { readonly isChosen: Value; readonly weights: Value } {
  const { b } = c;
  if (c.int("use_sparse_mixer", 0) !== 0) throw new Decline("a sparse mixer is not lowered");
  const scores = c.input(1);
  const probabilities = b.cast(softmax(b, b.cast(scores, "f32"), [1]), "f32");
  const k = c.int("k", 1);
  const isChosen = b.map("bool", [ranks(c, scores, true)], (l, rank) => l.ltI(rank!, l.constI(k)));
  return { isChosen, weights: onlyChosen(c, isChosen, probabilities) };
}

function onlyChosen(c: LowerContext, isChosen: Value, weights: Value): Value {
  return c.b.map("f32", [isChosen, weights], (l, m, w) => l.select(m!, w!, l.constF(0)));
}

function normalizedRows(c: LowerContext, weights: Value): Value {
  const sum = c.b.reduce(weights, "sum", [1], { keepDims: true });
  return c.b.map("f32", [weights, sum], (l, w, s) => l.div(w!, s!));
}

/** Inputs: tokens, scores, weights and bias of the first, the second and the third layer. */
function lowerMoE(c: LowerContext): Value {
  const at = (index: number): Layer => ({ weights: c.input(index), bias: c.inputs[index + 1] });
  const experts = {
    first: at(2),
    second: at(4),
    gate: c.inputs[6] === undefined ? undefined : at(6),
  };
  const { weights } = routing(c);
  const isNormalized = c.int("normalize_routing_weights", 0) !== 0;
  return mixture(c, experts, isNormalized ? normalizedRows(c, weights) : weights);
}

/** Codes [experts, outputs, bytes], scales [experts, outputs] or one for each block, packed zero points. */
function decodedLayer(c: LowerContext, index: number, zeroIndex: number): Layer {
  const { b } = c;
  const bits = c.int("expert_weight_bits", 4);
  const packed = c.input(index);
  const [count, outputs, bytes] = packed.shape;
  const inputs = dimMul(bytes!, 8 / bits);
  const scale = c.input(index + 1);
  const blockSize = c.int("block_size", 0);
  const isBlocked = blockSize > 0 && scale.shape.length === 3;
  const blocks = isBlocked ? staticDim(scale.shape[2]!, "it is a number of blocks") : 1;
  const codes = b.reshape(unpack(b, packed, bits, inputs), [
    count!,
    outputs!,
    blocks,
    isBlocked ? blockSize : inputs,
  ]);
  const beside = [count!, outputs!, blocks, 1];
  const given = c.inputs[zeroIndex];
  const zero =
    given === undefined
      ? b.full(codes.dtype, 2 ** (bits - 1))
      : b.reshape(unpack(b, given, bits, isBlocked ? blocks : outputs!), beside);
  const numbers = dequantize(b, codes, b.reshape(scale, beside), zero, "f32");
  return {
    weights: b.reshape(numbers, [count!, outputs!, inputs]),
    bias: c.inputs[index + 2],
  };
}

/** Inputs 14: weights of the experts where the scores only choose. */
function lowerQMoE(c: LowerContext): Value {
  const kind = c.string("quant_type", "int");
  if (kind !== "int") throw new Decline(`experts of ${kind} are not lowered`);
  if (c.int("weights_prepacked", -1) === 1) throw new Decline("the layout is a device's own");
  const experts = {
    first: decodedLayer(c, 2, 11),
    second: decodedLayer(c, 5, 12),
    gate: c.inputs[8] === undefined ? undefined : decodedLayer(c, 8, 13),
  };
  const { isChosen, weights } = routing(c);
  const given = c.inputs[14];
  const own = given === undefined ? weights : onlyChosen(c, isChosen, given);
  const isNormalized = c.int("normalize_routing_weights", 0) !== 0;
  return mixture(c, experts, isNormalized ? normalizedRows(c, own) : own);
}

export const expertOperators: readonly OperatorRecord[] = [
  operator("MoE", { ...contrib, ranks: ["2+", 2, 3, 2, 3, 2, 3, 2] }, lowerMoE),
  operator("QMoE", { ...contrib, ranks: ["2+", 2, 3, "2+", 2, 3, "2+", 2] }, lowerQMoE),
];
