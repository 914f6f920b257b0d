/** BitCast against the bytes of its input, for pairs of types of one size. */
import { expect, test } from "vitest";
import { importModel } from "../../src/compiler/1-import/import.js";
import { bytesFromData, dataFromBytes } from "../../src/numerics/convert.js";
import { type DType, dtypes } from "../../src/numerics/dtype.js";
import { dtypeToOnnx } from "../../src/onnx/dtypes.js";
import { node, onnxModel } from "../support/onnx-builder.js";
import { evaluate } from "./against-onnxruntime.js";

/** Numbers with many kinds of bits: signs, subnormals, infinities, but no NaN, whose payload is not kept. */
const words: { readonly [bits: number]: readonly number[] } = {
  8: [0, 1, 1, 0],
  16: [0, 0x8000, 1, 0x8003, 0x3ff, 0x400, 0x3c00, 0xbc01, 0x7bff, 0x7c00, 0xfc00, 0x0080, 0x7f80],
  32: [0, 0x80000000, 1, 0x807fffff, 0x3f800000, 0x7f7fffff, 0xff800000, 0x12345678],
};

const pairs: readonly (readonly [DType, DType])[] = [
  ...([
    ["bool", "u8"],
    ["bool", "i8"],
    ["u8", "bool"],
    ["u8", "i8"],
    ["i8", "u8"],
  ] as const),
  ...(["f16", "bf16"] as const).flatMap((float) =>
    (["i16", "u16"] as const).flatMap(
      (int) =>
        [
          [float, int],
          [int, float],
        ] as const,
    ),
  ),
  ...(["i32", "u32"] as const).flatMap(
    (int) =>
      [
        ["f32", int],
        [int, "f32"],
      ] as const,
  ),
  ...([
    ["u16", "i16"],
    ["i32", "u32"],
  ] as const),
];

test.each(pairs)("%s as %s", (from, to) => {
  const { bits } = dtypes[from];
  const isHalf = from === "f16" || to === "f16";
  const codes = words[bits]!.filter((code) => !isHalf || (code & 0x7fff) <= 0x7c00);
  const raw = new Uint8Array(codes.length * (bits / 8));
  codes.forEach((code, i) => {
    for (let byte = 0; byte < bits / 8; byte++) raw[(i * bits) / 8 + byte] = code >>> (8 * byte);
  });
  const x = { dtype: from, shape: [codes.length], data: dataFromBytes(from, raw, codes.length) };
  const attributes = { to: dtypeToOnnx(to) };
  const [y] = evaluate({ op: "BitCast", opset: 26, inputs: [x], attributes, outputs: [to] });
  expect(y!.dtype).toBe(to);
  expect(bytesFromData(to, y!.data as never)).toEqual(raw);
  const model = onnxModel({
    opset: 26,
    inputs: { x: `${from}[4]` },
    nodes: [node("BitCast", ["x"], ["y"], attributes)],
    outputs: { y: `${to}[4]` },
  });
  expect(importModel(model).graph.nodes.map(({ op }) => op.kind)).not.toContain("host");
});
