/** Element types as ONNX Runtime's JavaScript API calls them; its callers see no other names. */
import type { Tensor as OrtTensor } from "onnxruntime-common";
import type { DType } from "../numerics/dtype.js";

export const ortTypes = {
  f64: "float64",
  f32: "float32",
  f16: "float16",
  i64: "int64",
  u64: "uint64",
  i32: "int32",
  u32: "uint32",
  i16: "int16",
  u16: "uint16",
  i8: "int8",
  u8: "uint8",
  i4: "int4",
  u4: "uint4",
  bool: "bool",
  string: "string",
} as const satisfies Partial<Record<DType, OrtTensor.Type>>;

const byOrtType = new Map<string, DType>(
  Object.entries(ortTypes).map(([dtype, name]) => [name, dtype as DType]),
);

export function dtypeOfOrt(type: string): DType | undefined {
  return byOrtType.get(type);
}

/** For people: `float32`, or our own name where that API has none (`bf16`). */
export function typeName(dtype: DType): string {
  return (ortTypes as Partial<Record<DType, string>>)[dtype] ?? dtype;
}
