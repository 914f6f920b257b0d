/** What the matrix kernels share: tables of byte offsets, so that several axes look like one. */
import type { Callee, FunctionBuilder, I32, Local } from "../wasm/function.js";
import type { ModuleBuilder } from "../wasm/module.js";

/**
 * (out, count0, stride0, count1, stride1, count2, stride2, pad): writes the offsets of all positions, then the last one
 * `pad` times more.
 */
export function addTableFunction(module: ModuleBuilder): Callee {
  const params = Array.from({ length: 8 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const out = f.param("i32", 0);
    const pad = f.param("i32", 7);
    const offset = f.keep("i32", f.i32(0));
    const starts = [f.local("i32"), f.local("i32")];
    const last = f.local("i32");
    const write = (): void => {
      f.store("i32.store", f.get(out), f.get(last));
      f.increase(out, () => f.i32(4));
    };
    const level = (axis: number): void => {
      const left = f.keep("i32", f.get(f.param("i32", 1 + 2 * axis)));
      const start = starts[axis - 1];
      if (start !== undefined) f.set(start, f.get(offset));
      f.block((done) => {
        f.branchIf(done, f.op("i32.le_s", f.get(left), f.i32(0)));
        f.loop((again) => {
          if (axis === 2) {
            f.set(last, f.get(offset));
            write();
          } else level(axis + 1);
          f.increase(offset, () => f.get(f.param("i32", 2 + 2 * axis)));
          f.set(left, f.op("i32.sub", f.get(left), f.i32(1)));
          f.branchIf(again, f.get(left));
        });
      });
      if (start !== undefined) f.set(offset, f.get(start));
    };
    level(0);
    f.block((done) => {
      f.loop((again) => {
        f.branchIf(done, f.op("i32.le_s", f.get(pad), f.i32(0)));
        write();
        f.set(pad, f.op("i32.sub", f.get(pad), f.i32(1)));
        f.branch(again);
      });
    });
  });
}

/** Fills a table; missing axes have one position. */
export function callTable(
  f: FunctionBuilder,
  table: Callee,
  out: Local<"i32">,
  axes: readonly (readonly [Local<"i32">, Local<"i32">])[],
  pad: () => I32,
): void {
  f.get(out);
  for (let missing = 3 - axes.length; missing > 0; missing--) {
    f.i32(1);
    f.i32(0);
  }
  for (const axis of axes) for (const local of axis) f.get(local);
  pad();
  f.call(table, []);
}

/** Address of an entry. */
export function entryAt(f: FunctionBuilder, table: Local<"i32">, entry: Local<"i32">): I32 {
  return f.op("i32.add", f.get(table), f.op("i32.shl", f.get(entry), f.i32(2)));
}

function roundUp(f: FunctionBuilder, x: Local<"i32">, to: number): I32 {
  const raised = f.op("i32.add", f.get(x), f.i32(to - 1));
  return f.op("i32.and", raised, f.i32(-to));
}

/** Cuts areas off a work area, one after the other, aligned to 64 bytes. */
export function areaCutter(
  f: FunctionBuilder,
  start: Local<"i32">,
): (bytes: () => I32) => Local<"i32"> {
  const next = f.keep("i32", f.get(start));
  return (bytes) => {
    const area = f.keep("i32", f.get(next));
    f.increase(next, bytes);
    f.set(next, roundUp(f, next, 64));
    return area;
  };
}

/** Sets `adjoin` to 1 if the first `count` entries of a table, eight at most, are one element apart. */
export function emitAdjoins(
  f: FunctionBuilder,
  table: Local<"i32">,
  count: Local<"i32">,
  adjoin: Local<"i32">,
  bytes: 1 | 4 = 4,
): void {
  f.set(adjoin, f.i32(1));
  f.block((done) => {
    for (let entry = 1; entry < 8; entry++) {
      f.branchIf(done, f.op("i32.le_s", f.get(count), f.i32(entry)));
      const before = f.load("i32.load", f.get(table), 4 * entry - 4);
      const expected = f.op("i32.add", before, f.i32(bytes));
      const follows = f.op("i32.eq", expected, f.load("i32.load", f.get(table), 4 * entry));
      f.set(adjoin, f.op("i32.and", follows, f.get(adjoin)));
    }
  });
}
