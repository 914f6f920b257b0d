/**
 * The property that everything else leans on: no plan, no fusion, no machine and no engine changes a bit of a
 * result. `FUZZ=from..to` runs other seeds than the ones that the suite runs.
 */
import { describe, expect, it } from "vitest";
import { NeedsBinding } from "../../src/ir/dim.js";
import { printGraph } from "../../src/ir/print.js";
import {
  differences,
  expectedOutputs,
  pool,
  threadVariantsOf,
  variantsOf,
} from "../support/plan-variants.js";
import { planGraphs } from "../support/plan-graphs.js";
import { defaultRandomGraph, type RandomGraph, randomGraph } from "../support/random-graph.js";

const asked = /^(\d+)\.\.(\d+)$/.exec(process.env["FUZZ"] ?? "");
const [from, to] = asked === null ? [0, 96] : [Number(asked[1]), Number(asked[2])];
const batch = 16;

describe("random graphs give the same bits however they are compiled", () => {
  let compiled = 0;
  for (let start = from; start < to; start += batch) {
    const end = Math.min(start + batch, to);
    it(`seeds ${start} to ${end - 1}`, { timeout: 300_000 }, async () => {
      for (let seed = start; seed < end; seed++) {
        const dtypes = ["f32", "f32", "i32", "f16", "bf16", "i8", "u8", "bool"] as const;
        const made = randomGraph(seed, { ...defaultRandomGraph, dtypes, steps: 4 + (seed % 8) });
        const found = await violations(made, seed);
        if (found === "not compiled") continue;
        compiled++;
        expect(found, `seed ${seed}\n${printGraph(made.graph)}`).toEqual([]);
      }
    });
  }

  it.runIf(asked === null)("nearly all were compiled", () => {
    expect(compiled).toBeGreaterThan((to - from) * 0.8);
  });
});

describe("graphs of real operators give the same bits however they are compiled", () => {
  let taken = 0;

  it.each(Object.keys(planGraphs))("%s", { timeout: 300_000 }, async (name) => {
    const made = planGraphs[name]!();
    for (const seed of [0, 100]) expect(await violations(made, seed), `seed ${seed}`).toEqual([]);
    expect(await violations(made, 200, threadVariantsOf(200)), "threads").toEqual([]);
    taken += pool.taken();
  });

  it("workers took part where there were threads", () => {
    expect(taken).toBeGreaterThan(0);
  });
});

/** Symbols that a kernel needs as numbers make a graph one that this test does not compile. */
async function violations(
  { graph, inputs }: RandomGraph,
  seed: number,
  variants = variantsOf(seed),
): Promise<string[] | "not compiled"> {
  const expected = expectedOutputs(graph, inputs);
  const found: string[] = [];
  try {
    for (const variant of variants) {
      const wrong = await differences(graph, inputs, variant, expected);
      found.push(...wrong.map((d) => `${JSON.stringify(variant)} ${d}`));
    }
    return found;
  } catch (error) {
    if (error instanceof NeedsBinding) return "not compiled";
    throw error;
  }
}
