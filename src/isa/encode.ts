/**
 * Programs as bytes and back: a stream of 128-bit words and the descriptor tables that they refer to.
 * `decode(encode(p))` equals `p`, and encoding that again gives the same bytes. Nothing here asks whether a
 * program is safe: that is verify.ts.
 */
import type { LoopHead } from "../ir/tile.js";
import { fail } from "../support/diagnostic.js";
import {
  concatenate,
  type DescriptorReader,
  descriptorReader,
  type DescriptorWriter,
  descriptorWriter,
} from "./descriptors.js";
import {
  fieldKinds,
  type InstructionField,
  type InstructionName,
  instructions,
  type InstructionRow,
} from "./instructions.js";
import type { FieldShape, ProgramHeader, StructName, Structs } from "./layout.js";
import type { Instruction, InstructionBody, Program, ProgramNode } from "./program.js";
import { packWord, unpackWord, type Word, wordBytes } from "./words.js";

/** The two halves of an encoded program; an executable keeps them in sections of their own. */
export interface EncodedProgram {
  readonly words: Uint8Array;
  readonly descriptors: Uint8Array;
}

export function encodeParts(program: Program): EncodedProgram {
  const writer = descriptorWriter();
  const words: Word[] = [];
  encodeNodes(program.body, words, writer);
  words.push({ instruction: "halt", fields: {} });
  writer.struct("program", headerOf(program));
  const bytes = new Uint8Array(words.length * wordBytes);
  words.forEach((word, i) => packWord(word, bytes, i * wordBytes, i));
  return { words: bytes, descriptors: writer.bytes() };
}

export function decodeParts({ words, descriptors }: EncodedProgram): Program {
  if (words.length % wordBytes !== 0) fail("L0502", "the instruction stream ends inside a word");
  const reader = descriptorReader(descriptors);
  const header = reader.struct("program", 0, "the program");
  const unpacked = Array.from({ length: words.length / wordBytes }, (_, i) =>
    unpackWord(words, i * wordBytes, i),
  );
  return {
    name: header.name,
    grid: { rows: header.rows, columns: header.columns },
    scalarCount: header.scalarCount,
    bindings: header.bindings,
    queues: header.queues,
    body: decodeNodes(unpacked, reader),
    roles: header.roles.map((role) => role.name),
  };
}

const magic = 0x504c4c31;
const prefixBytes = 12;

export function encodeProgram(program: Program): Uint8Array {
  const { words, descriptors } = encodeParts(program);
  const prefix = new Uint8Array(prefixBytes);
  const view = new DataView(prefix.buffer);
  view.setUint32(0, magic);
  view.setUint32(4, words.length, true);
  view.setUint32(8, descriptors.length, true);
  return concatenate([prefix, words, descriptors]);
}

export function decodeProgram(bytes: Uint8Array): Program {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < prefixBytes || view.getUint32(0) !== magic) {
    fail("L0502", "these bytes are not an encoded program");
  }
  const wordsEnd = prefixBytes + view.getUint32(4, true);
  if (wordsEnd + view.getUint32(8, true) !== bytes.length) {
    fail("L0502", "the encoded program is not as long as it says");
  }
  return decodeParts({
    words: bytes.subarray(prefixBytes, wordsEnd),
    descriptors: bytes.subarray(wordsEnd),
  });
}

function headerOf(program: Program): ProgramHeader {
  return {
    name: program.name,
    rows: program.grid.rows,
    columns: program.grid.columns,
    scalarCount: program.scalarCount,
    bindings: program.bindings,
    queues: program.queues,
    roles: program.roles.map((name) => ({ name })),
  };
}

function encodeNodes(nodes: readonly ProgramNode[], into: Word[], writer: DescriptorWriter): void {
  for (const node of nodes) {
    switch (node.kind) {
      case "barrier":
        into.push({ instruction: "barrier", fields: {} });
        break;
      case "loop": {
        const at = into.length;
        into.push({ instruction: "loop", fields: {} });
        encodeNodes(node.body, into, writer);
        const head = encodeField(instructions.loop.fields[0], node.head, writer);
        into[at] = { instruction: "loop", fields: { ...head, words: into.length - at - 1 } };
        into.push({ instruction: "end", fields: {} });
        break;
      }
      case "instruction":
        into.push(encodeInstruction(node.instruction, writer));
        break;
      default:
        node satisfies never;
    }
  }
}

/** The row of an instruction: loads and stores with an index have rows of their own. */
export function nameOf(body: InstructionBody): InstructionName {
  switch (body.op) {
    case "load":
      return body.index === undefined ? "load" : "gather";
    case "store":
      return body.index === undefined ? "store" : "scatter";
    case "mma":
    case "vec":
      return body.op;
    default:
      return body satisfies never;
  }
}

function encodeInstruction(instruction: Instruction, writer: DescriptorWriter): Word {
  const name = nameOf(instruction.body);
  const row: InstructionRow = instructions[name];
  const { stage, waits, signals } = instruction;
  const sync = {
    ...(stage === undefined ? {} : { stage }),
    ...(waits === undefined ? {} : { waits }),
    ...(signals === undefined ? {} : { signals }),
  };
  let fields: Record<string, number> = {
    channel: instruction.channel,
    role: instruction.role,
    sync: Object.keys(sync).length === 0 ? 0 : writer.struct("sync", sync) + 1,
  };
  const body = instruction.body as unknown as Readonly<Record<string, unknown>>;
  for (const field of row.fields) {
    fields = { ...fields, ...encodeField(field, body[field.name], writer) };
  }
  return { instruction: name, fields };
}

function encodeField(
  field: InstructionField,
  value: unknown,
  writer: DescriptorWriter,
): Record<string, number> {
  const { name, kind } = field;
  const shape: FieldShape = fieldKinds[kind].shape;
  if (value === undefined) return { [name]: 0 };
  switch (shape.kind) {
    case "struct": {
      const item = shape.of === "floatConstant" ? { value } : value;
      return { [name]: writer.struct(shape.of, item as Structs[StructName]) + 1 };
    }
    case "list": {
      const items = value as readonly Structs[StructName][];
      return { [name]: writer.list(shape.of, items), [`${name}.count`]: items.length };
    }
    case "enum": {
      const at = shape.values.indexOf(value as string);
      if (at < 0) fail("L0501", `field ${name} cannot hold ${String(value)}`);
      return { [name]: at + 1 };
    }
    default:
      return fail("L0501", `field ${name} has a shape that words do not hold`);
  }
}

interface OpenLoop {
  readonly head: LoopHead | undefined;
  readonly body: ProgramNode[];
  /** Number of the word after its last, as its head says. */
  readonly endWord: number;
}

function decodeNodes(words: readonly Word[], reader: DescriptorReader): readonly ProgramNode[] {
  const open: OpenLoop[] = [{ head: undefined, body: [], endWord: words.length - 1 }];
  for (const [number, word] of words.entries()) {
    const innermost = open.at(-1)!;
    switch (word.instruction) {
      case "halt":
        if (number !== words.length - 1 || open.length > 1) {
          fail("L0502", `word ${number}: halt is not the last word`);
        }
        return innermost.body;
      case "end": {
        if (innermost.head === undefined || innermost.endWord !== number) {
          fail("L0502", `word ${number}: end does not close the innermost loop`);
        }
        open.pop();
        open.at(-1)!.body.push({ kind: "loop", head: innermost.head, body: innermost.body });
        break;
      }
      case "loop": {
        const head = decodeField(instructions.loop.fields[0], word, { reader, number });
        const endWord = number + 1 + word.fields["words"]!;
        open.push({ head: head as LoopHead, body: [], endWord });
        break;
      }
      case "barrier":
        innermost.body.push({ kind: "barrier" });
        break;
      default:
        innermost.body.push({
          kind: "instruction",
          instruction: decodeInstruction(word, { reader, number }),
        });
    }
  }
  return fail("L0502", "the instruction stream has no halt");
}

interface WordPlace {
  readonly reader: DescriptorReader;
  readonly number: number;
}

function decodeInstruction(word: Word, place: WordPlace): Instruction {
  const row: InstructionRow = instructions[word.instruction];
  const body: Record<string, unknown> = { op: row.body };
  for (const field of row.fields) {
    const value = decodeField(field, word, place);
    if (value !== undefined) body[field.name] = value;
  }
  const sync = word.fields["sync"]!;
  const rest =
    sync === 0 ? {} : place.reader.struct("sync", sync - 1, `word ${place.number} (sync)`);
  return {
    body: body as unknown as InstructionBody,
    channel: word.fields["channel"]!,
    role: word.fields["role"]!,
    ...rest,
  };
}

function decodeField(field: InstructionField, word: Word, { reader, number }: WordPlace): unknown {
  const by = `word ${number} (${word.instruction}, ${field.name})`;
  const shape: FieldShape = fieldKinds[field.kind].shape;
  const value = word.fields[field.name]!;
  if (shape.kind === "list") {
    return reader.list(shape.of, { first: value, count: word.fields[`${field.name}.count`]! }, by);
  }
  if (value === 0) {
    if (!field.optional) fail("L0502", `${by} is missing`);
    return undefined;
  }
  if (shape.kind === "enum") {
    return shape.values[value - 1] ?? fail("L0502", `${by} has no value number ${value}`);
  }
  if (shape.kind !== "struct") return fail("L0502", `${by} has a shape that words do not hold`);
  const item = reader.struct(shape.of, value - 1, by);
  return shape.of === "floatConstant" ? (item as Structs["floatConstant"]).value : item;
}
