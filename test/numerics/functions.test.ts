import { describe, expect, test } from "vitest";
import { functionBounds } from "../../src/numerics/function-bounds.js";
import { functions } from "../../src/numerics/functions.js";
import { bitsFloat, floatBits } from "../../src/numerics/float-formats.js";
import type { FunctionName } from "../../src/numerics/lane.js";
import { scalarAlgebra as l } from "../../src/numerics/scalar.js";
import { erfDouble, powDouble } from "../../src/numerics/wide.js";

const references: { readonly [F in Exclude<FunctionName, "pow">]: (x: number) => number } = {
  exp: Math.exp,
  log: Math.log,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  tanh: Math.tanh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  erf: erfDouble,
};
const unary = Object.keys(references) as (keyof typeof references)[];

const edges = [
  0,
  Infinity,
  NaN,
  1,
  0.5,
  2 ** -149,
  2 ** -140,
  2 ** -126,
  bitsFloat(floatBits(1) - 1),
  bitsFloat(floatBits(1) + 1),
  88.72283,
  88.72284,
  89.41598,
  89.41599,
  103.97208,
  103.97209,
  3.4028234663852886e38,
].flatMap((x) => [Math.fround(x), -Math.fround(x)]);

/** Distance in units in the last place of the fp32 number nearest to `want`. */
function ulpsOff(got: number, want: number): number {
  const nearest = Math.fround(want);
  if (Object.is(got, nearest)) return 0;
  if (Number.isNaN(want) || Number.isNaN(got)) return Infinity;
  const bits = floatBits(Math.abs(nearest));
  const ulp = bits >= 0x7f000000 ? 2 ** 104 : bitsFloat(bits + 1) - bitsFloat(bits);
  const largest = 2 ** 128;
  const bounded = (v: number) => Math.max(-largest, Math.min(largest, v));
  if (got === 0 && nearest === 0) return Infinity;
  return Math.abs(bounded(got) - bounded(want)) / ulp;
}

/** Every exponent alike, both signs. */
function* acrossExponents(step: number): Generator<number> {
  for (let bits = 0; bits <= 0x7f800000; bits += step) {
    yield bitsFloat(bits);
    yield bitsFloat((bits | 0x80000000) >>> 0);
  }
}

function* across(from: number, to: number, count: number): Generator<number> {
  for (let i = 0; i <= count; i++) yield Math.fround(from + ((to - from) * i) / count);
}

function worst(name: keyof typeof references, xs: Iterable<number>): { ulps: number; at: number } {
  const { from, to } = functionBounds[name];
  let found = { ulps: 0, at: NaN };
  for (const x of xs) {
    if (Number.isFinite(from) && !(x >= from && x <= to)) continue;
    const ulps = ulpsOff(functions[name](l, x), references[name](x));
    if (!(ulps <= found.ulps)) found = { ulps, at: x };
  }
  return found;
}

describe.each(unary)("%s", (name) => {
  const bound = functionBounds[name].ulps;

  test("keeps its bound over all exponents", () => {
    const { ulps, at } = worst(name, acrossExponents(29_989));
    expect(ulps, `at ${at}`).toBeLessThanOrEqual(bound);
  });

  test("keeps its bound where it bends", () => {
    for (const range of [1.5, 6, 110]) {
      const { ulps, at } = worst(name, across(-range, range, 60_000));
      expect(ulps, `at ${at}`).toBeLessThanOrEqual(bound);
    }
  });

  test("is right at the edges", () => {
    const { ulps, at } = worst(name, edges);
    expect(ulps, `at ${at}`).toBeLessThanOrEqual(bound);
  });

  test("the bound is no wider than it has to be", () => {
    const xs = [...across(-6, 6, 60_000), ...across(-110, 110, 60_000)];
    expect(worst(name, xs).ulps).toBeGreaterThan(bound / 2.5);
  });
});

test.each(["sin", "cos"] as const)("%s of a large argument is that of one ulps away", (name) => {
  for (const x of across(12_800, 4e6, 20_000)) {
    const ulpOfX = bitsFloat(floatBits(x) + 1) - x;
    expect(Math.abs(functions[name](l, x) - references[name](x))).toBeLessThan(4 * ulpOfX);
  }
  for (const x of [1e7, 1e20, 3e38]) expect(Math.abs(functions[name](l, x))).toBeLessThanOrEqual(1);
  for (const x of [Infinity, -Infinity, NaN]) expect(functions[name](l, x)).toBeNaN();
});

describe("pow", () => {
  const pow = (x: number, y: number) => functions.pow(l, x, y);

  test("keeps its bound", () => {
    let found = { ulps: 0, at: "" };
    for (const exponent of across(-140, 120, 130)) {
      for (const mantissa of across(1, 1.999, 23)) {
        const x = Math.fround(mantissa * 2 ** exponent);
        for (const y of [...across(-3.3, 3.3, 40), ...across(-170, 170, 31)]) {
          const ulps = ulpsOff(pow(x, y), powDouble(x, y));
          if (!(ulps <= found.ulps)) found = { ulps, at: `${x} ^ ${y}` };
        }
      }
    }
    // Hardest: large exponents of numbers around 1.
    for (const x of across(0.6, 1.6, 9_973)) {
      for (const power of across(-126, 127, 13)) {
        const y = Math.fround(power / Math.log2(x));
        const ulps = ulpsOff(pow(x, y), powDouble(x, y));
        if (!(ulps <= found.ulps)) found = { ulps, at: `${x} ^ ${y}` };
      }
    }
    expect(found.ulps, found.at).toBeLessThanOrEqual(functionBounds.pow.ulps);
    expect(found.ulps).toBeGreaterThan(3);
  });

  test("is right at every pair of special values", () => {
    const more = [2, 3, 2.5, 8388607.5, 16777215, 16777218, 1e30, 1e-30].map(Math.fround);
    const values = [...edges, ...more, ...more.map((x) => -x)];
    for (const x of values) {
      for (const y of values) {
        const ulps = ulpsOff(pow(x, y), powDouble(x, y));
        expect(ulps, `${x} ^ ${y}`).toBeLessThanOrEqual(functionBounds.pow.ulps);
      }
    }
  });

  test("is exact where integer powers are", () => {
    for (let x = -40; x <= 40; x++) {
      for (let y = -6; y <= 12; y++) {
        const want = powDouble(x, y);
        if (want === Math.fround(want)) expect(pow(x, y), `${x} ^ ${y}`).toBe(want);
      }
    }
  });
});
