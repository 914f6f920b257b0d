/**
 * Queues: the plain order never over- or underfills one, so no execution deadlocks and all give the same data
 * (the theorem in docs/isa.md). Decided for each queue and consumer by the level of full slots: the effect of a
 * body is (net, least level that it needs, greatest level that it bears), composed by trip-tree.ts for every
 * number of trips that the loops can make. At the end all queues are empty.
 *
 * Each member is judged by itself: what others push to it, they push in lock-step with its own instructions, which
 * verify-delivery.ts makes sure of.
 */
import type { LoopHead } from "../ir/tile.js";
import type { Interval } from "./bounds.js";
import { engineText } from "./disassemble.js";
import type { Problem } from "./problem.js";
import type { Condition, EngineRef, Program, Queue, SlotDest } from "./program.js";
import { conditionLoops, sameEngine, type Site } from "./sites.js";
import { type Algebra, effectsOf } from "./trip-effects.js";
import { holdsIn, type Leaf, type TreeBasis, treeBasis, tripTree } from "./trip-tree.js";

export function verifyQueues(program: Program, sites: readonly Site[]): Problem[] {
  const shared = treeBasis(program, sites);
  return program.queues.flatMap((queue, number) =>
    queue.consumers.flatMap((consumer) => {
      const cursor = { queue, number, consumer };
      const problem = levelProblem(cursor, shared);
      return problem === undefined ? [] : [problem];
    }),
  );
}

interface Cursor {
  readonly queue: Queue;
  readonly number: number;
  readonly consumer: EngineRef;
}

/** Effect on the level of full slots that one consumer sees. */
interface Level {
  readonly net: number;
  /** Levels before at which all goes well: [least, most]; with the instruction that says so. */
  readonly least: number;
  readonly most: number;
  readonly leastAt: Site | undefined;
  readonly mostAt: Site | undefined;
  readonly problem: Problem | undefined;
}

const nothing: Level = {
  net: 0,
  least: -Infinity,
  most: Infinity,
  leastAt: undefined,
  mostAt: undefined,
  problem: undefined,
};

function levelProblem(cursor: Cursor, basis: TreeBasis): Problem | undefined {
  const { queue, number, consumer } = cursor;
  const leaves = basis.touching[number]!.flatMap((site) => leafOf(site, cursor) ?? []);
  const tree = tripTree<Level>(basis, leaves);
  const name = `queue ${queue.name}`;
  for (const { net, least, most, leastAt, mostAt, problem } of effectsOf(tree, algebra(queue))) {
    if (problem !== undefined) return problem;
    if (least > 0) {
      return { path: leastAt!.path, reason: `${name} may be empty for ${engineText(consumer)}` };
    }
    if (most < 0) {
      return {
        path: mostAt!.path,
        reason: `${name} may have no free slot: ${engineText(consumer)} has not popped`,
      };
    }
    if (net !== 0) {
      return {
        path: [],
        reason: `${name} may end with ${net} slots that ${engineText(consumer)} never pops`,
      };
    }
  }
  return undefined;
}

function algebra(queue: Queue): Algebra<Level> {
  const then = (a: Level, b: Level): Level => {
    const least = b.least - a.net;
    const most = b.most - a.net;
    return {
      net: a.net + b.net,
      least: Math.max(a.least, least),
      leastAt: a.least >= least ? a.leastAt : b.leastAt,
      most: Math.min(a.most, most),
      mostAt: a.most <= most ? a.mostAt : b.mostAt,
      problem: a.problem ?? b.problem,
    };
  };
  return {
    nothing,
    then,
    repeat: (level, count, loop) => repeated(level, count, loop, queue),
    either(levels, why) {
      const [first, ...others] = levels;
      let merged = first!;
      for (const level of others) {
        if (level.net !== merged.net && level.problem === undefined && !merged.problem) {
          const reason = `the level of queue ${queue.name} changes by ${merged.net} or ${level.net}, depending on ${why.what}`;
          return { ...merged, problem: { path: why.path, reason } };
        }
        merged = {
          net: merged.net,
          least: Math.max(merged.least, level.least),
          leastAt: merged.least >= level.least ? merged.leastAt : level.leastAt,
          most: Math.min(merged.most, level.most),
          mostAt: merged.most <= level.most ? merged.mostAt : level.mostAt,
          problem: merged.problem ?? level.problem,
        };
      }
      return merged;
    },
  };
}

function repeated(level: Level, count: Interval, loop: LoopHead, queue: Queue): Level {
  const { net, least, most } = level;
  if (net === 0) return level;
  const site = level.leastAt ?? level.mostAt;
  if (count.low !== count.high) {
    const reason = `each trip of loop ${loop.name} changes the level of queue ${queue.name} by ${net}`;
    return { ...level, problem: level.problem ?? { path: site?.path ?? [], reason } };
  }
  const before = (count.high - 1) * net;
  return {
    ...level,
    net: count.high * net,
    least: Math.max(least, least - before),
    most: Math.min(most, most - before),
  };
}

/** What an instruction does to the cursor, one after the other. */
interface Event {
  readonly needs?: "full" | "free";
  readonly move?: 1 | -1;
  readonly condition: Condition;
}

const unconditional: Condition = { kind: "always" };

function leafOf(site: Site, cursor: Cursor): Leaf<Level> | undefined {
  const events = eventsOf(site, cursor);
  if (events.length === 0) return undefined;
  return {
    site,
    loops: events.flatMap(({ condition }) => conditionLoops(condition)),
    effect(phases) {
      let [net, least, most] = [0, -Infinity, Infinity];
      for (const { needs, move, condition } of events) {
        if (!holdsIn(condition, phases)) continue;
        if (needs === "full") least = Math.max(least, 1 - net);
        if (needs === "free") most = Math.min(most, cursor.queue.depth - 1 - net);
        net += move ?? 0;
      }
      return { net, least, most, leastAt: site, mostAt: site, problem: undefined };
    },
  };
}

/** Tokens are popped first; then all slots are taken, then popped, then published. */
function eventsOf(site: Site, { queue, number, consumer }: Cursor): Event[] {
  const { waits = [], signals = [] } = site.instruction;
  const consumes = sameEngine(site.engine, consumer);
  const produces = sameEngine(site.engine, queue.producer);
  const arrives = arrivalOf(site);
  const events: Event[] = [];
  const pops: Event[] = [];
  const publishes: Event[] = [];
  for (const wait of waits) {
    if (!consumes || wait.queue !== number) continue;
    events.push({ needs: "full", condition: unconditional }, { move: -1, condition: wait.pop });
  }
  const fills = (dest: SlotDest, when: Condition) => {
    if (dest.queue !== number || (dest.update ? !consumes : !produces)) return;
    events.push({ needs: dest.update ? "full" : "free", condition: when });
    if (!dest.update) publishes.push({ move: 1, condition: both(dest.publish, when) });
  };
  for (const access of site.slots) {
    if (access.kind === "write") fills(access.slot, arrives);
    else if (consumes && access.slot.queue === number) {
      events.push({ needs: "full", condition: unconditional });
      pops.push({ move: -1, condition: access.slot.pop });
    }
  }
  for (const signal of signals) fills(signal, unconditional);
  return [...events, ...pops, ...publishes];
}

/** On which members something arrives: all, or all but the one that has no neighbour to get it from. */
function arrivalOf({ instruction: { body }, loops }: Site): Condition {
  if (body.op !== "load" || body.delivery?.kind !== "neighbour" || body.delivery.wrap) {
    return unconditional;
  }
  const { axis, by } = body.delivery;
  const along = loops.find((loop) => loop.over === axis);
  if (along === undefined) return unconditional;
  const edge = by === 1 ? "first" : "last";
  return { kind: "all", terms: [{ loop: along.id, edge, negated: true }] };
}

function both(a: Condition, b: Condition): Condition {
  if (a.kind === "never" || b.kind === "never") return { kind: "never" };
  const terms = [a, b].flatMap((condition) => (condition.kind === "all" ? condition.terms : []));
  return { kind: "all", terms };
}
