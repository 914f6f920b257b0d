/** Rotary position embedding: of ONNX, of com.microsoft (other order of inputs), and inside GroupQueryAttention. */
import type { GraphBuilder } from "../ir/builder.js";
import { type Dim, dimSub, staticDim } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { exactQuotient } from "./movement.js";
import { operator } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export interface Rotation {
  /** [n or 1, positions, rotated features / 2]. */
  readonly cos: Value;
  /** The sines with both their signs: -sin for the first of a pair, sin for the second. */
  readonly sin: Value;
  /** Pairs are neighbours; else a feature is paired with the one half of the rotated features further on. */
  readonly interleaved: boolean;
}

export interface RotationTables {
  /** Rows of half the rotated features; without positions already one row for each. */
  readonly cos: Value;
  readonly sin: Value;
  /** [n or 1, positions]. */
  readonly positions: Value | undefined;
  readonly interleaved: boolean;
}

/** Looks the positions up. The signs go into the table, where they are constant. */
export function rotationOf(b: GraphBuilder, tables: RotationTables): Rotation {
  const { cos, sin, positions, interleaved } = tables;
  const rows = (table: Value) => (positions === undefined ? table : b.gather(table, positions, 0));
  const pairAxis = sin.shape.length - (interleaved ? 0 : 1);
  const negative = b.map(sin.dtype, [sin], (l, s) => l.neg(s!));
  const signed = [negative, sin].map((x) => b.unsqueeze(x, [pairAxis]));
  return { cos: rows(cos), sin: rows(b.concat(signed, pairAxis)), interleaved };
}

/**
 * Rotates the first features of x [n, positions, heads, features] or, heads first, [n, heads, positions, features]:
 * each becomes itself times the cosine plus its partner times the signed sine.
 */
export function rotate(
  b: GraphBuilder,
  x: Value,
  { cos, sin, interleaved }: Rotation,
  headsAxis: 1 | 2,
): Value {
  const half = staticDim(cos.shape.at(-1)!, "it is half the number of rotated features");
  const pairAxis = interleaved ? 4 : 3;
  const lead = x.shape.slice(0, 3);
  const turning = b.sliceAxis(x, 3, 0, 2 * half);
  const pairs = b.reshape(turning, [...lead, ...(interleaved ? [half, 2] : [2, half])]);
  const partners = b.sliceAxis(pairs, pairAxis, 1, 2, -1);
  const cosines = b.unsqueeze(b.unsqueeze(cos, [headsAxis]), [pairAxis]);
  const sines = b.unsqueeze(sin, [headsAxis]);
  const turned = b.map(x.dtype, [pairs, cosines, partners, sines], (l, own, c, partner, s) =>
    l.add(l.mul(own!, c!), l.mul(partner!, s!)),
  );
  const joined = b.reshape(turned, turning.shape);
  const rest = dimSub(x.shape[3]!, 2 * half);
  return rest === 0 ? joined : b.concat([joined, b.sliceAxis(x, 3, 2 * half, rest)], 3);
}

/** x [n, heads, s, d] or [n, s, heads * d], rotated, in the same shape. */
function rotateTensor(c: LowerContext, x: Value, rotation: Rotation): Value {
  if (x.shape.length === 4) return rotate(c.b, x, rotation, 1);
  const heads = c.int("num_heads", 0) || headsByCache(c, x, rotation);
  const [n, s, hidden] = x.shape as readonly [Dim, Dim, Dim];
  const features = exactQuotient(c, hidden, heads, () => `${heads} heads do not divide the input`);
  const apart = c.b.reshape(x, [n, s, heads, features]);
  return c.b.reshape(rotate(c.b, apart, rotation, 2), x.shape);
}

/** Where the number of heads is not given, all features are rotated. */
function headsByCache(c: LowerContext, x: Value, { cos }: Rotation): number {
  const hidden = staticDim(x.shape[2]!, "the number of heads follows from it");
  const half = staticDim(cos.shape.at(-1)!, "it is half the number of rotated features");
  if (hidden % (2 * half) !== 0) c.invalid("L0201", `the cache does not fit ${hidden} features`);
  return hidden / (2 * half);
}

/** Inputs: x, cosines, sines, positions. Without positions the cache is [n, s, d / 2]. */
function lowerRotary(c: LowerContext): Value {
  return rotateTensor(c, c.input(0), tablesOf(c, c.input(1), c.input(2), c.inputs[3]));
}

/** Inputs: x, positions [n, s] or the first one [1], cosines, sines. */
function lowerContribRotary(c: LowerContext): Value {
  const { b } = c;
  const [x, given] = [c.input(0), c.input(1)];
  const length = x.shape[x.shape.length === 4 ? 2 : 1]!;
  const positions =
    given.shape.length === 2
      ? given
      : b.map("i64", [given, b.iota("i64", [1, length], 1)], (l, first, i) => l.addI(first!, i!));
  return rotateTensor(c, x, tablesOf(c, c.input(2), c.input(3), positions));
}

function tablesOf(c: LowerContext, cos: Value, sin: Value, positions: Value | undefined): Rotation {
  const interleaved = c.int("interleaved", 0) !== 0;
  return rotationOf(c.b, { cos, sin, positions, interleaved });
}

export const rotaryOperators: readonly OperatorRecord[] = [
  operator("RotaryEmbedding", 23, lowerRotary),
  operator("RotaryEmbedding", { domain: "com.microsoft", since: 1 }, lowerContribRotary),
];
