/**
 * Sampling an image at computed positions: GridSample and AffineGrid. The image is laid out as rows of
 * channels; a position becomes a row number, and the neighbours' rows are gathered and weighted. Deformable
 * convolution, in `deform-conv.ts`, does the same. Regular grids are `resize.ts`.
 */
import type { Lane, LaneBuilder } from "../ir/builder.js";
import { type Dim, dimMul, dimProduct } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { dimValue } from "./gather.js";
import { computeType, operator, range } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export const samplingOperators: readonly OperatorRecord[] = [
  operator("GridSample", { since: 16, ranks: ["3+", "3+"] }, gridSample),
  operator("AffineGrid", { since: 20, ranks: [3, 1] }, affineGrid),
];

type Padding = "zeros" | "border" | "reflection";

/** Positions beyond the image come back inside, or count as zeros. */
interface Edges {
  readonly padding: Padding;
  /** Reflection turns around at the corners' centres, not at their outer edges. */
  readonly alignCorners: boolean;
}

/** x mirrored into [low, high], where extent = high - low. */
function reflect(l: LaneBuilder, x: Lane, low: Lane, extent: Lane): Lane {
  const zero = l.constF(0);
  const high = l.add(low, extent);
  const below = l.lt(x, low);
  const beyond = l.max(l.max(l.sub(low, x), l.sub(x, high)), zero);
  const folds = l.floor(l.div(beyond, extent));
  const rest = l.sub(beyond, l.mul(folds, extent));
  const isOdd = l.lt(l.floor(l.mul(folds, l.constF(0.5))), l.mul(folds, l.constF(0.5)));
  // From the edge that was crossed, back inside; after an odd number of folds from the other edge.
  const fromLow = l.xor(below, isOdd);
  const mirrored = l.select(fromLow, l.add(low, rest), l.sub(high, rest));
  const isInside = l.le(beyond, zero);
  return l.select(isInside, x, l.select(l.le(extent, zero), low, mirrored));
}

/** A position along an axis of `extent` (as a float lane), brought inside as `edges` says. */
function foldInside(l: LaneBuilder, x: Lane, extent: Lane, edges: Edges): Lane {
  const last = l.sub(extent, l.constF(1));
  if (edges.padding === "zeros") return x;
  if (edges.padding === "border") return l.min(l.max(x, l.constF(0)), last);
  return edges.alignCorners
    ? reflect(l, x, l.constF(0), last)
    : reflect(l, x, l.constF(-0.5), extent);
}

/** One tap along each axis: float positions (whole numbers) and weights, of one shape. */
export interface SampleTap {
  readonly position: Value;
  readonly weight: Value;
}

/**
 * The weighted sum (or the maximum of what would be added) over all combinations of taps. `rows` is [batch * extents.., channels], `row` the number of
 * the batch's first row, `taps` the taps of each axis. The result is [positions.., channels].
 */
export function sampleRows(
  c: LowerContext,
  rows: Value,
  row: Value,
  extents: readonly Dim[],
  taps: readonly (readonly SampleTap[])[],
  join: "add" | "max" = "add",
): Value {
  const { dtype } = rows;
  const combinations = taps.reduce<readonly (readonly SampleTap[])[]>(
    (all, axis) => all.flatMap((chosen) => axis.map((tap) => [...chosen, tap])),
    [[]],
  );
  const terms = combinations.map((chosen) => {
    const inputs = chosen.flatMap(({ position }, i) => [position, dimValue(c, extents[i]!)]);
    const inside = c.b.map("bool", inputs, (l, ...lanes) =>
      pairs(lanes)
        .map(([at, extent]) => {
          const last = l.sub(l.toF(extent), l.constF(1));
          return l.and(l.le(l.constF(0), at), l.le(at, last));
        })
        .reduce((a, b) => l.and(a, b)),
    );
    const linear = c.b.map("i32", [row, inside, ...inputs], (l, first, isInside, ...lanes) => {
      const offset = pairs(lanes).reduce(
        (sum, [at, extent]) => l.addI(l.mulI(sum, extent), l.toI(at)),
        l.constI(0),
      );
      return l.selectI(isInside!, l.addI(first!, offset), l.constI(0));
    });
    const weights = chosen.map(({ weight }) => weight);
    const factor = c.b.map(dtype, [inside, ...weights], (l, isInside, ...w) =>
      l.select(
        isInside!,
        w.reduce((a, b) => l.mul(a, b)),
        l.constF(0),
      ),
    );
    const gathered = c.b.gather(rows, linear, 0);
    const placed = c.b.unsqueeze(factor, [factor.shape.length]);
    // A weight of 0 hides the row that stands in for one outside.
    return c.b.map(dtype, [gathered, placed], (l, v, w) =>
      l.select(l.eq(w!, l.constF(0)), l.constF(0), l.mul(v!, w!)),
    );
  });
  return terms.reduce((a, b) => c.b.map(dtype, [a, b], (l, x, y) => l[join](x!, y!)));
}

function pairs(lanes: readonly Lane[]): (readonly [Lane, Lane])[] {
  return range(0, lanes.length / 2).map((i) => [lanes[2 * i]!, lanes[2 * i + 1]!] as const);
}

/** [n, channels, spatial..] as rows of channels. */
export function rowsOf(c: LowerContext, x: Value): Value {
  const [n, channels, ...spatial] = x.shape;
  const last = c.b.transpose(x, [0, ...range(2, x.shape.length), 1]);
  return c.b.reshape(last, [dimMul(n!, dimProduct(spatial)), channels!]);
}

function gridSample(c: LowerContext): Value {
  const x = c.input(0);
  const dtype = computeType(x.dtype);
  const grid = c.b.cast(c.input(1), dtype);
  const extents = x.shape.slice(2);
  const padding = c.string("padding_mode", "zeros");
  if (padding !== "zeros" && padding !== "border" && padding !== "reflection") {
    return c.invalid("L0108", `padding_mode "${padding}" does not exist`);
  }
  const edges: Edges = { padding, alignCorners: c.int("align_corners", 0) !== 0 };
  const mode = c.string("mode", "linear");
  const last = grid.shape.length - 1;
  const taps = extents.map((extent, i) => {
    // The grid lists coordinates from the innermost axis outwards.
    const component = extents.length - 1 - i;
    const at = c.b.squeeze(c.b.sliceAxis(grid, last, component, 1), [last]);
    return gridTaps(c, at, extent, mode, edges);
  });
  const shape = grid.shape.slice(0, -1);
  const image = c.b.iota("i32", [shape[0]!, ...shape.slice(1).map(() => 1)], 0);
  const row = c.b.map("i32", [image, dimValue(c, dimProduct(extents))], (l, n, size) =>
    l.mulI(n!, size!),
  );
  const sampled = sampleRows(c, c.b.cast(rowsOf(c, x), dtype), row, extents, taps);
  const result = c.b.transpose(sampled, [0, shape.length, ...range(1, shape.length)]);
  return c.b.cast(result, x.dtype);
}

/** The taps around coordinates in [-1, 1] along one axis. */
function gridTaps(
  c: LowerContext,
  coordinate: Value,
  extent: Dim,
  mode: string,
  edges: Edges,
): readonly SampleTap[] {
  const { dtype } = coordinate;
  const size = dimValue(c, extent);
  // The taps of the cubic filter are brought inside one by one, as PyTorch does it.
  const isCubic = mode === "cubic" || mode === "bicubic";
  const at = c.b.map(dtype, [coordinate, size], (l, g, n) => {
    const length = l.toF(n!);
    const shifted = l.add(g!, l.constF(1));
    const half = l.constF(0.5);
    const position = edges.alignCorners
      ? l.mul(l.mul(shifted, half), l.sub(length, l.constF(1)))
      : l.mul(l.sub(l.mul(shifted, length), l.constF(1)), half);
    if (isCubic) return position;
    const rounded = mode === "nearest" ? l.rint(position) : position;
    return foldInside(l, rounded, length, edges);
  });
  if (mode === "nearest") {
    const position = c.b.map(dtype, [at, size], (l, p, n) =>
      l.rint(foldInside(l, p!, l.toF(n!), edges)),
    );
    return [{ position, weight: c.b.full(dtype, 1) }];
  }
  if (!isCubic && mode !== "linear" && mode !== "bilinear") {
    return c.invalid("L0108", `mode "${mode}" does not exist`);
  }
  return (isCubic ? [-1, 0, 1, 2] : [0, 1]).map((offset) => ({
    position: c.b.map(dtype, [at, size], (l, p, n) =>
      l.rint(foldInside(l, l.add(l.floor(p!), l.constF(offset)), l.toF(n!), edges)),
    ),
    weight: c.b.map(dtype, [at], (l, p) => {
      const distance = l.abs(l.sub(l.sub(p!, l.floor(p!)), l.constF(offset)));
      return isCubic ? cubicWeight(l, distance, offset) : l.sub(l.constF(1), distance);
    }),
  }));
}

/** The cubic convolution filter with a = -0.75; which of its pieces holds is known from the offset. */
function cubicWeight(l: LaneBuilder, x: Lane, offset: number): Lane {
  const a = -0.75;
  const isNear = offset === 0 || offset === 1;
  const coefficients = isNear ? [a + 2, -(a + 3), 0, 1] : [a, -5 * a, 8 * a, -4 * a];
  return coefficients
    .slice(1)
    .reduce((sum, term) => l.add(l.mul(sum, x), l.constF(term)), l.constF(coefficients[0]!));
}

/** theta times the coordinates of a regular grid. */
function affineGrid(c: LowerContext): Value {
  const theta = c.input(0);
  const size = c.knownInts(1, "the size") ?? c.invalid("L0201", "the size is missing");
  const extents = size.slice(2);
  const rank = extents.length;
  const alignCorners = c.int("align_corners", 0) !== 0;
  const count = extents.reduce((product, extent) => product * extent, 1);
  const data = new Float32Array(count * (rank + 1)).fill(1);
  let inner = 1;
  for (const [component, extent] of [...extents].reverse().entries()) {
    for (const position of range(0, count)) {
      const index = Math.floor(position / inner) % extent;
      const centred = (2 * index + 1) / extent - 1;
      const corner = extent === 1 ? -1 : (2 * index) / (extent - 1) - 1;
      data[position * (rank + 1) + component] = alignCorners ? corner : centred;
    }
    inner *= extent;
  }
  const points = c.b.constant({ dtype: "f32", shape: [...extents, rank + 1], data });
  const axes = "dhw".slice(3 - rank);
  const grid = c.b.contract(c.b.cast(points, theta.dtype), theta, {
    a: `${axes}k`,
    b: "nik",
    out: `n${axes}i`,
    order: "k",
  });
  return c.b.cast(grid, theta.dtype);
}
