/**
 * Random lane programs over every operation. Nothing depends on the bits of a NaN, which are unspecified: bits are
 * taken of ordered numbers only, and floats are selected by whole masks only.
 */
import {
  laneOps,
  type LaneOpName,
  type LaneProgram,
  type RegisterType,
} from "../../../src/numerics/lane.js";
import { laneProgramBuilder, type Lane } from "../../../src/numerics/lanes.js";
import { addScalar, isFloatType, type Context } from "./context.js";
import type { DeviceDType } from "../../../src/numerics/dtype.js";

export interface LaneInput {
  readonly dtype: DeviceDType;
  /** An operand that only lookups read, at 0 to tableSize - 1 from its offset. */
  readonly tableSize?: number;
}

export interface LaneOptions {
  readonly inputs: readonly LaneInput[];
  readonly axes: number;
  readonly carries: readonly RegisterType[];
  readonly results: readonly RegisterType[];
}

const arithmetic = (Object.keys(laneOps) as LaneOpName[]).filter((op) => !("imm" in laneOps[op]));

export const registerOf = (dtype: DeviceDType): RegisterType =>
  isFloatType(dtype) ? "f32" : "i32";

export function randomLanes(context: Context, options: LaneOptions): LaneProgram {
  const { random } = context;
  const builder = laneProgramBuilder();
  const { l } = builder;
  const lanes: Lane[] = [];
  const masks: Lane[] = [];
  options.inputs.forEach(({ dtype, tableSize }, i) => {
    if (tableSize !== undefined) return;
    const lane = builder.source("input", i, registerOf(dtype));
    lanes.push(lane);
    if (dtype === "bool") masks.push(lane);
  });
  options.carries.forEach((type, i) => lanes.push(builder.source("carry", i, type)));
  if (random.chance(0.4) && options.axes > 0) {
    lanes.push(builder.source("index", random.int(0, options.axes - 1), "i32"));
  }
  if (random.chance(0.2)) lanes.push(builder.source("scalar", addScalar(context, -9, 9), "i32"));
  lanes.push(l.constF(random.pick([0.5, -1, 3, 1e-3])), l.constI(random.int(-9, 9)));

  const used = new Set<Lane>();
  // What nobody has read yet more often, so that inputs matter and programs are deep.
  const pick = (type: RegisterType): Lane => {
    const fitting = lanes.filter((lane) => lane.type === type);
    const unread = fitting.filter((lane) => !used.has(lane));
    const lane = random.pick(unread.length > 0 && random.chance(0.7) ? unread : fitting);
    used.add(lane);
    return lane;
  };
  const mask = (): Lane =>
    masks.length > 0 && random.chance(0.7) ? random.pick(masks) : l.lt(pick("f32"), pick("f32"));
  const emit = (op: LaneOpName): Lane => {
    if (op === "bitsI") return l.bitsI(ordered(pick("f32")));
    if (op === "select") return l.select(mask(), pick("f32"), pick("f32"));
    const args = laneOps[op].args.map((type) => pick(type));
    const lane = (l as unknown as Record<string, (...args: Lane[]) => Lane>)[op]!(...args);
    if (/^(eq|lt|le)I?$/.test(op)) masks.push(lane);
    return lane;
  };
  const ordered = (x: Lane): Lane => l.select(l.eq(x, x), x, l.constF(0));

  for (let i = random.int(0, 7); i > 0; i--) lanes.push(emit(random.pick(arithmetic)));
  options.inputs.forEach(({ dtype, tableSize }, i) => {
    if (tableSize === undefined) return;
    const at = l.maxI(l.minI(pick("i32"), l.constI(tableSize - 1)), l.constI(0));
    lanes.push(builder.lookup(i, at, registerOf(dtype)));
  });
  for (let i = random.int(0, 3); i > 0; i--) lanes.push(emit(random.pick(arithmetic)));
  return builder.finish(options.results.map((type) => pick(type)));
}
