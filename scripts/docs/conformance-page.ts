/** docs/conformance.md: ONNX's conformance tests by operator. */
import { type ConformanceCase, criteriaOf, isOnAccelerator, passes } from "../conformance/run.js";
import { pageBy, table } from "./markdown.js";

/** Reasons with fewer cases are summed up. */
const reasonsMax = 30;

export function conformancePage(cases: readonly ConformanceCase[]): string {
  return pageBy(
    "npm run conformance",
    "ONNX conformance",
    "a run of ONNX's conformance tests",
    "Cases of ONNX's own test suite, releases 1.5 to 1.23, that `lightloom test ARCHIVE` passes: every element within " +
      "rtol 1e-3 and atol 1e-5, floats of 16 bits and less also within one unit in the last place, integers exactly. " +
      "On the accelerator means that no step of the program is left to the host. Outputs drawn at random are " +
      "compared by type and shape.",
    criteria(cases),
    `## By operator\n\n${byOperator(cases)}`,
    `## What is refused\n\n${reasons(cases, refusalsOf)}`,
    `## What keeps cases on the host\n\n${reasons(cases, hostReasonsOf)}`,
  );
}

function criteria(cases: readonly ConformanceCase[]): string {
  const c = criteriaOf(cases);
  const share = (part: number, whole: number): string =>
    `${part} of ${whole} (${((100 * part) / whole).toFixed(1)} %)`;
  return table(
    ["what", "how many"],
    [
      ["cases that pass", share(cases.filter(passes).length, cases.length)],
      ["cases that fail or end in an error", String(c.failed.length)],
      ["of those that ONNX Runtime 1.30 passes, pass", share(c.passes, c.ortPasses)],
      ["dense tensors of numbers: wholly on the accelerator", share(c.denseOnAccelerator, c.dense)],
      ["the same without float64", share(c.denseSingleOnAccelerator, c.denseSingle)],
    ],
  );
}

/** Cases of one operator; whole networks and combinations have a row for all of them. */
function byOperator(cases: readonly ConformanceCase[]): string {
  const groups = new Map<string, ConformanceCase[]>();
  for (const one of cases) {
    const [name = "", ...more] = one.ops;
    const isBody = one.flags.includes("expanded-function");
    const key = isBody ? "bodies of functions" : more.length > 0 ? "several operators" : name;
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const rows = [...groups]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, group]) => {
      const onHost = group.filter((one) => passes(one) && !isOnAccelerator(one));
      const refused = group.filter((one) => !passes(one));
      return [
        name,
        String(group.length),
        String(group.filter(isOnAccelerator).length),
        String(onHost.length),
        String(refused.length),
        [...new Set([...onHost.flatMap(hostReasonsOf), ...refused.flatMap(refusalsOf)])].join("; "),
      ];
    });
  return table(["operator", "cases", "accelerator", "with host", "refused", "why"], rows);
}

function reasons(
  cases: readonly ConformanceCase[],
  of: (one: ConformanceCase) => readonly string[],
): string {
  const counts = new Map<string, number>();
  for (const one of cases) {
    for (const reason of of(one)) counts.set(reason, (counts.get(reason) ?? 0) + 1);
  }
  const sorted = [...counts].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
  const rest = sorted.slice(reasonsMax).reduce((sum, [, count]) => sum + count, 0);
  const rows = sorted.slice(0, reasonsMax).map(([reason, count]) => [String(count), reason]);
  return table(["cases", "why"], rest === 0 ? rows : [...rows, [String(rest), "other reasons"]]);
}

function hostReasonsOf({ records }: ConformanceCase): readonly string[] {
  return [...new Set(records.flatMap(({ hostReasons = [] }) => hostReasons.map(withoutNames)))];
}

function refusalsOf({ records }: ConformanceCase): readonly string[] {
  const refused = records.filter(({ verdict }) => verdict !== "pass");
  const first = refused.map(({ reason = "" }) => withoutNames(reason.split("\n")[0]!));
  return [...new Set(first)];
}

/** Reasons are the same whatever the values are called, and however large they are. */
function withoutNames(reason: string): string {
  return reason.replaceAll(/ ?\(?"[^"]*"\)?/g, "").replaceAll(/\[[\d, ]+\]/g, "[..]");
}
