/** Fuzzing with the models of npm packages, and the generator's own tables. */
import { expect, test } from "vitest";
import { operatorNames, rows } from "./operators/table.js";
import { describeSlice } from "./slice.js";
import { npmModels } from "./sources.js";

describeSlice(1, npmModels());

test("rows are of operators that exist", () => {
  expect(Object.keys(rows).filter((name) => !operatorNames.includes(name))).toEqual([]);
});
