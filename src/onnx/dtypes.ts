/** ONNX's numbers for element types (TensorProto.DataType) and ours. Complex types have no counterpart. */
import type { DType } from "../numerics/dtype.js";

const onnxDTypes = {
  1: "f32",
  2: "u8",
  3: "i8",
  4: "u16",
  5: "i16",
  6: "i32",
  7: "i64",
  8: "string",
  9: "bool",
  10: "f16",
  11: "f64",
  12: "u32",
  13: "u64",
  16: "bf16",
  17: "f8e4m3fn",
  18: "f8e4m3fnuz",
  19: "f8e5m2",
  20: "f8e5m2fnuz",
  21: "u4",
  22: "i4",
  23: "f4e2m1",
  24: "f8e8m0",
  25: "u2",
  26: "i2",
} as const satisfies Readonly<Record<number, DType>>;

const codes = new Map<DType, number>(
  Object.entries(onnxDTypes).map(([code, dtype]) => [dtype, Number(code)]),
);

/** Undefined for complex types and numbers that ONNX does not define. */
export function dtypeFromOnnx(code: number): DType | undefined {
  return (onnxDTypes as Readonly<Record<number, DType>>)[code];
}

export function dtypeToOnnx(dtype: DType): number {
  return codes.get(dtype)!;
}

/** ONNX's name of a type number, for diagnostics. */
export function onnxTypeName(code: number): string {
  if (code === 14) return "complex64";
  if (code === 15) return "complex128";
  return dtypeFromOnnx(code) ?? `type number ${code}`;
}
