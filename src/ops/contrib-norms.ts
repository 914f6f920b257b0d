/**
 * Normalizations of com.microsoft, with the residual sum before them, and SimplifiedLayerNormalization, which
 * exporters write in the default domain.
 */
import type { GraphBuilder } from "../ir/builder.js";
import type { Value } from "../ir/graph.js";
import { computeType, operatorOfMany, range } from "./helpers.js";
import { layerNormalization, rmsNormalization, stashed } from "./normalization.js";
import { dequantize } from "./quantization.js";
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

interface Embedding {
  readonly ids: Value;
  readonly segmentIds: Value | undefined;
  readonly positionIds: Value | undefined;
  readonly mask: Value | undefined;
  /** Rows of the table that is input `index`; without ids the first ones. */
  readonly lookUp: (index: number, ids: Value | undefined) => Value;
  readonly scale: Value;
  readonly bias: Value;
  readonly hasSegments: boolean;
}

/** The normalized sum of a word's, a position's and a segment's rows, and how many words each mask lets through. */
function embed(c: LowerContext, form: Embedding): readonly (Value | undefined)[] {
  const { b } = c;
  const { ids, lookUp, mask } = form;
  const words = lookUp(2, ids);
  const segment =
    form.segmentIds === undefined || !form.hasSegments ? undefined : lookUp(4, form.segmentIds);
  const sum = sumOf(b, [words, lookUp(3, form.positionIds), segment]);
  const { y } = layerNormalization(b, {
    x: sum,
    axes: [2],
    scale: form.scale,
    bias: form.bias,
    epsilon: c.float("epsilon", 1e-12),
  });
  const counts =
    mask === undefined
      ? b.broadcast(b.full("i32", 0, [1]), [ids.shape[0]!])
      : b.reduce(b.cast(mask, "i32"), "sum", [1]);
  return [b.cast(y, words.dtype), counts, b.cast(sum, words.dtype)].slice(0, c.outputCount);
}

function rowsOf(c: LowerContext, table: Value, ids: Value | undefined): Value {
  if (ids !== undefined) return c.b.gather(table, ids, 0);
  return c.b.sliceAxis(table, 0, 0, c.input(0).shape[1]!);
}

/** Inputs: ids, segment ids, tables of words, positions and segments, scale, bias, mask, position ids. */
function lowerEmbed(c: LowerContext): readonly (Value | undefined)[] {
  return embed(c, {
    ids: c.input(0),
    segmentIds: c.inputs[1],
    positionIds: c.inputs[8],
    mask: c.inputs[7],
    lookUp: (index, ids) => rowsOf(c, c.input(index), ids),
    scale: c.input(5),
    bias: c.input(6),
    hasSegments: c.inputs[4] !== undefined,
  });
}

/** As `lowerEmbed`, with codes: inputs 8 to 12 are the scales, 13 to 17 the zero points of inputs 2 to 6. */
function lowerQEmbed(c: LowerContext): readonly (Value | undefined)[] {
  const decode = (index: number, codes: Value) =>
    dequantize(c.b, codes, c.input(index + 6), c.inputs[index + 11], "f32");
  return embed(c, {
    ids: c.input(0),
    segmentIds: c.inputs[1],
    positionIds: undefined,
    mask: c.inputs[7],
    lookUp: (index, ids) => decode(index, rowsOf(c, c.input(index), ids)),
    scale: decode(5, c.input(5)),
    bias: decode(6, c.input(6)),
    hasSegments: c.inputs[4] !== undefined,
  });
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
  operatorOfMany(
    "QEmbedLayerNormalization",
    { ...contrib, ranks: [2, 2, 2, 2, 2, 1, 1, 2] },
    lowerQEmbed,
  ),
];
