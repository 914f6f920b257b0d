/**
 * Elementwise functions in ONNX: a node or a few per lane instruction. Masks are bool tensors, and become -1 and 0
 * where somebody takes them as integers. Registers are as wide as the evaluation makes them.
 */
import { dimEquals } from "../../ir/dim.js";
import { registerWidths } from "../../ir/evaluate/map.js";
import type { MapOperation, Node, Value } from "../../ir/graph.js";
import { encodeArray } from "../../numerics/convert.js";
import { type DType, dtypes } from "../../numerics/dtype.js";
import type { LaneInstruction, LaneOpName } from "../../numerics/lane.js";
import { type Attributes, CannotExport, int, type ModelWriter } from "./model-writer.js";

interface Lane {
  readonly kind: "float" | "int" | "mask";
  readonly name: string;
  /** Known integers: as masks they are constants. */
  readonly integer?: number;
}

interface Registers {
  readonly w: ModelWriter;
  readonly float: DType;
  readonly int: DType;
}

export function mapNodes(node: Node & { readonly op: MapOperation }, w: ModelWriter): string {
  const { inputs, outputs, op } = node;
  const output = outputs[0]!;
  const widths = registerWidths([output.dtype, ...inputs.map(({ dtype }) => dtype)]);
  if (widths.integer === "u64") throw new CannotExport("arithmetic of 64-bit unsigned integers");
  if (dtypes[output.dtype].bits < 8) throw new CannotExport(`elements of type ${output.dtype}`);
  const r: Registers = { w, float: widths.float, int: widths.integer };
  const lanes: Lane[] = [];
  for (const instruction of op.program.instructions)
    lanes.push(laneOf(instruction, lanes, inputs, r));
  const result = stored(lanes[op.program.results[0]!]!, output.dtype, op, r);
  return isWhole(node) ? result : w.add("Expand", [result, w.dims(output.shape)]);
}

/** An input of the output's shape that the result depends on makes it that shape too. */
function isWhole({ op, inputs, outputs }: Node & { readonly op: MapOperation }): boolean {
  const { instructions, results } = op.program;
  const needed = new Set([results[0]!]);
  for (let i = instructions.length - 1; i >= 0; i--)
    if (needed.has(i)) for (const arg of instructions[i]!.args) needed.add(arg);
  const { shape } = outputs[0]!;
  return [...needed].some((i) => {
    const { op: name, imm } = instructions[i]!;
    if (name !== "input") return false;
    const input = inputs[imm!]!.shape;
    return input.length === shape.length && input.every((dim, a) => dimEquals(dim, shape[a]!));
  });
}

function laneOf(
  { op, args, imm = 0, type }: LaneInstruction,
  lanes: readonly Lane[],
  inputs: readonly Value[],
  r: Registers,
): Lane {
  const given = args.map((arg) => lanes[arg]!);
  if (op === "input") return loaded(inputs[imm]!, type, r);
  if (op === "constF") return floating(constant(r, r.float, imm));
  if (op === "constI") return { ...integer(constant(r, r.int, imm)), integer: imm };
  const plain = plainOps[op];
  if (plain !== undefined) {
    const names = given.map((lane) => (lane.kind === "float" ? lane.name : intOf(lane, r)));
    return { kind: plain.kind, name: r.w.add(plain.operator, names) };
  }
  const special = specialOps[op];
  if (special === undefined) throw new CannotExport(`the lane operation ${op}`);
  return special(given, r);
}

function loaded(value: Value, type: "f32" | "i32", r: Registers): Lane {
  const name = r.w.nameOf(value);
  if (value.dtype === "bool") return { kind: "mask", name };
  return type === "f32"
    ? floating(r.w.cast(name, value.dtype, r.float))
    : integer(r.w.cast(name, value.dtype, r.int));
}

function stored(lane: Lane, dtype: DType, { encode = {} }: MapOperation, r: Registers): string {
  if (encode.roundMode !== undefined) throw new CannotExport("a rounding mode");
  if (dtype === "bool") return maskOf(lane, r);
  if (lane.kind !== "float") return r.w.cast(intOf(lane, r), r.int, dtype);
  const attributes: Attributes =
    encode.saturate === undefined ? {} : { saturate: int(encode.saturate ? 1 : 0) };
  return r.w.cast(lane.name, r.float, dtype, attributes);
}

function floating(name: string): Lane {
  return { kind: "float", name };
}

function integer(name: string): Lane {
  return { kind: "int", name };
}

function constant({ w }: Registers, dtype: DType, value: number): string {
  const data = dtype === "i64" ? BigInt64Array.of(BigInt(value)) : encodeArray(dtype, [value]);
  return w.constant({ dtype, shape: [], data });
}

function intOf(lane: Lane, r: Registers): string {
  if (lane.kind !== "mask") return lane.name;
  return r.w.add("Where", [lane.name, constant(r, r.int, -1), constant(r, r.int, 0)]);
}

function maskOf(lane: Lane, r: Registers): string {
  if (lane.kind === "mask") return lane.name;
  if (lane.integer !== undefined) {
    const data = Uint8Array.of(lane.integer === 0 ? 0 : 1);
    return r.w.constant({ dtype: "bool", shape: [], data });
  }
  return r.w.cast(lane.name, r.int, "bool");
}

type Kind = Lane["kind"];

/** One ONNX operator each. */
const plainOps: {
  readonly [Op in LaneOpName]?: { readonly operator: string; readonly kind: Kind };
} = {
  ...named("float", {
    add: "Add",
    sub: "Sub",
    mul: "Mul",
    div: "Div",
    neg: "Neg",
    abs: "Abs",
    sqrt: "Sqrt",
    min: "Min",
    max: "Max",
    floor: "Floor",
    ceil: "Ceil",
    rint: "Round",
    exp: "Exp",
    log: "Log",
    sin: "Sin",
    cos: "Cos",
    tan: "Tan",
    asin: "Asin",
    acos: "Acos",
    atan: "Atan",
    sinh: "Sinh",
    cosh: "Cosh",
    tanh: "Tanh",
    asinh: "Asinh",
    acosh: "Acosh",
    atanh: "Atanh",
    sigmoid: "Sigmoid",
    erf: "Erf",
    pow: "Pow",
  }),
  ...named("int", { addI: "Add", subI: "Sub", mulI: "Mul", minI: "Min", maxI: "Max" }),
  ...named("mask", {
    eq: "Equal",
    lt: "Less",
    le: "LessOrEqual",
    eqI: "Equal",
    ltI: "Less",
    leI: "LessOrEqual",
  }),
};

function named(kind: Kind, operators: { readonly [Op in LaneOpName]?: string }) {
  return Object.fromEntries(
    Object.entries(operators).map(([op, operator]) => [op, { operator, kind }]),
  );
}

type Special = (lanes: readonly Lane[], r: Registers) => Lane;

const specialOps: { readonly [Op in LaneOpName]?: Special } = {
  trunc: ([x], r) => {
    const isNegative = r.w.add("Less", [x!.name, constant(r, r.float, 0)]);
    const up = r.w.add("Ceil", [x!.name]);
    return floating(r.w.add("Where", [isNegative, up, r.w.add("Floor", [x!.name])]));
  },
  toF: ([x], r) => floating(r.w.cast(intOf(x!, r), r.int, r.float)),
  toI: ([x], r) => integer(saturated(x!, r)),
  select: ([mask, a, b], r) => floating(r.w.add("Where", [maskOf(mask!, r), a!.name, b!.name])),
  selectI: ([mask, a, b], r) =>
    integer(r.w.add("Where", [maskOf(mask!, r), intOf(a!, r), intOf(b!, r)])),
  and: bitwise("And", "BitwiseAnd"),
  or: bitwise("Or", "BitwiseOr"),
  xor: bitwise("Xor", "BitwiseXor"),
  divI: ([a, b], r) => integer(quotient(intOf(a!, r), intOf(b!, r), r)),
  remI: ([a, b], r) => {
    const [x, y] = [intOf(a!, r), intOf(b!, r)];
    return integer(r.w.add("Sub", [x, r.w.add("Mul", [quotient(x, y, r), y])]));
  },
  roundF16: rounded("f16"),
  roundBF16: rounded("bf16"),
  roundE4M3: rounded("f8e4m3fn"),
  roundE5M2: rounded("f8e5m2"),
};

function rounded(dtype: DType): Special {
  return ([x], r) => floating(r.w.cast(r.w.cast(x!.name, r.float, dtype), dtype, r.float));
}

function bitwise(ofMasks: string, ofIntegers: string): Special {
  return ([a, b], r) => {
    const isMask = (lane: Lane): boolean =>
      lane.kind === "mask" || lane.integer === 0 || lane.integer === -1;
    const isLogical = isMask(a!) && isMask(b!) && (a!.kind === "mask" || b!.kind === "mask");
    if (isLogical) return { kind: "mask", name: r.w.add(ofMasks, [maskOf(a!, r), maskOf(b!, r)]) };
    if (r.w.opset < 18) throw new CannotExport("bitwise functions before opset 18");
    return integer(r.w.add(ofIntegers, [intOf(a!, r), intOf(b!, r)]));
  };
}

/** Toward zero; by 0 it is 0, and -1 only turns the sign. ONNX leaves both open, and processors stop at them. */
function quotient(a: string, b: string, r: Registers): string {
  const [zero, one] = [constant(r, r.int, 0), constant(r, r.int, 1)];
  const isZero = r.w.add("Equal", [b, zero]);
  const isMinusOne = r.w.add("Equal", [b, constant(r, r.int, -1)]);
  const isOpen = r.w.add("Or", [isZero, isMinusOne]);
  const whole = r.w.add("Div", [a, r.w.add("Where", [isOpen, one, b])]);
  const turned = r.w.add("Where", [isMinusOne, r.w.add("Sub", [zero, a]), whole]);
  return r.w.add("Where", [isZero, zero, turned]);
}

/** To integers, toward zero: beyond the ends the ends, NaN 0. ONNX leaves both open. */
function saturated(x: Lane, r: Registers): string {
  const bits = r.int === "i64" ? 63 : 31;
  const end = constant(r, r.float, 2 ** bits);
  const isNumber = r.w.add("Equal", [x.name, x.name]);
  const number = r.w.add("Where", [isNumber, x.name, constant(r, r.float, 0)]);
  const [most, least] =
    bits === 63
      ? [BigInt64Array.of(2n ** 63n - 1n), BigInt64Array.of(-(2n ** 63n))]
      : [Int32Array.of(2 ** 31 - 1), Int32Array.of(-(2 ** 31))];
  const limit = (data: Int32Array | BigInt64Array) =>
    r.w.constant({ dtype: r.int, shape: [], data });
  const isBelowEnd = r.w.add("Less", [number, end]);
  const low = r.w.add("Where", [isBelowEnd, r.w.cast(number, r.float, r.int), limit(most)]);
  const isBelowStart = r.w.add("Less", [number, constant(r, r.float, -(2 ** bits))]);
  return r.w.add("Where", [isBelowStart, limit(least), low]);
}
