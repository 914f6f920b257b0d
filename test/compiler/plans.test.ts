/**
 * The property that everything else leans on: no plan, no fusion, no machine and no engine changes a bit of a
 * result. `FUZZ=from..to` runs other seeds than the ones that the suite runs.
 */
import { describe, expect, it } from "vitest";
import { NeedsBinding } from "../../src/ir/dim.js";
import { printGraph } from "../../src/ir/text/print.js";
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

/** What some plan has to have, for the graphs of real operators. */
const free: Readonly<Record<string, readonly RegExp[]>> = {
  members: [/split \[\]/, /\/rows:/, /\/columns:/, /\/members:/],
  "blocks of k": [/ k:64\b/, / k:128\b/, / k:256\b/, / k:1024\b/],
  residency: [/panel -/, /panel a /, /panel b /, /chunk 16 /, /chunk 1024 /],
  "slots of operands": [/a:1 /, /a:2 /, /a:3 /, /a:4 /, /b:1 /, /b:3 /, /b:4 /],
  "slots of tiles": [/in:1 /, /in:2 /, /in:3 /, /in:4 /, /out:1 /, /out:3 /, /acc:1 /, /acc:3 /],
  stages: [/^contract.* stages 0,1/, /^rows.* stages 0,1/, /^rows.* stages 0,[01],2/],
  multicast: [/stages [\d,]+$/, /without multicast$/],
};

describe("graphs of real operators give the same bits however they are compiled", () => {
  const met = new Set<string>();
  let taken = 0;

  it.each(Object.keys(planGraphs))("%s", { timeout: 300_000 }, async (name) => {
    const [made, ...others] = planGraphs[name]!() as [RandomGraph, ...RandomGraph[]];
    for (const seed of [0, 100]) {
      expect(await violations(made, seed, variantsOf(seed), met), `seed ${seed}`).toEqual([]);
    }
    expect(await violations(made, 200, threadVariantsOf(200)), "threads").toEqual([]);
    taken += pool.taken();
    const expected = expectedOutputs(made.graph, made.inputs);
    for (const [i, other] of others.entries()) {
      expect(expectedOutputs(other.graph, other.inputs)).toEqual(expected);
      expect(await violations(other, 300 + i), `dims ${i}`).toEqual([]);
    }
  });

  it("workers took part where there were threads", () => {
    expect(taken).toBeGreaterThan(0);
  });

  it.each(Object.entries(free))("plans differed in %s", (_, forms) => {
    expect(forms.filter((form) => ![...met].some((plan) => form.test(plan)))).toEqual([]);
  });
});

/** Symbols that a kernel needs as numbers make a graph one that this test does not compile. */
async function violations(
  { graph, inputs }: RandomGraph,
  seed: number,
  variants = variantsOf(seed),
  met = new Set<string>(),
): Promise<string[] | "not compiled"> {
  const expected = expectedOutputs(graph, inputs);
  const found: string[] = [];
  try {
    for (const variant of variants) {
      const wrong = await differences(graph, inputs, variant, expected, met);
      found.push(...wrong.map((d) => `${JSON.stringify(variant)} ${d}`));
    }
    return found;
  } catch (error) {
    if (error instanceof NeedsBinding) return "not compiled";
    throw error;
  }
}
