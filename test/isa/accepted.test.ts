import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { assemble } from "../../src/isa/assemble.js";
import { decodeProgram, encodeProgram } from "../../src/isa/encode.js";
import { disassemble } from "../../src/isa/disassemble.js";
import { problemText } from "../../src/isa/problem.js";
import { verifyProgram } from "../../src/isa/verify.js";

const folder = new URL("../cases/accepted/", import.meta.url);

describe("the verifier", () => {
  it.each(readdirSync(folder))("accepts %s", (name) => {
    const program = assemble(readFileSync(new URL(name, folder), "utf8"));
    const problems = verifyProgram(program).map((problem) => problemText(program, problem));
    expect(problems).toEqual([]);
    expect(decodeProgram(encodeProgram(program))).toStrictEqual(program);
    expect(assemble(disassemble(program))).toStrictEqual(program);
  });
});
