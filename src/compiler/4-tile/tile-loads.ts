/**
 * Loops over the result's axes, and what is read: each tile is loaded before the first loop that moves it no more.
 */
import { usesAxis } from "./access.js";
import { type Box, makeBox } from "./box.js";
import { type Tile, tileOperand } from "./kernel-writer.js";
import { accessesOf, type Leaf } from "./prepare.js";
import { rowAxes, type TileState } from "./tile-state.js";

export function openSpatialLoops(state: TileState): number {
  const { writer, prepared, plan } = state;
  for (const { axis, over, step } of plan.split) {
    const space = prepared.axes[axis]!;
    const range = state.positions[axis]!;
    const loop = writer.begin(space.name, over, range, step);
    state.positions[axis] = loop.position;
    state.spatial.push({ axis, loop: loop.id });
  }
  return plan.split.length;
}

/**
 * Opens a temporal loop per axis of `order` that has more than one tile; before each, `loadFirst` and then what of the
 * leaves is ready.
 */
export function openTimeLoops(
  state: TileState,
  order: readonly number[],
  loadFirst: (next: number) => void = () => undefined,
): number {
  let open = 0;
  for (const axis of order) {
    const tile = state.plan.tile[axis]!;
    if (tile >= state.positions[axis]!.max) continue;
    loadFirst(axis);
    loadReady(state, axis);
    const range = state.positions[axis]!;
    const loop = state.writer.begin(state.prepared.axes[axis]!.name, "time", range, tile);
    state.positions[axis] = loop.position;
    state.insideTime = true;
    open++;
  }
  state.loopsAhead = [];
  return open;
}

/** Loads the leaves that no loop still to come moves; `next` is the axis of the loop about to be opened. */
export function loadReady(state: TileState, next: number | undefined): void {
  const ahead = state.loopsAhead.filter(
    (axis) => state.plan.tile[axis]! < state.positions[axis]!.max || axis === next,
  );
  state.loopsAhead = state.loopsAhead.filter((axis) => axis !== next);
  // What is loaded before a loop without trips would stay in its queue.
  if (ahead.some((axis) => state.positions[axis]!.min < 1)) return;
  for (const leaf of state.prepared.leaves) {
    if (state.tiles.has(leaf) || ahead.some((axis) => usesAxis(leaf.access, axis))) continue;
    if (state.plan.rowChunk !== undefined && rowAxes(state).some((a) => usesAxis(leaf.access, a)))
      continue;
    state.tiles.set(leaf, loadLeaf(state, leaf, state.insideTime ? state.plan.depthIn : 1));
  }
}

export function loadLeaf(state: TileState, leaf: Leaf, depth: number): Tile {
  const { prepared, context } = state;
  const { value, box } = emitLoad(state, leaf, {
    order: prepared.order,
    depth,
    isShared: !state.insideTime,
    channel: prepared.leaves.indexOf(leaf) % context.machine.channels.load,
  });
  return { value, strides: box.strides, base: box.base };
}

export interface LoadOptions {
  /** Axes of the tile, outermost first. */
  readonly order: readonly number[];
  /** Slots of its queue. */
  readonly depth: number;
  /** Whether members that read the same may get it by one multicast: they all make the same trips up to here. */
  readonly isShared: boolean;
  readonly channel: number;
}

/** Loads what a leaf reads at the current positions; codes become numbers on the way. */
export function emitLoad(
  state: TileState,
  leaf: Leaf,
  { order, depth, isShared, channel }: LoadOptions,
): { value: number; box: Box } {
  const { writer, context, plan, positions } = state;
  const { access } = leaf;
  const { root } = access.storage;
  const [, ...decoders] = accessesOf(leaf);
  const { accessBytes } = context.machine.channels;
  const box = makeBox(writer, access, positions, order, { accessBytes, beside: decoders });
  const [scale, zero] = box.beside.map(({ offset, strides }, i) => ({
    memory: { binding: writer.binding(decoders[i]!.storage, "read"), offset },
    strides,
  }));
  const value = writer.value({
    name: root.name,
    space: "l1",
    dtype: scale === undefined ? root.dtype : "f32",
    elements: box.elements,
    depth,
  });
  const multicast =
    plan.multicast && isShared
      ? state.spatial.find(({ axis }) => !usesAxis(access, axis))
      : undefined;
  writer.statement(
    {
      op: "load",
      axes: box.axes,
      memory: { binding: writer.binding(access.storage, "read"), offset: box.offset },
      dest: tileOperand(value),
      fill: access.fill,
      ...(scale && { dequantize: { scale, ...(zero && { zero }) } }),
      ...(multicast && { delivery: { kind: "multicast", loop: multicast.loop } }),
    },
    state.role,
    { channel },
  );
  return { value, box };
}
