/** ONNX's conformance tests, run as `lightloom test` runs them, beside what the manifest says of each. */
import { readFileSync } from "node:fs";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import { conformanceRule } from "../../src/runtime/judge.js";
import { openFiles } from "../../src/runtime/node/files.js";
import { runCase, type TestRecord } from "../../src/runtime/node/run-cases.js";
import { findTestCases } from "../../src/runtime/test-case.js";
import { createJitEngine } from "../../src/sim/jit/jit.js";
import { pf1 } from "../../src/target/machines/pf1.js";

export const archive = "../shared/onnx-tests.tar.gz";
const manifestPath = "../shared/onnx-tests.manifest.json";

/** One case of the manifest. */
export interface ManifestEntry {
  readonly path: string;
  /** Operators of the model, "domain::Name" outside of ai.onnx. */
  readonly ops: readonly string[];
  readonly dtypes: readonly string[];
  /** What is special about it: string, sequence, control-flow, expanded-function, float8/4 and the like. */
  readonly flags: readonly string[];
  /** What ONNX Runtime makes of it: pass, mismatch, load-fail, run-fail, crash, n/a. */
  readonly ort: string;
}

export interface ConformanceCase extends ManifestEntry {
  /** One per data set. */
  readonly records: readonly TestRecord[];
}

export async function runConformance(): Promise<readonly ConformanceCase[]> {
  const { tests } = JSON.parse(readFileSync(manifestPath, "utf8")) as { tests: ManifestEntry[] };
  const byPath = new Map(tests.map((entry) => [entry.path, entry]));
  const source = openFiles(archive);
  const setup = {
    machine: pf1,
    precision: "fp32",
    device: createSimulatedDevice(createJitEngine()),
    source,
    rule: conformanceRule,
  } as const;
  const cases: ConformanceCase[] = [];
  for (const test of findTestCases(source)) {
    const entry = byPath.get(test.path.slice(test.path.indexOf("/") + 1));
    if (entry === undefined) throw new Error(`the manifest does not know ${test.path}`);
    cases.push({ ...entry, records: await runCase(setup, test, test.path) });
  }
  return cases;
}

/** Counts that the project promises something of. */
export interface Criteria {
  readonly cases: number;
  readonly failed: readonly string[];
  readonly ortPasses: number;
  /** Of those that ONNX Runtime passes. */
  readonly passes: number;
  readonly dense: number;
  /** Of the dense ones: with nothing on the host. */
  readonly denseOnAccelerator: number;
  readonly denseSingle: number;
  readonly denseSingleOnAccelerator: number;
}

/**
 * Dense cases are those without any flag in the manifest, other than that the body of a function stands for it: numeric
 * tensors of fixed shapes. Those without f64, which no accelerator of this kind computes in, are counted apart.
 */
export function criteriaOf(cases: readonly ConformanceCase[]): Criteria {
  const known = cases.filter(({ ort }) => ort === "pass");
  const dense = cases.filter(({ flags }) => flags.every((flag) => flag === "expanded-function"));
  const single = dense.filter(({ dtypes }) => !dtypes.includes("DOUBLE"));
  return {
    cases: cases.length,
    failed: cases
      .filter(({ records }) => records.some((r) => r.verdict === "fail" || r.verdict === "error"))
      .map(({ path }) => path),
    ortPasses: known.length,
    passes: known.filter(passes).length,
    dense: dense.length,
    denseOnAccelerator: dense.filter(isOnAccelerator).length,
    denseSingle: single.length,
    denseSingleOnAccelerator: single.filter(isOnAccelerator).length,
  };
}

export function passes({ records }: ConformanceCase): boolean {
  return records.every(({ verdict }) => verdict === "pass");
}

export function isOnAccelerator(one: ConformanceCase): boolean {
  return passes(one) && one.records.every(({ ranOn }) => ranOn === "accelerator");
}
