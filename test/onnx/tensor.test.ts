import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type DType, dtypes } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import { externalRange } from "../../src/onnx/external.js";
import { type TensorProto, tensorSchema } from "../../src/onnx/schema.js";
import { denseFromSparse, tensorFromProto, tensorToProto } from "../../src/onnx/tensor.js";
import { decodeMessage, encodeMessage, type Init } from "../../src/onnx/wire.js";

function proto(init: Init<TensorProto>): TensorProto {
  return decodeMessage(tensorSchema, encodeMessage(tensorSchema, init));
}

function roundTrip(tensor: Tensor, name: string): Tensor {
  return tensorFromProto(proto(tensorToProto(tensor, name)));
}

describe("every type survives as raw data", () => {
  const lows: Partial<Record<DType, number>> = { i4: -8, i2: -2, i8: -128 };
  test.each(Object.keys(dtypes).filter((d) => d !== "string") as DType[])("%s", (dtype) => {
    fc.assert(
      fc.property(fc.nat(9), fc.nat(5), fc.nat(1000), (count, nameLength, seed) => {
        const { bits } = dtypes[dtype];
        const low = lows[dtype] ?? 0;
        const range = 2 ** Math.min(bits, 8);
        const values = Array.from({ length: count }, (_, i) => low + ((seed + 7 * i) % range));
        const empty = tensorFromProto(proto({ dims: [0], dataType: codeOf(dtype) })).data;
        const data =
          empty instanceof BigInt64Array || empty instanceof BigUint64Array
            ? (empty.constructor as BigInt64ArrayConstructor).from(values.map(BigInt))
            : (empty.constructor as Int32ArrayConstructor).from(values);
        const tensor: Tensor = { dtype, shape: [count], data };
        expect(roundTrip(tensor, "n".repeat(nameLength))).toEqual(tensor);
      }),
    );
  });
});

function codeOf(dtype: DType): number {
  return tensorToProto({ dtype, shape: [0], data: new Uint8Array(0) }).dataType!;
}

test("aligned raw data is a view", () => {
  const bytes = new Uint8Array(Float32Array.of(1, 2).buffer);
  const aligned = tensorFromProto({ ...proto({ dims: [2], dataType: 1 }), rawData: bytes });
  expect((aligned.data as Float32Array).buffer).toBe(bytes.buffer);
  const shifted = new Uint8Array(9);
  shifted.set(bytes, 1);
  const copy = tensorFromProto({
    ...proto({ dims: [2], dataType: 1 }),
    rawData: shifted.subarray(1),
  });
  expect(copy.data).toEqual(Float32Array.of(1, 2));
});

describe("typed fields", () => {
  const cases: [string, Init<TensorProto>, unknown][] = [
    [
      "f16 bits in int32_data",
      { dataType: 10, int32Data: Int32Array.of(0x3c00) },
      Uint16Array.of(0x3c00),
    ],
    [
      "bf16 bits in int32_data",
      { dataType: 16, int32Data: Int32Array.of(0xbf80) },
      Uint16Array.of(0xbf80),
    ],
    [
      "f8 bits in int32_data",
      { dataType: 17, int32Data: Int32Array.of(0xb8) },
      Uint8Array.of(0xb8),
    ],
    ["bool in int32_data", { dataType: 9, int32Data: Int32Array.of(1) }, Uint8Array.of(1)],
    ["i8 in int32_data", { dataType: 3, int32Data: Int32Array.of(-3) }, Int8Array.of(-3)],
    [
      "u32 in uint64_data",
      { dataType: 12, uint64Data: BigUint64Array.of(4294967295n) },
      Uint32Array.of(4294967295),
    ],
    [
      "f64 in double_data",
      { dataType: 11, doubleData: Float64Array.of(0.1) },
      Float64Array.of(0.1),
    ],
    ["i64 in int64_data", { dataType: 7, int64Data: BigInt64Array.of(-5n) }, BigInt64Array.of(-5n)],
    ["string", { dataType: 8, stringData: [new TextEncoder().encode("héllo")] }, ["héllo"]],
  ];
  test.each(cases)("%s", (_, init, expected) => {
    expect(tensorFromProto(proto({ dims: [1], ...init })).data).toEqual(expected);
  });

  test("int4 pairs in int32_data", () => {
    const int4 = proto({ dims: [3], dataType: 22, int32Data: Int32Array.of(0x7f, 0x08) });
    expect(tensorFromProto(int4).data).toEqual(Int8Array.of(-1, 7, -8));
    const uint2 = proto({ dims: [5], dataType: 25, int32Data: Int32Array.of(0b11100100, 1) });
    expect(tensorFromProto(uint2).data).toEqual(Uint8Array.of(0, 1, 2, 3, 1));
  });
});

describe("data that does not fit", () => {
  const cases: [string, Init<TensorProto>][] = [
    ["raw length", { name: "w", dims: [3], dataType: 1, rawData: new Uint8Array(8) }],
    ["typed length", { name: "w", dims: [3], dataType: 1, floatData: Float32Array.of(1) }],
    ["negative extent", { name: "w", dims: [-1], dataType: 1 }],
    ["unknown type", { name: "w", dims: [1], dataType: 99 }],
    ["complex", { name: "w", dims: [1], dataType: 14 }],
    ["strings", { name: "w", dims: [2], dataType: 8 }],
  ];
  test("is refused with the tensor's name", () => {
    const messages = cases.map(([, init]) => {
      try {
        tensorFromProto(proto(init));
        return "accepted";
      } catch (error) {
        return (error as Error).message;
      }
    });
    expect(messages.join("\n")).toMatchInlineSnapshot(`
      "L0107: a tensor has 8 bytes of data where f32[3] takes 12
        tensor: "w"
      L0107: a tensor has 1 stored elements where its shape [3] takes 3
        tensor: "w"
      L0107: a tensor has the negative extent -1
        tensor: "w"
      L0107: a tensor has no known data type (type number 99)
        tensor: "w"
      L0301: tensors of complex64 are not supported
        tensor: "w"
      L0107: a tensor has 0 stored elements where its shape [2] takes 2
        tensor: "w""
    `);
  });
});

describe("sparse tensors", () => {
  const values = tensorToProto({ dtype: "f32", shape: [2], data: Float32Array.of(5, 6) }, "s");
  const indices = (shape: number[], list: bigint[]) =>
    proto(tensorToProto({ dtype: "i64", shape, data: BigInt64Array.from(list) }));

  test("with linear indices", () => {
    const sparse = { values: proto(values), indices: indices([2], [1n, 5n]), dims: [2, 3] };
    expect(denseFromSparse(sparse).data).toEqual(Float32Array.of(0, 5, 0, 0, 0, 6));
  });

  test("with coordinates", () => {
    const sparse = {
      values: proto(values),
      indices: indices([2, 2], [0n, 2n, 1n, 0n]),
      dims: [2, 3],
    };
    expect(denseFromSparse(sparse).data).toEqual(Float32Array.of(0, 0, 5, 6, 0, 0));
  });

  test("with an index out of range", () => {
    const sparse = { values: proto(values), indices: indices([2], [1n, 6n]), dims: [2, 3] };
    expect(() => denseFromSparse(sparse)).toThrow("has index 6 outside its 6 elements");
  });
});

describe("external data", () => {
  const external = (entries: Record<string, string>): TensorProto =>
    proto({
      name: "w",
      dims: [2],
      dataType: 1,
      dataLocation: 1,
      externalData: Object.entries(entries).map(([key, value]) => ({ key, value })),
    });

  test("is read through the reader", () => {
    const file = new Uint8Array(Float32Array.of(0, 1, 2).buffer);
    const tensor = tensorFromProto(external({ location: "w.bin", offset: "4", length: "8" }), {
      externalData: { read: (_, offset, length) => file.subarray(offset, offset + length!) },
    });
    expect(tensor.data).toEqual(Float32Array.of(1, 2));
  });

  test("without a reader is refused", () => {
    expect(() => tensorFromProto(external({ location: "w.bin" }))).toThrow("L0106");
  });

  test.each(["", "/etc/passwd", "\\\\host\\x", "C:\\x", "../x", "a/../../x", "a\\..\\x", "a\0b"])(
    "at %j is refused",
    (location) => {
      expect(() => externalRange(external({ location }))).toThrow("L0106");
    },
  );

  test("with an offset that is no number is refused", () => {
    expect(() => externalRange(external({ location: "w", offset: "-4" }))).toThrow('offset "-4"');
    expect(() => externalRange(external({ location: "w", length: "1e3" }))).toThrow('length "1e3"');
  });
});
