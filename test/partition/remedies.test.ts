import { describe, expect, it } from "vitest";
import { remedyFor } from "../../src/compiler/3-partition/remedies.js";

describe("remedies of operators that decline", () => {
  it.each([
    ['"x" holds strings', "none"],
    ["input 1 (the repeats) depends on data", "make the value a constant"],
    ["it drops elements at random", "export the model for inference"],
    ["a slice of more than 4 dimensions", "reshape to fewer dimensions"],
    ["a TopK of more than 64 elements is sorted on the host", "make it smaller"],
    ["it has no lowering", "its operator needs a lowering"],
  ])("%s: %s", (reason, remedy) => expect(remedyFor(reason)).toContain(remedy));

  it("are not made up", () => {
    expect(remedyFor("f8e8m0 is rounded up elsewhere")).toBe(undefined);
  });
});
