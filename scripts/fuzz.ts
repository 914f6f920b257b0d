/**
 * Fuzzes the whole way from file to result: mutated real models and random graphs against the references. Every
 * finding has a number; `--only` runs that case alone and prints the smallest model that still shows it.
 *
 *   npm run fuzz -- [--seed 1] [--cases 20000] [--first 0] [--processes 2] [--only NUMBER]
 */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { createCoverage } from "../test/fuzz/coverage.js";
import { operatorNames } from "../test/fuzz/operators/table.js";
import { type Range, runCases } from "../test/fuzz/run.js";
import { showCase } from "../test/fuzz/show.js";
import { npmModels, sharedSources } from "../test/fuzz/sources.js";

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    cases: { type: "string", default: "20000" },
    first: { type: "string", default: "0" },
    processes: { type: "string", default: String(availableParallelism()) },
    only: { type: "string" },
  },
});
const seed = Number(values.seed);

if (values.only !== undefined) {
  const sources = [...npmModels(), ...sharedSources()];
  console.log(await showCase(seed, Number(values.only), sources));
} else {
  const first = Number(values.first);
  const end = first + Number(values.cases);
  process.exitCode = await runAll({ seed, first, end, processes: Number(values.processes) });
}

/** Exit code: 1 where there are findings. */
async function runAll(range: Range): Promise<0 | 1> {
  const counts = new Map<string, number>();
  const coverage = createCoverage();
  const began = performance.now();
  let done = 0;
  await runCases(range, ({ number, from, verdict }) => {
    const kind = verdict.kind === "refused" ? `refused ${verdict.code}` : verdict.kind;
    counts.set(kind, (counts.get(kind) ?? 0) + 1);
    coverage.add(verdict.nodes ?? []);
    if (verdict.kind === "finding") console.log(`case ${number} (${from}): ${verdict.what}`);
    if (++done % 1000 === 0) {
      const minutes = ((performance.now() - began) / 60_000).toFixed(1);
      console.log(`${done} cases, ${minutes} min`);
    }
  });
  console.log(coverage.text(operatorNames));
  for (const [kind, count] of [...counts].sort()) console.log(`${kind}: ${count}`);
  if (!counts.has("finding")) return 0;
  console.log(`again, one alone: npm run fuzz -- --seed ${seed} --only NUMBER`);
  return 1;
}
