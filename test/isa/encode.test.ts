import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodeProgram, encodeProgram } from "../../src/isa/encode.js";
import { bitFields, instructionRows, wordBits } from "../../src/isa/instructions.js";
import { packWord, unpackWord, wordBytes } from "../../src/isa/words.js";
import { DiagnosticError } from "../../src/support/diagnostic.js";
import { randomEncodableProgram } from "../support/random-encoding.js";

describe("the instruction table", () => {
  it("gives every row an opcode and a mnemonic of its own", () => {
    expect(new Set(instructionRows.map((row) => row.opcode)).size).toBe(instructionRows.length);
    expect(new Set(instructionRows.map((row) => row.mnemonic)).size).toBe(instructionRows.length);
  });

  it.each(instructionRows)("fits $name into one word", (row) => {
    const last = bitFields(row).at(-1)!;
    expect(last.firstBit + last.bits).toBeLessThanOrEqual(wordBits);
  });

  it.each(instructionRows)("packs and unpacks random words of $name", (row) => {
    const fields = bitFields(row).filter((field) => field.name !== "opcode");
    const word = fc.record(
      Object.fromEntries(
        fields.map((field) => [field.name, fc.integer({ min: 0, max: 2 ** field.bits - 1 })]),
      ),
      { noNullPrototype: true },
    );
    fc.assert(
      fc.property(word, (values) => {
        const bytes = new Uint8Array(wordBytes);
        packWord({ instruction: row.name, fields: values }, bytes, 0, 0);
        expect(unpackWord(bytes, 0, 0)).toEqual({ instruction: row.name, fields: values });
      }),
    );
  });
});

describe("encoded programs", () => {
  it("decode to the same program, which encodes to the same bytes", () => {
    fc.assert(
      fc.property(randomEncodableProgram, (program) => {
        const bytes = encodeProgram(program);
        const decoded = decodeProgram(bytes);
        expect(decoded).toStrictEqual(program);
        expect(encodeProgram(decoded)).toEqual(bytes);
      }),
      { numRuns: 400 },
    );
  });

  it("are rejected with a diagnostic, or decode, when any byte is changed", () => {
    const [program] = fc.sample(randomEncodableProgram, { numRuns: 1, seed: 5 });
    const bytes = encodeProgram(program!);
    for (let at = 0; at < bytes.length; at++) {
      for (const change of [1, 128, 255]) {
        const damaged = bytes.slice();
        damaged[at]! ^= change;
        decodeOrDiagnose(damaged);
      }
    }
  });

  it("are rejected when cut short", () => {
    const [program] = fc.sample(randomEncodableProgram, { numRuns: 1, seed: 6 });
    const bytes = encodeProgram(program!);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeProgram(bytes.subarray(0, length))).toThrow(/L0502/);
    }
  });

  it("are rejected when a value does not fit its field", () => {
    const program = {
      name: "wide",
      grid: { rows: 1, columns: 1 },
      scalarCount: 256,
      bindings: [],
      queues: [],
      body: [],
      roles: [],
    };
    expect(() => encodeProgram(program)).toThrow("L0501: program.scalarCount cannot hold 256");
  });

  it("name the word that is not in the table", () => {
    const bytes = encodeProgram({
      name: "empty",
      grid: { rows: 1, columns: 1 },
      scalarCount: 0,
      bindings: [],
      queues: [],
      body: [{ kind: "barrier" }],
      roles: [],
    });
    const unknown = bytes.slice();
    unknown[12] = 63;
    expect(() => decodeProgram(unknown)).toThrow(
      "L0502: word 0: opcode 63 is not in the instruction table",
    );
    const reserved = bytes.slice();
    reserved[20] = 1;
    expect(() => decodeProgram(reserved)).toThrow(
      "L0502: word 0 (barrier): bit 64 is reserved and not zero",
    );
  });
});

function decodeOrDiagnose(bytes: Uint8Array): void {
  try {
    decodeProgram(bytes);
  } catch (error) {
    if (!(error instanceof DiagnosticError)) throw error;
    expect(error.diagnostics[0]!.code).toBe("L0502");
  }
}
