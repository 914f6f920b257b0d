/** Random loads whose data go to other members. */
import { constantAffine, staticCount, type Delivery } from "../../../src/ir/tile.js";
import { always, type SlotDest } from "../../../src/isa/program.js";
import {
  allTypes,
  favour,
  isSpatial,
  loadEngine,
  vector,
  type Context,
  type LoopInfo,
  type Nodes,
} from "./context.js";
import { copyTask } from "./flow-tasks.js";
import { around } from "./loops.js";
import { addTile, randomAxes, randomLayout, type Axis, type Tile } from "./tiles.js";
import { randomLoad } from "./transfers.js";
import { parallelVec } from "./vec-task.js";

/** Loads that go to other members: to a neighbour, or a part to all along a loop. */
export function pushTask(context: Context): Nodes {
  const full = context.loops.filter((loop) => isSpatial(loop) && isFull(context, loop));
  const spatial = context.loops.filter(isSpatial);
  const isInTrips = context.loops.every((loop) => loop.isUniform);
  if (!isInTrips || spatial.length === 0 || full.length !== spatial.length)
    return copyTask(context);
  return context.random.chance(0.5)
    ? neighbourTask(context, spatial)
    : gatherTask(context, spatial);
}

/** Every member has a trip whatever the scalars are. */
function isFull({ grid }: Context, { head }: LoopInfo): boolean {
  const places = { time: 0, ...grid, members: grid.rows * grid.columns }[head.over];
  return head.minTotal === head.maxTotal && Math.ceil(head.maxTotal / head.step) === places;
}

function uniformAxes(context: Context): Axis[] {
  return randomAxes(
    context,
    3,
    context.loops.filter((loop) => loop.isUniform && !isSpatial(loop)),
  );
}

function neighbourTask(context: Context, spatial: readonly LoopInfo[]): Nodes {
  const { random } = context;
  const along = spatial.filter(({ head }) => head.over !== "members");
  if (along.length === 0) return copyTask(context);
  const loop = random.pick(along);
  const axis = loop.head.over === "rows" ? "rows" : "columns";
  const by = random.pick([1, -1] as const);
  const wrap = random.chance(0.5);
  const delivery: Delivery = { kind: "neighbour", axis, by, wrap };
  const axes = uniformAxes(context);
  const channel = random.int(0, 3);
  const tile = addTile(context, randomLayout(context, axes), {
    dtype: favour(context, allTypes, "slot"),
    producer: loadEngine(channel),
    consumers: [vector],
  });
  const load = randomLoad(context, { tile, channel, delivery });
  const read = (): Nodes => parallelVec(context, axes, [{ tile, pop: always }]);
  if (wrap) return [...load, ...read()];
  return [...load, around(context, receiverLoop(context, loop, by), read)];
}

/** One trip for the members that get something, none at the edge. */
function receiverLoop(context: Context, { head }: LoopInfo, by: 1 | -1): LoopInfo {
  const id = context.ids.loop++;
  const indexMax = (Math.ceil(head.maxTotal / head.step) - 1) * head.step;
  const total = {
    constant: by === 1 ? 0 : indexMax,
    terms: [{ coefficient: by, of: "index" as const, id: head.id }],
  };
  return {
    head: {
      id,
      name: `t${id}`,
      over: "time",
      start: constantAffine(0),
      total: [total],
      minTotal: 0,
      maxTotal: 1,
      step: 1,
    },
    isUniform: false,
  };
}

function gatherTask(context: Context, spatial: readonly LoopInfo[]): Nodes {
  const { random } = context;
  const { head } = random.pick(spatial);
  const axes = uniformAxes(context);
  const parts: Axis = {
    count: staticCount(Math.ceil(head.maxTotal / head.step)),
    isUniform: true,
  };
  const channel = random.int(0, 3);
  const inner = randomLayout(context, axes);
  // Parts lie one trip's index apart, so that the offset is affine in the index.
  const pitch = Math.ceil(inner.elements / head.step);
  const stride = pitch * head.step;
  const layout = {
    axes: [parts, ...axes],
    strides: [stride, ...inner.strides],
    offset: inner.offset,
    elements: stride * parts.count.max + inner.elements,
  };
  const tile = addTile(context, layout, {
    dtype: favour(context, allTypes, "slot"),
    producer: loadEngine(channel),
    consumers: [vector],
  });
  const dest: SlotDest = {
    queue: tile.queue,
    offset: {
      constant: tile.offset,
      terms: [{ coefficient: pitch, of: "index", id: head.id }],
    },
    publish: always,
    update: false,
  };
  const part: Tile = { ...tile, axes, strides: inner.strides };
  return [
    ...randomLoad(context, {
      tile: part,
      channel,
      dest,
      delivery: { kind: "gather", loop: head.id },
    }),
    ...parallelVec(context, [parts, ...axes], [{ tile, pop: always }]),
  ];
}
