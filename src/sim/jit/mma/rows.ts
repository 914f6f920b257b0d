/**
 * One row of C at a time, for an A of so few rows that packing B would cost more than it saves: a matrix times a
 * vector. Columns that lie side by side in B and C are read where they are, 32 or 4 at once; others by eights, four k
 * at a time where those are neighbours.
 */
import type { Callee, FunctionBuilder, I32, Local } from "../wasm/function.js";
import { transpose } from "./pack.js";
import { entryAt } from "./tables.js";
import type { ModuleBuilder } from "../wasm/module.js";

/** Up to so many rows of A. */
export const rowsMost = 2;

/** Bits of the mode, as float.ts has them. */
const modeClear = 1;
const modeFold = 2;

/** (a row, b, c row, open, column offsets in b and in c, columns, k offsets in a and in b, k count, mode). */
export function addRows(module: ModuleBuilder): Callee {
  const params = Array.from({ length: 11 }, () => "i32" as const);
  const wide = addAdjoining(module, 8);
  const narrow = addAdjoining(module, 1);
  const apart = addApart(module);
  return module.add({ params, results: [] }, (f) => {
    const [a, b, c, open, columnB, columnC, columns, kA, kB, count, mode] =
      f.params as readonly Local<"i32">[];
    const j = f.keep("i32", f.i32(0));
    const run = f.local("i32");
    const left = f.local("i32");
    const tables = [kA!, kB!, count!, mode!];
    const adjoining = (callee: Callee, size: number): void => {
      f.get(a!);
      f.op("i32.add", f.get(b!), f.load("i32.load", entryAt(f, columnB!, j)));
      f.op("i32.add", f.get(c!), f.load("i32.load", entryAt(f, columnC!, j)));
      f.get(open!);
      for (const local of tables) f.get(local);
      f.call(callee, []);
      f.increase(j, () => f.i32(size));
    };
    f.block((done) => {
      f.loop((again) => {
        f.set(left, f.op("i32.sub", f.get(columns!), f.get(j)));
        f.branchIf(done, f.op("i32.le_s", f.get(left), f.i32(0)));
        emitRun(f, { columnB: columnB!, columnC: columnC!, j, left, run });
        f.if(
          f.op("i32.ge_s", f.get(run), f.i32(32)),
          () => adjoining(wide, 32),
          () =>
            f.if(
              f.op("i32.ge_s", f.get(run), f.i32(4)),
              () => adjoining(narrow, 4),
              () => {
                for (const local of [a!, b!, c!, open!]) f.get(local);
                entryAt(f, columnB!, j);
                entryAt(f, columnC!, j);
                f.get(left);
                for (const local of tables) f.get(local);
                f.call(apart, []);
                f.increase(j, () => f.i32(8));
              },
            ),
        );
        f.branch(again);
      });
    });
  });
}

interface Run {
  readonly columnB: Local<"i32">;
  readonly columnC: Local<"i32">;
  readonly j: Local<"i32">;
  readonly left: Local<"i32">;
  readonly run: Local<"i32">;
}

/** Sets `run` to how many columns from j on adjoin in B and in C, 32 at most. */
function emitRun(f: FunctionBuilder, { columnB, columnC, j, left, run }: Run): void {
  const b = f.keep("i32", entryAt(f, columnB, j));
  const c = f.keep("i32", entryAt(f, columnC, j));
  const adjoins = (at: Local<"i32">): I32 =>
    f.op(
      "i32.eq",
      f.op("i32.sub", f.load("i32.load", f.get(at), 4), f.load("i32.load", f.get(at))),
      f.i32(4),
    );
  f.set(run, f.i32(1));
  f.block((done) => {
    f.loop((again) => {
      f.branchIf(done, f.op("i32.ge_s", f.get(run), f.get(left)));
      f.branchIf(done, f.op("i32.ge_s", f.get(run), f.i32(32)));
      f.branchIf(done, f.op("i32.eqz", f.op("i32.and", adjoins(b), adjoins(c))));
      for (const pointer of [b, c]) f.increase(pointer, () => f.i32(4));
      f.increase(run, () => f.i32(1));
      f.branch(again);
    });
  });
}

/** (a row, b, c, open, k offsets in a and in b, k count, mode): adjoining columns, four to a vector. */
function addAdjoining(module: ModuleBuilder, vectors: number): Callee {
  const params = Array.from({ length: 8 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [a, b, c, open, kA, kB, left, mode] = f.params as readonly Local<"i32">[];
    const sums = Array.from({ length: vectors }, () => f.local("v128"));
    const openAt = f.keep("i32", f.op("i32.add", f.get(c!), f.get(open!)));
    f.if(
      f.op("i32.and", f.get(mode!), f.i32(modeClear)),
      () => sums.forEach((sum) => f.set(sum, f.words(0))),
      () => sums.forEach((sum, i) => f.set(sum, f.load("v128.load", f.get(openAt), 16 * i))),
    );
    const at = f.local("i32");
    const x = f.local("v128");
    eachPosition(f, left!, [kA!, kB!], () => {
      const from = f.op("i32.add", f.get(a!), f.load("i32.load", f.get(kA!)));
      f.set(x, f.load("v128.load32_splat", from));
      f.set(at, f.op("i32.add", f.get(b!), f.load("i32.load", f.get(kB!))));
      sums.forEach((sum, i) => {
        const product = f.op("f32x4.mul", f.get(x), f.load("v128.load", f.get(at), 16 * i));
        const kept = f.keep("v128", product);
        f.set(sum, f.op("f32x4.add", f.get(sum), f.get(kept)));
      });
    });
    f.if(
      f.op("i32.and", f.get(mode!), f.i32(modeFold)),
      () => {
        f.if(f.op("i32.eqz", f.op("i32.and", f.get(mode!), f.i32(modeClear))), () =>
          sums.forEach((sum, i) =>
            f.set(sum, f.op("f32x4.add", f.load("v128.load", f.get(c!), 16 * i), f.get(sum))),
          ),
        );
        sums.forEach((sum, i) => {
          f.store("v128.store", f.get(c!), f.get(sum), 16 * i);
          f.store("v128.store", f.get(openAt), f.words(0), 16 * i);
        });
      },
      () => {
        sums.forEach((sum, i) => f.store("v128.store", f.get(openAt), f.get(sum), 16 * i));
        f.if(f.op("i32.and", f.get(mode!), f.i32(modeClear)), () =>
          sums.forEach((_, i) => f.store("v128.store", f.get(c!), f.words(0), 16 * i)),
        );
      },
    );
  });
}

/** Runs `body` once per position, `tables` standing at its entries. */
function eachPosition(
  f: FunctionBuilder,
  left: Local<"i32">,
  tables: readonly Local<"i32">[],
  body: () => void,
): void {
  f.block((done) => {
    f.branchIf(done, f.op("i32.le_s", f.get(left), f.i32(0)));
    f.loop((again) => {
      body();
      step(f, left, tables, 1);
      f.branchIf(again, f.get(left));
    });
  });
}

function step(
  f: FunctionBuilder,
  left: Local<"i32">,
  tables: readonly Local<"i32">[],
  positions: number,
): void {
  for (const table of tables) f.increase(table, () => f.i32(4 * positions));
  f.set(left, f.op("i32.sub", f.get(left), f.i32(positions)));
}

/** (a row, b, c row, open, column offsets in b and in c, columns, k offsets in a and in b, k count, mode): up to 8 columns. */
function addApart(module: ModuleBuilder): Callee {
  const params = Array.from({ length: 11 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [a, b, c, open, columnB, columnC, columns, kA, kB, left, mode] =
      f.params as readonly Local<"i32">[];
    const pointers = Array.from({ length: 8 }, (_, i) => {
      const offset = f.load("i32.load", f.get(columnB!), 4 * i);
      return f.keep("i32", f.op("i32.add", offset, f.get(b!)));
    });
    const sums = [f.keep("v128", f.words(0)), f.keep("v128", f.words(0))];
    const cells: Cells = { f, c: c!, open: open!, columnC: columnC!, columns: columns!, sums };
    f.if(f.op("i32.eqz", f.op("i32.and", f.get(mode!), f.i32(modeClear))), () =>
      eachCell(cells, (sum, lane, at) => {
        const address = f.op("i32.add", f.get(at), f.get(open!));
        f.set(sum, f.loadLane("v128.load32_lane", address, f.get(sum), lane));
      }),
    );
    const atA = f.local("i32");
    const atB = f.local("i32");
    eachPositionOrFour(f, { left: left!, kA: kA!, kB: kB!, atA, atB }, (positions) => {
      const from = f.op("i32.add", f.get(a!), f.get(atA));
      if (positions === 1) {
        const x = f.keep("v128", f.load("v128.load32_splat", from));
        sums.forEach((sum, half) => addProduct(f, sum, x, gathered(f, pointers, half, atB)));
        return;
      }
      const xs = f.keep("v128", f.load("v128.load", from));
      sums.forEach((sum, half) => {
        const lines = pointers.slice(4 * half, 4 * half + 4).map((pointer) => {
          const address = f.op("i32.add", f.get(pointer), f.get(atB));
          return f.keep("v128", f.load("v128.load", address));
        });
        transpose(f, lines).forEach((line, k) => {
          const x = f.keep("v128", f.shuffleWords(f.get(xs), f.get(xs), [k, k, k, k]));
          addProduct(f, sum, x, line);
        });
      });
    });
    finishCells(cells, mode!);
  });
}

function addProduct(
  f: FunctionBuilder,
  sum: Local<"v128">,
  x: Local<"v128">,
  y: Local<"v128">,
): void {
  const product = f.keep("v128", f.op("f32x4.mul", f.get(x), f.get(y)));
  f.set(sum, f.op("f32x4.add", f.get(sum), f.get(product)));
}

function gathered(
  f: FunctionBuilder,
  pointers: readonly Local<"i32">[],
  half: number,
  offset: Local<"i32">,
): Local<"v128"> {
  const vector = f.keep("v128", f.words(0));
  for (let lane = 0; lane < 4; lane++) {
    const address = f.op("i32.add", f.get(pointers[4 * half + lane]!), f.get(offset));
    f.set(vector, f.loadLane("v128.load32_lane", address, f.get(vector), lane));
  }
  return vector;
}

interface PositionTables {
  readonly left: Local<"i32">;
  readonly kA: Local<"i32">;
  readonly kB: Local<"i32">;
  /** The offsets of the present position. */
  readonly atA: Local<"i32">;
  readonly atB: Local<"i32">;
}

/** Four positions at once where they are neighbours in A and in B. */
function eachPositionOrFour(
  f: FunctionBuilder,
  { left, kA, kB, atA, atB }: PositionTables,
  body: (positions: 1 | 4) => void,
): void {
  const follows = (table: Local<"i32">, at: Local<"i32">, n: number): I32 =>
    f.op(
      "i32.eq",
      f.load("i32.load", f.get(table), 4 * n),
      f.op("i32.add", f.get(at), f.i32(4 * n)),
    );
  const four = f.local("i32");
  f.block((done) => {
    f.branchIf(done, f.op("i32.le_s", f.get(left), f.i32(0)));
    f.loop((again) => {
      f.set(atA, f.load("i32.load", f.get(kA)));
      f.set(atB, f.load("i32.load", f.get(kB)));
      f.set(four, f.op("i32.ge_s", f.get(left), f.i32(4)));
      f.if(f.get(four), () => {
        for (const n of [1, 2, 3]) {
          const both = f.op("i32.and", follows(kA, atA, n), follows(kB, atB, n));
          f.set(four, f.op("i32.and", both, f.get(four)));
        }
      });
      f.if(
        f.get(four),
        () => {
          body(4);
          step(f, left, [kA, kB], 4);
        },
        () => {
          body(1);
          step(f, left, [kA, kB], 1);
        },
      );
      f.branchIf(again, f.get(left));
    });
  });
}

/** Up to eight cells of C, each where a table says. */
interface Cells {
  readonly f: FunctionBuilder;
  readonly c: Local<"i32">;
  readonly open: Local<"i32">;
  readonly columnC: Local<"i32">;
  readonly columns: Local<"i32">;
  readonly sums: readonly Local<"v128">[];
}

function eachCell(
  { f, c, columnC, columns, sums }: Cells,
  body: (sum: Local<"v128">, lane: number, at: Local<"i32">) => void,
): void {
  const at = f.local("i32");
  for (let column = 0; column < 8; column++) {
    f.if(f.op("i32.gt_s", f.get(columns), f.i32(column)), () => {
      const offset = f.load("i32.load", f.get(columnC), 4 * column);
      f.set(at, f.op("i32.add", offset, f.get(c)));
      body(sums[column >> 2]!, column & 3, at);
    });
  }
}

function finishCells(cells: Cells, mode: Local<"i32">): void {
  const { f, open } = cells;
  const openAt = (at: Local<"i32">): I32 => f.op("i32.add", f.get(at), f.get(open));
  f.if(
    f.op("i32.and", f.get(mode), f.i32(modeFold)),
    () => {
      eachCell(cells, (sum, lane, at) => {
        const total = f.keep("f32", f.laneOp("f32x4.extract_lane", lane, f.get(sum)));
        f.if(f.op("i32.eqz", f.op("i32.and", f.get(mode), f.i32(modeClear))), () =>
          f.set(total, f.op("f32.add", f.load("f32.load", f.get(at)), f.get(total))),
        );
        f.store("f32.store", f.get(at), f.get(total));
        f.store("i32.store", openAt(at), f.i32(0));
      });
    },
    () => {
      eachCell(cells, (sum, lane, at) => {
        f.storeLane("v128.store32_lane", openAt(at), f.get(sum), lane);
        f.if(f.op("i32.and", f.get(mode), f.i32(modeClear)), () =>
          f.store("i32.store", f.get(at), f.i32(0)),
        );
      });
    },
  );
}
