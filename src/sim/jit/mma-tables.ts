/**
 * What the matrix kernels share: tables of byte offsets for rows and columns, so that any two axes look like one,
 * and loops over up to three contraction axes with counts and strides in memory.
 */
import type { Callee, FunctionBuilder, I32, Local } from "./function.js";
import type { ModuleBuilder } from "./module.js";

/**
 * (out, count0, stride0, count1, stride1, padTo): writes the offsets of all count0 * count1 positions, then repeats the
 * last one up to `padTo` entries.
 */
export function addTableFunction(module: ModuleBuilder): Callee {
  const params = ["i32", "i32", "i32", "i32", "i32", "i32"] as const;
  return module.add({ params, results: [] }, (f) => {
    const [out, count0, stride0, count1, stride1, padTo] = params.map((type, i) =>
      f.param(type, i),
    ) as [Local<"i32">, Local<"i32">, Local<"i32">, Local<"i32">, Local<"i32">, Local<"i32">];
    const i = f.keep("i32", f.i32(0));
    const j = f.local("i32");
    const offset = f.local("i32");
    const start = f.keep("i32", f.i32(0));
    const end = f.keep("i32", padEnd(f, out, padTo));
    const write = (): void => {
      f.store("i32.store", f.get(out), f.get(offset));
      f.increase(out, () => f.i32(4));
    };
    f.countUp(
      i,
      () => f.get(count0),
      1,
      () => {
        f.set(offset, f.get(start));
        f.set(j, f.i32(0));
        f.countUp(
          j,
          () => f.get(count1),
          1,
          () => {
            write();
            f.increase(offset, () => f.get(stride1));
          },
        );
        f.increase(start, () => f.get(stride0));
      },
    );
    f.set(offset, f.op("i32.sub", f.get(offset), f.get(stride1)));
    f.block((done) => {
      f.loop((again) => {
        f.branchIf(done, f.op("i32.ge_u", f.get(out), f.get(end)));
        write();
        f.branch(again);
      });
    });
  });
}

function padEnd(f: FunctionBuilder, out: Local<"i32">, padTo: Local<"i32">): I32 {
  return f.op("i32.add", f.get(out), f.op("i32.shl", f.get(padTo), f.i32(2)));
}

/**
 * A record of contraction loops in memory: three counts, then per walker the inner stride and what is added after the
 * inner and after the middle loop. A walker is a pointer that the loops move.
 */
export const kRecord = {
  counts: 0,
  walker: (number: number): number => 12 + 12 * number,
  bytes: (walkers: number): number => 12 + 12 * walkers,
} as const;

/** Writes the counts and, per walker, the increments that its three strides come to. */
export function emitKRecord(
  f: FunctionBuilder,
  record: () => I32,
  counts: readonly [() => I32, () => I32, () => I32],
  walkers: readonly (readonly [() => I32, () => I32, () => I32])[],
): void {
  counts.forEach((count, i) => f.store("i32.store", record(), count(), kRecord.counts + 4 * i));
  walkers.forEach(([outer, middle, inner], number) => {
    const at = kRecord.walker(number);
    f.store("i32.store", record(), inner(), at);
    const innerReach = () => f.op("i32.mul", counts[2](), inner());
    f.store("i32.store", record(), f.op("i32.sub", middle(), innerReach()), at + 4);
    const middleReach = () => f.op("i32.mul", counts[1](), middle());
    f.store("i32.store", record(), f.op("i32.sub", outer(), middleReach()), at + 8);
  });
}

/**
 * Runs `body` at every contraction position, the last axis fastest; `pointers` has per walker the locals that it
 * moves. All counts must be positive.
 */
export function emitKLoops(
  f: FunctionBuilder,
  record: Local<"i32">,
  pointers: readonly (readonly Local<"i32">[])[],
  body: () => void,
): void {
  const field = (offset: number) => f.keep("i32", f.load("i32.load", f.get(record), offset));
  const steps = pointers.map((_, number) =>
    [0, 4, 8].map((i) => field(kRecord.walker(number) + i)),
  );
  const move = (which: number): void =>
    pointers.forEach((moved, number) => {
      for (const pointer of moved) f.increase(pointer, () => f.get(steps[number]![which]!));
    });
  const counts = [0, 4, 8].map((offset) => field(kRecord.counts + offset));
  const left = counts.map(() => f.local("i32"));
  const level = (number: number): void => {
    f.set(left[number]!, f.get(counts[number]!));
    f.loop((again) => {
      if (number === 2) body();
      else level(number + 1);
      move(2 - number);
      f.set(left[number]!, f.op("i32.sub", f.get(left[number]!), f.i32(1)));
      f.branchIf(again, f.get(left[number]!));
    });
  };
  level(0);
}
