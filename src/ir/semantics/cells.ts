/**
 * Typed access to the elements of a slot or of a binding: what the meaning of the instructions is written
 * against. Anything the instruction set leaves undefined stops here, with diagnostic L0504; whoever executes
 * adds the place.
 *
 * A value is a JavaScript number: exact in fp32 for floats, an int32 for integers, 0 or 1 for bool.
 */
import { byteLength, isFloat, type DeviceDType } from "../../numerics/dtype.js";
import {
  bitEncoder,
  decodeTable,
  floatBits,
  type BitEncoder,
  type SmallFloat,
} from "../../numerics/float-formats.js";
import { fail } from "../../support/diagnostic.js";

export interface Cells {
  /** For messages: which slot or binding it is. */
  readonly label: string;
  readonly dtype: DeviceDType;
  readonly elements: number;
  get(element: number): number;
  /** Rounds floats to nearest even (f8 saturating), keeps the low bits of integers; bool: 1 where not 0. */
  set(element: number, value: number): void;
}

/** Cells of an accumulator: `get` gives the sum. */
export interface AccumulatorCells extends Cells {
  /** Begins an accumulation: sum and open segment are +0. */
  clear(element: number): void;
  getOpen(element: number): number;
  setOpen(element: number, value: number): void;
}

/** An operand of an instruction, resolved: the element `offset` of the cells is its element 0. */
export interface Operand<C extends Cells = Cells> {
  readonly cells: C;
  readonly offset: number;
}

export function undefinedBehaviour(sentence: string): never {
  fail("L0504", sentence);
}

interface Codec {
  read(view: DataView, element: number): number;
  write(view: DataView, element: number, value: number): void;
}

const codecs: { readonly [T in DeviceDType]: Codec } = {
  f32: {
    read: (view, i) => view.getFloat32(4 * i, true),
    write: (view, i, value) => view.setFloat32(4 * i, value, true),
  },
  f16: wordCodec("f16"),
  bf16: wordCodec("bf16"),
  f8e4m3fn: byteCodec("f8e4m3fn"),
  f8e5m2: byteCodec("f8e5m2"),
  i32: {
    read: (view, i) => view.getInt32(4 * i, true),
    write: (view, i, value) => view.setInt32(4 * i, value, true),
  },
  i8: {
    read: (view, i) => view.getInt8(i),
    write: (view, i, value) => view.setInt8(i, value),
  },
  u8: {
    read: (view, i) => view.getUint8(i),
    write: (view, i, value) => view.setUint8(i, value),
  },
  i4: { read: (view, i) => (nibble(view, i) << 28) >> 28, write: setNibble },
  u4: { read: nibble, write: setNibble },
  i16: {
    read: (view, i) => view.getInt16(2 * i, true),
    write: (view, i, value) => view.setInt16(2 * i, value, true),
  },
  u16: {
    read: (view, i) => view.getUint16(2 * i, true),
    write: (view, i, value) => view.setUint16(2 * i, value, true),
  },
  bool: {
    read: (view, i) => (view.getUint8(i) === 0 ? 0 : 1),
    write: (view, i, value) => view.setUint8(i, value === 0 ? 0 : 1),
  },
};

function wordCodec(format: SmallFloat): Codec {
  const table = decodeTable(format);
  const encode: BitEncoder = bitEncoder(format);
  return {
    read: (view, i) => table[view.getUint16(2 * i, true)]!,
    write: (view, i, value) => view.setUint16(2 * i, encode(floatBits(value)), true),
  };
}

function byteCodec(format: SmallFloat): Codec {
  const table = decodeTable(format);
  const encode: BitEncoder = bitEncoder(format);
  return {
    read: (view, i) => table[view.getUint8(i)]!,
    write: (view, i, value) => view.setUint8(i, encode(floatBits(value))),
  };
}

/** Sub-byte elements are packed, low bits first. */
function nibble(view: DataView, i: number): number {
  return (view.getUint8(i >>> 1) >>> (4 * (i & 1))) & 15;
}

function setNibble(view: DataView, i: number, value: number): void {
  const shift = 4 * (i & 1);
  const kept = view.getUint8(i >>> 1) & ~(15 << shift);
  view.setUint8(i >>> 1, kept | ((value & 15) << shift));
}

/** Elements that lie in memory somebody else wrote: a binding. */
export function memoryCells(
  label: string,
  dtype: DeviceDType,
  elements: number,
  bytes: Uint8Array,
): Cells {
  const codec = codecs[dtype];
  const view = new DataView(bytes.buffer, bytes.byteOffset, byteLength(dtype, elements));
  return {
    label,
    dtype,
    elements,
    get(i) {
      if (!(i >= 0 && i < elements)) outside("read", label, i, elements);
      return codec.read(view, i);
    },
    set(i, value) {
      if (!(i >= 0 && i < elements)) outside("write", label, i, elements);
      codec.write(view, i, value);
    },
  };
}

/** Fresh elements, none of which may be read before it is written. */
export interface SlotCells extends Cells {
  /** Forgets everything. */
  reset(): void;
  isWritten(element: number): boolean;
}

export function slotCells(label: string, dtype: DeviceDType, elements: number): SlotCells {
  const codec = codecs[dtype];
  const view = new DataView(new ArrayBuffer(byteLength(dtype, elements)));
  const written = new Uint8Array(elements);
  return {
    label,
    dtype,
    elements,
    get(i) {
      if (!(i >= 0 && i < elements)) outside("read", label, i, elements);
      if (written[i] === 0) unwritten(label, i);
      return codec.read(view, i);
    },
    set(i, value) {
      if (!(i >= 0 && i < elements)) outside("write", label, i, elements);
      written[i] = 1;
      codec.write(view, i, value);
    },
    reset: () => void written.fill(0),
    isWritten: (i) => written[i] === 1,
  };
}

export function accumulatorCells(
  label: string,
  dtype: DeviceDType,
  elements: number,
): SlotCells & AccumulatorCells {
  const sums = isFloat(dtype) ? new Float32Array(elements) : new Int32Array(elements);
  const open = new Float32Array(isFloat(dtype) ? elements : 0);
  const written = new Uint8Array(elements);
  const check = (access: "read" | "write", i: number): void => {
    if (!(i >= 0 && i < elements)) outside(access, label, i, elements);
    if (access === "read" && written[i] === 0) unwritten(label, i);
  };
  return {
    label,
    dtype,
    elements,
    get(i) {
      check("read", i);
      return sums[i]!;
    },
    set(i, value) {
      check("read", i);
      sums[i] = value;
    },
    clear(i) {
      check("write", i);
      written[i] = 1;
      sums[i] = 0;
      open[i] = 0;
    },
    getOpen(i) {
      check("read", i);
      return open[i]!;
    },
    setOpen(i, value) {
      check("read", i);
      open[i] = value;
    },
    reset: () => void written.fill(0),
    isWritten: (i) => written[i] === 1,
  };
}

function outside(access: "read" | "write", label: string, i: number, elements: number): never {
  undefinedBehaviour(`${access} of element ${i} of ${label}, which has ${elements}`);
}

function unwritten(label: string, i: number): never {
  undefinedBehaviour(`read of element ${i} of ${label}, which was never written`);
}
