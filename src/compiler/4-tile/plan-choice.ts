/**
 * Choosing a plan. Candidates are written out as kernels, those that fit the machine are costed (kernel-cost.ts), and a
 * chooser takes one: the compiler the cheapest, a test any (no choice changes a bit). What one plan could have
 * otherwise is tried in turn, so that candidates add up instead of multiplying.
 */
import type { Kernel, KernelNode } from "../../ir/kernel/kernel.js";
import { kernelKey } from "../../ir/kernel/key.js";
import { tileLimits } from "../../ir/tile.js";
import { byteLength } from "../../numerics/dtype.js";
import type { DeviceMachine } from "../../target/machine.js";
import type { WrittenKernel } from "../tiled.js";
import { kernelCycles } from "./kernel-cost.js";
import type { SplitChoice, TilePlan } from "./plan.js";
import { axisMax, type PreparedGroup } from "./prepare.js";
import { PlanDoesNotFit } from "./kernel-writer.js";
import type { TileContext } from "./tile-state.js";

/**
 * Takes one of several plans, the likeliest first; `cyclesOf` one that does not fit is infinite. No plan takes
 * fewer cycles than `least`.
 */
export type PlanChooser = <P>(
  candidates: Iterable<P>,
  cyclesOf: (plan: P) => number,
  least: number,
) => P | undefined;

/** Candidates in a row that are no cheaper than one before them: the less likely ones after them are not tried. */
const patience = 2;
/** So close to the least that no comparing is worth its time. */
const closeTo = 1.02;

/** The cheapest, as far as it is worth looking; among equals the first. */
export const bestPlan: PlanChooser = <P>(
  candidates: Iterable<P>,
  cyclesOf: (plan: P) => number,
  least: number,
) => {
  let best: { plan: P; cycles: number } | undefined;
  let vain = 0;
  for (const plan of candidates) {
    if (vain === patience || (best !== undefined && best.cycles < least * closeTo)) break;
    const cycles = cyclesOf(plan);
    if (!Number.isFinite(cycles)) continue;
    const isCheaper = best === undefined || cycles < best.cycles;
    vain = isCheaper ? 0 : vain + 1;
    if (isCheaper) best = { plan, cycles };
  }
  return best?.plan;
};

export interface ChosenKernel<P> {
  readonly plan: P;
  readonly written: WrittenKernel;
}

/** Plans that differ from one in some respect. */
export type Refinement<P> = (plan: P, written: WrittenKernel) => readonly P[];

export interface Choice<P> {
  /** At the least one; made as they are looked at. */
  candidates(): Iterable<P>;
  /** Tried one after the other on what is chosen before. */
  readonly refinements: readonly Refinement<P>[];
  readonly least: number;
  write(plan: P): WrittenKernel;
}

/** Undefined: none fits. */
export function choosePlan<P extends TilePlan>(
  choice: Choice<P>,
  { axes, order }: Pick<PreparedGroup, "axes" | "order">,
  { machine, chooser, known }: Pick<TileContext, "machine" | "chooser" | "known">,
): ChosenKernel<P> | undefined {
  const candidateOf = createCandidates(choice, machine);
  const [first] = choice.candidates();
  const sample = first === undefined ? undefined : candidateOf(first).written;
  const extents = order.map((axis) => axes[axis]!.extent);
  // Groups that differ only in what they are called get the same plan.
  const key = sample && JSON.stringify([order, extents, kernelKey(sample.kernel)]);
  const same = key === undefined ? undefined : (known.get(key) as P | undefined);
  const chosen = same === undefined ? search(choice, candidateOf, chooser) : candidateOf(same);
  if (chosen === undefined) return undefined;
  if (key !== undefined) known.set(key, chosen.plan);
  return { plan: chosen.plan, written: chosen.written! };
}

function search<P>(
  { candidates, refinements, least }: Choice<P>,
  candidateOf: (plan: P) => Candidate<P>,
  chooser: PlanChooser,
): Candidate<P> | undefined {
  const choose = (plans: Iterable<P>): Candidate<P> | undefined =>
    chooser(distinct(plans, candidateOf), ({ cycles }) => cycles, least);
  let chosen = choose(candidates());
  for (const refine of refinements) {
    if (chosen !== undefined)
      chosen = choose([chosen.plan, ...refine(chosen.plan, chosen.written!)]);
  }
  return chosen;
}

/** Each once, where it comes first. */
function* distinct<P>(
  plans: Iterable<P>,
  candidateOf: (plan: P) => Candidate<P>,
): Generator<Candidate<P>> {
  const seen = new Set<Candidate<P>>();
  for (const plan of plans) {
    const candidate = candidateOf(plan);
    if (seen.size < seen.add(candidate).size) yield candidate;
  }
}

/** A plan, and what is worked out when it is first asked for. */
class Candidate<P> {
  readonly plan: P;
  readonly #write: () => WrittenKernel | undefined;
  readonly #machine: DeviceMachine;
  #written: { readonly kernel: WrittenKernel | undefined } | undefined;
  #cycles: number | undefined;

  constructor(plan: P, write: () => WrittenKernel | undefined, machine: DeviceMachine) {
    this.plan = plan;
    this.#write = write;
    this.#machine = machine;
  }

  /** Its kernel, if it fits. */
  get written(): WrittenKernel | undefined {
    this.#written ??= { kernel: this.#write() };
    return this.#written.kernel;
  }

  get cycles(): number {
    const { written } = this;
    this.#cycles ??=
      written === undefined
        ? Number.POSITIVE_INFINITY
        : kernelCycles(written.kernel, this.#machine);
    return this.#cycles;
  }
}

/** Equal plans are one candidate. */
function createCandidates<P>(
  { write }: Choice<P>,
  machine: DeviceMachine,
): (plan: P) => Candidate<P> {
  const known = new Map<string, Candidate<P>>();
  return (plan) => {
    const key = JSON.stringify(plan);
    const made =
      known.get(key) ??
      new Candidate(plan, () => writeFitting(() => write(plan), machine), machine);
    known.set(key, made);
    return made;
  };
}

function writeFitting(
  write: () => WrittenKernel,
  machine: DeviceMachine,
): WrittenKernel | undefined {
  try {
    const written = write();
    return fitsMachine(written, machine) ? written : undefined;
  } catch (error) {
    if (error instanceof PlanDoesNotFit) return undefined;
    throw error;
  }
}

/** L1 and accumulators hold all slots of all values; no transfer or vec has more axes than the machine. */
export function fitsMachine(written: WrittenKernel, machine: DeviceMachine): boolean {
  let l1 = 0;
  let accumulators = 0;
  for (const value of written.kernel.values) {
    const cell = value.dtype === "i32" ? 4 : 8;
    if (value.space === "accumulator") accumulators += value.elements * value.depth * cell;
    else l1 += align(byteLength(value.dtype, value.elements)) * value.depth;
  }
  if (l1 > machine.l1.bytes || accumulators > machine.accumulators.bytes) return false;
  return written.scalars.length <= tileLimits.scalars && transfersFit(written.kernel.body);
}

/** Slots begin on 64-byte boundaries. */
function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

function transfersFit(nodes: readonly KernelNode[]): boolean {
  return nodes.every((node) => {
    if (node.kind === "loop") return transfersFit(node.body);
    const { body } = node;
    return (
      (body.op !== "load" && body.op !== "store") || body.axes.length <= tileLimits.transferAxes
    );
  });
}

/** All ways to spread steps over trips, each as late as the one before or one trip later; the plainest first. */
export function stageVariants(steps: number): number[][] {
  return Array.from({ length: steps - 1 }).reduce<number[][]>(
    (variants) =>
      [0, 1].flatMap((later) => variants.map((stages) => [...stages, stages.at(-1)! + later])),
    [[0]],
  );
}

/** Depths matter where something is done again and again. */
export function hasTimeLoop({ body }: Pick<Kernel, "body">): boolean {
  return body.some(
    (node) => node.kind === "loop" && (node.head.over === "time" || hasTimeLoop(node)),
  );
}

/** Below this many points sharing out costs more than it gains. */
const pointsPerMemberMin = 512;
const innermostSplitPenalty = 1.5;

/**
 * Ways to share axes out over the members, the least work of the busiest member first; among equals the one that
 * splits further out, where runs of memory stay long. `pointsPerResult`: how much work a point of the axes is.
 */
export function splitCandidates(
  axes: readonly number[],
  prepared: Pick<PreparedGroup, "axes" | "order">,
  machine: DeviceMachine,
  pointsPerResult = 1,
): SplitChoice[][] {
  const { rows, columns } = machine.tile;
  const points = prepared.order.reduce(
    (n, axis) => n * axisMax(prepared.axes[axis]!),
    pointsPerResult,
  );
  const max = (axis: number): number => axisMax(prepared.axes[axis]!);
  const choice = (axis: number, over: SplitChoice["over"], parts: number): SplitChoice => ({
    axis,
    over,
    step: roundStep(Math.ceil(max(axis) / parts), axis === prepared.order.at(-1)),
  });
  const candidates: SplitChoice[][] = [];
  if (points >= pointsPerMemberMin * 2) {
    for (const axis of axes) candidates.push([choice(axis, "members", rows * columns)]);
    for (const a of axes) {
      for (const b of axes) {
        if (a !== b) candidates.push([choice(a, "rows", rows), choice(b, "columns", columns)]);
      }
    }
    // Fewer members may move longer runs.
    for (const axis of axes) candidates.push([choice(axis, "rows", rows)]);
  }
  // Sharing out the innermost axis cuts every run of memory short.
  const cut = (s: SplitChoice): number =>
    s.axis === prepared.order.at(-1) && prepared.order.length > 1 ? innermostSplitPenalty : 1;
  const share = (split: readonly SplitChoice[]): number =>
    split.reduce((part, s) => (part * s.step * cut(s)) / max(s.axis), 1);
  const sorted = candidates
    .map((split, i) => ({ split, share: share(split), i }))
    .sort((x, y) => x.share - y.share || x.i - y.i);
  return [...sorted.map((c) => c.split), []];
}

/** Shares of the innermost axis are whole vectors. */
function roundStep(step: number, innermost: boolean): number {
  return innermost && step > 16 ? Math.ceil(step / 16) * 16 : step;
}
