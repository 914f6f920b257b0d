/** The reference stops at whatever the instruction set leaves undefined: sound programs with one thing broken. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { assemble } from "../../src/isa/assemble.js";
import { createDeviceMemory } from "../../src/sim/engine.js";
import { createReferenceEngine } from "../../src/sim/reference/reference.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import { launch } from "../support/programs.js";

const engine = createReferenceEngine();
const folder = join(import.meta.dirname, "../cases/asm");

type Change = readonly [from: string, to: string];

/** What goes wrong, and how to make it go wrong: replacements in the text, in turn. */
const cases: Readonly<
  Record<"gemm" | "softmax" | "exchange", readonly (readonly [string, ...Change[]])[]>
> = {
  gemm: [
    ["read of element 910 of a, which has 910", ["+ k] (ext(m)", "+ k + 1] (ext(m)"]],
    ["read of element -1 of a, which has 910", ["+ k] (ext(m)", "+ k - 1] (ext(m)"]],
    [
      "write of element 143 of c, which has 143",
      ["columns + n] (ext(m)", "columns + n + 1] (ext(m)"],
    ],
    [
      "write of element 3 of qbias[0], which has 3",
      ["(ext(n) <= 3: 1 -> 1) as bias", "(4: 0 -> 1) as bias"],
    ],
    [
      "read of element 16 of qa[0], which was never written",
      ["(ext(k) <= 32: 1 -> 1)\n", "(16: 1 -> 1)\n"],
    ],
    ["read of element 0 of acc[0], which was never written", ["clear@f(k) ", ""]],
    ["queue qbias is empty for vector: underfull", ["qbias.pub", "qbias"]],
    ["queue qbias has no free slot: overfull", ["in qbias.pop", "in qbias"]],
    [
      "queue qc ends with 4 slots for store.0",
      ["l1 f32 12 depth 2", "l1 f32 12 depth 4"],
      ["st.0 qc.pop", "st.0 qc"],
    ],
    [
      "queue qbias ends with a slot never published",
      ["halt", "ld.1 qbias <- bias[0] (1: 1 -> 1) as bias\nhalt"],
    ],
    [
      "queue qbias is popped twice by one instruction",
      ["in qbias.pop (0, 1)", "in qbias.pop (0, 1) in qbias.pop (0, 1)"],
    ],
    ["queue acc in accumulator is filled by load.0", ["at 0 from tensor", "at 0 from load.0"]],
    ["queue acc of accumulators is read by store.0", ["tensor -> vector", "tensor -> store.0"]],
    ["queue acc of accumulators holds f16", ["accumulator f32", "accumulator f16"]],
    ["queue qc is not read by store.0", ["vector -> store.0", "vector -> store.1"]],
    ["queue qbias is not filled by load.1", ["4096 from load.1", "4096 from load.2"]],
    ["queue qc is updated and published", ["out qc.pub", "out qc.update.pub"]],
    [
      "queue qa is filled by a multicast along columns and by itself",
      ["halt", "ld.0 qa <- a[0] (1: 1 -> 1) as bias\nhalt"],
    ],
    [
      "the members of a multicast do not load the same",
      ["to multicast rows", "to multicast columns"],
    ],
    ["member 0, 1 is not there for a remote push", ["in 1..6 step 3", "in 1..6 step 5"]],
    ["loop k is no spatial loop around the instruction", ["to multicast rows", "to multicast k"]],
    ["store to c, which is only read", ["binding c f32 143 write", "binding c f32 143 read"]],
    [
      "load from bias, which is only written",
      ["binding bias f32 11 read", "binding bias f32 11 write"],
    ],
    ["element 0 of c is stored by two channels or members", ["11*m + columns", "11*m"]],
    ["spatial loop columns has 4 trips for 2 places", ["0..11 step 6", "0..11 step 3"]],
    ["spatial loop columns stands in a temporal loop", ["rows rows 0..13", "rows 0..13"]],
    ["loop k starts at -32", ["loop k 0..70 step", "loop k -32..70 in 70..70 step"]],
    ["two positions of an mma share an accumulator cell", ["0, 1, 1)", "0, 1, 0)"]],
    ["an mma multiplies floats into fp32 or integers into int32", ["qa l1 f32", "qa l1 i8"]],
    ["a register of f32 meets qc[0] of i32", ["qc l1 f32", "qc l1 i32"]],
    [
      "the axes of a vec are parallel axes, then reduce axes or one scan axis",
      ["vec (parallel", "vec (scan"],
    ],
    ["there is no queue 9", ["in qbias.pop", "in %9.pop"]],
    ["loop 9 does not enclose its use", ["acc.pub@l(k)", "acc.pub@l(%9)"]],
    ["queue qa of 128 elements is used as a token", ["as contract", "wait (qa.pop) as contract"]],
    [
      "the instructions of loop k are in different stages",
      ["columns as contract", "columns stage m + 1 as contract"],
    ],
  ],
  softmax: [
    ["a reduction that goes on needs partials", [" partials 1", ""]],
    ["a max of f32 has no partials", ["init@f(c0)", "init@f(c0) partials 1"]],
    ["a reduction by or of fp32", ["reduce max", "reduce or"]],
    ["a reduction's phase is -1", ["from c1", "from c1 - 1"]],
    [
      "read of element 0 of qm[0], which was never written",
      ["reduce max init@f(c0)", "reduce max"],
    ],
    [
      "queue qm is updated but has several consumers",
      ["vector -> vector", "vector -> vector, store.0"],
      ["qm.pub@l(c0)", "qm.update"],
    ],
    ["a register of f32 meets qx[0] of u8", ["qx l1 f32", "qx l1 u8"]],
    ["runtime scalar 1 was not given", ["(ext(c0) <= 16: 1", "($1 <= 16: 1"]],
  ],
  exchange: [
    ["spatial loop m has stages", ["x[m] (1: 1 -> 1)", "x[m] (1: 1 -> 1) stage m + 1"]],
    [
      "access to element 0 of s conflicts with one that no token or barrier orders before it",
      [" wait (written.pop)", ""],
      ["signal (written.pub) ", ""],
    ],
    [
      "access to element 1 of s conflicts with one that no token or barrier orders before it",
      ["end\nbarrier", "end"],
      ["<- s[n] (1", "<- s[1] (1"],
    ],
    ["two members gather element 0", ["q2[n].pub", "q2.pub"]],
    ["the members of a gather do not all publish", ["q2[n].pub", "q2[n].pub@f(n)"]],
    ["queue written of 0 elements is used as data", ["in q4.pop", "in written.pop"]],
  ],
};

describe("the reference", () => {
  for (const [program, broken] of Object.entries(cases)) {
    const sound = readFileSync(join(folder, `${program}.s`), "utf8");
    for (const [sentence, ...changes] of broken) {
      it(`stops: ${sentence} (${program})`, () => {
        let text = sound;
        for (const [from, to] of changes) {
          expect(text).toContain(from);
          text = text.replace(from, to);
        }
        expect(messageOf(() => run(text))).toContain(`L0504: ${sentence}`);
      });
    }

    it(`runs ${program}.s as it is`, () => {
      expect(messageOf(() => run(sound))).toBe("nothing was thrown");
    });
  }

  it("says where it stopped", () => {
    const text = readFileSync(join(folder, "gemm.s"), "utf8");
    const moved = text.replace("+ k] (ext(m)", "+ k + 1] (ext(m)");
    expect(messageOf(() => run(moved))).toMatchInlineSnapshot(`
      "L0504: read of element 910 of a, which has 910
        note: program gemm
        note: instruction 0: load, contract
        note: member: row 1, column 0
        note: loop rows: trip 1 of 2, index 7
        note: loop columns: trip 0 of 2, index 0
        note: loop m: trip 1 of 2, index 4
        note: loop n: trip 0 of 2, index 0
        note: loop k: trip 2 of 3, index 64"
    `);
  });

  it("wants a place for every binding, and no two that overlap", () => {
    const program = assemble(readFileSync(join(folder, "softmax.s"), "utf8"));
    const memory = createDeviceMemory(2000);
    const at = (...offsets: number[]): string => {
      const bindings = offsets.map((offsetBytes) => ({ offsetBytes }));
      const scalars = Int32Array.of(3);
      return messageOf(() => engine.prepare(program).run({ memory, bindings, scalars }));
    };
    expect(at(0, 960)).toBe("nothing was thrown");
    expect(at(0, 956)).toContain("L0504: bindings x and y overlap");
    expect(at(0, 1200)).toContain("L0504: binding y lies at [1200, 2160) of 2000 bytes");
    expect(at(0)).toContain("L0504: 1 bindings are given, the program has 2");
  });

  it("wants the scalars that the program has", () => {
    const program = assemble(readFileSync(join(folder, "softmax.s"), "utf8"));
    expect(messageOf(() => launch(engine, program, [], []))).toContain(
      "L0504: 0 runtime scalars are given, the program has 1",
    );
  });
});

function run(text: string): void {
  const program = assemble(text);
  launch(engine, program, [], [37].slice(0, program.scalarCount));
}

function messageOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof DiagnosticError) return error.message;
    throw error;
  }
  return "nothing was thrown";
}
