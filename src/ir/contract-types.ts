/** Shape and type rules of contractions: what their labels may say, and the order in which they add. */
import { type DType, dtypes } from "../numerics/dtype.js";
import { fail, InternalError } from "../support/diagnostic.js";
import type { Dim } from "./dim.js";
import { requireEqual, shapeText, type TensorType } from "./graph-shapes.js";
import type { ContractOperation } from "./graph.js";

export function contractType(
  inputs: readonly TensorType[],
  labels: Omit<ContractOperation, "kind">,
): TensorType {
  const [a, b, ...zeros] = inputs;
  if (a === undefined || b === undefined)
    throw new InternalError("a contraction takes two operands");
  const extents = new Map<string, Dim>();
  for (const [operand, text] of [
    [a, labels.a],
    [b, labels.b],
  ] as const) {
    if (text.length !== operand.shape.length || new Set(text).size !== text.length) {
      fail("L0201", `a factor of rank ${text.length} cannot be ${shapeText(operand.shape)}`);
    }
    operand.shape.forEach((dim, axis) => {
      const label = text[axis]!;
      const known = extents.get(label);
      if (known === undefined) extents.set(label, dim);
      else requireEqual(known, dim, contractionText(a, b));
    });
  }
  requireLabels(labels);
  for (const zero of zeros) requireZeroPoint(zero, b, labels);
  const shape = [...labels.out].map((label) => extents.get(label)!);
  return { dtype: contractDType(a.dtype, b.dtype), shape };
}

function contractionText(a: TensorType, b: TensorType): string {
  return `${shapeText(a.shape)} and ${shapeText(b.shape)} cannot be multiplied`;
}

function requireLabels({ a, b, out, order }: Omit<ContractOperation, "kind">): void {
  const all = new Set(a + b);
  const placed = new Set(out + order);
  const wellFormed =
    [...all].every((label) => placed.has(label)) &&
    placed.size === out.length + order.length &&
    [...out].every((label) => all.has(label)) &&
    [...order].every((label) => a.includes(label) && b.includes(label));
  if (!wellFormed) {
    throw new InternalError(
      `contraction labels ${a},${b}->${out} over ${order} are not well-formed`,
    );
  }
}

/**
 * The order of a contraction with its labels of extent 1 last; dims kept open are not 1. The others keep their pace
 * from the slowest, order[1], to the fastest, order[0]: of one channel, the innermost kernel positions are cut in blocks.
 */
export function canonicalOrder(a: TensorType, labels: Omit<ContractOperation, "kind">): string {
  const varies = (label: string): boolean => a.shape[labels.a.indexOf(label)] !== 1;
  const [fastest = "", ...slower] = labels.order;
  const paced = [...slower, fastest].filter(varies);
  const ones = [...labels.order].filter((label) => !varies(label));
  return [...paced.slice(-1), ...paced.slice(0, -1), ...ones].join("");
}

/** Labels of b that are neither contracted nor shared with a: the axis of a vector of zero points. */
export function zeroPointLabel({ a, b, order }: Omit<ContractOperation, "kind">): string {
  return [...b].filter((label) => !order.includes(label) && !a.includes(label)).join("");
}

function requireZeroPoint(
  zero: TensorType,
  b: TensorType,
  labels: Omit<ContractOperation, "kind">,
): void {
  if (dtypes[zero.dtype].kind === "float") fail("L0202", `a zero point cannot be ${zero.dtype}`);
  if (zero.shape.length === 0) return;
  const label = zeroPointLabel(labels);
  if (zero.shape.length !== 1 || label.length !== 1) {
    fail("L0201", `a zero point of shape ${shapeText(zero.shape)} fits no axis of the product`);
  }
  requireEqual(
    zero.shape[0]!,
    b.shape[labels.b.indexOf(label)]!,
    `a zero point of shape ${shapeText(zero.shape)} does not fit ${shapeText(b.shape)}`,
  );
}

/** f32 for floats (f64 stays), int32 for integers (64 bits stay). */
function contractDType(a: DType, b: DType): DType {
  const kinds = [dtypes[a].kind, dtypes[b].kind];
  const floats = kinds.filter((kind) => kind === "float").length;
  if (floats === 1 || kinds.some((kind) => kind === "string" || kind === "bool")) {
    return fail("L0202", `${a} and ${b} cannot be multiplied`);
  }
  if (floats === 2) return a === "f64" || b === "f64" ? "f64" : "f32";
  for (const wide of ["u64", "i64", "u32"] as const) if (a === wide || b === wide) return wide;
  return "i32";
}
