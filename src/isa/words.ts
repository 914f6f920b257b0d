/** The 128-bit instruction word: its fields as numbers, packed and unpacked by the instruction table. */
import { fail } from "../support/diagnostic.js";
import {
  bitFields,
  type BitField,
  type InstructionName,
  instructionRows,
  opcodeBits,
  wordBits,
} from "./instructions.js";

export const wordBytes = wordBits / 8;

/** A word before it is packed: a number per field, named as in `bitFields`; the opcode is implied. */
export interface Word {
  readonly instruction: InstructionName;
  readonly fields: Readonly<Record<string, number>>;
}

interface WordLayout {
  readonly name: InstructionName;
  readonly opcode: number;
  readonly fields: readonly BitField[];
}

const layouts: readonly WordLayout[] = instructionRows.map((row) => ({
  name: row.name,
  opcode: row.opcode,
  fields: bitFields(row),
}));
const byName = new Map(layouts.map((layout) => [layout.name, layout]));
const byOpcode = new Map(layouts.map((layout) => [layout.opcode, layout]));

/** Writes a word at `offset`, which must hold zeros. `number` is its number, for messages. */
export function packWord(word: Word, into: Uint8Array, offset: number, number: number): void {
  const layout = byName.get(word.instruction)!;
  for (const { name, firstBit, bits } of layout.fields) {
    const value = name === "opcode" ? layout.opcode : (word.fields[name] ?? 0);
    if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) {
      fail("L0501", `field ${name} of word ${number} (${word.instruction}) cannot hold ${value}`, {
        notes: [`it is ${bits} bits wide`],
        hint: "split the kernel: it has too many different operands for one program",
      });
    }
    for (let bit = 0; bit < bits; bit++) {
      if (Math.floor(value / 2 ** bit) % 2 === 1) {
        const at = firstBit + bit;
        into[offset + (at >> 3)]! |= 1 << (at & 7);
      }
    }
  }
}

export function unpackWord(bytes: Uint8Array, offset: number, number: number): Word {
  const opcode = readBits(bytes, offset, 0, opcodeBits);
  const layout = byOpcode.get(opcode);
  if (layout === undefined) {
    fail("L0502", `word ${number}: opcode ${opcode} is not in the instruction table`);
  }
  const fields: Record<string, number> = {};
  let end = 0;
  for (const { name, firstBit, bits } of layout.fields) {
    if (name !== "opcode") fields[name] = readBits(bytes, offset, firstBit, bits);
    end = firstBit + bits;
  }
  for (let at = end; at < wordBits; at++) {
    if (readBits(bytes, offset, at, 1) !== 0) {
      fail("L0502", `word ${number} (${layout.name}): bit ${at} is reserved and not zero`);
    }
  }
  return { instruction: layout.name, fields };
}

function readBits(bytes: Uint8Array, offset: number, firstBit: number, bits: number): number {
  let value = 0;
  for (let bit = bits - 1; bit >= 0; bit--) {
    const at = firstBit + bit;
    value = value * 2 + ((bytes[offset + (at >> 3)]! >> (at & 7)) & 1);
  }
  return value;
}
