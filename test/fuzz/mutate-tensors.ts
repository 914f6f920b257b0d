/** Mutations of initializers and constants: types, shapes and data that do not fit, and data that is hostile. */
import { dataFromBytes } from "../../src/numerics/convert.js";
import { isFloat } from "../../src/numerics/dtype.js";
import { elementCount } from "../../src/numerics/tensor.js";
import { dtypeFromOnnx } from "../../src/onnx/dtypes.js";
import type { TensorProto } from "../../src/onnx/schema.js";
import { tensorToProto } from "../../src/onnx/tensor.js";
import type { Random } from "../support/random.js";
import { changeOne, changeTensor, withGraph, without } from "./edit.js";
import { tensorOf } from "./inputs.js";
import type { Mutation } from "./mutate.js";

const extents = [0, 1, 2, 3, 5, 17, 64, -1, 65536, 2 ** 31, 2 ** 32, 2 ** 40, 2 ** 53, 2 ** 62];

export const tensorMutations: Readonly<Record<string, Mutation>> = {
  otherType: (model, r) =>
    changeTensor(model, r, (tensor) => ({ ...tensor, dataType: r.integer(0, 27) })),
  otherExtent: (model, r) =>
    changeTensor(model, r, (tensor) => ({
      ...tensor,
      dims: changeOne(tensor.dims, r, () => r.pick(extents)),
    })),
  /** The data has the new shape's size. */
  otherShape: (model, r) => changeTensor(model, r, (tensor) => reshaped(tensor, r)),
  converted: (model, r) => changeTensor(model, r, (tensor) => remade(tensor, r, r.integer(1, 26))),
  hostileData: (model, r) => changeTensor(model, r, (tensor) => remade(tensor, r)),
  sameInTypedFields: (model, r) => changeTensor(model, r, typedFields),
  truncate: (model, r) =>
    changeTensor(model, r, (tensor) => ({
      ...tensor,
      rawData: tensor.rawData?.slice(0, r.integer(0, tensor.rawData.length)) ?? new Uint8Array(3),
    })),
  noData: (model, r) =>
    changeTensor(model, r, ({ name = "", dims, dataType = 0 }) => ({
      ...emptyTensor,
      name,
      dims,
      dataType,
    })),
  elsewhere: (model, r) =>
    changeTensor(model, r, (tensor) => ({
      ...tensor,
      dataLocation: r.pick([0, 1, 2]),
      externalData: [{ key: "location", value: r.pick(["weights.bin", "../../etc/passwd", ""]) }],
    })),
  dropInitializer: (model, r) =>
    withGraph(model, { initializer: without(model.graph.initializer, r) }),
  repeatInitializer: (model) =>
    withGraph(model, {
      initializer: [...model.graph.initializer, ...model.graph.initializer.slice(0, 1)],
    }),
  rename: (model, r) =>
    changeTensor(model, r, (tensor) => ({ ...tensor, name: r.pick(["", "w"]) })),
};

const emptyTensor: TensorProto = {
  dims: [],
  floatData: new Float32Array(0),
  int32Data: new Int32Array(0),
  stringData: [],
  int64Data: new BigInt64Array(0),
  doubleData: new Float64Array(0),
  uint64Data: new BigUint64Array(0),
  externalData: [],
};

/** Random data of the same shape, in this type or another; too large ones stay as they are. */
function remade(tensor: TensorProto, r: Random, dataType = tensor.dataType ?? 0): TensorProto {
  const dtype = dtypeFromOnnx(dataType);
  const count = elementCount(tensor.dims);
  if (dtype === undefined || !(count >= 0 && count <= 2 ** 16)) return tensor;
  const temper = dataType === tensor.dataType ? r.pick(["odd", "zero"] as const) : "tame";
  return protoOf(tensorToProto(tensorOf(r, dtype, tensor.dims, temper), tensor.name), tensor);
}

function reshaped(tensor: TensorProto, r: Random): TensorProto {
  const dims = r.chance(0.5)
    ? changeOne(tensor.dims, r, () => r.pick([0, 1, 2, 3, 5]))
    : r.pick([tensor.dims.slice(1), [...tensor.dims, 1], [1, ...tensor.dims], []]);
  return remade({ ...tensor, dims }, r);
}

/** The same values in the fields for numbers, where the type has one of its own. */
function typedFields(tensor: TensorProto): TensorProto {
  const dtype = dtypeFromOnnx(tensor.dataType ?? 0);
  if (tensor.rawData === undefined || dtype === undefined || dtype === "string") return tensor;
  const { rawData, ...rest } = tensor;
  const count = elementCount(tensor.dims);
  if (rawData.length > 2 ** 16) return tensor;
  try {
    const data = dataFromBytes(dtype, rawData, count);
    if (data instanceof Float32Array) return { ...rest, floatData: data };
    if (data instanceof Float64Array) return { ...rest, doubleData: data };
    if (data instanceof BigInt64Array) return { ...rest, int64Data: data };
    if (data instanceof BigUint64Array) return { ...rest, uint64Data: data };
    return isFloat(dtype) ? { ...rest, int32Data: Int32Array.from(data) } : tensor;
  } catch {
    return tensor;
  }
}

function protoOf(made: ReturnType<typeof tensorToProto>, tensor: TensorProto): TensorProto {
  const { dims, dataType, stringData = [], rawData } = made as TensorProto;
  const name = tensor.name ?? "";
  const head: TensorProto = { ...emptyTensor, dims, dataType: dataType!, stringData, name };
  return rawData === undefined ? head : { ...head, rawData };
}
