/**
 * Contraction on tensors of any type, in the order of accumulation that `graph.ts` fixes. Both operands are
 * repacked so that the contracted positions lie in canonical order in one contiguous row; then every output is
 * a dot product of two rows, cut in segments.
 */
import { allocateData, convertData, decodeArray, decodeNumbers } from "../../numerics/convert.js";
import { type DType, isFloat } from "../../numerics/dtype.js";
import {
  elementCount,
  rowMajorStrides,
  type Tensor,
  type TensorData,
} from "../../numerics/tensor.js";
import { copyStrided, materialize } from "./movement.js";
import { intData, numberClass, wideData } from "./reduce.js";
import { zeroPointLabel } from "../contract-types.js";
import { contractBlock, type ContractOperation, contractSegment } from "../graph.js";

export function contractTensors(
  inputs: readonly Tensor[],
  op: ContractOperation,
  dtype: DType,
  shape: readonly number[],
): Tensor {
  const [a, b, zeroA, zeroB] = inputs.map((x) => prepared(x, dtype));
  const plan = planOf(op, a!, b!);
  const left = subtractZero(a!, zeroA, "");
  const right = subtractZero(b!, zeroB, axesFor(op.b, zeroPointLabel(op)));
  const rows = {
    a: repack(left, op.a, plan.batch + plan.m, op.order, plan),
    b: repack(right, op.b, plan.batch + plan.n, op.order, plan),
  };
  const data = multiplyRows(rows.a, rows.b, plan, dtype);
  return arrange(data, plan, op.out, dtype, shape);
}

/** What the loops need: labels by role, extents, and where segments end. */
interface Plan {
  readonly batch: string;
  readonly m: string;
  readonly n: string;
  readonly extents: ReadonlyMap<string, number>;
  readonly batchCount: number;
  readonly rowsA: number;
  readonly rowsB: number;
  /** Positions contracted. */
  readonly depth: number;
  readonly segment: number;
}

function planOf(op: ContractOperation, a: Tensor, b: Tensor): Plan {
  const extents = new Map<string, number>();
  [...op.a].forEach((label, axis) => extents.set(label, a.shape[axis]!));
  [...op.b].forEach((label, axis) => extents.set(label, b.shape[axis]!));
  const kept = (side: string, other: string, shared: boolean) =>
    [...side].filter((l) => !op.order.includes(l) && other.includes(l) === shared).join("");
  const count = (labels: string) => elementCount([...labels].map((l) => extents.get(l)!));
  const batch = kept(op.a, op.b, true);
  const m = kept(op.a, op.b, false);
  const n = kept(op.b, op.a, false);
  const perBlock = contractBlock * count(op.order.slice(1));
  return {
    batch,
    m,
    n,
    extents,
    batchCount: count(batch),
    rowsA: count(m),
    rowsB: count(n),
    depth: count(op.order),
    segment: perBlock * Math.max(1, Math.floor(contractSegment / perBlock)),
  };
}

/** Operands in the type that products are computed in. */
function prepared(x: Tensor, dtype: DType): Tensor {
  switch (numberClass(dtype)) {
    case "f32":
      return { ...x, dtype: "f32", data: decodeArray(x.dtype, x.data) };
    case "f64":
      return { ...x, dtype: "f64", data: Float64Array.from(decodeNumbers(x.dtype, x.data)) };
    case "int":
      return { ...x, dtype: "i32", data: intData(x) };
    case "wide":
      return { ...x, dtype: "i64", data: convertData(x.dtype, wideData(x), "i64") };
  }
}

function axesFor(labels: string, vectorLabel: string): string {
  return vectorLabel.length === 1 ? labels.replace(vectorLabel, "*") : "";
}

/** x - zero, where `pattern` marks the axis of a vector of zero points with `*`. */
function subtractZero(x: Tensor, zero: Tensor | undefined, pattern: string): Tensor {
  if (zero === undefined) return x;
  const inner = zero.shape.length === 0 ? 1 : elementCount(x.shape.slice(pattern.indexOf("*") + 1));
  const count = zero.data.length;
  if (x.data instanceof BigInt64Array) {
    const zeros = zero.data as BigInt64Array;
    return {
      ...x,
      data: x.data.map((value, i) => value - zeros[Math.floor(i / inner) % count]!),
    };
  }
  const zeros = zero.data as Int32Array;
  const data = (x.data as Int32Array).map(
    (value, i) => value - zeros[Math.floor(i / inner) % count]!,
  );
  return { ...x, data };
}

/** Rows of contracted positions in canonical order, one row per index of `outer`. */
function repack(x: Tensor, labels: string, outer: string, order: string, plan: Plan): TensorData {
  const strideOf = new Map([...labels].map((l, axis) => [l, rowMajorStrides(x.shape)[axis]!]));
  const [blocked, ...slower] = order;
  const rest = outer + slower.join("");
  const outerCount = elementCount([...outer].map((l) => plan.extents.get(l)!));
  if (plan.depth === 0 || outerCount === 0) return allocateData(x.dtype, 0);
  const restShape = [...rest].map((l) => plan.extents.get(l)!);
  const strides = [...rest].map((l) => strideOf.get(l)!);
  if (blocked === undefined) {
    return materialize(x.dtype, { data: x.data, offset: 0, strides }, restShape).data;
  }
  const data = allocateData(x.dtype, outerCount * plan.depth);
  const extent = plan.extents.get(blocked)!;
  const stride = strideOf.get(blocked)!;
  const slowerCount = elementCount([...slower].map((l) => plan.extents.get(l)!));
  for (let start = 0; start < extent; start += contractBlock) {
    const width = Math.min(contractBlock, extent - start);
    const target = blockStrides(restShape, outer.length, plan.depth, width);
    copyStrided(
      { data: x.data, offset: start * stride, strides: [...strides, stride] },
      { data, offset: start * slowerCount, strides: target },
      [...restShape, width],
    );
  }
  return data;
}

/** Strides in the packed rows: rows are `depth` apart, a block is dense with `width` innermost. */
function blockStrides(
  restShape: readonly number[],
  outerRank: number,
  depth: number,
  width: number,
): number[] {
  const outer = rowMajorStrides(restShape.slice(0, outerRank)).map((s) => s * depth);
  const slower = rowMajorStrides(restShape.slice(outerRank)).map((s) => s * width);
  return [...outer, ...slower, 1];
}

function multiplyRows(a: TensorData, b: TensorData, plan: Plan, dtype: DType): TensorData {
  const length = plan.batchCount * plan.rowsA * plan.rowsB;
  switch (numberClass(dtype)) {
    case "f32": {
      const out = new Float32Array(length);
      multiplyF32(a as Float32Array, b as Float32Array, out, plan);
      return out;
    }
    case "f64": {
      const out = new Float64Array(length);
      forEachDot(plan, (at, x, y) => {
        out[at] = dotF64(a as Float64Array, x, b as Float64Array, y, plan);
      });
      return out;
    }
    case "int": {
      const out = new Int32Array(length);
      forEachDot(plan, (at, x, y) => {
        out[at] = dotI32(a as Int32Array, x, b as Int32Array, y, plan.depth);
      });
      return out;
    }
    case "wide": {
      const out = new BigInt64Array(length);
      forEachDot(plan, (at, x, y) => {
        let sum = 0n;
        for (let k = 0; k < plan.depth; k++) sum += (a[x + k] as bigint) * (b[y + k] as bigint);
        out[at] = sum;
      });
      return out;
    }
  }
}

function forEachDot(plan: Plan, visit: (at: number, a: number, b: number) => void): void {
  const { batchCount, rowsA, rowsB, depth } = plan;
  for (let batch = 0, at = 0; batch < batchCount; batch++) {
    for (let m = 0; m < rowsA; m++) {
      for (let n = 0; n < rowsB; n++, at++) {
        visit(at, (batch * rowsA + m) * depth, (batch * rowsB + n) * depth);
      }
    }
  }
}

/** Four rows of b at a time: four sums that do not wait for one another. */
function multiplyF32(a: Float32Array, b: Float32Array, out: Float32Array, plan: Plan): void {
  const { batchCount, rowsA, rowsB, depth, segment } = plan;
  const fours = rowsB - (rowsB % 4);
  for (let batch = 0; batch < batchCount; batch++) {
    const firstB = batch * rowsB * depth;
    for (let m = batch * rowsA; m < (batch + 1) * rowsA; m++) {
      const at = m * rowsB;
      for (let n = 0; n < fours; n += 4) {
        fourDots(a, m * depth, b, firstB + n * depth, depth, segment, out, at + n);
      }
      for (let n = fours; n < rowsB; n++) {
        out[at + n] = dotF32(a, m * depth, b, firstB + n * depth, depth, segment);
      }
    }
  }
}

function fourDots(
  a: Float32Array,
  startA: number,
  b: Float32Array,
  startB: number,
  depth: number,
  segment: number,
  out: Float32Array,
  at: number,
): void {
  const fround = Math.fround;
  for (let first = 0; first < depth; first += segment) {
    let s0 = fround(0);
    let s1 = fround(0);
    let s2 = fround(0);
    let s3 = fround(0);
    const end = startA + Math.min(first + segment, depth);
    let j = startB + first;
    for (let i = startA + first; i < end; i++, j++) {
      const x = a[i]!;
      s0 = fround(s0 + fround(x * b[j]!));
      s1 = fround(s1 + fround(x * b[j + depth]!));
      s2 = fround(s2 + fround(x * b[j + 2 * depth]!));
      s3 = fround(s3 + fround(x * b[j + 3 * depth]!));
    }
    // A sum that starts at +0 is never -0, so adding the first one to +0 would change nothing.
    out[at] = first === 0 ? s0 : out[at]! + s0;
    out[at + 1] = first === 0 ? s1 : out[at + 1]! + s1;
    out[at + 2] = first === 0 ? s2 : out[at + 2]! + s2;
    out[at + 3] = first === 0 ? s3 : out[at + 3]! + s3;
  }
}

function dotF32(
  a: Float32Array,
  startA: number,
  b: Float32Array,
  startB: number,
  depth: number,
  segment: number,
): number {
  const fround = Math.fround;
  let total = fround(0);
  for (let first = 0; first < depth; first += segment) {
    let sum = fround(0);
    const end = Math.min(first + segment, depth);
    for (let k = first; k < end; k++) sum = fround(sum + fround(a[startA + k]! * b[startB + k]!));
    total = first === 0 ? sum : fround(total + sum);
  }
  return total;
}

function dotF64(
  a: Float64Array,
  startA: number,
  b: Float64Array,
  startB: number,
  plan: Plan,
): number {
  let total = 0;
  for (let first = 0; first < plan.depth; first += plan.segment) {
    let sum = 0;
    const end = Math.min(first + plan.segment, plan.depth);
    for (let k = first; k < end; k++) sum += a[startA + k]! * b[startB + k]!;
    total = first === 0 ? sum : total + sum;
  }
  return total;
}

function dotI32(
  a: Int32Array,
  startA: number,
  b: Int32Array,
  startB: number,
  depth: number,
): number {
  let sum = 0;
  for (let k = 0; k < depth; k++) sum = (sum + Math.imul(a[startA + k]!, b[startB + k]!)) | 0;
  return sum;
}

/** From the order batch, m, n to the output's labels. */
function arrange(
  data: TensorData,
  plan: Plan,
  out: string,
  dtype: DType,
  shape: readonly number[],
): Tensor {
  const labels = plan.batch + plan.m + plan.n;
  const own = rowMajorStrides([...labels].map((l) => plan.extents.get(l)!));
  const strides = [...out].map((label) => own[labels.indexOf(label)]!);
  const computed: DType = isFloat(dtype) ? dtype : numberClass(dtype) === "wide" ? "i64" : "i32";
  const tensor = materialize(computed, { data, offset: 0, strides }, shape);
  return { dtype, shape, data: convertData(computed, tensor.data, dtype) };
}
