/** docs/differences.md: where results knowingly differ from ONNX Runtime's. */
import { differences } from "../../test/ops/differences.js";
import { page, table } from "./markdown.js";

export function differencesPage(): string {
  return page(
    "Where results differ from ONNX Runtime's",
    "test/ops/differences.ts",
    "Operator by operator, results are ONNX Runtime's within rounding. What is known to differ stands here; a test " +
      "runs an example of every row in both.",
    table(
      ["operator", "here", "in ONNX Runtime 1.30, on a CPU", "why"],
      differences.map((one) => [one.example.op, one.here, one.there, one.why]),
    ),
    "Random numbers come from a generator of our own: the same at every run, from the seed if there is one.",
    "Recordings of ONNX's own test suite that ONNX Runtime contradicts as we do are refused as " +
      "[disputed](errors.md#l0606-recorded-outputs-in-dispute).",
  );
}
