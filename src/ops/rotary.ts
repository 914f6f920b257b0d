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
  readonly sin: Value;
  /** Pairs are neighbours; else a feature is paired with the one half of the rotated features further on. */
  readonly interleaved: boolean;
}

/** Rotates the first features of x [n, positions, heads, features] or, heads first, [n, heads, positions, features]. */
export function rotate(
  b: GraphBuilder,
  x: Value,
  { cos, sin, interleaved }: Rotation,
  headsAxis: 1 | 2,
): Value {
  const half = staticDim(cos.shape.at(-1)!, "it is half the number of rotated features");
  const features = x.shape[3]!;
  const [c, s] = [b.unsqueeze(cos, [headsAxis]), b.unsqueeze(sin, [headsAxis])];
  const part = (start: number) =>
    interleaved
      ? b.sliceAxis(x, 3, start, half, 2)
      : b.sliceAxis(x, 3, start === 0 ? 0 : half, half);
  const pair = [part(0), part(1)];
  const real = b.map(x.dtype, [...pair, c, s], (l, x1, x2, cosine, sine) =>
    l.sub(l.mul(cosine!, x1!), l.mul(sine!, x2!)),
  );
  const imaginary = b.map(x.dtype, [...pair, c, s], (l, x1, x2, cosine, sine) =>
    l.add(l.mul(sine!, x1!), l.mul(cosine!, x2!)),
  );
  const turned = interleaved
    ? b.reshape(b.concat([b.unsqueeze(real, [4]), b.unsqueeze(imaginary, [4])], 4), [
        ...x.shape.slice(0, 3),
        2 * half,
      ])
    : b.concat([real, imaginary], 3);
  const rest = dimSub(features, 2 * half);
  return rest === 0 ? turned : b.concat([turned, b.sliceAxis(x, 3, 2 * half, rest)], 3);
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
  const positions = c.inputs[3];
  const rows = (cache: Value) =>
    positions === undefined ? cache : c.b.gather(cache, positions, 0);
  return rotateTensor(c, c.input(0), {
    cos: rows(c.input(1)),
    sin: rows(c.input(2)),
    interleaved: c.int("interleaved", 0) !== 0,
  });
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
  return rotateTensor(c, x, {
    cos: b.gather(c.input(2), positions, 0),
    sin: b.gather(c.input(3), positions, 0),
    interleaved: c.int("interleaved", 0) !== 0,
  });
}

export const rotaryOperators: readonly OperatorRecord[] = [
  operator("RotaryEmbedding", 23, lowerRotary),
  operator("RotaryEmbedding", { domain: "com.microsoft", since: 1 }, lowerContribRotary),
];
