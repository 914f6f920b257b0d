/**
 * Form: limits, numbers in range, loops that enclose what refers to them, queues with one producer and the declared
 * consumers, registers and data types. The other parts of the verifier rely on it and run only if it is satisfied.
 */
import { type Affine, type LoopHead, tileLimits } from "../ir/tile.js";
import { boundsWithin, formOf } from "./bounds.js";
import { engineText } from "./disassemble.js";
import type { Problem, Report } from "./problem.js";
import {
  type Instruction,
  type Program,
  type ProgramNode,
  type Queue,
  slotBytes,
  type SlotDest,
  type SlotSource,
} from "./program.js";
import { placesAlong, sameEngine, type Site, sitesOf, walkParts } from "./sites.js";
import { bodyProblems } from "./verify-bodies.js";
import { checkDeliveries } from "./verify-delivery.js";

/** What a machine offers to one program. */
export interface TileCapacity {
  readonly rows: number;
  readonly columns: number;
  readonly l1Bytes: number;
  readonly accumulatorBytes: number;
  readonly loadChannels: number;
  readonly storeChannels: number;
}

export function verifyStructure(program: Program, capacity: TileCapacity | undefined): Problem[] {
  const problems: Problem[] = [];
  const report: Report = (path, reason) => void problems.push({ path, reason });
  checkHeader(program, capacity, report);
  checkQueues(program, capacity, report);
  checkNodes(program.body, { program, report, path: [], loops: [], ids: new Set() });
  if (problems.length > 0) return problems;
  const sites = sitesOf(program);
  for (const site of sites) checkSite(program, site, capacity, report);
  if (problems.length === 0) checkDeliveries(program, sites, report);
  return problems;
}

const int32Max = 2 ** 31 - 1;

function checkHeader(program: Program, capacity: TileCapacity | undefined, report: Report): void {
  const { grid, scalarCount, bindings } = program;
  if (!isCount(grid.rows, 1) || !isCount(grid.columns, 1)) {
    report([], `a grid of ${grid.rows} x ${grid.columns} has no members`);
  }
  if (capacity && (grid.rows > capacity.rows || grid.columns > capacity.columns)) {
    report([], `a grid of ${grid.rows} x ${grid.columns} is larger than the machine's`);
  }
  if (!isCount(scalarCount, 0) || scalarCount > tileLimits.scalars) {
    report([], `a launch carries at most ${tileLimits.scalars} scalars, not ${scalarCount}`);
  }
  for (const { name, elements } of bindings) {
    if (!isCount(elements, 0)) report([], `binding ${name} has ${elements} elements`);
  }
}

function isCount(value: number, least: number): boolean {
  return Number.isSafeInteger(value) && value >= least;
}

function checkQueues(program: Program, capacity: TileCapacity | undefined, report: Report): void {
  for (const queue of program.queues) checkQueue(queue, (reason) => report([], reason));
  for (const space of ["l1", "accumulator"] as const) {
    const ranges = program.queues
      .filter((queue) => queue.space === space && queue.elements > 0)
      .map((queue) => ({
        queue,
        begin: queue.offsetBytes,
        end: queue.offsetBytes + queue.depth * slotBytes(queue),
      }))
      .sort((a, b) => a.begin - b.begin);
    ranges.forEach((range, i) => {
      const after = ranges[i + 1];
      if (after !== undefined && after.begin < range.end) {
        report([], `queues ${range.queue.name} and ${after.queue.name} overlap in ${space}`);
      }
    });
    const used = Math.max(0, ...ranges.map((range) => range.end));
    const limit = space === "l1" ? capacity?.l1Bytes : capacity?.accumulatorBytes;
    if (limit !== undefined && used > limit) {
      report([], `queues take ${used} bytes of ${space}, the machine has ${limit}`);
    }
  }
}

function checkQueue(queue: Queue, report: (reason: string) => void): void {
  const { name, space, dtype, elements, depth, offsetBytes, producer, consumers } = queue;
  if (!isCount(depth, 1)) report(`queue ${name} has depth ${depth}`);
  if (!isCount(elements, 0) || !isCount(offsetBytes, 0)) {
    report(`queue ${name} has ${elements} elements at byte ${offsetBytes}`);
  }
  if (consumers.length < 1 || consumers.length > tileLimits.consumers) {
    report(
      `queue ${name} has ${consumers.length} consumers; 1 to ${tileLimits.consumers} are possible`,
    );
  }
  if (consumers.some((a, i) => consumers.slice(i + 1).some((b) => sameEngine(a, b)))) {
    report(`queue ${name} lists a consumer twice`);
  }
  if (elements === 0) return;
  if (space === "accumulator") {
    if (dtype !== "f32" && dtype !== "i32") report(`accumulators of queue ${name} hold ${dtype}`);
    if (consumers.some((consumer) => consumer.engine !== "vector")) {
      report(`accumulators of queue ${name} are read by an engine other than the vector engine`);
    }
  }
  if ((producer.engine === "tensor") !== (space === "accumulator")) {
    report(`queue ${name} in ${space} is filled by ${engineText(producer)}`);
  }
  if (producer.engine === "store") report(`queue ${name} is filled by a store channel`);
}

interface Place {
  readonly program: Program;
  readonly report: Report;
  readonly path: readonly number[];
  readonly loops: readonly LoopHead[];
  readonly ids: Set<number>;
}

function checkNodes(nodes: readonly ProgramNode[], place: Place): void {
  nodes.forEach((node, i) => {
    const here = { ...place, path: [...place.path, i] };
    switch (node.kind) {
      case "loop":
        checkLoop(node.head, here);
        checkStages(node.head, node.body, here);
        checkNodes(node.body, { ...here, loops: [...place.loops, node.head] });
        break;
      case "barrier":
        if (place.loops.some((loop) => loop.over !== "time")) {
          here.report(here.path, "a barrier stands in a spatial loop, which some members may skip");
        }
        break;
      case "instruction":
        checkReferences(node.instruction, here);
        break;
      default:
        node satisfies never;
    }
  });
}

function checkLoop(head: LoopHead, { program, report, path, loops, ids }: Place): void {
  const say = (reason: string) => report(path, reason);
  if (ids.has(head.id)) say(`two loops have number ${head.id}`);
  ids.add(head.id);
  if (loops.length >= tileLimits.loopDepth) {
    say(`loops are more than ${tileLimits.loopDepth} deep`);
  }
  if (head.total.length === 0) return say("the loop has no total");
  if (!isCount(head.step, 1)) return say(`the step is ${head.step}`);
  const { minTotal, maxTotal } = head;
  if (!isCount(minTotal, 0) || !isCount(maxTotal, minTotal) || maxTotal > int32Max) {
    return say(`the total is limited to ${minTotal}..${maxTotal}`);
  }
  const before = affineProblems([head.start, ...head.total], loops, program.scalarCount);
  if (before.length > 0) return before.forEach(say);
  const bounds = boundsWithin(loops);
  const start = bounds.range(formOf(head.start));
  if (start.low < 0) say(`the loop may start at ${start.low}`);
  if (head.over === "time") return;
  if (loops.some((loop) => loop.over === "time")) say("a spatial loop stands in a temporal loop");
  if (loops.some((loop) => overlapping(loop.over, head.over))) {
    say(`it stands in another spatial loop over the same members`);
  }
  const places = placesAlong(program, head.over);
  const trips = bounds.trips(head).high;
  if (trips > places) say(`the spatial loop may make ${trips} trips for ${places} members`);
}

function overlapping(outer: LoopHead["over"], inner: LoopHead["over"]): boolean {
  return outer !== "time" && (outer === inner || outer === "members" || inner === "members");
}

function affineProblems(
  affines: readonly Affine[],
  loops: readonly LoopHead[],
  scalarCount: number,
): string[] {
  const problems: string[] = [];
  for (const { constant, terms } of affines) {
    if (!Number.isSafeInteger(constant)) problems.push(`${constant} is not a whole number`);
    for (const { coefficient, of, id } of terms) {
      if (!Number.isSafeInteger(coefficient)) {
        problems.push(`${coefficient} is not a whole number`);
      }
      if (of === "scalar" && !(id >= 0 && id < scalarCount)) {
        problems.push(`scalar ${id} is not among the ${scalarCount} of the launch`);
      }
      if (of !== "scalar" && !loops.some((loop) => loop.id === id)) {
        problems.push(`loop ${id} does not enclose its use`);
      }
    }
  }
  return problems;
}

/** All instructions of one node of a loop's body run in the same stage of that loop. */
function checkStages(head: LoopHead, body: readonly ProgramNode[], { report, path }: Place): void {
  body.forEach((node, i) => {
    const stages = new Set(stagesOf(node, head.id));
    if (stages.size > 1) {
      report([...path, i], `instructions of one loop are in different stages of loop ${head.name}`);
    }
    if (head.over !== "time" && [...stages].some((by) => by !== 0)) {
      report([...path, i], `spatial loop ${head.name} has stages`);
    }
  });
}

function stagesOf(node: ProgramNode, loop: number): number[] {
  if (node.kind === "barrier") return [0];
  if (node.kind === "loop") return node.body.flatMap((child) => stagesOf(child, loop));
  const { stage } = node.instruction;
  return [stage?.loop === loop ? stage.by : 0];
}

/** Everything that an instruction refers to exists. */
function checkReferences(instruction: Instruction, place: Place): void {
  const { program, loops, path, report } = place;
  const say = (reason: string) => report(path, reason);
  const encloses = (id: number) => loops.some((loop) => loop.id === id);
  const { stage } = instruction;
  if (stage !== undefined && (!encloses(stage.loop) || !isCount(stage.by, 0))) {
    say(`stage ${stage.by} of loop ${stage.loop}, which does not enclose the instruction`);
  }
  if (!(instruction.role in program.roles)) say(`role ${instruction.role} is not declared`);
  walkParts(instruction, {
    affine: (affine) => affineProblems([affine], loops, program.scalarCount).forEach(say),
    condition: (condition) => {
      for (const { loop } of condition.kind === "all" ? condition.terms : []) {
        if (!encloses(loop)) say(`loop ${loop} of a condition does not enclose the instruction`);
      }
    },
    queue: (queue) => {
      if (!(queue in program.queues)) say(`queue ${queue} is not declared`);
    },
    binding: (binding) => {
      if (!(binding in program.bindings)) say(`binding ${binding} is not declared`);
    },
  });
}

function checkSite(
  program: Program,
  site: Site,
  capacity: TileCapacity | undefined,
  report: Report,
): void {
  const say = (reason: string) => report(site.path, reason);
  const { instruction, engine } = site;
  const channels =
    engine.engine === "load"
      ? capacity?.loadChannels
      : engine.engine === "store"
        ? capacity?.storeChannels
        : 1;
  if (!isCount(instruction.channel, 0) || instruction.channel >= (channels ?? Infinity)) {
    say(`there is no channel ${instruction.channel}`);
  }
  checkSlots(program, site, say);
  for (const reason of bodyProblems(program, site)) say(reason);
}

function checkSlots(program: Program, site: Site, say: (reason: string) => void): void {
  const { instruction, engine, slots: accesses } = site;
  const reads: SlotSource[] = [];
  const writes: SlotDest[] = [];
  for (const { kind, slot } of accesses) (kind === "read" ? reads : writes).push(slot as never);
  const tokens = [...(instruction.waits ?? []), ...(instruction.signals ?? [])];
  for (const { queue } of tokens) {
    if (program.queues[queue]!.elements !== 0) say(`queue ${nameOf(queue)} is no token`);
  }
  for (const { slot } of accesses) {
    if (program.queues[slot.queue]!.elements === 0) say(`queue ${nameOf(slot.queue)} is a token`);
  }
  for (const { queue } of [...reads, ...(instruction.waits ?? [])]) {
    requireConsumer(queue);
  }
  for (const dest of [...writes, ...(instruction.signals ?? [])]) {
    const queue = program.queues[dest.queue]!;
    if (!dest.update) {
      if (!sameEngine(queue.producer, engine)) {
        say(`queue ${queue.name} is filled by ${engineText(queue.producer)} only`);
      }
      continue;
    }
    requireConsumer(dest.queue);
    if (queue.consumers.length > 1) say(`queue ${queue.name} is updated but has several consumers`);
    if (dest.publish.kind !== "never") say(`queue ${queue.name} is both updated and published`);
  }
  const moves = (slots: readonly (SlotSource | SlotDest)[]) =>
    slots
      .filter((slot) => ("pop" in slot ? slot.pop : slot.publish).kind !== "never")
      .map((slot) => slot.queue);
  for (const queue of repeated(moves([...reads, ...(instruction.waits ?? [])]))) {
    say(`two operands of one instruction pop queue ${nameOf(queue)}`);
  }
  for (const queue of repeated(moves([...writes, ...(instruction.signals ?? [])]))) {
    say(`two operands of one instruction publish queue ${nameOf(queue)}`);
  }

  function nameOf(queue: number): string {
    return program.queues[queue]!.name;
  }

  function requireConsumer(number: number): void {
    const queue = program.queues[number]!;
    if (!queue.consumers.some((consumer) => sameEngine(consumer, engine))) {
      say(`queue ${queue.name} is not read by ${engineText(engine)}`);
    }
  }
}

function repeated(numbers: readonly number[]): number[] {
  return [...new Set(numbers.filter((n, i) => numbers.indexOf(n) !== i))];
}
