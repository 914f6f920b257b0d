/** Fuzzing with the models that lie beside the repository. */
import { expect, test } from "vitest";
import { describeSlice } from "../fuzz/slice.js";
import { sharedSources } from "../fuzz/sources.js";

const sources = sharedSources();

describeSlice(2, sources);

test("there are fifty models", () => {
  expect(sources.length).toBeGreaterThanOrEqual(50);
});
