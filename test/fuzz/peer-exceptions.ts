/** Where ONNX Runtime's result says nothing about ours: ONNX leaves it open, or ONNX Runtime is known to be wrong. */
import { decodeNumbers } from "../../src/numerics/convert.js";
import { type DType, dtypes, isFloat } from "../../src/numerics/dtype.js";
import type { Tensor } from "../../src/numerics/tensor.js";
import type { NodeProto } from "../../src/onnx/schema.js";
import { findOperator } from "../../src/ops/table.js";

export interface Asked {
  readonly operator: string;
  readonly proto: NodeProto;
  /** Version of its domain. */
  readonly opset: number;
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
    applies: ({ operator, read: [, axes] }) =>
      operator === "Squeeze" && axes !== undefined && isEmpty(axes),
  },
  {
    why: "it does not crop what strides longer than the kernel leave at the end",
    applies: ({ operator, proto: { attribute } }) =>
      operator === "ConvTranspose" &&
      attribute.some(({ name, s }) => name === "auto_pad" && decoder.decode(s).startsWith("SAME")),
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
    applies: ({ operator, read: [base, exponent] }) =>
      operator === "Pow" &&
      !isFloat(base!.dtype) &&
      decodeNumbers(exponent!.dtype, exponent!.data).some((value) => value < 0),
  },
  {
    why: "a negative number as an unsigned one is not defined",
    applies: ({ operator, read: [from], made }) =>
      operator.startsWith("Cast") &&
      made.some(({ dtype }) => dtypes[dtype].kind === "uint") &&
      isFloat(from!.dtype) &&
      decodeNumbers(from!.dtype, from!.data).some((value) => value < 0),
  },
  {
    why: "the digits of a number as text are not defined",
    applies: ({ operator, read: [from], made }) =>
      operator.startsWith("Cast") && isFloat(from!.dtype) && made.some(isOf("string")),
  },
];

/** Why it is not asked about this node; undefined if it is. */
export function reasonNotToAsk(asked: Asked): string | undefined {
  return exceptions.find(({ applies }) => applies(asked))?.why;
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
