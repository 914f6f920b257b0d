/**
 * Protobuf messages from tables: a field says how one value is read and written, a schema names the fields
 * of a message, and {@link decodeMessage} and {@link encodeMessage} work for every schema. `schema.ts` has
 * the tables. It is no general protobuf: no maps, no groups, no unknown fields kept.
 *
 * Byte fields and packed arrays are views of the file wherever alignment allows, so that weights are never
 * copied on the way in.
 */
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";

export interface Field<V> {
  readonly number: number;
  /** Present on repeated fields: the value of a field that does not occur. */
  readonly empty?: () => V;
  read(source: Source, wire: WireType, previous: V | undefined): V;
  write(writer: BinaryWriter, value: V): void;
}

export interface Schema<T> {
  readonly name: string;
  readonly fields: { readonly [K in keyof T]-?: Field<NonNullable<T[K]>> };
}

/** What {@link encodeMessage} takes: any field may be left out, at every depth. */
export type Init<T> = T extends readonly (infer E)[]
  ? readonly Init<E>[]
  : T extends ArrayBufferView | string | number | bigint
    ? T
    : { readonly [K in keyof T]?: Init<NonNullable<T[K]>> };

/** A position in the file, and how deep in messages it is. */
export interface Source {
  readonly reader: BinaryReader;
  readonly bytes: Uint8Array;
  readonly depth: number;
}

/** Thrown for bytes that are no such message; `premature` if they just end too early. */
export class MalformedMessage extends Error {
  readonly premature: boolean;

  constructor(message: string, options: { readonly premature: boolean }) {
    super(message);
    this.premature = options.premature;
  }
}

export function decodeMessage<T>(schema: Schema<T>, bytes: Uint8Array): T {
  try {
    return readMessage(schema, { reader: new BinaryReader(bytes), bytes, depth: 0 }, bytes.length);
  } catch (error) {
    if (error instanceof MalformedMessage) throw error;
    if (error instanceof RangeError) {
      throw new MalformedMessage("the bytes end too early", { premature: true });
    }
    const text = error instanceof Error ? error.message : String(error);
    throw new MalformedMessage(text, { premature: false });
  }
}

export function encodeMessage<T>(schema: Schema<T>, message: Init<T>): Uint8Array {
  const writer = new BinaryWriter();
  writeMessage(schema, message, writer);
  return writer.finish();
}

/** int32, int64 and enums whose values are exact as numbers. */
export function int(number: number): Field<number> {
  return single(
    number,
    WireType.Varint,
    (r) => Number(r.int64()),
    (w, v) => w.int64(v),
  );
}

/** int64 that may be any 64-bit value. */
export function bigint(number: number): Field<bigint> {
  return single(
    number,
    WireType.Varint,
    (r) => BigInt(r.int64()),
    (w, v) => w.int64(v),
  );
}

export function float(number: number): Field<number> {
  return single(
    number,
    WireType.Bit32,
    (r) => r.float(),
    (w, v) => w.float(v),
  );
}

export function string(number: number): Field<string> {
  return single(
    number,
    WireType.LengthDelimited,
    (r) => r.string(),
    (w, v) => w.string(v),
  );
}

export function bytes(number: number): Field<Uint8Array> {
  return single(
    number,
    WireType.LengthDelimited,
    (r) => r.bytes(),
    (w, v) => w.bytes(v),
  );
}

/** A message; if it occurs twice the last one counts. `schema` is lazy since messages contain each other. */
export function message<T>(number: number, schema: () => Schema<T>): Field<T> {
  return {
    number,
    read(source, wire) {
      expectWire(wire, WireType.LengthDelimited, schema().name);
      const length = source.reader.uint32();
      const inner = { ...source, depth: source.depth + 1 };
      return readMessage(schema(), inner, source.reader.pos + length);
    },
    write(writer, value) {
      writer.tag(number, WireType.LengthDelimited).fork();
      writeMessage(schema(), value as Init<T>, writer);
      writer.join();
    },
  };
}

/** Repeated form of a field; repeated scalars are read packed or not. */
export function many<V>(field: Field<V>): Field<readonly V[]> {
  return {
    number: field.number,
    empty: () => [],
    read(source, wire, previous) {
      const values = previous as V[];
      const single = field as SingleField<V>;
      if (wire !== WireType.LengthDelimited || single.wire === undefined || single.wire === wire) {
        values.push(field.read(source, wire, undefined));
        return values;
      }
      const { reader } = source;
      const end = packedEnd(reader);
      while (reader.pos < end) values.push(single.readValue(reader));
      expectEnd(reader, end);
      return values;
    },
    write(writer, values) {
      for (const value of values) field.write(writer, value);
    },
  };
}

export function float32Array(number: number): Field<Float32Array> {
  return numbers(number, Float32Array, {
    wire: WireType.Bit32,
    read: (r) => r.float(),
    write: (w, v) => w.float(v),
  });
}

export function float64Array(number: number): Field<Float64Array> {
  return numbers(number, Float64Array, {
    wire: WireType.Bit64,
    read: (r) => r.double(),
    write: (w, v) => w.double(v),
  });
}

export function int32Array(number: number): Field<Int32Array> {
  return numbers(number, Int32Array, {
    wire: WireType.Varint,
    read: (r) => r.int32(),
    write: (w, v) => w.int32(v),
  });
}

export function int64Array(number: number): Field<BigInt64Array> {
  return numbers(number, BigInt64Array, {
    wire: WireType.Varint,
    read: (r) => BigInt(r.int64()),
    write: (w, v) => w.int64(v),
  });
}

export function uint64Array(number: number): Field<BigUint64Array> {
  return numbers(number, BigUint64Array, {
    wire: WireType.Varint,
    read: (r) => BigInt(r.uint64()),
    write: (w, v) => w.uint64(v),
  });
}

/** Subgraphs and types may nest this deep; deeper is an attack or an accident. */
const depthMax = 200;

interface SingleField<V> extends Field<V> {
  readonly wire: WireType;
  readValue(reader: BinaryReader): V;
}

function single<V>(
  number: number,
  wire: WireType,
  readValue: (reader: BinaryReader) => V,
  write: (writer: BinaryWriter, value: V) => void,
): SingleField<V> {
  return {
    number,
    wire,
    readValue,
    read(source, actual) {
      expectWire(actual, wire, `field ${number}`);
      return readValue(source.reader);
    },
    write(writer, value) {
      write(writer.tag(number, wire), value);
    },
  };
}

type NumberArray = Float32Array | Float64Array | Int32Array | BigInt64Array | BigUint64Array;

interface NumberArrayType<A> {
  readonly BYTES_PER_ELEMENT: number;
  new (length: number): A;
  new (buffer: ArrayBufferLike, byteOffset: number, length: number): A;
}

interface Element<V> {
  readonly wire: WireType;
  readonly read: (reader: BinaryReader) => V;
  readonly write: (writer: BinaryWriter, value: V) => void;
}

/** A repeated number, packed or not; while its message is read its value is a {@link Run}. */
function numbers<A extends NumberArray>(
  number: number,
  arrayType: NumberArrayType<A>,
  element: Element<A[number]>,
): Field<A> {
  return {
    number,
    empty: () => new Run(arrayType) as unknown as A,
    read(source, wire, previous) {
      const run = previous as unknown as Run<A>;
      const { reader } = source;
      if (wire === element.wire) {
        run.loose.push(element.read(reader));
        return previous!;
      }
      expectWire(wire, WireType.LengthDelimited, `field ${number}`);
      const end = packedEnd(reader);
      const view = packedView(source, arrayType, { wire: element.wire, end });
      if (view !== undefined) {
        run.addPart(view);
        reader.pos = end;
      }
      while (reader.pos < end) run.loose.push(element.read(reader));
      expectEnd(reader, end);
      return previous!;
    },
    write(writer, values) {
      writer.tag(number, WireType.LengthDelimited).fork();
      for (const value of values) element.write(writer, value);
      writer.join();
    },
  };
}

/** Packed numbers of fixed width as a view of the file, where alignment allows. */
function packedView<A>(
  { reader, bytes: { buffer, byteOffset } }: Source,
  arrayType: NumberArrayType<A>,
  { wire, end }: { readonly wire: WireType; readonly end: number },
): A | undefined {
  const width = arrayType.BYTES_PER_ELEMENT;
  const start = byteOffset + reader.pos;
  const count = (end - reader.pos) / width;
  if (wire === WireType.Varint || start % width !== 0) return undefined;
  return Number.isInteger(count) ? new arrayType(buffer, start, count) : undefined;
}

/** The elements of one repeated field as they come: whole packed parts, and single ones. */
class Run<A extends NumberArray> {
  readonly #arrayType: NumberArrayType<A>;
  readonly #parts: A[] = [];
  loose: A[number][] = [];

  constructor(arrayType: NumberArrayType<A>) {
    this.#arrayType = arrayType;
  }

  addPart(part: A): void {
    this.#closeLoose();
    this.#parts.push(part);
  }

  finish(): A {
    this.#closeLoose();
    if (this.#parts.length === 1) return this.#parts[0]!;
    const joined = new this.#arrayType(this.#parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of this.#parts) {
      (joined as { set(from: A, at: number): void }).set(part, at);
      at += part.length;
    }
    return joined;
  }

  #closeLoose(): void {
    if (this.loose.length === 0) return;
    const part = new this.#arrayType(this.loose.length);
    (part as { set(from: readonly A[number][]): void }).set(this.loose);
    this.#parts.push(part);
    this.loose = [];
  }
}

interface Layout {
  /** Field and key by field number. */
  readonly byNumber: ReadonlyMap<number, { readonly key: string; readonly field: Field<unknown> }>;
  readonly repeated: readonly { readonly key: string; readonly empty: () => unknown }[];
}

const layouts = new WeakMap<object, Layout>();

function layoutOf<T>(schema: Schema<T>): Layout {
  const known = layouts.get(schema);
  if (known !== undefined) return known;
  const entries = Object.entries(schema.fields) as [string, Field<unknown>][];
  const layout = {
    byNumber: new Map(entries.map(([key, field]) => [field.number, { key, field }])),
    repeated: entries.flatMap(([key, { empty }]) => (empty === undefined ? [] : { key, empty })),
  };
  layouts.set(schema, layout);
  return layout;
}

function readMessage<T>(schema: Schema<T>, source: Source, end: number): T {
  const { reader, depth } = source;
  if (depth > depthMax) throw malformed(`messages nest deeper than ${depthMax}`);
  if (end > reader.len) throw new RangeError();
  const { byNumber, repeated } = layoutOf(schema);
  const result: Record<string, unknown> = {};
  for (const { key, empty } of repeated) result[key] = empty();
  while (reader.pos < end) {
    const [number, wire] = reader.tag();
    const row = byNumber.get(number);
    if (row === undefined) reader.skip(wire, number);
    else result[row.key] = row.field.read(source, wire, result[row.key]);
  }
  expectEnd(reader, end);
  for (const { key } of repeated) {
    const run = result[key];
    if (run instanceof Run) result[key] = run.finish();
  }
  return result as T;
}

function writeMessage<T>(schema: Schema<T>, message: Init<T>, writer: BinaryWriter): void {
  const values = message as Readonly<Record<string, unknown>>;
  for (const [key, field] of Object.entries(schema.fields) as [string, Field<unknown>][]) {
    const value = values[key];
    if (value === undefined) continue;
    if (field.empty !== undefined && (value as { length: number }).length === 0) continue;
    field.write(writer, value);
  }
}

function packedEnd(reader: BinaryReader): number {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError();
  return end;
}

function expectEnd(reader: BinaryReader, end: number): void {
  if (reader.pos !== end) throw malformed("a field runs past the end of its message");
}

function expectWire(actual: WireType, expected: WireType, what: string): void {
  if (actual !== expected) throw malformed(`${what} has wire type ${actual}, not ${expected}`);
}

function malformed(text: string): MalformedMessage {
  return new MalformedMessage(text, { premature: false });
}
