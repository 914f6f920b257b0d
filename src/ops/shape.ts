/**
 * Operators about shapes and the ones that make tensors out of nothing: Shape, Constant, Range and kin.
 * What rearranges the elements of a tensor is in `movement.ts`.
 */
import { decodeElement, encodeArray } from "../numerics/convert.js";
import { type DType, isFloat } from "../numerics/dtype.js";
import type { Tensor, TensorData } from "../numerics/tensor.js";
import {
  type Dim,
  dimCeilDiv,
  dimMax,
  dimMin,
  dimMul,
  dimProduct,
  dimSub,
  staticDim,
} from "../ir/dim.js";
import type { Value } from "../ir/graph.js";
import type { AttributeValue } from "../ir/onnx-node.js";
import { computeType, operator, optionalDtypeAttribute } from "./helpers.js";
import type { LowerContext, OperatorRecord } from "./record.js";

export const shapeOperators: readonly OperatorRecord[] = [
  operator("Shape", 1, (c) => {
    const { shape } = c.input(0);
    return c.b.dims(shape.slice(c.int("start", 0), c.int("end")));
  }),
  operator("Size", 1, (c) => c.b.dims([dimProduct(c.input(0).shape)], { scalar: true })),
  operator("Constant", 1, (c) => c.b.constant(constantTensor(c))),
  operator("ConstantOfShape", 9, (c) => {
    const shape = c.knownDims(0, "the shape") ?? c.invalid("L0201", "the shape is missing");
    const fill = c.tensor("value") ?? { dtype: "f32", shape: [1], data: new Float32Array(1) };
    return c.b.broadcast(c.b.constant({ ...fill, shape: [] }), shape);
  }),
  operator("EyeLike", 9, eyeLike),
  operator("Range", 11, range),
];

function constantTensor(c: LowerContext): Tensor {
  for (const [name, attribute] of c.node.attributes) {
    const tensor = tensorOf(attribute);
    if (tensor !== undefined) return tensor;
    return c.invalid("L0108", `a constant cannot be given by the attribute "${name}"`);
  }
  return c.invalid("L0108", "a constant needs an attribute with its value");
}

function tensorOf(attribute: AttributeValue): Tensor | undefined {
  const vector = (dtype: DType, data: TensorData): Tensor => ({
    dtype,
    shape: [data.length],
    data,
  });
  switch (attribute.kind) {
    case "tensor":
      return attribute.value;
    case "int":
      return { ...vector("i64", BigInt64Array.of(attribute.value)), shape: [] };
    case "float":
      return { ...vector("f32", Float32Array.of(attribute.value)), shape: [] };
    case "string":
      return { ...vector("string", [attribute.value]), shape: [] };
    case "ints":
      return vector("i64", BigInt64Array.from(attribute.value));
    case "floats":
      return vector("f32", Float32Array.from(attribute.value));
    case "strings":
      return vector("string", [...attribute.value]);
    case "tensors":
    case "graph":
      return undefined;
    default:
      return attribute satisfies never;
  }
}

/** 1 where the column is the row plus k. */
function eyeLike(c: LowerContext): Value {
  const { shape, dtype } = c.input(0);
  if (shape.length !== 2) c.invalid("L0201", `the input has rank ${shape.length}, not 2`);
  const k = c.int("k", 0);
  const rows = c.b.iota("i32", [shape[0]!, 1], 0);
  const columns = c.b.iota("i32", [1, shape[1]!], 1);
  const isOne = c.b.map("bool", [rows, columns], (l, row, column) =>
    l.eqI(l.addI(row!, l.constI(k)), column!),
  );
  return c.b.cast(isOne, optionalDtypeAttribute(c, "dtype") ?? dtype);
}

function range(c: LowerContext): Value {
  const [start, delta] = [c.input(0), c.input(2)];
  const { dtype } = start;
  const isKnown = [0, 1, 2].every((i) => c.constant(i) !== undefined);
  const length = isKnown || isFloat(dtype) ? constantLength(c) : symbolicLength(c);
  if (dtype === "i64" || dtype === "i32") {
    const index = c.b.iota(dtype, [length], 0);
    return c.b.map(dtype, [index, start, delta], (l, i, from, by) =>
      l.addI(l.mulI(i!, by!), from!),
    );
  }
  const index = c.b.cast(c.b.iota("i32", [length], 0), computeType(dtype));
  return c.b.map(dtype, [index, start, delta], (l, i, from, by) =>
    from!.type === "i32" ? l.addI(l.mulI(l.toI(i!), by!), from!) : l.add(l.mul(i!, by!), from!),
  );
}

function constantLength(c: LowerContext): number {
  const [start, limit, delta] = [0, 1, 2].map((i) => c.knownTensor(i, "the range")) as [
    Tensor,
    Tensor,
    Tensor,
  ];
  const [from, to, by] = [start, limit, delta].map((x) => decodeElement(x.dtype, x.data, 0));
  // The distance is rounded to the operands' type, as the definition's subtraction is.
  const distance = decodeElement(start.dtype, encodeArray(start.dtype, [to! - from!]), 0);
  const length = Math.max(0, Math.ceil(distance / by!));
  if (!Number.isFinite(length)) c.invalid("L0201", `no range goes from ${from} to ${to} by ${by}`);
  return length;
}

/** ceil((limit - start) / delta), at least 0. */
function symbolicLength(c: LowerContext): Dim {
  const [start, limit, delta] = [0, 1, 2].map((i) => {
    const dims = c.knownDims(i, "the range");
    return dims?.[0] ?? c.invalid("L0201", `input ${i} is no scalar`);
  });
  const step = staticDim(delta!, "it is the step of a Range");
  if (step === 0) c.invalid("L0201", "the step is 0");
  const distance = dimMul(dimSub(limit!, start!), Math.sign(step));
  if (dimMax(distance) <= 0) return 0;
  if (dimMin(distance) < 0) staticDim(distance, "a Range may be empty, depending on it");
  return dimCeilDiv(distance, Math.abs(step));
}
