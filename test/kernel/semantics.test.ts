/** What single instructions do to numbers, worked out by hand. */
import { describe, expect, it } from "vitest";
import {
  accumulatorCells,
  memoryCells,
  slotCells,
  type Cells,
  type Operand,
  type SlotCells,
} from "../../src/ir/semantics/cells.js";
import { executeLoad } from "../../src/ir/semantics/load.js";
import { executeMma } from "../../src/ir/semantics/mma.js";
import { executeStore } from "../../src/ir/semantics/store.js";
import { executeVec } from "../../src/ir/semantics/vec.js";
import type { Environment } from "../../src/ir/semantics/semantics.js";
import {
  constantAffine,
  staticCount,
  type LoadBody,
  type MmaBody,
  type StoreBody,
  type VecBody,
} from "../../src/ir/tile.js";
import { byteLength, type DeviceDType } from "../../src/numerics/dtype.js";
import { laneProgramBuilder } from "../../src/numerics/lanes.js";

const environment: Environment = { scalars: [], trips: new Map() };
const zero = constantAffine(0);

function slot(dtype: DeviceDType, values: readonly number[], elements = values.length): SlotCells {
  const cells = slotCells("slot", dtype, elements);
  values.forEach((value, i) => cells.set(i, value));
  return cells;
}

function memory(dtype: DeviceDType, values: readonly number[]): Cells {
  const bytes = new Uint8Array(byteLength(dtype, values.length));
  const cells = memoryCells("memory", dtype, values.length, bytes);
  values.forEach((value, i) => cells.set(i, value));
  return cells;
}

const at = <C extends Cells>(cells: C): Operand<C> => ({ cells, offset: 0 });

const valuesOf = (cells: Cells): number[] =>
  Array.from({ length: cells.elements }, (_, i) => cells.get(i));

describe("cells", () => {
  const kept: Readonly<Record<DeviceDType, readonly [stored: number[], read: number[]]>> = {
    f32: [
      [0.1, -0],
      [Math.fround(0.1), -0],
    ],
    f16: [
      [65519, 65520, 2 ** -24],
      [65504, Infinity, 2 ** -24],
    ],
    bf16: [
      [1.00390625, 1.01171875],
      [1, 1.015625],
    ],
    f8e4m3fn: [
      [1e9, 17, 2 ** -10],
      [448, 16, 0],
    ],
    f8e5m2: [
      [-1e9, 9],
      [-57344, 8],
    ],
    i32: [[2 ** 31], [-(2 ** 31)]],
    i16: [
      [0x8001, -0x8001],
      [-0x7fff, 0x7fff],
    ],
    u16: [
      [0x1ffff, -2],
      [0xffff, 0xfffe],
    ],
    i8: [
      [200, -129],
      [-56, 127],
    ],
    u8: [
      [-1, 256],
      [255, 0],
    ],
    i4: [
      [7, 8, -1],
      [7, -8, -1],
    ],
    u4: [
      [15, 16, -1],
      [15, 0, 15],
    ],
    bool: [
      [0, 2, -1, NaN],
      [0, 1, 1, 1],
    ],
  };
  for (const [dtype, [stored, read]] of Object.entries(kept)) {
    it(`keep ${dtype}`, () => {
      expect(valuesOf(memory(dtype as DeviceDType, stored))).toEqual(read);
    });
  }
});

describe("load", () => {
  const load = (
    body: Partial<LoadBody<null, null>>,
    from: Cells[],
    into: SlotCells,
    index?: Cells,
  ) =>
    executeLoad(
      {
        op: "load",
        axes: [],
        memory: { binding: 0, offset: zero },
        dest: null,
        fill: 0,
        ...body,
      },
      { bindings: from, dest: at(into), environment, ...(index && { index: at(index) }) },
    );
  const walk = (count: number, memoryStride: number, slotStride: number) => ({
    count: staticCount(count),
    memoryStride,
    slotStride,
  });

  it("fills what lies outside its clip, and transposes on the way", () => {
    const clip = { origin: constantAffine(-1), step: 1, limit: staticCount(2) };
    const into = slot("f32", [], 6);
    const axes = [{ ...walk(3, 2, 1), clip }, walk(2, 1, 3)];
    const from = memory("f32", [1, 2, 3, 4]);
    load({ axes, fill: 9, memory: { binding: 0, offset: constantAffine(-2) } }, [from], into);
    expect(valuesOf(into)).toEqual([9, 1, 3, 9, 2, 4]);
  });

  it("dequantizes in fp32, then rounds to the slot", () => {
    const into = slot("f16", [], 2);
    const dequantize = {
      scale: { memory: { binding: 1, offset: zero }, strides: [0] },
      zero: { memory: { binding: 2, offset: zero }, strides: [1] },
    };
    const from = [memory("u4", [15, 3]), memory("f32", [0.1]), memory("i8", [-3, 4])];
    load({ axes: [walk(2, 1, 1)], dequantize }, from, into);
    expect(valuesOf(into)).toEqual([1.7998046875, -0.0999755859375]);
  });

  it("takes places from an index; one out of range fills and is a fault", () => {
    const index = { axis: 0, source: null, strides: [1], extent: staticCount(3) };
    const into = slot("i32", [], 4);
    const run = load(
      { axes: [walk(4, 1, 1)], index, fill: -7 },
      [memory("i32", [10, 11, 12])],
      into,
      slot("i32", [2, 3, -1, 0]),
    );
    expect(valuesOf(into)).toEqual([12, -7, -7, 10]);
    expect(run.fault).toBe(true);
  });

  it("converts floats to integers toward zero, saturating", () => {
    const into = slot("i32", [], 4);
    load({ axes: [walk(4, 1, 1)] }, [memory("f32", [-1.9, 3e9, NaN, 2.5])], into);
    expect(valuesOf(into)).toEqual([-1, 2 ** 31 - 1, 0, 2]);
  });
});

describe("store", () => {
  it("combines position by position in row-major order", () => {
    const into = memory("f16", [1, 2048, 0]);
    const body: StoreBody<null> = {
      op: "store",
      axes: [{ count: staticCount(4), memoryStride: 1, slotStride: 1 }],
      memory: { binding: 0, offset: zero },
      source: null,
      index: { axis: 0, source: null, strides: [1], extent: staticCount(3) },
      combine: "add",
    };
    const run = executeStore(body, {
      bindings: [into],
      source: at(slot("f32", [1, 1, 0.5, 8])),
      index: at(slot("i32", [1, 1, 0, 3])),
      environment,
    });
    // 2048 + 1 is halfway between two fp16 numbers: to the even one, twice.
    expect(valuesOf(into)).toEqual([1.5, 2048, 0]);
    expect(run.fault).toBe(true);
  });
});

describe("mma", () => {
  const axis = (role: "m" | "n" | "k", count: number, strides: readonly number[]) => ({
    role,
    count: staticCount(count),
    strideA: strides[0]!,
    strideB: strides[1]!,
    strideC: strides[2]!,
  });
  const mma = (axes: MmaBody<null, null, null>["axes"], zeros = {}): MmaBody<null, null, null> => ({
    op: "mma",
    axes,
    a: null,
    b: null,
    dest: null,
    clear: null,
    fold: null,
    ...zeros,
  });

  it("adds rounded products one by one to a segment, and segments to the sum", () => {
    const dest = at(accumulatorCells("acc", "f32", 1));
    const run = (values: readonly number[], clear: boolean, fold: boolean): number => {
      const ones = slot(
        "f32",
        values.map(() => 1),
      );
      const a = slot("f32", values);
      const operands = { a: at(a), b: at(ones), dest, clear, fold, environment };
      executeMma(mma([axis("k", values.length, [1, 1, 0])]), operands);
      return dest.cells.get(0);
    };
    // In one segment the small values vanish beside the large one; in a segment of their own they count.
    expect(run([2 ** 24, 1, 1], true, true)).toBe(2 ** 24);
    expect(run([2 ** 24], true, true)).toBe(2 ** 24);
    expect(run([1], false, false)).toBe(2 ** 24);
    expect(run([1], false, true)).toBe(2 ** 24 + 2);
  });

  it("takes the first k axis as the slowest", () => {
    const dest = at(accumulatorCells("acc", "f32", 1));
    const a = slot("f32", [2 ** 24, 1, -(2 ** 24), 1]);
    const axes = [axis("k", 2, [1, 0, 0]), axis("k", 2, [2, 0, 0])];
    const operands = { a: at(a), b: at(slot("f32", [1])), dest, environment };
    executeMma(mma(axes), { ...operands, clear: true, fold: true });
    // 2^24, -2^24, 1, 1.
    expect(dest.cells.get(0)).toBe(2);
  });

  it("multiplies integers less their zero points and wraps", () => {
    const dest = at(accumulatorCells("acc", "i32", 2));
    const zeroA = { source: null, strides: [1, 0] };
    executeMma(mma([axis("m", 2, [2, 0, 1]), axis("k", 2, [1, 1, 0])], { zeroA }), {
      a: at(slot("u8", [255, 0, 1, 2])),
      b: at(slot("i32", [2 ** 31 - 1, -3])),
      zeroA: at(slot("u8", [5, 1])),
      dest,
      clear: true,
      fold: false,
      environment,
    });
    expect(valuesOf(dest.cells)).toEqual([Math.imul(250, 2 ** 31 - 1) + 15, -3]);
  });
});

describe("vec", () => {
  const one = laneProgramBuilder();
  const passOn = one.finish([one.source("input", 0, "f32")]);
  const vec = (body: Partial<VecBody<null, null, null>>): VecBody<null, null, null> => ({
    op: "vec",
    axes: [],
    inputs: [{ source: null, strides: [1] }],
    program: passOn,
    carries: [],
    outputs: [],
    ...body,
  });
  const reduced = (count: number) => [
    { kind: "reduce" as const, count: staticCount(count), base: zero },
  ];

  it("sums floats in 16 partials by their number, and folds them pairwise", () => {
    // 1 is lost beside 2^24: in its partial (element 16), and when partial 8 is added. 4 and 12 make 2 first.
    const values = Array.from({ length: 17 }, () => 0);
    for (const i of [4, 8, 12, 16]) values[i] = 1;
    values[0] = 2 ** 24;
    const sum = (phase: number): number => {
      const into = slot("f32", [], 1);
      const reduce = { reduction: "sum", phase: constantAffine(phase), init: null } as const;
      executeVec(vec({ axes: reduced(17), outputs: [{ dest: null, strides: [0], reduce }] }), {
        inputs: [at(slot("f32", values))],
        outputs: [{ dest: at(into), init: true }],
        carries: [],
        environment,
      });
      return into.get(0);
    };
    expect(sum(0)).toBe(2 ** 24 + 2);
    expect(sum(3)).toBe(2 ** 24 + 2);
    expect(values.reduce((total, x) => Math.fround(total + x), 0)).toBe(2 ** 24);
  });

  it("goes on with raw partials as if it had not been interrupted", () => {
    const values = Array.from({ length: 53 }, (_, i) => Math.fround(Math.sin(i) * 10 ** (i % 7)));
    const run = (from: number, to: number, partials: SlotCells, init: boolean): void => {
      const reduce = { reduction: "sum", init: null, partialStride: 1 } as const;
      const phase = constantAffine(from);
      const outputs = [{ dest: null, strides: [0], reduce: { ...reduce, phase } }];
      executeVec(vec({ axes: reduced(to - from), outputs }), {
        inputs: [at(slot("f32", values.slice(from, to)))],
        outputs: [{ dest: at(partials), init }],
        carries: [],
        environment,
      });
    };
    const whole = slot("f32", [], 16);
    run(0, 53, whole, true);
    const parts = slot("f32", [], 16);
    run(0, 21, parts, true);
    run(21, 22, parts, false);
    run(22, 53, parts, false);
    expect(valuesOf(parts)).toEqual(valuesOf(whole));
  });

  it("takes the maximum as IEEE 754 does", () => {
    const most = (...values: number[]): number => {
      const into = slot("f32", [], 1);
      const reduce = { reduction: "max", phase: zero, init: null } as const;
      const body = vec({
        axes: reduced(values.length),
        outputs: [{ dest: null, strides: [0], reduce }],
      });
      executeVec(body, {
        inputs: [at(slot("f32", values))],
        outputs: [{ dest: at(into), init: true }],
        carries: [],
        environment,
      });
      return into.get(0);
    };
    expect(most(-0, 0)).toBe(0);
    expect(most(-0, -0)).toBe(-0);
    expect(most(1, NaN, 2)).toBe(NaN);
    expect(most()).toBe(-Infinity);
  });

  it("carries registers along a scan, and from one instruction to the next", () => {
    const b = laneProgramBuilder();
    const before = b.source("carry", 0, "f32");
    const after = b.l.add(before, b.source("input", 0, "f32"));
    const state = slot("f32", [], 2);
    const scan = (values: readonly number[], init: boolean): number[] => {
      const into = slot("f32", [], 4);
      const body = vec({
        axes: [
          { kind: "parallel", count: staticCount(2), base: zero },
          { kind: "scan", count: staticCount(2), base: zero },
        ],
        inputs: [{ source: null, strides: [2, 1] }],
        program: b.finish([before, after]),
        carries: [
          {
            next: 1,
            initial: 100,
            type: "f32",
            state: { dest: null, strides: [1, 0], init: null },
          },
        ],
        outputs: [{ dest: null, strides: [2, 1] }],
      });
      executeVec(body, {
        inputs: [at(slot("f32", values))],
        outputs: [{ dest: at(into), init: false }],
        carries: [{ state: at(state), init }],
        environment,
      });
      return valuesOf(into);
    };
    expect(scan([1, 2, 3, 4], true)).toEqual([100, 101, 100, 103]);
    expect(scan([1, 1, 1, 1], false)).toEqual([103, 104, 107, 108]);
    expect(valuesOf(state)).toEqual([105, 109]);
  });

  it("reads a bool as a mask and writes a mask as 1", () => {
    const b = laneProgramBuilder();
    const into = slot("bool", [], 3);
    const mask = b.source("input", 0, "i32");
    const axes = [{ kind: "parallel" as const, count: staticCount(3), base: zero }];
    const program = b.finish([b.l.xor(mask, b.l.constI(-1))]);
    executeVec(vec({ axes, program, outputs: [{ dest: null, strides: [1] }] }), {
      inputs: [at(slot("bool", [1, 0, 1]))],
      outputs: [{ dest: at(into), init: false }],
      carries: [],
      environment,
    });
    expect(valuesOf(into)).toEqual([0, 1, 0]);
  });
});
