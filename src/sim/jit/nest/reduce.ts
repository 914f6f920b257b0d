/**
 * The accumulators of reduced outputs. In "cells" mode each lane is a cell of its own; in "row" mode the lanes of a
 * chunk are neighbours of one reduction, which floating sums and products allow because element i belongs to partial
 * i mod 16: four registers hold the 16 partials.
 */
import { emitRead, emitWrite, type LanePlace, type LanesWritten } from "../lanes/access.js";
import type { FunctionBuilder, Local, V128 } from "../wasm/function.js";
import { extremeOf } from "./extremes.js";
import { floatBits } from "../wasm/function.js";
import { hasPartials, type NestOutput, type NestParam } from "./spec.js";

export type LaneMode = "cells" | "row";
type Reduce = NonNullable<NestOutput["reduce"]>;

export interface Accumulator {
  begin(place: LanePlace): void;
  add(value: Local<"v128">): void;
  end(place: LanePlace): void;
}

export interface AccumulatorOptions {
  readonly f: FunctionBuilder;
  readonly reduce: Reduce;
  /** Of the output. */
  readonly number: number;
  readonly mode: LaneMode;
  readonly full: Local<"i32"> | undefined;
  readonly lanes: LanesWritten;
  readonly param: (wanted: NestParam) => Local<"i32">;
}

export function accumulatorOf(options: AccumulatorOptions): Accumulator {
  const { reduction, type } = options.reduce;
  if (type === "f32" && (reduction === "max" || reduction === "min")) {
    return options.mode === "row"
      ? extremeRow(options, reduction)
      : extremeCells(options, reduction);
  }
  if (!hasPartials(options.reduce)) {
    return options.mode === "row" ? anyOrderRow(options) : plainCells(options);
  }
  return options.mode === "row" ? partialRow(options) : partialCells(options);
}

function emitCombine(f: FunctionBuilder, reduce: Reduce, a: V128, b: V128): V128 {
  const float = reduce.type === "f32";
  switch (reduce.reduction) {
    case "sum":
    case "seqsum":
      return f.op(float ? "f32x4.add" : "i32x4.add", a, b);
    case "prod":
      return f.op(float ? "f32x4.mul" : "i32x4.mul", a, b);
    case "max":
      return f.op(float ? "f32x4.max" : "i32x4.max_s", a, b);
    case "min":
      return f.op(float ? "f32x4.min" : "i32x4.min_s", a, b);
    case "and":
      return f.op("v128.and", a, b);
    case "or":
      return f.op("v128.or", a, b);
    default:
      return reduce.reduction satisfies never;
  }
}

function identityWord({ reduction, type }: Reduce): number {
  const float = type === "f32";
  switch (reduction) {
    case "sum":
    case "seqsum":
    case "or":
      return 0;
    case "prod":
      return float ? floatBits(1) : 1;
    case "and":
      return -1;
    case "max":
      return float ? floatBits(-Infinity) : -(2 ** 31);
    case "min":
      return float ? floatBits(Infinity) : 2 ** 31 - 1;
    default:
      return reduction satisfies never;
  }
}

/** One register, four cells. */
function plainCells({ f, reduce, number, lanes, param }: AccumulatorOptions): Accumulator {
  const sum = f.local("v128");
  return {
    begin(place) {
      f.if(
        f.get(param({ kind: "init", output: number })),
        () => f.set(sum, f.words(identityWord(reduce))),
        () => f.set(sum, emitRead(f, place, "mask")),
      );
    },
    add: (value) => f.set(sum, emitCombine(f, reduce, f.get(sum), f.get(value))),
    end: (place) => emitWrite(f, place, lanes, sum),
  };
}

/** NaNs that come first are no loss: what a pick ignores, the extreme remembers. */
function extremeCells(
  { f, reduce, number, lanes, param }: AccumulatorOptions,
  which: "max" | "min",
): Accumulator {
  const extreme = extremeOf(f, which, 1);
  const start = f.local("v128");
  return {
    begin(place) {
      f.if(
        f.get(param({ kind: "init", output: number })),
        () => f.set(start, f.words(identityWord(reduce))),
        () => f.set(start, emitRead(f, place, "mask")),
      );
      extreme.begin(start);
    },
    add: (value) => extreme.add(value),
    end: (place) => emitWrite(f, place, lanes, extreme.result()),
  };
}

/** Where only lane 0 counts it stands in for all: a value that is met twice changes nothing. */
function extremeRow(
  { f, reduce, number, full, param }: AccumulatorOptions,
  which: "max" | "min",
): Accumulator {
  const extreme = extremeOf(f, which, 4);
  const value = f.local("v128");
  return {
    begin(place) {
      f.if(
        f.get(param({ kind: "init", output: number })),
        () => f.set(value, f.words(identityWord(reduce))),
        () => f.set(value, emitRead(f, place, "mask")),
      );
      extreme.begin(value);
    },
    add(next) {
      f.set(value, f.get(next));
      f.if(f.op("i32.eqz", f.get(full!)), () =>
        f.set(value, f.shuffleWords(f.get(value), f.get(value), [0, 0, 0, 0])),
      );
      extreme.add(value);
    },
    end(place) {
      const result = extreme.result();
      for (const lanes of [
        [2, 3, 0, 1],
        [1, 0, 3, 2],
      ] as const) {
        const other = f.keep("v128", f.shuffleWords(f.get(result), f.get(result), lanes));
        f.set(result, emitCombine(f, reduce, f.get(result), f.get(other)));
      }
      emitWrite(f, place, "first", result);
    },
  };
}

/** Sixteen partial results in four registers that take turns; what the cell held before joins at the end. */
function anyOrderRow({ f, reduce, number, full, param }: AccumulatorOptions): Accumulator {
  const q = [f.local("v128"), f.local("v128"), f.local("v128"), f.local("v128")] as const;
  return {
    begin: () => q.forEach((register) => f.set(register, f.words(identityWord(reduce)))),
    add(value) {
      addLanes(f, reduce, q[0], value, full!);
      turnRegisters(f, q);
    },
    end(place) {
      const sum = foldRegisters(f, reduce, q);
      f.if(f.op("i32.eqz", f.get(param({ kind: "init", output: number }))), () => {
        const before = f.keep("v128", emitRead(f, place, "mask"));
        f.set(sum, emitCombine(f, reduce, f.get(before), f.get(sum)));
      });
      emitWrite(f, place, "first", sum);
    },
  };
}

type Registers = readonly [Local<"v128">, Local<"v128">, Local<"v128">, Local<"v128">];

/** The second becomes the first. */
function turnRegisters(f: FunctionBuilder, q: Registers): void {
  const [first, ...rest] = q.map((register) => f.keep("v128", f.get(register)));
  [...rest, first!].forEach((register, i) => f.set(q[i]!, f.get(register)));
}

/** All sixteen into every lane: + 8, + 4, + 2, + 1. */
function foldRegisters(f: FunctionBuilder, reduce: Reduce, q: Registers): Local<"v128"> {
  const pair = (a: Local<"v128">, b: Local<"v128">): Local<"v128"> =>
    f.keep("v128", emitCombine(f, reduce, f.get(a), f.get(b)));
  let sum = pair(pair(q[0], q[2]), pair(q[1], q[3]));
  for (const lanes of [
    [2, 3, 0, 1],
    [1, 0, 3, 2],
  ] as const) {
    sum = pair(sum, f.keep("v128", f.shuffleWords(f.get(sum), f.get(sum), lanes)));
  }
  return sum;
}

/** Combines all lanes, or lane 0 while only that counts. */
function addLanes(
  f: FunctionBuilder,
  reduce: Reduce,
  sum: Local<"v128">,
  value: Local<"v128">,
  full: Local<"i32">,
): void {
  f.if(
    f.get(full),
    () => f.set(sum, emitCombine(f, reduce, f.get(sum), f.get(value))),
    () => {
      const combined = f.keep("v128", emitCombine(f, reduce, f.get(sum), f.get(value)));
      f.set(sum, f.op("v128.bitselect", f.get(combined), f.get(sum), f.wordsOf([-1, 0, 0, 0])));
    },
  );
}

/** Partials of four cells in memory, 16 vectors. */
function partialCells(options: AccumulatorOptions): Accumulator {
  const { f, reduce, number, lanes, param } = options;
  const base = f.local("i32");
  const offset = f.local("i32");
  const at = f.local("i32");
  const address = () => f.op("i32.add", f.get(base), f.get(offset));
  const phase = () => f.op("i32.and", f.get(param({ kind: "phase", output: number })), f.i32(15));
  return {
    begin(place) {
      f.set(base, f.op("i32.add", f.get(param({ kind: "scratch" })), f.i32(number * 256)));
      eachPartial(options, place, at, (partial) => {
        f.set(offset, f.op("i32.shl", f.get(at), f.i32(4)));
        const value = f.local("v128");
        startPartial(options, partial, value);
        f.store("v128.store", address(), f.get(value));
      });
      f.set(offset, f.op("i32.shl", phase(), f.i32(4)));
    },
    add(value) {
      const sum = f.keep("v128", f.load("v128.load", address()));
      f.store("v128.store", address(), emitCombine(f, reduce, f.get(sum), f.get(value)));
      f.set(offset, f.op("i32.and", f.op("i32.add", f.get(offset), f.i32(16)), f.i32(255)));
    },
    end(place) {
      const load = (partial: number): V128 => f.load("v128.load", f.get(base), partial * 16);
      if (reduce.raw) {
        eachPartial(options, place, at, (partial) => {
          f.set(offset, f.op("i32.shl", f.get(at), f.i32(4)));
          emitWrite(f, partial, lanes, f.keep("v128", f.load("v128.load", address())));
        });
        return;
      }
      let sums = Array.from({ length: 16 }, (_, partial) => () => load(partial));
      for (let half = 8; half >= 1; half /= 2) {
        sums = sums.slice(0, half).map((low, j) => {
          const high = sums[j + half]!;
          const sum = f.keep("v128", emitCombine(f, reduce, low(), high()));
          return () => f.get(sum);
        });
      }
      emitWrite(f, place, lanes, f.keep("v128", sums[0]!()));
    },
  };
}

/**
 * Runs `body` for each partial in memory, 0 to 15 in `at`: `place` moved on by the partials' stride. Without
 * raw partials there is no place to read, and `body` runs with the place as it is.
 */
function eachPartial(
  { f, reduce, number, param }: AccumulatorOptions,
  place: LanePlace,
  at: Local<"i32">,
  body: (partial: LanePlace) => void,
): void {
  const address = f.keep("i32", f.get(place.address));
  f.set(at, f.i32(0));
  f.loop((again) => {
    body({ ...place, address });
    if (reduce.raw) {
      f.increase(address, () => f.get(param({ kind: "partialStride", output: number })));
    }
    f.increase(at, () => f.i32(1));
    f.branchIf(again, f.op("i32.lt_s", f.get(at), f.i32(16)));
  });
}

function startPartial(
  { f, reduce, number, param }: AccumulatorOptions,
  place: LanePlace,
  into: Local<"v128">,
): void {
  const identity = () => f.set(into, f.words(identityWord(reduce)));
  if (!reduce.raw) return identity();
  f.if(f.get(param({ kind: "init", output: number })), identity, () =>
    f.set(into, emitRead(f, place, "mask")),
  );
}

/**
 * The 16 partials of one cell in four registers, rotated so that lane 0 of the first is the partial of the next
 * element. The order in which partials are folded is the same under any rotation.
 */
function partialRow(options: AccumulatorOptions): Accumulator {
  const { f, reduce, number, full, param } = options;
  const q = [f.local("v128"), f.local("v128"), f.local("v128"), f.local("v128")] as const;
  const next = f.local("i32");
  const base = () => f.get(param({ kind: "scratch" }));
  const at = f.local("i32");
  /** Scratch address of partial `at`: they stand there in the order of the registers. */
  const rotated = () => {
    const turn = f.op("i32.and", f.op("i32.sub", f.get(at), f.get(next)), f.i32(15));
    return f.op("i32.add", f.op("i32.shl", turn, f.i32(2)), base());
  };
  return {
    begin(place) {
      f.set(next, f.get(param({ kind: "phase", output: number })));
      if (!reduce.raw) {
        for (const register of q) f.set(register, f.words(identityWord(reduce)));
        return;
      }
      eachPartial(options, place, at, (partial) => {
        const value = f.local("v128");
        startPartial(options, partial, value);
        f.storeLane("v128.store32_lane", rotated(), f.get(value), 0);
      });
      q.forEach((register, i) => f.set(register, f.load("v128.load", base(), i * 16)));
    },
    add(value) {
      addLanes(f, reduce, q[0], value, full!);
      f.if(
        f.get(full!),
        () => turnRegisters(f, q),
        () => {
          const old = f.keep("v128", f.get(q[0]));
          const turned = (low: Local<"v128">, high: Local<"v128">) =>
            f.shuffleWords(f.get(low), f.get(high), [1, 2, 3, 4]);
          f.set(q[0], turned(q[0], q[1]));
          f.set(q[1], turned(q[1], q[2]));
          f.set(q[2], turned(q[2], q[3]));
          f.set(q[3], turned(q[3], old));
        },
      );
      if (reduce.raw) {
        f.increase(next, () => f.select(f.i32(4), f.i32(1), f.get(full!)));
      }
    },
    end(place) {
      if (reduce.raw) {
        q.forEach((register, i) => f.store("v128.store", base(), f.get(register), i * 16));
        eachPartial(options, place, at, (partial) => {
          const value = f.keep("v128", f.load("v128.load32_splat", rotated()));
          emitWrite(f, partial, "first", value);
        });
        return;
      }
      const sum = foldRegisters(f, reduce, q);
      emitWrite(f, place, "first", sum);
    },
  };
}
