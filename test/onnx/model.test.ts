import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import { describe, expect, test } from "vitest";
import { decodeModel, encodeModel } from "../../src/onnx/model.js";
import { tensorSchema } from "../../src/onnx/schema.js";
import { decodeMessage, encodeMessage, type Init } from "../../src/onnx/wire.js";
import type { ModelProto } from "../../src/onnx/schema.js";
import { f32, graphProto, i64, modelProto, node, onnxFile } from "../support/onnx-builder.js";

const relu = modelProto({
  inputs: { x: "f32[N, 3]" },
  nodes: [node("Relu", ["x"], ["y"], {}, "act")],
  outputs: { y: "f32[N, 3]" },
});

test("a model survives encoding and decoding", () => {
  const model = decodeModel(encodeModel(relu));
  expect(model.irVersion).toBe(10);
  expect(model.opsetImport).toEqual([{ domain: "", version: 21 }]);
  expect(model.graph.node[0]).toMatchObject({ opType: "Relu", name: "act", input: ["x"] });
  expect(model.graph.input[0]!.type!.tensorType!.shape!.dim).toEqual([
    { dimParam: "N" },
    { dimValue: 3 },
  ]);
});

test("attributes of every kind survive", () => {
  const body = graphProto({ outputs: { y: "f32" }, nodes: [node("Identity", ["x"], ["y"])] });
  const file = onnxFile({
    nodes: [
      node("Any", [], ["y"], {
        i: -1n,
        large: 9223372036854775807n,
        f: 0.5,
        s: "grüße",
        ints: [1, -2],
        floats: { floats: [0.5, 2] },
        strings: ["a", ""],
        t: i64([2], [5, -6]),
        g: { graph: body },
      }),
    ],
    outputs: { y: "f32" },
  });
  const [first] = decodeModel(file).graph.node;
  const byName = new Map(first!.attribute.map((a) => [a.name, a]));
  expect(byName.get("i")!.i).toBe(-1n);
  expect(byName.get("large")!.i).toBe(9223372036854775807n);
  expect(byName.get("f")!.f).toBe(0.5);
  expect(new TextDecoder().decode(byName.get("s")!.s)).toBe("grüße");
  expect(byName.get("ints")!.ints).toEqual([1n, -2n]);
  expect(byName.get("floats")!.floats).toEqual([0.5, 2]);
  expect(byName.get("strings")!.strings.map((s) => s.length)).toEqual([1, 0]);
  expect(byName.get("t")!.t!.dims).toEqual([2]);
  expect(byName.get("g")!.g!.node[0]!.opType).toBe("Identity");
});

test("raw data is a view of the file", () => {
  const file = onnxFile({
    nodes: [node("Add", ["w", "w"], ["y"])],
    initializers: { w: f32([2], [1, 2]) },
    outputs: { y: "f32[2]" },
  });
  const raw = decodeModel(file).graph.initializer[0]!.rawData!;
  expect(raw.buffer).toBe(file.buffer);
});

describe("repeated numbers", () => {
  test("are read unpacked", () => {
    const writer = new BinaryWriter();
    for (const dim of [2, 3]) writer.tag(1, WireType.Varint).int64(dim);
    for (const value of [1.5, -2, 3]) writer.tag(4, WireType.Bit32).float(value);
    for (const value of [-7, 8]) writer.tag(5, WireType.Varint).int32(value);
    for (const value of [-9n, 1n << 62n]) writer.tag(7, WireType.Varint).int64(value);
    for (const value of [0.25]) writer.tag(10, WireType.Bit64).double(value);
    const proto = decodeMessage(tensorSchema, writer.finish());
    expect(proto.dims).toEqual([2, 3]);
    expect(proto.floatData).toEqual(Float32Array.of(1.5, -2, 3));
    expect(proto.int32Data).toEqual(Int32Array.of(-7, 8));
    expect(proto.int64Data).toEqual(BigInt64Array.of(-9n, 1n << 62n));
    expect(proto.doubleData).toEqual(Float64Array.of(0.25));
  });

  test("are read packed, in several runs, and mixed", () => {
    const writer = new BinaryWriter();
    writer.tag(1, WireType.LengthDelimited).fork().int64(2).int64(3).join();
    writer.tag(4, WireType.LengthDelimited).fork().float(1).float(2).join();
    writer.tag(4, WireType.Bit32).float(3);
    writer.tag(4, WireType.LengthDelimited).fork().float(4).join();
    writer.tag(5, WireType.LengthDelimited).fork().int32(-1).int32(300).join();
    const proto = decodeMessage(tensorSchema, writer.finish());
    expect(proto.dims).toEqual([2, 3]);
    expect(proto.floatData).toEqual(Float32Array.of(1, 2, 3, 4));
    expect(proto.int32Data).toEqual(Int32Array.of(-1, 300));
  });

  test("at any alignment give the same numbers", () => {
    const values = Float32Array.from({ length: 9 }, (_, i) => i / 3);
    for (const nameLength of [0, 1, 2, 3]) {
      const init = { name: "n".repeat(nameLength), floatData: values };
      expect(decodeMessage(tensorSchema, encodeMessage(tensorSchema, init)).floatData).toEqual(
        values,
      );
    }
  });
});

describe("damaged files", () => {
  const file = onnxFile({
    nodes: [node("Add", ["w", "w"], ["y"])],
    initializers: { w: f32([64], new Array(64).fill(1)) },
    outputs: { y: "f32[64]" },
  });

  test("that end too early say so", () => {
    const cut = file.subarray(0, file.length - 30);
    expect(() => decodeModel(cut, { file: "m.onnx" })).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0102: the file ends too early
        file: m.onnx]
    `);
  });

  test("of every length are refused or lack something, and never crash", () => {
    for (let length = 0; length < file.length; length++) {
      try {
        decodeModel(file.subarray(0, length));
      } catch (error) {
        expect((error as { diagnostics?: { code: string }[] }).diagnostics?.[0]?.code).toBe(
          "L0102",
        );
      }
    }
  });

  test("without a graph are no models", () => {
    const empty: Init<ModelProto> = { irVersion: 8 };
    expect(() => decodeModel(encodeModel(empty))).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0102: the file has no graph
        hint: a tensor file (.pb) or an empty file is no model]
    `);
  });

  test("that are text are no models", () => {
    const text = new TextEncoder().encode("<!DOCTYPE html><html></html>");
    expect(() => decodeModel(text)).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0102: the file is not an ONNX model
        note: GraphProto has wire type 4, not 2]
    `);
    const pointer = new TextEncoder().encode(
      "version https://git-lfs.github.com/spec/v1\noid sha256:0",
    );
    expect(() => decodeModel(pointer)).toThrowErrorMatchingInlineSnapshot(`
      [DiagnosticError: L0102: the file is a Git LFS pointer, not an ONNX model
        hint: fetch the content with \`git lfs pull\`]
    `);
  });

  test("that nest without end are refused", () => {
    let bytes = new Uint8Array(0);
    for (let i = 0; i < 1000; i++) {
      const attribute = new BinaryWriter().tag(6, WireType.LengthDelimited).bytes(bytes).finish();
      const inner = new BinaryWriter().tag(5, WireType.LengthDelimited).bytes(attribute).finish();
      bytes = new BinaryWriter().tag(1, WireType.LengthDelimited).bytes(inner).finish();
    }
    const model = new BinaryWriter().tag(7, WireType.LengthDelimited).bytes(bytes).finish();
    expect(() => decodeModel(model)).toThrow("messages nest deeper than 200");
  });
});
