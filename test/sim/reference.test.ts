import { describe, expect, it } from "vitest";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { launch } from "../support/programs.js";
import { gemm, gemmShape } from "./gemm.js";

const engine = createReferenceEngine();

describe("reference simulator", () => {
  it("multiplies matrices over members, with multicast, double buffering and ragged tiles", () => {
    const { m, n, k } = gemmShape;
    const a = Array.from({ length: m * k }, (_, i) => ((i * 7) % 13) - 6);
    const b = Array.from({ length: k * n }, (_, i) => ((i * 5) % 11) - 5);
    const bias = Array.from({ length: n }, (_, i) => i / 4);
    const { memory, faults } = launch(engine, gemm(), [a, b, bias]);
    const expected = Array.from({ length: m * n }, (_, i) => {
      const [row, column] = [Math.floor(i / n), i % n];
      let sum = bias[column]!;
      for (let j = 0; j < k; j++) sum += a[row * k + j]! * b[j * n + column]!;
      return sum;
    });
    expect(memory[3]).toEqual(expected);
    expect(faults).toEqual([]);
  });
});
