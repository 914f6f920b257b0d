/** What grows while a random program is written: bindings with their contents, queues, scalars, enclosing loops. */
import type { LoopHead } from "../../../src/ir/tile.js";
import {
  always,
  slotBytes,
  type Condition,
  type EngineRef,
  type Program,
  type ProgramBinding,
  type ProgramNode,
  type Queue,
} from "../../../src/isa/program.js";
import { dtypes, type DeviceDType } from "../../../src/numerics/dtype.js";
import type { Random } from "./random.js";

export interface Context {
  readonly seed: number;
  /** Kernels know no conditions but where accumulations begin and end, no tokens and no rings. */
  readonly form: "program" | "kernel";
  readonly random: Random;
  readonly grid: Program["grid"];
  readonly bindings: { binding: ProgramBinding; contents: number[] }[];
  readonly queues: Queue[];
  /** Their values at launch. */
  readonly scalars: number[];
  /** Loops around the place where the next instruction goes, outermost first. */
  readonly loops: LoopInfo[];
  readonly ids: { loop: number };
}

export interface LoopInfo {
  readonly head: LoopHead;
  /** Its bounds are the same on all members. */
  readonly isUniform: boolean;
}

export interface RandomProgram {
  readonly seed: number;
  readonly program: Program;
  /** Per binding. */
  readonly contents: readonly (readonly number[])[];
  readonly scalars: readonly number[];
}

export const isSpatial = ({ head }: LoopInfo): boolean => head.over !== "time";

/** Runtime scalar that will be between the limits at launch, or a little outside if `isLoose`. */
export function addScalar(context: Context, min: number, max: number, isLoose = false): number {
  const { random, scalars } = context;
  const margin = isLoose && random.chance(0.3) ? 3 : 0;
  if (scalars.length >= 12) {
    const fitting = [...scalars.keys()].filter((id) => scalars[id]! >= min && scalars[id]! <= max);
    if (fitting.length > 0) return random.pick(fitting);
  }
  if (scalars.length >= 16) throw new Error("a random program asks for too many scalars");
  scalars.push(random.int(min - margin, max + margin));
  return scalars.length - 1;
}

export function addBinding(
  context: Context,
  binding: Omit<ProgramBinding, "name">,
  contents: number[],
): number {
  const name = `${binding.access[0]}${context.bindings.length}`;
  context.bindings.push({ binding: { name, ...binding }, contents });
  return context.bindings.length - 1;
}

export function addQueue(context: Context, queue: Omit<Queue, "name" | "offsetBytes">): number {
  const { queues } = context;
  const before = queues.findLast(({ space }) => space === queue.space);
  const offsetBytes =
    before === undefined ? 0 : align(before.offsetBytes + slotPitch(before) * before.depth);
  queues.push({ name: `q${queues.length}`, ...queue, offsetBytes });
  return queues.length - 1;
}

/** Queues lie one after the other; changing a depth moves those behind it. */
export function deepen(context: Context, queue: number, by: number): void {
  const { queues } = context;
  queues[queue] = { ...queues[queue]!, depth: queues[queue]!.depth + by };
  const next = { l1: 0, accumulator: 0 };
  queues.forEach((each, i) => {
    queues[i] = { ...each, offsetBytes: next[each.space] };
    next[each.space] = align(next[each.space] + slotPitch(each) * each.depth);
  });
}

function slotPitch(queue: Queue): number {
  return slotBytes(queue);
}

function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

export const loadEngine = (channel: number): EngineRef => ({ engine: "load", channel });
export const storeEngine = (channel: number): EngineRef => ({ engine: "store", channel });
export const vector: EngineRef = { engine: "vector" };
export const tensor: EngineRef = { engine: "tensor" };

/** On the first (last) trip of all the loops. */
export function edges(loops: readonly LoopInfo[], edge: "first" | "last"): Condition {
  if (loops.length === 0) return always;
  const terms = loops.map(({ head }) => ({ loop: head.id, edge, negated: false }));
  return { kind: "all", terms };
}

export const isFloatType = (dtype: DeviceDType): boolean => dtypes[dtype].kind === "float";

export const floatTypes = ["f32", "f16", "bf16", "f8e4m3fn", "f8e5m2"] as const;
export const integerTypes = ["i32", "i16", "u16", "i8", "u8", "i4", "u4"] as const;
export const allTypes = [...floatTypes, ...integerTypes, "bool"] as const;

/** Values that mean something in every type, with the odd extreme. */
export function randomContents(context: Context, dtype: DeviceDType, length: number): number[] {
  return Array.from({ length }, () => randomValue(context.random, dtype));
}

const oddFloats = [0, -0, 1, Infinity, -Infinity, NaN, 1e-40, -3e-45, 65504, 3e38, 448, -57344];
const oddIntegers = [0, -1, 1, 127, 128, -128, 255, 256, 2 ** 31 - 1, -(2 ** 31), 16777217];

function randomValue(random: Random, dtype: DeviceDType): number {
  if (dtype === "bool") return random.int(0, 1);
  if (isFloatType(dtype)) {
    if (random.chance(0.04)) return Math.fround(random.pick(oddFloats));
    return Math.fround((random.unit() - 0.5) * random.pick([1, 4, 30]));
  }
  if (random.chance(0.08)) return random.pick(oddIntegers);
  return random.int(-20, 20);
}

export type Nodes = ProgramNode[];

/** One of the items. Every seed has a favourite, so that some hundred seeds in a row meet every pair of types. */
export function favour<T>(
  { random, seed }: Context,
  items: readonly T[],
  place: "slot" | "memory",
): T {
  if (random.chance(0.4)) return random.pick(items);
  return items[(place === "slot" ? seed : Math.floor(seed / items.length)) % items.length]!;
}
