/** Gather and scatter on tensors of any type: what indexes with data. */
import { decodeElement, encodeArray } from "../../numerics/convert.js";
import { type DType, dtypes } from "../../numerics/dtype.js";
import {
  elementCount,
  rowMajorStrides,
  type Tensor,
  type TensorData,
} from "../../numerics/tensor.js";
import { fail } from "../../support/diagnostic.js";
import { allocate } from "./movement.js";
import type { ScatterOperation } from "../graph.js";

export function gatherTensor(
  data: Tensor,
  indices: Tensor,
  axis: number,
  shape: readonly number[],
): Tensor {
  const extent = data.shape[axis]!;
  const inner = elementCount(data.shape.slice(axis + 1));
  const outer = elementCount(data.shape.slice(0, axis));
  const result = allocate(data.dtype, elementCount(shape));
  // Where nothing is read, no index is looked at: the device does not even launch.
  if (result.length === 0) return { dtype: data.dtype, shape, data: result };
  const rows = resolveIndices(indices, extent);
  let to = 0;
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < rows.length; i++, to += inner) {
      copyElements(data.data, (o * extent + rows[i]!) * inner, result, to, inner);
    }
  }
  return { dtype: data.dtype, shape, data: result };
}

function copyElements(
  from: TensorData,
  fromStart: number,
  to: TensorData,
  toStart: number,
  count: number,
): void {
  if (count > 16 && !Array.isArray(from) && !Array.isArray(to)) {
    to.set(from.subarray(fromStart, fromStart + count) as never, toStart);
  } else for (let i = 0; i < count; i++) to[toStart + i] = from[fromStart + i]!;
}

/** Negative ones counted from the end; out of range is the user's mistake. */
function resolveIndices(indices: Tensor, extent: number): Int32Array {
  const { data } = indices;
  const rows = new Int32Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const index = Number(data[i]);
    if (index < -extent || index >= extent) {
      fail("L0604", `index ${index} is out of range for an axis of ${extent}`);
    }
    rows[i] = index < 0 ? index + extent : index;
  }
  return rows;
}

export function scatterTensor(
  data: Tensor,
  indices: Tensor,
  updates: Tensor,
  { axis, combine }: ScatterOperation,
): Tensor {
  const result = data.data.slice();
  const strides = rowMajorStrides(data.shape);
  const rows = resolveIndices(indices, data.shape[axis]!);
  const put = combiner(data.dtype, combine);
  const position = new Array<number>(data.shape.length).fill(0);
  for (let p = 0; p < rows.length; p++) {
    let to = 0;
    for (let a = 0; a < position.length; a++) {
      to += (a === axis ? rows[p]! : position[a]!) * strides[a]!;
    }
    put(result, to, updates.data, p);
    for (let a = position.length - 1; a >= 0; a--) {
      if (++position[a]! < indices.shape[a]!) break;
      position[a] = 0;
    }
  }
  return { dtype: data.dtype, shape: data.shape, data: result };
}

type Combine = (target: TensorData, at: number, updates: TensorData, from: number) => void;

/** Each update is rounded to the type of the data, as memory holds it. */
function combiner(dtype: DType, combine: ScatterOperation["combine"]): Combine {
  if (combine === "assign") return (target, at, updates, from) => (target[at] = updates[from]!);
  if (dtypes[dtype].bits === 64 && dtypes[dtype].kind !== "float") {
    const both = bigCombines[combine];
    return (target, at, updates, from) => {
      target[at] = both(target[at] as bigint, updates[from] as bigint);
    };
  }
  const both = dtypes[dtype].kind === "float" ? floatCombines[combine] : intCombines[combine];
  return (target, at, updates, from) => {
    const value = both(decodeElement(dtype, target, at), decodeElement(dtype, updates, from));
    target[at] = encodeArray(dtype, [value])[0]!;
  };
}

const floatCombines = {
  add: (a: number, b: number) => a + b,
  mul: (a: number, b: number) => a * b,
  min: Math.min,
  max: Math.max,
};

const intCombines = { ...floatCombines, mul: Math.imul };

const bigCombines = {
  add: (a: bigint, b: bigint) => a + b,
  mul: (a: bigint, b: bigint) => a * b,
  min: (a: bigint, b: bigint) => (a < b ? a : b),
  max: (a: bigint, b: bigint) => (a > b ? a : b),
};
