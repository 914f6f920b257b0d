/** The element types of tensors, and what each costs to store. Conversions are in `convert.ts`. */

export const dtypes = {
  f64: { bits: 64, kind: "float" },
  f32: { bits: 32, kind: "float" },
  f16: { bits: 16, kind: "float" },
  bf16: { bits: 16, kind: "float" },
  f8e4m3fn: { bits: 8, kind: "float" },
  f8e4m3fnuz: { bits: 8, kind: "float" },
  f8e5m2: { bits: 8, kind: "float" },
  f8e5m2fnuz: { bits: 8, kind: "float" },
  f8e8m0: { bits: 8, kind: "float" },
  f4e2m1: { bits: 4, kind: "float" },
  i64: { bits: 64, kind: "int" },
  u64: { bits: 64, kind: "uint" },
  i32: { bits: 32, kind: "int" },
  u32: { bits: 32, kind: "uint" },
  i16: { bits: 16, kind: "int" },
  u16: { bits: 16, kind: "uint" },
  i8: { bits: 8, kind: "int" },
  u8: { bits: 8, kind: "uint" },
  i4: { bits: 4, kind: "int" },
  u4: { bits: 4, kind: "uint" },
  i2: { bits: 2, kind: "int" },
  u2: { bits: 2, kind: "uint" },
  bool: { bits: 8, kind: "bool" },
  string: { bits: 0, kind: "string" },
} as const satisfies Record<string, { bits: number; kind: string }>;

export type DType = keyof typeof dtypes;

/**
 * What the device stores and computes with. i64 is narrowed to i32 before it gets there, u32 is carried in it. In the
 * order of their codes in executables.
 */
export const deviceDTypes = [
  "f32",
  "f16",
  "bf16",
  "f8e4m3fn",
  "f8e5m2",
  "i32",
  "i8",
  "u8",
  "i4",
  "u4",
  "bool",
  "i16",
  "u16",
] as const satisfies readonly DType[];
export type DeviceDType = (typeof deviceDTypes)[number];

export function isFloat(dtype: DType): boolean {
  return dtypes[dtype].kind === "float";
}

/** Bytes that `elements` take; sub-byte types are packed, low bits first, the last byte padded. */
export function byteLength(dtype: DType, elements: number): number {
  return Math.ceil((elements * dtypes[dtype].bits) / 8);
}
