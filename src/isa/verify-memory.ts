/**
 * Memory: in a write binding, stores of different channels or members never meet. In a shared binding, accesses that
 * may meet (one of them a store) are ordered by a barrier, or on one member by a token that the last store signals
 * and every later access waits for. Parts that members gather into one slot are disjoint.
 *
 * That no read binding is stored to and no write binding loaded from is form: verify-bodies.ts.
 */
import type { LoopHead } from "../ir/tile.js";
import { dtypes } from "../numerics/dtype.js";
import { boundsWithin } from "./bounds.js";
import {
  areApart,
  areApartAcross,
  areApartWithin,
  type Footprint,
  footprintOf,
  type SplitPair,
  splitPair,
} from "./footprint.js";
import type { Problem } from "./problem.js";
import type { Program, ProgramBinding, ProgramNode } from "./program.js";
import {
  loopClass,
  memoryAccesses,
  placesAlong,
  sameEngine,
  type Site,
  sitesOf,
  slotAccesses,
} from "./sites.js";

interface Access {
  readonly site: Site;
  readonly kind: "load" | "store";
  readonly footprint: Footprint;
}

export function verifyMemory(program: Program): Problem[] {
  const sites = sitesOf(program);
  const problems = program.bindings.flatMap((binding, number) => {
    if (binding.access === "read") return [];
    return bindingProblems(program, binding, accessesTo(sites, number));
  });
  return [...problems, ...gatherProblems(program, sites)];
}

function accessesTo(sites: readonly Site[], binding: number): Access[] {
  return sites.flatMap((site) =>
    memoryAccesses(site.instruction)
      .filter((access) => access.memory.binding === binding)
      .map(({ kind, memory, axes }) => ({
        site,
        kind,
        footprint: footprintOf({ base: memory.offset, axes }, site.loops, boundsWithin(site.loops)),
      })),
  );
}

function bindingProblems(
  program: Program,
  binding: ProgramBinding,
  accesses: readonly Access[],
): Problem[] {
  const problems: Problem[] = [];
  const unit = Math.max(1, 8 / dtypes[binding.dtype].bits);
  accesses.forEach((a, i) => {
    for (const b of accesses.slice(i)) {
      if (a.kind === "load" && b.kind === "load") continue;
      if (binding.access === "shared" && orderedByBarrier(program, a.site, b.site)) continue;
      const pair = splitPair(a.footprint, b.footprint, unit);
      if (!areMembersApart(program, pair, a, b)) {
        problems.push(conflict(binding, a, b, "different members"));
      } else if (!areEnginesApart(program, binding, pair, a, b)) {
        problems.push(conflict(binding, a, b, "different channels"));
      }
    }
  });
  return problems;
}

function conflict({ name }: ProgramBinding, a: Access, b: Access, of: string): Problem {
  const other = a.site === b.site ? "" : ` and instruction ${a.site.number}`;
  const verb = a.kind === "store" && b.kind === "store" ? "store" : "load and store";
  return {
    path: b.site.path,
    reason: `${of} may ${verb} the same element of binding ${name}${other}`,
  };
}

/** On one member: the same channel, which keeps order, or never the same element, or a token in between. */
function areEnginesApart(
  program: Program,
  binding: ProgramBinding,
  pair: SplitPair | undefined,
  a: Access,
  b: Access,
): boolean {
  if (sameEngine(a.site.engine, b.site.engine)) return true;
  if (binding.access === "shared" && orderedByToken(program, a.site, b.site)) return true;
  if (pair === undefined) return false;
  if (areApart(pair, a.footprint, b.footprint)) return true;
  return spatialPairs(a.site, b.site).some(([loopA, loopB]) =>
    areApartWithin(pair, [a.footprint, loopA], [b.footprint, loopB]),
  );
}

/** Never the same element on two members that differ in their row, nor on two that differ in their column. */
function areMembersApart(
  program: Program,
  pair: SplitPair | undefined,
  a: Access,
  b: Access,
): boolean {
  const { rows, columns } = program.grid;
  if (rows * columns === 1) return true;
  if (pair !== undefined && areApart(pair, a.footprint, b.footprint)) return true;
  const loops = spatialPairs(a.site, b.site);
  const apart = (over: LoopHead["over"]): boolean =>
    loops.some(
      ([loopA, loopB]) =>
        (loopA.over === over || loopA.over === "members") &&
        (a.footprint.bounds.trips(loopA).high <= 1 ||
          (pair !== undefined && areApartAcross(pair, [a.footprint, loopA], [b.footprint, loopB]))),
    );
  return (rows === 1 || apart("rows")) && (columns === 1 || apart("columns"));
}

/** Spatial loops around both, or of one class: a member has the same trip in both. */
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
 * A token that only `before` signals, once, after its last trip, and that every run of `after` waits for. Both stand
 * in no temporal loop together.
 */
function orderedByToken(program: Program, a: Site, b: Site): boolean {
  const [before, after] = a.number < b.number ? [a, b] : [b, a];
  const shared = after.loops.map((loop) => loop.id);
  const own = before.loops.filter((loop) => loop.over === "time");
  if (own.some((loop) => shared.includes(loop.id))) return false;
  const signals = before.instruction.signals ?? [];
  return signals.some(({ queue, publish }) => {
    const waits = (after.instruction.waits ?? []).some((wait) => wait.queue === queue);
    const signallers = sitesOf(program).filter((site) =>
      site.instruction.signals?.some((signal) => signal.queue === queue),
    );
    const terms = publish.kind === "all" ? publish.terms : [];
    const atTheEnd = own.every((loop) =>
      terms.some((t) => t.loop === loop.id && t.edge === "last" && !t.negated),
    );
    return waits && signallers.length === 1 && publish.kind !== "never" && atTheEnd;
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
    for (const access of slotAccesses(site.instruction)) {
      if (access.kind !== "write") continue;
      const walk = { base: access.slot.offset, axes: access.axes };
      const footprint = footprintOf(walk, site.loops, boundsWithin(site.loops));
      const pair = splitPair(footprint, footprint, 1);
      if (pair === undefined || !areApartAcross(pair, [footprint, along], [footprint, along])) {
        const reason = `members of loop ${along.name} may gather into the same element`;
        problems.push({ path: site.path, reason });
      }
    }
    return problems;
  });
}
