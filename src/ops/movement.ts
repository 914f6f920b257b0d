/**
 * Operators that give a tensor another shape or repeat it, element for element: Reshape, Transpose, Expand
 * and kin. What cuts, joins or pads is in `slicing.ts`.
 */
import { broadcastShapes, shapeText } from "../ir/graph-shapes.js";
import { type Dim, dimExactDiv, dimMin, dimMul, dimProduct, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { operator, range, selectLike } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export const movementOperators: readonly OperatorRecord[] = [
  {
    name: "Identity",
    domain: "",
    since: 1,
    lower: (c) => [c.input(0)],
    evaluate: (c) => [c.inputs[0]],
  },
  operator("Reshape", 1, (c) => {
    const requested = c.ints("shape") ?? c.knownDims(1, "the shape");
    if (requested === undefined) return c.invalid("L0201", "the shape is missing");
    return c.b.reshape(c.input(0), reshapeTo(c, c.input(0).shape, requested));
  }),
  operator("Flatten", 1, (c) => {
    const { shape } = c.input(0);
    const axis = c.int("axis", 1);
    const split = axis < 0 ? axis + shape.length : axis;
    const halves = [dimProduct(shape.slice(0, split)), dimProduct(shape.slice(split))];
    return c.b.reshape(c.input(0), halves);
  }),
  operator("Squeeze", 1, squeeze),
  operator("Unsqueeze", 1, (c) => {
    const axes = c.ints("axes") ?? c.knownInts(1, "the axes") ?? [];
    const rank = c.input(0).shape.length + axes.length;
    const resolved = axes.map((axis) => c.axis(axis, rank));
    if (new Set(resolved).size < axes.length) {
      c.invalid("L0108", `the axes ${axes.join(", ")} name an axis twice`);
    }
    return c.b.unsqueeze(c.input(0), resolved);
  }),
  operator("Transpose", 1, (c) => {
    const rank = c.input(0).shape.length;
    return c.b.transpose(c.input(0), c.ints("perm", range(0, rank).reverse()));
  }),
  operator("Expand", 8, (c) => {
    const shape = c.knownDims(1, "the shape") ?? c.invalid("L0201", "the shape is missing");
    return c.b.broadcast(c.input(0), broadcastShapes([c.input(0).shape, shape]));
  }),
  operator("Tile", 6, tile),
  operator("Trilu", { since: 14, ranks: ["2+"] }, trilu),
  operator("DepthToSpace", { since: 1, ranks: [4] }, depthToSpace),
  operator("SpaceToDepth", { since: 1, ranks: [4] }, spaceToDepth),
];

/** 0 copies a dim, -1 stands for what is left. */
function reshapeTo(c: LowerContext, from: readonly Dim[], requested: readonly Dim[]): Dim[] {
  const copyZero = c.int("allowzero", 0) === 0;
  const to = requested.map((dim, i) => {
    if (dim !== 0 || !copyZero) return dim;
    return from[i] ?? c.invalid("L0201", `shape element ${i} copies a dim that does not exist`);
  });
  const open = to.indexOf(-1);
  if (open < 0) return to;
  const known = dimProduct(to.filter((_, i) => i !== open));
  to[open] = exactQuotient(c, dimProduct(from), known, () => {
    const text = shapeText(requested);
    return `${shapeText(from)} cannot be reshaped to ${text}, -1 is not a whole number`;
  });
  return to;
}

/** a / b where it is exact; binds symbols where that is not known, L0201 where it is not so. */
export function exactQuotient(c: LowerContext, a: Dim, b: Dim, sentence: () => string): Dim {
  if (a === 0 && b === 0) return 0;
  const exact = dimExactDiv(a, b);
  if (exact !== undefined) return exact;
  const reason = "whether a size divides evenly depends on it";
  staticDim(a, reason);
  staticDim(b, reason);
  return c.invalid("L0201", sentence());
}

function squeeze(c: LowerContext): Value {
  const x = c.input(0);
  const listed = c.ints("axes") ?? [];
  // A file cannot tell an attribute that lists nothing from one that is left out; an input that lists nothing can.
  const axes = listed.length > 0 ? listed : c.knownInts(1, "the axes");
  const isOne = (dim: Dim): boolean =>
    (dimMin(dim) > 1 ? 0 : staticDim(dim, "whether Squeeze removes it depends on it")) === 1;
  if (axes === undefined) {
    return c.b.squeeze(
      x,
      range(0, x.shape.length).filter((i) => isOne(x.shape[i]!)),
    );
  }
  const resolved = axes.map((axis) => c.axis(axis, x.shape.length));
  const wrong = resolved.find((axis) => !isOne(x.shape[axis]!));
  if (wrong !== undefined) {
    c.invalid("L0201", `axis ${wrong} of ${shapeText(x.shape)} is not 1 and cannot be removed`);
  }
  return c.b.squeeze(x, resolved);
}

/** [a, b] repeated [2, 3] times: [1, a, 1, b] broadcast to [2, a, 3, b], reshaped to [2a, 3b]. */
function tile(c: LowerContext): Value {
  const x = c.input(0);
  const repeats = c.knownDims(1, "the repeats") ?? c.invalid("L0201", "the repeats are missing");
  if (repeats.length !== x.shape.length) {
    c.invalid("L0201", `${repeats.length} repeats for a tensor of rank ${x.shape.length}`);
  }
  const apart: Dim[] = [];
  const repeated: Dim[] = [];
  for (const [axis, dim] of x.shape.entries()) {
    if (repeats[axis] !== 1) {
      apart.push(1);
      repeated.push(repeats[axis]!);
    }
    apart.push(dim);
    repeated.push(dim);
  }
  const copies = c.b.broadcast(c.b.reshape(x, apart), repeated);
  return c.b.reshape(
    copies,
    x.shape.map((dim, axis) => dimMul(dim, repeats[axis]!)),
  );
}

/** Keeps the triangle on and above (below) diagonal k. */
function trilu(c: LowerContext): Value {
  const x = c.input(0);
  const [rows, columns] = x.shape.slice(-2);
  if (columns === undefined) return c.invalid("L0201", "the input is not a matrix");
  const upper = c.int("upper", 1) !== 0;
  const k = c.inputs[1] === undefined ? c.b.full("i32", 0) : c.b.cast(c.input(1), "i32");
  const diagonal = c.b.reshape(k, []);
  const row = c.b.iota("i32", [rows!, 1], 0);
  const column = c.b.iota("i32", [1, columns], 1);
  return c.b.map(x.dtype, [x, row, column, diagonal], (l, v, r, col, d) => {
    const edge = l.addI(r!, d!);
    const keep = upper ? l.leI(edge, col!) : l.leI(col!, edge);
    return selectLike(l, keep, v!, v!.type === "i32" ? l.constI(0) : l.constF(0));
  });
}

function depthToSpace(c: LowerContext): Value {
  const x = c.input(0);
  const block = c.int("blocksize") ?? c.invalid("L0108", "blocksize is missing");
  const [n, channels, h, w] = x.shape;
  if (w === undefined) return c.invalid("L0201", `the input has rank ${x.shape.length}, not 4`);
  const depth = exactQuotient(c, channels!, block * block, () => {
    return `${shapeText(x.shape)} has no multiple of ${block * block} channels`;
  });
  const columnFirst = c.string("mode", "DCR") === "CRD";
  const blocks = columnFirst ? [n!, depth, block, block, h!, w] : [n!, block, block, depth, h!, w];
  const perm = columnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  const apart = c.b.transpose(c.b.reshape(x, blocks), perm);
  return c.b.reshape(apart, [n!, depth, dimMul(h!, block), dimMul(w, block)]);
}

function spaceToDepth(c: LowerContext): Value {
  const x = c.input(0);
  const block = c.int("blocksize") ?? c.invalid("L0108", "blocksize is missing");
  const [n, channels, h, w] = x.shape;
  if (w === undefined) return c.invalid("L0201", `the input has rank ${x.shape.length}, not 4`);
  const [rows, columns] = [h!, w].map((dim) =>
    exactQuotient(c, dim, block, () => `${shapeText(x.shape)} has no whole blocks of ${block}`),
  );
  const apart = c.b.reshape(x, [n!, channels!, rows!, block, columns!, block]);
  const depth = dimMul(channels!, block * block);
  return c.b.reshape(c.b.transpose(apart, [0, 3, 5, 1, 2, 4]), [n!, depth, rows!, columns!]);
}
