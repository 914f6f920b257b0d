/**
 * Descriptor tables: the parts of a program that its words refer to, each kept once. Written and read by the schema
 * in layout.ts. A value that does not fit its field is reported as L0501, bytes outside the schema as L0502.
 *
 *   tables, in the schema's order:  u32 records, then the records
 *   integers:                       u32 entries, then 8 bytes each
 *   strings:                        u32 entries, then per entry u32 bytes and the UTF-8
 */
import { fail } from "../support/diagnostic.js";
import {
  type Field,
  fieldBytes,
  fieldsOf,
  recordBytes,
  type StructName,
  structNames,
  structs,
  type Structs,
} from "./layout.js";

const tableLimit = 65_536;

/** Collects descriptors, gives each its number. */
export interface DescriptorWriter {
  struct<S extends StructName>(name: S, value: Structs[S]): number;
  /** Number of the first of consecutive records; 0 where there are none. */
  list<S extends StructName>(name: S, values: readonly Structs[S][]): number;
  bytes(): Uint8Array;
}

type Record_ = Readonly<Record<string, unknown>>;

interface Table {
  readonly name: string;
  readonly records: Uint8Array[];
  readonly known: Map<string, number>;
}

export function descriptorWriter(): DescriptorWriter {
  const tables = new Map<string, Table>();
  const texts: string[] = [];
  const textNumbers = new Map<string, number>();

  function tableOf(name: string): Table {
    let table = tables.get(name);
    if (table === undefined) {
      table = { name, records: [], known: new Map() };
      tables.set(name, table);
    }
    return table;
  }

  function append(table: Table, records: readonly Uint8Array[]): number {
    if (records.length === 0) return 0;
    const key = records.map((record) => String.fromCharCode(...record)).join("");
    const known = table.known.get(key);
    if (known !== undefined) return known;
    const first = table.records.length;
    if (first + records.length > tableLimit) {
      fail("L0501", `the program has more than ${tableLimit} descriptors of kind ${table.name}`);
    }
    table.records.push(...records);
    table.known.set(key, first);
    return first;
  }

  function stringNumber(value: string): number {
    let number = textNumbers.get(value);
    if (number === undefined) {
      number = texts.length;
      texts.push(value);
      textNumbers.set(value, number);
    }
    return number;
  }

  const encoder: FieldEncoder = {
    struct: (name, value) => append(tableOf(name), [encodeRecord(name, value, encoder)]),
    list: (name, values) =>
      append(
        tableOf(name),
        values.map((value) => encodeRecord(name, value, encoder)),
      ),
    ints: (values) => append(tableOf("integers"), values.map(integerBytes)),
    text: stringNumber,
  };

  return {
    struct: (name, value) => encoder.struct(name, value as Record_),
    list: (name, values) => encoder.list(name, values as readonly Record_[]),
    bytes() {
      const parts: Uint8Array[] = [];
      for (const name of [...structNames, "integers"]) {
        const records = tableOf(name).records;
        parts.push(u32Bytes(records.length), ...records);
      }
      parts.push(u32Bytes(texts.length));
      for (const value of texts) {
        const utf8 = new TextEncoder().encode(value);
        parts.push(u32Bytes(utf8.length), utf8);
      }
      return concatenate(parts);
    },
  };
}

interface FieldEncoder {
  struct(name: StructName, value: Record_): number;
  list(name: StructName, values: readonly Record_[]): number;
  ints(values: readonly number[]): number;
  text(value: string): number;
}

function encodeRecord(name: StructName, value: Record_, encoder: FieldEncoder): Uint8Array {
  const bytes = new Uint8Array(recordBytes(name));
  const view = new DataView(bytes.buffer);
  const fields = fieldsOf(name);
  let offset = fields.some(([, field]) => field.optional) ? 1 : 0;
  let presenceBit = 1;
  for (const [key, field] of fields) {
    const item = value[key];
    if (field.optional) {
      if (item !== undefined) bytes[0]! |= presenceBit;
      presenceBit <<= 1;
    }
    if (item !== undefined)
      encodeField({ view, offset, field, place: `${name}.${key}` }, item, encoder);
    else if (!field.optional) outOfRange(`${name}.${key}`, item);
    offset += fieldBytes(field);
  }
  return bytes;
}

interface FieldPlace {
  readonly view: DataView;
  readonly offset: number;
  readonly field: Field;
  readonly place: string;
}

function encodeField({ view, offset, field, place }: FieldPlace, item: unknown, to: FieldEncoder) {
  switch (field.kind) {
    case "uint": {
      const value = item as number;
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** field.bits)
        outOfRange(place, item);
      if (field.bits === 8) view.setUint8(offset, value);
      else if (field.bits === 16) view.setUint16(offset, value, true);
      else view.setUint32(offset, value, true);
      return;
    }
    case "int":
      if (!Number.isSafeInteger(item)) outOfRange(place, item);
      view.setBigInt64(offset, BigInt(item as number), true);
      return;
    case "float":
      view.setFloat64(offset, item as number, true);
      return;
    case "flag":
      view.setUint8(offset, item === true ? 1 : 0);
      return;
    case "sign":
      view.setUint8(offset, item === -1 ? 1 : 0);
      return;
    case "enum": {
      const number = field.values.indexOf(item as string);
      if (number < 0) outOfRange(place, item);
      view.setUint8(offset, number);
      return;
    }
    case "string":
      view.setUint16(offset, to.text(item as string), true);
      return;
    case "struct":
      view.setUint16(offset, to.struct(field.of, item as Record_), true);
      return;
    case "list":
    case "ints": {
      const items = item as readonly never[];
      if (items.length >= tableLimit) outOfRange(place, `a list of ${items.length}`);
      if (field.kind === "ints" && field.unsigned && items.some((i) => i < 0))
        outOfRange(place, items);
      const first = field.kind === "ints" ? to.ints(items) : to.list(field.of, items);
      view.setUint16(offset, first, true);
      view.setUint16(offset + 2, items.length, true);
      return;
    }
    default:
      field satisfies never;
  }
}

function outOfRange(place: string, item: unknown): never {
  fail("L0501", `${place} cannot hold ${String(item)}`);
}

function integerBytes(value: number): Uint8Array {
  if (!Number.isSafeInteger(value)) outOfRange("integer", value);
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigInt64(0, BigInt(value), true);
  return bytes;
}

function u32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

export function concatenate(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    bytes.set(part, offset);
    offset += part.length;
  }
  return bytes;
}

/** Looks descriptors up by number. `by` names what refers to them, for messages. */
export interface DescriptorReader {
  struct<S extends StructName>(name: S, number: number, by: string): Structs[S];
  list<S extends StructName>(name: S, range: ListRange, by: string): readonly Structs[S][];
}

export interface ListRange {
  readonly first: number;
  readonly count: number;
}

export function descriptorReader(bytes: Uint8Array): DescriptorReader {
  const { records, integers, texts } = readTables(bytes);
  const known = new Map<string, unknown>();

  function struct(name: StructName, number: number, by: string): unknown {
    const key = `${name} ${number}`;
    let value = known.get(key);
    if (value === undefined) {
      const table = records.get(name)!;
      const size = recordBytes(name);
      if (number < 0 || (number + 1) * size > table.byteLength) {
        fail("L0502", `${by} refers to ${name} ${number}, which does not exist`);
      }
      const view = new DataView(table.buffer, table.byteOffset + number * size, size);
      value = decodeRecord(name, view, { struct, list, ints, text }, key);
      known.set(key, value);
    }
    return value;
  }

  function list(name: StructName, { first, count }: ListRange, by: string): unknown[] {
    return Array.from({ length: count }, (_, i) => struct(name, first + i, by));
  }

  function ints({ first, count }: ListRange, by: string): number[] {
    if (first + count > integers.length)
      fail("L0502", `${by} refers to integers that do not exist`);
    return integers.slice(first, first + count);
  }

  function text(number: number, by: string): string {
    return texts[number] ?? fail("L0502", `${by} refers to string ${number}, which does not exist`);
  }

  return { struct, list } as DescriptorReader;
}

interface FieldDecoder {
  struct(name: StructName, number: number, by: string): unknown;
  list(name: StructName, range: ListRange, by: string): unknown[];
  ints(range: ListRange, by: string): number[];
  text(number: number, by: string): string;
}

function decodeRecord(name: StructName, view: DataView, from: FieldDecoder, by: string): unknown {
  const value: Record<string, unknown> = {};
  const fields = fieldsOf(name);
  const optionals = fields.filter(([, field]) => field.optional).length;
  const presence = optionals > 0 ? view.getUint8(0) : 0;
  if (presence >= 2 ** optionals) fail("L0502", `${by} has unknown optional fields`);
  let offset = optionals > 0 ? 1 : 0;
  let presenceBit = 1;
  for (const [key, field] of fields) {
    const present = !field.optional || (presence & presenceBit) !== 0;
    if (field.optional) presenceBit <<= 1;
    if (present) value[key] = decodeField({ view, offset, field, place: `${by}.${key}` }, from);
    offset += fieldBytes(field);
  }
  checkVariant(name, value, by);
  return value;
}

/** A union has exactly the fields that belong to its tag. */
function checkVariant(
  name: StructName,
  value: Readonly<Record<string, unknown>>,
  by: string,
): void {
  const { variants } = structs[name];
  if (variants === undefined) return;
  const tag = String(value[variants.tag]);
  const wanted = variants.of[tag]!;
  for (const [key, field] of fieldsOf(name)) {
    if (field.optional && (value[key] !== undefined) !== wanted.includes(key)) {
      fail(
        "L0502",
        `${by} is a ${name} of kind ${tag} and may not ${key in value ? "have" : "lack"} ${key}`,
      );
    }
  }
}

function decodeField({ view, offset, field, place }: FieldPlace, from: FieldDecoder): unknown {
  switch (field.kind) {
    case "uint":
      if (field.bits === 8) return view.getUint8(offset);
      return field.bits === 16 ? view.getUint16(offset, true) : view.getUint32(offset, true);
    case "int": {
      const value = Number(view.getBigInt64(offset, true));
      if (!Number.isSafeInteger(value)) fail("L0502", `${place} is not an exact integer`);
      return value;
    }
    case "float":
      return view.getFloat64(offset, true);
    case "flag":
      return bit(view, offset, place) === 1;
    case "sign":
      return bit(view, offset, place) === 1 ? -1 : 1;
    case "enum": {
      const number = view.getUint8(offset);
      return field.values[number] ?? fail("L0502", `${place} has no value number ${number}`);
    }
    case "string":
      return from.text(view.getUint16(offset, true), place);
    case "struct":
      return from.struct(field.of, view.getUint16(offset, true), place);
    case "list":
    case "ints": {
      const range = {
        first: view.getUint16(offset, true),
        count: view.getUint16(offset + 2, true),
      };
      if (field.kind === "list") return from.list(field.of, range, place);
      const items = from.ints(range, place);
      if (field.unsigned && items.some((i) => i < 0)) fail("L0502", `${place} is negative`);
      return items;
    }
    default:
      return field satisfies never;
  }
}

function bit(view: DataView, offset: number, place: string): number {
  const value = view.getUint8(offset);
  return value <= 1 ? value : fail("L0502", `${place} is neither 0 nor 1`);
}

interface Tables {
  readonly records: ReadonlyMap<StructName, Uint8Array>;
  readonly integers: readonly number[];
  readonly texts: readonly string[];
}

function readTables(bytes: Uint8Array): Tables {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let offset = 0;
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - offset) fail("L0502", "the descriptor tables end too early");
    offset += length;
    return bytes.subarray(offset - length, offset);
  };
  const u32 = (): number => {
    take(4);
    return view.getUint32(offset - 4, true);
  };
  const records = new Map<StructName, Uint8Array>();
  for (const name of structNames) records.set(name, take(u32() * recordBytes(name)));
  const raw = take(u32() * 8);
  const integerView = new DataView(raw.buffer, raw.byteOffset, raw.byteLength);
  const integers = Array.from({ length: raw.length / 8 }, (_, i) =>
    Number(integerView.getBigInt64(8 * i, true)),
  );
  if (!integers.every(Number.isSafeInteger)) fail("L0502", "an integer of the tables is not exact");
  const decoder = new TextDecoder();
  const texts: string[] = [];
  for (let left = u32(); left > 0; left--) texts.push(decoder.decode(take(u32())));
  if (offset !== bytes.length) fail("L0502", "bytes follow the descriptor tables");
  return { records, integers, texts };
}
