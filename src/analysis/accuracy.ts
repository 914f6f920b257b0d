/** What a lower precision cost: results beside those of the model's own precision, on the same inputs. */
import { decodeNumbers } from "../numerics/convert.js";
import { isFloat } from "../numerics/dtype.js";
import type { Tensor } from "../numerics/tensor.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";

export interface AccuracyLoss {
  readonly output: string;
  /** Largest difference over the largest magnitude of the exact result; 0 where both are zero. */
  readonly worstRelative: number;
  /** Root of the mean squared difference over that of the exact result. */
  readonly rootMeanSquareRelative: number;
  /** Rows along the last axis whose largest element is another one, and how many rows there are. */
  readonly changedMaxima: number;
  readonly rows: number;
}

/** Of every floating output, in the order of `exact`; both have the same outputs. */
export function accuracyLosses(
  exact: ReadonlyMap<string, HostValue>,
  lower: ReadonlyMap<string, HostValue>,
): readonly AccuracyLoss[] {
  return [...exact].flatMap(([name, value]) => {
    const other = lower.get(name)!;
    if (!isTensor(value) || !isTensor(other)) return [];
    return accuracyLoss(name, value, other) ?? [];
  });
}

/** Floating outputs only; both tensors have one shape. */
export function accuracyLoss(
  output: string,
  exact: Tensor,
  lower: Tensor,
): AccuracyLoss | undefined {
  if (!isFloat(exact.dtype)) return undefined;
  const wanted = decodeNumbers(exact.dtype, exact.data);
  const given = decodeNumbers(lower.dtype, lower.data);
  let largest = 0;
  let worst = 0;
  let squares = 0;
  let errors = 0;
  for (let i = 0; i < wanted.length; i++) {
    const error = Math.abs(given[i]! - wanted[i]!);
    largest = Math.max(largest, Math.abs(wanted[i]!));
    worst = Math.max(worst, error);
    squares += wanted[i]! ** 2;
    errors += error ** 2;
  }
  const length = Math.max(1, exact.shape.at(-1) ?? 1);
  const rows = Math.floor(wanted.length / length);
  let changedMaxima = 0;
  for (let row = 0; row < rows; row++) {
    if (indexOfMax(wanted, row * length, length) !== indexOfMax(given, row * length, length)) {
      changedMaxima++;
    }
  }
  return {
    output,
    worstRelative: largest === 0 ? worst : worst / largest,
    rootMeanSquareRelative: squares === 0 ? Math.sqrt(errors) : Math.sqrt(errors / squares),
    changedMaxima,
    rows,
  };
}

function indexOfMax(values: ArrayLike<number>, begin: number, length: number): number {
  let best = begin;
  for (let i = begin + 1; i < begin + length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

/** One line per output. */
export function printAccuracy(losses: readonly AccuracyLoss[]): string {
  const lines = losses.map((loss) => {
    const worst = loss.worstRelative.toExponential(1);
    const rms = loss.rootMeanSquareRelative.toExponential(1);
    const maxima = `${loss.changedMaxima} of ${loss.rows} row maxima elsewhere`;
    return `${loss.output}: worst ${worst} of the largest value, ${rms} root mean square, ${maxima}`;
  });
  return ["Accuracy, against the model's own precision on the same inputs", ...lines].join("\n");
}
