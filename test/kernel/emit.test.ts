/** A kernel computes what the program computes that is emitted from it. */
import { describe, expect, it } from "vitest";
import { emitProgram } from "../../src/compiler/6-emit/emit.js";
import { memoryCells, type Cells } from "../../src/ir/semantics/cells.js";
import { evaluateKernel } from "../../src/ir/kernel/evaluate.js";
import { verifyKernel } from "../../src/ir/kernel/verify.js";
import { parseKernel, printKernel } from "../../src/isa/kernel-text.js";
import { byteLength } from "../../src/numerics/dtype.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { launch } from "../support/programs.js";
import { randomKernel, type RandomKernel } from "../support/random-kernel.js";
import { differenceOf } from "../support/same-results.js";

const seeds = Array.from({ length: 300 }, (_, seed) => seed);
const reference = createReferenceEngine();

function evaluated({ kernel, contents, scalars }: RandomKernel): {
  memory: number[][];
  fault: boolean;
} {
  const bindings = kernel.bindings.map(({ name, dtype, elements }, i): Cells => {
    const cells = memoryCells(name, dtype, elements, new Uint8Array(byteLength(dtype, elements)));
    contents[i]!.forEach((value, element) => cells.set(element, value));
    return cells;
  });
  const { fault } = evaluateKernel(kernel, { bindings, scalars });
  const memory = bindings.map((cells) =>
    Array.from({ length: cells.elements }, (_, element) => cells.get(element)),
  );
  return { memory, fault };
}

describe("random kernels", () => {
  it("pass the verifier", () => {
    const problems = seeds.flatMap((seed) =>
      verifyKernel(randomKernel(seed).kernel).map((problem) => `seed ${seed}: ${problem}`),
    );
    expect(problems).toEqual([]);
  });

  it("read back from their text", () => {
    for (const seed of seeds.slice(0, 100)) {
      const { kernel } = randomKernel(seed);
      expect(parseKernel(printKernel(kernel))).toStrictEqual(kernel);
    }
  });

  it("compute what their programs do", () => {
    const differences: string[] = [];
    let faults = 0;
    for (const seed of seeds) {
      const random = randomKernel(seed);
      const { memory, fault } = evaluated(random);
      const program = emitProgram(random.kernel);
      const run = launch(reference, program, random.contents, random.scalars);
      if (fault) faults++;
      if (fault !== run.faults.length > 0) differences.push(`seed ${seed}: faults`);
      const difference = differenceOf({ memory, faults: [] }, { ...run, faults: [] });
      if (difference !== undefined) differences.push(`seed ${seed}: ${difference}`);
    }
    expect(differences).toEqual([]);
    expect(faults).toBeGreaterThan(10);
  });
});
