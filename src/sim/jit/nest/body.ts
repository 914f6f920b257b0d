/**
 * What stands inside the loops of a nest (nest.ts): reading operands, running the lane program, writing or accumulating
 * the results, at one position or at the four of a chunk.
 */
import { emitRead, emitWrite, type LanePlace, type LanesWritten } from "../lanes/access.js";
import { emitLanes, type LaneValue } from "../lanes/code.js";
import { elementBytes, emitDecode } from "../lanes/format.js";
import type { FunctionBuilder, Local, V128 } from "../wasm/function.js";
import { type Accumulator, accumulatorOf, type LaneMode } from "./reduce.js";
import type { NestParam, NestSpec } from "./spec.js";

/** Where each operand stands: an address, or the number of an element if packed. */
export type Cursors = readonly Local<"i32">[];

export interface NestCode {
  readonly f: FunctionBuilder;
  readonly spec: NestSpec;
  readonly param: (wanted: NestParam) => Local<"i32">;
  /** 1 while all four lanes count; absent where only lane 0 ever does. */
  readonly full: Local<"i32"> | undefined;
  /** Per operand with lanes apart: the distance of its lanes, 0 while only lane 0 counts. */
  readonly laneStrides: Map<number, Local<"i32">>;
  /** Present value of `index`, per axis that is asked for. */
  readonly indices: Map<number, Local<"i32">>;
  /** Inputs that do not move inside the present level, per vector of the text. */
  readonly hoisted: Map<number, readonly Local<"v128">[]>;
  readonly carries: readonly Local<"v128">[];
  /** The text of the body that is written now. */
  text: Text;
  /** Mask of lanes that is all ones where the gather's index is in range. */
  hit: Local<"v128"> | undefined;
}

/** The body of the chunk loop: for one vector, or for several chunks at once whose latencies then overlap. */
export interface Text {
  readonly vectors: number;
  readonly lanes: LanesWritten;
  /** Per vector and output. */
  readonly accumulators: readonly (readonly (Accumulator | undefined)[])[];
}

export function createText(
  { f, spec, param, full }: Pick<NestCode, "f" | "spec" | "param" | "full">,
  vectors: number,
): Text {
  const mode = laneMode(spec);
  const lanes = vectors > 1 ? "all" : (full ?? "first");
  return {
    vectors,
    lanes,
    accumulators: Array.from({ length: vectors }, () =>
      spec.outputs.map(({ reduce }, number) =>
        reduce === undefined
          ? undefined
          : accumulatorOf({ f, reduce, number, mode, full, lanes, param }),
      ),
    ),
  };
}

function laneMode(spec: NestSpec): LaneMode {
  if (spec.chunk === undefined) return "cells";
  return spec.chunk < spec.parallel ? "cells" : "row";
}

/** `vector` counts the chunks of a text that handles several. */
export function placeOf(code: NestCode, operand: number, cursors: Cursors, vector = 0): LanePlace {
  const { f, spec, param } = code;
  const { dtype, packed, step, rounding } = spec.operands[operand]!;
  const stride = code.laneStrides.get(operand);
  if (packed) {
    return {
      dtype,
      step: "packed",
      address: param({ kind: "address", operand }),
      element: cursors[operand]!,
      stride: stride ?? f.keep("i32", f.i32(0)),
    };
  }
  return {
    dtype,
    step,
    address: cursors[operand]!,
    offset: step === "side" ? 4 * vector * elementBytes[dtype] : 0,
    ...(rounding === undefined ? {} : { rounding }),
    ...(stride === undefined ? {} : { stride }),
  };
}

function readOperand(code: NestCode, operand: number, cursors: Cursors, vector = 0): V128 {
  const place = placeOf(code, operand, cursors, vector);
  return emitRead(code.f, place, code.spec.operands[operand]!.boolForm);
}

/** Per vector of the text; one for all where the operand does not move from chunk to chunk. */
export function readVectors(code: NestCode, operand: number, cursors: Cursors): Local<"v128">[] {
  const { f, text, spec } = code;
  const isSame = spec.operands[operand]!.step === "same";
  const count = isSame ? 1 : text.vectors;
  const read = Array.from({ length: count }, (_, vector) =>
    f.keep("v128", readOperand(code, operand, cursors, vector)),
  );
  return Array.from({ length: text.vectors }, (_, vector) => read[isSame ? 0 : vector]!);
}

export function beginCells(code: NestCode, cursors: Cursors): void {
  const { f, spec, param } = code;
  eachAccumulator(code, cursors, (accumulator, place) => accumulator.begin(place));
  spec.carries.forEach((carry, number) => {
    const register = code.carries[number]!;
    const initial = () => (carry.type === "f32" ? f.floats(carry.initial) : f.words(carry.initial));
    if (carry.state === undefined) return f.set(register, initial());
    f.if(
      f.get(param({ kind: "carryInit", carry: number })),
      () => f.set(register, initial()),
      () => f.set(register, readOperand(code, carry.state!, cursors)),
    );
  });
}

export function endCells(code: NestCode, cursors: Cursors): void {
  const { f, spec, text } = code;
  eachAccumulator(code, cursors, (accumulator, place) => accumulator.end(place));
  spec.carries.forEach((carry, number) => {
    if (carry.state === undefined) return;
    emitWrite(f, placeOf(code, carry.state, cursors), text.lanes, code.carries[number]!);
  });
}

function eachAccumulator(
  code: NestCode,
  cursors: Cursors,
  visit: (accumulator: Accumulator, place: LanePlace) => void,
): void {
  code.text.accumulators.forEach((outputs, vector) => {
    outputs.forEach((accumulator, number) => {
      const { operand } = code.spec.outputs[number]!;
      if (accumulator !== undefined) visit(accumulator, placeOf(code, operand, cursors, vector));
    });
  });
}

export function emitPosition(code: NestCode, cursors: Cursors): void {
  const { text } = code;
  const read = new Map(code.hoisted);
  for (let vector = 0; vector < text.vectors; vector++) {
    emitVector(code, cursors, vector, (input) => {
      let vectors = read.get(input);
      if (vectors === undefined) {
        vectors = readVectors(code, code.spec.inputs[input]!, cursors);
        read.set(input, vectors);
      }
      return vectors[vector]!;
    });
  }
}

function emitVector(
  code: NestCode,
  cursors: Cursors,
  vector: number,
  input: (input: number) => Local<"v128">,
): void {
  const { f, spec, text } = code;
  const results = emitLanes(f, spec.program, {
    input: (number) => f.get(input(number)),
    lookup: (number, offset) => emitLookup(code, spec.inputs[number]!, cursors, offset),
    index: (axis) => emitIndex(code, axis, vector),
    scalar: (id) => f.op("i32x4.splat", f.get(code.param({ kind: "scalar", id }))),
    carry: (register) => f.keep("v128", f.get(code.carries[register]!)),
  });
  applyMiss(code, results);
  spec.outputs.forEach((output, number) => {
    const result = results[output.result]!;
    const accumulator = text.accumulators[vector]![number];
    if (accumulator !== undefined) accumulator.add(result);
    else emitWrite(f, placeOf(code, output.operand, cursors, vector), text.lanes, result);
  });
  spec.carries.forEach((carry, number) => {
    f.set(code.carries[number]!, f.get(results[carry.next]!));
  });
}

function applyMiss(code: NestCode, results: Local<"v128">[]): void {
  const { f, spec, hit } = code;
  const miss = spec.gather?.miss;
  if (miss?.kind !== "fill" || hit === undefined) return;
  const filled = f.op("v128.bitselect", f.get(results[0]!), f.words(miss.bits), f.get(hit));
  results[0] = f.keep("v128", filled);
}

function emitIndex(code: NestCode, axis: number, vector: number): V128 {
  const { f, spec } = code;
  const index = f.op("i32x4.splat", f.get(code.indices.get(axis)!));
  const chunked = spec.chunk !== undefined && spec.levels[spec.chunk]!.axis === axis;
  const first = 4 * vector;
  if (!chunked) return index;
  return f.op("i32x4.add", index, f.wordsOf([first, first + 1, first + 2, first + 3]));
}

/**
 * One lane after the other. Where only lane 0 counts all lanes read its element, because what the others hold
 * is no offset.
 */
function emitLookup(code: NestCode, operand: number, cursors: Cursors, by: LaneValue): V128 {
  const { f, spec } = code;
  const { dtype, boolForm } = spec.operands[operand]!;
  const stride = code.laneStrides.get(operand);
  const start = f.keep("i32", f.get(cursors[operand]!));
  const offsets = f.local("v128");
  f.set(offsets, f.get(by.local));
  const first = (): V128 => f.shuffleWords(f.get(offsets), f.get(offsets), [0, 0, 0, 0]);
  if (code.full === undefined) f.set(offsets, first());
  else f.if(f.op("i32.eqz", f.get(code.full)), () => f.set(offsets, first()));
  const raw = f.local("v128");
  const size = elementBytes[dtype];
  const name = `v128.load${(size * 8) as 8 | 16 | 32}_lane` as const;
  f.set(raw, f.words(0));
  for (let lane = 0; lane < 4; lane++) {
    if (lane > 0 && stride !== undefined) f.increase(start, () => f.get(stride));
    const offset = f.laneOp("i32x4.extract_lane", lane, f.get(offsets));
    const address = f.keep("i32", f.op("i32.mul", offset, f.i32(size)));
    f.set(raw, f.loadLane(name, f.op("i32.add", f.get(start), f.get(address)), f.get(raw), lane));
  }
  return emitDecode(f, dtype, f.get(raw), boolForm);
}
