/** Random loads and stores: every form of walk, always inside their bindings. */
import {
  staticCount,
  type Affine,
  type AffineTerm,
  type Count,
  type Delivery,
  type IndexOperand,
  type LoadBody,
  type StoreBody,
  type TransferAxis,
} from "../../../src/ir/tile.js";
import {
  always,
  type Instruction,
  type SlotDest,
  type SlotSource,
} from "../../../src/isa/program.js";
import type { DeviceDType } from "../../../src/numerics/dtype.js";
import {
  addBinding,
  addScalar,
  allTypes,
  favour,
  floatTypes,
  isFloatType,
  isSpatial,
  loadEngine,
  randomContents,
  storeEngine,
  type Context,
  type LoopInfo,
  type Nodes,
} from "./context.js";
import { addTile, destOf, randomLayout, sourceOf, type Axis, type Tile } from "./tiles.js";

/** How one axis lies in memory. */
interface Dimension {
  /** Positions in memory. */
  readonly size: number;
  readonly clip?: NonNullable<TransferAxis["clip"]>;
  readonly indexed?: true;
}

export interface LoadOptions {
  readonly tile: Tile;
  readonly channel: number;
  readonly dest?: SlotDest;
  /** Absent: the member itself, or perhaps a multicast; null: the member itself. */
  readonly delivery?: Delivery | null;
  readonly isPlain?: boolean;
}

/** A load of a tile from a binding of its own, with the load of its index before it if it has one. */
export function randomLoad(context: Context, options: LoadOptions): Nodes {
  const { random } = context;
  const { tile, channel } = options;
  const delivery =
    options.delivery === undefined ? randomMulticast(context, tile) : options.delivery;
  const multicast = delivery?.kind === "multicast" ? delivery : undefined;
  const loops = context.loops.filter(({ head }) => head.id !== multicast?.loop);
  const isPlain = options.isPlain === true;
  const dimensions = tile.axes.map((axis) => randomDimension(context, axis, loops, isPlain));
  const before: Nodes = [];
  const indexAxis =
    isPlain || tile.axes.length === 0 || !random.chance(0.2)
      ? undefined
      : random.int(0, tile.axes.length - 1);
  let index: IndexOperand<SlotSource> | undefined;
  if (indexAxis !== undefined) {
    dimensions[indexAxis] = { size: random.int(1, 9), indexed: true };
    index = indexOperand(
      context,
      {
        tile,
        axis: indexAxis,
        loops,
        engine: loadEngine(channel),
        before,
        ...(multicast && { multicast }),
      },
      dimensions[indexAxis]!.size,
    );
  }
  const isQuantized = !isPlain && isFloatType(tile.dtype) && random.chance(0.15);
  const dtype = isQuantized
    ? random.pick(["i16", "u16", "i8", "u8", "i4", "u4", "f8e4m3fn"] as const)
    : random.chance(0.5)
      ? tile.dtype
      : favour(context, allTypes, "memory");
  const walk = randomWalk(context, tile, dimensions, { loops, mayOverlap: true });
  const contents = randomContents(context, dtype, walk.elements);
  const binding = addBinding(context, { dtype, elements: walk.elements, access: "read" }, contents);
  const body: LoadBody<SlotSource, SlotDest> = {
    op: "load",
    axes: walk.axes,
    memory: { binding, offset: walk.offset },
    dest: options.dest ?? destOf(tile, always),
    fill: randomFill(context, tile.dtype),
    ...(index && { index }),
    ...(isQuantized && { dequantize: randomDequantize(context, tile, loops) }),
    ...(delivery && { delivery }),
  };
  return [...before, instruction(body, channel)];
}

/** One load for all members along a spatial loop, where they all make the same trips. */
export function randomMulticast(
  context: Context,
  tile: Tile,
): Extract<Delivery, { readonly kind: "multicast" }> | undefined {
  const { random, loops } = context;
  const spatial = loops.filter(isSpatial);
  if (spatial.length === 0 || !random.chance(0.2) || !isInStep(context, tile)) return undefined;
  return { kind: "multicast", loop: random.pick(spatial).head.id };
}

/** All members make the same trips here and have tiles of the same size. */
function isInStep({ loops }: Context, tile: Tile): boolean {
  return loops.every((loop) => loop.isUniform) && tile.axes.every((axis) => axis.isUniform);
}

export function instruction(body: Instruction["body"], channel = 0): Nodes[number] {
  return { kind: "instruction", instruction: { body, channel, role: 0 } };
}

function randomFill(context: Context, dtype: DeviceDType): number {
  const { random } = context;
  if (dtype === "bool") return random.int(0, 1);
  if (isFloatType(dtype)) return random.pick([0, 0, 1, -2.5, -Infinity, Math.fround(0.1), 1e6]);
  return random.int(0, 7);
}

function randomDimension(
  context: Context,
  axis: Axis,
  loops: readonly LoopInfo[],
  isPlain: boolean,
): Dimension {
  const { random } = context;
  const { max } = axis.count;
  if (isPlain || !random.chance(0.25)) return { size: max };
  const size = random.int(1, max + 2);
  const step = random.pick([1, 1, 2, -1]);
  const origin: Affine = {
    constant: random.int(-2, 2) + (step < 0 ? max - 1 : 0),
    terms:
      loops.length > 0 && random.chance(0.4)
        ? [indexTerm(random.pick(loops), random.pick([1, 2, -1]))]
        : [],
  };
  return { size, clip: { origin, step, limit: randomLimit(context, size) } };
}

function randomLimit(context: Context, size: number): Count {
  if (!context.random.chance(0.3)) return staticCount(size);
  const id = addScalar(context, 0, size, true);
  return { value: { constant: 0, terms: [{ coefficient: 1, of: "scalar", id }] }, max: size };
}

function indexTerm({ head }: LoopInfo, coefficient: number): AffineTerm {
  return { coefficient, of: "index", id: head.id };
}

interface Walk {
  readonly axes: readonly TransferAxis[];
  readonly offset: Affine;
  readonly elements: number;
}

interface WalkOptions {
  readonly loops: readonly LoopInfo[];
  /** Loads may touch an element twice, stores not. */
  readonly mayOverlap: boolean;
}

function randomWalk(
  context: Context,
  tile: Tile,
  dimensions: readonly Dimension[],
  { loops, mayOverlap }: WalkOptions,
): Walk {
  const { random } = context;
  const units = dimensions.map(() => 0);
  let span = 1;
  let base = 0;
  const order = [...dimensions.keys()].reverse();
  for (const axis of random.chance(0.6) ? order : random.shuffled(order)) {
    const { size } = dimensions[axis]!;
    if (mayOverlap && random.chance(0.1)) continue;
    units[axis] = mayOverlap && random.chance(0.1) ? 1 : span;
    const reach = units[axis]! * (size - 1);
    span = Math.max(span, span + reach);
    if (units[axis] !== 0 && random.chance(0.15)) {
      units[axis] = -units[axis]!;
      base += reach;
    }
  }
  const terms: AffineTerm[] = [];
  for (const loop of loops.toSorted((a, b) => Number(isSpatial(a)) - Number(isSpatial(b)))) {
    const isNeeded = !mayOverlap && isSpatial(loop);
    if (!isNeeded && random.chance(0.3)) continue;
    // Two members never store to one byte, also where elements are smaller.
    if (!mayOverlap && isSpatial(loop)) span = 2 * Math.ceil(span / 2);
    const isDense = isNeeded || (span < 2000 && random.chance(0.7));
    const coefficient = isDense ? span : random.int(1, 3);
    terms.push(indexTerm(loop, coefficient));
    span += coefficient * Math.max(0, loop.head.maxTotal - 1);
  }
  const margin = random.chance(0.2) ? 2 * random.int(1, 3) : 0;
  let offset: Affine = { constant: base + margin, terms };
  const axes = tile.axes.map((axis, i): TransferAxis => {
    const { clip } = dimensions[i]!;
    const unit = units[i]!;
    const stride = { count: axis.count, slotStride: tile.strides[i]! };
    if (clip === undefined) return { ...stride, memoryStride: unit };
    offset = plus(offset, clip.origin, unit);
    return { ...stride, memoryStride: unit === 0 ? 0 : unit * clip.step, clip };
  });
  return { axes, offset, elements: span + margin + random.int(0, 2) };
}

function plus(a: Affine, b: Affine, scale: number): Affine {
  if (scale === 0) return a;
  return {
    constant: a.constant + b.constant * scale,
    terms: [...a.terms, ...b.terms.map((t) => ({ ...t, coefficient: t.coefficient * scale }))],
  };
}

interface IndexOptions {
  readonly tile: Tile;
  readonly axis: number;
  readonly loops: readonly LoopInfo[];
  readonly engine: ReturnType<typeof loadEngine>;
  /** Where the load of the index goes. */
  readonly before: Nodes;
  /** The members that get the data of one need one index. */
  readonly multicast?: Delivery;
}

function indexOperand(
  context: Context,
  options: IndexOptions,
  size: number,
): IndexOperand<SlotSource> {
  const { random } = context;
  const { tile, axis, loops, engine, before, multicast } = options;
  const axes = tile.axes.filter((_, i) => i === axis || random.chance(0.25));
  const channel = random.int(0, 3);
  const slot = addTile(context, randomLayout(context, axes), {
    dtype: "i32",
    producer: loadEngine(channel),
    consumers: [engine],
  });
  const plain = slot.axes.map((each) => ({ size: each.count.max }));
  const walk = randomWalk(context, slot, plain, { loops, mayOverlap: true });
  const contents = Array.from({ length: walk.elements }, () =>
    random.chance(0.03) ? random.pick([-1, size, size + 7, -(2 ** 31)]) : random.int(0, size - 1),
  );
  const binding = addBinding(
    context,
    { dtype: "i32", elements: walk.elements, access: "read" },
    contents,
  );
  const memory = { binding, offset: walk.offset };
  before.push(
    instruction(
      {
        op: "load",
        axes: walk.axes,
        memory,
        dest: destOf(slot, always),
        fill: 0,
        ...(multicast && { delivery: multicast }),
      },
      channel,
    ),
  );
  return {
    axis,
    source: sourceOf(slot, always),
    strides: tile.axes.map((each) => {
      const at = slot.axes.indexOf(each);
      return at < 0 ? 0 : slot.strides[at]!;
    }),
    extent: randomLimit(context, size),
  };
}

type Dequantize = NonNullable<LoadBody<SlotSource, SlotDest>["dequantize"]>;

function randomDequantize(context: Context, tile: Tile, loops: readonly LoopInfo[]): Dequantize {
  const { random } = context;
  const walkOf = (dtype: DeviceDType): Dequantize["scale"] => {
    const plain = tile.axes.map((axis) => ({ size: axis.count.max }));
    const walk = randomWalk(context, tile, plain, { loops, mayOverlap: true });
    const contents = randomContents(context, dtype, walk.elements);
    const binding = addBinding(
      context,
      { dtype, elements: walk.elements, access: "read" },
      contents,
    );
    const strides = walk.axes.map((axis) => axis.memoryStride);
    return { memory: { binding, offset: walk.offset }, strides };
  };
  const scale = walkOf(random.pick(["f32", "f32", ...floatTypes]));
  if (random.chance(0.4)) return { scale };
  return { scale, zero: walkOf(random.pick(["i16", "u16", "i8", "u8", "i4", "u4", "i32", "f32"])) };
}

export interface StoreOptions {
  readonly tile: Tile;
  readonly source: SlotSource;
  readonly channel: number;
}

/** A store of a tile to a binding of its own, where every member has a part. */
export function randomStore(context: Context, { tile, source, channel }: StoreOptions): Nodes {
  const { random, loops } = context;
  const dimensions = tile.axes.map((axis) => randomDimension(context, axis, loops, false));
  const before: Nodes = [];
  let index: IndexOperand<SlotSource> | undefined;
  if (tile.axes.length > 0 && random.chance(0.25)) {
    const axis = random.int(0, tile.axes.length - 1);
    dimensions[axis] = { size: random.int(1, 9), indexed: true };
    index = indexOperand(
      context,
      { tile, axis, loops, engine: storeEngine(channel), before },
      dimensions[axis]!.size,
    );
  }
  const combines = random.chance(index === undefined ? 0.2 : 0.7);
  const combine = favour(context, ["add", "mul", "min", "max"] as const, "slot");
  const dtype = random.chance(0.5) ? tile.dtype : favour(context, allTypes, "memory");
  const walk = randomWalk(context, tile, dimensions, { loops, mayOverlap: false });
  const contents = randomContents(context, dtype, walk.elements);
  const access = random.chance(0.9) ? "write" : "shared";
  const binding = addBinding(context, { dtype, elements: walk.elements, access }, contents);
  const body: StoreBody<SlotSource> = {
    op: "store",
    axes: walk.axes,
    memory: { binding, offset: walk.offset },
    source,
    ...(index && { index }),
    ...(combines && { combine }),
  };
  return [...before, instruction(body, channel)];
}
