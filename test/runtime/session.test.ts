import { Tensor } from "onnxruntime-common";
import { beforeEach, describe, expect, test } from "vitest";
import { InferenceSession } from "../../src/runtime/inference-session.js";
import type { SessionOptions } from "../../src/runtime/session-options.js";
import { node, onnxFile } from "../support/onnx-builder.js";

const options: SessionOptions = { machine: "mini", cacheDir: false };

/** y = relu(x + x), z = x * x. */
const model = onnxFile({
  inputs: { x: "f32[N, 3]" },
  nodes: [
    node("Add", ["x", "x"], ["s"]),
    node("Relu", ["s"], ["y"]),
    node("Mul", ["x", "x"], ["z"]),
  ],
  outputs: { y: "f32[N, 3]", z: "f32[N, 3]" },
});

function rows(n: number): Tensor {
  return new Tensor(
    "float32",
    Float32Array.from({ length: 3 * n }, (_, i) => i - 2),
    [n, 3],
  );
}

describe("a session", () => {
  let session: InferenceSession;
  beforeEach(async () => {
    session = await InferenceSession.create(model, options);
  });

  test("says what the model takes and gives", () => {
    expect(session.inputNames).toEqual(["x"]);
    expect(session.outputNames).toEqual(["y", "z"]);
    expect(session.inputMetadata).toEqual([
      { name: "x", isTensor: true, type: "float32", shape: ["N", 3] },
    ]);
  });

  test("runs", async () => {
    const { y, z } = await session.run({ x: rows(1) });
    expect([...(y!.data as Float32Array)]).toEqual([0, 0, 0]);
    expect([...(z!.data as Float32Array)]).toEqual([4, 1, 0]);
    expect(z!.dims).toEqual([1, 3]);
  });

  test("takes anything with type, dims and data", async () => {
    const data = Float32Array.of(1, 2, 3);
    const { y } = await session.run({ x: { type: "float32", dims: [1, 3], data } });
    expect([...(y!.data as Float32Array)]).toEqual([2, 4, 6]);
  });

  test("gives the outputs that are asked for, where they are asked for", async () => {
    expect(Object.keys(await session.run({ x: rows(1) }, ["z"]))).toEqual(["z"]);
    const target = new Tensor("float32", new Float32Array(3), [1, 3]);
    const { z } = await session.run({ x: rows(1) }, { z: target });
    expect(z).toBe(target);
    expect([...(target.data as Float32Array)]).toEqual([4, 1, 0]);
    expect(Object.keys(await session.run({ x: rows(1) }, { tag: "t" } as never))).toHaveLength(2);
    const small = new Tensor("float32", new Float32Array(1), [1, 1]);
    await expect(session.run({ x: rows(1) }, { z: small })).rejects.toThrow("L0602");
  });

  test("keeps a dim open once it has taken a second value", async () => {
    for (const n of [2, 5, 1, 7, 300, 2]) {
      const { z } = await session.run({ x: rows(n) });
      expect([...(z!.data as Float32Array)]).toEqual(
        Array.from({ length: 3 * n }, (_, i) => (i - 2) ** 2),
      );
    }
    expect(session.stats).toMatchObject({ runs: 6, programs: 2, compiles: 2 });
    const { y } = await session.run({ x: rows(0) });
    expect(y!.dims).toEqual([0, 3]);
    await session.run({ x: rows(3000) });
    expect(session.stats.compiles).toBe(4);
  });

  test("finds out how far a dim can stay open", async () => {
    // The sum of squares of every second element's maximum: nothing to sum up where W is 1.
    const file = onnxFile({
      inputs: { x: "f32[1, 1, W]" },
      nodes: [
        node("MaxPool", ["x"], ["m"], { kernel_shape: [2], strides: [2] }),
        node("Transpose", ["m"], ["t"], { perm: [0, 2, 1] }),
        node("MatMul", ["m", "t"], ["y"]),
      ],
      outputs: { y: "f32[1, 1, 1]" },
    });
    const pooled = await InferenceSession.create(file, options);
    for (const width of [40, 30, 35, 21, 100]) {
      const x = new Tensor("float32", new Float32Array(width).fill(2), [1, 1, width]);
      const { y } = await pooled.run({ x });
      expect(y!.data).toEqual(Float32Array.of(4 * Math.floor(width / 2)));
    }
    expect(pooled.stats.programs).toBe(2);
  });

  test("cannot be used after its release", async () => {
    await session.release();
    await expect(session.run({ x: rows(1) })).rejects.toThrow("L0605");
  });
});

test("a scalar is taken as a tensor of one element too, as ONNX Runtime takes it", async () => {
  const scaled = onnxFile({
    inputs: { x: "f32[N, 3]", factor: "f32[]" },
    nodes: [node("Mul", ["x", "factor"], ["y"])],
    outputs: { y: "f32[N, 3]" },
  });
  const session = await InferenceSession.create(scaled, options);
  const factor = new Tensor("float32", [2]);
  expect(factor.dims).toEqual([1]);
  const { y } = await session.run({ x: rows(1), factor });
  expect(y!.data).toEqual(Float32Array.of(-4, -2, 0));
  const two = new Tensor("float32", [2, 2]);
  await expect(session.run({ x: rows(1), factor: two })).rejects.toThrow("of rank 1, not 0");
});

describe("wrong inputs", () => {
  async function message(feeds: Record<string, unknown>, more: SessionOptions = {}) {
    const session = await InferenceSession.create(model, { ...options, ...more });
    return session.run(feeds as never).then(
      () => "",
      (error: Error) => error.message,
    );
  }

  test("unknown names", async () => {
    expect(await message({ x: rows(1), X1: rows(1) })).toMatchInlineSnapshot(`
      "L0601: the model has no input "X1"
        note: its inputs are "x"
        hint: Did you mean "x"?"
    `);
  });

  test("missing", async () => {
    expect(await message({})).toMatchInlineSnapshot(`
      "L0603: input "x" is missing
        note: it is float32 [N, 3]"
    `);
  });

  test("types", async () => {
    const x = new Tensor("int32", Int32Array.of(1, 2, 3), [1, 3]);
    expect(await message({ x })).toMatchInlineSnapshot(`
      "L0602: input "x" is of type int32, not float32
        note: it is float32 [N, 3]"
    `);
  });

  test("shapes", async () => {
    const data = new Float32Array(4);
    expect(await message({ x: new Tensor("float32", data, [2, 2]) })).toMatchInlineSnapshot(`
      "L0602: input "x" has the shape [2, 2]: dimension 1 is 2, not 3
        note: it is float32 [N, 3]"
    `);
    expect(await message({ x: new Tensor("float32", data, [4]) })).toMatch("of rank 1, not 2");
    const negative = { type: "float32", dims: [-1, 3], data };
    expect(await message({ x: negative })).toMatch('input "x" has the shape [-1, 3]');
    const short = { type: "float32", dims: [2, 3], data };
    expect(await message({ x: short })).toMatch("has 4 elements, its shape [2, 3] asks for 6");
    expect(await message({ x: { type: "float32", dims: [1, 4], data: "abcd" } })).toMatch("data");
    expect(await message({ x: 3 })).toMatch("is no tensor");
  });

  test("dims that are set", async () => {
    expect(await message({ x: rows(3) }, { dims: { N: 2 } })).toMatch('"N" is 3, and set to 2');
    expect(await message({ x: rows(3) }, { dims: { N: { min: 4, max: 8 } } })).toMatch("4..8");
    expect(await message({ x: rows(3) }, { freeDimensionOverrides: { N: 4 } })).toMatch("set to 4");
    expect(await message({ x: rows(3) }, { dims: { M: 4 } })).toMatch("L0204");
  });

  test.each([
    [{ precision: "bf-16" }, 'the option precision cannot be "bf-16"'],
    [{ float64: "f32" }, 'the option float64 cannot be "f32"'],
    [{ hostRuntime: "none" }, 'the option hostRuntime cannot be "none"'],
    [{ engine: "fast" }, 'the option engine cannot be "fast"'],
    [{ dims: { N: -3 } }, 'the dimension "N" cannot be -3'],
    [{ dims: { N: "2" } }, 'the dimension "N" cannot be "2"'],
    [{ dims: { N: { min: 5, max: 2 } } }, 'the dimension "N" cannot be {"min":5,"max":2}'],
    [{ freeDimensionOverrides: { N: 1.5 } }, 'the dimension "N" cannot be 1.5'],
  ])("options that callers without types can give: %j", async (wrong, sentence) => {
    const create = InferenceSession.create(model, { ...options, ...wrong } as SessionOptions);
    await expect(create).rejects.toThrow(`L0608: ${sentence}`);
  });

  test("machines", async () => {
    const create = InferenceSession.create(model, { ...options, machine: "mimi" });
    await expect(create).rejects.toThrow('Did you mean "mini"?');
  });
});

describe("types", () => {
  async function identity(type: string, tensor: Tensor) {
    const file = onnxFile({
      inputs: { x: `${type}[3]` },
      nodes: [node("Identity", ["x"], ["y"])],
      outputs: { y: `${type}[3]` },
    });
    const session = await InferenceSession.create(file, options);
    return (await session.run({ x: tensor })).y!;
  }

  test.each([
    ["f32", new Tensor("float32", Float32Array.of(1.5, -2, 3), [3])],
    ["f16", new Tensor("float16", Uint16Array.of(0x3c00, 0xc000, 0), [3])],
    ["f64", new Tensor("float64", Float64Array.of(1e300, -2, 3), [3])],
    ["i64", new Tensor("int64", BigInt64Array.of(1n, -2n, 3n), [3])],
    ["i32", new Tensor("int32", Int32Array.of(1, -2, 3), [3])],
    ["u8", new Tensor("uint8", Uint8Array.of(1, 2, 255), [3])],
    ["bool", new Tensor("bool", Uint8Array.of(1, 0, 1), [3])],
    ["string", new Tensor("string", ["a", "b", ""], [3])],
  ])("%s goes in and out", async (type, tensor) => {
    const result = await identity(type, tensor);
    expect(result.type).toBe(tensor.type);
    expect(result.data).toEqual(tensor.data);
  });

  test("what has no name in the API is float32 outside", async () => {
    const result = await identity(
      "bf16",
      new Tensor("float32", Float32Array.of(1, 1.001, -2), [3]),
    );
    expect(result.type).toBe("float32");
    expect([...(result.data as Float32Array)]).toEqual([1, 1, -2]);
  });
});

test("integers that the device cannot take are computed on the host", async () => {
  const file = onnxFile({
    inputs: { x: "i64[2]" },
    nodes: [node("Add", ["x", "x"], ["y"])],
    outputs: { y: "i64[2]" },
  });
  const session = await InferenceSession.create(file, options);
  const run = async (...values: bigint[]) => {
    const { y } = await session.run({ x: new Tensor("int64", BigInt64Array.from(values), [2]) });
    return [...(y!.data as BigInt64Array)];
  };
  expect(await run(3n, -4n)).toEqual([6n, -8n]);
  expect(session.stats.hostRuns.size).toBe(0);
  expect(await run(2n ** 40n, 1n)).toEqual([2n ** 41n, 2n]);
  expect([...session.stats.hostRuns.keys()]).toEqual([
    expect.stringMatching(/^input "x" holds 1099511627776, the device takes integers up to \d+$/),
  ]);
});

test("both engines and every machine give the same bits", async () => {
  const x = rows(5);
  const results = await Promise.all(
    (["jit", "reference"] as const).flatMap((engine) =>
      ["mini", "pf1"].map(async (machine) => {
        const session = await InferenceSession.create(model, { ...options, engine, machine });
        return (await session.run({ x })).z!.data;
      }),
    ),
  );
  for (const data of results) expect(data).toEqual(results[0]);
});
