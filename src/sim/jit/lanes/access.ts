/**
 * Four elements between memory and a vector register, for every way they can lie: side by side, apart by a
 * stride, all the same, or packed two to a byte. What the bits mean is in format.ts.
 */
import type { DeviceDType } from "../../../numerics/dtype.js";
import type { FunctionBuilder, I32, Local, V128 } from "../wasm/function.js";
import {
  type BoolForm,
  elementBytes,
  emitDecode,
  emitEncode,
  emitRound,
  type Rounding,
} from "./format.js";

/** How the four lanes of a chunk lie. "apart": by `stride` bytes; "packed" int4 by `stride` elements. */
export type LaneStep = "same" | "side" | "apart" | "packed";

/** What a chunk touches: its first element, and how the others follow. */
export interface LanePlace {
  readonly dtype: DeviceDType;
  /** What is written is rounded to this type first. */
  readonly rounding?: Rounding;
  readonly step: LaneStep;
  /** Address of the first element; of element 0 of the operand if packed. */
  readonly address: Local<"i32">;
  /** Bytes from there, not for lanes apart. */
  readonly offset?: number;
  /** Packed only: number of the first element. */
  readonly element?: Local<"i32">;
  /** Apart and packed only. Zero where only the first lane counts. */
  readonly stride?: Local<"i32">;
}

const splatLoads = {
  1: "v128.load8_splat",
  2: "v128.load16_splat",
  4: "v128.load32_splat",
} as const;
const sideLoads = { 1: "v128.load32_zero", 2: "v128.load64_zero", 4: "v128.load" } as const;
const laneLoads = {
  1: "v128.load8_lane",
  2: "v128.load16_lane",
  4: "v128.load32_lane",
} as const;
const laneStores = {
  1: "v128.store8_lane",
  2: "v128.store16_lane",
  4: "v128.store32_lane",
} as const;

/** Reads a chunk. Lanes side by side read 16 bytes at most, also where fewer of them count. */
export function emitRead(f: FunctionBuilder, place: LanePlace, boolForm: BoolForm): V128 {
  return emitDecode(f, place.dtype, readRaw(f, place), boolForm);
}

function readRaw(f: FunctionBuilder, place: LanePlace): V128 {
  const bytes = elementBytes[place.dtype];
  switch (place.step) {
    case "same":
      return f.load(splatLoads[bytes], f.get(place.address), place.offset);
    case "side":
      return f.load(sideLoads[bytes], f.get(place.address), place.offset);
    case "apart":
      return readApart(f, place, bytes);
    case "packed":
      return readPacked(f, place);
    default:
      return place.step satisfies never;
  }
}

function readApart(f: FunctionBuilder, place: LanePlace, bytes: 1 | 2 | 4): V128 {
  const address = f.keep("i32", f.get(place.address));
  const chunk = f.keep("v128", f.load(splatLoads[bytes], f.get(address)));
  for (let lane = 1; lane < 4; lane++) {
    f.increase(address, () => f.get(place.stride!));
    f.set(chunk, f.loadLane(laneLoads[bytes], f.get(address), f.get(chunk), lane));
  }
  return f.get(chunk);
}

/**
 * Leaves one byte per lane, as slots hold int4: sign-extended for i4. Four neighbours that begin with a byte are read at
 * once: a multiplication per lane brings the lane's half byte to the same place.
 */
function readPacked(f: FunctionBuilder, place: LanePlace): V128 {
  const element = f.keep("i32", f.get(place.element!));
  const chunk = f.local("v128");
  const isTogether = f.op("i32.eq", f.get(place.stride!), f.i32(1));
  const isOdd = f.op("i32.and", f.get(element), f.i32(1));
  f.if(
    f.op("i32.gt_u", isTogether, isOdd),
    () => {
      const four = f.load("v128.load16_splat", nibbleAddress(f, place, element));
      const own = f.op("v128.and", four, f.wordsOf([0xf, 0xf0, 0xf00, 0xf000]));
      f.set(chunk, f.op("i32x4.mul", own, f.wordsOf([0x1000, 0x100, 0x10, 1])));
      f.set(chunk, f.op("i32x4.shl", f.get(chunk), f.i32(16)));
    },
    () => {
      f.set(chunk, f.words(0));
      for (let lane = 0; lane < 4; lane++) {
        if (lane > 0) f.increase(element, () => f.get(place.stride!));
        const nibble = () => emitNibble(f, place, element);
        f.set(chunk, f.laneOp("i32x4.replace_lane", lane, f.get(chunk), nibble()));
      }
      f.set(chunk, f.op("i32x4.shl", f.get(chunk), f.i32(28)));
    },
  );
  const shift = place.dtype === "i4" ? "i32x4.shr_s" : "i32x4.shr_u";
  const words = f.op("i16x8.narrow_i32x4_s", f.op(shift, f.get(chunk), f.i32(28)), f.words(0));
  return f.op("i8x16.narrow_i16x8_s", words, f.words(0));
}

function emitNibble(f: FunctionBuilder, place: LanePlace, element: Local<"i32">): I32 {
  const byte = f.load("i32.load8_u", nibbleAddress(f, place, element));
  return f.op("i32.shr_u", byte, nibbleShift(f, element));
}

function nibbleAddress(f: FunctionBuilder, place: LanePlace, element: Local<"i32">): I32 {
  return f.op("i32.add", f.get(place.address), f.op("i32.shr_s", f.get(element), f.i32(1)));
}

function nibbleShift(f: FunctionBuilder, element: Local<"i32">): I32 {
  return f.op("i32.shl", f.op("i32.and", f.get(element), f.i32(1)), f.i32(2));
}

/** Whether all four lanes count now or only the first: known when the code is made, or a local that says. */
export type LanesWritten = "all" | "first" | Local<"i32">;

export function emitWrite(
  f: FunctionBuilder,
  place: LanePlace,
  lanes: LanesWritten,
  value: Local<"v128">,
): void {
  const raw = writtenRaw(f, place, value);
  const write = (count: 1 | 4): void => {
    if (place.step === "packed") writePacked(f, place, count, raw);
    else writeRaw(f, place, count, raw);
  };
  if (lanes === "first" || place.step === "same") write(1);
  else if (lanes === "all") write(4);
  else {
    f.if(
      f.get(lanes),
      () => write(4),
      () => write(1),
    );
  }
}

function writtenRaw(f: FunctionBuilder, place: LanePlace, value: Local<"v128">): Local<"v128"> {
  const { dtype, rounding, step } = place;
  if (rounding !== undefined) return f.keep("v128", emitRound(f, rounding, f.get(value)));
  if (elementBytes[dtype] === 4 || step === "packed") return value;
  return f.keep("v128", emitEncode(f, dtype, f.get(value)));
}

function writeRaw(f: FunctionBuilder, place: LanePlace, count: 1 | 4, raw: Local<"v128">): void {
  const bytes = elementBytes[place.dtype];
  const { offset } = place;
  const at = () => f.get(place.address);
  if (count === 1) return f.storeLane(laneStores[bytes], at(), f.get(raw), 0, offset);
  if (place.step === "side") {
    if (bytes === 4) return f.store("v128.store", at(), f.get(raw), offset);
    const name = bytes === 2 ? "v128.store64_lane" : "v128.store32_lane";
    return f.storeLane(name, at(), f.get(raw), 0, offset);
  }
  const address = f.keep("i32", f.get(place.address));
  for (let lane = 0; lane < 4; lane++) {
    if (lane > 0) f.increase(address, () => f.get(place.stride!));
    f.storeLane(laneStores[bytes], f.get(address), f.get(raw), lane);
  }
}

/** Changes half bytes one after another, so that neighbours in one byte are kept. */
function writePacked(
  f: FunctionBuilder,
  place: LanePlace,
  count: 1 | 4,
  value: Local<"v128">,
): void {
  const element = f.keep("i32", f.get(place.element!));
  for (let lane = 0; lane < count; lane++) {
    if (lane > 0) f.increase(element, () => f.get(place.stride!));
    const address = f.keep("i32", nibbleAddress(f, place, element));
    const others = f.op(
      "i32.and",
      f.load("i32.load8_u", f.get(address)),
      f.op("i32.shl", f.i32(15), f.op("i32.xor", nibbleShift(f, element), f.i32(4))),
    );
    const kept = f.keep("i32", others);
    const nibble = f.op("i32.and", f.laneOp("i32x4.extract_lane", lane, f.get(value)), f.i32(15));
    const placed = f.keep("i32", f.op("i32.shl", nibble, nibbleShift(f, element)));
    f.store("i32.store8", f.get(address), f.op("i32.or", f.get(kept), f.get(placed)));
  }
}
