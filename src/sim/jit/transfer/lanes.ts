/** The lane programs of loads and stores: conversion, dequantization, fill, combination. */
import type { StoreBody } from "../../../ir/tile.js";
import { type DeviceDType, isFloat } from "../../../numerics/dtype.js";
import type { LaneProgram } from "../../../numerics/lane.js";
import { type Lane, type LaneProgramBuilder, laneProgramBuilder } from "../../../numerics/lanes.js";

const known = new Map<string, LaneProgram>();

/** Most transfers are of a few kinds. */
function shared(key: string, make: () => LaneProgram): LaneProgram {
  let program = known.get(key);
  if (program === undefined) known.set(key, (program = make()));
  return program;
}

/** Sources: what is loaded, then, to dequantize, its scale and perhaps its zero point. */
export function loadProgram(sources: readonly DeviceDType[], dest: DeviceDType): LaneProgram {
  return shared(`load ${sources.join()} ${dest}`, () => makeLoad(sources, dest));
}

function makeLoad(sources: readonly DeviceDType[], dest: DeviceDType): LaneProgram {
  const b = laneProgramBuilder();
  const [stored, scale, zero] = sources.map((dtype, i) => sourceOf(b, i, dtype));
  if (scale === undefined) return b.finish([converted(b, stored!, dest)]);
  const number = asFloat(b, stored!);
  const centred = zero === undefined ? number : b.l.sub(number, asFloat(b, zero));
  return b.finish([converted(b, b.l.mul(centred, asFloat(b, scale)), dest)]);
}

export function fillProgram(dest: DeviceDType, word: number): LaneProgram {
  const b = laneProgramBuilder();
  const bits = b.l.constI(word);
  return b.finish([isFloat(dest) ? b.l.bitsF(bits) : bits]);
}

/** Source 0 is the slot, source 1 what memory holds where the two are combined. */
export function storeProgram(
  slot: DeviceDType,
  memory: DeviceDType,
  combine: Combine,
): LaneProgram {
  return shared(`store ${slot} ${memory} ${combine}`, () => makeStore(slot, memory, combine));
}

type Combine = StoreBody<unknown>["combine"];

function makeStore(slot: DeviceDType, memory: DeviceDType, combine: Combine): LaneProgram {
  const b = laneProgramBuilder();
  const value = converted(b, sourceOf(b, 0, slot), memory);
  if (combine === undefined) return b.finish([value]);
  const held = sourceOf(b, 1, memory);
  const suffix = isFloat(memory) ? "" : "I";
  return b.finish([b.l[`${combine}${suffix}`](held, value)]);
}

function sourceOf(b: LaneProgramBuilder, operand: number, dtype: DeviceDType): Lane {
  return b.source("input", operand, isFloat(dtype) ? "f32" : "i32");
}

function asFloat(b: LaneProgramBuilder, lane: Lane): Lane {
  return lane.type === "f32" ? lane : b.l.toF(lane);
}

/** Writing rounds floats and keeps the low bits of integers; only a change of kind takes an operation. */
function converted(b: LaneProgramBuilder, lane: Lane, to: DeviceDType): Lane {
  if (isFloat(to)) return asFloat(b, lane);
  if (to !== "bool") return lane.type === "i32" ? lane : b.l.toI(lane);
  const isZero = lane.type === "i32" ? b.l.eqI(lane, b.l.constI(0)) : b.l.eq(lane, b.l.constF(0));
  return b.l.selectI(isZero, b.l.constI(0), b.l.constI(1));
}
