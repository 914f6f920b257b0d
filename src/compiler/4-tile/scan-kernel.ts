/** The kernel of a scan: a running sum, product, maximum or minimum along an axis. */
import type { WrittenKernel } from "../tiled.js";
import type { Node, ScanOperation, Value } from "../../ir/graph.js";
import { limitsOf } from "../../ir/evaluate/reduce.js";
import { addAffine, constantAffine, scaleAffine } from "../../ir/tile.js";
import { type DeviceDType, isFloat } from "../../numerics/dtype.js";
import { laneProgramBuilder } from "../../numerics/lanes.js";
import { axisIndex } from "./index-map.js";
import { makeAccess } from "./access.js";
import { makeBox } from "./box.js";
import { positionCount, type Tile, tileOperand } from "./kernel-writer.js";
import { loadTile, type MoveContext, openNest, storeTile } from "./move-nest.js";
import { deviceType, natural } from "./storage.js";

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
