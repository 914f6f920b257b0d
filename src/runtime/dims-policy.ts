/**
 * Which dims a session keeps open. The first run binds every symbol to its actual value, which gives the best code.
 * A symbol that takes a second value becomes a run-time range, wide enough that growing sequences do not compile
 * again. Where the model laid out for the maximum does not fit the machine, narrower ranges are tried.
 */
import { type DimRange, isDimExpression } from "../compiler/1-import/symbols.js";
import { isTensor } from "../ops/context.js";
import type { HostValue } from "../ops/record.js";
import type { DimSettings } from "./check-inputs.js";
import type { ModelPort } from "./model-ports.js";

/** From generous to exact: room = the largest value seen times `factor`, at least `floor`, as a power of two. */
const rangeSteps = [
  { factor: 4, floor: 1024 },
  { factor: 4, floor: 1 },
  { factor: 2, floor: 1 },
  { factor: 1, floor: 1 },
] as const;

/** Values that each symbol has taken in a session, in order. */
export type SeenValues = Map<string, Set<number>>;

/** Notes the extents of these inputs; expressions of symbols follow from the symbols. */
export function noteValues(
  seen: SeenValues,
  ports: readonly ModelPort[],
  inputs: ReadonlyMap<string, HostValue>,
): void {
  for (const { name, dims } of ports) {
    const value = inputs.get(name);
    if (value === undefined || !isTensor(value)) continue;
    dims?.forEach((dim, axis) => {
      if (typeof dim === "number" || isDimExpression(dim)) return;
      const values = seen.get(dim) ?? new Set();
      seen.set(dim, values.add(value.shape[axis]!));
    });
  }
}

/** What compiling has taught about a model's symbols. */
export interface LearntDims {
  /** Cannot stay open down to 1 ("a window would not fit"): their ranges begin near the smallest value seen. */
  readonly raised: Set<string>;
  /** Cannot stay open at all: bound to every value anew. */
  readonly bound: Set<string>;
}

/**
 * Settings to try in order, the last with every symbol bound to the inputs at hand. What the caller has set
 * stays as it is.
 */
export function dimCandidates(
  seen: SeenValues,
  set: DimSettings,
  { raised, bound }: LearntDims,
): readonly DimSettings[] {
  const open = [...seen].filter(
    ([name, values]) => values.size > 1 && !set.has(name) && !bound.has(name),
  );
  if (open.length === 0) return [set];
  const ranged = rangeSteps.map((step): DimSettings => {
    const ranges = open.map(([name, values]): [string, DimRange] => [
      name,
      { min: minimumFor(values, raised.has(name)), max: maximumFor(values, step) },
    ]);
    return new Map([...set, ...ranges]);
  });
  const texts = ranged.map((settings) => JSON.stringify([...settings]));
  return [...ranged.filter((_, i) => texts.indexOf(texts[i]!) === i), set];
}

/**
 * Learns from ranges that the compiler bound nevertheless. True if compiling again with a higher minimum may keep
 * one of them open.
 */
export function learnFrom(
  stuck: readonly string[],
  seen: SeenValues,
  { raised, bound }: LearntDims,
): boolean {
  let isWorthRetrying = false;
  for (const name of stuck) {
    const values = seen.get(name)!;
    const isRaisable = !raised.has(name) && minimumFor(values, true) > minimumFor(values, false);
    (isRaisable ? raised : bound).add(name);
    isWorthRetrying ||= isRaisable;
  }
  return isWorthRetrying;
}

/** A raised minimum leaves room below the smallest value: a quarter of it. */
const raisedShare = 1 / 4;

function minimumFor(values: ReadonlySet<number>, isRaised: boolean): number {
  const smallest = Math.min(...values);
  if (smallest === 0) return 0;
  return isRaised ? Math.ceil(smallest * raisedShare) : 1;
}

function maximumFor(
  values: ReadonlySet<number>,
  { factor, floor }: (typeof rangeSteps)[number],
): number {
  const largest = Math.max(...values, 1);
  const max = factor === 1 ? largest : 2 ** Math.ceil(Math.log2(factor * largest));
  return Math.max(max, floor);
}
