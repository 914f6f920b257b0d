/**
 * Normalizations of com.microsoft, with the residual sum before them, and SimplifiedLayerNormalization, which
 * exporters write in the default domain.
 */
import type { GraphBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { computeType, operatorOfMany, range } from "./helpers.js";
import { layerNormalization, rmsNormalization, stashed } from "./normalization.js";
import type { LowerContext, OperatorRecord } from "./record.js";

const contrib = { domain: "com.microsoft", since: 1 };

/** The sum of all values, in the type that composite functions compute in. */
function sumOf(b: GraphBuilder, values: readonly (Value | undefined)[]): Value {
  const given = values.filter((v) => v !== undefined);
  const dtype = computeType(given[0]!.dtype);
  return b.map(dtype, given, (l, first, ...rest) => rest.reduce((s, x) => l.add(s, x), first!));
}

/** Normalizes the sum; output 3 is the sum itself. */
function lowerSkip(
  c: LowerContext,
  { scale, bias, added }: { scale: Value; bias?: Value | undefined; added: Value | undefined },
): readonly (Value | undefined)[] {
  const { b } = c;
  const { dtype } = c.input(0);
  const sum = sumOf(b, [c.input(0), c.input(1), added]);
  const form = { x: sum, axes: [sum.shape.length - 1], scale, epsilon: c.float("epsilon", 1e-12) };
  const parts =
    c.node.operator === "SkipLayerNormalization"
      ? layerNormalization(b, { ...form, bias })
      : { mean: undefined, ...rmsNormalization(b, form) };
  return [
    b.cast(parts.y, dtype),
    parts.mean === undefined ? undefined : stashed(c, 1, parts.mean),
    stashed(c, 2, parts.inverseDeviation),
    c.wantsOutput(3) ? b.cast(sum, dtype) : undefined,
  ].slice(0, c.outputCount);
}

/** Inputs: ids, segment ids, tables of words, positions and segments, scale, bias, mask, position ids. */
function lowerEmbed(c: LowerContext): readonly (Value | undefined)[] {
  const { b } = c;
  const ids = c.input(0);
  const [segmentIds, segments, mask, positionIds] = [1, 4, 7, 8].map((i) => c.inputs[i]);
  const words = b.gather(c.input(2), ids, 0);
  const positionTable = c.input(3);
  const positions =
    positionIds === undefined
      ? b.sliceAxis(positionTable, 0, 0, ids.shape[1]!)
      : b.gather(positionTable, positionIds, 0);
  const segment =
    segmentIds === undefined || segments === undefined
      ? undefined
      : b.gather(segments, segmentIds, 0);
  const sum = sumOf(b, [words, positions, segment]);
  const { y } = layerNormalization(b, {
    x: sum,
    axes: [2],
    scale: c.input(5),
    bias: c.input(6),
    epsilon: c.float("epsilon", 1e-12),
  });
  const counts =
    mask === undefined
      ? b.broadcast(b.full("i32", 0, [1]), [ids.shape[0]!])
      : b.reduce(b.cast(mask, "i32"), "sum", [1]);
  return [b.cast(y, words.dtype), counts, b.cast(sum, words.dtype)].slice(0, c.outputCount);
}

function lowerSimplified(c: LowerContext): readonly (Value | undefined)[] {
  const x = c.input(0);
  const rank = x.shape.length;
  const { y, inverseDeviation } = rmsNormalization(c.b, {
    x,
    axes: range(c.axis(c.int("axis", -1), rank), rank),
    scale: c.input(1),
    epsilon: c.float("epsilon", 1e-5),
  });
  return [y, stashed(c, 1, inverseDeviation)].slice(0, c.outputCount);
}

export const contribNormOperators: readonly OperatorRecord[] = [
  operatorOfMany("SimplifiedLayerNormalization", 1, lowerSimplified),
  operatorOfMany("SkipLayerNormalization", contrib, (c) =>
    lowerSkip(c, { scale: c.input(2), bias: c.inputs[3], added: c.inputs[4] }),
  ),
  operatorOfMany("SkipSimplifiedLayerNormalization", contrib, (c) =>
    lowerSkip(c, { scale: c.input(2), added: c.inputs[3] }),
  ),
  operatorOfMany(
    "EmbedLayerNormalization",
    { ...contrib, ranks: [2, 2, 2, 2, 2, 1, 1, 2, 2] },
    lowerEmbed,
  ),
];
