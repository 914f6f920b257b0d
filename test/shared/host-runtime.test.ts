/** Host regions in ONNX Runtime: neither the conformance suite nor real models pass less than with our own evaluation. */
import { expect, test } from "vitest";
import { createSimulatedDevice } from "../../src/runtime/device.js";
import type { HostRuntimeChoice } from "../../src/runtime/host-runtime.js";
import { conformanceRule, modelRule } from "../../src/runtime/judge.js";
import { openFiles } from "../../src/runtime/node/files.js";
import { onnxRuntimeHost } from "../../src/runtime/node/onnxruntime-host.js";
import { runCase } from "../../src/runtime/node/run-cases.js";
import { sharedJit } from "../../src/runtime/node/services.js";
import { findTestCases, type TestCase } from "../../src/runtime/test-case.js";
import { findDevice } from "../../src/target/machines.js";

const source = openFiles("../shared/onnx-tests.tar.gz");
const setup = {
  machine: findDevice("pf1"),
  precision: "fp32",
  device: createSimulatedDevice(sharedJit()),
  source,
  rule: conformanceRule,
} as const;

function run(testCase: TestCase, choice: HostRuntimeChoice) {
  return runCase({ ...setup, host: { choice, load: onnxRuntimeHost } }, testCase, testCase.path);
}

const models = openFiles("../shared/models");

/** Control flow over data is left to the host, in parts or as a whole. */
test.each(findTestCases(models).filter(({ path }) => /^(silero|g2p-en-greedy)/.test(path)))(
  "$path",
  async (testCase) => {
    const given = { ...setup, source: models, rule: modelRule };
    for (const choice of ["onnxruntime", "reference"] as const) {
      const host = { choice, load: onnxRuntimeHost };
      for (const record of await runCase({ ...given, host }, testCase, testCase.path)) {
        expect(record).toMatchObject({ verdict: "pass" });
        const wanted = choice === "reference" ? "reference" : "ONNX Runtime";
        for (const { by, why } of record.hostRegions ?? []) expect(by, why).toBe(wanted);
      }
    }
  },
);

test("every conformance test has the same verdict with either", async () => {
  const lost: string[] = [];
  let handedOver = 0;
  for (const testCase of findTestCases(source)) {
    const records = await run(testCase, "onnxruntime");
    const regions = records.flatMap((record) => record.hostRegions ?? []);
    handedOver += regions.filter(({ by }) => by === "ONNX Runtime").length;
    if (records.every(({ verdict }) => verdict === "pass")) continue;
    const own = await run(testCase, "reference");
    own.forEach(({ name, verdict }, i) => {
      if (verdict !== records[i]!.verdict) lost.push(`${name}: ${records[i]!.reason}`);
    });
  }
  expect(lost).toEqual([]);
  expect(handedOver).toBeGreaterThan(100);
});
