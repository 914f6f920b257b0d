/** Activations and products of com.microsoft on floats. */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import { dimExactDiv } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { gelu, geluTanh, softplus, swish } from "./activations.js";
import { mapLike, operator, operatorOfMany, range, unary } from "./helpers.js";
import { matrixProduct } from "./product.js";
import type { LowerContext, OperatorRecord } from "./record.js";
import { softmax } from "./softmax.js";

const contrib = { domain: "com.microsoft", since: 1 };

/** A function of the first input plus the second, where that is given. */
function withBias(name: string, body: (l: LaneBuilder, x: Lane) => Lane): OperatorRecord {
  return operator(name, contrib, (c) => {
    const bias = c.inputs[1];
    if (bias === undefined) return mapLike(c, (l, x) => body(l, x!));
    return mapLike(c, (l, x, y) => body(l, l.add(x!, y!)), bias);
  });
}

/** The first axis moved behind the batch axes that follow it, where the attribute says so. */
function behindBatch(c: LowerContext, x: Value, attribute: string): Value {
  const rank = x.shape.length;
  if (c.int(attribute, 0) === 0 || rank < 3) return x;
  return c.b.transpose(x, [...range(1, rank - 1), 0, rank - 1]);
}

function lowerFusedMatMul(c: LowerContext): Value {
  const left = behindBatch(c, c.input(0), "transBatchA");
  const right = behindBatch(c, c.input(1), "transBatchB");
  const product = matrixProduct(c.b, left, right, {
    transposeX: c.int("transA", 0) !== 0,
    transposeW: c.int("transB", 0) !== 0,
  });
  const alpha = c.float("alpha", 1);
  const { dtype } = c.input(0);
  if (alpha === 1) return c.b.cast(product, dtype);
  return c.b.map(dtype, [product], (l, y) => l.mul(y!, l.constF(alpha)));
}

/** Inputs: x, weights, bias. */
function lowerGemmFastGelu(c: LowerContext): Value {
  const product = matrixProduct(c.b, c.input(0), c.input(1));
  const { dtype } = c.input(0);
  const bias = c.inputs[2];
  if (bias === undefined) return c.b.map(dtype, [product], (l, y) => geluTanh(l, y!));
  return c.b.map(dtype, [product, bias], (l, y, z) => geluTanh(l, l.add(y!, z!)));
}

/** Inputs: x [n, s, 2 d], bias. One half times the gelu of the other. */
function lowerBiasSplitGelu(c: LowerContext): Value {
  const x = c.input(0);
  const last = x.shape.length - 1;
  const half =
    dimExactDiv(x.shape[last]!, 2) ?? c.invalid("L0201", "the last axis has no two halves");
  const parts = (value: Value, axis: number) =>
    [0, half].map((start) => c.b.sliceAxis(value, axis, start, half));
  const inputs = [...parts(x, last), ...parts(c.input(1), 0)];
  return c.b.map(x.dtype, inputs, (l, left, right, z, w) =>
    l.mul(l.add(left!, z!), gelu(l, l.add(right!, w!))),
  );
}

/** A softmax over all axes from `axis` on of the sum of both inputs. */
function lowerBiasSoftmax(c: LowerContext): Value {
  const sum = mapLike(c, (l, x, z) => l.add(x!, z!), c.input(1));
  const rank = sum.shape.length;
  return softmax(c.b, sum, range(c.axis(c.int("axis", 1), rank), rank));
}

/** decay = scale * softplus(a + bias) and beta = sigmoid(b). Inputs: a, bias, scale, b. */
function lowerLinearAttentionGate(c: LowerContext): readonly (Value | undefined)[] {
  const decay = mapLike(
    c,
    (l, a, bias, scale) => l.mul(scale!, softplus(l, l.add(a!, bias!))),
    c.input(1),
    c.input(2),
  );
  const beta = () => c.b.map(c.input(3).dtype, [c.input(3)], (l, x) => l.sigmoid(x!));
  return [decay, c.wantsOutput(1) ? beta() : undefined].slice(0, c.outputCount);
}

export const contribMathOperators: readonly OperatorRecord[] = [
  withBias("FastGelu", geluTanh),
  withBias("BiasGelu", gelu),
  unary("Gelu", contrib, gelu),
  unary("QuickGelu", contrib, (l, x, c) => swish(l, x, c.float("alpha", 1.702))),
  operator("FusedMatMul", contrib, lowerFusedMatMul),
  operator("TransposeMatMul", contrib, lowerFusedMatMul),
  operator("GemmFastGelu", contrib, lowerGemmFastGelu),
  operator("BiasSplitGelu", { ...contrib, ranks: ["1+", 1] }, lowerBiasSplitGelu),
  operator("BiasSoftmax", contrib, lowerBiasSoftmax),
  operator("BiasAdd", contrib, (c) =>
    mapLike(c, (l, x, z, skip) => l.add(l.add(x!, z!), skip!), c.input(1), c.input(2)),
  ),
  operatorOfMany("LinearAttentionGate", contrib, lowerLinearAttentionGate),
];
