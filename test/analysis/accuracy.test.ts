import { describe, expect, it } from "vitest";
import { accuracyLoss, printAccuracy } from "../../src/analysis/accuracy.js";
import type { Tensor } from "../../src/numerics/tensor.js";

function f32(shape: readonly number[], values: readonly number[]): Tensor {
  return { dtype: "f32", shape, data: Float32Array.from(values) };
}

describe("accuracy of a lower precision", () => {
  it("counts differences and maxima that moved", () => {
    const loss = accuracyLoss("y", f32([2, 2], [1, 4, 3, 2]), f32([2, 2], [1, 3, 1, 2]))!;
    expect(loss.worstRelative).toBe(0.5);
    expect(loss.rootMeanSquareRelative).toBeCloseTo(Math.sqrt(5 / 30), 12);
    expect([loss.changedMaxima, loss.rows]).toEqual([1, 2]);
    expect(printAccuracy([loss])).toContain("y: worst 5.0e-1 of the largest value");
  });

  it("leaves integers out", () => {
    const ids: Tensor = { dtype: "i32", shape: [1], data: Int32Array.of(1) };
    expect(accuracyLoss("ids", ids, ids)).toBeUndefined();
  });
});
