/**
 * THE instruction table. Encoder, decoder, assembler, disassembler, the random instructions of the tests and
 * `docs/isa.md` derive from it; the verifier and the simulators are exhaustive over its bodies. What an
 * instruction does to data stands in ir/semantics/, one file per body.
 *
 * A word has 128 bits. Bits 0..5 are the opcode; the fields follow in the order of the row, low bits first, the
 * rest is zero. Words of engines begin with three common fields: channel, role and sync. A field that refers to
 * a descriptor holds its number plus one, 0 where an optional one is absent.
 *
 *   mnemonic = name of the operation ["." channel]      ld.0  st.1  mma  vec
 */
import type { FieldShape } from "./layout.js";

/** What a field of a word refers to, and how wide it is. `countBits`: lists carry their length beside the first. */
interface FieldKindRow {
  readonly shape: FieldShape;
  readonly bits: number;
  readonly countBits?: number;
  readonly syntax: string;
}

export const fieldKinds = {
  dest: {
    shape: { kind: "struct", of: "dest" },
    bits: 14,
    syntax: "`queue[offset].pub@condition`, or `.update` for the head in place",
  },
  source: {
    shape: { kind: "struct", of: "source" },
    bits: 14,
    syntax: "`queue[offset].pop@condition`; without `.pop` a peek",
  },
  memory: { shape: { kind: "struct", of: "memory" }, bits: 14, syntax: "`binding[offset]`" },
  transferAxes: {
    shape: { kind: "list", of: "transferAxis" },
    bits: 14,
    countBits: 4,
    syntax: "`(count: memory stride -> slot stride clip origin by step in limit)` per axis",
  },
  float: { shape: { kind: "struct", of: "floatConstant" }, bits: 10, syntax: "a number" },
  index: {
    shape: { kind: "struct", of: "index" },
    bits: 10,
    syntax: "`queue[offset].pop (strides) axis number in extent`",
  },
  dequantize: {
    shape: { kind: "struct", of: "dequantize" },
    bits: 10,
    syntax: "`binding[offset] (strides)`, then `zero binding[offset] (strides)` where there is one",
  },
  delivery: {
    shape: { kind: "struct", of: "delivery" },
    bits: 8,
    syntax: "`multicast loop`, `push rows +1 wrap` or `collect loop`",
  },
  combine: {
    shape: { kind: "enum", values: ["add", "mul", "min", "max"] },
    bits: 4,
    syntax: "`add`, `mul`, `min` or `max`",
  },
  mmaAxes: {
    shape: { kind: "list", of: "mmaAxis" },
    bits: 14,
    countBits: 4,
    syntax: "`(role count: stride a, stride b, stride c)` per axis",
  },
  zeroPoint: {
    shape: { kind: "struct", of: "zeroPoint" },
    bits: 8,
    syntax: "`queue[offset].pop (strides)`",
  },
  condition: {
    shape: { kind: "struct", of: "condition" },
    bits: 8,
    syntax: "nothing for always, else `@f(loop)&!l(loop)`; the whole field is left out for never",
  },
  vecAxes: {
    shape: { kind: "list", of: "vecAxis" },
    bits: 14,
    countBits: 4,
    syntax: "`(kind count from base)` per axis",
  },
  vecInputs: {
    shape: { kind: "list", of: "vecInput" },
    bits: 14,
    countBits: 4,
    syntax: "`in queue[offset].pop (strides)` per input",
  },
  lanes: {
    shape: { kind: "struct", of: "lanes" },
    bits: 12,
    syntax: "`{ r0:f32 = input 0 ... -> results }`",
  },
  carries: {
    shape: { kind: "list", of: "carry" },
    bits: 12,
    countBits: 4,
    syntax:
      "`carry result = initial type state queue[offset].pub (strides) init@condition` per register",
  },
  vecOutputs: {
    shape: { kind: "list", of: "vecOutput" },
    bits: 14,
    countBits: 4,
    syntax:
      "`out queue[offset].pub (strides) reduce kind from phase init@condition partials stride` per output",
  },
  loopHead: {
    shape: { kind: "struct", of: "loop" },
    bits: 14,
    syntax: "`name over start..total in minimum..maximum step step`",
  },
} as const satisfies Record<string, FieldKindRow>;

export type FieldKind = keyof typeof fieldKinds;

export interface InstructionField {
  /** Property of the instruction's body. */
  readonly name: string;
  readonly kind: FieldKind;
  /** What stands before it in assembly text. */
  readonly lead?: string;
  readonly optional?: true;
}

export interface InstructionRow {
  readonly opcode: number;
  readonly mnemonic: string;
  readonly engine: "load" | "store" | "tensor" | "vector" | "control";
  /** The body in ir/tile.ts; `gather` and `scatter` are `load` and `store` with an index. */
  readonly body?: "load" | "store" | "mma" | "vec";
  readonly fields: readonly InstructionField[];
  readonly about: string;
}

const loadFields = [
  { name: "dest", kind: "dest" },
  { name: "memory", kind: "memory", lead: "<-" },
  { name: "axes", kind: "transferAxes" },
  { name: "fill", kind: "float", lead: "fill" },
] as const satisfies readonly InstructionField[];

const loadModifiers = [
  { name: "dequantize", kind: "dequantize", lead: "scale", optional: true },
  { name: "delivery", kind: "delivery", lead: "to", optional: true },
] as const satisfies readonly InstructionField[];

const storeFields = [
  { name: "source", kind: "source" },
  { name: "memory", kind: "memory", lead: "->" },
  { name: "axes", kind: "transferAxes" },
] as const satisfies readonly InstructionField[];

const index = { name: "index", kind: "index", lead: "at" } as const;
const combine = { name: "combine", kind: "combine", lead: "by", optional: true } as const;

export const instructions = {
  halt: {
    opcode: 1,
    mnemonic: "halt",
    engine: "control",
    fields: [],
    about: "The program ends. Exactly one, the last word.",
  },
  loop: {
    opcode: 2,
    mnemonic: "loop",
    engine: "control",
    fields: [{ name: "head", kind: "loopHead" }],
    about:
      "Runs the words up to its `end` once per trip. Temporal, or spatial over rows, columns or members.",
  },
  end: {
    opcode: 3,
    mnemonic: "end",
    engine: "control",
    fields: [],
    about: "Closes the innermost open loop.",
  },
  barrier: {
    opcode: 4,
    mnemonic: "barrier",
    engine: "control",
    fields: [],
    about:
      "All engines of all members drained, all stores acknowledged. Outside spatial loops only.",
  },
  load: {
    opcode: 8,
    mnemonic: "ld",
    engine: "load",
    body: "load",
    fields: [...loadFields, ...loadModifiers],
    about:
      "Memory to slot. Positions outside a clip are filled. Converts to the slot's type; dequantizes where told; delivers to other members where told.",
  },
  gather: {
    opcode: 9,
    mnemonic: "gather",
    engine: "load",
    body: "load",
    fields: [...loadFields, index, ...loadModifiers],
    about:
      "A load, one axis of which takes its place in memory from a slot of integers. An index out of range fills and sets the launch's fault.",
  },
  store: {
    opcode: 10,
    mnemonic: "st",
    engine: "store",
    body: "store",
    fields: [...storeFields, combine],
    about:
      "Slot to memory, converted to the binding's type. Positions outside a clip do nothing. Stores of one channel are ordered.",
  },
  scatter: {
    opcode: 11,
    mnemonic: "scatter",
    engine: "store",
    body: "store",
    fields: [...storeFields, index, combine],
    about:
      "A store, one axis of which takes its place in memory from a slot of integers, position by position in row-major order. An index out of range is dropped and sets the launch's fault.",
  },
  mma: {
    opcode: 12,
    mnemonic: "mma",
    engine: "tensor",
    body: "mma",
    fields: [
      { name: "dest", kind: "dest" },
      { name: "a", kind: "source", lead: "+=" },
      { name: "b", kind: "source", lead: "*" },
      { name: "axes", kind: "mmaAxes" },
      { name: "zeroA", kind: "zeroPoint", lead: "za", optional: true },
      { name: "zeroB", kind: "zeroPoint", lead: "zb", optional: true },
      { name: "clear", kind: "condition", lead: "clear" },
      { name: "fold", kind: "condition", lead: "fold" },
    ],
    about:
      "acc[g,m,n] += sum over k of a[g,m,k] * b[g,k,n], the k axes in the order listed. `clear` zeroes the cells first, `fold` adds the open segment to the sum afterwards.",
  },
  vec: {
    opcode: 13,
    mnemonic: "vec",
    engine: "vector",
    body: "vec",
    fields: [
      { name: "axes", kind: "vecAxes" },
      { name: "inputs", kind: "vecInputs" },
      { name: "program", kind: "lanes", lead: "lanes" },
      { name: "carries", kind: "carries" },
      { name: "outputs", kind: "vecOutputs" },
    ],
    about:
      "Runs a lane program at every position of its axes, in row-major order; results are written, reduced or carried.",
  },
} as const satisfies Record<string, InstructionRow>;

export type InstructionName = keyof typeof instructions;

export const instructionRows: readonly (InstructionRow & { readonly name: InstructionName })[] =
  Object.entries(instructions).map(([name, row]) => ({ ...row, name: name as InstructionName }));

export const wordBits = 128;
export const opcodeBits = 6;

/** The fields that every word of an engine begins with. */
export const commonFields = { channel: 4, role: 12, sync: 14 } as const;

export interface BitField {
  readonly name: string;
  readonly firstBit: number;
  readonly bits: number;
}

/** Where each field lies in the word. A list gives two: its name, and its name with `.count`. */
export function bitFields(row: InstructionRow): readonly BitField[] {
  const widths: [string, number][] = [["opcode", opcodeBits]];
  if (row.engine !== "control") widths.push(...Object.entries(commonFields));
  if (row.mnemonic === "loop") widths.push(["words", 24]);
  for (const field of row.fields) {
    const kind: FieldKindRow = fieldKinds[field.kind];
    widths.push([field.name, kind.bits]);
    if (kind.countBits !== undefined) widths.push([`${field.name}.count`, kind.countBits]);
  }
  let firstBit = 0;
  return widths.map(([name, bits]) => {
    const field = { name, firstBit, bits };
    firstBit += bits;
    return field;
  });
}
