import { describe, expect, test } from "vitest";
import { floatRemainder } from "../../src/numerics/remainder-lanes.js";
import { scalarAlgebra } from "../../src/numerics/scalar.js";
import { Random } from "../support/random.js";

const remainder = (a: number, b: number): number => floatRemainder(scalarAlgebra, a, b);
const bits = new DataView(new ArrayBuffer(4));

function floatOf(word: number): number {
  bits.setInt32(0, word);
  return bits.getFloat32(0);
}

/** JavaScript's remainder of two fp32 numbers is exact, and fp32 holds it. */
describe("the remainder of floats", () => {
  const edges = [0, -0, 1, -1, 3, 1.5, 2 ** -149, -(2 ** -126), 2 ** -127, 2 ** 127, -Infinity, NaN]
    .concat([floatOf(0x7f7fffff), floatOf(0x007fffff), floatOf(0x3f800001), 1e-40, Infinity])
    .map(Math.fround);
  test("of special numbers", () => {
    for (const a of edges)
      for (const b of edges) expect([a, b, remainder(a, b)]).toEqual([a, b, a % b]);
  });

  test("of any bits", () => {
    const random = new Random(5);
    for (let i = 0; i < 20000; i++) {
      const [a, b] = [0, 1].map(() => floatOf(random.integer(-(2 ** 31), 2 ** 31 - 1))) as [
        number,
        number,
      ];
      expect([a, b, remainder(a, b)]).toEqual([a, b, a % b]);
    }
  });
});
