/**
 * The kernel of copies whose fastest axes differ on the two sides: 4 x 4 tiles are transposed in registers, four tiles
 * at a time so that whole cache lines are written. Elements of four bytes only.
 */
import type { Callee, FunctionBuilder, Local } from "../wasm/function.js";
import * as ints from "../walk/ints.js";
import type { Int } from "../walk/ints.js";
import type { Kernel } from "../kernels.js";
import { elementBytes } from "../lanes/format.js";
import { transpose } from "../mma/pack.js";
import type { ModuleBuilder } from "../wasm/module.js";
import type { NestPlan } from "./plan.js";

/** Axes around the two that change places. */
const outerAxes = 3;

/**
 * Parameters: from, to, then the axis that is the fastest in `to` (count, stride in from), the one that is the fastest in
 * `from` (count, stride in to), then the other axes (count, stride in from, stride in to). Strides are bytes.
 */
const paramCount = 6 + 3 * outerAxes;

export const transposeKernel: Kernel = {
  key: "transpose",
  params: paramCount,
  add(module, exported) {
    const plane = addPlane(module);
    const params = Array.from({ length: paramCount }, () => "i32" as const);
    module.add({ params, results: [], exported }, (f) => {
      const [from, to, ...rest] = f.params as readonly Local<"i32">[];
      const outer = rest.slice(4);
      const level = (number: number, from: Local<"i32">, to: Local<"i32">): void => {
        if (number === outerAxes) {
          return f.call(
            plane,
            [from, to, ...rest.slice(0, 4)].map((x) => f.get(x)),
          );
        }
        const [count, strideFrom, strideTo] = outer.slice(3 * number) as [
          Local<"i32">,
          Local<"i32">,
          Local<"i32">,
        ];
        const i = f.keep("i32", f.i32(0));
        const ownFrom = f.keep("i32", f.get(from));
        const ownTo = f.keep("i32", f.get(to));
        f.countUp(
          i,
          () => f.get(count),
          1,
          () => {
            level(number + 1, ownFrom, ownTo);
            f.increase(ownFrom, () => f.get(strideFrom));
            f.increase(ownTo, () => f.get(strideTo));
          },
        );
      };
      level(0, from!, to!);
    });
  },
};

/** The kernel's arguments for a walk that is such a copy; undefined if it is not. */
export function transposeArguments(plan: NestPlan): readonly Int[] | undefined {
  const { spec } = plan;
  const { operands, program, outputs, levels } = spec;
  const isCopy =
    operands.length === 2 &&
    spec.chunk !== undefined &&
    spec.parallel === levels.length &&
    spec.gather === undefined &&
    spec.carries.length === 0 &&
    outputs.length === 1 &&
    outputs[0]!.reduce === undefined &&
    outputs[0]!.operand === 1 &&
    program.instructions.length === 1 &&
    program.instructions[0]!.op === "input" &&
    operands.every(({ dtype, rounding }) => elementBytes[dtype] === 4 && rounding === undefined) &&
    operands[0]!.dtype === operands[1]!.dtype;
  if (!isCopy) return undefined;
  const strides = levels.map((_, level) => [plan.strideOf(0, level), plan.strideOf(1, level)]);
  const fastIn = (operand: 0 | 1): number =>
    strides.findIndex((stride) => stride[operand] === 4 && stride[1 - operand] !== 4);
  const [b, a] = [fastIn(0), fastIn(1)];
  const others = levels.map((_, level) => level).filter((level) => level !== a && level !== b);
  if (a < 0 || b < 0 || others.length > outerAxes) return undefined;
  const isWide = [a, b].every((level) => ints.boundsOf(plan.counts[level]!).most >= 4);
  if (!isWide || strides[a]![0] === 0 || strides[b]![1] === 0) return undefined;
  const c = ints.constant;
  const missing = Array.from({ length: outerAxes - others.length }, () => [ints.one, c(0), c(0)]);
  return [
    plan.argument({ kind: "address", operand: 0 }),
    plan.argument({ kind: "address", operand: 1 }),
    ...[plan.counts[a]!, c(strides[a]![0]!), plan.counts[b]!, c(strides[b]![1]!)],
    ...missing.flat(),
    ...others.flatMap((level) => [
      plan.counts[level]!,
      c(strides[level]![0]!),
      c(strides[level]![1]!),
    ]),
  ];
}

/** (from, to, count a, stride a in from, count b, stride b in to): a is the fastest in `to`, b in `from`. */
function addPlane(module: ModuleBuilder): Callee {
  const params = Array.from({ length: 6 }, () => "i32" as const);
  const rest = addSingles(module);
  return module.add({ params, results: [] }, (f) => {
    const [from, to, left, strideA, countB, strideB] = f.params as readonly Local<"i32">[];
    const band = (tiles: number): void =>
      emitBand(
        { f, from: from!, to: to!, strideA: strideA!, countB: countB!, strideB: strideB!, rest },
        tiles,
      );
    const while_ = (rows: number, body: () => void): void =>
      f.block((done) => {
        f.loop((again) => {
          f.branchIf(done, f.op("i32.lt_s", f.get(left!), f.i32(rows)));
          body();
          f.increase(from!, () => f.op("i32.mul", f.get(strideA!), f.i32(rows)));
          f.increase(to!, () => f.i32(4 * rows));
          f.set(left!, f.op("i32.sub", f.get(left!), f.i32(rows)));
          f.branch(again);
        });
      });
    while_(16, () => band(4));
    while_(4, () => band(1));
    f.call(
      rest,
      [from!, to!, left!, strideA!, countB!, strideB!].map((x) => f.get(x)),
    );
  });
}

interface Band {
  readonly f: FunctionBuilder;
  readonly from: Local<"i32">;
  readonly to: Local<"i32">;
  readonly strideA: Local<"i32">;
  readonly countB: Local<"i32">;
  readonly strideB: Local<"i32">;
  readonly rest: Callee;
}

/** All b for four a per tile. */
function emitBand({ f, from, to, strideA, countB, strideB, rest }: Band, tiles: number): void {
  const source = f.keep("i32", f.get(from));
  const target = f.keep("i32", f.get(to));
  const left = f.keep("i32", f.get(countB));
  const row = f.local("i32");
  const column = f.local("i32");
  f.block((done) => {
    f.loop((again) => {
      f.branchIf(done, f.op("i32.lt_s", f.get(left), f.i32(4)));
      f.set(row, f.get(source));
      for (let tile = 0; tile < tiles; tile++) {
        const lines = [0, 1, 2, 3].map(() => {
          const line = f.keep("v128", f.load("v128.load", f.get(row)));
          f.increase(row, () => f.get(strideA));
          return line;
        });
        f.set(column, f.get(target));
        for (const line of transpose(f, lines)) {
          f.store("v128.store", f.get(column), f.get(line), 16 * tile);
          f.increase(column, () => f.get(strideB));
        }
      }
      f.increase(source, () => f.i32(16));
      f.increase(target, () => f.op("i32.shl", f.get(strideB), f.i32(2)));
      f.set(left, f.op("i32.sub", f.get(left), f.i32(4)));
      f.branch(again);
    });
  });
  for (const x of [source, target]) f.get(x);
  f.i32(4 * tiles);
  for (const x of [strideA, left, strideB]) f.get(x);
  f.call(rest, []);
}

/** The same parameters, one element after the other. */
function addSingles(module: ModuleBuilder): Callee {
  const params = Array.from({ length: 6 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [from, to, countA, strideA, countB, strideB] = f.params as readonly Local<"i32">[];
    const i = f.keep("i32", f.i32(0));
    const j = f.local("i32");
    const source = f.local("i32");
    const target = f.local("i32");
    f.countUp(
      i,
      () => f.get(countA!),
      1,
      () => {
        f.set(source, f.get(from!));
        f.set(target, f.get(to!));
        f.set(j, f.i32(0));
        f.countUp(
          j,
          () => f.get(countB!),
          1,
          () => {
            f.store("i32.store", f.get(target), f.load("i32.load", f.get(source)));
            f.increase(source, () => f.i32(4));
            f.increase(target, () => f.get(strideB!));
          },
        );
        f.increase(from!, () => f.get(strideA!));
        f.increase(to!, () => f.i32(4));
      },
    );
  });
}
