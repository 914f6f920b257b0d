/** Models whose shapes depend on data, of the kinds that exporters emit: what follows is worth running on a device. */
import type { Tensor } from "../../src/numerics/tensor.js";
import { bool, f32, graphProto, i64, type ModelInit, node } from "./onnx-builder.js";
import { Random } from "./random.js";

/** Values in -1..1, multiples of 1/64. */
export function numbers(seed: number, ...shape: readonly number[]): Tensor {
  const random = new Random(seed);
  const count = shape.reduce((a, b) => a * b, 1);
  return f32(
    shape,
    Array.from({ length: count }, () => random.integer(-64, 64) / 64),
  );
}

/** Rows of x above a threshold, found by NonZero, through two layers. */
export const chosenRows: ModelInit = {
  inputs: { x: "f32[N, 80]", least: "f32[]" },
  initializers: {
    w: numbers(1, 80, 64),
    v: numbers(2, 64, 3),
    first: i64([], [0]),
    rows: i64([1], [-1]),
  },
  nodes: [
    node("Gather", ["x", "first"], ["score"], { axis: 1 }),
    node("Greater", ["score", "least"], ["isHigh"]),
    node("NonZero", ["isHigh"], ["found"]),
    node("Reshape", ["found", "rows"], ["places"]),
    node("Gather", ["x", "places"], ["chosen"]),
    node("MatMul", ["chosen", "w"], ["h"]),
    node("Relu", ["h"], ["a"]),
    node("MatMul", ["a", "v"], ["y"]),
  ],
  outputs: { y: "f32[M, 3]", score: "f32[N]" },
};

/** The same with Compress, and what it chooses goes out as well. */
export const compressedRows: ModelInit = {
  ...chosenRows,
  initializers: { w: numbers(1, 80, 64), first: i64([], [0]) },
  nodes: [
    node("Gather", ["x", "first"], ["score"], { axis: 1 }),
    node("Greater", ["score", "least"], ["isHigh"]),
    node("Compress", ["x", "isHigh"], ["chosen"], { axis: 0 }),
    node("MatMul", ["chosen", "w"], ["h"]),
    node("Softmax", ["h"], ["y"]),
  ],
  outputs: { y: "f32[M, 64]", chosen: "f32[M, 80]" },
};

/** Of the rows that the first choice leaves, those whose first result is positive go through a layer of their own. */
export const chosenTwice: ModelInit = {
  ...chosenRows,
  initializers: { ...chosenRows.initializers, u: numbers(3, 64, 70) },
  nodes: [
    ...chosenRows.nodes.slice(0, -1),
    node("Gather", ["h", "first"], ["again"], { axis: 1 }),
    node("Greater", ["again", "least"], ["isAgain"]),
    node("Compress", ["a", "isAgain"], ["left"], { axis: 0 }),
    node("MatMul", ["left", "u"], ["y"]),
  ],
  outputs: { y: "f32[M, 70]", a: "f32[L, 64]" },
};

/** A length regulator as text-to-speech has it: frames per token from the data, and a decoder over all frames. */
export const lengthRegulator: ModelInit = {
  inputs: { x: "f32[1, T, 32]", pace: "f32[]" },
  initializers: {
    wd: numbers(4, 32, 1),
    w1: numbers(5, 64, 32, 3),
    w2: numbers(6, 1, 64, 3),
    zero: i64([], [0]),
    one: i64([], [1]),
    zeros: i64([1], [0]),
    ones: i64([1], [1]),
    last: i64([], [-1]),
    flat: i64([1], [-1]),
  },
  nodes: [
    node("MatMul", ["x", "wd"], ["d"]),
    node("Abs", ["d"], ["positive"]),
    node("Mul", ["positive", "pace"], ["paced"]),
    node("Ceil", ["paced"], ["ceiled"]),
    node("Cast", ["ceiled"], ["durations"], { to: 7 }),
    node("Reshape", ["durations", "flat"], ["frames"]),
    node("CumSum", ["frames", "zero"], ["ends"]),
    node("Gather", ["ends", "last"], ["total"]),
    node("Range", ["zero", "total", "one"], ["frame"]),
    node("Unsqueeze", ["frame", "ones"], ["column"]),
    node("Unsqueeze", ["ends", "zeros"], ["row"]),
    node("GreaterOrEqual", ["column", "row"], ["isAfter"]),
    node("Cast", ["isAfter"], ["steps"], { to: 7 }),
    node("ReduceSum", ["steps", "ones"], ["token"], { keepdims: 0 }),
    node("Gather", ["x", "token"], ["stretched"], { axis: 1 }),
    node("Transpose", ["stretched"], ["channels"], { perm: [0n, 2n, 1n] }),
    node("Conv", ["channels", "w1"], ["h"], { pads: [1n, 1n] }),
    node("LeakyRelu", ["h"], ["a"]),
    node("Conv", ["a", "w2"], ["wave"], { pads: [1n, 1n] }),
    node("Tanh", ["wave"], ["y"]),
  ],
  outputs: { y: "f32[1, 1, L]", frames: "i64[T]" },
};

/** Two stages of a detector: boxes that NonMaxSuppression leaves, their features pooled, a head for each. */
export const detector: ModelInit = {
  inputs: {
    image: "f32[1, 8, 24, 24]",
    boxes: "f32[1, N, 4]",
    scores: "f32[1, 1, N]",
    least: "f32",
  },
  initializers: {
    conv: numbers(7, 16, 8, 3, 3),
    most: i64([], [20]),
    overlap: f32([], [0.5]),
    two: i64([1], [2]),
    three: i64([1], [3]),
    ones: i64([1], [1]),
    flat: i64([1], [-1]),
    batch: i64([1], [0]),
    size: i64([2], [-1, 144]),
    fc: numbers(8, 144, 64),
    head: numbers(9, 64, 5),
  },
  nodes: [
    node("Conv", ["image", "conv"], ["features"], { pads: [1n, 1n, 1n, 1n] }),
    node("Relu", ["features"], ["map"]),
    node("NonMaxSuppression", ["boxes", "scores", "most", "overlap", "least"], ["kept"]),
    node("Slice", ["kept", "two", "three", "ones"], ["index"]),
    node("Reshape", ["index", "flat"], ["places"]),
    node("Squeeze", ["boxes", "batch"], ["all"]),
    node("Gather", ["all", "places"], ["rois"]),
    node("Mul", ["places", "batch"], ["batches"]),
    node("RoiAlign", ["map", "rois", "batches"], ["pooled"], { output_height: 3, output_width: 3 }),
    node("Reshape", ["pooled", "size"], ["rows"]),
    node("MatMul", ["rows", "fc"], ["h"]),
    node("Relu", ["h"], ["a"]),
    node("MatMul", ["a", "head"], ["logits"]),
    node("Softmax", ["logits"], ["classes"]),
  ],
  outputs: { classes: "f32[M, 5]", rois: "f32[M, 4]" },
};

/**
 * Tokens until one repeats a row's rule, stacked by a Loop; then a layer over all of them. There is no number of trips
 * for which memory could be laid out.
 */
export const stackedTrips: ModelInit = {
  inputs: { x: "f32[64]", least: "f32[]" },
  initializers: {
    w: numbers(10, 64, 80),
    most: i64([], [2 ** 40]),
    half: f32([], [0.75]),
    goes: bool([], [true]),
  },
  nodes: [
    node("Loop", ["most", "goes", "x"], ["end", "rows"], {
      body: {
        graph: graphProto({
          name: "body",
          inputs: { trip: "i64[]", before: "bool[]", state: "f32[64]" },
          nodes: [
            node("Mul", ["state", "half"], ["next"]),
            node("ReduceMax", ["next"], ["largest"], { keepdims: 0 }),
            node("Greater", ["largest", "least"], ["after"]),
            node("Identity", ["next"], ["row"]),
          ],
          outputs: { after: "bool[]", next: "f32[64]", row: "f32[64]" },
        }),
      },
    }),
    node("MatMul", ["rows", "w"], ["y"]),
  ],
  outputs: { y: "f32[M, 80]", end: "f32[64]" },
};
