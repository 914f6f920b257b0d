/** Random axes and the slots that hold tiles over them. */
import { constantAffine, staticCount, type Count } from "../../../src/ir/tile.js";
import {
  never,
  type Condition,
  type EngineRef,
  type SlotDest,
  type SlotSource,
} from "../../../src/isa/program.js";
import type { DeviceDType } from "../../../src/numerics/dtype.js";
import { addQueue, addScalar, isSpatial, type Context, type LoopInfo } from "./context.js";

/** An axis of a tile; tiles that have it in common have the same number of elements along it. */
export interface Axis {
  readonly count: Count;
  /** Its count is the same on all members. */
  readonly isUniform: boolean;
}

export interface Layout {
  readonly axes: readonly Axis[];
  readonly strides: readonly number[];
  readonly offset: number;
  readonly elements: number;
}

export interface Tile extends Layout {
  readonly queue: number;
  readonly dtype: DeviceDType;
}

export interface AxisOptions {
  readonly max: number;
  /** Loops whose extents may be its count. */
  readonly loops: readonly LoopInfo[];
  readonly isStatic?: boolean;
}

export function randomAxis(context: Context, { max, loops, isStatic }: AxisOptions): Axis {
  const { random } = context;
  if (isStatic !== true) {
    const fitting = loops.filter(({ head }) => head.step > 1 && head.step <= max);
    if (fitting.length > 0 && random.chance(0.6)) return extentAxis(random.pick(fitting));
    if (random.chance(0.12)) {
      const size = random.int(1, max);
      const id = addScalar(context, 0, size, true);
      const value = {
        constant: random.int(0, 1),
        terms: [{ coefficient: 1, of: "scalar" as const, id }],
      };
      return { count: { value, max: size }, isUniform: true };
    }
  }
  return { count: staticCount(random.int(1, max)), isUniform: true };
}

export function extentAxis(loop: LoopInfo): Axis {
  const { id, step } = loop.head;
  const value = { constant: 0, terms: [{ coefficient: 1, of: "extent" as const, id }] };
  return { count: { value, max: step }, isUniform: loop.isUniform && !isSpatial(loop) };
}

/** Up to `most` axes, of not too many elements together. */
export function randomAxes(
  context: Context,
  most: number,
  loops: readonly LoopInfo[] = context.loops,
): Axis[] {
  const axes: Axis[] = [];
  let room = 60;
  for (let i = context.random.int(1, most); i > 0 && room > 1; i--) {
    const axis = randomAxis(context, { max: Math.min(room, context.random.int(2, 9)), loops });
    room = Math.floor(room / Math.max(1, axis.count.max));
    axes.push(axis);
  }
  return axes;
}

/** The axes in any order, with gaps. */
export function randomLayout(context: Context, axes: readonly Axis[]): Layout {
  const { random } = context;
  const strides = axes.map(() => 0);
  let pitch = 1;
  const order = random.chance(0.6) ? [...axes.keys()].reverse() : random.shuffled([...axes.keys()]);
  for (const axis of order) {
    strides[axis] = pitch;
    pitch *= Math.max(1, axes[axis]!.count.max);
    if (random.chance(0.1)) pitch += random.int(1, 3);
  }
  const offset = random.chance(0.15) ? random.int(1, 5) : 0;
  return { axes, strides, offset, elements: offset + pitch + (random.chance(0.1) ? 3 : 0) };
}

export interface TileOptions {
  readonly dtype: DeviceDType;
  readonly space?: "l1" | "accumulator";
  readonly depth?: number;
  readonly producer: EngineRef;
  readonly consumers: readonly EngineRef[];
}

export function addTile(context: Context, layout: Layout, options: TileOptions): Tile {
  const { dtype, producer, consumers } = options;
  const depth = options.depth ?? context.random.pick([1, 1, 2, 2, 3]);
  const space = options.space ?? "l1";
  const { elements } = layout;
  const queue = addQueue(context, { space, dtype, elements, depth, producer, consumers });
  return { ...layout, queue, dtype };
}

export function destOf(tile: Tile, publish: Condition): SlotDest {
  return { queue: tile.queue, offset: constantAffine(tile.offset), publish, update: false };
}

export function updateOf(tile: Tile): SlotDest {
  return { queue: tile.queue, offset: constantAffine(tile.offset), publish: never, update: true };
}

export function sourceOf(tile: Tile, pop: Condition): SlotSource {
  return { queue: tile.queue, offset: constantAffine(tile.offset), pop };
}

/** Strides of a tile along the axes of an instruction; 0 along those that it does not have. */
export function stridesAlong(tile: Layout, axes: readonly Axis[]): number[] {
  return axes.map((axis) => {
    const at = tile.axes.indexOf(axis);
    return at < 0 ? 0 : tile.strides[at]!;
  });
}
