/**
 * The ragged edges of C, and columns of it that do not adjoin: such a block is computed in a tile, four rows of eight
 * sums and as many open segments, and copied between the tile and C.
 */
import { blockMode } from "./blocks.js";
import type { Callee, FunctionBuilder, I32, Local } from "../wasm/function.js";
import { entryAt } from "./tables.js";
import type { ModuleBuilder } from "../wasm/module.js";

export const tileRowBytes = 32;
export const tileOpenBytes = 128;

/** What both directions are told, in this order, all i32. */
export interface EdgeArguments {
  readonly c: Local<"i32">;
  readonly rowC: Local<"i32">;
  readonly columnC: Local<"i32">;
  /** How many there are from here on; four and eight at most count. */
  readonly rows: Local<"i32">;
  readonly columns: Local<"i32">;
  /** 1 if the columns adjoin in C. */
  readonly adjoin: Local<"i32">;
  readonly open: Local<"i32">;
  readonly tile: Local<"i32">;
  /** The block's mode. */
  readonly mode: Local<"i32">;
}

const params = Array.from({ length: 9 }, () => "i32" as const);

function edgeArguments(f: FunctionBuilder): EdgeArguments {
  const [c, rowC, columnC, rows, columns, adjoin, open, tile, mode] =
    f.params as readonly Local<"i32">[];
  return {
    ...{ c: c!, rowC: rowC!, columnC: columnC!, rows: rows!, columns: columns! },
    ...{ adjoin: adjoin!, open: open!, tile: tile!, mode: mode! },
  };
}

/** C to tile: nothing where the segment begins, since then the sum is not read either. */
export function addEnterTile(module: ModuleBuilder): Callee {
  return module.add({ params, results: [] }, (f) => {
    const edge = edgeArguments(f);
    f.if(isSet(f, edge.mode, blockMode.begins), () => f.return());
    eachCell(f, edge, (inC, inTile) => {
      const openInC = () => f.op("i32.add", f.get(inC), f.get(edge.open));
      f.store("i32.store", f.get(inTile), f.load("i32.load", f.get(inC)));
      f.store("i32.store", f.get(inTile), f.load("i32.load", openInC()), tileOpenBytes);
    });
  });
}

/** Tile to C: sums where the block wrote any, open segments where somebody reads them. */
export function addLeaveTile(module: ModuleBuilder): Callee {
  return module.add({ params, results: [] }, (f) => {
    const edge = edgeArguments(f);
    const isClosed = f.op("i32.and", bit(f, edge.mode, 1), bit(f, edge.mode, 3));
    const hasOpen = f.keep("i32", f.op("i32.eqz", isClosed));
    const hasSum = f.keep("i32", isSet(f, edge.mode, blockMode.folds | blockMode.fresh));
    f.if(f.get(hasSum), () => copyPlane(f, edge, 0, () => f.i32(0)));
    f.if(f.get(hasOpen), () => copyPlane(f, edge, tileOpenBytes, () => f.get(edge.open)));
  });
}

function isSet(f: FunctionBuilder, mode: Local<"i32">, bits: number): I32 {
  return f.op("i32.and", f.get(mode), f.i32(bits));
}

/** Bit number n as 0 or 1. */
function bit(f: FunctionBuilder, mode: Local<"i32">, n: number): I32 {
  return f.op("i32.and", f.op("i32.shr_u", f.get(mode), f.i32(n)), f.i32(1));
}

function copyPlane(
  f: FunctionBuilder,
  edge: EdgeArguments,
  tilePlane: number,
  planeInC: () => I32,
): void {
  f.if(
    f.get(edge.adjoin),
    () =>
      eachRow(f, edge, (start, inTile) => {
        f.increase(start, () => f.load("i32.load", f.get(edge.columnC)));
        f.increase(start, planeInC);
        copyAdjoining(f, edge.columns, start, inTile, tilePlane);
      }),
    () =>
      eachCell(f, edge, (inC, inTile) => {
        f.increase(inC, planeInC);
        f.store("i32.store", f.get(inC), f.load("i32.load", f.get(inTile), tilePlane));
      }),
  );
}

/** Up to eight neighbours: by fours, then one by one. */
function copyAdjoining(
  f: FunctionBuilder,
  columns: Local<"i32">,
  to: Local<"i32">,
  from: Local<"i32">,
  plane: number,
): void {
  const isMore = (than: number): I32 => f.op("i32.gt_s", f.get(columns), f.i32(than));
  const four = (at: number): void =>
    f.store("v128.store", f.get(to), f.load("v128.load", f.get(from), plane + at), at);
  const three = (first: number): void => {
    for (let column = first; column < first + 3; column++) {
      f.if(isMore(column), () => {
        const at = 4 * column;
        f.store("i32.store", f.get(to), f.load("i32.load", f.get(from), plane + at), at);
      });
    }
  };
  f.if(
    isMore(3),
    () => {
      four(0);
      f.if(
        isMore(7),
        () => four(16),
        () => three(4),
      );
    },
    () => three(0),
  );
}

/** The row's start in C, without its columns' offsets, and in the tile: both may be moved. */
function eachRow(
  f: FunctionBuilder,
  { c, rowC, rows, tile }: EdgeArguments,
  body: (start: Local<"i32">, inTile: Local<"i32">) => void,
): void {
  const row = f.keep("i32", f.i32(0));
  const start = f.local("i32");
  const inTile = f.local("i32");
  const end = f.keep("i32", least(f, rows, 4));
  f.countUp(
    row,
    () => f.get(end),
    1,
    () => {
      f.set(start, f.op("i32.add", f.get(c), f.load("i32.load", entryAt(f, rowC, row))));
      f.set(inTile, f.op("i32.add", f.get(tile), f.op("i32.shl", f.get(row), f.i32(5))));
      body(start, inTile);
    },
  );
}

function eachCell(
  f: FunctionBuilder,
  edge: EdgeArguments,
  body: (inC: Local<"i32">, inTile: Local<"i32">) => void,
): void {
  const column = f.local("i32");
  const inC = f.local("i32");
  const end = f.keep("i32", least(f, edge.columns, 8));
  eachRow(f, edge, (start, inTile) => {
    f.set(column, f.i32(0));
    f.countUp(
      column,
      () => f.get(end),
      1,
      () => {
        const offset = f.load("i32.load", entryAt(f, edge.columnC, column));
        f.set(inC, f.op("i32.add", offset, f.get(start)));
        body(inC, inTile);
        f.increase(inTile, () => f.i32(4));
      },
    );
  });
}

function least(f: FunctionBuilder, x: Local<"i32">, most: number): I32 {
  return f.select(f.get(x), f.i32(most), f.op("i32.lt_s", f.get(x), f.i32(most)));
}
