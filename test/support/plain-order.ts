/**
 * A program in plain order, instance by instance: the dumbest possible walk, which shares nothing with the
 * verifier. For small trip counts.
 */
import type { Affine, LoopHead } from "../../src/ir/tile.js";
import type { Condition, Instruction, Program, ProgramNode } from "../../src/isa/program.js";

export interface PlainTrip {
  readonly number: number;
  readonly count: number;
  readonly index: number;
  readonly extent: number;
}

export interface PlainMember {
  readonly row: number;
  readonly column: number;
  readonly trips: ReadonlyMap<number, PlainTrip>;
}

/** One instruction, by the members (numbers) that run it in lock-step. */
export interface Issue {
  readonly instruction: Instruction;
  readonly members: ReadonlyMap<number, PlainMember>;
}

export function plainOrder(program: Program, scalars: readonly number[]): Issue[] {
  const issues: Issue[] = [];
  const all = new Map<number, PlainMember>();
  for (let row = 0; row < program.grid.rows; row++) {
    for (let column = 0; column < program.grid.columns; column++) {
      all.set(all.size, { row, column, trips: new Map() });
    }
  }
  const walk = (nodes: readonly ProgramNode[], members: ReadonlyMap<number, PlainMember>): void => {
    for (const node of nodes) {
      if (node.kind === "loop") walkLoop(node, members);
      if (node.kind === "instruction") issues.push({ instruction: node.instruction, members });
    }
  };
  const walkLoop = (
    { head, body }: Extract<ProgramNode, { kind: "loop" }>,
    members: ReadonlyMap<number, PlainMember>,
  ): void => {
    const ranges = new Map(
      [...members].map(([number, member]) => [number, rangeOf(head, member, scalars)]),
    );
    const enter = (child: ProgramNode, tripOf: (member: PlainMember) => number): void => {
      const inside = new Map<number, PlainMember>();
      for (const [at, member] of members) {
        const { start, total, count } = ranges.get(at)!;
        const number = tripOf(member);
        if (number < 0 || number >= count) continue;
        const index = start + number * head.step;
        const trip = { number, count, index, extent: Math.min(head.step, total - index) };
        inside.set(at, { ...member, trips: new Map(member.trips).set(head.id, trip) });
      }
      if (inside.size > 0) walk([child], inside);
    };
    if (head.over !== "time") {
      for (const child of body) enter(child, (member) => placeOf(head.over, member, program));
      return;
    }
    const stages = body.map((child) => stageOf(child, head.id));
    const most = Math.max(0, ...[...ranges.values()].map((range) => range.count));
    for (let step = 0; step < most + Math.max(0, ...stages); step++) {
      body.forEach((child, i) => enter(child, () => step - stages[i]!));
    }
  };
  walk(program.body, all);
  return issues;
}

function rangeOf(head: LoopHead, member: PlainMember, scalars: readonly number[]) {
  const start = evaluate(head.start, member, scalars);
  const least = Math.min(...head.total.map((total) => evaluate(total, member, scalars)));
  const total = Math.min(Math.max(least, head.minTotal), head.maxTotal);
  return { start, total, count: Math.max(0, Math.ceil((total - start) / head.step)) };
}

/** The trip of a spatial loop that a member has, if the loop makes that many. */
function placeOf(over: LoopHead["over"], { row, column }: PlainMember, { grid }: Program): number {
  if (over === "rows") return row;
  return over === "columns" ? column : row * grid.columns + column;
}

export function evaluate(affine: Affine, member: PlainMember, scalars: readonly number[]): number {
  return affine.terms.reduce(
    (sum, { coefficient, of, id }) =>
      sum + coefficient * (of === "scalar" ? scalars[id]! : member.trips.get(id)![of]),
    affine.constant,
  );
}

export function holds(condition: Condition, member: PlainMember): boolean {
  if (condition.kind !== "all") return condition.kind === "always";
  return condition.terms.every(({ loop, edge, negated }) => {
    const { number, count } = member.trips.get(loop)!;
    return (edge === "first" ? number === 0 : number === count - 1) !== negated;
  });
}

function stageOf(node: ProgramNode, loop: number): number {
  if (node.kind === "barrier") return 0;
  if (node.kind === "loop") {
    return Math.max(0, ...node.body.map((child) => stageOf(child, loop)));
  }
  const { stage } = node.instruction;
  return stage?.loop === loop ? stage.by : 0;
}
