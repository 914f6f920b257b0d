/** Random flows that are about queues rather than arithmetic: peeks, parts, fans, state, tokens. */
import { constantAffine, staticCount, type VecBody } from "../../../src/ir/tile.js";
import {
  always,
  never,
  type Condition,
  type EngineRef,
  type Instruction,
  type SlotDest,
  type SlotSource,
} from "../../../src/isa/program.js";
import type { LaneProgram } from "../../../src/numerics/lane.js";
import {
  addBinding,
  addQueue,
  allTypes,
  edges,
  favour,
  isSpatial,
  loadEngine,
  storeEngine,
  vector,
  type Context,
  type LoopInfo,
  type Nodes,
} from "./context.js";
import { randomLanes, registerOf } from "./lanes.js";
import { around, temporalLoop } from "./loops.js";
import {
  addTile,
  destOf,
  extentAxis,
  randomAxes,
  randomAxis,
  randomLayout,
  sourceOf,
  stridesAlong,
  updateOf,
  type Axis,
  type Tile,
} from "./tiles.js";
import { instruction, randomLoad, randomMulticast, randomStore } from "./transfers.js";
import { parallelVec } from "./vec-task.js";

type Vec = VecBody<SlotSource, SlotDest, Condition>;

/** Loaded, then stored as it is. */
export function copyTask(context: Context): Nodes {
  const { random } = context;
  const [channel, to] = [random.int(0, 3), random.int(0, 1)];
  const tile = addTile(context, randomLayout(context, randomAxes(context, 5)), {
    dtype: favour(context, allTypes, "slot"),
    producer: loadEngine(channel),
    consumers: [storeEngine(to)],
  });
  return [
    ...randomLoad(context, { tile, channel }),
    ...randomStore(context, { tile, source: sourceOf(tile, always), channel: to }),
  ];
}

/** A panel stays while one or two loops read it part by part: a peek, popped in the last trip of both. */
export function panelTask(context: Context): Nodes {
  const { random } = context;
  const rest = randomAxes(context, 2);
  const nodes: Nodes = [];
  const outside = [...context.loops];
  const read = (again: readonly LoopInfo[]) => (trip: LoopInfo) => {
    const inside = context.loops.splice(0, context.loops.length, ...outside);
    const { tile, load } = loadedPanel(context, trip.head.maxTotal, rest);
    context.loops.splice(0, context.loops.length, ...inside);
    nodes.push(...load);
    const part = extentAxis(trip);
    const [stride, ...others] = tile.strides;
    const source: SlotSource = {
      queue: tile.queue,
      offset: {
        constant: tile.offset,
        terms: [{ coefficient: stride!, of: "index", id: trip.head.id }],
      },
      pop: edges([...again, trip], "last"),
    };
    const given = { tile, pop: always, source, strides: [stride!, ...others] };
    return parallelVec(context, [part, ...rest], [given]);
  };
  const entered = { isEntered: true };
  const loop = random.chance(0.5)
    ? temporalLoop(context, entered, read([]))
    : temporalLoop(context, entered, (outer) => [temporalLoop(context, entered, read([outer]))]);
  return [...nodes, loop];
}

function loadedPanel(
  context: Context,
  size: number,
  rest: readonly Axis[],
): { readonly tile: Tile; readonly load: Nodes } {
  const channel = context.random.int(0, 3);
  const panel: Axis = { count: staticCount(size), isUniform: true };
  const tile = addTile(context, randomLayout(context, [panel, ...rest]), {
    dtype: favour(context, allTypes, "slot"),
    producer: loadEngine(channel),
    consumers: [vector],
  });
  return { tile, load: randomLoad(context, { tile, channel }) };
}

/** Two loads fill one slot, the second publishes it. */
export function concatTask(context: Context): Nodes {
  const { random } = context;
  const rest = randomAxes(context, 2);
  const [head, tail] = [random.int(1, 4), random.int(1, 4)];
  const whole: Axis = { count: staticCount(head + tail), isUniform: true };
  const channel = random.int(0, 3);
  const tile = addTile(context, randomLayout(context, [whole, ...rest]), {
    dtype: favour(context, allTypes, "slot"),
    producer: loadEngine(channel),
    consumers: [vector],
  });
  const part = (count: number, from: number): Tile => ({
    ...tile,
    axes: [{ count: staticCount(count), isUniform: true }, ...rest],
    offset: tile.offset + from * tile.strides[0]!,
  });
  const [first, second] = [part(head, 0), part(tail, head)];
  const delivery = randomMulticast(context, tile) ?? null;
  return [
    ...randomLoad(context, { tile: first, channel, dest: destOf(first, never), delivery }),
    ...randomLoad(context, { tile: second, channel, dest: destOf(second, always), delivery }),
    ...parallelVec(context, [whole, ...rest], [{ tile, pop: always }]),
  ];
}

/** One slot for several engines, each with a cursor of its own; one of them peeks first. */
export function fanTask(context: Context): Nodes {
  const { random } = context;
  const channel = random.int(0, 3);
  const axes = randomAxes(context, 3);
  const consumers: EngineRef[] = [vector, storeEngine(0), storeEngine(1)];
  const tile = addTile(context, randomLayout(context, axes), {
    dtype: favour(context, allTypes, "slot"),
    producer: loadEngine(channel),
    consumers: random.shuffled(consumers),
  });
  const nodes = randomLoad(context, { tile, channel });
  const readers = random.shuffled([
    () => parallelVec(context, axes, [{ tile, pop: always }]),
    () => [
      ...randomStore(context, { tile, source: sourceOf(tile, never), channel: 0 }),
      ...randomStore(context, { tile, source: sourceOf(tile, always), channel: 0 }),
    ],
    () => randomStore(context, { tile, source: sourceOf(tile, always), channel: 1 }),
  ]);
  return [...nodes, ...readers.flatMap((reader) => reader())];
}

/** A state that a loop rewrites in place, or hands from trip to trip through a ring. */
export function stateTask(context: Context): Nodes {
  const { random } = context;
  const axes = randomAxes(context, 2);
  const isRing = random.chance(0.5);
  const channel = random.int(0, 1);
  const state = addTile(context, randomLayout(context, axes), {
    dtype: random.chance(0.5) ? "f32" : favour(context, allTypes, "slot"),
    depth: isRing ? random.int(2, 3) : random.int(1, 2),
    producer: vector,
    consumers: [vector],
  });
  const initial = stateVec(context, axes, { into: state, dest: destOf(state, always) });
  const loop = temporalLoop(context, {}, () => {
    const source = sourceOf(state, isRing ? always : never);
    const dest = isRing ? destOf(state, always) : updateOf(state);
    return stateVec(context, axes, { into: state, dest, source });
  });
  const result = addTile(context, randomLayout(context, axes), {
    dtype: favour(context, allTypes, "slot"),
    producer: vector,
    consumers: [storeEngine(channel)],
  });
  return [
    ...initial,
    loop,
    ...stateVec(context, axes, {
      into: result,
      dest: destOf(result, always),
      source: sourceOf(state, always),
      from: state,
    }),
    ...randomStore(context, { tile: result, source: sourceOf(result, always), channel }),
  ];
}

interface StateVec {
  readonly into: Tile;
  readonly dest: SlotDest;
  /** The state as it is before. */
  readonly source?: SlotSource;
  readonly from?: Tile;
}

function stateVec(context: Context, axes: readonly Axis[], options: StateVec): Nodes {
  const { random } = context;
  const { into, dest, source, from = into } = options;
  const channel = random.int(0, 3);
  const more = addTile(context, randomLayout(context, axes), {
    dtype: favour(context, allTypes, "slot"),
    producer: loadEngine(channel),
    consumers: [vector],
  });
  const held = source === undefined ? [] : [{ source, strides: stridesAlong(from, axes) }];
  const inputs = [...held, { source: sourceOf(more, always), strides: stridesAlong(more, axes) }];
  const types = [...(source === undefined ? [] : [{ dtype: from.dtype }]), { dtype: more.dtype }];
  const program: LaneProgram = randomLanes(context, {
    inputs: types,
    axes: axes.length,
    carries: [],
    results: [registerOf(into.dtype)],
  });
  const body: Vec = {
    op: "vec",
    axes: axes.map(({ count }) => ({ kind: "parallel", count, base: constantAffine(0) })),
    inputs,
    program,
    carries: [],
    outputs: [{ dest, strides: stridesAlong(into, axes) }],
  };
  return [...randomLoad(context, { tile: more, channel }), instruction(body)];
}

/** What a store has written is loaded again, in the order that a token gives. */
export function tokenTask(context: Context): Nodes {
  const { random } = context;
  // Another trip would store while this one may still load.
  if (!context.loops.every(isSpatial)) return copyTask(context);
  const { tile, stored, loadBack } = roundTrip(context);
  const token = addQueue(context, {
    space: "l1",
    dtype: "u8",
    elements: 0,
    depth: random.int(1, 2),
    producer: storeEngine(stored.channel),
    consumers: [loadEngine(loadBack.channel)],
  });
  const freed = addQueue(context, {
    space: "l1",
    dtype: "u8",
    elements: 0,
    depth: random.int(2, 3),
    producer: loadEngine(loadBack.channel),
    consumers: [storeEngine(stored.channel)],
  });
  const slot = { offset: constantAffine(0) };
  const withTokens = (each: Instruction, tokens: Partial<Instruction>): Nodes[number] => ({
    kind: "instruction",
    instruction: { ...each, ...tokens },
  });
  const signal = (queue: number, publish: Condition): SlotDest => ({
    queue,
    ...slot,
    publish,
    update: false,
  });
  const wait = (queue: number, pop: Condition): SlotSource => ({ queue, ...slot, pop });
  const write = (waits: readonly SlotSource[]): Nodes => [
    ...tile.load,
    withTokens(stored, { waits, signals: [signal(token, always)] }),
  ];
  const read = (signals: readonly SlotDest[]): Nodes => [
    withTokens(loadBack, { waits: [wait(token, always)], signals }),
    ...tile.read,
  ];
  // The place is written again after it was read: the second token orders that.
  const second = [...write([wait(freed, always)]), ...read([])];
  return [...write([]), ...read([signal(freed, always)]), ...structuredClone(second)];
}

interface RoundTrip {
  readonly tile: { readonly load: Nodes; readonly read: Nodes };
  readonly stored: Instruction;
  readonly loadBack: Instruction;
}

/** A tile stored to a place of the member's own in a shared binding, and the load that reads it from there. */
function roundTrip(context: Context): RoundTrip {
  const { random, loops } = context;
  const size = random.int(1, 12);
  const axis = randomAxis(context, { max: size, loops: [], isStatic: true });
  const [from, to, back] = [random.int(0, 3), random.int(0, 1), random.int(0, 3)];
  const dtype = random.pick(["f32", "f16", "i32", "u8"] as const);
  const layout = { axes: [axis], strides: [1], offset: 0, elements: axis.count.max };
  const out = addTile(context, layout, {
    dtype,
    producer: loadEngine(from),
    consumers: [storeEngine(to)],
  });
  const again = addTile(context, layout, {
    dtype,
    producer: loadEngine(back),
    consumers: [vector],
  });
  let span = axis.count.max;
  const terms = loops.filter(isSpatial).map(({ head }) => {
    const coefficient = span;
    span *= head.maxTotal;
    return { coefficient, of: "index" as const, id: head.id };
  });
  const binding = addBinding(context, { dtype, elements: span, access: "shared" }, []);
  const memory = { binding, offset: { constant: 0, terms } };
  const axes = [{ count: axis.count, memoryStride: 1, slotStride: 1 }];
  return {
    tile: {
      load: randomLoad(context, { tile: out, channel: from }),
      read: parallelVec(context, [axis], [{ tile: again, pop: always }]),
    },
    stored: {
      body: { op: "store", axes, memory, source: sourceOf(out, always) },
      channel: to,
      role: 0,
    },
    loadBack: {
      body: { op: "load", axes, memory, dest: destOf(again, always), fill: 0 },
      channel: back,
      role: 0,
    },
  };
}

/** Slots published in all trips but the first, and popped in all but the last: one before and one behind the loops. */
export function laggingTask(context: Context): Nodes {
  const { random } = context;
  const axes = randomAxes(context, 2);
  const trips = random.int(2, 4);
  const channel = random.int(0, 3);
  const tile = addTile(context, randomLayout(context, axes), {
    dtype: favour(context, allTypes, "slot"),
    depth: trips,
    producer: loadEngine(channel),
    consumers: [vector],
  });
  const delivery = randomMulticast(context, tile) ?? null;
  const load = (publish: Condition): Nodes =>
    randomLoad(context, { tile, channel, dest: destOf(tile, publish), delivery });
  const read = (pop: Condition): Nodes => parallelVec(context, axes, [{ tile, pop }]);
  return [
    ...load(always),
    around(context, fixedLoop(context, trips), ({ head }) => load(not(head.id, "first"))),
    around(context, fixedLoop(context, trips), ({ head }) => read(not(head.id, "last"))),
    ...read(always),
  ];
}

function not(loop: number, edge: "first" | "last"): Condition {
  return { kind: "all", terms: [{ loop, edge, negated: true }] };
}

function fixedLoop(context: Context, trips: number): LoopInfo {
  const id = context.ids.loop++;
  const step = context.random.int(1, 2);
  const end = trips * step;
  const head: LoopInfo["head"] = {
    id,
    name: `t${id}`,
    over: "time",
    start: constantAffine(0),
    total: [constantAffine(end)],
    minTotal: end,
    maxTotal: end,
    step,
  };
  return { head, isUniform: true };
}
