/**
 * Fuzzes the whole way from file to result: mutated real models and random graphs against the references. Every
 * finding has a number; `--only` runs that case alone and prints the smallest model that still shows it.
 *
 *   npm run fuzz -- [--seed 1] [--cases 20000] [--first 0] [--only NUMBER]
 */
import { parseArgs } from "node:util";
import { caseOf } from "../test/fuzz/case.js";
import { runCases } from "../test/fuzz/run.js";
import { showCase } from "../test/fuzz/show.js";
import type { ShortVerdict } from "../test/fuzz/worker.js";
import { npmModels, sharedSources } from "../test/fuzz/sources.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    cases: { type: "string", default: "20000" },
    first: { type: "string", default: "0" },
    only: { type: "string" },
  },
});
const seed = Number(values.seed);

if (values.only !== undefined) {
  const sources = [...npmModels(), ...sharedSources()];
  console.log(await showCase(caseOf(seed, Number(values.only), sources)));
} else {
  const first = Number(values.first);
  process.exitCode = await runAll(first, first + Number(values.cases));
}

function nameOf({ kind, code, confirmed }: ShortVerdict): string {
  if (kind === "refused") return `refused ${code}`;
  return confirmed === true ? "equal, to ONNX Runtime too" : kind;
}

/** Exit code: 1 where there are findings. */
async function runAll(first: number, end: number): Promise<0 | 1> {
  const counts = new Map<string, number>();
  const began = performance.now();
  for await (const { number, from, verdict } of runCases({ seed, first, end })) {
    const kind = nameOf(verdict);
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    if (verdict.kind === "finding") console.log(`case ${number} (${from}): ${verdict.what}`);
    if ((number + 1 - first) % 1000 === 0) {
      const minutes = ((performance.now() - began) / 60_000).toFixed(1);
      console.log(`${number + 1 - first} cases, ${minutes} min`);
    }
  }
  for (const [kind, count] of [...counts].sort()) console.log(`${kind}: ${count}`);
  if (!counts.has("finding")) return 0;
  console.log(`again, one alone: npm run fuzz -- --seed ${seed} --only NUMBER`);
  return 1;
}
