/**
 * What a lane operation on constants, or with a neutral constant, is without computing it. Exact to the bit for
 * every argument (a NaN's payload and sign aside), so a program means the same before and after: adding +0 is not
 * here, since it turns -0 into +0.
 */
import { functions } from "./functions.js";
import type { ArithmeticOp, FunctionName, LaneOpName } from "./lane.js";
import { scalarAlgebra } from "./scalar.js";

export type Simplified =
  /** Of the type that the operation gives. */
  | { readonly kind: "constant"; readonly value: number }
  | { readonly kind: "argument"; readonly index: number }
  /** One operation of the first argument, and of a constant if `constant` is there. */
  | { readonly kind: "operation"; readonly op: "neg" | "mul"; readonly constant?: number };

/** `constants[i]` is argument i's value where it is known; equal `registers` are equal arguments. */
export function simplifyLane(
  op: LaneOpName,
  constants: readonly (number | undefined)[],
  registers: readonly number[],
): Simplified | undefined {
  if (constants.length === 0 || op === "lookup") return undefined;
  if (constants.every((value) => value !== undefined)) {
    return { kind: "constant", value: compute(op, constants) };
  }
  return simplifySelect(op, constants, registers) ?? simplifyNeutral(op, constants);
}

function compute(op: LaneOpName, values: readonly number[]): number {
  if (op in functions) return functions[op as FunctionName](scalarAlgebra, ...values);
  return scalarAlgebra[op as ArithmeticOp](...values);
}

const argument = (index: number): Simplified => ({ kind: "argument", index });

function simplifySelect(
  op: LaneOpName,
  [mask]: readonly (number | undefined)[],
  [, a, b]: readonly number[],
): Simplified | undefined {
  if (op !== "select" && op !== "selectI") return undefined;
  if (mask === -1 || a === b) return argument(1);
  return mask === 0 ? argument(2) : undefined;
}

/** x op c = x, for c on the right; on the left too where the operation commutes. */
const neutral: { readonly [Op in LaneOpName]?: { value: number; commutes: boolean } } = {
  add: { value: -0, commutes: true },
  sub: { value: 0, commutes: false },
  mul: { value: 1, commutes: true },
  div: { value: 1, commutes: false },
  min: { value: Infinity, commutes: true },
  max: { value: -Infinity, commutes: true },
  addI: { value: 0, commutes: true },
  subI: { value: 0, commutes: false },
  mulI: { value: 1, commutes: true },
  divI: { value: 1, commutes: false },
  minI: { value: 0x7fffffff, commutes: true },
  maxI: { value: -0x80000000, commutes: true },
  and: { value: -1, commutes: true },
  or: { value: 0, commutes: true },
  xor: { value: 0, commutes: true },
  shl: { value: 0, commutes: false },
  shrS: { value: 0, commutes: false },
  shrU: { value: 0, commutes: false },
};

function simplifyNeutral(
  op: LaneOpName,
  [a, b]: readonly (number | undefined)[],
): Simplified | undefined {
  const row = neutral[op];
  if (row === undefined) return undefined;
  if (Object.is(b, row.value)) return argument(0);
  if (row.commutes && Object.is(a, row.value)) return argument(1);
  if (b === undefined) return undefined;
  if (op === "mul" && b === -1) return { kind: "operation", op: "neg" };
  // Dividing by a power of two is multiplying by its inverse: both round the same number.
  if (op === "div" && isPowerOfTwo(b)) return { kind: "operation", op: "mul", constant: 1 / b };
  return undefined;
}

/** With an inverse that is an fp32 power of two, too. */
function isPowerOfTwo(value: number): boolean {
  const exponent = Math.log2(Math.abs(value));
  return Number.isInteger(exponent) && Math.abs(exponent) <= 126;
}
