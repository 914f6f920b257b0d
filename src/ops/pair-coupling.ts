/**
 * Probabilities of classes from those of pairs of classes: the second method of Wu, Lin and Weng, "Probability
 * estimates for multi-class classification by pairwise coupling" (2004), with the steps and the end that users
 * of support vector machines know from LIBSVM.
 */
import { range } from "./helpers.js";

const roundsMax = 100;

/** `pairs`: for i < j, in order, how probable class i is against class j. */
export function coupledProbabilities(classes: number, pairs: readonly number[]): readonly number[] {
  const against = range(0, classes).map(() => new Array<number>(classes).fill(0));
  let at = 0;
  for (const i of range(0, classes)) {
    for (const j of range(i + 1, classes)) {
      against[i]![j] = pairs[at]!;
      against[j]![i] = 1 - pairs[at++]!;
    }
  }
  const q = range(0, classes).map((i) =>
    range(0, classes).map((j) =>
      i === j
        ? range(0, classes).reduce((sum, k) => sum + (k === i ? 0 : against[k]![i]! ** 2), 0)
        : -against[j]![i]! * against[i]![j]!,
    ),
  );
  return minimize(q);
}

/** The p of sum 1 for which p' q p is least, near enough. */
function minimize(q: readonly (readonly number[])[]): readonly number[] {
  const all = range(0, q.length);
  const p = all.map(() => 1 / q.length);
  const nearEnough = 0.005 / q.length;
  for (let round = 0; round < roundsMax; round++) {
    const qp = all.map((i) => all.reduce((sum, j) => sum + q[i]![j]! * p[j]!, 0));
    let pqp = all.reduce((sum, i) => sum + p[i]! * qp[i]!, 0);
    if (all.every((i) => Math.abs(qp[i]! - pqp) < nearEnough)) break;
    for (const i of all) {
      const step = (pqp - qp[i]!) / q[i]![i]!;
      p[i]! += step;
      pqp = (pqp + step * (step * q[i]![i]! + 2 * qp[i]!)) / (1 + step) ** 2;
      for (const j of all) {
        qp[j] = (qp[j]! + step * q[i]![j]!) / (1 + step);
        p[j]! /= 1 + step;
      }
    }
  }
  return p;
}
