import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { assemble } from "../../src/isa/assemble.js";
import { verifyLaunch, verifyProgram } from "../../src/isa/verify.js";

const folder = new URL("../cases/hostile/", import.meta.url);

describe("the verifier", () => {
  it.each(readdirSync(folder))("rejects %s for the reason in its first line", (name) => {
    const text = readFileSync(new URL(name, folder), "utf8");
    const reason = text.slice(2, text.indexOf("\n"));
    expect(verifyProgram(assemble(text)).map((problem) => problem.reason)).toContain(reason);
  });
});

describe("the verifier of launches", () => {
  const program = assemble(`program copy
grid 1 x 1
scalars 1
binding a f32 16 read
binding b f32 16 read
binding c f32 16 write
halt
`);
  const reasons = (offsets: readonly number[], scalars = 1) =>
    verifyLaunch(program, {
      bindings: offsets.map((offsetBytes) => ({ offsetBytes })),
      memoryBytes: 256,
      scalars,
    }).map((problem) => problem.reason);

  it("lets bindings overlap that are both read", () => {
    expect(reasons([0, 32, 96])).toEqual([]);
  });

  it.each([
    { offsets: [0, 64, 124], reason: "bindings b and c overlap and are not both read" },
    { offsets: [0, 64, 60], reason: "bindings a and c overlap and are not both read" },
    { offsets: [0, 64, 196], reason: "binding c lies at [196, 260) of 256 bytes" },
    { offsets: [0, 64], reason: "the launch has 2 bindings, not 3" },
  ])("rejects bindings at $offsets", ({ offsets, reason }) => {
    expect(reasons(offsets)).toContain(reason);
  });

  it("rejects another number of scalars", () => {
    expect(reasons([0, 64, 128], 0)).toEqual(["the launch has 0 scalars, the program 1"]);
  });
});
