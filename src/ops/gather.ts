/**
 * Operators that read or write elements at positions held in a tensor. All come down to the core gather and
 * scatter along one axis, those with several indices per element by linear positions. What chooses by values
 * (TopK, NonZero, Compress) is in `selection.ts`.
 */
import { decodeElement } from "../numerics/convert.js";
import { type Dim, dimProduct } from "../ir/dim.js";
import { shapeText } from "../ir/graph-shapes.js";
import type { ScatterOperation, Value } from "../ir/graph.js";
import { operator, range, selectLike } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export const gatherOperators: readonly OperatorRecord[] = [
  operator("Gather", 1, (c) => {
    return c.b.gather(c.input(0), c.input(1), c.axis(c.int("axis", 0), c.input(0).shape.length));
  }),
  operator("ArrayFeatureExtractor", { domain: "ai.onnx.ml", since: 1 }, (c) => {
    const x = c.input(0);
    const matrix = x.shape.length === 1 ? c.b.unsqueeze(x, [0]) : x;
    const indices = c.b.reshape(c.input(1), [dimProduct(c.input(1).shape)]);
    return c.b.gather(matrix, indices, matrix.shape.length - 1);
  }),
  operator("GatherElements", 11, gatherElements),
  operator("GatherND", 11, gatherNd),
  operator("Scatter", 9, scatterElements),
  operator("ScatterElements", 11, scatterElements),
  operator("ScatterND", 11, scatterNd),
  operator("OneHot", 9, oneHot),
  operator("TensorScatter", 24, tensorScatter),
];

/** A dim as an int32 scalar that lanes can use. */
export function dimValue(c: LowerContext, dim: Dim): Value {
  return c.b.cast(c.b.dims([dim], { scalar: true }), "i32");
}

/** Indices as int32, those below 0 counted from the end of `extent`. */
function fromEnd(c: LowerContext, indices: Value, extent: Dim): Value {
  const narrow = c.b.cast(indices, "i32");
  return c.b.map("i32", [narrow, dimValue(c, extent)], (l, i, size) =>
    l.selectI(l.ltI(i!, l.constI(0)), l.addI(i!, size!), i!),
  );
}

/** Sum of index times stride, where the indices broadcast to one shape; strides as of a tensor of `extents`. */
function linearPosition(
  c: LowerContext,
  indices: readonly Value[],
  extents: readonly Dim[],
): Value {
  return indices
    .slice(1)
    .reduce(
      (position, index, i) =>
        c.b.map("i32", [position, index, dimValue(c, extents[i + 1]!)], (l, p, at, extent) =>
          l.addI(l.mulI(p!, extent!), at!),
        ),
      indices[0]!,
    );
}

/** out[p] = data[p with p[axis] = indices[p]]: a gather from the flat data. */
function gatherAlong(c: LowerContext, data: Value, indices: Value, axis: number): Value {
  const rank = data.shape.length;
  const along = fromEnd(c, indices, data.shape[axis]!);
  const positions = range(0, rank).map((i) => {
    if (i === axis) return along;
    const shape = indices.shape.map((dim, j) => (j === i ? dim : 1));
    return c.b.iota("i32", shape, i);
  });
  const flat = c.b.reshape(data, [dimProduct(data.shape)]);
  return c.b.gather(flat, linearPosition(c, positions, data.shape), 0);
}

function gatherElements(c: LowerContext): Value {
  const data = c.input(0);
  return gatherAlong(c, data, c.input(1), c.axis(c.int("axis", 0), data.shape.length));
}

/** The components of index tuples [..., k] as k tensors, each counted from the end where negative. */
function components(c: LowerContext, indices: Value, extents: readonly Dim[]): readonly Value[] {
  const last = indices.shape.length - 1;
  return extents.map((extent, i) =>
    fromEnd(c, c.b.squeeze(c.b.sliceAxis(indices, last, i, 1), [last]), extent),
  );
}

function tupleLength(c: LowerContext, data: Value, indices: Value, batch: number): number {
  const length = indices.shape.at(-1);
  const rank = data.shape.length - batch;
  if (typeof length === "number" && length >= 1 && length <= rank) return length;
  const [shapes, text] = [shapeText(indices.shape), shapeText(data.shape)];
  return c.invalid("L0201", `indices ${shapes} do not point into data ${text}`);
}

function gatherNd(c: LowerContext): Value {
  const data = c.input(0);
  const indices = c.input(1);
  const batch = c.int("batch_dims", 0);
  const length = tupleLength(c, data, indices, batch);
  const indexed = data.shape.slice(batch, batch + length);
  const tuples = indices.shape.slice(0, -1);
  const batches = range(0, batch).map((i) =>
    c.b.iota(
      "i32",
      tuples.map((dim, j) => (j === i ? dim : 1)),
      i,
    ),
  );
  const position = linearPosition(
    c,
    [...batches, ...components(c, indices, indexed)],
    data.shape.slice(0, batch + length),
  );
  const rest = data.shape.slice(batch + length);
  const rows = dimProduct(data.shape.slice(0, batch + length));
  return c.b.gather(c.b.reshape(data, [rows, ...rest]), position, 0);
}

const reductions: Readonly<Record<string, ScatterOperation["combine"]>> = {
  none: "assign",
  add: "add",
  mul: "mul",
  min: "min",
  max: "max",
};

function combineOf(c: LowerContext): ScatterOperation["combine"] {
  const name = c.string("reduction", "none");
  return reductions[name] ?? c.invalid("L0108", `reduction "${name}" does not exist`);
}

function scatterElements(c: LowerContext): Value {
  const data = c.input(0);
  const axis = c.axis(c.int("axis", 0), data.shape.length);
  const indices = fromEnd(c, c.input(1), data.shape[axis]!);
  return c.b.scatter(data, indices, c.input(2), axis, combineOf(c));
}

/** Rows of the data, flattened up to the indexed axes, combined with the rows of the updates. */
function scatterNd(c: LowerContext): Value {
  const data = c.input(0);
  const indices = c.input(1);
  const length = tupleLength(c, data, indices, 0);
  const indexed = data.shape.slice(0, length);
  const row = dimProduct(data.shape.slice(length));
  const count = dimProduct(indices.shape.slice(0, -1));
  const position = linearPosition(c, components(c, indices, indexed), indexed);
  const flat = c.b.scatter(
    c.b.reshape(data, [dimProduct(indexed), row]),
    c.b.broadcast(c.b.reshape(position, [count, 1]), [count, row]),
    c.b.reshape(c.input(2), [count, row]),
    0,
    combineOf(c),
  );
  return c.b.reshape(flat, data.shape);
}

/** The depth may be of any numeric type. */
function depthOf(c: LowerContext): Dim {
  const constant = c.constant(1);
  if (constant !== undefined) return Math.trunc(decodeElement(constant.dtype, constant.data, 0));
  const depth = c.knownDims(1, "the depth")?.[0];
  return depth ?? c.invalid("L0201", "the depth is missing");
}

/** values[1] where the index along the new axis is the one given, else values[0]. */
function oneHot(c: LowerContext): Value {
  const depth = depthOf(c);
  const rank = c.input(0).shape.length + 1;
  const axis = c.axis(c.int("axis", -1), rank);
  const indices = c.b.unsqueeze(fromEnd(c, c.input(0), depth), [axis]);
  const position = c.b.iota(
    "i32",
    range(0, rank).map((i) => (i === axis ? depth : 1)),
    axis,
  );
  const values = c.input(2);
  const off = c.b.reshape(c.b.sliceAxis(values, 0, 0, 1), []);
  const on = c.b.reshape(c.b.sliceAxis(values, 0, 1, 1), []);
  return c.b.map(values.dtype, [indices, position, off, on], (l, i, at, no, yes) =>
    selectLike(l, l.eqI(i!, at!), yes!, no!),
  );
}

/** The update written into the cache at each batch's own position, modulo the length if circular. */
function tensorScatter(c: LowerContext): Value {
  const cache = c.input(0);
  const update = c.input(1);
  const rank = cache.shape.length;
  const axis = c.axis(c.int("axis", -2), rank);
  const only = (i: number): Dim[] => update.shape.map((dim, j) => (j === i ? dim : 1));
  const start =
    c.inputs[2] === undefined
      ? c.b.full("i32", 0)
      : c.b.reshape(c.b.cast(c.input(2), "i32"), only(0));
  const circular = c.string("mode", "linear") === "circular";
  const position = c.b.map(
    "i32",
    [c.b.iota("i32", only(axis), axis), start, dimValue(c, cache.shape[axis]!)],
    (l, i, from, extent) => {
      const at = l.addI(i!, from!);
      return circular ? l.remI(at, extent!) : at;
    },
  );
  return c.b.scatter(cache, c.b.broadcast(position, update.shape), update, axis, "assign");
}
