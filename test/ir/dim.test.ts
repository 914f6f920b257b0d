/** Symbolic extents: canonical text, and the same value as plain arithmetic under every binding. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Dim,
  dimAdd,
  dimCeilDiv,
  dimExactDiv,
  dimFloorDiv,
  dimMax,
  dimMin,
  dimMul,
  dimSub,
  dimText,
  evaluateDim,
  symbolDim,
} from "../../src/ir/dim.js";

const w = symbolDim({ name: "W", min: 32, max: 1024, multipleOf: 32 });
const t = symbolDim({ name: "T", min: 1, max: 100, multipleOf: 1 });

/** What a convolution with kernel 3, stride 2 and padding 1 makes of an extent. */
function halved(extent: Dim): Dim {
  return dimAdd(dimFloorDiv(dimSub(dimAdd(extent, 2), 3), 2), 1);
}

describe("text", () => {
  test.each([
    [dimAdd(dimMul(t, 2), dimAdd(t, 3)), "3*T + 3"],
    [dimFloorDiv(dimAdd(dimMul(t, 4), 6), 4), "T + 1"],
    [dimFloorDiv(dimFloorDiv(t, 2), 3), "floor((T) / 6)"],
    [dimFloorDiv(dimAdd(dimFloorDiv(dimSub(t, 1), 2), 1), 2), "floor((T + 1) / 4)"],
    [halved(halved(t)), "floor((T + -1) / 4) + 1"],
    [halved(w), "floor((W) / 2)"],
    [halved(halved(halved(w))), "floor((W) / 8)"],
    [dimMul(halved(halved(w)), 2), "floor((W) / 2)"],
    [dimMul(halved(halved(w)), 4), "W"],
    [dimFloorDiv(dimMul(w, 3), 4), "3*floor((W) / 4)"],
    [dimAdd(dimFloorDiv(w, 2), dimFloorDiv(w, 2)), "W"],
    [dimExactDiv(dimMul(dimMul(t, 6), w), dimMul(w, 3))!, "2*T"],
  ])("%#", (dim, text) => {
    expect(dimText(dim)).toBe(text);
  });
});

type Plain = (t: number, w: number) => number;

const expression: fc.Arbitrary<readonly [Dim, Plain]> = fc.letrec<{
  tree: readonly [Dim, Plain];
}>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<readonly [Dim, Plain]>([t, (a) => a], [w, (_, b) => b]),
    fc.integer({ min: -9, max: 9 }).map((n) => [n, () => n] as const),
    fc
      .tuple(tie("tree"), tie("tree"))
      .map(
        ([[x, f], [y, g]]) => [dimAdd(x, y), (a: number, b: number) => f(a, b) + g(a, b)] as const,
      ),
    fc
      .tuple(tie("tree"), tie("tree"))
      .map(
        ([[x, f], [y, g]]) => [dimMul(x, y), (a: number, b: number) => f(a, b) * g(a, b)] as const,
      ),
    fc
      .tuple(tie("tree"), fc.integer({ min: -4, max: 8 }))
      .map(([[x, f], n]) => [dimMul(x, n), (a: number, b: number) => f(a, b) * n] as const),
    fc
      .tuple(tie("tree"), fc.constantFrom(1, 2, 3, 4, 6, 32))
      .map(
        ([[x, f], n]) =>
          [dimFloorDiv(x, n), (a: number, b: number) => Math.floor(f(a, b) / n)] as const,
      ),
    fc
      .tuple(tie("tree"), fc.constantFrom(2, 8, 5))
      .map(
        ([[x, f], n]) =>
          [dimCeilDiv(x, n), (a: number, b: number) => Math.ceil(f(a, b) / n)] as const,
      ),
  ),
})).tree;

test("expressions mean what their arithmetic says and stay within their range", () => {
  const extents = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 32 }));
  fc.assert(
    fc.property(expression, extents, ([dim, plain], [a, units]) => {
      const bindings = new Map([
        ["T", a],
        ["W", 32 * units],
      ]);
      const value = evaluateDim(dim, bindings);
      expect(value + 0).toBe(plain(a, 32 * units) + 0);
      expect(dimMin(dim)).toBeLessThanOrEqual(value);
      expect(dimMax(dim)).toBeGreaterThanOrEqual(value);
    }),
    { numRuns: 3000 },
  );
});

test("a division that is called exact is", () => {
  const divisors = fc.constantFrom<readonly [Dim, Plain]>(
    [2, () => 2],
    [32, () => 32],
    [t, (a) => a],
    [w, (_, b) => b],
    [dimMul(w, 3), (_, b) => 3 * b],
  );
  const extents = fc.tuple(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 32 }));
  let exact = 0;
  fc.assert(
    fc.property(expression, divisors, extents, ([dim, plain], [by, plainBy], [a, units]) => {
      for (const [dividend, f] of [
        [dim, plain],
        [dimMul(dim, by), (x: number, y: number) => plain(x, y) * plainBy(x, y)],
      ] as const) {
        const divided = dimExactDiv(dividend, by);
        if (divided === undefined) continue;
        exact++;
        const value = evaluateDim(
          divided,
          new Map([
            ["T", a],
            ["W", 32 * units],
          ]),
        );
        expect(value * plainBy(a, 32 * units) + 0).toBe(f(a, 32 * units) + 0);
      }
    }),
    { numRuns: 1000 },
  );
  expect(exact).toBeGreaterThan(500);
});
