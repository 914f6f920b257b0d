/** Activations and products of com.microsoft on floats. */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { gelu, geluTanh, swish } from "./activations.js";
import { mapLike, operator, unary } from "./helpers.js";
import { matrixProduct } from "./product.js";
import { Decline, type LowerContext, type OperatorRecord } from "./record.js";

const contrib = { domain: "com.microsoft", since: 1 };

/** A function of the first input plus the second, where that is given. */
function withBias(name: string, body: (l: LaneBuilder, x: Lane) => Lane): OperatorRecord {
  return operator(name, contrib, (c) => {
    const bias = c.inputs[1];
    if (bias === undefined) return mapLike(c, (l, x) => body(l, x!));
    return mapLike(c, (l, x, y) => body(l, l.add(x!, y!)), bias);
  });
}

function lowerFusedMatMul(c: LowerContext): Value {
  if (c.int("transBatchA", 0) !== 0 || c.int("transBatchB", 0) !== 0) {
    throw new Decline("transBatchA and transBatchB are not lowered");
  }
  const product = matrixProduct(c.b, c.input(0), c.input(1), {
    transposeX: c.int("transA", 0) !== 0,
    transposeW: c.int("transB", 0) !== 0,
  });
  const alpha = c.float("alpha", 1);
  const { dtype } = c.input(0);
  if (alpha === 1) return c.b.cast(product, dtype);
  return c.b.map(dtype, [product], (l, y) => l.mul(y!, l.constF(alpha)));
}

export const contribMathOperators: readonly OperatorRecord[] = [
  withBias("FastGelu", geluTanh),
  withBias("BiasGelu", gelu),
  unary("Gelu", contrib, gelu),
  unary("QuickGelu", contrib, (l, x, c) => swish(l, x, c.float("alpha", 1.702))),
  operator("FusedMatMul", contrib, lowerFusedMatMul),
  operator("TransposeMatMul", contrib, lowerFusedMatMul),
];
