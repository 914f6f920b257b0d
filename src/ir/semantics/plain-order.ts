/**
 * Plain order: loop by loop, statement by statement, all members in lock-step at each. It is the meaning of kernels
 * and of programs; what a statement does is for the caller to say.
 */
import { undefinedBehaviour } from "./cells.js";
import { loopRange, tripOf, type Environment, type LoopRange, type Trip } from "./semantics.js";
import type { Delivery, LoopHead } from "../tile.js";

/** A tile that runs the text, and where it stands. */
export interface Member extends Environment {
  readonly number: number;
  readonly row: number;
  readonly column: number;
  readonly trips: Map<number, Trip>;
}

export interface Grid {
  readonly rows: number;
  readonly columns: number;
}

/** A text of loops around leaves. */
export type PlainNode<L> =
  | { readonly kind: "leaf"; readonly leaf: L }
  | {
      readonly kind: "loop";
      readonly head: LoopHead;
      /** A child runs `by` trips late. */
      readonly body: readonly { readonly node: PlainNode<L>; readonly by: number }[];
    };

/** The members that are inside all spatial loops around a leaf, and those that run it now. */
export interface Company<M extends Member> {
  readonly present: readonly M[];
  readonly active: readonly M[];
}

export interface PlainOrder<L, M extends Member> {
  readonly grid: Grid;
  readonly members: readonly M[];
  visit(leaf: L, company: Company<M>): void;
  /** Members begin a trip of a loop. */
  enter?(head: LoopHead, members: readonly M[]): void;
  /** Runs `act` for a member, to add where it was to what goes wrong. */
  place<T>(member: M, act: () => T): T;
}

/** The members of a grid, row by row, before the first statement. */
export function createMembers(grid: Grid, scalars: ArrayLike<number>): Member[] {
  return Array.from({ length: grid.rows * grid.columns }, (_, number) => ({
    number,
    row: Math.floor(number / grid.columns),
    column: number % grid.columns,
    scalars,
    trips: new Map<number, Trip>(),
  }));
}

export function walkPlainOrder<L, M extends Member>(
  nodes: readonly PlainNode<L>[],
  order: PlainOrder<L, M>,
): void {
  const everyone = { present: order.members, active: order.members };
  for (const node of nodes) walk(node, everyone, order);
}

function walk<L, M extends Member>(
  node: PlainNode<L>,
  company: Company<M>,
  order: PlainOrder<L, M>,
): void {
  if (company.active.length === 0) return;
  if (node.kind === "leaf") order.visit(node.leaf, company);
  else if (node.head.over === "time") walkTemporal(node, company, order);
  else walkSpatial(node, company, order);
}

type LoopNode<L> = Extract<PlainNode<L>, { readonly kind: "loop" }>;

function walkTemporal<L, M extends Member>(
  { head, body }: LoopNode<L>,
  company: Company<M>,
  order: PlainOrder<L, M>,
): void {
  const ranges = new Map(
    company.active.map((member) => [member, rangeOf(head, member, Infinity, order)]),
  );
  const trips = Math.max(...[...ranges.values()].map((range) => range.count));
  const late = Math.max(0, ...body.map(({ by }) => by));
  for (let trip = 0; trip < trips + late; trip++) {
    const starting = company.active.filter((member) => trip < ranges.get(member)!.count);
    if (starting.length > 0) order.enter?.(head, starting);
    for (const { node, by } of body) {
      const number = trip - by;
      const active = company.active.filter(
        (member) => number >= 0 && number < ranges.get(member)!.count,
      );
      for (const member of active) member.trips.set(head.id, tripOf(ranges.get(member)!, number));
      walk(node, { present: company.present, active }, order);
    }
  }
  for (const member of company.active) member.trips.delete(head.id);
}

function walkSpatial<L, M extends Member>(
  { head, body }: LoopNode<L>,
  company: Company<M>,
  order: PlainOrder<L, M>,
): void {
  const { rows, columns } = order.grid;
  const places = { time: 0, rows, columns, members: rows * columns }[head.over];
  const active = company.active.filter((member) => {
    const range = rangeOf(head, member, places, order);
    const at = coordinateOf(member, head.over);
    if (at < range.count) member.trips.set(head.id, tripOf(range, at));
    return at < range.count;
  });
  if (active.length > 0) order.enter?.(head, active);
  for (const { node } of body) walk(node, { present: active, active }, order);
  for (const member of active) member.trips.delete(head.id);
}

function rangeOf<L, M extends Member>(
  head: LoopHead,
  member: M,
  tripsMax: number,
  order: PlainOrder<L, M>,
): LoopRange {
  return order.place(member, () => {
    const range = loopRange(head, member);
    if (range.count > tripsMax) {
      undefinedBehaviour(
        `spatial loop ${head.name} has ${range.count} trips for ${tripsMax} places`,
      );
    }
    return range;
  });
}

/** A member's place along a spatial loop. */
function coordinateOf(member: Member, over: LoopHead["over"]): number {
  switch (over) {
    case "rows":
      return member.row;
    case "columns":
      return member.column;
    case "members":
    case "time":
      return member.number;
    default:
      return over satisfies never;
  }
}

/** The members among `present` that differ from `member` only along a spatial loop; itself included. */
export function groupAlong<M extends Member>(
  over: LoopHead["over"],
  member: M,
  present: readonly M[],
): M[] {
  return present.filter(
    (other) =>
      over === "members" ||
      (over === "rows" ? other.column === member.column : other.row === member.row),
  );
}

/** Whom a neighbour push reaches; nobody at the edge of the grid unless it wraps. */
export function neighbourOf<M extends Member>(
  { axis, by, wrap }: Extract<Delivery, { readonly kind: "neighbour" }>,
  { row, column }: M,
  members: readonly M[],
  { rows, columns }: Grid,
): M | undefined {
  const size = axis === "rows" ? rows : columns;
  const to = (axis === "rows" ? row : column) + by;
  if (!wrap && (to < 0 || to >= size)) return undefined;
  const at = (to + size) % size;
  return axis === "rows" ? members[at * columns + column] : members[row * columns + at];
}
