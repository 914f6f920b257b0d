/**
 * Remote pushes: what arrives in a queue from other members must be as if one engine filled it. Gathered parts are
 * checked to be disjoint in verify-memory.ts.
 */
import type { Affine, LoopHead } from "../ir/tile.js";
import type { Report } from "./problem.js";
import type { Program, SlotDest } from "./program.js";
import { conditionLoops, loopClass, loopsIn, placesAlong, type Site, walkParts } from "./sites.js";

/**
 * Remote pushes: every member along the spatial loop runs the same trips, under the same conditions, and all that
 * fill a queue do it in the same way, so that a queue has one producer wherever its data come from.
 */
export function checkDeliveries(program: Program, sites: readonly Site[], report: Report): void {
  const ways = new Map<number, string>();
  for (const site of sites) {
    const { body, signals } = site.instruction;
    const say = (reason: string) => report(site.path, reason);
    const dests = site.slots.filter((a) => a.kind === "write");
    for (const { queue, update } of [
      ...dests.map((d) => d.slot),
      ...(signals ?? []),
    ] as SlotDest[]) {
      if (update) continue;
      const way = dests.some((d) => d.slot.queue === queue) ? deliveryClass(site) : "own";
      if ((ways.get(queue) ?? way) !== way) {
        say(
          `queue ${program.queues[queue]!.name} is filled by different members in different places`,
        );
      }
      ways.set(queue, way);
    }
    if (body.op === "load" && body.delivery !== undefined) checkDelivery(program, sites, site, say);
  }
}

/** Two deliveries of one class have the same senders for the same receivers. */
function deliveryClass({ instruction: { body }, loops }: Site): string {
  const delivery = body.op === "load" ? body.delivery : undefined;
  switch (delivery?.kind) {
    case undefined:
      return "own";
    case "multicast":
      return `multicast ${loops.find((loop) => loop.id === delivery.loop)?.over ?? "?"}`;
    case "gather": {
      const head = loops.find((loop) => loop.id === delivery.loop);
      return `gather ${head === undefined ? "?" : loopClass(head)}`;
    }
    case "neighbour":
      return JSON.stringify(delivery);
    default:
      return delivery satisfies never;
  }
}

function checkDelivery(
  program: Program,
  sites: readonly Site[],
  site: Site,
  say: (reason: string) => void,
): void {
  const { body } = site.instruction;
  if (body.op !== "load" || body.delivery === undefined) return;
  const { delivery } = body;
  const along =
    delivery.kind === "neighbour"
      ? site.loops.find((loop) => loop.over === delivery.axis)
      : site.loops.find((loop) => loop.id === delivery.loop);
  if (delivery.kind === "neighbour") {
    if (site.loops.some((loop) => loop.over === "members")) {
      return say("a push to a neighbour stands in a loop over members");
    }
    const places = placesAlong(program, delivery.axis);
    if (along === undefined) {
      if (!delivery.wrap)
        say(`a push over the edge of the ${delivery.axis} needs a loop over them`);
      return;
    }
    const trips = site.bounds.trips(along);
    if (trips.low !== places) {
      return say(`a push along ${delivery.axis} needs all ${places} of them, not ${trips.low}`);
    }
  } else if (along === undefined || along.over === "time") {
    return say(`loop ${delivery.loop} is no spatial loop around the instruction`);
  }
  const varying = loopsThatVary(site, along);
  const bounds = site.bounds;
  for (const head of varying) {
    const trips = bounds.trips(head);
    if (head !== along && trips.low !== trips.high) {
      say(`loop ${head.name} may have other trips on other members of loop ${along.name}`);
    }
  }
  if (conditionLoops(body.dest.publish).includes(along.id)) {
    say(`publishing depends on loop ${along.name}, along which the data go`);
  }
  if (delivery.kind === "multicast") checkMulticast(sites, site, varying, say);
}

/** The loop and those inside whose range is not the same in each of its trips. */
function loopsThatVary(site: Site, along: LoopHead): LoopHead[] {
  const varying = [along];
  for (const head of site.loops.slice(site.loops.indexOf(along) + 1)) {
    if (dependsOn([head.start, ...head.total], varying)) varying.push(head);
  }
  return varying;
}

/** All members load the same: nothing that the load reads moves with the loop. */
function checkMulticast(
  sites: readonly Site[],
  site: Site,
  varying: readonly LoopHead[],
  say: (reason: string) => void,
): void {
  const { body } = site.instruction;
  if (body.op !== "load") return;
  const along = varying[0]!;
  walkParts([body.axes, body.memory, body.dest.offset, body.index, body.dequantize], {
    affine: (affine) => {
      if (dependsOn([affine], varying)) say(`a multicast walk moves with loop ${along.name}`);
    },
    condition() {},
    queue: (queue) => {
      const feeders = sites.filter(
        (other) =>
          other.instruction.body.op === "load" && other.instruction.body.dest.queue === queue,
      );
      const wanted = deliveryClass(site);
      if (feeders.length === 0 || feeders.some((feeder) => deliveryClass(feeder) !== wanted)) {
        say(`the index of a multicast may differ between the members of loop ${along.name}`);
      }
    },
    binding() {},
  });
}

function dependsOn(affines: readonly Affine[], loops: readonly LoopHead[]): boolean {
  return loopsIn(...affines).some((id) => loops.some((loop) => loop.id === id));
}
