/**
 * Plain order: loop by loop, instruction by instruction, all members in lock-step at each. It is the meaning of a
 * program.
 */
import { undefinedBehaviour } from "../../ir/cells.js";
import { loopRange, tripOf, type LoopRange } from "../../ir/semantics.js";
import type { LoopHead } from "../../ir/tile.js";
import { issue, type Company } from "./issue.js";
import type { Machine, Member } from "./machine.js";
import type { LoopStep, Step } from "./steps.js";
import { withPlace } from "./place.js";

export function walk(machine: Machine, steps: readonly Step[]): void {
  const everyone: Company = { present: machine.members, active: machine.members };
  for (const step of steps) walkStep(machine, step, everyone);
}

function walkStep(machine: Machine, step: Step, company: Company): void {
  if (company.active.length === 0) return;
  switch (step.kind) {
    case "instruction":
      return issue(machine, step, company);
    case "barrier":
      return machine.order.barrier();
    case "loop":
      return step.head.over === "time"
        ? walkTemporal(machine, step, company)
        : walkSpatial(machine, step, company);
    default:
      return step satisfies never;
  }
}

function walkTemporal(machine: Machine, loop: LoopStep, company: Company): void {
  const { id } = loop.head;
  const ranges = new Map(
    company.active.map((member) => [member, rangeOf(machine, member, loop.head)]),
  );
  const trips = Math.max(...[...ranges.values()].map((range) => range.count));
  for (let trip = 0; trip < trips + loop.stages; trip++) {
    for (const { step, by } of loop.body) {
      const number = trip - by;
      const active = company.active.filter(
        (member) => number >= 0 && number < ranges.get(member)!.count,
      );
      for (const member of active) member.trips.set(id, tripOf(ranges.get(member)!, number));
      walkStep(machine, step, { present: company.present, active });
    }
  }
  for (const member of company.active) member.trips.delete(id);
}

function walkSpatial(machine: Machine, loop: LoopStep, company: Company): void {
  const { head } = loop;
  const active = company.active.filter((member) => {
    const range = rangeOf(machine, member, head);
    const coordinate = coordinateOf(member, head.over);
    if (coordinate < range.count) member.trips.set(head.id, tripOf(range, coordinate));
    return coordinate < range.count;
  });
  for (const { step } of loop.body) walkStep(machine, step, { present: active, active });
  for (const member of active) member.trips.delete(head.id);
}

function rangeOf(machine: Machine, member: Member, head: LoopHead): LoopRange {
  return withPlace(machine, member, undefined, () => {
    const range = loopRange(head, member);
    const { rows, columns } = machine.program.grid;
    const places = { time: Infinity, rows, columns, members: rows * columns }[head.over];
    if (range.count > places) {
      undefinedBehaviour(`spatial loop ${head.name} has ${range.count} trips for ${places} places`);
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
