/** One block of four rows and eight columns of the floating matrix kernel. */
import type { Callee, FunctionBuilder, I32, Local, V128 } from "../wasm/function.js";
import type { ModuleBuilder } from "../wasm/module.js";

/**
 * begins: the open segment starts at +0. folds: the segment goes into the sum and ends. fresh: the sum was +0, so it
 * need not be read; without folds it is set to that. closed: a segment that ended need not be set to +0.
 */
export const blockMode = { begins: 1, folds: 2, fresh: 4, closed: 8 } as const;

const cells = [0, 1, 2, 3].flatMap((row) => [0, 1].map((half) => ({ row, half })));

/** (packed rows, panel, k count, c, row offsets, open, mode). */
export function addBlock(module: ModuleBuilder): Callee {
  const params = Array.from({ length: 7 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [a, b, left, c, rowC, open, mode] = f.params as readonly Local<"i32">[];
    const rows = [0, 4, 8, 12].map((offset) =>
      f.keep("i32", f.op("i32.add", f.get(c!), f.load("i32.load", f.get(rowC!), offset))),
    );
    const sums = cells.map(() => f.local("v128"));
    const ends: Ends = { f, sums, rows, open: open!, mode: mode! };
    emitStart(ends);
    f.block((done) => {
      f.branchIf(done, f.op("i32.le_s", f.get(left!), f.i32(0)));
      f.loop((again) => {
        emitPosition(f, sums, a!, b!);
        f.increase(a!, () => f.i32(16));
        f.increase(b!, () => f.i32(32));
        f.set(left!, f.op("i32.sub", f.get(left!), f.i32(1)));
        f.branchIf(again, f.get(left!));
      });
    });
    emitFinish(ends);
  });
}

/** One k. V8 hoists all loads of a basic block to its top, so that unrolling k would make it spill. */
function emitPosition(
  f: FunctionBuilder,
  sums: readonly Local<"v128">[],
  a: Local<"i32">,
  b: Local<"i32">,
): void {
  const halves = [0, 16].map((offset) => f.keep("v128", f.load("v128.load", f.get(b), offset)));
  const splats = [0, 4, 8, 12].map((offset) =>
    f.keep("v128", f.load("v128.load32_splat", f.get(a), offset)),
  );
  cells.forEach(({ row, half }, i) => {
    const product = f.keep("v128", f.op("f32x4.mul", f.get(splats[row]!), f.get(halves[half]!)));
    f.set(sums[i]!, f.op("f32x4.add", f.get(sums[i]!), f.get(product)));
  });
}

/** Where a block's sums come from and go to. */
interface Ends {
  readonly f: FunctionBuilder;
  readonly sums: readonly Local<"v128">[];
  readonly rows: readonly Local<"i32">[];
  readonly open: Local<"i32">;
  readonly mode: Local<"i32">;
}

function isSet({ f, mode }: Ends, bit: number): I32 {
  return f.op("i32.and", f.get(mode), f.i32(bit));
}

function emitStart(ends: Ends): void {
  const { f, sums, rows, open } = ends;
  f.if(
    isSet(ends, blockMode.begins),
    () => {
      for (const sum of sums) f.set(sum, f.words(0));
    },
    () => {
      cells.forEach(({ row, half }, i) => {
        const address = f.op("i32.add", f.get(rows[row]!), f.get(open));
        f.set(sums[i]!, f.load("v128.load", address, 16 * half));
      });
    },
  );
}

/** A segment that began at +0 is never -0, so adding it to a sum of +0 gives the segment itself. */
function emitFinish(ends: Ends): void {
  const { f, sums, rows, open } = ends;
  const each = (write: (i: number, row: Local<"i32">, offset: number) => void): void =>
    cells.forEach(({ row, half }, i) => write(i, rows[row]!, 16 * half));
  const storeOpen = (row: Local<"i32">, offset: number, value: () => V128): void =>
    f.store("v128.store", f.op("i32.add", f.get(row), f.get(open)), value(), offset);
  f.if(
    isSet(ends, blockMode.folds),
    () => {
      f.if(f.op("i32.eqz", isSet(ends, blockMode.fresh)), () =>
        each((i, row, offset) => {
          const sum = f.load("v128.load", f.get(row), offset);
          f.set(sums[i]!, f.op("f32x4.add", sum, f.get(sums[i]!)));
        }),
      );
      each((i, row, offset) => f.store("v128.store", f.get(row), f.get(sums[i]!), offset));
      f.if(f.op("i32.eqz", isSet(ends, blockMode.closed)), () =>
        each((_, row, offset) => storeOpen(row, offset, () => f.words(0))),
      );
    },
    () => {
      each((i, row, offset) => storeOpen(row, offset, () => f.get(sums[i]!)));
      f.if(isSet(ends, blockMode.fresh), () =>
        each((_, row, offset) => f.store("v128.store", f.get(row), f.words(0), offset)),
      );
    },
  );
}
