import fc from "fast-check";
import { expect, test } from "vitest";
import { bitsFloat, floatBits } from "../../src/numerics/float-formats.js";
import { laneOps } from "../../src/numerics/lane.js";
import { scalarAlgebra as l } from "../../src/numerics/scalar.js";
import { erfDouble, wideAlgebra, wideFunctions } from "../../src/numerics/wide.js";

const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const anyFloat = int32.map((bits) => bitsFloat(bits));
const edges = [0, -0, 1, -1, 0.5, 1.5, 2.5, -2.5, Infinity, -Infinity, NaN, 2 ** -149, 2 ** 31];

test("every arithmetic row has a meaning here", () => {
  const rows = Object.entries(laneOps).filter(([, row]) => !("imm" in row) && !("function" in row));
  for (const [name] of rows) expect(l).toHaveProperty(name);
  expect(Object.keys(l).length).toBe(rows.length + 2);
  expect(Object.keys(wideAlgebra(true)).sort()).toEqual(Object.keys(l).sort());
});

test("results of fp32 rows are fp32 numbers", () => {
  const rows = ["add", "sub", "mul", "div", "min", "max"] as const;
  fc.assert(
    fc.property(anyFloat, anyFloat, fc.constantFrom(...rows), (a, b, row) => {
      const y = l[row](a, b);
      expect(y).toBe(Math.fround(y));
    }),
  );
});

test("minimum and maximum are IEEE's", () => {
  expect(l.min(0, -0)).toBe(-0);
  expect(l.max(-0, 0)).toBe(0);
  expect(l.min(NaN, 1)).toBeNaN();
  expect(l.max(1, NaN)).toBeNaN();
});

test("rint goes to even and keeps the sign of zero", () => {
  expect(edges.map((x) => l.rint(x))).toEqual([
    0,
    -0,
    1,
    -1,
    0,
    2,
    2,
    -2,
    Infinity,
    -Infinity,
    NaN,
    0,
    2 ** 31,
  ]);
  expect(l.rint(-0.4)).toBe(-0);
  expect(l.rint(8388607.5)).toBe(8388608);
});

test("toI goes toward zero and saturates", () => {
  expect([1.9, -1.9, 3e9, -3e9, Infinity, -Infinity, NaN].map((x) => l.toI(x))).toEqual([
    1, -1, 2147483647, -2147483648, 2147483647, -2147483648, 0,
  ]);
});

test("int32 rows agree with exact integers wrapped to 32 bits", () => {
  const wrap = (v: bigint) => Number(BigInt.asIntN(32, v));
  fc.assert(
    fc.property(int32, int32, (x, y) => {
      const a = BigInt(x);
      const b = BigInt(y);
      expect(l.addI(x, y)).toBe(wrap(a + b));
      expect(l.subI(x, y)).toBe(wrap(a - b));
      expect(l.mulI(x, y)).toBe(wrap(a * b));
      expect(l.divI(x, y)).toBe(y === 0 ? 0 : wrap(a / b));
      expect(l.remI(x, y)).toBe(y === 0 ? x : wrap(a % b));
      expect(l.shrU(x, y)).toBe(wrap(BigInt.asUintN(32, a) >> (b & 31n)));
      expect(l.selectI(x, y, 5)).toBe((y & x) | (5 & ~x));
    }),
  );
  expect(l.divI(-(2 ** 31), -1)).toBe(-(2 ** 31));
  expect(l.remI(-(2 ** 31), -1)).toBe(0);
  expect(l.divI(7, 0)).toBe(0);
  expect(l.remI(-7, 0)).toBe(-7);
});

test("bits go there and back", () => {
  fc.assert(
    fc.property(int32, (bits) => {
      const value = l.bitsF(bits);
      if (!Number.isNaN(value)) expect(l.bitsI(value)).toBe(bits);
    }),
  );
});

test("comparisons give masks, false for NaN", () => {
  expect([l.eq(NaN, NaN), l.lt(NaN, 1), l.le(1, NaN), l.eq(0, -0), l.le(1, 1)]).toEqual([
    0, 0, 0, -1, -1,
  ]);
  expect(l.select(-1, 2, 3)).toBe(2);
  expect(l.select(0, 2, 3)).toBe(3);
});

test("rounding rows round", () => {
  expect([l.roundF16(65519), l.roundF16(65520), l.roundF16(1 + 2 ** -11)]).toEqual([
    65504,
    Infinity,
    1,
  ]);
  expect([l.roundBF16(1 + 2 ** -8), l.roundBF16(1 + 3 * 2 ** -8)]).toEqual([1, 1 + 2 ** -6]);
  expect([l.roundE4M3(1000), l.roundE4M3(-Infinity), l.roundE4M3(NaN)]).toEqual([448, -448, NaN]);
  expect([l.roundE5M2(1e9), l.roundE5M2(3.5)]).toEqual([57344, 3.5]);
});

test("64-bit integers wrap, divide and shift at their own width", () => {
  const s = wideAlgebra(true);
  const u = wideAlgebra(false);
  expect(s.addI(2n ** 63n - 1n, 1n)).toBe(-(2n ** 63n));
  expect(u.addI(2n ** 64n - 1n, 1n)).toBe(0n);
  expect(s.divI(-7n, 2n)).toBe(-3n);
  expect(s.remI(-7n, 0n)).toBe(-7n);
  expect(s.divI(-(2n ** 63n), -1n)).toBe(-(2n ** 63n));
  expect(u.shrU(2n ** 63n, 63n)).toBe(1n);
  expect(s.shrU(-1n, 63n)).toBe(1n);
  expect(s.shl(1n, 63n)).toBe(-(2n ** 63n));
  expect(u.ltI(2n ** 63n, 1n)).toBe(0n);
  expect(s.ltI(1n, 2n)).toBe(-1n);
  expect(u.selectI(u.ltI(1n, 2n), 3n, 4n)).toBe(3n);
  expect([s.toI(1e30), s.toI(-1e30), s.toI(NaN), s.toI(-1.5)]).toEqual([
    2n ** 63n - 1n,
    -(2n ** 63n),
    0n,
    -1n,
  ]);
  expect(u.toI(-5)).toBe(0n);
  expect(s.bitsF(s.bitsI(-1.25))).toBe(-1.25);
});

test("doubles are not rounded to fp32", () => {
  const w = wideAlgebra(true);
  expect(w.add(0.1, 0.2)).toBe(0.1 + 0.2);
  expect(w.constF(0.1)).toBe(0.1);
  expect(w.select(w.lt(1, 2), 3.3, 4)).toBe(3.3);
  expect(wideFunctions.pow(1, NaN)).toBe(1);
  expect(wideFunctions.pow(-1, Infinity)).toBe(1);
});

test("the error function of doubles is good to 1e-15", () => {
  // From evaluation with 30 digits.
  const known = [
    [0, 0],
    [0.1, 0.1124629160182849],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.4999, 0.9995928300996665],
    [2.5001, 0.9995932657565293],
    [3, 0.9999779095030014],
    [5, 0.9999999999984626],
  ] as const;
  for (const [x, y] of known) {
    expect(Math.abs(erfDouble(x) - y), `${x}`).toBeLessThan(1e-15);
    expect(erfDouble(-x)).toBe(-erfDouble(x));
  }
  expect(floatBits(erfDouble(-Infinity))).toBe(floatBits(-1));
});
