/**
 * Products with weights of few bits (MatMulNBits) and lookups in tables of them (GatherBlockQuantized). Constant
 * codes become constants of a 4-bit type; how they are brought to numbers stands in the graph.
 */
import type { GraphBuilder } from "../ir/builder.js";
import { dimMul } from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import { unpackSubByte } from "../numerics/convert.js";
import { type DType, dtypes, isFloat } from "../numerics/dtype.js";
import { elementCount, type Tensor } from "../numerics/tensor.js";
import { operator, range, requiredInt } from "./helpers.js";
import { matrixProduct, matrixProductAs } from "./product.js";
import { dequantize, pairBlocks } from "./quantization.js";
import { Decline, type LowerContext, type OperatorRecord } from "./record.js";

const contrib = { domain: "com.microsoft", since: 1 };

/** Codes with the zero point that they have where none is given. */
interface Codes {
  readonly values: Value;
  readonly zero: Value | undefined;
}

/** Codes packed along the last axis, low bits first, as u4 (or u8 from bytes) with `count` along that axis. */
export function unpack(
  b: GraphBuilder,
  packed: Value,
  bits: number,
  count: Value["shape"][number],
): Value {
  if (bits === 8) return packed;
  const perByte = 8 / bits;
  const last = packed.shape.length - 1;
  const shape = [...packed.shape.slice(0, last), dimMul(packed.shape[last]!, perByte)];
  const codes =
    packed.data === undefined
      ? b.reshape(b.concat(bitFields(b, packed, bits), last + 1), shape)
      : b.constant(unpackConstant(packed.data, bits), packed.name);
  return b.sliceAxis(codes, last, 0, count);
}

function bitFields(b: GraphBuilder, packed: Value, bits: number): readonly Value[] {
  const column = b.unsqueeze(packed, [packed.shape.length]);
  return range(0, 8 / bits).map((i) =>
    b.map("u4", [column], (l, byte) =>
      l.and(l.shrU(byte!, l.constI(i * bits)), l.constI(2 ** bits - 1)),
    ),
  );
}

function unpackConstant(packed: Tensor, bits: number): Tensor {
  const perByte = 8 / bits;
  const shape = packed.shape.map((dim, i) => (i === packed.shape.length - 1 ? dim * perByte : dim));
  const unpacked = unpackSubByte(
    bits === 2 ? "u2" : "u4",
    packed.data as Uint8Array,
    elementCount(shape),
  );
  return { dtype: "u4", shape, data: unpacked };
}

/** Codes around the middle of their range: as signed codes where they are constant, which need no zero point. */
function centre(b: GraphBuilder, codes: Value, bits: number): Codes {
  const middle = 2 ** (bits - 1);
  if (codes.data === undefined) return { values: codes, zero: b.full(codes.dtype, middle) };
  const { shape, data } = codes.data;
  const signed = Int8Array.from(data as Uint8Array, (code) => code - middle);
  const dtype = codes.dtype === "u4" ? "i4" : "i8";
  return { values: b.constant({ dtype, shape, data: signed }, codes.name), zero: undefined };
}

/** Inputs: A, B [n, blocks, bytes], scales, zero points, group index of each row of B, bias. */
function lowerMatMulNBits(c: LowerContext): Value {
  const { b } = c;
  const x = c.input(0);
  const bits = c.int("bits", 4);
  const [n, k, blockSize] = ["N", "K", "block_size"].map((name) => requiredInt(c, name)) as [
    number,
    number,
    number,
  ];
  if (![2, 4, 8].includes(bits))
    c.invalid("L0108", `weights of ${bits} bits`, "2, 4 and 8 are known");
  const blocks = Math.ceil(k / blockSize);
  const codes = unpack(
    b,
    b.reshape(c.input(1), [n, blocks, (blockSize * bits) / 8]),
    bits,
    blockSize,
  );
  const scale = b.reshape(c.input(2), [n, blocks]);
  const form = { ...zeroPoints(c, codes, { n, blocks, bits }), scale };
  const weights = weightsOf(c, form, k);
  const product =
    weights.shape.length === 2
      ? matrixProduct(b, x, weights, { transposeW: true })
      : blockProduct(b, x, weights, k);
  const bias = c.inputs[5];
  if (bias === undefined) return b.cast(product, x.dtype);
  return b.map(x.dtype, [product, bias], (l, y, z) => l.add(y!, z!));
}

/**
 * x [.., k] times weights [n, blocks, block size]: positions inside a block vary fastest, as along k. Where the last
 * block is longer than what is left of k, x has zeros there.
 */
function blockProduct(b: GraphBuilder, x: Value, weights: Value, k: number): Value {
  const lead = x.shape.slice(0, -1);
  const rows = "abcdefgh".slice(0, lead.length);
  const [blocks, blockSize] = weights.shape.slice(1) as readonly number[];
  const none = x.shape.map(() => 0);
  const whole = b.pad(x, none, [...none.slice(1), blocks! * blockSize! - k], 0);
  const inBlocks = b.reshape(whole, [...lead, blocks!, blockSize!]);
  const labels = { a: `${rows}ij`, b: "nij", out: `${rows}n`, order: "ji" };
  return b.contract(inBlocks, weights, labels);
}

/** The zero points [n, blocks] of codes [n, blocks, block size]; packed like the codes if they are bytes. */
function zeroPoints(
  c: LowerContext,
  codes: Value,
  { n, blocks, bits }: { n: number; blocks: number; bits: number },
): Codes {
  const given = c.inputs[3];
  if (given === undefined) return centre(c.b, codes, bits);
  if (isFloat(given.dtype)) return { values: codes, zero: c.b.reshape(given, [n, blocks]) };
  const packed = c.b.reshape(given, [n, Math.ceil((blocks * bits) / 8)]);
  return { values: codes, zero: unpack(c.b, packed, bits, blocks) };
}

/** Weights in fp32, (code - zero point) * scale: [n, blocks, block size], or [n, k] where a group index is given. */
function weightsOf(
  c: LowerContext,
  { values, zero, scale }: Codes & { scale: Value },
  k: number,
): Value {
  const { b } = c;
  const [n, blocks, blockSize] = values.shape as readonly number[];
  const whole = blocks! * blockSize!;
  const groups = c.inputs[4];
  const flat = (x: Value) => b.sliceAxis(b.reshape(x, [n!, whole]), 1, 0, k);
  if (groups === undefined) {
    const along = (p: Value) => (p.shape.length === 0 ? p : b.unsqueeze(p, [2]));
    return toNumbers(b, values, along(scale), zero === undefined ? undefined : along(zero));
  }
  const index = b.sliceAxis(groups, 0, 0, k);
  const along = (p: Value) => (p.shape.length === 0 ? p : b.gather(p, index, 1));
  return toNumbers(b, flat(values), along(scale), zero === undefined ? undefined : along(zero));
}

function toNumbers(b: GraphBuilder, codes: Value, scale: Value, zero: Value | undefined): Value {
  if (zero === undefined || !isFloat(zero.dtype)) return dequantize(b, codes, scale, zero, "f32");
  return b.map("f32", [codes, scale, zero], (l, q, s, z) => l.mul(l.sub(l.toF(q!), z!), s!), {
    keep: true,
  });
}

/** Inputs: data, indices, scales, zero points. Bytes hold two codes each where `bits` is 4. */
function lowerGatherBlockQuantized(c: LowerContext): Value {
  const { b } = c;
  const [data, indices, scales] = [c.input(0), c.input(1), c.input(2)];
  const rank = data.shape.length;
  const gatherAxis = c.axis(c.int("gather_axis", 0), rank);
  const quantizeAxis = c.axis(c.int("quantize_axis", 1), rank);
  const blockSize = c.int("block_size", 128);
  const bits = dtypes[data.dtype].bits === 8 ? c.int("bits", 4) : 4;
  const bytes = data.dtype === "u8";
  const opened = (x: Value, count: Value["shape"][number]) =>
    bytes ? unpack(b, x, bits, count) : x;
  const codes = opened(data, dimMul(data.shape[rank - 1]!, bytes ? 8 / bits : 1));
  const given = c.inputs[3];
  const middle = bytes ? b.full(codes.dtype as DType, 2 ** (bits - 1)) : undefined;
  const zero = given === undefined ? undefined : opened(given, scales.shape[rank - 1]!);
  const lookup = (x: Value) => b.gather(x, indices, gatherAxis);
  const axis = quantizeAxis > gatherAxis ? quantizeAxis + indices.shape.length - 1 : quantizeAxis;
  const rows = { x: lookup(codes), scale: lookup(scales), zero: zero && lookup(zero) };
  const paired = pairBlocks(c, rows, { axis, blockSize });
  const numbers = dequantize(b, paired.x, paired.scale, paired.zero ?? middle, scales.dtype);
  return b.reshape(numbers, rows.x.shape);
}

/** What the codes of FP4 and NF4 stand for, in parts of a block's largest magnitude. */
const magnitudes = [0, 1 / 192, 2 / 3, 1, 1 / 3, 1 / 2, 1 / 6, 1 / 4];
const levels = [
  [...magnitudes, ...magnitudes.map((x) => -x)],
  [
    -1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635,
    -0.18477343022823334, -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
    0.24611230194568634, 0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
    0.7229568362236023, 1,
  ],
];

/** Inputs: A, codes two in a byte (the high bits first), the largest magnitude of each block. */
function lowerMatMulBnb4(c: LowerContext): Value {
  const { b } = c;
  const [n, k, blockSize] = ["N", "K", "block_size"].map((name) => requiredInt(c, name)) as [
    number,
    number,
    number,
  ];
  if (c.int("transB", 1) === 0)
    throw new Decline("a product with untransposed weights is for training");
  const table = levels[requiredInt(c, "quant_type")];
  if (table === undefined) return c.invalid("L0108", "quant_type is neither 0 (FP4) nor 1 (NF4)");
  const packed = c.knownTensor(1, "the weights").data as Uint8Array;
  const numbers = Float32Array.from({ length: n * k }, (_, i) => {
    const byte = packed[i >> 1] ?? 0;
    return table[i % 2 === 0 ? byte >> 4 : byte & 15]!;
  });
  const level = b.constant({ dtype: "f32", shape: [n * k], data: numbers });
  const blocks = b.iota("i32", [n * k], 0);
  const block = b.map("i32", [blocks], (l, i) => l.divI(i!, l.constI(blockSize)));
  const largest = b.gather(b.reshape(c.input(2), [Math.ceil((n * k) / blockSize)]), block, 0);
  const weights = b.map("f32", [level, largest], (l, x, s) => l.mul(x!, s!));
  const matrix = b.reshape(weights, [n, k]);
  return matrixProductAs(b, c.input(0).dtype, c.input(0), matrix, { transposeW: true });
}

export const weightOnlyOperators: readonly OperatorRecord[] = [
  operator("MatMulNBits", { ...contrib, ranks: ["1+"] }, lowerMatMulNBits),
  operator("MatMulBnb4", { ...contrib, ranks: ["1+", 1, 1] }, lowerMatMulBnb4),
  operator("GatherBlockQuantized", contrib, lowerGatherBlockQuantized),
];
