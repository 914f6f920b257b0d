/** MatMul and Gemm. The product itself is in `product.ts`, Einsum in `einsum.ts`, Conv in `convolution.ts`. */
import type { Value } from "../ir/graph.js";
import { constLike, operator } from "./helpers.js";
import { matrixProduct, matrixProductAs } from "./product.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export const contractionOperators: readonly OperatorRecord[] = [
  operator("MatMul", 1, (c) => {
    return matrixProductAs(c.b, c.input(0).dtype, c.input(0), c.input(1));
  }),
  operator("Gemm", 1, gemm),
];

/** alpha * A B + beta * C, rounded once. */
function gemm(c: LowerContext): Value {
  const a = c.input(0);
  const product = matrixProduct(c.b, a, c.input(1), {
    transposeX: c.int("transA", 0) !== 0,
    transposeW: c.int("transB", 0) !== 0,
  });
  const alpha = c.float("alpha", 1);
  const beta = c.float("beta", 1);
  const bias = beta === 0 ? undefined : c.inputs[2];
  if (bias === undefined && alpha === 1) return c.b.cast(product, a.dtype);
  const inputs = bias === undefined ? [product] : [product, bias];
  return c.b.map(a.dtype, inputs, (l, p, z) => {
    if (p!.type === "i32") {
      const scaled = alpha === 1 ? p! : l.mulI(p!, constLike(l, p!, alpha));
      if (z === undefined) return scaled;
      return l.addI(scaled, beta === 1 ? z : l.mulI(z, constLike(l, z, beta)));
    }
    const scaled = alpha === 1 ? p! : l.mul(p!, l.constF(alpha));
    if (z === undefined) return scaled;
    return l.add(scaled, beta === 1 ? z : l.mul(z, l.constF(beta)));
  });
}
