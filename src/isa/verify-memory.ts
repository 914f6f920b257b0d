/**
 * Memory: in a write binding, stores of different channels or members never meet. In a shared binding, accesses that
 * may meet (one of them a store) are ordered by a barrier, or on one member by a token that the last store signals
 * and every later access waits for. Parts that members gather into one slot are disjoint.
 *
 * That no read binding is stored to and no write binding loaded from is form: verify-bodies.ts.
 */
import type { LoopHead } from "../ir/tile.js";
import { dtypes } from "../numerics/dtype.js";
import {
  areApart,
  areApartAcross,
  areApartWithin,
  type Footprint,
  footprintOf,
  type SplitPair,
  splitPairs,
} from "./footprint.js";
import type { Problem } from "./problem.js";
import type { Program, ProgramBinding, ProgramNode } from "./program.js";
import { loopClass, placesAlong, sameEngine, type Site } from "./sites.js";

interface Access {
  readonly site: Site;
  readonly kind: "load" | "store";
  readonly footprint: Footprint;
}

export function verifyMemory(program: Program, sites: readonly Site[]): Problem[] {
  const problems = program.bindings.flatMap((binding, number) => {
    if (binding.access === "read") return [];
    return bindingProblems({ program, sites, binding }, accessesTo(sites, number));
  });
  return [...problems, ...gatherProblems(program, sites)];
}

function accessesTo(sites: readonly Site[], binding: number): Access[] {
  return sites.flatMap((site) =>
    site.memory
      .filter((access) => access.memory.binding === binding)
      .map(({ kind, memory, axes }) => ({
        site,
        kind,
        footprint: footprintOf({ base: memory.offset, axes }, site.loops, site.bounds),
      })),
  );
}

interface Memory {
  readonly program: Program;
  readonly sites: readonly Site[];
  readonly binding: ProgramBinding;
}

/** Two accesses, one of them a store, and what tells their addresses apart. */
interface Pair {
  readonly a: Access;
  readonly b: Access;
  readonly splits: readonly SplitPair[];
  /** Spatial loops around both, or of one class: a member has the same trip in both. */
  readonly loops: readonly (readonly [LoopHead, LoopHead])[];
}

function bindingProblems(memory: Memory, accesses: readonly Access[]): Problem[] {
  const { program, binding } = memory;
  const problems: Problem[] = [];
  const unit = Math.max(1, 8 / dtypes[binding.dtype].bits);
  accesses.forEach((a, i) => {
    for (const b of accesses.slice(i)) {
      if (a.kind === "load" && b.kind === "load") continue;
      if (binding.access === "shared" && orderedByBarrier(program, a.site, b.site)) continue;
      const splits = splitPairs(a.footprint, b.footprint, unit);
      const pair: Pair = { a, b, splits, loops: spatialPairs(a.site, b.site) };
      if (!areMembersApart(program, pair))
        problems.push(conflict(binding, pair, "different members"));
      else if (!areEnginesApart(memory, pair)) {
        problems.push(conflict(binding, pair, "different channels"));
      }
    }
  });
  return problems;
}

function conflict({ name }: ProgramBinding, { a, b }: Pair, of: string): Problem {
  const other = a.site === b.site ? "" : ` and instruction ${a.site.number}`;
  const verb = a.kind === "store" && b.kind === "store" ? "store" : "load and store";
  return {
    path: b.site.path,
    reason: `${of} may ${verb} the same element of binding ${name}${other}`,
  };
}

/** On one member: the same channel, which keeps order, or never the same element, or a token in between. */
function areEnginesApart(memory: Memory, { a, b, splits, loops }: Pair): boolean {
  if (sameEngine(a.site.engine, b.site.engine)) return true;
  if (memory.binding.access === "shared" && orderedByToken(memory, a.site, b.site)) return true;
  return splits.some(
    (split) =>
      areApart(split, a.footprint, b.footprint) ||
      loops.some(([loopA, loopB]) =>
        areApartWithin(split, [a.footprint, loopA], [b.footprint, loopB]),
      ),
  );
}

/** Never the same element on two members that differ in their row, nor on two that differ in their column. */
function areMembersApart({ grid }: Program, { a, b, splits, loops }: Pair): boolean {
  if (grid.rows * grid.columns === 1) return true;
  if (splits.some((split) => areApart(split, a.footprint, b.footprint))) return true;
  const apart = (over: LoopHead["over"]): boolean =>
    loops.some(
      ([loopA, loopB]) =>
        (loopA.over === over || loopA.over === "members") &&
        (a.site.bounds.trips(loopA).high <= 1 ||
          splits.some((split) =>
            areApartAcross(split, [a.footprint, loopA], [b.footprint, loopB]),
          )),
    );
  return (grid.rows === 1 || apart("rows")) && (grid.columns === 1 || apart("columns"));
}

function spatialPairs(a: Site, b: Site): (readonly [LoopHead, LoopHead])[] {
  return a.loops
    .filter((loop) => loop.over !== "time")
    .flatMap((loopA) => {
      const loopB = b.loops.find((loop) => loopClass(loop) === loopClass(loopA));
      return loopB === undefined ? [] : [[loopA, loopB] as const];
    });
}

/**
 * A barrier stands between the two, and if they are in a loop together, also between one trip and the next. A stage
 * moves an instruction past barriers, so none may have one.
 */
function orderedByBarrier({ body }: Program, a: Site, b: Site): boolean {
  if (a.instruction.stage !== undefined || b.instruction.stage !== undefined) return false;
  let nodes: readonly ProgramNode[] = body;
  for (let depth = 0; ; depth++) {
    const first = Math.min(a.path[depth]!, b.path[depth]!);
    const second = Math.max(a.path[depth]!, b.path[depth]!);
    const barrierIn = (from: number, to: number) =>
      nodes.some((node, i) => node.kind === "barrier" && i > from && i < to);
    if (first !== second) {
      const around = depth === 0 || barrierIn(-1, first) || barrierIn(second, nodes.length);
      return around && barrierIn(first, second);
    }
    const node = nodes[first]!;
    if (node.kind !== "loop") return false;
    nodes = node.body;
  }
}

/**
 * Every run of the later access waits for a token that the earlier one signals after its last trip; they stand in no
 * temporal loop together. The token that is waited for is the latest before it in plain order: the queue has one
 * slot, or nobody else signals.
 */
function orderedByToken({ program, sites }: Memory, a: Site, b: Site): boolean {
  const [before, after] = a.number < b.number ? [a, b] : [b, a];
  const own = before.loops.filter((loop) => loop.over === "time");
  if (own.some((loop) => after.loops.includes(loop))) return false;
  const waits = (after.instruction.waits ?? []).map((wait) => wait.queue);
  return (before.instruction.signals ?? []).some(({ queue, publish }) => {
    const signallers = sites.filter((site) =>
      site.instruction.signals?.some((signal) => signal.queue === queue),
    );
    const isLatest = program.queues[queue]!.depth === 1 || signallers.length === 1;
    const terms = publish.kind === "all" ? publish.terms : [];
    const isAtTheEnd = own.every((loop) =>
      terms.some((t) => t.loop === loop.id && t.edge === "last" && !t.negated),
    );
    const isSignalled =
      publish.kind === "always" ||
      (publish.kind === "all" &&
        terms.every((t) => t.edge === "last" && own.some((l) => l.id === t.loop)));
    return waits.includes(queue) && isLatest && isSignalled && isAtTheEnd;
  });
}

/** Members that gather into one slot fill parts of it that never meet. */
function gatherProblems(program: Program, sites: readonly Site[]): Problem[] {
  return sites.flatMap((site) => {
    const { body } = site.instruction;
    if (body.op !== "load" || body.delivery?.kind !== "gather") return [];
    const { loop: id } = body.delivery;
    const along = site.loops.find((loop) => loop.id === id)!;
    if (placesAlong(program, along.over) === 1) return [];
    const problems: Problem[] = [];
    for (const access of site.slots) {
      if (access.kind !== "write") continue;
      const walk = { base: access.slot.offset, axes: access.axes };
      const footprint = footprintOf(walk, site.loops, site.bounds);
      const splits = splitPairs(footprint, footprint, 1);
      const inLoop = [footprint, along] as const;
      if (!splits.some((split) => areApartAcross(split, inLoop, inLoop))) {
        const reason = `members of loop ${along.name} may gather into the same element`;
        problems.push({ path: site.path, reason });
      }
    }
    return problems;
  });
}
