/**
 * Element types to and from vector registers, four lanes at a time. `decode` takes raw elements packed at the
 * low end of a vector, as a load leaves them; `encode` gives them back so. A register holds fp32 for floating types
 * and int32 for the others. The results equal numerics/float-formats.ts bit for bit.
 */
import type { DeviceDType } from "../../../numerics/dtype.js";
import type { FunctionBuilder, V128 } from "../wasm/function.js";

/** What the JIT's own slots hold: sub-byte elements take a byte there, so that they have addresses. */
export const elementBytes: { readonly [T in DeviceDType]: 1 | 2 | 4 } = {
  f32: 4,
  f16: 2,
  bf16: 2,
  f8e4m3fn: 1,
  f8e5m2: 1,
  i32: 4,
  i8: 1,
  u8: 1,
  i4: 1,
  u4: 1,
  bool: 1,
  i16: 2,
  u16: 2,
};

/** How a bool is seen: as a mask by lane programs, as 0 or 1 by transfers. */
export type BoolForm = "mask" | "one";

export function emitDecode(
  f: FunctionBuilder,
  dtype: DeviceDType,
  raw: V128,
  boolForm: BoolForm,
): V128 {
  switch (dtype) {
    case "f32":
    case "i32":
      return raw;
    case "bf16":
      return f.op("i32x4.shl", f.op("i32x4.extend_low_i16x8_u", raw), f.i32(16));
    case "f16":
      return decodeSmallFloat(f, f.op("i32x4.extend_low_i16x8_u", raw), f16);
    case "f8e4m3fn":
      return decodeSmallFloat(f, widenBytes(f, raw), e4m3);
    case "f8e5m2":
      return decodeSmallFloat(f, widenBytes(f, raw), e5m2);
    case "i16":
      return f.op("i32x4.extend_low_i16x8_s", raw);
    case "u16":
      return f.op("i32x4.extend_low_i16x8_u", raw);
    case "i8":
    case "i4":
      return f.op("i32x4.extend_low_i16x8_s", f.op("i16x8.extend_low_i8x16_s", raw));
    case "u8":
    case "u4":
      return widenBytes(f, raw);
    case "bool": {
      const mask = f.op("i32x4.ne", widenBytes(f, raw), f.words(0));
      return boolForm === "mask" ? mask : f.op("v128.and", mask, f.words(1));
    }
    default:
      return dtype satisfies never;
  }
}

export function emitEncode(f: FunctionBuilder, dtype: DeviceDType, value: V128): V128 {
  switch (dtype) {
    case "f32":
    case "i32":
      return value;
    case "bf16":
      return narrowToWords(f, emitBitsBF16(f, value));
    case "f16":
      return narrowToWords(f, encodeSmallFloat(f, value, f16));
    case "f8e4m3fn":
      return narrowToBytes(f, encodeSmallFloat(f, value, e4m3));
    case "f8e5m2":
      return narrowToBytes(f, encodeSmallFloat(f, value, e5m2));
    case "i16":
    case "u16":
      return narrowToWords(f, f.op("v128.and", value, f.words(0xffff)));
    case "i8":
    case "u8":
      return narrowToBytes(f, f.op("v128.and", value, f.words(255)));
    case "u4":
      return narrowToBytes(f, f.op("v128.and", value, f.words(15)));
    case "i4": {
      const lifted = f.op("i32x4.shl", value, f.i32(28));
      const extended = f.op("i32x4.shr_s", lifted, f.i32(28));
      return narrowToBytes(f, f.op("v128.and", extended, f.words(255)));
    }
    case "bool": {
      const mask = f.op("i32x4.ne", value, f.words(0));
      return narrowToBytes(f, f.op("v128.and", mask, f.words(1)));
    }
    default:
      return dtype satisfies never;
  }
}

/** A type that fp32 is rounded to. */
export type Rounding = "f16" | "bf16" | "f8e4m3fn" | "f8e5m2";

/** fp32 lanes rounded to a smaller type and widened again. */
export function emitRound(f: FunctionBuilder, dtype: Rounding, value: V128): V128 {
  if (dtype === "bf16") return f.op("i32x4.shl", emitBitsBF16(f, value), f.i32(16));
  const format = dtype === "f16" ? f16 : dtype === "f8e4m3fn" ? e4m3 : e5m2;
  return decodeSmallFloat(f, encodeSmallFloat(f, value, format), format);
}

interface SmallFormat {
  readonly bits: 8 | 16;
  readonly mantissaBits: number;
  readonly bias: number;
  /** Code of the largest finite value. */
  readonly largest: number;
  /** Code of larger values. */
  readonly beyond: number;
  readonly nan: number;
  /** The least code that is not finite, and the fp32 bits that make its value infinity or NaN. */
  readonly special: number;
  readonly specialBits: number;
}

const f16: SmallFormat = {
  bits: 16,
  mantissaBits: 10,
  bias: 15,
  largest: 0x7bff,
  beyond: 0x7c00,
  nan: 0x7e00,
  special: 0x7c00,
  specialBits: 0x7f800000,
};
const e4m3: SmallFormat = {
  bits: 8,
  mantissaBits: 3,
  bias: 7,
  largest: 0x7e,
  beyond: 0x7e,
  nan: 0x7f,
  special: 0x7f,
  specialBits: 0x7fc00000,
};
const e5m2: SmallFormat = {
  bits: 8,
  mantissaBits: 2,
  bias: 15,
  largest: 0x7b,
  beyond: 0x7b,
  nan: 0x7e,
  special: 0x7c,
  specialBits: 0x7f800000,
};

/**
 * The magnitude, put where fp32 has exponent and mantissa, is the value times 2^(bias - 127): one exact
 * multiplication makes up for it, subnormals included.
 */
function decodeSmallFloat(f: FunctionBuilder, codes: V128, format: SmallFormat): V128 {
  const { bits, mantissaBits, bias, special, specialBits } = format;
  const signBit = 1 << (bits - 1);
  const code = f.keep("v128", codes);
  const magnitude = f.keep("v128", f.op("v128.and", f.get(code), f.words(signBit - 1)));
  const finite = f.keep(
    "v128",
    f.op(
      "f32x4.mul",
      f.op("i32x4.shl", f.get(magnitude), f.i32(23 - mantissaBits)),
      f.floats(2 ** (127 - bias)),
    ),
  );
  const lifted = f.keep(
    "v128",
    f.op(
      "v128.and",
      f.op("i32x4.gt_s", f.get(magnitude), f.words(special - 1)),
      f.words(specialBits),
    ),
  );
  const sign = f.keep(
    "v128",
    f.op("i32x4.shl", f.op("v128.and", f.get(code), f.words(signBit)), f.i32(32 - bits)),
  );
  return f.op("v128.or", f.op("v128.or", f.get(finite), f.get(lifted)), f.get(sign));
}

/**
 * A normal result is a rebiased integer rounded by an addition. A subnormal one falls out of adding the power of
 * two whose last place is the format's smallest number: the fp32 adder rounds it to nearest even.
 */
function encodeSmallFloat(f: FunctionBuilder, value: V128, format: SmallFormat): V128 {
  const { bits, mantissaBits, bias, largest, beyond, nan } = format;
  const shift = 23 - mantissaBits;
  const firstNormal = (128 - bias) << 23;
  const magic = 2 ** (23 + 1 - bias - mantissaBits);
  const x = f.keep("v128", value);
  const a = f.keep("v128", f.op("v128.and", f.get(x), f.words(0x7fffffff)));
  const isOdd = f.keep(
    "v128",
    f.op("v128.and", f.op("i32x4.shr_u", f.get(a), f.i32(shift)), f.words(1)),
  );
  const bump = (1 << (shift - 1)) - 1 - ((127 - bias) << 23);
  const normal = f.keep(
    "v128",
    f.op(
      "i32x4.shr_s",
      f.op("i32x4.add", f.op("i32x4.add", f.get(a), f.words(bump)), f.get(isOdd)),
      f.i32(shift),
    ),
  );
  const subnormal = f.keep(
    "v128",
    f.op("i32x4.sub", f.op("f32x4.add", f.get(a), f.floats(magic)), f.floats(magic)),
  );
  const code = f.keep(
    "v128",
    f.op(
      "v128.bitselect",
      f.get(subnormal),
      f.get(normal),
      f.op("i32x4.lt_s", f.get(a), f.words(firstNormal)),
    ),
  );
  const bounded = f.keep(
    "v128",
    f.op(
      "v128.bitselect",
      f.words(beyond),
      f.get(code),
      f.op("i32x4.gt_s", f.get(code), f.words(largest)),
    ),
  );
  const magnitude = f.keep(
    "v128",
    f.op(
      "v128.bitselect",
      f.words(nan),
      f.get(bounded),
      f.op("i32x4.gt_s", f.get(a), f.words(0x7f800000)),
    ),
  );
  const sign = f.keep(
    "v128",
    f.op("v128.and", f.op("i32x4.shr_u", f.get(x), f.i32(32 - bits)), f.words(1 << (bits - 1))),
  );
  return f.op("v128.or", f.get(magnitude), f.get(sign));
}

/** Sixteen bits in each lane, rounded to nearest even by an integer addition. */
function emitBitsBF16(f: FunctionBuilder, value: V128): V128 {
  const x = f.keep("v128", value);
  const isOdd = f.keep(
    "v128",
    f.op("v128.and", f.op("i32x4.shr_u", f.get(x), f.i32(16)), f.words(1)),
  );
  const rounded = f.keep(
    "v128",
    f.op(
      "i32x4.shr_u",
      f.op("i32x4.add", f.op("i32x4.add", f.get(x), f.words(0x7fff)), f.get(isOdd)),
      f.i32(16),
    ),
  );
  return f.op(
    "v128.bitselect",
    f.words(0x7fc0),
    f.get(rounded),
    f.op("f32x4.ne", f.get(x), f.get(x)),
  );
}

function widenBytes(f: FunctionBuilder, raw: V128): V128 {
  return f.op("i32x4.extend_low_i16x8_u", f.op("i16x8.extend_low_i8x16_u", raw));
}

function narrowToWords(f: FunctionBuilder, codes: V128): V128 {
  return f.op("i16x8.narrow_i32x4_u", codes, f.words(0));
}

function narrowToBytes(f: FunctionBuilder, codes: V128): V128 {
  return f.op("i8x16.narrow_i16x8_u", narrowToWords(f, codes), f.words(0));
}
