/**
 * The kernel of floating mma: C[m, n] += A[m, k] * B[k, n] in fp32, k in order, products rounded before they are
 * added. B is cut into panels of 8 columns, packed where that pays; a block of 4 rows and 8 columns is kept in eight
 * registers over all of k. k is not unrolled: V8 would hoist the loads and spill.
 */
import type { Callee, FunctionBuilder, I32, Local, V128 } from "./function.js";
import { kernelFields, type MmaParams, mmaParams } from "./mma-params.js";
import { addTableFunction, emitKLoops, emitKRecord } from "./mma-tables.js";
import { addExchange, addPack, tileOpenBytes } from "./mma-panels.js";
import { ModuleBuilder } from "./module.js";

/** Bits of the mode. */
export const mmaMode = { clear: 1, fold: 2, noOpen: 4 } as const;

/** Work area: records for B in place and B packed, row offsets of the edge tile, the tile, then tables and panel. */
const work = { inPlace: 0, packed: 64, tileRows: 128, tile: 192, tables: 192 + 256 } as const;

export function floatWorkBytes(rows: number, columns: number, positions: number): number {
  const tables = 8 * (rows + 8) + 8 * (columns + 16);
  return work.tables + tables + 32 * positions + 256;
}

export function encodeFloatMma(): Uint8Array<ArrayBuffer> {
  const module = new ModuleBuilder();
  const functions: Functions = {
    table: addTableFunction(module),
    pack: addPack(module),
    block: addBlock(module),
    exchange: addExchange(module),
  };
  module.add({ params: mmaParams.map(() => "i32" as const), results: [], exported: "k" }, (f) =>
    emitDriver(f, functions),
  );
  return module.encode();
}

interface Functions {
  readonly table: Callee;
  readonly pack: Callee;
  readonly block: Callee;
  readonly exchange: Callee;
}

function emitDriver(f: FunctionBuilder, functions: Functions): void {
  const p = kernelFields(f);
  const rows = f.keep("i32", f.op("i32.mul", f.get(p.m0), f.get(p.m1)));
  const columns = f.keep("i32", f.op("i32.mul", f.get(p.n0), f.get(p.n1)));
  const paddedRows = f.keep("i32", roundUp(f, rows, 4));
  const paddedColumns = f.keep("i32", roundUp(f, columns, 8));
  const rowA = f.keep("i32", f.op("i32.add", f.get(p.work), f.i32(work.tables)));
  const after = (table: Local<"i32">, entries: Local<"i32">): Local<"i32"> =>
    f.keep("i32", f.op("i32.add", f.get(table), f.op("i32.shl", f.get(entries), f.i32(2))));
  const rowC = after(rowA, paddedRows);
  const columnB = after(rowC, paddedRows);
  const columnC = after(columnB, paddedColumns);
  const panel = f.keep("i32", roundUp(f, after(columnC, paddedColumns), 64));
  const fill = (out: Local<"i32">, axes: readonly Local<"i32">[], padTo: Local<"i32">): void =>
    f.call(functions.table, [f.get(out), ...axes.map((x) => f.get(x)), f.get(padTo)]);
  fill(rowA, [p.m0, p.aM0, p.m1, p.aM1], paddedRows);
  fill(rowC, [p.m0, p.cM0, p.m1, p.cM1], paddedRows);
  fill(columnB, [p.n0, p.bN0, p.n1, p.bN1], paddedColumns);
  fill(columnC, [p.n0, p.cN0, p.n1, p.cN1], paddedColumns);
  writeRecords(f, p);
  const loop: PanelLoop = { f, p, functions, rows, columns, rowA, rowC, columnB, columnC, panel };
  const g = f.keep("i32", f.i32(0));
  f.countUp(
    g,
    () => f.get(p.g),
    1,
    () => {
      emitPanels(loop);
      f.increase(p.a, () => f.get(p.aG));
      f.increase(p.b, () => f.get(p.bG));
      f.increase(p.c, () => f.get(p.cG));
    },
  );
}

export function roundUp(f: FunctionBuilder, x: Local<"i32">, to: number): I32 {
  const raised = f.op("i32.add", f.get(x), f.i32(to - 1));
  return f.op("i32.and", raised, f.i32(-to));
}

function writeRecords(f: FunctionBuilder, p: MmaParams): void {
  const get = (local: Local<"i32">) => () => f.get(local);
  const counts = [get(p.k0), get(p.k1), get(p.k2)] as const;
  const a = [get(p.aK0), get(p.aK1), get(p.aK2)] as const;
  const b = [get(p.bK0), get(p.bK1), get(p.bK2)] as const;
  const at = (offset: number) => () => f.op("i32.add", f.get(p.work), f.i32(offset));
  emitKRecord(f, at(work.inPlace), counts, [a, b]);
  const inner = () => f.i32(32);
  const middle = () => f.op("i32.mul", f.get(p.k2), f.i32(32));
  const outer = () => f.op("i32.mul", middle(), f.get(p.k1));
  emitKRecord(f, at(work.packed), counts, [a, [outer, middle, inner]]);
  for (let row = 0; row < 4; row++) {
    f.store("i32.store", f.get(p.work), f.i32(32 * row), work.tileRows + 4 * row);
  }
}

interface PanelLoop {
  readonly f: FunctionBuilder;
  readonly p: MmaParams;
  readonly functions: Functions;
  readonly rows: Local<"i32">;
  readonly columns: Local<"i32">;
  readonly rowA: Local<"i32">;
  readonly rowC: Local<"i32">;
  readonly columnB: Local<"i32">;
  readonly columnC: Local<"i32">;
  readonly panel: Local<"i32">;
}

function emitPanels(loop: PanelLoop): void {
  const { f, p, functions, rows, columns, panel } = loop;
  const j = f.keep("i32", f.i32(0));
  const offsets = f.local("i32");
  const targets = f.local("i32");
  const isSideBySide = f.local("i32");
  const isWhole = f.local("i32");
  const b = f.local("i32");
  const record = f.local("i32");
  const tableAt = (table: Local<"i32">) =>
    f.op("i32.add", f.get(table), f.op("i32.shl", f.get(j), f.i32(2)));
  f.countUp(
    j,
    () => f.get(columns),
    8,
    () => {
      f.set(offsets, tableAt(loop.columnB));
      f.set(targets, tableAt(loop.columnC));
      f.set(isSideBySide, sideBySide(f, offsets));
      const eightLeft = f.op("i32.le_s", f.op("i32.add", f.get(j), f.i32(8)), f.get(columns));
      f.set(isWhole, f.op("i32.and", eightLeft, sideBySide(f, targets)));
      // Packing reads every element of the panel once; in place it is read once per four rows.
      const isPacked = f.op(
        "i32.or",
        f.op("i32.eqz", f.get(isSideBySide)),
        f.op("i32.gt_s", f.get(rows), f.i32(8)),
      );
      f.if(
        isPacked,
        () => {
          f.call(functions.pack, [
            f.get(panel),
            f.get(p.b),
            f.get(offsets),
            f.get(p.work),
            f.get(isSideBySide),
          ]);
          f.set(b, f.get(panel));
          f.set(record, f.op("i32.add", f.get(p.work), f.i32(work.packed)));
        },
        () => {
          f.set(b, f.op("i32.add", f.get(p.b), f.load("i32.load", f.get(offsets))));
          f.set(record, f.get(p.work));
        },
      );
      emitBlocks(loop, { j, targets, isWhole, b, record });
    },
  );
}

/** 1 if eight entries of a table are 4 bytes apart. */
function sideBySide(f: FunctionBuilder, table: Local<"i32">): I32 {
  const step = (lane: number) =>
    f.op(
      "i32.sub",
      f.load("i32.load", f.get(table), 4 * lane + 4),
      f.load("i32.load", f.get(table), 4 * lane),
    );
  let holds = f.op("i32.eq", step(0), f.i32(4));
  for (let lane = 1; lane < 7; lane++) {
    holds = f.op("i32.and", holds, f.op("i32.eq", step(lane), f.i32(4)));
  }
  return holds;
}

interface Panel {
  readonly j: Local<"i32">;
  readonly targets: Local<"i32">;
  readonly isWhole: Local<"i32">;
  readonly b: Local<"i32">;
  readonly record: Local<"i32">;
}

function emitBlocks(loop: PanelLoop, panel: Panel): void {
  const { f, p, functions, rows, columns } = loop;
  const i = f.keep("i32", f.i32(0));
  const rowA = f.keep("i32", f.get(loop.rowA));
  const rowC = f.keep("i32", f.get(loop.rowC));
  const block = (c: () => I32, targets: () => I32, open: () => I32): void =>
    f.call(functions.block, [
      f.get(p.a),
      f.get(rowA),
      c(),
      targets(),
      f.get(panel.b),
      f.get(panel.record),
      open(),
      f.get(p.mode),
    ]);
  const at = (offset: number) => () => f.op("i32.add", f.get(p.work), f.i32(offset));
  f.countUp(
    i,
    () => f.get(rows),
    4,
    () => {
      const fourLeft = f.op("i32.le_s", f.op("i32.add", f.get(i), f.i32(4)), f.get(rows));
      f.if(
        f.op("i32.and", fourLeft, f.get(panel.isWhole)),
        () =>
          block(
            () => f.op("i32.add", f.get(p.c), f.load("i32.load", f.get(panel.targets))),
            () => f.get(rowC),
            () => f.get(p.open),
          ),
        () => {
          const exchange = (isOut: number): void =>
            f.call(functions.exchange, [
              f.get(p.c),
              f.get(rowC),
              f.get(panel.targets),
              f.op("i32.sub", f.get(rows), f.get(i)),
              f.op("i32.sub", f.get(columns), f.get(panel.j)),
              f.get(p.open),
              at(work.tile)(),
              f.i32(isOut),
            ]);
          exchange(0);
          block(at(work.tile), at(work.tileRows), () => f.i32(tileOpenBytes));
          exchange(1);
        },
      );
      f.increase(rowA, () => f.i32(16));
      f.increase(rowC, () => f.i32(16));
    },
  );
}

const accumulators = [0, 1, 2, 3].flatMap((row) => [0, 1].map((half) => ({ row, half })));

/** (a, row offsets, c, row offsets, b, k record, open, mode): four rows, eight columns. */
function addBlock(module: ModuleBuilder): Callee {
  const params = Array.from({ length: 8 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [a, rowA, c, rowC, b, record, open, mode] = f.params as readonly Local<"i32">[];
    const rowPointers = (base: Local<"i32">, table: Local<"i32">): Local<"i32">[] =>
      [0, 4, 8, 12].map((offset) =>
        f.keep("i32", f.op("i32.add", f.get(base), f.load("i32.load", f.get(table), offset))),
      );
    const as = rowPointers(a!, rowA!);
    const cs = rowPointers(c!, rowC!);
    const sums = accumulators.map(() => f.local("v128"));
    emitStart(f, sums, cs, open!, mode!);
    const products = f.local("i32");
    const count = (offset: number) => f.load("i32.load", f.get(record!), offset);
    f.set(products, f.op("i32.mul", f.op("i32.mul", count(0), count(4)), count(8)));
    f.if(f.get(products), () => {
      emitKLoops(f, record!, [as, [b!]], () => emitStep(f, sums, as, b!));
    });
    emitFinish(f, sums, cs, open!, mode!);
  });
}

/** One k: two vectors of B, four elements of A, eight products. */
function emitStep(
  f: FunctionBuilder,
  sums: readonly Local<"v128">[],
  as: readonly Local<"i32">[],
  b: Local<"i32">,
): void {
  const halves = [0, 16].map((offset) => f.keep("v128", f.load("v128.load", f.get(b), offset)));
  const splats = as.map((a) => f.keep("v128", f.load("v128.load32_splat", f.get(a))));
  accumulators.forEach(({ row, half }, i) => {
    const product = f.keep("v128", f.op("f32x4.mul", f.get(splats[row]!), f.get(halves[half]!)));
    f.set(sums[i]!, f.op("f32x4.add", f.get(sums[i]!), f.get(product)));
  });
}

function isSet(f: FunctionBuilder, mode: Local<"i32">, bit: number): I32 {
  return f.op("i32.and", f.get(mode), f.i32(bit));
}

/** The open segment begins at +0 or where the last mma left it. */
function emitStart(
  f: FunctionBuilder,
  sums: readonly Local<"v128">[],
  cs: readonly Local<"i32">[],
  open: Local<"i32">,
  mode: Local<"i32">,
): void {
  f.if(
    isSet(f, mode, mmaMode.clear),
    () => {
      for (const sum of sums) f.set(sum, f.words(0));
    },
    () => {
      accumulators.forEach(({ row, half }, i) => {
        const address = f.op("i32.add", f.get(cs[row]!), f.get(open));
        f.set(sums[i]!, f.load("v128.load", address, 16 * half));
      });
    },
  );
}

/** A segment that begins here is never -0, so that adding it to a sum of +0 gives itself. */
function emitFinish(
  f: FunctionBuilder,
  sums: readonly Local<"v128">[],
  cs: readonly Local<"i32">[],
  open: Local<"i32">,
  mode: Local<"i32">,
): void {
  const eachSum = (write: (i: number, row: number, offset: number) => void): void =>
    accumulators.forEach(({ row, half }, i) => write(i, row, 16 * half));
  const storeOpen = (row: number, offset: number, value: () => V128): void =>
    f.store("v128.store", f.op("i32.add", f.get(cs[row]!), f.get(open)), value(), offset);
  const storeSum = (row: number, offset: number, value: () => V128): void =>
    f.store("v128.store", f.get(cs[row]!), value(), offset);
  f.if(
    isSet(f, mode, mmaMode.fold),
    () => {
      f.if(f.op("i32.eqz", isSet(f, mode, mmaMode.clear)), () =>
        eachSum((i, row, offset) => {
          const sum = f.load("v128.load", f.get(cs[row]!), offset);
          f.set(sums[i]!, f.op("f32x4.add", sum, f.get(sums[i]!)));
        }),
      );
      eachSum((i, row, offset) => storeSum(row, offset, () => f.get(sums[i]!)));
      f.if(f.op("i32.eqz", isSet(f, mode, mmaMode.noOpen)), () =>
        eachSum((_, row, offset) => storeOpen(row, offset, () => f.words(0))),
      );
    },
    () => {
      eachSum((i, row, offset) => storeOpen(row, offset, () => f.get(sums[i]!)));
      f.if(isSet(f, mode, mmaMode.clear), () =>
        eachSum((_, row, offset) => storeSum(row, offset, () => f.words(0))),
      );
    },
  );
}
