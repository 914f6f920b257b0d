/** What an mma does: products of two slots summed into accumulator cells, in one fixed order. */
import { isFloat } from "../../numerics/dtype.js";
import { undefinedBehaviour, type AccumulatorCells, type Operand } from "./cells.js";
import { evaluateCount, forEachPosition, offsetAt, type Environment } from "./semantics.js";
import type { MmaAxis, MmaBody } from "../tile.js";

export interface MmaOperands {
  readonly a: Operand;
  readonly b: Operand;
  /** Present where the body has them. */
  readonly zeroA?: Operand;
  readonly zeroB?: Operand;
  readonly dest: Operand<AccumulatorCells>;
  readonly clear: boolean;
  readonly fold: boolean;
  readonly environment: Environment;
}

export function executeMma(body: MmaBody<unknown, unknown, unknown>, operands: MmaOperands): void {
  const { a, b, dest, environment } = operands;
  const integer = !isFloat(dest.cells.dtype);
  if (isFloat(a.cells.dtype) === integer || isFloat(b.cells.dtype) === integer) {
    undefinedBehaviour("an mma multiplies floats into fp32 or integers into int32");
  }
  const axes = axesByRole(body.axes);
  const counts = (of: readonly MmaAxis[]) =>
    of.map((axis) => evaluateCount(axis.count, environment));
  const outer = [...axes.g, ...axes.m, ...axes.n];
  const outerCounts = counts(outer);
  const cells = accumulatedCells(outer, outerCounts, operands);
  const k = innerAxes(body, axes.k, counts(axes.k));
  const row = integer ? sumIntegers(body, operands, outer, k) : sumFloats(operands, outer, k);
  let cell = 0;
  forEachPosition(outerCounts, (position) => row(position, cells[cell++]!));
}

interface AxesByRole {
  readonly g: MmaAxis[];
  readonly m: MmaAxis[];
  readonly n: MmaAxis[];
  readonly k: MmaAxis[];
}

function axesByRole(axes: readonly MmaAxis[]): AxesByRole {
  const byRole: AxesByRole = { g: [], m: [], n: [], k: [] };
  for (const axis of axes) byRole[axis.role].push(axis);
  return byRole;
}

/** The accumulator cell of each (g, m, n), all distinct; cleared if the mma says so. */
function accumulatedCells(
  outer: readonly MmaAxis[],
  counts: readonly number[],
  { dest, clear }: MmaOperands,
): number[] {
  const strides = outer.map((axis) => axis.strideC);
  const cells: number[] = [];
  forEachPosition(counts, (position) => void cells.push(dest.offset + offsetAt(position, strides)));
  if (new Set(cells).size !== cells.length) {
    undefinedBehaviour("two positions of an mma share an accumulator cell");
  }
  if (clear) for (const cell of cells) dest.cells.clear(cell);
  return cells;
}

/** Offsets of every k position in a, b and their zero points, in the order of accumulation. */
interface InnerAxes {
  readonly length: number;
  readonly offsetsA: Int32Array;
  readonly offsetsB: Int32Array;
  readonly offsetsZeroA: Int32Array;
  readonly offsetsZeroB: Int32Array;
}

function innerAxes(
  body: MmaBody<unknown, unknown, unknown>,
  axes: readonly MmaAxis[],
  counts: readonly number[],
): InnerAxes {
  const length = counts.reduce((product, count) => product * count, 1);
  const walk = (strides: readonly number[]): Int32Array => {
    const offsets = new Int32Array(length);
    let k = 0;
    forEachPosition(counts, (position) => {
      offsets[k++] = offsetAt(position, strides);
    });
    return offsets;
  };
  return {
    length,
    offsetsA: walk(axes.map((axis) => axis.strideA)),
    offsetsB: walk(axes.map((axis) => axis.strideB)),
    offsetsZeroA: walk(zeroStrides(body, body.zeroA?.strides, axes)),
    offsetsZeroB: walk(zeroStrides(body, body.zeroB?.strides, axes)),
  };
}

/** A zero point's strides stand per axis of the body; these are those of some of its axes. */
function zeroStrides(
  body: MmaBody<unknown, unknown, unknown>,
  strides: readonly number[] | undefined,
  axes: readonly MmaAxis[],
): number[] {
  return axes.map((axis) => strides?.[body.axes.indexOf(axis)] ?? 0);
}

/** Accumulates one cell. */
type Row = (position: readonly number[], cell: number) => void;

function sumFloats(operands: MmaOperands, outer: readonly MmaAxis[], k: InnerAxes): Row {
  const { a, b, dest, fold } = operands;
  const stridesA = outer.map((axis) => axis.strideA);
  const stridesB = outer.map((axis) => axis.strideB);
  return (position, cell) => {
    const baseA = a.offset + offsetAt(position, stridesA);
    const baseB = b.offset + offsetAt(position, stridesB);
    let open = dest.cells.getOpen(cell);
    for (let i = 0; i < k.length; i++) {
      const product = a.cells.get(baseA + k.offsetsA[i]!) * b.cells.get(baseB + k.offsetsB[i]!);
      open = Math.fround(open + Math.fround(product));
    }
    if (fold) {
      dest.cells.set(cell, Math.fround(dest.cells.get(cell) + open));
      open = 0;
    }
    dest.cells.setOpen(cell, open);
  };
}

function sumIntegers(
  body: MmaBody<unknown, unknown, unknown>,
  operands: MmaOperands,
  outer: readonly MmaAxis[],
  k: InnerAxes,
): Row {
  const { a, b, zeroA, zeroB, dest } = operands;
  const stridesA = outer.map((axis) => axis.strideA);
  const stridesB = outer.map((axis) => axis.strideB);
  const stridesZeroA = zeroStrides(body, body.zeroA?.strides, outer);
  const stridesZeroB = zeroStrides(body, body.zeroB?.strides, outer);
  return (position, cell) => {
    const baseA = a.offset + offsetAt(position, stridesA);
    const baseB = b.offset + offsetAt(position, stridesB);
    const baseZeroA = (zeroA?.offset ?? 0) + offsetAt(position, stridesZeroA);
    const baseZeroB = (zeroB?.offset ?? 0) + offsetAt(position, stridesZeroB);
    let sum = dest.cells.get(cell);
    for (let i = 0; i < k.length; i++) {
      const zA = zeroA?.cells.get(baseZeroA + k.offsetsZeroA[i]!) ?? 0;
      const zB = zeroB?.cells.get(baseZeroB + k.offsetsZeroB[i]!) ?? 0;
      const left = a.cells.get(baseA + k.offsetsA[i]!) - zA;
      const right = b.cells.get(baseB + k.offsetsB[i]!) - zB;
      sum = (sum + Math.imul(left, right)) | 0;
    }
    dest.cells.set(cell, sum);
  };
}
