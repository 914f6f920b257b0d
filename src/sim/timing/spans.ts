/**
 * Between what bounds expressions lie while some loops run, and whether a trip of a loop costs the same whatever its
 * index: what tells equal members and equal trips apart from others. Only ever too careful.
 */
import type { Affine, Count, LoopHead } from "../../ir/tile.js";
import { evaluateAffine, type Environment } from "../../ir/semantics/semantics.js";
import type { CostAxis } from "./operation.js";

/** Inclusive. */
export interface Span {
  readonly low: number;
  readonly high: number;
}

/** Loops that run; all others stand at their trip in the environment. */
export type RunningLoops = ReadonlyMap<number, RunningLoop>;

export interface RunningLoop {
  readonly index: Span;
  readonly extent: Span;
  /** Where it starts, as far as loops that stand still decide it. */
  readonly base: number;
}

export interface SpanPlace {
  readonly environment: Environment;
  readonly running: RunningLoops;
}

export function spanOf({ constant, terms }: Affine, place: SpanPlace): Span {
  let low = constant;
  let high = constant;
  for (const { coefficient, of, id } of terms) {
    const span = of === "scalar" ? undefined : place.running.get(id)?.[of];
    if (span === undefined) {
      const fixed = evaluateAffine(
        { constant: 0, terms: [{ coefficient, of, id }] },
        place.environment,
      );
      low += fixed;
      high += fixed;
    } else {
      low += coefficient * (coefficient > 0 ? span.low : span.high);
      high += coefficient * (coefficient > 0 ? span.high : span.low);
    }
  }
  return { low, high };
}

/** The place inside a loop, whichever trip it is at. */
export function withRunning(head: LoopHead, place: SpanPlace): SpanPlace {
  const start = spanOf(head.start, place);
  const totals = head.total.map((total) => spanOf(total, place).high);
  const total = Math.min(Math.max(Math.min(...totals), head.minTotal), head.maxTotal);
  const index = { low: start.low, high: Math.max(start.low, total - 1) };
  const extent = { low: 1, high: Math.max(1, Math.min(head.step, total - start.low)) };
  return {
    environment: place.environment,
    running: new Map(place.running).set(head.id, {
      index,
      extent,
      base: fixedPart(head.start, place),
    }),
  };
}

/** No position of the axis is ever clipped. */
export function isNeverClipped({ clip, count }: CostAxis, place: SpanPlace): boolean {
  if (clip === undefined) return true;
  const most = Math.min(Math.max(spanOf(count.value, place).high, 0), count.max);
  if (most === 0) return true;
  const origin = spanOf(clip.origin, place);
  const limit = Math.min(Math.max(spanOf(clip.limit.value, place).low, 0), clip.limit.max);
  const walked = (most - 1) * clip.step;
  return origin.low + Math.min(0, walked) >= 0 && origin.high + Math.max(0, walked) < limit;
}

/** The count is at its maximum on every trip. */
export function isAlwaysFull({ value, max }: Count, place: SpanPlace): boolean {
  return spanOf(value, place).low >= max;
}

/** The limits of a loop's total never come to bear, so that it moves with its start. */
export function isNeverLimited({ total, minTotal, maxTotal }: LoopHead, place: SpanPlace): boolean {
  const totals = total.map((affine) => spanOf(affine, place));
  return totals.every(({ low, high }) => low >= minTotal && high <= maxTotal);
}

/** What `affine` comes to as far as the loops that stand still decide it. */
export function fixedPart({ constant, terms }: Affine, place: SpanPlace): number {
  let sum = constant;
  for (const { coefficient, of, id } of terms) {
    const running = of === "scalar" ? undefined : place.running.get(id);
    if (running === undefined) {
      sum += evaluateAffine({ constant: 0, terms: [{ coefficient, of, id }] }, place.environment);
    } else if (of === "index") sum += coefficient * running.base;
  }
  return sum;
}

/** How far it moves when the indices of these loops move by one. */
export function movement({ terms }: Affine, loops: ReadonlySet<number>): number {
  return terms.reduce(
    (sum, { coefficient, of, id }) => sum + (of === "index" && loops.has(id) ? coefficient : 0),
    0,
  );
}
