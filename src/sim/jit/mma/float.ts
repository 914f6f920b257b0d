/**
 * The kernel of floating mma: C[m, n] += A[m, k] * B[k, n] in fp32, k in order, products rounded before they are
 * added. A is packed in blocks of 4 rows, B in panels of 8 columns; a block times a panel is kept in eight registers
 * over a stretch of k (blocks.ts). Stretches keep a panel in the first-level cache, row groups keep the packed
 * A in the second; between stretches the sums wait in C's open segments, which changes no bit.
 */
import type { Callee, FunctionBuilder, I32, Local } from "../wasm/function.js";
import { addBlock, blockMode } from "./blocks.js";
import { addEnterTile, addLeaveTile, tileOpenBytes, tileRowBytes } from "./edges.js";
import { addPackColumns, addPackRows } from "./pack.js";
import { kernelFields, type MmaParams, mmaParams } from "./params.js";
import { addRows, rowsMost } from "./rows.js";
import { addTableFunction, areaCutter, callTable, emitAdjoins, entryAt } from "./tables.js";
import type { ModuleBuilder } from "../wasm/module.js";

/** Bits of the kernel's mode parameter. closed: open segments are nobody's after the mma. */
export const mmaMode = { clear: 1, fold: 2, closed: 4 } as const;

/** A panel of 8 columns by a stretch is 16 KiB, a row group of packed A by a stretch 512 KiB. */
const stretch = 512;
const rowGroup = 256;

const panelBytes = 32 * stretch;

/** The edge tile with its row offsets. */
const edgeBytes = 16 + 2 * tileOpenBytes;

export function floatWorkBytes(rows: number, columns: number, positions: number): number {
  const tables = 8 * (rows + 4) + 8 * (columns + 8) + 8 * positions;
  const depth = Math.min(positions, stretch);
  const packed = 4 * depth * Math.min(rows + 4, rowGroup) + panelBytes;
  return tables + packed + edgeBytes + 16 * 64;
}

export function addFloatMma(module: ModuleBuilder, exported: string): void {
  const functions: Functions = {
    table: addTableFunction(module),
    packRows: addPackRows(module),
    packColumns: addPackColumns(module),
    block: addBlock(module),
    enterTile: addEnterTile(module),
    leaveTile: addLeaveTile(module),
    rows: addRows(module),
  };
  const params = mmaParams.map(() => "i32" as const);
  module.add({ params, results: [], exported }, (f) => emitKernel(f, functions));
}

interface Functions {
  readonly table: Callee;
  readonly packRows: Callee;
  readonly packColumns: Callee;
  readonly block: Callee;
  readonly enterTile: Callee;
  readonly leaveTile: Callee;
  readonly rows: Callee;
}

interface Kernel {
  readonly f: FunctionBuilder;
  readonly p: MmaParams;
  readonly functions: Functions;
  readonly rows: Local<"i32">;
  readonly columns: Local<"i32">;
  readonly positions: Local<"i32">;
  /** Offsets per row in A and C, per column in B and C, per k in A and B. */
  readonly rowA: Local<"i32">;
  readonly rowC: Local<"i32">;
  readonly columnB: Local<"i32">;
  readonly columnC: Local<"i32">;
  readonly kA: Local<"i32">;
  readonly kB: Local<"i32">;
  readonly packedA: Local<"i32">;
  readonly panel: Local<"i32">;
  readonly edge: Local<"i32">;
}

function emitKernel(f: FunctionBuilder, functions: Functions): void {
  const p = kernelFields(f);
  const product = (...locals: Local<"i32">[]): Local<"i32"> => {
    const result = f.keep("i32", f.i32(1));
    for (const x of locals) f.set(result, f.op("i32.mul", f.get(result), f.get(x)));
    return result;
  };
  const rows = product(p.m0, p.m1);
  const columns = product(p.n0, p.n1);
  const positions = product(p.k0, p.k1, p.k2);
  const cut = areaCutter(f, p.work);
  const words = (x: Local<"i32">, more: number) => () =>
    f.op("i32.shl", f.op("i32.add", f.get(x), f.i32(more)), f.i32(2));
  const k: Kernel = {
    ...{ f, p, functions, rows, columns, positions },
    rowA: cut(words(rows, 4)),
    rowC: cut(words(rows, 4)),
    columnB: cut(words(columns, 8)),
    columnC: cut(words(columns, 8)),
    kA: cut(words(positions, 0)),
    kB: cut(words(positions, 0)),
    edge: cut(() => f.i32(edgeBytes)),
    panel: cut(() => f.i32(panelBytes)),
    packedA: cut(() => f.i32(0)),
  };
  fillTables(k);
  const g = f.keep("i32", f.i32(0));
  f.countUp(
    g,
    () => f.get(p.g),
    1,
    () => {
      f.if(
        f.op("i32.le_s", f.get(rows), f.i32(rowsMost)),
        () => emitFewRows(k),
        () => emitManyRows(k),
      );
      f.increase(p.a, () => f.get(p.aG));
      f.increase(p.b, () => f.get(p.bG));
      f.increase(p.c, () => f.get(p.cG));
    },
  );
}

function fillTables(k: Kernel): void {
  const { f, p, functions } = k;
  const fill = (
    out: Local<"i32">,
    pad: number,
    ...axes: (readonly [Local<"i32">, Local<"i32">])[]
  ): void => callTable(f, functions.table, out, axes, () => f.i32(pad));
  fill(k.rowA, 3, [p.m0, p.aM0], [p.m1, p.aM1]);
  fill(k.rowC, 3, [p.m0, p.cM0], [p.m1, p.cM1]);
  fill(k.columnB, 7, [p.n0, p.bN0], [p.n1, p.bN1]);
  fill(k.columnC, 7, [p.n0, p.cN0], [p.n1, p.cN1]);
  fill(k.kA, 0, [p.k0, p.aK0], [p.k1, p.aK1], [p.k2, p.aK2]);
  fill(k.kB, 0, [p.k0, p.bK0], [p.k1, p.bK1], [p.k2, p.bK2]);
  for (let row = 0; row < 4; row++) {
    f.store("i32.store", f.get(k.edge), f.i32(tileRowBytes * row), 4 * row);
  }
}

/** Rows of which few are worth no packing of B: each runs along B where it lies. */
function emitFewRows(k: Kernel): void {
  const { f, p, functions } = k;
  const i = f.keep("i32", f.i32(0));
  f.countUp(
    i,
    () => f.get(k.rows),
    1,
    () => {
      f.call(functions.rows, [
        f.op("i32.add", f.get(p.a), f.load("i32.load", entryAt(f, k.rowA, i))),
        f.get(p.b),
        f.op("i32.add", f.get(p.c), f.load("i32.load", entryAt(f, k.rowC, i))),
        f.get(p.open),
        f.get(k.columnB),
        f.get(k.columnC),
        f.get(k.columns),
        f.get(k.kA),
        f.get(k.kB),
        f.get(k.positions),
        f.get(p.mode),
      ]);
    },
  );
}

/** Where the loops over stretches, row groups and panels stand. */
interface Position {
  readonly mode: Local<"i32">;
  readonly depth: Local<"i32">;
  readonly kA: Local<"i32">;
  readonly kB: Local<"i32">;
  /** First row of the group, and the one after its last. */
  readonly i: Local<"i32">;
  readonly end: Local<"i32">;
  readonly j: Local<"i32">;
}

function emitManyRows(k: Kernel): void {
  const { f, functions, p } = k;
  const at: Position = {
    mode: f.local("i32"),
    depth: f.local("i32"),
    kA: f.local("i32"),
    kB: f.local("i32"),
    i: f.local("i32"),
    end: f.local("i32"),
    j: f.local("i32"),
  };
  const done = f.keep("i32", f.i32(0));
  // A contraction of nothing still clears and folds: the first stretch always runs.
  f.loop((nextStretch) => {
    f.set(
      at.depth,
      least(f, () => f.op("i32.sub", f.get(k.positions), f.get(done)), stretch),
    );
    f.set(at.kA, entryAt(f, k.kA, done));
    f.set(at.kB, entryAt(f, k.kB, done));
    f.set(at.mode, stretchMode(k, at, done));
    f.set(at.i, f.i32(0));
    f.countUp(
      at.i,
      () => f.get(k.rows),
      rowGroup,
      () => {
        f.set(
          at.end,
          least(f, () => f.op("i32.sub", f.get(k.rows), f.get(at.i)), rowGroup),
        );
        f.increase(at.end, () => f.get(at.i));
        emitPackRows(k, at);
        f.set(at.j, f.i32(0));
        f.countUp(
          at.j,
          () => f.get(k.columns),
          8,
          () => {
            f.call(functions.packColumns, [
              f.get(k.panel),
              f.get(p.b),
              entryAt(f, k.columnB, at.j),
              f.get(at.kB),
              f.get(at.depth),
              f.op("i32.sub", f.get(k.columns), f.get(at.j)),
            ]);
            emitBlocks(k, at);
          },
        );
      },
    );
    f.increase(done, () => f.i32(stretch));
    f.branchIf(nextStretch, f.op("i32.lt_s", f.get(done), f.get(k.positions)));
  });
}

function least(f: FunctionBuilder, x: () => I32, most: number): I32 {
  return f.select(x(), f.i32(most), f.op("i32.lt_s", x(), f.i32(most)));
}

/** The first stretch begins the segment if the mma clears; the last one ends it if the mma folds. */
function stretchMode({ f, p, positions }: Kernel, at: Position, done: Local<"i32">): I32 {
  const isFirst = f.keep("i32", f.op("i32.eqz", f.get(done)));
  const after = f.op("i32.add", f.get(done), f.i32(stretch));
  const isLast = f.keep("i32", f.op("i32.ge_s", after, f.get(positions)));
  const bit = (condition: Local<"i32">, modeBit: number, result: number): I32 =>
    f.select(f.i32(result), f.i32(0), f.op("i32.and", f.get(condition), isSet(f, p.mode, modeBit)));
  f.set(at.mode, bit(isFirst, mmaMode.clear, blockMode.begins));
  f.set(at.mode, f.op("i32.or", f.get(at.mode), bit(isLast, mmaMode.fold, blockMode.folds)));
  f.set(at.mode, f.op("i32.or", f.get(at.mode), bit(isLast, mmaMode.clear, blockMode.fresh)));
  return f.op("i32.or", f.get(at.mode), bit(isLast, mmaMode.closed, blockMode.closed));
}

function isSet(f: FunctionBuilder, mode: Local<"i32">, bit: number): I32 {
  return f.op("i32.ne", f.op("i32.and", f.get(mode), f.i32(bit)), f.i32(0));
}

function emitPackRows(k: Kernel, at: Position): void {
  const { f, functions, p } = k;
  const i = f.keep("i32", f.get(at.i));
  const to = f.keep("i32", f.get(k.packedA));
  f.countUp(
    i,
    () => f.get(at.end),
    4,
    () => {
      f.call(functions.packRows, [
        f.get(to),
        f.get(p.a),
        entryAt(f, k.rowA, i),
        f.get(at.kA),
        f.get(at.depth),
        f.op("i32.sub", f.get(k.rows), f.get(i)),
      ]);
      f.increase(to, () => f.op("i32.shl", f.get(at.depth), f.i32(4)));
    },
  );
}

/** All row blocks of the group times one panel. */
function emitBlocks(k: Kernel, at: Position): void {
  const { f, p, functions } = k;
  const i = f.keep("i32", f.get(at.i));
  const a = f.keep("i32", f.get(k.packedA));
  const targets = f.keep("i32", entryAt(f, k.columnC, at.j));
  const columns = f.keep("i32", f.op("i32.sub", f.get(k.columns), f.get(at.j)));
  const adjoin = f.keep("i32", f.i32(0));
  emitAdjoins(f, targets, columns, adjoin);
  const eightLeft = f.op("i32.ge_s", f.get(columns), f.i32(8));
  const isWhole = f.keep("i32", f.op("i32.and", eightLeft, f.get(adjoin)));
  const c = f.op("i32.add", f.get(p.c), f.load("i32.load", f.get(targets)));
  const corner = f.keep("i32", c);
  const tile = f.keep("i32", f.op("i32.add", f.get(k.edge), f.i32(16)));
  const rows = f.local("i32");
  const block = (corner: Local<"i32">, rowC: () => I32, open: () => I32): void =>
    f.call(functions.block, [
      ...[a, k.panel, at.depth, corner].map((x) => f.get(x)),
      rowC(),
      open(),
      f.get(at.mode),
    ]);
  const edge = (callee: Callee): void =>
    f.call(callee, [
      f.get(p.c),
      entryAt(f, k.rowC, i),
      ...[targets, rows, columns, adjoin, p.open, tile, at.mode].map((x) => f.get(x)),
    ]);
  f.countUp(
    i,
    () => f.get(at.end),
    4,
    () => {
      f.set(rows, f.op("i32.sub", f.get(k.rows), f.get(i)));
      f.if(
        f.op("i32.and", f.op("i32.ge_s", f.get(rows), f.i32(4)), f.get(isWhole)),
        () =>
          block(
            corner,
            () => entryAt(f, k.rowC, i),
            () => f.get(p.open),
          ),
        () => {
          edge(functions.enterTile);
          block(
            tile,
            () => f.get(k.edge),
            () => f.i32(tileOpenBytes),
          );
          edge(functions.leaveTile);
        },
      );
      f.increase(a, () => f.op("i32.shl", f.get(at.depth), f.i32(4)));
    },
  );
}
