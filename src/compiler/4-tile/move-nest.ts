/** The loop nest of kernels that move by index or run along an axis: loops over tiles, loads and stores of whole tiles. */
import type { Storage, WrittenKernel } from "../tiled.js";
import type { DeviceMachine } from "../../target/machine.js";
import { type Dim, dimMax } from "../../ir/dim.js";
import type { Node, Value } from "../../ir/graph.js";
import type { Access } from "./access.js";
import { makeBox } from "./box.js";
import { KernelWriter, type Position, type Tile, tileOperand } from "./kernel-writer.js";

export interface MoveContext {
  readonly name: string;
  readonly machine: DeviceMachine;
  storageOf(value: Value): Storage;
  allocate(value: Value, order: readonly number[]): Storage;
}

/** Elements per tile of what is moved. */
const tileElements = 16_384;
/** Axes of a tile that may vary beside the one that is indexed or scanned. */
const tileAxesMax = 4;

export interface Nest {
  readonly writer: KernelWriter;
  readonly positions: Position[];
  readonly role: number;
  readonly depth: number;
  close(): void;
  finish(): WrittenKernel;
}

/** The largest axis shared out over all members, then temporal loops; `whole` is an axis kept in one piece. */
export function openNest(
  node: Node,
  context: MoveContext,
  shape: readonly Dim[],
  whole?: number,
): Nest {
  const { rows, columns } = context.machine.tile;
  const axes = [...shape.keys()].filter((i) => i !== whole);
  const split = axes.reduce<number | undefined>(
    (best, i) => (best === undefined || dimMax(shape[i]!) > dimMax(shape[best]!) ? i : best),
    undefined,
  );
  const isShared = split !== undefined && dimMax(shape[split]!) > 1;
  const writer = new KernelWriter(
    context.name,
    isShared ? { rows, columns } : { rows: 1, columns: 1 },
  );
  const positions = shape.map((dim) => writer.whole(dim));
  let open = 0;
  if (isShared) {
    const step = Math.ceil(dimMax(shape[split]!) / (rows * columns));
    const loop = writer.begin(`d${split}`, "members", positions[split]!, step);
    positions[split] = loop.position;
    open++;
  }
  // A loop of one trip bounds an extent that is known only at run time.
  if (whole !== undefined && typeof shape[whole] !== "number") {
    positions[whole] = writer.begin(
      `d${whole}`,
      "time",
      positions[whole]!,
      positions[whole]!.max,
    ).position;
    open++;
  }
  const nest = timeLoops(writer, node, positions, axes);
  return {
    ...nest,
    finish: () => {
      nest.close();
      for (; open > 0; open--) writer.end();
      return writer.finish();
    },
  };
}

export function openTimeLoops(writer: KernelWriter, node: Node, shape: readonly Dim[]): Nest {
  const positions = shape.map((dim) => writer.whole(dim));
  return timeLoops(writer, node, positions, [...shape.keys()]);
}

/** Tiles of at most `tileElements`, the inner axes whole as far as they go. */
function timeLoops(
  writer: KernelWriter,
  node: Node,
  positions: Position[],
  axes: readonly number[],
): Nest {
  const whole = positions.filter((_, i) => !axes.includes(i));
  const fixed = whole.reduce((n, p) => n * Math.max(1, p.max), 1);
  let left = Math.max(1, Math.floor(tileElements / fixed));
  let room = tileAxesMax;
  const tiles = new Map<number, number>();
  for (const axis of axes.toReversed()) {
    const tile = room > 0 ? Math.max(1, Math.min(positions[axis]!.max, left)) : 1;
    if (tile > 1) room--;
    tiles.set(axis, tile);
    left = Math.max(1, Math.floor(left / tile));
  }
  let open = 0;
  for (const axis of axes) {
    const tile = tiles.get(axis)!;
    if (tile >= positions[axis]!.max) continue;
    positions[axis] = writer.begin(`d${axis}`, "time", positions[axis]!, tile).position;
    open++;
  }
  const close = (): void => {
    for (; open > 0; open--) writer.end();
  };
  return {
    writer,
    positions,
    role: writer.role(node.op.kind, node.origins),
    depth: open > 0 ? 2 : 1,
    close,
    finish: () => writer.finish(),
  };
}

export function loadTile(nest: Nest, access: Access, name: string): Tile {
  const { writer, positions } = nest;
  const box = makeBox(writer, access, positions, [...positions.keys()]);
  const { dtype } = access.storage.root;
  const value = writer.value({
    name,
    space: "l1",
    dtype,
    elements: box.elements,
    depth: nest.depth,
  });
  writer.statement(
    {
      op: "load",
      axes: box.axes,
      memory: { binding: writer.binding(access.storage, "read"), offset: box.offset },
      dest: tileOperand(value),
      fill: 0,
    },
    nest.role,
  );
  return { value, strides: box.strides, base: box.base };
}

export function storeTile(nest: Nest, access: Access, tile: Tile): void {
  const { writer, positions } = nest;
  const box = makeBox(writer, access, positions, [...positions.keys()]);
  writer.statement(
    {
      op: "store",
      axes: box.axes,
      memory: { binding: writer.binding(access.storage, "write"), offset: box.offset },
      source: tileOperand(tile.value),
    },
    nest.role,
  );
}
