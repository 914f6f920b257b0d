import { describe, expect, test } from "vitest";
import {
  bytesFromData,
  convertData,
  dataFromBytes,
  decodeArray,
  encodeArray,
  packSubByte,
  unpackSubByte,
} from "../../src/numerics/convert.js";
import type { DType } from "../../src/numerics/dtype.js";
import {
  decodeFloat,
  decodeTable,
  encodeFloat,
  roundToOdd,
  type SmallFloat,
} from "../../src/numerics/float-formats.js";

const smallFloats: readonly SmallFloat[] = [
  "f16",
  "bf16",
  "f8e4m3fn",
  "f8e4m3fnuz",
  "f8e5m2",
  "f8e5m2fnuz",
  "f4e2m1",
];

/** Nearest by looking at every finite value of the type: slow, and shares nothing with the encoder. */
function nearestBySearch(format: SmallFloat, x: number): number {
  const table = decodeTable(format);
  let best = -1;
  for (let code = 0; code < table.length; code++) {
    const value = table[code]!;
    if (!Number.isFinite(value) || Object.is(value, -0)) continue;
    const better = Math.abs(value - x) - Math.abs((table[best] ?? Infinity) - x);
    if (best < 0 || better < 0 || (better === 0 && (code & 1) === 0)) best = code;
  }
  return best;
}

function* interesting(format: SmallFloat): Generator<number> {
  const values = [...decodeTable(format)].filter((v) => Number.isFinite(v) && v >= 0);
  values.sort((a, b) => a - b);
  const stride = Math.max(1, Math.floor(values.length / 100));
  for (let i = 0; i + 1 < values.length; i += stride) {
    const middle = (values[i]! + values[i + 1]!) / 2;
    for (const x of [values[i]!, middle, middle * (1 + 1e-12), middle * (1 - 1e-12)]) {
      yield x;
      yield -x;
    }
  }
}

describe.each(smallFloats)("%s", (format) => {
  test("every value encodes to its own bits", () => {
    const table = decodeTable(format);
    for (let code = 0; code < table.length; code++) {
      const value = table[code]!;
      const back = encodeFloat(format, value, { saturate: false });
      if (Number.isNaN(value)) expect(decodeFloat(format, back)).toBeNaN();
      else expect(back).toBe(code);
    }
  });

  test("rounds to nearest even, numbers between fp32 values too", () => {
    for (const x of interesting(format)) {
      const got = decodeFloat(format, encodeFloat(format, x));
      expect(Math.abs(got), `${x}`).toBe(Math.abs(decodeFloat(format, nearestBySearch(format, x))));
    }
  });

  test("arrays agree with single numbers", () => {
    const values = Float32Array.from(interesting(format));
    const codes = encodeArray(format, values);
    expect([...codes]).toEqual([...values].map((v) => encodeFloat(format, v)));
    expect([...encodeArray(format, Float64Array.from(values))]).toEqual([...codes]);
  });
});

test.each<[SmallFloat, number[], number[]]>([
  // NaN, +Inf, -Inf, beyond the largest, -0
  ["f8e4m3fn", [0x7f, 0x7e, 0xfe, 0x7e, 0x80], [0x7f, 0x7f, 0xff, 0x7f, 0x80]],
  ["f8e4m3fnuz", [0x80, 0x7f, 0xff, 0x7f, 0], [0x80, 0x80, 0x80, 0x80, 0]],
  ["f8e5m2", [0x7e, 0x7b, 0xfb, 0x7b, 0x80], [0x7e, 0x7c, 0xfc, 0x7c, 0x80]],
  ["f8e5m2fnuz", [0x80, 0x7f, 0xff, 0x7f, 0], [0x80, 0x80, 0x80, 0x80, 0]],
  ["f4e2m1", [8, 7, 15, 7, 8], [8, 7, 15, 7, 8]],
])("%s at the special values", (format, saturated, unsaturated) => {
  const specials = [NaN, Infinity, -Infinity, 1e6, -0];
  expect(specials.map((x) => encodeFloat(format, x))).toEqual(saturated);
  expect(specials.map((x) => encodeFloat(format, x, { saturate: false }))).toEqual(unsaturated);
});

test("the largest e4m3 value holds up to half a step beyond, ties included", () => {
  const encode = (x: number) => encodeFloat("f8e4m3fn", x, { saturate: false });
  expect([448, 463.9, 464, 464.1].map(encode)).toEqual([0x7e, 0x7e, 0x7e, 0x7f]);
});

test("f8e8m0 rounds scales as asked", () => {
  const xs = [1, 1.2, 1.5, 1.9, 2 ** -127, 2 ** -127 * 1.25, 0, Infinity, NaN, 2 ** 127 * 1.5];
  const with_ = (options: object) => xs.map((x) => encodeFloat("f8e8m0", x, options));
  expect(with_({})).toEqual([127, 128, 128, 128, 0, 1, 0, 254, 255, 254]);
  expect(with_({ roundMode: "down" })).toEqual([127, 127, 127, 127, 0, 0, 0, 254, 255, 254]);
  expect(with_({ roundMode: "nearest", saturate: false })).toEqual([
    127, 127, 128, 128, 0, 0, 255, 255, 255, 255,
  ]);
  expect([0, 127, 255].map((c) => decodeFloat("f8e8m0", c))).toEqual([2 ** -127, 1, NaN]);
});

test("a double between two fp32 numbers is rounded once", () => {
  const justAboveTie = 1 + 2 ** -11 + 2 ** -40;
  expect(Math.fround(justAboveTie)).toBe(1 + 2 ** -11);
  expect(encodeFloat("f16", justAboveTie)).toBe(0x3c01);
  expect(encodeFloat("f16", 1 + 2 ** -11)).toBe(0x3c00);
  expect(roundToOdd(1e300)).toBe(3.4028234663852886e38);
  expect(encodeFloat("f16", -1e300)).toBe(0xfc00);
  expect(encodeFloat("bf16", 1e300)).toBe(0x7f80);
});

test("integers keep their low bits, floats go toward zero", () => {
  const x = [1.9, -1.9, 300, -129, NaN, Infinity, 2 ** 31];
  const as = (dtype: DType) => [...encodeArray(dtype, x)].map(Number);
  expect(as("i8")).toEqual([1, -1, 44, 127, 0, 0, 0]);
  expect(as("u8")).toEqual([1, 255, 44, 127, 0, 0, 0]);
  expect(as("i4")).toEqual([1, -1, -4, -1, 0, 0, 0]);
  expect(as("u4")).toEqual([1, 15, 12, 15, 0, 0, 0]);
  expect(as("i2")).toEqual([1, -1, 0, -1, 0, 0, 0]);
  expect(as("i32")).toEqual([1, -1, 300, -129, 0, 0, -(2 ** 31)]);
  expect(as("i64")).toEqual([1, -1, 300, -129, 0, 0, 2 ** 31]);
  expect(as("bool")).toEqual([1, 1, 1, 1, 1, 1, 1]);
});

test("64-bit integers convert exactly and round once", () => {
  const big = BigInt64Array.of(2n ** 62n + 2n ** 38n + 1n, -(2n ** 62n + 2n ** 38n + 1n), -1n, 5n);
  const rounded = 2 ** 62 + 2 ** 39;
  expect([...decodeArray("i64", big)]).toEqual([rounded, -rounded, -1, 5]);
  expect([...convertData("i64", big, "u64")]).toEqual([...big].map((v) => BigInt.asUintN(64, v)));
  expect([...convertData("i64", big, "i32")]).toEqual([1, -1, -1, 5]);
  expect([...convertData("i64", big, "i4")]).toEqual([1, -1, -1, 5]);
  expect([...convertData("i64", BigInt64Array.of(0n, -7n), "bool")]).toEqual([0, 1]);
  expect([...convertData("i32", Int32Array.of(-1), "u64")]).toEqual([2n ** 64n - 1n]);
});

test("small floats convert to one another and to integers", () => {
  const f16 = encodeArray("f16", [1.5, -2.75, Infinity]);
  expect([...convertData("f16", f16, "bf16")]).toEqual([0x3fc0, 0xc030, 0x7f80]);
  expect([...convertData("f16", f16, "i8")]).toEqual([1, -2, 0]);
  expect([...convertData("u8", Uint8Array.of(255), "f16")]).toEqual([0x5bf8]);
});

test.each<[DType, number[], number[]]>([
  ["i4", [7, -8, -1, 0, 3], [0x87, 0x0f, 0x03]],
  ["u4", [7, 8, 15, 0, 3], [0x87, 0x0f, 0x03]],
  ["i2", [1, -2, -1, 0, 1], [0x39, 0x01]],
  ["u2", [1, 2, 3, 0, 1], [0x39, 0x01]],
])("%s packs low bits first", (dtype, elements, bytes) => {
  expect([...packSubByte(dtype, elements)]).toEqual(bytes);
  expect([...unpackSubByte(dtype, Uint8Array.from(bytes), elements.length)]).toEqual(elements);
});

test("raw bytes round trip", () => {
  const data = Float32Array.of(1, -2, NaN);
  const bytes = bytesFromData("f32", data);
  expect(dataFromBytes("f32", bytes, 3)).toEqual(data);
  expect([
    ...dataFromBytes("i64", Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255), 1),
  ]).toEqual([-1n]);
  expect(() => dataFromBytes("f32", bytes, 2)).toThrow("12 bytes are not 2 elements of f32");
});
