/**
 * The verdict on a model's outputs against recorded ones. Two rules: `onnx`, every element within rtol and atol, for
 * conformance tests of single operators; `model`, the largest difference against the largest value and the same
 * class on top, for networks, where errors of many layers add up.
 */
import { decodeNumbers } from "../numerics/convert.js";
import { isFloat } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import type { Model } from "../onnx/model.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import { describeDifference, type Tolerance } from "./compare.js";
import { randomOutputs } from "./random-outputs.js";

export type JudgeRule =
  | { readonly rule: "onnx"; readonly tolerance: Tolerance }
  /** Largest difference by largest value; fp16 outputs get ten times as much. */
  | { readonly rule: "model"; readonly relative: number };

export const modelRule: JudgeRule = { rule: "model", relative: 1e-3 };
export const conformanceRule: JudgeRule = {
  rule: "onnx",
  tolerance: { rtol: 1e-3, atol: 1e-5 },
};

export interface Judgement {
  /** Largest difference of floats by the largest value of their output. */
  readonly worstRelativeError: number;
  /** About the first output that is not as expected. */
  readonly difference?: string;
}

export function judgeOutputs(
  actual: ReadonlyMap<string, HostValue>,
  expected: ReadonlyMap<string, HostValue>,
  rule: JudgeRule,
): Judgement {
  let worstRelativeError = 0;
  let difference: string | undefined;
  for (const [name, wanted] of expected) {
    const value = actual.get(name);
    const error = relativeError(value, wanted);
    if (!(error <= worstRelativeError)) worstRelativeError = error;
    const found = differenceOf(value, wanted, rule);
    if (found !== undefined) difference ??= `${name}: ${found}`;
  }
  return { worstRelativeError, ...(difference === undefined ? {} : { difference }) };
}

/**
 * Whether outputs differ from the recorded ones only in values that the model draws at random, which ONNX leaves to
 * the runtime: types and shapes are the same, and so is everything else.
 */
export function differsInDrawnValues(
  model: Model,
  actual: ReadonlyMap<string, HostValue>,
  expected: ReadonlyMap<string, HostValue>,
  rule: JudgeRule,
): boolean {
  const random = randomOutputs(model);
  return [...expected].every(([name, wanted]) => {
    const value = actual.get(name);
    if (!random.has(name)) return differenceOf(value, wanted, rule) === undefined;
    if (value === undefined || !isTensor(value) || !isTensor(wanted)) return false;
    return value.dtype === wanted.dtype && value.shape.join() === wanted.shape.join();
  });
}

function differenceOf(
  actual: HostValue | undefined,
  expected: HostValue,
  rule: JudgeRule,
): string | undefined {
  if (rule.rule === "onnx") return describeDifference(actual, expected, rule.tolerance);
  const isFloats = isTensor(expected) && isFloat(expected.dtype);
  // Types, shapes and everything exact; floats of any value pass.
  const anyFloats: Tolerance = { rtol: 0, atol: isFloats ? Number.MAX_VALUE : 0 };
  const coarse = describeDifference(actual, expected, anyFloats);
  if (coarse !== undefined || !isFloats) return coarse;
  const limit = rule.relative * (expected.dtype === "f16" || expected.dtype === "bf16" ? 10 : 1);
  const error = relativeError(actual, expected);
  if (!(error <= limit)) {
    return `the largest difference is ${error.toExponential(2)} of the largest value, allowed is ${limit}`;
  }
  return otherClass(actual as Tensor, expected, limit);
}

/** Infinity where values cannot be compared; 0 for everything that is no float. */
function relativeError(actual: HostValue | undefined, expected: HostValue): number {
  if (!isTensor(expected) || !isFloat(expected.dtype)) return 0;
  if (actual === undefined || !isTensor(actual)) return Infinity;
  if (actual.dtype !== expected.dtype || actual.data.length !== expected.data.length) {
    return Infinity;
  }
  const values = decodeNumbers(actual.dtype, actual.data);
  const wanted = decodeNumbers(expected.dtype, expected.data);
  let largest = 0;
  let worst = 0;
  for (let i = 0; i < wanted.length; i++) {
    const [a, b] = [values[i]!, wanted[i]!];
    if (Number.isFinite(b)) largest = Math.max(largest, Math.abs(b));
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const difference = Math.abs(a - b);
    worst = Math.max(worst, Number.isNaN(difference) ? Infinity : difference);
  }
  return worst === 0 ? 0 : worst / largest;
}

/** Scores by class: vectors and sequences of them. Caches and pictures have more axes. */
const scoreRankMax = 3;

function otherClass(actual: Tensor, expected: Tensor, limit: number): string | undefined {
  const shape = scoresShape(expected.shape);
  const classes = shape.at(-1) ?? 0;
  if (shape.length > scoreRankMax || classes < 2) return undefined;
  const values = decodeNumbers(actual.dtype, actual.data);
  const wanted = decodeNumbers(expected.dtype, expected.data);
  for (let start = 0; start < wanted.length; start += classes) {
    const top = largestAt(wanted, start, classes);
    const found = largestAt(values, start, classes);
    // Two classes of the same score, as far as the tolerance can tell, may come out in either order.
    const isTie = wanted[top]! - wanted[found]! <= limit * Math.abs(wanted[top]!);
    if (!isTie) {
      return `class ${found - start} is on top in row ${start / classes}, not ${top - start}`;
    }
  }
  return undefined;
}

/** [batch, classes, 1, 1], as pooling leaves it, is [batch, classes]. */
function scoresShape(shape: readonly number[]): readonly number[] {
  const [batch, classes, ...spatial] = shape;
  const isPooled = spatial.length > 0 && spatial.every((extent) => extent === 1);
  return isPooled ? [batch!, classes!] : shape;
}

function largestAt(values: ArrayLike<number>, start: number, count: number): number {
  let best = start;
  for (let i = start; i < start + count; i++) if (values[i]! > values[best]!) best = i;
  return best;
}
