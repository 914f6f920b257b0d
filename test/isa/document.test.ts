import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { isaPage } from "../../src/isa/document.js";
import { instructionRows } from "../../src/isa/instructions.js";
import { laneOps } from "../../src/numerics/lane.js";

describe("docs/isa.md", () => {
  it("is what the tables say", () => {
    const page = readFileSync(new URL("../../docs/isa.md", import.meta.url), "utf8");
    expect(page, "write isaPage() to docs/isa.md").toBe(isaPage());
  });

  it("has a section for every instruction and a row for every lane operation", () => {
    const page = isaPage();
    for (const { mnemonic } of instructionRows) expect(page).toContain(`### ${mnemonic}\n`);
    for (const op of Object.keys(laneOps)) expect(page).toContain(`| \`${op}\` |`);
  });
});
