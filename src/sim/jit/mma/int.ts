/**
 * The kernel of integer mma: C[m, n] += (A[m, k] - zeroA) * (B[k, n] - zeroB) in int32. Both operands are packed with
 * their zero points subtracted: as pairs of int16, two k to a word, where they have 8 bits or fewer, for
 * i32x4.dot_i16x8_s; otherwise as int32. The order of additions does not matter, since they wrap.
 */
import { type DeviceDType, dtypes } from "../../../numerics/dtype.js";
import type { Callee, FunctionBuilder, Local } from "../wasm/function.js";
import { addIntPack, type ZeroPoint } from "./int-pack.js";
import { mmaMode } from "./float.js";
import { kernelFields, type MmaParams, mmaParams, zeroParams } from "./params.js";
import { addTableFunction, areaCutter, callTable, entryAt } from "./tables.js";
import type { ModuleBuilder } from "../wasm/module.js";

export interface IntMmaTypes {
  readonly a: DeviceDType;
  readonly b: DeviceDType;
  readonly zeroA?: ZeroPoint;
  readonly zeroB?: ZeroPoint;
}

/** Parameters of the kernel: those of all mmas, then those of A's zero point, then of B's. */
export const intMmaParams = mmaParams.length + 2 * zeroParams.length;

export function intWorkBytes(rows: number, columns: number, positions: number): number {
  const tables = 12 * (rows + 4) + 12 * (columns + 8) + 16 * positions;
  return tables + 4 * (positions + 2) * (rows + 4 + 8) + 16 * 64;
}

export function intMmaKey(types: IntMmaTypes): string {
  return `mma ${JSON.stringify(types)}`;
}

export function addIntMma(module: ModuleBuilder, types: IntMmaTypes, exported: string): void {
  const { a, b, zeroA, zeroB } = types;
  const all = [a, b, zeroA?.dtype ?? a, zeroB?.dtype ?? b];
  const isPaired = all.every((dtype) => dtypes[dtype].bits <= 8);
  const functions = {
    table: addTableFunction(module),
    packA: addIntPack(module, { lines: 4, value: types.a, zero: types.zeroA, isPaired }),
    packB: addIntPack(module, { lines: 8, value: types.b, zero: types.zeroB, isPaired }),
    block: addBlock(module, isPaired),
  };
  const params = Array.from({ length: intMmaParams }, () => "i32" as const);
  module.add({ params, results: [], exported }, (f) => emitDriver(f, functions, isPaired));
}

interface Functions {
  readonly table: Callee;
  readonly packA: Callee;
  readonly packB: Callee;
  readonly block: Callee;
}

type Zero = { readonly [P in (typeof zeroParams)[number]]: Local<"i32"> };

function zeroFields(f: FunctionBuilder, which: 0 | 1): Zero {
  const first = mmaParams.length + which * zeroParams.length;
  return Object.fromEntries(zeroParams.map((name, i) => [name, f.param("i32", first + i)])) as Zero;
}

/** The tables and panels of one call. */
interface Areas {
  readonly rowA: Local<"i32">;
  readonly rowZero: Local<"i32">;
  readonly rowC: Local<"i32">;
  readonly columnB: Local<"i32">;
  readonly columnZero: Local<"i32">;
  readonly columnC: Local<"i32">;
  readonly kA: Local<"i32">;
  readonly kZeroA: Local<"i32">;
  readonly kB: Local<"i32">;
  readonly kZeroB: Local<"i32">;
  readonly panelA: Local<"i32">;
  readonly panelB: Local<"i32">;
  readonly rows: Local<"i32">;
  readonly columns: Local<"i32">;
  readonly positions: Local<"i32">;
  /** Words of a line: positions, or pairs of them. */
  readonly words: Local<"i32">;
}

function emitDriver(f: FunctionBuilder, functions: Functions, isPaired: boolean): void {
  const p = kernelFields(f);
  const zeroA = zeroFields(f, 0);
  const zeroB = zeroFields(f, 1);
  const areas = emitAreas(f, p, isPaired);
  const fill = (
    out: Local<"i32">,
    pad: number,
    ...axes: (readonly [Local<"i32">, Local<"i32">])[]
  ): void => callTable(f, functions.table, out, axes, () => f.i32(pad));
  fill(areas.rowA, 3, [p.m0, p.aM0], [p.m1, p.aM1]);
  fill(areas.rowZero, 3, [p.m0, zeroA.z0], [p.m1, zeroA.z1]);
  fill(areas.rowC, 3, [p.m0, p.cM0], [p.m1, p.cM1]);
  fill(areas.columnB, 7, [p.n0, p.bN0], [p.n1, p.bN1]);
  fill(areas.columnZero, 7, [p.n0, zeroB.z0], [p.n1, zeroB.z1]);
  fill(areas.columnC, 7, [p.n0, p.cN0], [p.n1, p.cN1]);
  fill(areas.kA, 0, [p.k0, p.aK0], [p.k1, p.aK1], [p.k2, p.aK2]);
  fill(areas.kB, 0, [p.k0, p.bK0], [p.k1, p.bK1], [p.k2, p.bK2]);
  fill(areas.kZeroA, 0, [p.k0, zeroA.zK0], [p.k1, zeroA.zK1], [p.k2, zeroA.zK2]);
  fill(areas.kZeroB, 0, [p.k0, zeroB.zK0], [p.k1, zeroB.zK1], [p.k2, zeroB.zK2]);
  const g = f.keep("i32", f.i32(0));
  f.countUp(
    g,
    () => f.get(p.g),
    1,
    () => {
      emitPackA(f, p, functions, areas, zeroA);
      emitPanels(f, p, functions, areas, zeroB);
      for (const [at, by] of [
        [p.a, p.aG],
        [p.b, p.bG],
        [p.c, p.cG],
        [zeroA.z, zeroA.zG],
        [zeroB.z, zeroB.zG],
      ] as const) {
        f.increase(at, () => f.get(by));
      }
    },
  );
}

function emitAreas(f: FunctionBuilder, p: MmaParams, isPaired: boolean): Areas {
  const rows = f.keep("i32", f.op("i32.mul", f.get(p.m0), f.get(p.m1)));
  const columns = f.keep("i32", f.op("i32.mul", f.get(p.n0), f.get(p.n1)));
  const k01 = f.op("i32.mul", f.get(p.k0), f.get(p.k1));
  const positions = f.keep("i32", f.op("i32.mul", k01, f.get(p.k2)));
  const pairs = () => f.op("i32.shr_u", f.op("i32.add", f.get(positions), f.i32(1)), f.i32(1));
  const words = isPaired ? f.keep("i32", pairs()) : positions;
  const cut = areaCutter(f, p.work);
  const table = (entries: Local<"i32">, more: number) =>
    cut(() => f.op("i32.shl", f.op("i32.add", f.get(entries), f.i32(more)), f.i32(2)));
  return {
    ...{ rows, columns, positions, words },
    rowA: table(rows, 4),
    rowZero: table(rows, 4),
    rowC: table(rows, 4),
    columnB: table(columns, 8),
    columnZero: table(columns, 8),
    columnC: table(columns, 8),
    kA: table(positions, 0),
    kZeroA: table(positions, 0),
    kB: table(positions, 0),
    kZeroB: table(positions, 0),
    panelB: cut(() => f.op("i32.shl", f.get(words), f.i32(5))),
    panelA: cut(() => f.i32(0)),
  };
}

/** All of A as blocks of four rows. */
function emitPackA(
  f: FunctionBuilder,
  p: MmaParams,
  { packA }: Functions,
  areas: Areas,
  zero: Zero,
): void {
  const i = f.keep("i32", f.i32(0));
  const to = f.keep("i32", f.get(areas.panelA));
  f.countUp(
    i,
    () => f.get(areas.rows),
    4,
    () => {
      f.call(packA, [
        f.get(to),
        f.get(p.a),
        entryAt(f, areas.rowA, i),
        f.get(zero.z),
        entryAt(f, areas.rowZero, i),
        f.get(areas.kA),
        f.get(areas.kZeroA),
        f.get(areas.positions),
        f.op("i32.sub", f.get(areas.rows), f.get(i)),
      ]);
      f.increase(to, () => f.op("i32.shl", f.get(areas.words), f.i32(4)));
    },
  );
}

function emitPanels(
  f: FunctionBuilder,
  p: MmaParams,
  functions: Functions,
  areas: Areas,
  zero: Zero,
): void {
  const i = f.local("i32");
  const j = f.keep("i32", f.i32(0));
  const a = f.local("i32");
  f.countUp(
    j,
    () => f.get(areas.columns),
    8,
    () => {
      f.call(functions.packB, [
        f.get(areas.panelB),
        f.get(p.b),
        entryAt(f, areas.columnB, j),
        f.get(zero.z),
        entryAt(f, areas.columnZero, j),
        f.get(areas.kB),
        f.get(areas.kZeroB),
        f.get(areas.positions),
        f.op("i32.sub", f.get(areas.columns), f.get(j)),
      ]);
      f.set(a, f.get(areas.panelA));
      f.set(i, f.i32(0));
      f.countUp(
        i,
        () => f.get(areas.rows),
        4,
        () => {
          f.call(functions.block, [
            f.get(a),
            f.get(areas.panelB),
            f.get(areas.words),
            f.get(p.c),
            entryAt(f, areas.rowC, i),
            entryAt(f, areas.columnC, j),
            f.op("i32.sub", f.get(areas.rows), f.get(i)),
            f.op("i32.sub", f.get(areas.columns), f.get(j)),
            f.op("i32.and", f.get(p.mode), f.i32(mmaMode.clear)),
          ]);
          f.increase(a, () => f.op("i32.shl", f.get(areas.words), f.i32(4)));
        },
      );
    },
  );
}

/** (a, b, words, c, row offsets, column offsets, rows, columns, clear): at most four rows and eight columns. */
function addBlock(module: ModuleBuilder, isPaired: boolean): Callee {
  const params = Array.from({ length: 9 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [a, b, words, c, rowC, columnC, rows, columns, clear] =
      f.params as readonly Local<"i32">[];
    const cells = [0, 1, 2, 3].flatMap((row) => [0, 1].map((half) => ({ row, half })));
    const sums = cells.map(() => f.keep("v128", f.words(0)));
    f.block((done) => {
      f.branchIf(done, f.op("i32.eqz", f.get(words!)));
      f.loop((again) => {
        const halves = [0, 16].map((at) => f.keep("v128", f.load("v128.load", f.get(b!), at)));
        const splats = [0, 4, 8, 12].map((at) =>
          f.keep("v128", f.load("v128.load32_splat", f.get(a!), at)),
        );
        const multiply = isPaired ? "i32x4.dot_i16x8_s" : "i32x4.mul";
        cells.forEach(({ row, half }, i) => {
          const product = f.keep("v128", f.op(multiply, f.get(splats[row]!), f.get(halves[half]!)));
          f.set(sums[i]!, f.op("i32x4.add", f.get(sums[i]!), f.get(product)));
        });
        f.increase(a!, () => f.i32(16));
        f.increase(b!, () => f.i32(32));
        f.set(words!, f.op("i32.sub", f.get(words!), f.i32(1)));
        f.branchIf(again, f.get(words!));
      });
    });
    const address = f.local("i32");
    cells.forEach(({ row, half }, i) => {
      f.if(f.op("i32.gt_s", f.get(rows!), f.i32(row)), () => {
        for (let lane = 0; lane < 4; lane++) {
          const column = 4 * half + lane;
          f.if(f.op("i32.gt_s", f.get(columns!), f.i32(column)), () => {
            const rowAt = f.op("i32.add", f.get(c!), f.load("i32.load", f.get(rowC!), 4 * row));
            f.set(address, f.op("i32.add", rowAt, f.load("i32.load", f.get(columnC!), 4 * column)));
            const sum = f.laneOp("i32x4.extract_lane", lane, f.get(sums[i]!));
            const total = f.keep("i32", sum);
            f.if(f.op("i32.eqz", f.get(clear!)), () =>
              f.increase(total, () => f.load("i32.load", f.get(address))),
            );
            f.store("i32.store", f.get(address), f.get(total));
          });
        }
      });
    });
  });
}
