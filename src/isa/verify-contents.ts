/**
 * What unpublished slots hold: an operand that goes on from what a slot holds (an mma without clear, a reduction or
 * carried register without init) finds the same part of the slot begun since the last publish, and no slot is left
 * unpublished at the end, unless its publish says so: not on the last trip. That every element that is read was
 * written is not decided here: the reference simulator stops on one that was not.
 */
import type { Problem } from "./problem.js";
import { type Condition, isWithheld, type Program } from "./program.js";
import { conditionLoops, loopsIn, sameEngine, type Site, type SlotWrite } from "./sites.js";
import { type Algebra, effectsOf } from "./trip-effects.js";
import {
  holdsIn,
  type Leaf,
  type TreeBasis,
  treeBasis,
  tripTree,
  type TripNode,
} from "./trip-tree.js";

export function verifyContents(program: Program, sites: readonly Site[]): Problem[] {
  const basis = treeBasis(program, sites);
  const problems: Problem[] = [];
  program.queues.forEach((queue, number) => {
    const touching = basis.touching[number]!;
    const leaves = touching.flatMap((site) => openLeaf(site, number) ?? []);
    const open = tripTree<OpenState>(basis, leaves);
    if (effectsOf(open, openAlgebra).some((state) => (state & opened) !== 0)) {
      problems.push({
        path: [],
        reason: `queue ${queue.name} may end with a slot never published`,
      });
    }
    for (const part of partsGoneOnWith(touching, number)) {
      const problem = partProblem(program, number, part, basis);
      if (problem !== undefined) problems.push(problem);
    }
  });
  return problems;
}

/** What can have become of the slot at the tail: untouched, published, left open. A set of bits. */
type OpenState = number;
const untouched = 1;
const closed = 2;
const opened = 4;

const openAlgebra: Algebra<OpenState> = {
  nothing: untouched,
  then: (a, b) => (b & ~untouched) | ((b & untouched) !== 0 ? a : 0),
  repeat: (state) => state,
  either: (states) => states.reduce((a, b) => a | b),
};

interface Fill {
  readonly publish: Condition;
}

function fillsOf(site: Site, queue: number): Fill[] {
  const writes = site.slots.filter((access) => access.kind === "write");
  return [...writes.map((write) => write.slot), ...(site.instruction.signals ?? [])].filter(
    (dest) => dest.queue === queue && !dest.update,
  );
}

function openLeaf(site: Site, queue: number): Leaf<OpenState> | undefined {
  const fills = fillsOf(site, queue);
  if (fills.length === 0) return undefined;
  return {
    site,
    loops: fills.flatMap(({ publish }) => conditionLoops(publish)),
    effect: (phases) => {
      const isLast = (loop: number) => phases.get(loop)?.last;
      const isClosed =
        fills.some(({ publish }) => holdsIn(publish, phases)) ||
        isWithheld(fills.at(-1)!.publish, isLast);
      return isClosed ? closed : opened;
    },
  };
}

/** A part of a slot: the elements that an operand reaches, as text, and the loops with which it moves. */
interface Part {
  readonly text: string;
  readonly loops: ReadonlySet<number>;
}

function partOf(write: SlotWrite, site: Site): Part {
  const axes = write.axes.filter(
    ({ count, stride }) => stride !== 0 && !(count.max === 1 && isOne(count.value)),
  );
  const moving = new Set(loopsIn(write.slot.offset, ...axes.map((axis) => axis.count.value)));
  // A loop that moves it makes trips that may themselves depend on outer loops.
  for (const head of site.loops.toReversed()) {
    if (moving.has(head.id)) for (const id of loopsIn(head.start, ...head.total)) moving.add(id);
  }
  const texts = axes.map(({ count, stride }) => JSON.stringify([count, stride])).sort();
  return { text: [JSON.stringify(write.slot.offset), ...texts].join(), loops: moving };
}

function isOne(value: { readonly constant: number; readonly terms: readonly unknown[] }): boolean {
  return value.terms.length === 0 && value.constant === 1;
}

function partsGoneOnWith(sites: readonly Site[], queue: number): Part[] {
  const parts = new Map<string, Part>();
  for (const site of sites) {
    for (const access of writesTo(site, queue)) {
      if (access.begins.kind === "always") continue;
      const part = partOf(access, site);
      parts.set(part.text, part);
    }
  }
  return [...parts.values()];
}

function writesTo(site: Site, queue: number): SlotWrite[] {
  return site.slots.filter(
    (access): access is SlotWrite =>
      access.kind === "write" && access.slot.queue === queue && !access.slot.update,
  );
}

/** Effect on one part of the unpublished slot; for parts that move with a loop, on all its places. */
interface PartState {
  /** The part must have been begun before: here. */
  readonly need: Site | undefined;
  readonly becomes: "same" | "begun" | "gone";
  /** A slot was published on the way. */
  readonly published: boolean;
  readonly problem: Site | undefined;
}

const unchanged: PartState = {
  need: undefined,
  becomes: "same",
  published: false,
  problem: undefined,
};

function partProblem(
  program: Program,
  queue: number,
  part: Part,
  basis: TreeBasis,
): Problem | undefined {
  const leaves = basis.touching[queue]!.flatMap(
    (site) => partLeaf(site, program, queue, part) ?? [],
  );
  const tree = tripTree<PartState>(basis, leaves);
  const { name } = program.queues[queue]!;
  const states = effectsOf(tree, partAlgebra(part));
  const staged = stagedLoop(tree.nodes, part);
  const at = states.map((state) => state.problem ?? state.need).find((site) => site !== undefined);
  if (at === undefined && staged === undefined) return undefined;
  return {
    path: at?.path ?? [],
    reason:
      at === undefined
        ? `what queue ${name} holds is gone on with in several stages of loop ${staged}`
        : `goes on from what queue ${name} holds, which may not have been begun`,
  };
}

/** A part may not move with a loop whose stages work on several of its places at once. */
function stagedLoop(nodes: readonly TripNode<PartState>[], part: Part): string | undefined {
  for (const node of nodes) {
    if (node.kind === "leaf") continue;
    if (node.stages > 0 && part.loops.has(node.head.id)) return node.head.name;
    const inner = stagedLoop(
      node.children.map((child) => child.node),
      part,
    );
    if (inner !== undefined) return inner;
  }
  return undefined;
}

function partAlgebra(part: Part): Algebra<PartState> {
  const then: Algebra<PartState>["then"] = (a, b, loop) =>
    loop !== undefined && part.loops.has(loop.id) ? placeByPlace(a, b) : afterwards(a, b);
  return {
    nothing: unchanged,
    then,
    repeat(state, count, loop) {
      const twice = then(state, state, loop);
      return count.low > 1 ? twice : oneOf([state, twice]);
    },
    either: oneOf,
  };
}

function afterwards(a: PartState, b: PartState): PartState {
  const unmet = b.need !== undefined && a.becomes === "gone" ? b.need : undefined;
  return {
    need: a.need ?? (a.becomes === "same" ? b.need : undefined),
    becomes: b.becomes === "same" ? a.becomes : b.becomes,
    published: a.published || b.published,
    problem: a.problem ?? b.problem ?? unmet,
  };
}

/** Two trips, each at a place of its own: neither begins the other's, both lose theirs to a publish in the other. */
function placeByPlace(a: PartState, b: PartState): PartState {
  const first = b.published ? "gone" : a.becomes;
  const second = b.becomes === "same" && a.published ? "gone" : b.becomes;
  const both = [first, second];
  return {
    need: a.need ?? b.need,
    becomes: both.includes("gone") ? "gone" : both.includes("same") ? "same" : "begun",
    published: a.published || b.published,
    problem: a.problem ?? b.problem ?? (a.published ? b.need : undefined),
  };
}

function oneOf(states: readonly PartState[]): PartState {
  const outcomes = states.map((state) => state.becomes);
  return {
    need: states.find((state) => state.need !== undefined)?.need,
    becomes: outcomes.includes("gone") ? "gone" : outcomes.includes("same") ? "same" : "begun",
    published: states.some((state) => state.published),
    problem: states.find((state) => state.problem !== undefined)?.problem,
  };
}

function partLeaf(
  site: Site,
  program: Program,
  queue: number,
  part: Part,
): Leaf<PartState> | undefined {
  if (!sameEngine(site.engine, program.queues[queue]!.producer)) return undefined;
  const fills = fillsOf(site, queue);
  if (fills.length === 0) return undefined;
  const touching = writesTo(site, queue).filter((write) => partOf(write, site).text === part.text);
  const conditions = [...touching.map((w) => w.begins), ...fills.map((fill) => fill.publish)];
  return {
    site,
    loops: conditions.flatMap(conditionLoops),
    effect(phases) {
      let state = unchanged;
      for (const { begins } of touching) {
        const begun = holdsIn(begins, phases);
        const step = begun
          ? { ...unchanged, becomes: "begun" as const }
          : { ...unchanged, need: site };
        state = afterwards(state, step);
      }
      const published = fills.some(({ publish }) => holdsIn(publish, phases));
      return published ? { ...state, becomes: "gone", published: true } : state;
    },
  };
}
