/**
 * The compiler's table of contents: every pass in order, with its reason. A name here is the name in
 * `--print-after`, in traces, and of the pass's file and golden folder.
 */
import type { DecisionRecord } from "../isa/executable.js";
import type { Graph } from "../ir/graph.js";
import { carryUnsigned } from "./2-optimize/carry-unsigned.js";
import { contractBf16 } from "./2-optimize/contract-bf16.js";
import { contractCodes } from "./2-optimize/contract-codes.js";
import { convertAtBorders } from "./2-optimize/convert-at-borders.js";
import { depthwiseToReduce } from "./2-optimize/depthwise-to-reduce.js";
import { expandArgmax } from "./2-optimize/expand-argmax.js";
import { mergeScales } from "./2-optimize/merge-scales.js";
import { narrowDoubles } from "./2-optimize/narrow-doubles.js";
import { narrowIntegers } from "./2-optimize/narrow-integers.js";
import { shareEqual } from "./2-optimize/share-equal.js";
import { splitReductions } from "./2-optimize/split-reductions.js";
import { insertCopies } from "./3-partition/insert-copies.js";

/** What contractions read: the model's own types, or bf16. */
export const precisions = ["fp32", "bf16"] as const;

export type Precision = (typeof precisions)[number];

/** Where doubles are computed: by the host, which has them, or as fp32 by the device. */
export const float64Choices = ["host", "fp32"] as const;

export type Float64 = (typeof float64Choices)[number];

export interface PassContext {
  readonly precision: Precision;
  readonly float64: Float64;
  readonly records: DecisionRecord[];
}

export interface GraphPass {
  readonly name: string;
  readonly why: string;
  /** Returns the same graph if it changed nothing. */
  readonly run: (graph: Graph, context: PassContext) => Graph;
  /** It rounds elsewhere, or adds in another order; no other pass changes a bit. */
  readonly rounds?: true;
  /** It gets whole graphs and sees to bodies itself, since what they are given counts; the others see each graph alone. */
  readonly entersBodies?: true;
}

/** Phase 2. Import (phase 1) has folded and canonicalised while it built; phases 4 to 6 have one pass each. */
export const graphPasses = [
  {
    name: "narrow-doubles",
    why: "--float64 fp32 computes doubles on the device; nothing is rounded unasked",
    run: (graph, context) =>
      context.float64 === "fp32" ? narrowDoubles(graph, context.records) : graph,
    rounds: true,
  },
  {
    name: "share-equal",
    why: "exporters write equal operations many times over",
    run: shareEqual,
  },
  {
    name: "carry-unsigned",
    why: "the device has no uint32; int32 registers hold the same bits",
    run: carryUnsigned,
  },
  {
    name: "convert-at-borders",
    why: "copies convert; types that are only passed through need not go to the host",
    run: convertAtBorders,
    entersBodies: true,
  },
  {
    name: "expand-argmax",
    why: "engines reduce to values, not to positions",
    run: expandArgmax,
  },
  {
    name: "narrow-integers",
    why: "the device computes in int32; int64 that provably fits need not go to the host",
    run: narrowIntegers,
    entersBodies: true,
  },
  {
    name: "contract-codes",
    why: "sums of products of codes are exact, and the tensor engine's fastest",
    run: (graph, context) => contractCodes(graph, context.records),
    rounds: true,
  },
  {
    name: "merge-scales",
    why: "one multiplication between a sum and its codes, however the layer was quantized",
    run: mergeScales,
    rounds: true,
  },
  {
    name: "depthwise-to-reduce",
    why: "contractions without reuse waste the tensor engine",
    run: depthwiseToReduce,
  },
  {
    name: "split-reductions",
    why: "one result would be one member's work, however long the reduction",
    run: splitReductions,
  },
  {
    name: "contract-bf16",
    why: "--precision bf16 rounds what contractions read; nothing is rounded unasked",
    run: (graph, context) => (context.precision === "bf16" ? contractBf16(graph) : graph),
    rounds: true,
  },
] as const satisfies readonly GraphPass[];

/** Phase 3, once regions are cut out. */
export const borderPasses = [
  {
    name: "insert-copies",
    why: "last: says where movement must end in memory, before fusion looks for producers",
    run: insertCopies,
  },
] as const satisfies readonly GraphPass[];

/** Every stage that can be printed after or stopped at, in order. */
export const stageNames: readonly string[] = [
  "import",
  ...graphPasses.map((pass) => pass.name),
  "partition",
  ...borderPasses.map((pass) => pass.name),
  "tile",
  "place",
  "emit",
];

/** Rows that may not be swapped, checked when this module is loaded. */
const passOrder: readonly (readonly [before: string, after: string, why: string])[] = [
  ["narrow-doubles", "convert-at-borders", "what is narrowed already needs no conversion"],
  ["share-equal", "convert-at-borders", "conversions of one input are one"],
  ["carry-unsigned", "convert-at-borders", "it converts what it carries"],
  ["carry-unsigned", "narrow-integers", "what is carried needs no limits"],
  ["expand-argmax", "narrow-integers", "an index in int64 is narrowed only once it is computed"],
  ["expand-argmax", "split-reductions", "an index is found by reductions, which may be long"],
  ["contract-codes", "merge-scales", "it finds the sums that the first one makes"],
  ["contract-codes", "depthwise-to-reduce", "products of codes are found in contractions"],
  ["contract-codes", "contract-bf16", "products of codes are exact, not rounded"],
  ["depthwise-to-reduce", "contract-bf16", "only what stays on the tensor engine is rounded"],
  ["contract-bf16", "insert-copies", "a rounding is a map that copies fuse with"],
];

for (const [before, after, why] of passOrder) {
  if (stageNames.indexOf(before) >= stageNames.indexOf(after)) {
    throw new Error(`pass ${before} must come before ${after}: ${why}`);
  }
}
