/** Counted loops as kernels of their own, and as steps: the same bits, however many trips they make. */
import { describe, expect, it } from "vitest";
import { compileGraph } from "../../src/compiler/compile.js";
import { printGraph } from "../../src/ir/text/print.js";
import { mini } from "../../src/target/machines/mini.js";
import { differences, expectedOutputs, variantsOf } from "../support/plan-variants.js";
import { randomLoop, type RandomLoop } from "../support/random-counted-loop.js";

const engines = [
  ...variantsOf(3),
  { machine: "pf1", engine: "reference", fuse: true, plans: undefined },
  { machine: "mini", engine: "threads", fuse: true, plans: undefined },
] as const;

function kindsOf({ graph }: RandomLoop): readonly string[] {
  const options = { machine: mini, machineHash: "", precision: "fp32" } as const;
  return compileGraph(graph, options).steps.map((step) => step.kind);
}

describe("random loops give the same bits as kernels and as steps", () => {
  let kernels = 0;

  it.each([0, 1, 2, 3, 7, 8])("%i trips", { timeout: 300_000 }, async (trips) => {
    for (let seed = 0; seed < 8; seed++) {
      const made = randomLoop(seed, trips);
      if (!kindsOf(made).includes("loop")) kernels++;
      await expectSame(made, seed);
    }
  });

  it.each([1, 2, 5])("as many trips as there are elements: %i", { timeout: 300_000 }, async (n) => {
    for (let seed = 20; seed < 24; seed++) await expectSame(randomLoop(seed, n, true), seed);
  });

  it("most of them are kernels", () => {
    expect(kernels).toBeGreaterThan(30);
  });
});

async function expectSame({ graph, inputs }: RandomLoop, seed: number): Promise<void> {
  const expected = expectedOutputs(graph, inputs);
  for (const variant of engines) {
    const found = await differences(graph, inputs, variant, expected);
    expect(found, `seed ${seed}, ${JSON.stringify(variant)}\n${printGraph(graph)}`).toEqual([]);
  }
}
