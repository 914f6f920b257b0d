/**
 * Which steps of a loop are alike for an engine: all the trips in them are full, neither first nor last, and nothing
 * that costs depends on the loop's index. So what happened in one of them happens again in the next.
 */
import type { Affine } from "../../ir/tile.js";
import { tripOf } from "../../ir/semantics/semantics.js";
import type { CostAxis } from "./operation.js";
import type { Cursor, Frame, ProjectedLoop, Steps } from "./projection.js";
import {
  isAlwaysFull,
  isNeverClipped,
  isNeverLimited,
  movement,
  type SpanPlace,
  withRunning,
} from "./spans.js";

/** Fewer trips are stepped. */
const tripsMin = 6;

export function alikeSteps({ environment }: Cursor, { loop, range }: Frame): Steps | undefined {
  if (range.count < tripsMin || loop.head === undefined) return undefined;
  const { id } = loop.head;
  const isPlain = (trip: number): boolean => {
    const trips = new Map(environment.trips).set(id, tripOf(range, trip));
    return isPlainBody(loop, new Set([id]), {
      environment: { ...environment, trips },
      running: new Map(),
    });
  };
  // Clips and counts are affine, so the plain trips are an interval.
  const middle = range.count >> 1;
  if (!isPlain(middle)) return undefined;
  const first = firstWhere(isPlain, 1, middle);
  const end = firstWhere((trip) => !isPlain(trip), middle, range.count - 1);
  const earliest = Math.min(...loop.children.map(({ by }) => by));
  return { from: first + loop.late, to: end + earliest };
}

/** The first number of [from, to) for which `test` holds, else `to`; it holds for none before and all after. */
function firstWhere(test: (n: number) => boolean, from: number, to: number): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Nothing in the loop makes a difference that depends on the indices of `moving`: of the loop in question, and of
 * those inside that start where it stands.
 */
function isPlainBody(loop: ProjectedLoop, moving: ReadonlySet<number>, place: SpanPlace): boolean {
  return loop.children.every(({ node }) => {
    switch (node.kind) {
      case "barrier":
        return true;
      case "loop": {
        const head = node.head!;
        const by = movement(head.start, moving);
        if (head.total.some((total) => movement(total, moving) !== by)) return false;
        if (by !== 0 && (by !== 1 || !isNeverLimited(head, place))) return false;
        const inside = by === 0 ? moving : new Set(moving).add(head.id);
        return isPlainBody(node, inside, withRunning(head, place));
      }
      case "operation":
        if (node.operation.isFixed) return true;
        return node.operation.instruction.body.axes.every((axis) =>
          isPlainAxis(axis, moving, place),
        );
      default:
        return node satisfies never;
    }
  });
}

function isPlainAxis(
  { count, clip }: CostAxis,
  moving: ReadonlySet<number>,
  place: SpanPlace,
): boolean {
  if (movesWith(count.value, moving) && !isAlwaysFull(count, place)) return false;
  if (clip === undefined) return true;
  if (!movesWith(clip.origin, moving) && !movesWith(clip.limit.value, moving)) return true;
  return isNeverClipped({ count, clip }, place);
}

function movesWith({ terms }: Affine, loops: ReadonlySet<number>): boolean {
  return terms.some(({ of, id }) => of === "index" && loops.has(id));
}
