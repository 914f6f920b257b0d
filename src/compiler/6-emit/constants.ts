/** Contents of constant buffers: a tensor's elements in the order that its readers walk them. */
import { allocateData, bytesFromData } from "../../numerics/convert.js";
import { rowMajorStrides, type Tensor, type TensorData } from "../../numerics/tensor.js";
import { InternalError } from "../../support/diagnostic.js";

/** `order`: the tensor's dims, outermost in memory first. */
export function encodeConstant(tensor: Tensor, order: readonly number[]): Uint8Array {
  return bytesFromData(tensor.dtype, permute(tensor, order));
}

function permute(tensor: Tensor, order: readonly number[]): TensorData {
  if (order.every((dim, i) => dim === i)) return tensor.data;
  const { data, dtype, shape } = tensor;
  if (Array.isArray(data)) throw new InternalError("a constant of strings on the device");
  const strides = rowMajorStrides(shape);
  const extents = order.map((dim) => shape[dim]!);
  const steps = order.map((dim) => strides[dim]!);
  const result = allocateData(dtype, data.length);
  const index = extents.map(() => 0);
  const inner = extents.at(-1) ?? 1;
  const step = steps.at(-1) ?? 1;
  let from = 0;
  for (let to = 0; to < data.length; to += inner) {
    for (let i = 0; i < inner; i++) result[to + i] = data[from + i * step] as never;
    for (let axis = extents.length - 2; axis >= 0; axis--) {
      from += steps[axis]!;
      if (++index[axis]! < extents[axis]!) break;
      from -= steps[axis]! * extents[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}
