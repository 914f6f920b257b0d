/**
 * Packing for the integer matrix kernel: the elements of one k of four rows or eight columns stand together, zero points
 * subtracted; as int32, or as pairs of int16 for two k. Pairs of bytes whose zero point is the same for all k are
 * packed by vectors where lines adjoin or where eight k do.
 */
import { type DeviceDType, dtypes } from "../../../numerics/dtype.js";
import type { Callee, FunctionBuilder, I32, Local, V128 } from "../wasm/function.js";
import { elementBytes } from "../lanes/format.js";
import { transpose } from "./pack.js";
import { emitAdjoins, entryAt } from "./tables.js";
import type { ModuleBuilder } from "../wasm/module.js";

export interface ZeroPoint {
  readonly dtype: DeviceDType;
  /** Along k. */
  readonly moves: boolean;
}

export interface IntPackOptions {
  readonly lines: 4 | 8;
  readonly value: DeviceDType;
  readonly zero: ZeroPoint | undefined;
  readonly isPaired: boolean;
}

/**
 * (panel, values, line offsets, zeros, their line offsets, k offsets of values and of zeros, positions, lines): word
 * w of line l goes to (w * 4 + l) or (w * 8 + l). Of lines beyond the last anything may be packed.
 */
export function addIntPack(module: ModuleBuilder, options: IntPackOptions): Callee {
  const params = Array.from({ length: 9 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [panel, values, offsets, zeros, zeroOffsets, ks, kZeros, left, count] =
      f.params as readonly Local<"i32">[];
    const pack: IntPack = {
      ...{ f, options, panel: panel!, values: values!, offsets: offsets!, zeros: zeros! },
      ...{ zeroOffsets: zeroOffsets!, ks: ks!, kZeros: kZeros!, left: left!, count: count! },
      half: f.keep("i32", f.i32(0)),
    };
    f.if(f.op("i32.eqz", f.get(pack.left)), () => f.return());
    const quick = isQuick(options) ? prepareQuick(pack) : undefined;
    f.loop((again) => {
      if (quick === undefined) packPosition(pack);
      else quick(() => packPosition(pack));
      f.branchIf(again, f.get(pack.left));
    });
  });
}

interface IntPack {
  readonly f: FunctionBuilder;
  readonly options: IntPackOptions;
  readonly panel: Local<"i32">;
  readonly values: Local<"i32">;
  readonly offsets: Local<"i32">;
  readonly zeros: Local<"i32">;
  readonly zeroOffsets: Local<"i32">;
  /** The next entries of the tables of k. */
  readonly ks: Local<"i32">;
  readonly kZeros: Local<"i32">;
  readonly left: Local<"i32">;
  readonly count: Local<"i32">;
  /** 0 or 2: bytes into the word that the next position goes to. */
  readonly half: Local<"i32">;
}

function isQuick({ isPaired, value, zero }: IntPackOptions): boolean {
  return isPaired && value !== "bool" && (zero === undefined || !zero.moves);
}

/** One position of all lines. */
function packPosition(pack: IntPack): void {
  const { f, options, panel, values, offsets, zeros, zeroOffsets, ks, kZeros, half } = pack;
  const { lines, value, zero, isPaired } = options;
  const line = f.local("i32");
  const to = f.local("i32");
  const element = (base: Local<"i32">, table: Local<"i32">, k: Local<"i32">): I32 => {
    const lineOffset = f.load("i32.load", entryAt(f, table, line));
    const offset = f.op("i32.add", lineOffset, f.load("i32.load", f.get(k)));
    return f.op("i32.add", offset, f.get(base));
  };
  const centred = (): I32 => {
    const x = loadInt(f, value, element(values, offsets, ks));
    if (zero === undefined) return x;
    return f.op("i32.sub", x, loadInt(f, zero.dtype, element(zeros, zeroOffsets, kZeros)));
  };
  // The second half of the last word stays zero where the positions are odd.
  if (isPaired) {
    f.if(f.op("i32.eqz", f.get(half)), () => {
      for (let at = 0; at < 4 * lines; at += 16) {
        f.store("v128.store", f.get(panel), f.words(0), at);
      }
    });
  }
  f.set(to, f.op("i32.add", f.get(panel), f.get(half)));
  f.set(line, f.i32(0));
  f.loop((nextLine) => {
    if (isPaired) f.store("i32.store16", f.get(to), centred());
    else f.store("i32.store", f.get(to), centred());
    f.increase(to, () => f.i32(4));
    f.increase(line, () => f.i32(1));
    f.branchIf(nextLine, f.op("i32.lt_s", f.get(line), f.i32(lines)));
  });
  step(pack, 1);
  if (!isPaired) f.increase(panel, () => f.i32(4 * lines));
  else {
    f.set(half, f.op("i32.xor", f.get(half), f.i32(2)));
    f.if(f.op("i32.eqz", f.get(half)), () => f.increase(panel, () => f.i32(4 * lines)));
  }
}

function step({ f, ks, kZeros, left }: IntPack, positions: number): void {
  for (const table of [ks, kZeros]) f.increase(table, () => f.i32(4 * positions));
  f.set(left, f.op("i32.sub", f.get(left), f.i32(positions)));
}

/** Integers in slots; bool counts as 0 or 1. */
function loadInt(f: FunctionBuilder, dtype: DeviceDType, address: I32): I32 {
  const isSigned = dtypes[dtype].kind === "int";
  if (elementBytes[dtype] === 4) return f.load("i32.load", address);
  if (elementBytes[dtype] === 2) return f.load(isSigned ? "i32.load16_s" : "i32.load16_u", address);
  if (isSigned) return f.load("i32.load8_s", address);
  const byte = f.load("i32.load8_u", address);
  return dtype === "bool" ? f.op("i32.ne", byte, f.i32(0)) : byte;
}

/** Gives back what writes one step of the packing: two or eight positions by vectors, or one as the caller says. */
function prepareQuick(pack: IntPack): (single: () => void) => void {
  const { f, options, left, half, offsets, count, values } = pack;
  const adjoin = f.local("i32");
  emitByteAdjoins(f, offsets, count, options.lines, adjoin);
  const pointers = Array.from({ length: options.lines }, (_, line) => {
    const offset = f.load("i32.load", f.get(offsets), 4 * line);
    return f.keep("i32", f.op("i32.add", offset, f.get(values)));
  });
  const zeros = options.zero === undefined ? undefined : lineZeros(pack, options.zero);
  const isEven = (positions: number): I32 =>
    f.op("i32.and", f.op("i32.ge_s", f.get(left), f.i32(positions)), f.op("i32.eqz", f.get(half)));
  return (single) =>
    f.if(
      f.op("i32.and", isEven(2), f.get(adjoin)),
      () => packTwo(pack, pointers[0]!, zeros),
      () =>
        f.if(
          f.op("i32.and", isEven(8), kAdjoin(pack)),
          () => packEight(pack, pointers, zeros),
          single,
        ),
    );
}

/** Entries of a table for bytes: 1 apart. */
function emitByteAdjoins(
  f: FunctionBuilder,
  table: Local<"i32">,
  count: Local<"i32">,
  lines: number,
  adjoin: Local<"i32">,
): void {
  const most = f.select(f.get(count), f.i32(lines), f.op("i32.lt_s", f.get(count), f.i32(lines)));
  emitAdjoins(f, table, f.keep("i32", most), adjoin, 1);
}

/** 1 if the next eight positions are neighbours. */
function kAdjoin({ f, ks, left }: IntPack): I32 {
  const count = f.keep("i32", f.get(left));
  const adjoin = f.local("i32");
  emitAdjoins(f, ks, count, adjoin, 1);
  return f.get(adjoin);
}

/** The zero points of the lines, each in every lane of a vector of int16. */
function lineZeros(
  { f, options, zeros, zeroOffsets, kZeros }: IntPack,
  zero: ZeroPoint,
): readonly Local<"v128">[] {
  return Array.from({ length: options.lines }, (_, line) => {
    const lineOffset = f.load("i32.load", f.get(zeroOffsets), 4 * line);
    const offset = f.op("i32.add", lineOffset, f.load("i32.load", f.get(kZeros)));
    const address = f.op("i32.add", offset, f.get(zeros));
    return f.keep("v128", f.op("i16x8.splat", loadInt(f, zero.dtype, address)));
  });
}

const interleaveLow = [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23];

/** Two positions of lines that adjoin. */
function packTwo(
  pack: IntPack,
  pointer: Local<"i32">,
  zeros: readonly Local<"v128">[] | undefined,
): void {
  const { f, options, panel, ks } = pack;
  const { lines } = options;
  const zero = zeros && mixedZeros(f, zeros);
  const [first, second] = [0, 4].map((entry) => {
    const offset = f.load("i32.load", f.get(ks), entry);
    const address = f.op("i32.add", offset, f.get(pointer));
    return f.keep("v128", centredBytes(f, options.value, address, zero));
  }) as [Local<"v128">, Local<"v128">];
  for (let at = 0; at < lines / 4; at++) {
    const bytes = interleaveLow.map((byte) => byte + 8 * at);
    f.store("v128.store", f.get(panel), f.shuffle(f.get(first), f.get(second), bytes), 16 * at);
  }
  f.increase(panel, () => f.i32(4 * lines));
  step(pack, 2);
}

/** The zero point of line i in lane i. */
function mixedZeros(f: FunctionBuilder, zeros: readonly Local<"v128">[]): Local<"v128"> {
  const mixed = f.keep("v128", f.get(zeros[0]!));
  zeros.slice(1).forEach((zero, i) => {
    const lane = i + 1;
    const bytes = Array.from({ length: 16 }, (_, byte) => (byte >> 1 === lane ? byte + 16 : byte));
    f.set(mixed, f.shuffle(f.get(mixed), f.get(zero), bytes));
  });
  return mixed;
}

/** Eight bytes as int16, less the zero point. */
function centredBytes(
  f: FunctionBuilder,
  dtype: DeviceDType,
  address: I32,
  zero: Local<"v128"> | undefined,
): V128 {
  const isSigned = dtypes[dtype].kind === "int";
  const wide = f.load(isSigned ? "v128.load8x8_s" : "v128.load8x8_u", address);
  return zero === undefined ? wide : f.op("i16x8.sub", wide, f.get(zero));
}

/** Eight neighbouring positions, four words, of each line. */
function packEight(
  pack: IntPack,
  pointers: readonly Local<"i32">[],
  zeros: readonly Local<"v128">[] | undefined,
): void {
  const { f, options, panel, ks } = pack;
  const { lines } = options;
  const k = f.keep("i32", f.load("i32.load", f.get(ks)));
  for (let first = 0; first < lines; first += 4) {
    const words = [0, 1, 2, 3].map((line) => {
      const address = f.op("i32.add", f.get(pointers[first + line]!), f.get(k));
      return f.keep("v128", centredBytes(f, options.value, address, zeros?.[first + line]));
    });
    transpose(f, words).forEach((word, position) => {
      f.store("v128.store", f.get(panel), f.get(word), 4 * lines * position + 4 * first);
    });
  }
  f.increase(panel, () => f.i32(16 * lines));
  step(pack, 8);
}
