/**
 * Least and greatest values of affine expressions over the loops around an instruction. Index and extent of one
 * loop are bounded together, by the total: index + extent <= total also on the ragged last trip, and where the
 * total is itself an expression over outer loops, by that expression.
 *
 * Sound, not complete: a bound is never too tight, but may be too loose. Runtime scalars are any int32.
 */
import type { Affine, Count, LoopHead, TransferAxis } from "../ir/tile.js";

/** A linear form: constant + sum of coefficient * variable, by the variable's name. */
export interface Form {
  readonly constant: number;
  /** Key: `i3` index of loop 3, `e3` its extent, `s2` scalar 2. No zero coefficients. */
  readonly terms: ReadonlyMap<string, number>;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/** One axis of a walk through a slot or through memory. */
export interface WalkAxis {
  readonly count: Count;
  readonly stride: number;
  readonly clip?: NonNullable<TransferAxis["clip"]>;
}

export interface Bounds {
  /** What an expression can be. */
  range(form: Form): Interval;
  /** Where a walk can go from `base`, if it goes anywhere. */
  walk(base: Form, axes: readonly WalkAxis[]): Interval;
  /** How many trips one of the loops can make. */
  trips(head: LoopHead): Interval;
}

export function formOf(affine: Affine): Form {
  const terms = new Map<string, number>();
  for (const { coefficient, of, id } of affine.terms) {
    const key = `${of === "scalar" ? "s" : of === "index" ? "i" : "e"}${id}`;
    addTerm(terms, key, coefficient);
  }
  return { constant: affine.constant, terms };
}

export function constantForm(constant: number): Form {
  return { constant, terms: new Map() };
}

/** a + factor * b. */
export function addForms(a: Form, b: Form, factor = 1): Form {
  const terms = new Map(a.terms);
  for (const [key, coefficient] of b.terms) addTerm(terms, key, factor * coefficient);
  return { constant: a.constant + factor * b.constant, terms };
}

function addTerm(terms: Map<string, number>, key: string, coefficient: number): void {
  const sum = (terms.get(key) ?? 0) + coefficient;
  if (sum === 0) terms.delete(key);
  else terms.set(key, sum);
}

/** `loops`: those around the place in question, outermost first; each may depend on those before it. */
export function boundsWithin(loops: readonly LoopHead[]): Bounds {
  const facts: LoopFacts[] = [];
  const solver: Solver = { facts, memo: new Map() };
  for (const head of loops) facts.push(factsOf(head, solver));
  const range = (form: Form): Interval => ({
    low: -greatest(negated(form), solver),
    high: greatest(form, solver),
  });
  return {
    range,
    walk: (base, axes) => ({
      low: -furthest(negated(base), axes.map(backwards), solver),
      high: furthest(base, axes, solver),
    }),
    trips(head) {
      const length = lengthOf(head, range);
      const count = (elements: number) => Math.max(0, Math.ceil(elements / head.step));
      return { low: count(length.low), high: count(length.high) };
    },
  };
}

/** Total minus start, bounded together: they may move with one another. */
function lengthOf(head: LoopHead, range: (form: Form) => Interval): Interval {
  const start = formOf(head.start);
  const lengths = head.total.map((total) => range(addForms(formOf(total), start, -1)));
  const least = range(addForms(constantForm(head.minTotal), start, -1));
  const most = range(addForms(constantForm(head.maxTotal), start, -1));
  const clamp = (edge: "low" | "high") =>
    Math.min(most[edge], Math.max(least[edge], Math.min(...lengths.map((l) => l[edge]))));
  return { low: clamp("low"), high: clamp("high") };
}

interface LoopFacts {
  /** The loop's variables in a form. */
  readonly index: string;
  readonly extent: string;
  readonly step: number;
  readonly start: Form;
  readonly startRange: Interval;
  /** What the total can be, and expressions that it never exceeds. */
  readonly total: Interval;
  readonly ceilings: readonly Form[];
}

interface Solver {
  /** Outermost first. */
  readonly facts: readonly LoopFacts[];
  readonly memo: Map<string, number>;
}

function factsOf(head: LoopHead, solver: Solver): LoopFacts {
  const { minTotal, maxTotal } = head;
  const totals = head.total.map((total) => {
    const form = formOf(total);
    return { form, low: -greatest(negated(form), solver), high: greatest(form, solver) };
  });
  const clamp = (value: number) => Math.min(Math.max(value, minTotal), maxTotal);
  const start = formOf(head.start);
  const startRange = {
    low: Math.max(0, -greatest(negated(start), solver)),
    high: greatest(start, solver),
  };
  return {
    index: `i${head.id}`,
    extent: `e${head.id}`,
    step: head.step,
    start,
    startRange,
    total: {
      low: clamp(Math.min(...totals.map((t) => t.low))),
      high: clamp(Math.min(...totals.map((t) => t.high))),
    },
    // Below the minimum the total is the minimum, and may exceed the expression.
    ceilings: totals.filter((t) => t.low >= minTotal && t.form.terms.size > 0).map((t) => t.form),
  };
}

function negated(form: Form): Form {
  return addForms(constantForm(0), form, -1);
}

function backwards(axis: WalkAxis): WalkAxis {
  return { ...axis, stride: -axis.stride };
}

/** The greatest value of a form: variables of the innermost loop first, which depend on those of outer ones. */
function greatest(form: Form, solver: Solver): number {
  if (form.terms.size === 0) return form.constant;
  for (let depth = solver.facts.length - 1; depth >= 0; depth--) {
    const { index, extent } = solver.facts[depth]!;
    if (!form.terms.has(index) && !form.terms.has(extent)) continue;
    const bounds = withoutLoop(form, solver.facts[depth]!);
    if (bounds.length === 1) return greatest(bounds[0]!, solver);
    const key = `${depth}:${form.constant}${[...form.terms].sort().join(" ")}`;
    let value = solver.memo.get(key);
    if (value === undefined) {
      value = Math.min(...bounds.map((bound) => greatest(bound, solver)));
      solver.memo.set(key, value);
    }
    return value;
  }
  let value = form.constant;
  for (const [key, coefficient] of form.terms) {
    if (!key.startsWith("s")) return Infinity;
    value += coefficient * (coefficient > 0 ? 2 ** 31 - 1 : -(2 ** 31));
  }
  return value;
}

/** Forms without the variables of a loop, none of which is ever less than the given form. */
function withoutLoop(form: Form, loop: LoopFacts): Form[] {
  const a = form.terms.get(loop.index) ?? 0;
  const b = form.terms.get(loop.extent) ?? 0;
  const terms = new Map(form.terms);
  terms.delete(loop.index);
  terms.delete(loop.extent);
  const rest: Form = { constant: form.constant, terms };
  const exact = tripBound(a, b, loop);
  // Without expressions to bound it by, nothing is tighter.
  if (exact !== undefined && loop.ceilings.length === 0) return [addForms(rest, exact)];
  const bounds = exact === undefined ? [] : [exact];
  if (a >= 0) {
    // a * index + b * extent = a * (index + extent) + (b - a) * extent
    for (const top of [constantForm(loop.total.high), ...loop.ceilings]) {
      for (const more of extentBounds(b - a, loop)) bounds.push(addForms(more, top, a));
    }
  } else {
    for (const bottom of [constantForm(loop.startRange.low), loop.start]) {
      for (const more of extentBounds(b, loop)) bounds.push(addForms(more, bottom, a));
    }
  }
  return bounds.map((bound) => addForms(rest, bound));
}

/** Forms never less than factor * extent. */
function extentBounds(factor: number, loop: LoopFacts): Form[] {
  if (factor === 0) return [constantForm(0)];
  if (factor < 0) return [constantForm(factor)];
  const longest = Math.min(loop.step, loop.total.high - loop.startRange.low);
  const bounds = [constantForm(factor * Math.max(1, longest))];
  for (const ceiling of loop.ceilings) {
    bounds.push(addForms(addForms(constantForm(0), ceiling, factor), loop.start, -factor));
  }
  return bounds;
}

/**
 * The greatest a * index + b * extent over the actual trips where the start is constant: index goes in steps, and
 * the extent is full except on the last trip. The corners are the first, the last full and the last trip.
 */
function tripBound(a: number, b: number, loop: LoopFacts): Form | undefined {
  const { start, step, total } = loop;
  if (start.terms.size > 0) return undefined;
  const length = total.high - start.constant;
  if (length <= 0) return undefined;
  const last = start.constant + Math.floor((length - 1) / step) * step;
  let value = -Infinity;
  for (const index of [start.constant, last - step, last]) {
    if (index < start.constant) continue;
    const longest = Math.min(step, total.high - index);
    const shortest = total.low === total.high ? longest : 1;
    for (const extent of [longest, shortest]) value = Math.max(value, a * index + b * extent);
  }
  return constantForm(value);
}

/** The greatest element that a walk comes to, or less where that can be told only for some way of bounding it. */
function furthest(base: Form, axes: readonly WalkAxis[], solver: Solver): number {
  const [axis, ...others] = axes;
  if (axis === undefined) return greatest(base, solver);
  return Math.min(
    ...axisBounds(axis).map((bound) => furthest(addForms(base, bound), others, solver)),
  );
}

/** Forms never less than position * stride, for positions that exist and are inside the clip. */
function axisBounds({ count, stride, clip }: WalkAxis): Form[] {
  if (stride === 0) return [constantForm(0)];
  const bounds: Form[] = [];
  if (stride < 0) bounds.push(constantForm(0));
  else for (const top of tops(count)) bounds.push(addForms(constantForm(0), top, stride));
  if (clip === undefined || clip.step === 0 || stride % clip.step !== 0) return bounds;
  // position * stride = ratio * (coordinate - origin), where 0 <= coordinate < limit.
  const ratio = stride / clip.step;
  const back = addForms(constantForm(0), formOf(clip.origin), -ratio);
  if (ratio < 0) bounds.push(back);
  else for (const top of tops(clip.limit)) bounds.push(addForms(back, top, ratio));
  return bounds;
}

/** Forms never less than a count's last position. Where there is one, the clamped value is at least 1. */
function tops(count: WalkAxis["count"]): Form[] {
  const most = constantForm(count.max - 1);
  if (count.value.terms.length === 0)
    return [constantForm(Math.min(count.value.constant, count.max) - 1)];
  return [most, addForms(formOf(count.value), constantForm(-1))];
}
