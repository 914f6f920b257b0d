/** Where ONNX Runtime's result says nothing about ours: ONNX leaves it open, or ONNX Runtime is known to be wrong. */
import { decodeNumbers } from "../../src/numerics/convert.js";
import { type DType, dtypes, isFloat } from "../../src/numerics/dtype.js";
import { rowMajorStrides, type Tensor } from "../../src/numerics/tensor.js";
import type { NodeProto } from "../../src/onnx/schema.js";
import { findOperator } from "../../src/ops/table.js";

export interface Asked {
  readonly operator: string;
  readonly proto: NodeProto;
  /** Version of its domain. */
  readonly opset: number;
  /** By position; undefined where it is left out or no tensor. */
  readonly inputs: readonly (Tensor | undefined)[];
  /** Tensors that it reads, in sequences too. */
  readonly read: readonly Tensor[];
  readonly made: readonly Tensor[];
}

interface Exception {
  readonly why: string;
  readonly applies: (asked: Asked) => boolean;
}

/** Above it, sums leave the integers that floats hold, and squares the range of halves. */
const tameMax = 70_000;

/** Those where the length of the result stands in the formula. */
const cornerModes: ReadonlySet<string> = new Set(["align_corners", "tf_crop_and_resize"]);

const flags: ReadonlySet<string> = new Set(["keepdims", "exclusive", "reverse"]);

const decoder = new TextDecoder();

const exceptions: readonly Exception[] = [
  {
    why: "random numbers",
    applies: ({ proto: { domain = "", opType = "" }, opset }) =>
      findOperator(domain, opType, opset)?.isRandom === true,
  },
  {
    why: "values that make it divide by zero, overflow, or meet a NaN",
    applies: ({ read }) => !read.every(isTame),
  },
  {
    why: "it keeps reduced axes that have no elements",
    applies: ({ operator, read }) => /^(Reduce|Arg)/.test(operator) && read.some(isEmpty),
  },
  {
    why: "no axes to squeeze are all axes to it",
    applies: ({ operator, inputs: [, axes] }) =>
      operator === "Squeeze" && axes !== undefined && isEmpty(axes),
  },
  {
    why: "it does not crop what strides longer than the kernel leave at the end",
    applies: ({ operator, proto }) => operator === "ConvTranspose" && isSame(proto),
  },
  {
    why: "it crops at the beginning where strides leave elements out",
    applies: (asked) => /Conv|Pool/.test(asked.operator) && isSame(asked.proto) && hasGaps(asked),
  },
  {
    why: "it pads as if windows had no dilations",
    applies: ({ operator, proto }) =>
      operator.endsWith("Pool") && isSame(proto) && ints(proto, "dilations").some((n) => n !== 1),
  },
  {
    why: "it leaves unwritten what is more than once round from the beginning",
    applies: ({ operator, proto, inputs }) =>
      operator.endsWith("Pad") && text(proto, "mode") === "wrap" && wrapsTwice(inputs),
  },
  {
    why: "it copies only the first of the strings that a position stands for",
    applies: ({ operator, proto, inputs: [x] }) =>
      operator === "Gather" && x!.dtype === "string" && rowLength(x!, int(proto, "axis", 0)) > 1,
  },
  {
    why: "it divides nothing by nothing, without the epsilon of the function that ONNX gives",
    applies: ({ operator, proto, inputs: [x] }) =>
      operator === "MeanVarianceNormalization" &&
      slicesOf(x!, ints(proto, "axes", [0, 2, 3])).some(isFlat),
  },
  {
    why: "it squares integers in their own type",
    applies: ({ operator, proto, inputs: [x] }) =>
      operator.endsWith("Normalizer") &&
      text(proto, "norm") === "L2" &&
      x!.dtype === "i32" &&
      slicesOf(x!, [-1]).some((row) => sumOfSquares(row) >= 2 ** 31),
  },
  {
    why: "of two classes that have votes it looks at the second alone",
    applies: ({ operator, proto }) =>
      operator === "ai.onnx.ml::TreeEnsembleClassifier" &&
      classesOf(proto) === 2 &&
      (new Set(ints(proto, "class_ids")).size === 2 ||
        attributeOf(proto, "base_values")?.floats.length === 2),
  },
  {
    why: "a class that no leaf has voted for loses to one below zero",
    applies: ({ operator, proto }) =>
      operator === "ai.onnx.ml::TreeEnsembleClassifier" &&
      isPartialVote(proto) &&
      ["class_weights", "base_values"].some((name) =>
        attributeOf(proto, name)?.floats.some((value) => value < 0),
      ),
  },
  {
    why: "it lets a query that comes alone see all keys where there are past ones",
    applies: ({ operator, proto, inputs: [query, , , , past] }) =>
      operator === "Attention" &&
      int(proto, "is_causal", 0) !== 0 &&
      past !== undefined &&
      query!.shape.at(-2) === 1,
  },
  {
    why: "it makes codes of what the layer reads",
    applies: ({ operator }) => operator === "com.microsoft::DynamicQuantizeLSTM",
  },
  {
    why: "it normalizes the weights of experts even if it shall not",
    applies: ({ operator, proto }) =>
      operator === "com.microsoft::QMoE" && int(proto, "normalize_routing_weights", 0) === 0,
  },
  {
    why: "it rounds the length that corners are aligned in, ONNX's tests do not",
    applies: ({ operator, proto, inputs: [x, , scales] }) =>
      operator === "Resize" &&
      cornerModes.has(text(proto, "coordinate_transformation_mode")) &&
      hasPartialLength(x!, scales, ints(proto, "axes")),
  },
  {
    why: "it rounds every term of the sum",
    applies: ({ operator, read }) =>
      operator.startsWith("ReduceLogSum") && read.some(({ dtype }) => !isFloat(dtype)),
  },
  {
    why: "a flag that is neither 0 nor 1",
    applies: ({ proto: { attribute } }) =>
      attribute.some(({ name = "", i = 0n }) => flags.has(name) && i !== 0n && i !== 1n),
  },
  {
    why: "integers do not hold what a negative power of them is",
    applies: ({ operator, inputs: [base, exponent] }) =>
      operator === "Pow" &&
      !isFloat(base!.dtype) &&
      decodeNumbers(exponent!.dtype, exponent!.data).some((value) => value < 0),
  },
  {
    why: "it raises integers as doubles, which hold fewer of them, and what does not fit is not defined",
    applies: ({ operator, inputs: [base, exponent] }) =>
      operator === "Pow" &&
      !isFloat(base!.dtype) &&
      largestPower(base!, exponent!) >= Math.min(2 ** (dtypes[base!.dtype].bits - 1), 2 ** 53),
  },
  {
    why: "a product that its type does not hold is not defined",
    applies: ({ operator, inputs: [x] }) =>
      operator === "ReduceProd" && !isFloat(x!.dtype) && sumOfBits(x!) > 31,
  },
  {
    why: "a negative number as an unsigned one is not defined",
    applies: ({ operator, inputs: [from], made }) =>
      operator.startsWith("Cast") &&
      made.some(({ dtype }) => dtypes[dtype].kind === "uint") &&
      isFloat(from!.dtype) &&
      decodeNumbers(from!.dtype, from!.data).some((value) => value < 0),
  },
  {
    why: "the digits of a number as text are not defined",
    applies: ({ operator, inputs: [from], made }) =>
      operator.startsWith("Cast") && isFloat(from!.dtype) && made.some(isOf("string")),
  },
];

/** Why it is not asked about this node; undefined if it is. */
export function reasonNotToAsk(asked: Asked): string | undefined {
  return exceptions.find(({ applies }) => applies(asked))?.why;
}

function attributeOf({ attribute }: NodeProto, wanted: string) {
  return attribute.find(({ name }) => name === wanted);
}

function text(proto: NodeProto, name: string): string {
  return decoder.decode(attributeOf(proto, name)?.s);
}

function int(proto: NodeProto, name: string, otherwise: number): number {
  return Number(attributeOf(proto, name)?.i ?? otherwise);
}

function ints(proto: NodeProto, name: string, otherwise: readonly number[] = []) {
  return attributeOf(proto, name)?.ints.map(Number) ?? otherwise;
}

function isSame(proto: NodeProto): boolean {
  return text(proto, "auto_pad").startsWith("SAME");
}

/** Whether windows of a convolution or pool may leave two elements out between them. */
function hasGaps({ proto, inputs: [x, ...rest] }: Asked): boolean {
  const weights = rest.find((input) => input?.shape.length === x!.shape.length);
  const sizes = ints(proto, "kernel_shape", weights?.shape.slice(2));
  const dilations = ints(proto, "dilations");
  return ints(proto, "strides").some(
    (stride, i) => stride > ((sizes[i] ?? 1) - 1) * (dilations[i] ?? 1) + 2,
  );
}

/** Whether a padding before an axis is longer than what is left of the axis once negative ones have cropped it. */
function wrapsTwice([x, pads, , given]: Asked["inputs"]): boolean {
  const axes = given === undefined ? x!.shape.map((_, axis) => axis) : numbersIn(given);
  const amounts = numbersIn(pads!);
  return axes.some((axis, i) => {
    const [low, high] = [amounts[i]!, amounts[axes.length + i]!];
    return low > x!.shape.at(axis)! + Math.min(0, high);
  });
}

/** Elements that one position of the axis stands for. */
function rowLength({ shape }: Tensor, axis: number): number {
  return rowMajorStrides(shape).at(axis)!;
}

/** What is normalized together. */
function slicesOf({ dtype, shape, data }: Tensor, axes: readonly number[]): readonly number[][] {
  const strides = rowMajorStrides(shape);
  const kept = shape.map((_, axis) => !axes.includes(axis) && !axes.includes(axis - shape.length));
  const slices = new Map<number, number[]>();
  for (const [index, value] of decodeNumbers(dtype, data).entries()) {
    let slice = 0;
    for (const [axis, stride] of strides.entries()) {
      if (kept[axis]) slice += (Math.floor(index / stride) % shape[axis]!) * stride;
    }
    const values = slices.get(slice) ?? [];
    slices.set(slice, values);
    values.push(value);
  }
  return [...slices.values()];
}

/** Values that are equal but for what rounding may have made of them. */
function isFlat(values: readonly number[]): boolean {
  const least = values.reduce((a, b) => Math.min(a, b));
  const most = values.reduce((a, b) => Math.max(a, b));
  return most - least <= 1e-5 * Math.max(Math.abs(least), Math.abs(most));
}

function sumOfSquares(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value * value, 0);
}

function classesOf(proto: NodeProto): number {
  const names = attributeOf(proto, "classlabels_strings")?.strings ?? [];
  return Math.max(names.length, ints(proto, "classlabels_int64s").length);
}

/** Whether a leaf of a classifier votes for some classes only. */
function isPartialVote(proto: NodeProto): boolean {
  const [trees, ids] = ["class_treeids", "class_nodeids"].map((name) => ints(proto, name));
  const leaves = new Set(trees!.map((tree, i) => `${tree} ${ids![i]}`));
  return leaves.size * classesOf(proto) > trees!.length;
}

function hasPartialLength(
  { shape }: Tensor,
  scales: Tensor | undefined,
  axes: readonly number[],
): boolean {
  if (scales === undefined) return false;
  return numbersIn(scales).some((scale, i) => !Number.isInteger(scale * shape.at(axes[i] ?? i)!));
}

function numbersIn({ dtype, data }: Tensor): readonly number[] {
  return Array.from(decodeNumbers(dtype, data));
}

/** Of the largest magnitudes; no smaller than that of any pair of elements. */
function largestPower(base: Tensor, exponent: Tensor): number {
  const [most, times] = [base, exponent].map((tensor) =>
    numbersIn(tensor).reduce((a, b) => Math.max(a, Math.abs(b)), 0),
  );
  return most! ** times!;
}

function isTame({ dtype, data }: Tensor): boolean {
  if (dtype === "string") return true;
  return decodeNumbers(dtype, data).every((value) => Math.abs(value) <= tameMax);
}

function isEmpty({ data }: Tensor): boolean {
  return data.length === 0;
}

function isOf(type: DType): (tensor: Tensor) => boolean {
  return ({ dtype }) => dtype === type;
}

/** How many bits the product of all elements but zeros may have. */
function sumOfBits({ dtype, data }: Tensor): number {
  return Array.from(decodeNumbers(dtype, data)).reduce(
    (bits, value) => bits + Math.log2(Math.max(1, Math.abs(value))),
    0,
  );
}
