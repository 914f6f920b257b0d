/** Every row of docs/differences.md: this is what is computed here, and ONNX Runtime has another result or none. */
import { expect, test } from "vitest";
import type { Tensor } from "../../src/numerics/tensor.js";
import { describeDifference } from "../../src/runtime/compare.js";
import { evaluate, nameOf, runOnnxRuntime } from "./against-onnxruntime.js";
import { differences } from "./differences.js";

test.each(differences.map((one) => [`${nameOf(one.example)}: ${one.here}`, one] as const))(
  "%s",
  async (_name, { example, expected, errorThere }) => {
    if (typeof expected === "string") expect(() => evaluate(example)).toThrow(expected);
    else expect(firstDifference(evaluate(example), expected)).toBeUndefined();
    const there = runOnnxRuntime(example);
    if (errorThere !== undefined) await expect(there).rejects.toThrow(errorThere);
    else if (typeof expected === "string") await there;
    else expect(firstDifference(await there, expected)).toBeDefined();
  },
);

function firstDifference(actual: readonly Tensor[], expected: readonly Tensor[]) {
  return expected
    .map((tensor, i) => describeDifference(actual[i], tensor, { rtol: 1e-6, atol: 0 }))
    .find((difference) => difference !== undefined);
}
