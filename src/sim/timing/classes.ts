/**
 * Members that do the same at the same time form a class and are stepped once. Two members are of one class if all
 * counts, clips and loops come to the same on both, and those that they exchange data with are of one class too: then
 * nothing tells them apart, for bandwidth is shared evenly.
 */
import {
  createMembers,
  groupAlong,
  type Member,
  neighbourOf,
} from "../../ir/semantics/plain-order.js";
import { loopRange, tripOf } from "../../ir/semantics/semantics.js";
import type { LoopHead } from "../../ir/tile.js";
import type { Program, ProgramNode } from "../../isa/program.js";
import { conditionLoops } from "../../isa/sites.js";
import type { DeviceMachine } from "../../target/machine.js";
import type { CostAxis, Operation } from "./operation.js";
import {
  fixedPart,
  isAlwaysFull,
  isNeverClipped,
  isNeverLimited,
  type SpanPlace,
  withRunning,
} from "./spans.js";

export interface MemberClass {
  readonly number: number;
  readonly members: readonly Member[];
  /** By number of the operation: where the data of its deliveries go. */
  readonly routes: ReadonlyMap<number, Route>;
}

export type Route =
  /** All of a group take part and get the data. */
  | {
      readonly kind: "group";
      readonly parties: readonly number[];
      /** Of this kind, and members of each. */
      readonly groups: number;
      readonly size: number;
      readonly hops: number;
      /** Groups of one kind along the same loop share links. */
      readonly links: number;
    }
  | { readonly kind: "neighbour"; readonly receiver: number | undefined; readonly hops: number };

export interface ClassOptions {
  readonly program: Program;
  readonly operations: readonly Operation[];
  readonly scalars: ArrayLike<number>;
  readonly machine: DeviceMachine;
  /** False: every member is a class of its own. */
  readonly merge: boolean;
}

export function memberClasses(options: ClassOptions): MemberClass[] {
  const { program, operations, scalars, merge } = options;
  const members = createMembers(program.grid, scalars);
  const edges = loopsOfConditions(operations);
  const surveys = members.map((member) => survey(program, member, { operations, edges }));
  const pushes = operations.flatMap((operation) => pushesOf(operation, surveys, options));
  let classOf = numbered(members.map((_, i) => (merge ? surveys[i]!.text : String(i))));
  for (;;) {
    const finer = numbered(
      members.map((member, i) => {
        const ties = pushes.map((push) => tieText(push, member, classOf));
        return `${classOf[i]} ${ties.join(" ")}`;
      }),
    );
    if (Math.max(...finer) === Math.max(...classOf)) break;
    classOf = finer;
  }
  return classesOf(members, classOf, pushes);
}

/** Loops whose first or last trip makes a difference. */
function loopsOfConditions(operations: readonly Operation[]): ReadonlySet<number> {
  const conditions = operations.flatMap(({ sources, dests }) => [
    ...sources.map(({ pop }) => pop),
    ...dests.flatMap(({ publish, begins }) => [publish, begins]),
  ]);
  return new Set(conditions.flatMap(conditionLoops));
}

/** The same number for the same text, in order of first appearance. */
function numbered(texts: readonly string[]): number[] {
  const numbers = new Map<string, number>();
  return texts.map((text) => {
    if (!numbers.has(text)) numbers.set(text, numbers.size);
    return numbers.get(text)!;
  });
}

interface SurveyContext {
  readonly operations: readonly Operation[];
  /** Loops whose first or last trip makes a difference. */
  readonly edges: ReadonlySet<number>;
}

interface Survey {
  readonly member: Member;
  /** The same for members to which everything costs the same. */
  readonly text: string;
  /** Operations that stand in none but spatial loops that the member has a trip of, by number. */
  readonly reached: ReadonlyMap<number, readonly LoopHead[]>;
}

function survey(program: Program, member: Member, { operations, edges }: SurveyContext): Survey {
  const parts: (string | number)[] = [];
  const reached = new Map<number, readonly LoopHead[]>();
  let number = 0;
  const visit = (nodes: readonly ProgramNode[], place: SpanPlace, spatial: readonly LoopHead[]) => {
    for (const node of nodes) {
      if (node.kind === "barrier") continue;
      if (node.kind === "instruction") {
        const { isFixed, instruction } = operations[number]!;
        reached.set(number++, spatial);
        if (!isFixed) parts.push(...axisParts(instruction.body.axes, place));
      } else if (node.head.over === "time") {
        parts.push(...loopParts(node.head, place));
        visit(node.body, withRunning(node.head, place), spatial);
      } else if (takesTrip(node.head, member)) {
        const { number: at, count, extent } = member.trips.get(node.head.id)!;
        parts.push(extent);
        if (edges.has(node.head.id)) parts.push(`${at === 0}${at === count - 1}`);
        visit(node.body, place, [...spatial, node.head]);
      } else {
        number += instructionsIn(node.body);
        parts.push("x");
      }
    }
  };
  visit(program.body, { environment: member, running: new Map() }, []);
  return { member, text: parts.join(), reached };
}

function takesTrip(head: LoopHead, member: Member): boolean {
  const range = loopRange(head, member);
  const { row, column, number } = member;
  const at = { rows: row, columns: column, members: number, time: 0 }[head.over];
  if (at < range.count) member.trips.set(head.id, tripOf(range, at));
  return at < range.count;
}

function instructionsIn(nodes: readonly ProgramNode[]): number {
  return nodes.reduce((sum, node) => {
    if (node.kind === "barrier") return sum;
    return sum + (node.kind === "instruction" ? 1 : instructionsIn(node.body));
  }, 0);
}

/** How many trips there are; also where they begin, if the limits of the total may come to bear. */
function loopParts(head: LoopHead, place: SpanPlace): number[] {
  const start = fixedPart(head.start, place);
  const lengths = head.total.map((total) => fixedPart(total, place) - start);
  return isNeverLimited(head, place) ? lengths : [start, ...lengths];
}

function axisParts(axes: readonly CostAxis[], place: SpanPlace): (string | number)[] {
  const parts: (string | number)[] = [];
  for (const { count, clip } of axes) {
    if (count.value.terms.length > 0) {
      parts.push(isAlwaysFull(count, place) ? "m" : fixedPart(count.value, place));
    }
    if (clip === undefined) continue;
    if (isNeverClipped({ count, clip }, place)) parts.push("i");
    else parts.push(fixedPart(clip.origin, place), fixedPart(clip.limit.value, place));
  }
  return parts;
}

/** One delivery: who sends to whom. */
interface Push {
  readonly operation: number;
  readonly kind: "group" | "neighbour";
  readonly over: string;
  /** Per member that takes part. For a neighbour: sender, then receiver if there is one. */
  readonly parties: ReadonlyMap<Member, readonly Member[]>;
  readonly hops: ReadonlyMap<Member, number>;
}

function pushesOf(
  { number, delivery }: Operation,
  surveys: readonly Survey[],
  { program, machine }: ClassOptions,
): Push[] {
  if (delivery === undefined) return [];
  const present = surveys.filter(({ reached }) => reached.has(number));
  if (present.length === 0) return [];
  const members = present.map(({ member }) => member);
  const parties = new Map<Member, readonly Member[]>();
  const hops = new Map<Member, number>();
  const all = surveys.map(({ member }) => member);
  const distance = (a: Member, b: Member) => distanceOf(a, b, program.grid, machine.network.torus);
  const loops = present[0]!.reached.get(number)!;
  const over =
    delivery.kind === "neighbour"
      ? delivery.axis
      : loops.find((loop) => loop.id === delivery.loop)!.over;
  for (const member of members) {
    if (delivery.kind === "neighbour") {
      const to = neighbourOf(delivery, member, all, program.grid);
      parties.set(member, to === undefined ? [member] : [member, to]);
    } else parties.set(member, groupAlong(over, member, members));
    const [from, ...others] = parties.get(member)!;
    hops.set(member, Math.max(0, ...others.map((to) => distance(from!, to))));
  }
  const kind = delivery.kind === "neighbour" ? "neighbour" : "group";
  return [{ operation: number, kind, over, parties, hops }];
}

/** Links between two tiles: along the row, then along the column. */
function distanceOf(a: Member, b: Member, grid: Program["grid"], torus: boolean): number {
  const along = (from: number, to: number, size: number) => {
    const direct = Math.abs(from - to);
    return torus ? Math.min(direct, size - direct) : direct;
  };
  return along(a.row, b.row, grid.rows) + along(a.column, b.column, grid.columns);
}

/** What a member is tied to by a delivery, in terms of the classes so far. */
function tieText(
  { kind, parties, hops }: Push,
  member: Member,
  classOf: readonly number[],
): string {
  const mine = parties.get(member);
  if (mine === undefined) return "-";
  const classes = mine.map((party) => classOf[party.number]!);
  if (kind === "group") return `${classes.sort((a, b) => a - b).join()}@${hops.get(member)}`;
  const sender = [...parties].find(([, [, to]]) => to === member)?.[0];
  return `${classes.join()}@${hops.get(member)}<${sender === undefined ? "" : classOf[sender.number]}`;
}

function classesOf(
  members: readonly Member[],
  classOf: readonly number[],
  pushes: readonly Push[],
): MemberClass[] {
  const linkNumbers = new Map<string, number>();
  return Array.from({ length: Math.max(...classOf) + 1 }, (_, number) => {
    const own = members.filter((member) => classOf[member.number] === number);
    const routes = new Map<number, Route>();
    for (const push of pushes) {
      const mine = push.parties.get(own[0]!);
      if (mine === undefined) continue;
      const hops = push.hops.get(own[0]!)!;
      const classes = mine.map((party) => classOf[party.number]!);
      if (push.kind === "neighbour") {
        routes.set(push.operation, { kind: "neighbour", receiver: classes[1], hops });
        continue;
      }
      const parties = [...new Set(classes)].sort((a, b) => a - b);
      const text = `${push.over} ${classes.sort((a, b) => a - b).join()}`;
      if (!linkNumbers.has(text)) linkNumbers.set(text, linkNumbers.size);
      const links = linkNumbers.get(text)!;
      const perGroup = classes.filter((c) => c === number).length;
      const groups = own.length / perGroup;
      routes.set(push.operation, {
        kind: "group",
        parties,
        groups,
        size: mine.length,
        hops,
        links,
      });
    }
    return { number, members: own, routes };
  });
}
