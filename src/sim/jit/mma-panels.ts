/** Moving operands of the matrix kernels: B into panels of eight columns, edge blocks of C into a tile and back. */
import type { Callee, FunctionBuilder, Local, V128 } from "./function.js";
import { emitKLoops } from "./mma-tables.js";
import type { ModuleBuilder } from "./module.js";

/** An edge tile is four rows of eight sums, then as many open segments. */
export const tileRowBytes = 32;
export const tileOpenBytes = 128;

/**
 * (panel, b, column offsets, k record, side by side): writes eight columns of B as rows of 32 bytes, one per k. The
 * record's second walker has B's strides.
 */
export function addPack(module: ModuleBuilder): Callee {
  const params = Array.from({ length: 5 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [panel, b, offsets, record, isSideBySide] = f.params as readonly Local<"i32">[];
    const columns = Array.from({ length: 8 }, (_, column) => {
      const offset = f.load("i32.load", f.get(offsets!), 4 * column);
      return f.keep("i32", f.op("i32.add", f.get(b!), offset));
    });
    const counts = [0, 4, 8].map((offset) =>
      f.keep("i32", f.load("i32.load", f.get(record!), offset)),
    );
    const isEmpty = (i: number) => f.op("i32.eqz", f.get(counts[i]!));
    f.if(f.op("i32.or", f.op("i32.or", isEmpty(0), isEmpty(1)), isEmpty(2)), () => f.return());
    f.if(
      f.get(isSideBySide!),
      () => {
        emitKLoops(f, record!, [[], [columns[0]!]], () => {
          for (const offset of [0, 16]) {
            const value = f.keep("v128", f.load("v128.load", f.get(columns[0]!), offset));
            f.store("v128.store", f.get(panel!), f.get(value), offset);
          }
          f.increase(panel!, () => f.i32(32));
        });
      },
      () => {
        emitKLoops(f, record!, [[], columns], () => {
          for (const half of [0, 1]) {
            const lanes = columns.slice(4 * half, 4 * half + 4);
            f.store("v128.store", f.get(panel!), emitLanes(f, lanes), 16 * half);
          }
          f.increase(panel!, () => f.i32(32));
        });
      },
    );
  });
}

/** Four elements from four places. */
function emitLanes(f: FunctionBuilder, pointers: readonly Local<"i32">[]): V128 {
  const lanes = f.keep("v128", f.load("v128.load32_splat", f.get(pointers[0]!)));
  for (let lane = 1; lane < 4; lane++) {
    f.set(lanes, f.loadLane("v128.load32_lane", f.get(pointers[lane]!), f.get(lanes), lane));
  }
  return f.get(lanes);
}

/**
 * (c, row offsets, column offsets, rows, columns, open, tile, out): copies the sums and open segments of at most four
 * rows and eight columns between C and the tile.
 */
export function addExchange(module: ModuleBuilder): Callee {
  const params = Array.from({ length: 8 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [c, rowC, columnC, rows, columns, open, tile, isOut] =
      f.params as readonly Local<"i32">[];
    const end = (x: Local<"i32">, most: number): Local<"i32"> =>
      f.keep("i32", f.select(f.get(x), f.i32(most), f.op("i32.lt_s", f.get(x), f.i32(most))));
    const rowEnd = end(rows!, 4);
    const columnEnd = end(columns!, 8);
    const entry = (table: Local<"i32">, i: Local<"i32">) =>
      f.load("i32.load", f.op("i32.add", f.get(table), f.op("i32.shl", f.get(i), f.i32(2))));
    const row = f.keep("i32", f.i32(0));
    const column = f.local("i32");
    const start = f.local("i32");
    const at = f.local("i32");
    const inTile = f.local("i32");
    f.countUp(
      row,
      () => f.get(rowEnd),
      1,
      () => {
        f.set(start, f.op("i32.add", f.get(c!), entry(rowC!, row)));
        f.set(inTile, f.op("i32.add", f.get(tile!), f.op("i32.shl", f.get(row), f.i32(5))));
        f.set(column, f.i32(0));
        f.countUp(
          column,
          () => f.get(columnEnd),
          1,
          () => {
            f.set(at, f.op("i32.add", f.get(start), entry(columnC!, column)));
            const openAt = () => f.op("i32.add", f.get(at), f.get(open!));
            f.if(
              f.get(isOut!),
              () => {
                f.store("i32.store", f.get(at), f.load("i32.load", f.get(inTile)));
                f.store("i32.store", openAt(), f.load("i32.load", f.get(inTile), tileOpenBytes));
              },
              () => {
                f.store("i32.store", f.get(inTile), f.load("i32.load", f.get(at)));
                f.store("i32.store", f.get(inTile), f.load("i32.load", openAt()), tileOpenBytes);
              },
            );
            f.increase(inTile, () => f.i32(4));
          },
        );
      },
    );
  });
}
