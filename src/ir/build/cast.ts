/** Conversion between element types as ONNX's Cast defines it, as lane code: from a register to a result type. */
import { type DType, dtypes } from "../../numerics/dtype.js";
import type { Lane, LaneBuilder } from "../../numerics/lanes.js";

/** What a map's body returns so that storing it as `to` is the conversion of x, an operand of type `from`. */
export function castLane(l: LaneBuilder, x: Lane, from: DType, to: DType): Lane {
  const source = dtypes[from].kind;
  const target = dtypes[to].kind;
  if (source === "bool") return target === "float" ? truthFloat(l, x) : truthInt(l, x, to);
  if (target === "bool") return isNonZero(l, x);
  if (source === "float") return target === "float" ? x : l.toI(x);
  return target === "float" ? l.toF(x) : x;
}

function truthFloat(l: LaneBuilder, mask: Lane): Lane {
  return l.select(mask, l.constF(1), l.constF(0));
}

function truthInt(l: LaneBuilder, mask: Lane, to: DType): Lane {
  return to === "bool" ? mask : l.and(mask, l.constI(1));
}

function isNonZero(l: LaneBuilder, x: Lane): Lane {
  const isZero = x.type === "f32" ? l.eq(x, l.constF(0)) : l.eqI(x, l.constI(0));
  return l.xor(isZero, l.constI(-1));
}
