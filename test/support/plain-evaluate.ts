/**
 * The core operations once more, as `src/ir/graph.ts` words them: one output element at a time, no strides, no
 * chunks. For types of at most 32 bits. Slow, and shares only scalar arithmetic with what it checks.
 */
import type { PlainOperation } from "../../src/ir/operation-types.js";
import { decodeElement, encodeArray } from "../../src/numerics/convert.js";
import { type DType, isFloat } from "../../src/numerics/dtype.js";
import { functions } from "../../src/numerics/functions.js";
import type { FunctionName, LaneProgram } from "../../src/numerics/lane.js";
import { scalarAlgebra } from "../../src/numerics/scalar.js";
import type { Tensor } from "../../src/numerics/tensor.js";

type Index = readonly number[];

export function plainOperation(
  op: PlainOperation,
  inputs: readonly Tensor[],
  dtype: DType,
  shape: readonly number[],
): Tensor {
  if (op.kind === "scatter") return scatter(op, inputs);
  const positions = indicesOf(shape);
  const values = positions.map((index, at) => element(op, inputs, index, at, dtype));
  return { dtype, shape, data: encodeArray(dtype, values) };
}

function element(
  op: Exclude<PlainOperation, { kind: "scatter" }>,
  inputs: readonly Tensor[],
  index: Index,
  at: number,
  dtype: DType,
): number {
  const x = inputs[0]!;
  switch (op.kind) {
    case "iota":
      return index[op.axis]!;
    case "reshape":
      return decodeElement(x.dtype, x.data, at);
    case "transpose":
      return read(
        x,
        op.perm.map((_, axis) => index[op.perm.indexOf(axis)]!),
      );
    case "broadcast":
      return readBroadcast(x, index);
    case "slice":
      return read(
        x,
        index.map((i, axis) => (op.starts[axis] as number) + i * op.steps[axis]!),
      );
    case "pad": {
      const inner = index.map((i, axis) => i - op.low[axis]!);
      const inside = inner.every((i, axis) => i >= 0 && i < x.shape[axis]!);
      return inside ? read(x, inner) : op.value;
    }
    case "window": {
      const from = index.slice(0, x.shape.length) as number[];
      op.axes.forEach(({ axis, stride, dilation }, k) => {
        from[axis] = from[axis]! * stride + index[x.shape.length + k]! * dilation;
      });
      return read(x, from);
    }
    case "concat": {
      const from = [...index];
      for (const part of inputs) {
        if (from[op.axis]! < part.shape[op.axis]!) return read(part, from);
        from[op.axis]! -= part.shape[op.axis]!;
      }
      throw new Error("beyond the last part");
    }
    case "map":
      return runProgram(op.program, inputs, index);
    case "reduce": {
      const extents = op.axes.map((axis) => x.shape[axis]!);
      const kept = x.shape.flatMap((_, axis) => (op.axes.includes(axis) ? [] : [axis]));
      const elements = indicesOf(extents).map((reduced) => {
        const from = x.shape.map((_, axis) =>
          op.axes.includes(axis) ? reduced[op.axes.indexOf(axis)]! : index[kept.indexOf(axis)]!,
        );
        return read(x, from);
      });
      return reduceElements(op.reduction, elements, x.dtype);
    }
    case "contract":
      return contractElement(op, inputs, index, dtype);
    case "gather": {
      const [, indices] = inputs as [Tensor, Tensor];
      const rank = indices.shape.length;
      const row = read(indices, index.slice(op.axis, op.axis + rank));
      const extent = x.shape[op.axis]!;
      const picked = row < 0 ? row + extent : row;
      return read(x, [...index.slice(0, op.axis), picked, ...index.slice(op.axis + rank)]);
    }
    case "scan": {
      const extent = x.shape[op.axis]!;
      const line = Array.from({ length: extent }, (_, i) => {
        const along = op.reverse ? extent - 1 - i : i;
        return read(
          x,
          index.map((j, axis) => (axis === op.axis ? along : j)),
        );
      });
      const own = op.reverse ? extent - 1 - index[op.axis]! : index[op.axis]!;
      const combine = combinations(x.dtype)[op.combine];
      return line
        .slice(0, op.exclusive ? own : own + 1)
        .reduce(combine, start(op.combine, x.dtype));
    }
    default:
      return op satisfies never;
  }
}

/** Every index of a shape in row-major order. */
function indicesOf(shape: readonly number[]): Index[] {
  return shape.reduce<Index[]>(
    (before, extent) =>
      before.flatMap((index) => Array.from({ length: extent }, (_, i) => [...index, i])),
    [[]],
  );
}

function offset(shape: readonly number[], index: Index): number {
  return index.reduce((at, i, axis) => {
    if (i < 0 || i >= shape[axis]!)
      throw new Error(`index ${index.join()} outside [${shape.join()}]`);
    return at * shape[axis]! + i;
  }, 0);
}

function read(x: Tensor, index: Index): number {
  return decodeElement(x.dtype, x.data, offset(x.shape, index));
}

function readBroadcast(x: Tensor, index: Index): number {
  const own = index.slice(index.length - x.shape.length);
  return read(
    x,
    own.map((i, axis) => (x.shape[axis] === 1 ? 0 : i)),
  );
}

function runProgram(program: LaneProgram, inputs: readonly Tensor[], index: Index): number {
  const registers: number[] = [];
  for (const { op, args, imm } of program.instructions) {
    const operands = args.map((arg) => registers[arg]!);
    if (op === "input") {
      const value = readBroadcast(inputs[imm!]!, index);
      registers.push(inputs[imm!]!.dtype === "bool" ? -value : value);
    } else if (op === "constF" || op === "constI") registers.push(imm!);
    else if (op in functions) {
      registers.push(functions[op as FunctionName](scalarAlgebra, ...operands));
    } else registers.push(scalarAlgebra[op as "select"](...operands));
  }
  return registers[program.results[0]!]!;
}

/** One rounding to fp32, or one wrap to int32, per step. */
function combinations(dtype: DType) {
  const float = isFloat(dtype);
  return {
    sum: (a: number, b: number) => (float ? Math.fround(a + b) : (a + b) | 0),
    prod: (a: number, b: number) => (float ? Math.fround(a * b) : Math.imul(a, b)),
    max: (a: number, b: number) => Math.max(a, b),
    min: (a: number, b: number) => Math.min(a, b),
  };
}

function start(combine: "sum" | "prod" | "max" | "min", dtype: DType): number {
  if (combine === "sum") return 0;
  if (combine === "prod") return 1;
  if (isFloat(dtype)) return combine === "max" ? -Infinity : Infinity;
  const bits = { i32: 32, i16: 16, i8: 8, u8: 8 }[dtype as "i32"];
  const lowest = dtype === "u8" ? 0 : -(2 ** (bits - 1));
  return combine === "max" ? lowest : lowest + 2 ** bits - 1;
}

function reduceElements(reduction: string, elements: readonly number[], dtype: DType): number {
  const { sum, prod, max, min } = combinations(dtype);
  switch (reduction) {
    case "sum":
    case "prod": {
      const combine = reduction === "sum" ? sum : prod;
      const partials = new Array<number>(16).fill(start(reduction, dtype));
      elements.forEach((x, i) => {
        partials[i % 16] = combine(partials[i % 16]!, x);
      });
      for (const half of [8, 4, 2, 1]) {
        for (let j = 0; j < half; j++) partials[j] = combine(partials[j]!, partials[j + half]!);
      }
      return partials[0]!;
    }
    case "seqsum":
      return elements.reduce(sum, 0);
    case "max":
      return elements.reduce(max, start("max", dtype));
    case "min":
      return elements.reduce(min, start("min", dtype));
    case "and":
      return elements.every((x) => x !== 0) ? 1 : 0;
    case "or":
      return elements.some((x) => x !== 0) ? 1 : 0;
    default: {
      const nan = elements.findIndex((x) => Number.isNaN(x));
      if (nan >= 0) return nan;
      const extreme = reduction === "argmax" ? Math.max(...elements) : Math.min(...elements);
      return Math.max(
        0,
        elements.findIndex((x) => x === extreme),
      );
    }
  }
}

function contractElement(
  op: Extract<PlainOperation, { kind: "contract" }>,
  [a, b, zeroA, zeroB]: readonly Tensor[],
  index: Index,
  dtype: DType,
): number {
  const at = new Map([...op.out].map((label, i) => [label, index[i]!]));
  const extentOf = (label: string) =>
    op.a.includes(label) ? a!.shape[op.a.indexOf(label)]! : b!.shape[op.b.indexOf(label)]!;
  const product = (place: ReadonlyMap<string, number>): number => {
    const x = read(
      a!,
      [...op.a].map((label) => place.get(label)!),
    );
    const y = read(
      b!,
      [...op.b].map((label) => place.get(label)!),
    );
    if (dtype === "f32") return Math.fround(x * y);
    const own = [...op.b].find((label) => !op.order.includes(label) && !op.a.includes(label));
    const zero = (z: Tensor | undefined) =>
      z === undefined ? 0 : read(z, z.shape.length === 0 ? [] : [place.get(own!)!]);
    return Math.imul(x - zero(zeroA), y - zero(zeroB));
  };
  const [blocked = "", ...slower] = op.order;
  const extent = blocked === "" ? 1 : extentOf(blocked);
  const inner = indicesOf(slower.map(extentOf));
  const perSegment = Math.max(1, Math.floor(128 / (64 * inner.length)));
  const add = combinations(dtype).sum;
  let total = 0;
  for (let first = 0; first < extent; first += 64 * perSegment) {
    let segment = 0;
    for (let block = first; block < Math.min(extent, first + 64 * perSegment); block += 64) {
      for (const slow of inner) {
        for (let k = block; k < Math.min(extent, block + 64); k++) {
          const place = new Map([...at, ...slower.map((label, i) => [label, slow[i]!] as const)]);
          place.set(blocked, k);
          segment = add(segment, product(place));
        }
      }
    }
    total = add(total, segment);
  }
  return total;
}

function scatter(
  op: Extract<PlainOperation, { kind: "scatter" }>,
  [data, indices, updates]: readonly Tensor[],
): Tensor {
  const { dtype, shape } = data!;
  const values = Array.from({ length: data!.data.length }, (_, i) =>
    decodeElement(dtype, data!.data, i),
  );
  const { sum, prod, max, min } = combinations(dtype);
  const combine = { add: sum, mul: prod, max, min, assign: (_: number, x: number) => x }[
    op.combine
  ];
  for (const index of indicesOf(indices!.shape)) {
    const row = read(indices!, index);
    const place = [...index];
    place[op.axis] = row < 0 ? row + shape[op.axis]! : row;
    const at = offset(shape, place);
    const combined = combine(values[at]!, read(updates!, index));
    values[at] = decodeElement(dtype, encodeArray(dtype, [combined]), 0);
  }
  return { dtype, shape, data: encodeArray(dtype, values) };
}
