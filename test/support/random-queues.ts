/**
 * Random programs that are about queues: loops of every kind, slots filled in parts and popped late, stages, remote
 * pushes, engines shared by several queues. Written balanced, then broken in a few places with some probability.
 */
import { type Affine, constantAffine, type LoopHead, staticCount } from "../../src/ir/tile.js";
import type {
  Condition,
  ConditionTerm,
  EngineRef,
  Instruction,
  Program,
  Queue,
  SlotDest,
  SlotSource,
} from "../../src/isa/program.js";
import { always, never } from "../../src/isa/program.js";
import { Random } from "./random.js";

interface Draft {
  readonly random: Random;
  readonly queues: Queue[];
  readonly heads: LoopHead[];
  readonly grid: { readonly rows: number; readonly columns: number };
}

interface Loop {
  kind: "loop";
  head: LoopHead;
  body: Node[];
}

type Node = Loop | { kind: "instruction"; instruction: Instruction };

export interface RandomQueues {
  readonly program: Program;
  readonly isBroken: boolean;
}

export function randomQueues(seed: number): RandomQueues {
  const random = new Random(seed);
  const grid = { rows: random.integer(1, 3), columns: random.integer(1, 2) };
  const draft: Draft = { random, queues: [], heads: [], grid };
  const body = spatialNest(draft);
  const innermost = innermostSpatial(body);
  for (let i = random.integer(1, 4); i > 0; i--) connect(draft, innermost.list, innermost.loops);
  if (random.chance(0.4)) addStages(draft, innermost.list);
  if (random.chance(0.5)) mergeVectors(innermost.list);
  const isBroken = random.chance(0.6);
  if (isBroken) for (let i = random.integer(1, 2); i > 0; i--) mutate(draft, body);
  const program: Program = {
    name: `random ${seed}`,
    grid,
    scalarCount: 2,
    bindings: [
      { name: "x", dtype: "f32", elements: 64, access: "read" },
      { name: "y", dtype: "f32", elements: 64, access: "write" },
    ],
    queues: draft.queues,
    body,
    roles: ["r"],
  };
  return { program, isBroken };
}

function spatialNest(draft: Draft): Node[] {
  const { random, grid } = draft;
  const wanted: ("rows" | "columns" | "members")[] = random.pick([
    [],
    ["rows"],
    ["columns"],
    ["rows", "columns"],
    ["members"],
  ]);
  let body: Node[] = temporalBody(draft, [], 2);
  for (const over of wanted.toReversed()) {
    const places = { ...grid, members: grid.rows * grid.columns }[over];
    const size = random.chance(0.6) ? places : random.integer(1, places);
    const free = random.chance(0.2);
    const head: LoopHead = {
      ...newHead(draft),
      over,
      total: [free ? scalar(random.integer(0, 1)) : constantAffine(size)],
      minTotal: free ? random.integer(0, 1) : size,
      maxTotal: size,
    };
    body = [{ kind: "loop", head, body }];
  }
  return body;
}

function innermostSpatial(body: Node[]): { list: Node[]; loops: LoopHead[] } {
  const loops: LoopHead[] = [];
  let list = body;
  for (;;) {
    const spatial = list.find(
      (node): node is Loop => node.kind === "loop" && node.head.over !== "time",
    );
    if (spatial === undefined) return { list, loops };
    loops.push(spatial.head);
    list = spatial.body;
  }
}

function temporalBody(draft: Draft, outer: readonly LoopHead[], depth: number): Node[] {
  const { random } = draft;
  if (depth === 0) return [];
  return Array.from({ length: random.integer(1, 3) }, (): Node => {
    const head = temporalHead(draft, outer);
    return { kind: "loop", head, body: temporalBody(draft, [...outer, head], depth - 1) };
  });
}

function scalar(id: number): Affine {
  return { constant: 0, terms: [{ coefficient: 1, of: "scalar", id }] };
}

function newHead(draft: Draft): LoopHead {
  const id = draft.heads.length;
  const head: LoopHead = {
    id,
    name: `l${id}`,
    over: "time",
    start: constantAffine(0),
    total: [constantAffine(2)],
    minTotal: 0,
    maxTotal: 2,
    step: 1,
  };
  draft.heads.push(head);
  return head;
}

function temporalHead(draft: Draft, outer: readonly LoopHead[]): LoopHead {
  const { random } = draft;
  const like = draft.heads.filter((head) => head.over === "time" && isOver(head, outer));
  const base = newHead(draft);
  const head: LoopHead =
    like.length > 0 && random.chance(0.4)
      ? { ...random.pick(like), id: base.id, name: base.name }
      : { ...base, ...randomRange(random, outer) };
  draft.heads[base.id] = head;
  return head;
}

function isOver(head: LoopHead, outer: readonly LoopHead[]): boolean {
  return head.total.every(({ terms }) =>
    terms.every((t) => t.of === "scalar" || outer.some((loop) => loop.id === t.id)),
  );
}

function randomRange(random: Random, outer: readonly LoopHead[]): Partial<LoopHead> {
  const maxTotal = random.integer(1, 5);
  const minTotal = random.pick([0, 1, 1, maxTotal]);
  const step = random.pick([1, 1, 2, 3]);
  const kind = random.pick(["constant", "scalar", "outer"]);
  if (kind === "outer" && outer.length > 0) {
    const { id } = random.pick(outer);
    const terms = [{ coefficient: 1, of: random.pick(["index", "extent"] as const), id }];
    const total = [{ constant: random.integer(0, 2), terms }];
    return { total, minTotal: Math.min(minTotal, 1), maxTotal, step };
  }
  if (kind === "scalar") {
    return { total: [scalar(random.integer(0, 1))], minTotal, maxTotal, step };
  }
  const total = random.integer(0, maxTotal);
  return { total: [constantAffine(total)], minTotal: 0, maxTotal, step };
}

/** A queue from one place to a later one in some list of nodes, both perhaps inside loops of their own. */
function connect(draft: Draft, top: Node[], spatial: readonly LoopHead[]): void {
  const { random, queues } = draft;
  let list = top;
  for (;;) {
    const loops = list.filter((node): node is Loop => node.kind === "loop");
    if (loops.length === 0 || random.chance(0.4)) break;
    list = random.pick(loops).body;
  }
  const queue = queues.length;
  const isLoaded = random.chance(0.6);
  const producer: EngineRef = isLoaded
    ? { engine: "load", channel: random.integer(0, 1) }
    : { engine: "vector" };
  const consumers: EngineRef[] = random.pick([
    [{ engine: "vector" }],
    [{ engine: "store", channel: random.integer(0, 1) }],
    [{ engine: "vector" }, { engine: "store", channel: 0 }],
  ]);
  const depth = random.integer(1, 3);
  const offsetBytes = 64 * queue;
  queues.push({
    name: `q${queue}`,
    space: "l1",
    dtype: "f32",
    elements: 4,
    depth,
    offsetBytes,
    producer,
    consumers,
  });
  const at = random.integer(0, list.length);
  const delivery = isLoaded && random.chance(0.3) ? randomDelivery(random, spatial) : {};
  placeWithin(draft, list, at, (loops) => fillOf(draft, { queue, producer, loops, delivery }));
  for (const consumer of consumers) {
    const after = random.integer(at + 1, list.length);
    placeWithin(draft, list, after, (loops) => readOf(queue, consumer, atLast(loops)));
    if (random.chance(0.2)) list.splice(at + 1, 0, instruct(readOf(queue, consumer, never)));
  }
}

function randomDelivery(random: Random, spatial: readonly LoopHead[]) {
  const along = spatial.length === 0 ? undefined : random.pick(spatial);
  if (along === undefined || along.over === "members") return {};
  const kind = random.pick(["multicast", "gather", "neighbour"] as const);
  if (kind !== "neighbour") return { delivery: { kind, loop: along.id } };
  const by = random.pick([1, -1] as const);
  const { over: axis } = along;
  if (axis === "time") return {};
  return { delivery: { kind, axis, by, wrap: true } };
}

/** Puts an instruction into a list at a place, or into the loop that stands there, and so on. */
function placeWithin(
  draft: Draft,
  list: Node[],
  at: number,
  make: (loops: readonly LoopHead[]) => Instruction,
): void {
  const loops: LoopHead[] = [];
  let place = list;
  let index = at;
  for (;;) {
    const node = place[index];
    if (node?.kind !== "loop" || draft.random.chance(0.4)) break;
    loops.push(node.head);
    place = node.body;
    index = draft.random.integer(0, place.length);
  }
  place.splice(index, 0, instruct(make(loops)));
}

function instruct(instruction: Instruction): Node {
  return { kind: "instruction", instruction };
}

function at(loops: readonly LoopHead[], edge: ConditionTerm["edge"]): Condition {
  if (loops.length === 0) return always;
  return {
    kind: "all",
    terms: loops.map(({ id }) => ({ loop: id, edge, negated: false })),
  };
}

const atLast = (loops: readonly LoopHead[]) => at(loops, "last");

interface FillOptions {
  readonly queue: number;
  readonly producer: EngineRef;
  readonly loops: readonly LoopHead[];
  readonly delivery: Partial<Extract<Instruction["body"], { op: "load" }>>;
}

function fillOf(draft: Draft, { queue, producer, loops, delivery }: FillOptions): Instruction {
  const { random } = draft;
  const moving = loops.filter(() => random.chance(0.2)).slice(0, 1);
  const terms = moving.map(({ id }) => ({ coefficient: 1, of: "index" as const, id }));
  const offset = { constant: 0, terms };
  const dest: SlotDest = { queue, offset, publish: atLast(loops), update: false };
  if (producer.engine === "load") {
    const axes = [{ count: staticCount(1), memoryStride: 1, slotStride: 1 }];
    const memory = { binding: 0, offset: constantAffine(0) };
    const body = { op: "load" as const, axes, memory, dest, fill: 0, ...delivery };
    return { body, channel: producer.channel, role: 0 };
  }
  const rest = loops.filter((loop) => !moving.includes(loop));
  const init = random.chance(0.3) ? always : at(rest, "first");
  const reduce = { reduction: "max" as const, phase: constantAffine(0), init };
  return {
    body: {
      op: "vec",
      axes: [{ kind: "reduce", count: staticCount(1), base: constantAffine(0) }],
      inputs: [],
      program: { instructions: [{ op: "constF", args: [], imm: 1, type: "f32" }], results: [0] },
      carries: [],
      outputs: [{ dest, strides: [0], ...(random.chance(0.6) ? { reduce } : {}) }],
    },
    channel: 0,
    role: 0,
  };
}

function readOf(queue: number, consumer: EngineRef, pop: Condition): Instruction {
  const source: SlotSource = { queue, offset: constantAffine(0), pop };
  if (consumer.engine === "store") {
    const axes = [{ count: staticCount(1), memoryStride: 1, slotStride: 1 }];
    const memory = { binding: 1, offset: constantAffine(0) };
    return { body: { op: "store", axes, memory, source }, channel: consumer.channel, role: 0 };
  }
  return {
    body: {
      op: "vec",
      axes: [{ kind: "reduce", count: staticCount(1), base: constantAffine(0) }],
      inputs: [{ source, strides: [0] }],
      program: { instructions: [], results: [] },
      carries: [],
      outputs: [],
    },
    channel: 0,
    role: 0,
  };
}

/** Everything from some place on in some loop runs one or two trips late. */
function addStages(draft: Draft, top: Node[]): void {
  const loops = top.filter((node): node is Loop => node.kind === "loop");
  if (loops.length === 0) return;
  const { head, body } = draft.random.pick(loops);
  const from = draft.random.integer(0, body.length);
  const by = draft.random.integer(1, 2);
  const late = (node: Node): Node =>
    node.kind === "loop"
      ? { ...node, body: node.body.map(late) }
      : { ...node, instruction: { ...node.instruction, stage: { loop: head.id, by } } };
  body.splice(from, body.length - from, ...body.slice(from).map(late));
}

/** Neighbouring vector instructions become one, which takes all their slots at once. */
function mergeVectors(list: Node[]): void {
  for (let i = 0; i < list.length; i++) {
    const [a, b] = [list[i]!, list[i + 1]];
    if (a.kind === "loop") {
      mergeVectors(a.body);
      continue;
    }
    if (b?.kind !== "instruction") continue;
    const [first, second] = [a.instruction.body, b.instruction.body];
    if (first.op !== "vec" || second.op !== "vec" || first.outputs.length > 0) continue;
    const body = { ...second, inputs: [...first.inputs, ...second.inputs] };
    list.splice(i, 2, instruct({ ...b.instruction, body }));
  }
}

/** Breaks something, or not: an instruction less, other conditions, another order, another stage. */
function mutate(draft: Draft, body: Node[]): void {
  const { random } = draft;
  const lists: Node[][] = [];
  const collect = (list: Node[]): void => {
    lists.push(list);
    for (const node of list) if (node.kind === "loop") collect(node.body);
  };
  collect(body);
  const list = random.pick(lists.filter((l) => l.length > 0));
  const place = random.integer(0, list.length - 1);
  const node = list[place]!;
  switch (random.integer(0, 4)) {
    case 0:
      if (node.kind === "instruction") list.splice(place, 1);
      return;
    case 1:
      if (place > 0) [list[place - 1], list[place]] = [node, list[place - 1]!];
      return;
    case 2: {
      const queue = random.integer(0, draft.queues.length - 1);
      draft.queues[queue] = { ...draft.queues[queue]!, depth: 1 };
      return;
    }
    case 3:
      if (node.kind === "loop" && node.head.over === "time") {
        node.head = { ...node.head, minTotal: 0 };
      }
      return;
    default:
      if (node.kind === "instruction")
        list[place] = instruct(otherConditions(random, node.instruction));
  }
}

/** One condition is changed: negated, moved to the other edge, dropped. */
function otherConditions(random: Random, instruction: Instruction): Instruction {
  const change = (condition: Condition): Condition => {
    if (condition.kind !== "all" || random.chance(0.3)) return random.pick([always, never]);
    const at = random.integer(0, condition.terms.length - 1);
    const terms = condition.terms.map((term, i) => {
      if (i !== at) return term;
      return random.chance(0.5)
        ? { ...term, negated: !term.negated }
        : { ...term, edge: term.edge === "first" ? ("last" as const) : ("first" as const) };
    });
    return { kind: "all", terms };
  };
  const { body } = instruction;
  switch (body.op) {
    case "load": {
      const dest = { ...body.dest, publish: change(body.dest.publish) };
      return { ...instruction, body: { ...body, dest } };
    }
    case "store": {
      const source = { ...body.source, pop: change(body.source.pop) };
      return { ...instruction, body: { ...body, source } };
    }
    case "vec": {
      const inputs = body.inputs.map((input) => ({
        ...input,
        source: { ...input.source, pop: change(input.source.pop) },
      }));
      const outputs = body.outputs.map((output) => ({
        ...output,
        dest: { ...output.dest, publish: change(output.dest.publish) },
      }));
      return { ...instruction, body: { ...body, inputs, outputs } };
    }
    case "mma":
      return instruction;
    default:
      return body satisfies never;
  }
}
