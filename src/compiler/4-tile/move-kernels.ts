/**
 * Kernels of the operations that move by index or run along an axis: gather, scatter, scan. Each is one small
 * loop nest; they take part in no fusion.
 */
import type { WrittenKernel, Storage } from "../tiled.js";
import type { DeviceMachine } from "../../target/machine.js";
import { type Dim, dimMax } from "../../ir/dim.js";
import type {
  GatherOperation,
  Node,
  ScanOperation,
  ScatterOperation,
  Value,
} from "../../ir/graph.js";
import { constantAffine, type TransferAxis } from "../../ir/tile.js";
import { limitsOf } from "../../ir/evaluate-reduce.js";
import { type DeviceDType, isFloat } from "../../numerics/dtype.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { axisIndex } from "./index-map.js";
import {
  type Access,
  addAffine,
  KernelWriter,
  makeAccess,
  makeBox,
  type Position,
  positionCount,
  scaleAffine,
  type Tile,
  tileOperand,
} from "./kernel-writer.js";
import { deviceType, natural } from "./storage.js";

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

/** out[outer, i.., inner] = data[outer, index[i..], inner]. */
export function writeGather(node: Node, context: MoveContext): WrittenKernel {
  const { axis } = node.op as GatherOperation;
  const [data, indices] = node.inputs as [Value, Value];
  const out = node.outputs[0]!;
  const indexRank = indices.shape.length;
  const nest = openNest(node, context, out.shape);
  const { writer, positions } = nest;
  const isIndexAxis = (i: number): boolean => i >= axis && i < axis + indexRank;
  const index = loadIndices(nest, context.storageOf(indices), {
    axes: [...indices.shape.keys()].map((i) => axis + i),
    extent: data.shape[axis]!,
    rank: out.shape.length,
  });
  const storage = context.storageOf(data);
  const output = makeAccess(context.allocate(out, natural(out)), {
    expressions: out.shape.map((_, i) => axisIndex(i)),
  });
  const box = makeBox(writer, output, positions, natural(out));
  let offset = constantAffine(0);
  const taken = out.shape.map((_, i) => i).filter((i) => positions[i]!.max > 1);
  const axes: TransferAxis[] = [];
  const strides: number[] = [];
  for (const [i] of out.shape.entries()) {
    const from = i < axis ? i : i - indexRank + 1;
    const stride = isIndexAxis(i) ? 0 : storage.strides[from]!;
    offset = addAffine(offset, positions[i]!.index, stride);
    if (!taken.includes(i)) continue;
    axes.push({
      count: positionCount(positions[i]!),
      memoryStride: stride,
      slotStride: box.strides[i]!,
    });
    strides.push(index.strides[i]!);
  }
  // The indexed axis is one of its own: every position has its index, whatever axes that varies along.
  axes.push({
    count: { value: constantAffine(1), max: 1 },
    memoryStride: storage.strides[axis]!,
    slotStride: 1,
  });
  strides.push(0);
  const tile = writer.value({
    name: out.name,
    space: "l1",
    dtype: deviceType(out),
    elements: box.elements,
    depth: nest.depth,
  });
  writer.statement(
    {
      op: "load",
      axes,
      memory: { binding: writer.binding(storage, "read"), offset },
      dest: tileOperand(tile),
      fill: 0,
      index: {
        axis: axes.length - 1,
        source: tileOperand(index.value),
        strides,
        extent: writer.count(data.shape[axis]!),
      },
    },
    nest.role,
    { channel: 1 % context.machine.channels.load },
  );
  storeTile(nest, output, { value: tile, strides: box.strides });
  return nest.finish();
}

/** out = data, then out[p with p[axis] = index[p]] combined with updates[p]. One member, stores in order. */
export function writeScatter(node: Node, context: MoveContext): WrittenKernel {
  const op = node.op as ScatterOperation;
  const [data, indices, updates] = node.inputs as [Value, Value, Value];
  const out = node.outputs[0]!;
  const storage = context.allocate(out, natural(out));
  const writer = new KernelWriter(context.name, { rows: 1, columns: 1 });
  const identity = (value: Value): { expressions: ReturnType<typeof axisIndex>[] } => ({
    expressions: value.shape.map((_, i) => axisIndex(i)),
  });
  const copy = openTimeLoops(writer, node, data.shape);
  const source = makeAccess(context.storageOf(data), identity(data));
  const target = makeAccess(storage, identity(out));
  storeTile(copy, target, loadTile(copy, source, context.name));
  copy.close();
  const nest = openTimeLoops(writer, node, updates.shape);
  const index = loadIndices(nest, context.storageOf(indices), {
    axes: [...indices.shape.keys()],
    extent: data.shape[op.axis]!,
    rank: updates.shape.length,
  });
  const update = loadTile(
    nest,
    makeAccess(context.storageOf(updates), identity(updates)),
    "updates",
  );
  scatterTile(nest, {
    op,
    storage,
    index,
    update,
    shape: updates.shape,
    extent: data.shape[op.axis]!,
  });
  nest.close();
  return writer.finish();
}

interface ScatterTile {
  readonly op: ScatterOperation;
  readonly storage: Storage;
  readonly index: Tile;
  readonly update: Tile;
  readonly shape: readonly Dim[];
  readonly extent: Dim;
}

function scatterTile(nest: Nest, { op, storage, index, update, shape, extent }: ScatterTile): void {
  const { writer, positions } = nest;
  const axes: TransferAxis[] = [];
  const strides: number[] = [];
  let offset = constantAffine(0);
  for (const [i] of shape.entries()) {
    const stride = i === op.axis ? 0 : storage.strides[i]!;
    offset = addAffine(offset, positions[i]!.index, stride);
    if (positions[i]!.max <= 1) continue;
    axes.push({
      count: positionCount(positions[i]!),
      memoryStride: stride,
      slotStride: update.strides[i]!,
    });
    strides.push(index.strides[i]!);
  }
  axes.push({
    count: { value: constantAffine(1), max: 1 },
    memoryStride: storage.strides[op.axis]!,
    slotStride: 1,
  });
  strides.push(0);
  writer.statement(
    {
      op: "store",
      axes,
      memory: { binding: writer.binding(storage, "write"), offset },
      source: tileOperand(update.value),
      index: {
        axis: axes.length - 1,
        source: tileOperand(index.value),
        strides,
        extent: writer.count(extent),
      },
      ...(op.combine === "assign" ? {} : { combine: op.combine }),
    },
    nest.role,
  );
}

/** One vec per tile of the other axes; the scan axis is whole. */
export function writeScan(node: Node, context: MoveContext): WrittenKernel {
  const op = node.op as ScanOperation;
  const [x] = node.inputs as [Value];
  const out = node.outputs[0]!;
  const nest = openNest(node, context, out.shape, op.axis);
  const { writer, positions } = nest;
  const map = { expressions: out.shape.map((_, i) => axisIndex(i)) };
  const input = loadTile(nest, makeAccess(context.storageOf(x), map), x.name);
  const output = makeAccess(context.allocate(out, natural(out)), map);
  const box = makeBox(writer, output, positions, natural(out));
  const result = writer.value({
    name: out.name,
    space: "l1",
    dtype: deviceType(out),
    elements: box.elements,
    depth: nest.depth,
  });
  const parallel = [...out.shape.keys()].filter((i) => i !== op.axis && positions[i]!.max > 1);
  const axes = [...parallel, op.axis];
  const flip = (stride: number, axis: number): number =>
    op.reverse && axis === op.axis ? -stride : stride;
  const start = (tile: Tile): ReturnType<typeof tileOperand> => {
    const last = addAffine(positions[op.axis]!.extent, constantAffine(-1));
    const at = op.reverse ? scaleAffine(last, tile.strides[op.axis]!) : constantAffine(0);
    return tileOperand(tile.value, at);
  };
  const type = isFloat(out.dtype) ? "f32" : "i32";
  const { l, source, finish } = laneProgramBuilder();
  const carried = source("carry", 0, type);
  const element = source("input", 0, type);
  const combine = {
    sum: ["add", "addI"],
    prod: ["mul", "mulI"],
    max: ["max", "maxI"],
    min: ["min", "minI"],
  } as const;
  const next = l[combine[op.combine][type === "f32" ? 0 : 1]](carried, element);
  writer.statement(
    {
      op: "vec",
      axes: axes.map((axis) => ({
        kind: axis === op.axis ? "scan" : "parallel",
        count: positionCount(positions[axis]!),
        base: positions[axis]!.index,
      })),
      inputs: [{ source: start(input), strides: axes.map((a) => flip(input.strides[a]!, a)) }],
      program: finish([op.exclusive ? carried : next, next]),
      carries: [{ next: 1, initial: scanStart(op.combine, deviceType(out)), type }],
      outputs: [
        {
          dest: start({ value: result, strides: box.strides }),
          strides: axes.map((a) => flip(box.strides[a]!, a)),
        },
      ],
    },
    nest.role,
  );
  storeTile(nest, output, { value: result, strides: box.strides });
  return nest.finish();
}

function scanStart(combine: ScanOperation["combine"], dtype: DeviceDType): number {
  switch (combine) {
    case "sum":
      return 0;
    case "prod":
      return 1;
    case "max":
      return isFloat(dtype) ? Number.NEGATIVE_INFINITY : Number(limitsOf(dtype).low);
    case "min":
      return isFloat(dtype) ? Number.POSITIVE_INFINITY : Number(limitsOf(dtype).high);
    default:
      return combine satisfies never;
  }
}

interface Nest {
  readonly writer: KernelWriter;
  readonly positions: Position[];
  readonly role: number;
  readonly depth: number;
  close(): void;
  finish(): WrittenKernel;
}

/** The largest axis shared out over all members, then temporal loops; `whole` is an axis kept in one piece. */
function openNest(node: Node, context: MoveContext, shape: readonly Dim[], whole?: number): Nest {
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

function openTimeLoops(writer: KernelWriter, node: Node, shape: readonly Dim[]): Nest {
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

function loadTile(nest: Nest, access: Access, name: string): Tile {
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

interface IndexTile {
  /** Axes of the nest that the indices vary along, by dim. */
  readonly axes: readonly number[];
  readonly extent: Dim;
  readonly rank: number;
}

/** Loads the indices of the tile and counts negative ones from the end. */
function loadIndices(nest: Nest, storage: Storage, spec: IndexTile): Tile {
  const { writer, positions } = nest;
  const access = makeAccess(storage, { expressions: spec.axes.map(axisIndex) });
  const raw = loadTile(nest, access, "index");
  const { l, source, finish } = laneProgramBuilder();
  const index = source("input", 0, "i32");
  const extent = writer.affine(spec.extent);
  const size =
    extent.terms.length > 0
      ? source("scalar", extent.terms[0]!.id, "i32")
      : l.constI(extent.constant);
  const program = finish([l.selectI(l.ltI(index, l.constI(0)), l.addI(index, size), index)]);
  const taken = spec.axes.filter((axis) => positions[axis]!.max > 1);
  const elements = taken.reduce((n, axis) => n * positions[axis]!.max, 1);
  const wrapped = writer.value({
    name: "wrapped",
    space: "l1",
    dtype: "i32",
    elements,
    depth: nest.depth,
  });
  const strides = positions.map((_, i) => (taken.includes(i) ? raw.strides[i]! : 0));
  writer.statement(
    {
      op: "vec",
      axes: taken.map((axis) => ({
        kind: "parallel",
        count: positionCount(positions[axis]!),
        base: positions[axis]!.index,
      })),
      inputs: [{ source: tileOperand(raw.value), strides: taken.map((a) => raw.strides[a]!) }],
      program,
      carries: [],
      outputs: [{ dest: tileOperand(wrapped), strides: taken.map((a) => raw.strides[a]!) }],
    },
    nest.role,
  );
  return { value: wrapped, strides };
}

function storeTile(nest: Nest, access: Access, tile: Tile): void {
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
