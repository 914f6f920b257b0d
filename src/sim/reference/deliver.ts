/** Where the result of a load goes: to the member itself, to all along a spatial loop, to a neighbour. */
import { undefinedBehaviour, type Cells } from "../../ir/semantics/cells.js";
import { groupAlong, neighbourOf, type Company } from "../../ir/semantics/plain-order.js";
import type { Delivery } from "../../ir/tile.js";
import type { Machine, Member } from "./machine.js";
import { publish, type Ring, type Slot } from "./rings.js";
import { withPlace } from "./place.js";
import type { InstructionStep } from "./steps.js";

/** The deliveries of one instruction, on all members that run it. */
export interface Delivered {
  readonly name: string;
  /** What `member` writes to; `take` takes the destination slot of a member that receives it. */
  cells(member: Member, take: (to: Member) => Slot): Cells;
  /** `member` loads an element of memory. */
  witness(member: Member, binding: number, element: number): void;
  /** `member` publishes a slot that it filled. */
  publish(ring: Ring, member: Member): void;
  /** After all members have published. */
  finish(): void;
}

export function receivers(
  machine: Machine,
  step: InstructionStep,
  company: Company<Member>,
): Delivered {
  const { body } = step.instruction;
  const delivery = body.op === "load" ? body.delivery : undefined;
  switch (delivery?.kind) {
    case undefined:
      return toSelf;
    case "multicast":
      return {
        name: `a multicast along ${machine.loops.get(delivery.loop)?.name}`,
        ...multicast(machine, step, groupsAlong(machine, step, delivery.loop, company)),
      };
    case "neighbour":
      return toNeighbour(machine, step, delivery);
    case "gather":
      return {
        name: `a gather along ${machine.loops.get(delivery.loop)?.name}`,
        ...gather(machine, step, groupsAlong(machine, step, delivery.loop, company)),
      };
    default:
      return delivery satisfies never;
  }
}

const toSelf: Delivered = {
  name: "itself",
  cells: (member, take) => take(member).cells,
  witness() {},
  publish: (ring) => publish(ring),
  finish() {},
};

/** The members that differ from each other only along one spatial loop. All of them must run the instruction. */
function groupsAlong(
  machine: Machine,
  step: InstructionStep,
  loop: number,
  { present, active }: Company<Member>,
): Map<Member, readonly Member[]> {
  const head = machine.loops.get(loop);
  const groups = new Map<Member, readonly Member[]>();
  for (const member of active) {
    const group = withPlace(machine, member, step, () => {
      if (head === undefined || head.over === "time" || !member.trips.has(loop)) {
        return undefinedBehaviour(
          `loop ${head?.name ?? loop} is no spatial loop around the instruction`,
        );
      }
      const others = groupAlong(head.over, member, present);
      const absent = others.find((other) => !active.includes(other));
      if (absent !== undefined) {
        undefinedBehaviour(`member ${absent.row}, ${absent.column} is not there for a remote push`);
      }
      return others;
    });
    groups.set(member, group);
  }
  return groups;
}

/**
 * Every member loads for itself. The machine reads memory once, so all of a group must touch the same elements and
 * get the same values.
 */
function multicast(
  machine: Machine,
  step: InstructionStep,
  groups: Map<Member, readonly Member[]>,
): Omit<Delivered, "name"> {
  const logs = new Map([...groups.keys()].map((member) => [member, [] as number[]]));
  return {
    cells(member, take) {
      const { cells } = take(member);
      return {
        ...cells,
        set(element, value) {
          logs.get(member)!.push(element, value);
          cells.set(element, value);
        },
      };
    },
    witness: (member, binding, element) => void logs.get(member)!.push(binding, element),
    publish(ring, member) {
      logs.get(member)!.push(ring.published);
      publish(ring);
    },
    finish() {
      for (const [member, group] of groups) {
        const log = logs.get(member)!;
        const other = logs.get(group[0]!)!;
        if (log.length === other.length && log.every((x, i) => Object.is(x, other[i]))) continue;
        withPlace(machine, member, step, () =>
          undefinedBehaviour("the members of a multicast do not load the same"),
        );
      }
    },
  };
}

function toNeighbour(
  { members, program: { grid, queues } }: Machine,
  { instruction: { body } }: InstructionStep,
  delivery: Extract<Delivery, { readonly kind: "neighbour" }>,
): Delivered {
  return {
    ...toSelf,
    name: `a push by ${delivery.by} along ${delivery.axis}`,
    cells(member, take) {
      const to = neighbourOf(delivery, member, members, grid);
      if (to !== undefined) return take(to).cells;
      const { name, dtype, elements } = queues[body.op === "load" ? body.dest.queue : 0]!;
      return nowhere(name, dtype, elements);
    },
  };
}

/** What is pushed over the edge of the grid. */
function nowhere(label: string, dtype: Cells["dtype"], elements: number): Cells {
  return { label, dtype, elements, get: () => 0, set() {} };
}

/** Each member writes its part to every member of its group; the parts are disjoint. */
function gather(
  machine: Machine,
  step: InstructionStep,
  groups: Map<Member, readonly Member[]>,
): Omit<Delivered, "name"> {
  const writers = new Map<Member, Map<number, Member>>();
  const publishers = new Map<Ring, number>();
  const sizes = new Map<Ring, number>();
  return {
    cells(member, take) {
      const group = groups.get(member)!;
      const slots = group.map((to) => take(to).cells);
      const first = group[0]!;
      let parts = writers.get(first);
      if (parts === undefined) writers.set(first, (parts = new Map()));
      const part = parts;
      return {
        ...slots[0]!,
        set(element, value) {
          const writer = part.get(element);
          if (writer !== undefined && writer !== member) {
            undefinedBehaviour(`two members gather element ${element}`);
          }
          part.set(element, member);
          for (const cells of slots) cells.set(element, value);
        },
      };
    },
    witness() {},
    publish(ring, member) {
      publishers.set(ring, (publishers.get(ring) ?? 0) + 1);
      sizes.set(ring, groups.get(member)!.length);
    },
    finish() {
      for (const [ring, count] of publishers) {
        if (count === sizes.get(ring)) publish(ring);
        else {
          withPlace(machine, groups.keys().next().value!, step, () =>
            undefinedBehaviour("the members of a gather do not all publish"),
          );
        }
      }
    },
  };
}
