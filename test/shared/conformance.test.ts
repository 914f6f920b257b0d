/** ONNX's conformance tests on the simulated device: what the project promises of them. */
import { expect, test } from "vitest";
import { criteriaOf, runConformance } from "../../scripts/conformance/run.js";

test("conformance tests pass or are refused, nearly all on the accelerator", async () => {
  const criteria = criteriaOf(await runConformance());
  expect(criteria.failed).toEqual([]);
  expect(criteria.passes / criteria.ortPasses).toBeGreaterThanOrEqual(0.99);
  expect(criteria.denseSingleOnAccelerator / criteria.denseSingle).toBeGreaterThanOrEqual(0.95);
});
