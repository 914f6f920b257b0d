/** Kernels that move by index: gather and scatter. Each is one small loop nest; they take part in no fusion. */
import type { Storage, WrittenKernel } from "../tiled.js";
import type { Dim } from "../../ir/dim.js";
import type { GatherOperation, Node, ScatterOperation, Value } from "../../ir/graph.js";
import { addAffine, constantAffine, type TransferAxis } from "../../ir/tile.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { axisIndex } from "./index-map.js";
import { makeAccess } from "./access.js";
import { makeBox } from "./box.js";
import { KernelWriter, positionCount, type Tile, tileOperand } from "./kernel-writer.js";
import {
  loadTile,
  type MoveContext,
  type Nest,
  openNest,
  openTimeLoops,
  storeTile,
} from "./move-nest.js";
import { deviceType, natural } from "./storage.js";

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
