/**
 * Text to speech as its exporters write it, made small: tokens embedded and masked by their length, a duration for each,
 * masks and the monotonic path from tokens to frames out of ranges and running sums, a flow and an upsampling decoder
 * over all frames.
 */
import type { Tensor } from "../../src/numerics/tensor.js";
import type { NodeProto } from "../../src/onnx/schema.js";
import type { Init } from "../../src/onnx/wire.js";
import { numbers } from "./data-dependent.js";
import { type AttributeInit, f32, i64, type ModelInit, node } from "./onnx-builder.js";

const channels = 64;

export const speechModel: ModelInit = {
  opset: 17,
  inputs: { tokens: "i64[1, T]", lengths: "i64[1]", pace: "f32[]" },
  initializers: {
    embedding: numbers(1, 100, channels),
    durationWeights: numbers(2, 1, channels, 3),
    meanWeights: numbers(3, channels, channels, 1),
    flowWeights: numbers(4, channels, channels, 3),
    upWeights: numbers(5, channels, 32, 8),
    outWeights: numbers(6, 1, 32, 7),
    zero: i64([], [0]),
    one: i64([], [1]),
    last: i64([], [-1]),
    zeros: i64([1], [0]),
    ones: i64([1], [1]),
    twos: i64([1], [2]),
    threes: i64([1], [3]),
    lasts: i64([1], [-1]),
    ends: i64([1], [2 ** 31 - 1]),
    frameAxes: i64([2], [1, 2]),
    shift: i64([6], [0, 1, 0, 0, 0, 0]),
    least: f32([], [1]),
    scale: f32([], [0.3]),
  },
  nodes: nodes(),
  outputs: { y: "f32[1, 1, L]" },
};

export function speechInputs(tokens: number, pace: number): ReadonlyMap<string, Tensor> {
  const ids = Array.from({ length: tokens }, (_, i) => (i * 37) % 100);
  return new Map([
    ["tokens", i64([1, tokens], ids)],
    ["lengths", i64([1], [tokens])],
    ["pace", f32([], [pace])],
  ]);
}

function nodes(): Init<NodeProto>[] {
  const all: Init<NodeProto>[] = [];
  const op = (
    operator: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, AttributeInit>> = {},
    name = `/model/${operator}_${all.length}_output_0`,
  ): string => {
    all.push(node(operator, inputs, [name], attributes));
    return name;
  };
  const float = (x: string) => op("Cast", [x], { to: 1 });
  const maskOf = (lengths: string): string => {
    const positions = op("Range", ["zero", op("ReduceMax", [lengths], { keepdims: 0 }), "one"]);
    const rows = op("Unsqueeze", [positions, "zeros"]);
    return op("Unsqueeze", [float(op("Less", [rows, op("Unsqueeze", [lengths, "ones"])])), "ones"]);
  };
  const embedded = op("Gather", ["embedding", "tokens"]);
  const mask = maskOf("lengths");
  const x = op("Mul", [op("Transpose", [embedded], { perm: [0n, 2n, 1n] }), mask]);
  const logs = op("Conv", [x, "durationWeights"], { pads: [1n, 1n] });
  const durations = op("Ceil", [op("Mul", [op("Mul", [op("Exp", [logs]), mask]), "pace"])]);
  const total = op("ReduceSum", [durations, "frameAxes"], { keepdims: 0 });
  const frameMask = maskOf(op("Cast", [op("Clip", [total, "least", ""])], { to: 7 }));
  const both = op("Mul", [op("Unsqueeze", [mask, "twos"]), op("Unsqueeze", [frameMask, "lasts"])]);
  const shape = op("Shape", [both]);
  const [batch, frames, texts] = ["zeros", "twos", "threes"].map((at) => op("Gather", [shape, at]));
  const ends = op("Reshape", [
    op("CumSum", [durations, "last"]),
    op("Concat", [op("Mul", [batch!, texts!])], { axis: 0 }),
  ]);
  const frame = op("Range", ["zero", op("Squeeze", [frames!, "zeros"]), "one"]);
  const isBefore = op("Less", [
    float(op("Unsqueeze", [frame, "zeros"])),
    op("Unsqueeze", [ends, "ones"]),
  ]);
  const before = op("Reshape", [
    float(isBefore),
    op("Concat", [batch!, texts!, frames!], { axis: 0 }),
  ]);
  const earlier = op("Slice", [op("Pad", [before, "shift"]), "zeros", "lasts", "ones"]);
  const steps = op("Unsqueeze", [op("Sub", [before, earlier]), "ones"]);
  const path = op("Mul", [op("Transpose", [steps], { perm: [0n, 1n, 3n, 2n] }), both]);
  const means = op("Transpose", [op("Conv", [x, "meanWeights"])], { perm: [0n, 2n, 1n] });
  const spread = op("MatMul", [op("Squeeze", [path, "ones"]), means]);
  const mean = op("Transpose", [spread], { perm: [0n, 2n, 1n] });
  const noise = op("Expand", ["scale", op("Shape", [mean])]);
  const z = op("Add", [mean, noise]);
  const masked = op("Mul", [z, frameMask]);
  const flow = op("Add", [
    op("Tanh", [op("Conv", [masked, "flowWeights"], { pads: [1n, 1n] })]),
    z,
  ]);
  const whole = op("Slice", [op("Mul", [flow, frameMask]), "zeros", "ends", "twos"]);
  const up = op("ConvTranspose", [op("LeakyRelu", [whole]), "upWeights"], {
    strides: [4n],
    pads: [2n, 2n],
  });
  op("Tanh", [op("Conv", [up, "outWeights"], { pads: [3n, 3n] })], {}, "y");
  return all;
}
