import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import type { HostValue } from "../../src/ops/record.js";
import {
  conformanceRule,
  differsInDrawnValues,
  judgeOutputs,
  modelRule,
} from "../../src/runtime/judge.js";
import { disputeOf } from "../../src/runtime/node/second-opinion.js";
import { randomOutputs } from "../../src/runtime/random-outputs.js";
import { f32, i64, node, onnxFile, onnxModel, tensor } from "../support/onnx-builder.js";

function judge(actual: HostValue, expected: HostValue, rule = modelRule) {
  return judgeOutputs(new Map([["y", actual]]), new Map([["y", expected]]), rule);
}

describe("a network's output", () => {
  const expected = f32([1, 4], [100, 1, 0, -50]);

  test("is measured by its largest value", () => {
    expect(judge(f32([1, 4], [100, 1.05, 0, -50]), expected)).toEqual({
      worstRelativeError: expect.closeTo(5e-4, 6),
    });
    expect(judge(f32([1, 4], [100, 1.5, 0, -50]), expected).difference).toBe(
      "y: the largest difference is 5.00e-3 of the largest value, allowed is 0.001",
    );
  });

  test("has the same class on top", () => {
    const close = f32([2, 2], [1000, 0, 1, 0.5]);
    expect(judge(f32([2, 2], [1000, 0, 0.4, 0.5]), close).difference).toBe(
      "y: class 1 is on top in row 1, not 0",
    );
    // What pooling leaves: the classes are not the last axis.
    const rule = { rule: "model", relative: 0.1 } as const;
    const pooled = (x: number, y: number) => f32([1, 2, 1, 1], [x, y]);
    expect(judge(pooled(9.2, 9.3), pooled(10, 8.5), rule).difference).toMatch("class 1 is on top");
    const tie = f32([2, 2], [1000, 0, 1, 0.9999]);
    expect(judge(f32([2, 2], [1000, 0, 0.9999, 1]), tie).difference).toBeUndefined();
  });

  test("has its NaNs and infinities, types and shapes", () => {
    expect(judge(f32([1], [Number.NaN]), f32([1], [Number.NaN])).difference).toBeUndefined();
    expect(judge(f32([1], [Number.NaN]), f32([1], [1])).worstRelativeError).toBe(Infinity);
    expect(judge(f32([1], [1]), f32([1], [Infinity])).difference).toBeDefined();
    expect(judge(f32([4], [100, 1, 0, -50]), expected).difference).toMatch("the shape is [4]");
    expect(judge(i64([1], [1]), f32([1], [1])).difference).toMatch("the type is i64");
    expect(judge(i64([1], [2]), i64([1], [1])).difference).toMatch("element [0] is 2");
  });

  test("may be ten times as far off in fp16", () => {
    const half = (bits: number) => tensor("f16", [1], Uint16Array.of(bits));
    expect(judge(half(0x3c05), half(0x3c00)).difference).toBeUndefined();
    expect(judge(half(0x3c0f), half(0x3c00)).difference).toBeDefined();
  });
});

test("an operator's output is held element by element", () => {
  const expected = f32([2], [100, 1]);
  expect(judge(f32([2], [100, 1.05]), expected, conformanceRule).difference).toMatch("element [1]");
  expect(judge(f32([2], [100.05, 1]), expected, conformanceRule).difference).toBeUndefined();
});

describe("values drawn at random", () => {
  const model = onnxModel({
    opset: 22,
    inputs: { x: "f32[3]" },
    nodes: [
      node("Bernoulli", ["x"], ["drawn"]),
      node("Neg", ["drawn"], ["y"]),
      node("Exp", ["x"], ["z"]),
    ],
    outputs: { y: "f32[3]", z: "f32[3]" },
  });
  const outputs = (y: Tensor, z: Tensor) =>
    new Map([
      ["y", y],
      ["z", z],
    ]);
  const differs = (y: Tensor, z: Tensor) => {
    const recorded = outputs(f32([3], [0, -1, 0]), f32([3], [1, 2, 3]));
    return differsInDrawnValues(model, outputs(y, z), recorded, conformanceRule);
  };

  test("may differ, and what does not depend on them may not", () => {
    expect(randomOutputs(model)).toEqual(new Set(["y"]));
    expect(differs(f32([3], [-1, -1, 0]), f32([3], [1, 2, 3]))).toBe(true);
    expect(differs(f32([3], [-1, -1, 0]), f32([3], [1, 2, 4]))).toBe(false);
    expect(differs(f32([2], [-1, -1]), f32([3], [1, 2, 3]))).toBe(false);
  });
});

describe("a recording that contradicts its model", () => {
  const init = {
    inputs: { x: "f32[2]" },
    nodes: [node("Neg", ["x"], ["y"])],
    outputs: { y: "f32[2]" },
  };
  const dispute = (recorded: readonly number[], actual: readonly number[]) =>
    disputeOf(
      {
        model: onnxModel(init),
        file: onnxFile(init),
        inputs: new Map([["x", f32([2], [1, 2])]]),
        outputs: new Map([["y", f32([2], recorded)]]),
      },
      { actual: new Map([["y", f32([2], actual)]]), rule: conformanceRule },
    );

  test("is disputed where ONNX Runtime computes the same as we", async () => {
    expect((await dispute([1, 2], [-1, -2]))?.diagnostics[0]?.code).toBe("L0606");
  });

  test("is right where ONNX Runtime agrees with it, or with nobody", async () => {
    expect(await dispute([-1, -2], [1, 2])).toBeUndefined();
    expect(await dispute([1, 2], [3, 4])).toBeUndefined();
  });
});
