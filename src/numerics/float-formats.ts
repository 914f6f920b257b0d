/**
 * The floating types that JavaScript has no array for: f16, bf16, the f8 family and f4. Bit pattern to value by
 * table, value to bit pattern by integer arithmetic on the fp32 bits, rounded to nearest even.
 * Conversion of whole arrays is in `convert.ts`.
 */
import type { DType } from "./dtype.js";

export type SmallFloat =
  | "f16"
  | "bf16"
  | "f8e4m3fn"
  | "f8e4m3fnuz"
  | "f8e5m2"
  | "f8e5m2fnuz"
  | "f8e8m0"
  | "f4e2m1";

export interface EncodeOptions {
  /** f8 only: a value beyond the largest becomes the largest instead of infinity or NaN. Default true. */
  readonly saturate?: boolean;
  /** f8e8m0 only: to which power of two a value between two goes. Default "up". */
  readonly roundMode?: "up" | "down" | "nearest";
}

/** Sign, exponent and mantissa, from the top. Codes are without the sign bit. */
interface FloatFormat {
  readonly bits: number;
  readonly mantissaBits: number;
  readonly bias: number;
  /** Code of the largest finite value. */
  readonly largest: number;
  /** Where a value beyond the largest goes without saturation. */
  readonly overflow: number;
  readonly nan: number;
  /** Not a format with -0: there the pattern of the sign bit alone is the only NaN. */
  readonly unsignedZero?: true;
  /** Saturates unless told otherwise; f16 and bf16 never do, f4 always does. */
  readonly saturates: "never" | "asked" | "always";
}

const formats: { readonly [F in Exclude<SmallFloat, "f8e8m0">]: FloatFormat } = {
  f16: row({
    bits: 16,
    mantissaBits: 10,
    bias: 15,
    largest: 0x7bff,
    overflow: 0x7c00,
    nan: 0x7e00,
  }),
  bf16: row({
    bits: 16,
    mantissaBits: 7,
    bias: 127,
    largest: 0x7f7f,
    overflow: 0x7f80,
    nan: 0x7fc0,
  }),
  f8e4m3fn: row({ bits: 8, mantissaBits: 3, bias: 7, largest: 0x7e, overflow: 0x7f, nan: 0x7f }),
  f8e4m3fnuz: {
    ...row({ bits: 8, mantissaBits: 3, bias: 8, largest: 0x7f, overflow: 0x80, nan: 0x80 }),
    unsignedZero: true,
  },
  f8e5m2: row({ bits: 8, mantissaBits: 2, bias: 15, largest: 0x7b, overflow: 0x7c, nan: 0x7e }),
  f8e5m2fnuz: {
    ...row({ bits: 8, mantissaBits: 2, bias: 16, largest: 0x7f, overflow: 0x80, nan: 0x80 }),
    unsignedZero: true,
  },
  // f4 has no NaN; -0 stands for it, as in ONNX's conformance tests.
  f4e2m1: {
    ...row({ bits: 4, mantissaBits: 1, bias: 1, largest: 7, overflow: 7, nan: 8 }),
    saturates: "always",
  },
};

function row(format: Omit<FloatFormat, "saturates">): FloatFormat {
  return { ...format, saturates: format.bits === 16 ? "never" : "asked" };
}

const wordFloat = new Float32Array(1);
const wordBits = new Uint32Array(wordFloat.buffer);

/** Bits of the fp32 number nearest to x. */
export function floatBits(x: number): number {
  wordFloat[0] = x;
  return wordBits[0]!;
}

export function bitsFloat(bits: number): number {
  wordBits[0] = bits;
  return wordFloat[0]!;
}

/**
 * fp32 nearest to x toward the odd mantissa where x lies between two: rounding that once more to fewer bits
 * gives what rounding x itself would have.
 */
export function roundToOdd(x: number): number {
  const near = Math.fround(x);
  if (near === x || x !== x) return near;
  const bits = floatBits(near);
  if ((bits & 1) === 1 && Number.isFinite(near)) return near;
  const tooLarge = Math.abs(near) > Math.abs(x);
  return bitsFloat(tooLarge ? bits - 1 : bits + 1);
}

const tables = new Map<SmallFloat, Float32Array>();

/** Value of each bit pattern: 65,536 entries for 16 bits, 256 for 8, 16 for 4. */
export function decodeTable(format: SmallFloat): Float32Array {
  let table = tables.get(format);
  if (table === undefined) {
    table = format === "f8e8m0" ? scaleTable() : floatTable(formats[format]);
    tables.set(format, table);
  }
  return table;
}

function scaleTable(): Float32Array {
  return Float32Array.from({ length: 256 }, (_, code) => (code === 255 ? NaN : 2 ** (code - 127)));
}

function floatTable(format: FloatFormat): Float32Array {
  const { bits, mantissaBits, bias } = format;
  const signBit = 1 << (bits - 1);
  return Float32Array.from({ length: 1 << bits }, (_, code) => {
    const magnitude = code & (signBit - 1);
    const sign = code & signBit ? -1 : 1;
    if (format.unsignedZero) {
      if (code === signBit) return NaN;
    } else if (magnitude > format.largest) {
      const isInfinity = magnitude === format.overflow && format.overflow !== format.nan;
      return isInfinity ? sign * Infinity : NaN;
    }
    const exponent = magnitude >> mantissaBits;
    const mantissa = magnitude & ((1 << mantissaBits) - 1);
    const hidden = exponent === 0 ? 0 : 1 << mantissaBits;
    return sign * (hidden + mantissa) * 2 ** (Math.max(exponent, 1) - bias - mantissaBits);
  });
}

/** Bits of an fp32 number -> bit pattern of the small type. */
export type BitEncoder = (bits: number) => number;

export function bitEncoder(format: SmallFloat, options: EncodeOptions = {}): BitEncoder {
  if (format === "f16") return encodeF16;
  if (format === "bf16") return encodeBF16;
  const saturate = options.saturate ?? true;
  if (format === "f8e8m0") return scaleEncoder(saturate, options.roundMode ?? "up");
  return smallEncoder(formats[format], saturate);
}

/** Bits of an fp32 number -> bits of the nearest fp16 number. */
export function encodeF16(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const a = bits & 0x7fffffff;
  if (a >= 0x47800000) return sign | (a > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (a >= 0x38800000) return sign | ((a - 0x38000000 + 0xfff + ((a >>> 13) & 1)) >>> 13);
  if (a < 0x33000000) return sign;
  return sign | shiftNearest((a & 0x7fffff) | 0x800000, 126 - (a >>> 23));
}

export function encodeBF16(bits: number): number {
  if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

function smallEncoder(format: FloatFormat, saturate: boolean): BitEncoder {
  const { bits, mantissaBits, bias, largest, nan } = format;
  const beyond = saturate || format.saturates === "always" ? largest : format.overflow;
  const shift = 23 - mantissaBits;
  const rebias = (127 - bias) << 23;
  const firstNormal = 128 - bias;
  const signShift = 32 - bits;
  const signBit = 1 << (bits - 1);
  const half = (1 << (shift - 1)) - 1;
  return (word) => {
    const sign = (word >>> signShift) & signBit;
    const a = word & 0x7fffffff;
    if (a > 0x7f800000) return nan;
    const exponent = a >>> 23;
    let code: number;
    if (exponent >= firstNormal) code = (a - rebias + half + ((a >>> shift) & 1)) >>> shift;
    else {
      const by = shift + firstNormal - exponent;
      code = by > 24 ? 0 : shiftNearest((a & 0x7fffff) | 0x800000, by);
    }
    if (code > largest) code = beyond;
    if (format.unsignedZero && (code === 0 || code === nan)) return code;
    return sign | code;
  };
}

function shiftNearest(mantissa: number, by: number): number {
  const code = mantissa >>> by;
  const rest = mantissa & ((1 << by) - 1);
  const half = 1 << (by - 1);
  return rest > half || (rest === half && (code & 1) === 1) ? code + 1 : code;
}

/** Powers of two from 2^-127; the sign of x is not looked at (ONNX leaves negative values open). */
function scaleEncoder(saturate: boolean, mode: "up" | "down" | "nearest"): BitEncoder {
  return (bits) => {
    const a = bits & 0x7fffffff;
    if (a > 0x7f800000) return 255;
    if (a === 0x7f800000) return saturate ? 254 : 255;
    // 2^-127 is subnormal in fp32, so below 2^-126 the mantissa's top bit is the implicit one.
    if (a < 0x00400000) return saturate ? 0 : 255;
    const exponent = a >>> 23;
    const fraction = exponent === 0 ? (a - 0x00400000) * 2 : a & 0x7fffff;
    const up = mode === "up" ? fraction > 0 : mode === "nearest" && fraction >= 0x400000;
    if (exponent === 254 && up) return saturate ? 254 : 255;
    return up ? exponent + 1 : exponent;
  };
}

export function isSmallFloat(dtype: DType): dtype is SmallFloat {
  return dtype === "f8e8m0" || dtype in formats;
}

/** One number to its bit pattern, rounded once whatever its precision. */
export function encodeFloat(format: SmallFloat, x: number, options?: EncodeOptions): number {
  return bitEncoder(format, options)(floatBits(roundToOdd(x)));
}

export function decodeFloat(format: SmallFloat, pattern: number): number {
  return decodeTable(format)[pattern]!;
}

/** Rounds an fp32 number to the format, kept in fp32; f8 saturates. */
export function rounder(format: SmallFloat): (x: number) => number {
  const encode = bitEncoder(format);
  let table: Float32Array | undefined;
  return (x) => {
    table ??= decodeTable(format);
    return table[encode(floatBits(x))]!;
  };
}
