/**
 * The WebAssembly instructions that the JIT emits, by their names in the text format, with their signatures.
 * Control flow, locals, calls and constants have their own methods in function.ts.
 */
export type ValueType = "i32" | "f32" | "v128";

interface OpRow {
  /** Encoded opcode: one byte, or a prefix byte and an unsigned LEB128 number. */
  readonly code: readonly number[];
  readonly args: readonly ValueType[];
  readonly result: ValueType | "none";
  /** What follows the opcode: a memory argument, a lane number, both, 16 shuffle indices, or zero bytes. */
  readonly immediate?: "memory" | "lane" | "memory-lane" | "shuffle" | "zero" | "zero2";
}

const ii = ["i32", "i32"] as const;
const iii = ["i32", "i32", "i32"] as const;
const f = ["f32"] as const;
const ff = ["f32", "f32"] as const;
const i = ["i32"] as const;
const v = ["v128"] as const;
const vv = ["v128", "v128"] as const;
const vvv = ["v128", "v128", "v128"] as const;
const vi = ["v128", "i32"] as const;
const iv = ["i32", "v128"] as const;

const simd = (n: number): readonly number[] =>
  n < 128 ? [0xfd, n] : [0xfd, (n & 127) | 128, n >> 7];
const row = <const A extends readonly ValueType[], const R extends ValueType | "none">(
  code: readonly number[],
  args: A,
  result: R,
) => ({ code, args, result });
const mem = <const A extends readonly ValueType[], const R extends ValueType | "none">(
  code: readonly number[],
  args: A,
  result: R,
) => ({ code, args, result, immediate: "memory" as const });
const lane = <const A extends readonly ValueType[], const R extends ValueType | "none">(
  n: number,
  args: A,
  result: R,
) => ({ code: simd(n), args, result, immediate: "lane" as const });
const memLane = <const R extends ValueType | "none">(n: number, result: R) => ({
  code: simd(n),
  args: iv,
  result,
  immediate: "memory-lane" as const,
});

export const opcodes = {
  "i32.load": mem([0x28], i, "i32"),
  "f32.load": mem([0x2a], i, "f32"),
  "i32.load8_s": mem([0x2c], i, "i32"),
  "i32.load8_u": mem([0x2d], i, "i32"),
  "i32.load16_s": mem([0x2e], i, "i32"),
  "i32.load16_u": mem([0x2f], i, "i32"),
  "i32.store": mem([0x36], ii, "none"),
  "f32.store": mem([0x38], ["i32", "f32"], "none"),
  "i32.store8": mem([0x3a], ii, "none"),
  "i32.store16": mem([0x3b], ii, "none"),
  "i32.eqz": row([0x45], i, "i32"),
  "i32.eq": row([0x46], ii, "i32"),
  "i32.ne": row([0x47], ii, "i32"),
  "i32.lt_s": row([0x48], ii, "i32"),
  "i32.lt_u": row([0x49], ii, "i32"),
  "i32.gt_s": row([0x4a], ii, "i32"),
  "i32.gt_u": row([0x4b], ii, "i32"),
  "i32.le_s": row([0x4c], ii, "i32"),
  "i32.le_u": row([0x4d], ii, "i32"),
  "i32.ge_s": row([0x4e], ii, "i32"),
  "i32.ge_u": row([0x4f], ii, "i32"),
  "i32.clz": row([0x67], i, "i32"),
  "i32.add": row([0x6a], ii, "i32"),
  "i32.sub": row([0x6b], ii, "i32"),
  "i32.mul": row([0x6c], ii, "i32"),
  "i32.div_s": row([0x6d], ii, "i32"),
  "i32.div_u": row([0x6e], ii, "i32"),
  "i32.rem_s": row([0x6f], ii, "i32"),
  "i32.rem_u": row([0x70], ii, "i32"),
  "i32.and": row([0x71], ii, "i32"),
  "i32.or": row([0x72], ii, "i32"),
  "i32.xor": row([0x73], ii, "i32"),
  "i32.shl": row([0x74], ii, "i32"),
  "i32.shr_s": row([0x75], ii, "i32"),
  "i32.shr_u": row([0x76], ii, "i32"),
  "f32.add": row([0x92], ff, "f32"),
  "f32.sub": row([0x93], ff, "f32"),
  "f32.mul": row([0x94], ff, "f32"),
  "f32.min": row([0x96], ff, "f32"),
  "f32.max": row([0x97], ff, "f32"),
  "i32.reinterpret_f32": row([0xbc], f, "i32"),
  "f32.reinterpret_i32": row([0xbe], i, "f32"),
  "memory.copy": { code: [0xfc, 10], args: iii, result: "none", immediate: "zero2" },
  "memory.fill": { code: [0xfc, 11], args: iii, result: "none", immediate: "zero" },

  "v128.load": mem(simd(0), i, "v128"),
  "v128.load8x8_s": mem(simd(1), i, "v128"),
  "v128.load8x8_u": mem(simd(2), i, "v128"),
  "v128.load16x4_s": mem(simd(3), i, "v128"),
  "v128.load16x4_u": mem(simd(4), i, "v128"),
  "v128.load8_splat": mem(simd(7), i, "v128"),
  "v128.load16_splat": mem(simd(8), i, "v128"),
  "v128.load32_splat": mem(simd(9), i, "v128"),
  "v128.store": mem(simd(11), iv, "none"),
  "v128.load32_zero": mem(simd(92), i, "v128"),
  "v128.load64_zero": mem(simd(93), i, "v128"),
  "v128.load8_lane": memLane(84, "v128"),
  "v128.load16_lane": memLane(85, "v128"),
  "v128.load32_lane": memLane(86, "v128"),
  "v128.load64_lane": memLane(87, "v128"),
  "v128.store8_lane": memLane(88, "none"),
  "v128.store16_lane": memLane(89, "none"),
  "v128.store32_lane": memLane(90, "none"),
  "v128.store64_lane": memLane(91, "none"),
  "i8x16.shuffle": { code: simd(13), args: vv, result: "v128", immediate: "shuffle" },
  "i8x16.swizzle": row(simd(14), vv, "v128"),
  "i8x16.splat": row(simd(15), i, "v128"),
  "i16x8.splat": row(simd(16), i, "v128"),
  "i32x4.splat": row(simd(17), i, "v128"),
  "f32x4.splat": row(simd(19), f, "v128"),
  "i32x4.extract_lane": lane(27, v, "i32"),
  "i16x8.replace_lane": lane(26, vi, "v128"),
  "i32x4.replace_lane": lane(28, vi, "v128"),
  "f32x4.extract_lane": lane(31, v, "f32"),
  "i32x4.eq": row(simd(55), vv, "v128"),
  "i32x4.ne": row(simd(56), vv, "v128"),
  "i32x4.lt_s": row(simd(57), vv, "v128"),
  "i32x4.gt_s": row(simd(59), vv, "v128"),
  "i32x4.gt_u": row(simd(60), vv, "v128"),
  "i32x4.le_s": row(simd(61), vv, "v128"),
  "f32x4.eq": row(simd(65), vv, "v128"),
  "f32x4.ne": row(simd(66), vv, "v128"),
  "f32x4.lt": row(simd(67), vv, "v128"),
  "f32x4.gt": row(simd(68), vv, "v128"),
  "f32x4.le": row(simd(69), vv, "v128"),
  "v128.not": row(simd(77), v, "v128"),
  "v128.and": row(simd(78), vv, "v128"),
  "v128.andnot": row(simd(79), vv, "v128"),
  "v128.or": row(simd(80), vv, "v128"),
  "v128.xor": row(simd(81), vv, "v128"),
  "v128.bitselect": row(simd(82), vvv, "v128"),
  "v128.any_true": row(simd(83), v, "i32"),
  "i8x16.narrow_i16x8_s": row(simd(101), vv, "v128"),
  "i8x16.narrow_i16x8_u": row(simd(102), vv, "v128"),
  "f32x4.ceil": row(simd(103), v, "v128"),
  "f32x4.floor": row(simd(104), v, "v128"),
  "f32x4.trunc": row(simd(105), v, "v128"),
  "f32x4.nearest": row(simd(106), v, "v128"),
  "i16x8.narrow_i32x4_s": row(simd(133), vv, "v128"),
  "i16x8.narrow_i32x4_u": row(simd(134), vv, "v128"),
  "i16x8.extend_low_i8x16_s": row(simd(135), v, "v128"),
  "i16x8.extend_low_i8x16_u": row(simd(137), v, "v128"),
  "i16x8.sub": row(simd(145), vv, "v128"),
  "i32x4.extend_low_i16x8_s": row(simd(167), v, "v128"),
  "i32x4.extend_low_i16x8_u": row(simd(169), v, "v128"),
  "i32x4.shl": row(simd(171), vi, "v128"),
  "i32x4.shr_s": row(simd(172), vi, "v128"),
  "i32x4.shr_u": row(simd(173), vi, "v128"),
  "i32x4.add": row(simd(174), vv, "v128"),
  "i32x4.sub": row(simd(177), vv, "v128"),
  "i32x4.mul": row(simd(181), vv, "v128"),
  "i32x4.min_s": row(simd(182), vv, "v128"),
  "i32x4.min_u": row(simd(183), vv, "v128"),
  "i32x4.max_s": row(simd(184), vv, "v128"),
  "i32x4.dot_i16x8_s": row(simd(186), vv, "v128"),
  "f32x4.abs": row(simd(224), v, "v128"),
  "f32x4.neg": row(simd(225), v, "v128"),
  "f32x4.sqrt": row(simd(227), v, "v128"),
  "f32x4.add": row(simd(228), vv, "v128"),
  "f32x4.sub": row(simd(229), vv, "v128"),
  "f32x4.mul": row(simd(230), vv, "v128"),
  "f32x4.div": row(simd(231), vv, "v128"),
  "f32x4.min": row(simd(232), vv, "v128"),
  "f32x4.max": row(simd(233), vv, "v128"),
  "f32x4.pmin": row(simd(234), vv, "v128"),
  "f32x4.pmax": row(simd(235), vv, "v128"),
  "i32x4.trunc_sat_f32x4_s": row(simd(248), v, "v128"),
  "f32x4.convert_i32x4_s": row(simd(250), v, "v128"),
} as const satisfies Record<string, OpRow>;

type Rows = typeof opcodes;
export type OpName = keyof Rows;
export type ImmediateOf<N extends OpName> = Rows[N] extends { readonly immediate: infer I }
  ? I
  : "none";
/** Instructions without an immediate that a caller chooses. */
export type PlainOp = {
  [N in OpName]: ImmediateOf<N> extends "none" | "zero" | "zero2" ? N : never;
}[OpName];
export type MemoryOp = { [N in OpName]: ImmediateOf<N> extends "memory" ? N : never }[OpName];
export type LaneOp = { [N in OpName]: ImmediateOf<N> extends "lane" ? N : never }[OpName];
export type MemoryLaneOp = {
  [N in OpName]: ImmediateOf<N> extends "memory-lane" ? N : never;
}[OpName];
export type ArgsOf<N extends OpName> = Rows[N]["args"];
export type ResultOf<N extends OpName> = Rows[N]["result"];
