/**
 * Packing for the floating matrix kernel: four rows of A so that the elements of one k stand together, eight columns of
 * B so that they make two vectors. Where four k lie side by side, lines are read as vectors and transposed.
 */
import type { Callee, FunctionBuilder, I32, Local, V128 } from "../wasm/function.js";
import { emitAdjoins } from "./tables.js";
import type { ModuleBuilder } from "../wasm/module.js";

/** (to, a, row offsets, k offsets, count, rows): 16 bytes per k. */
export function addPackRows(module: ModuleBuilder): Callee {
  return addPack(module, 4);
}

/** (to, b, column offsets, k offsets, count, columns): 32 bytes per k. */
export function addPackColumns(module: ModuleBuilder): Callee {
  return addPack(module, 8);
}

/** Of lines beyond the last, whose table entries repeat it, anything may be packed but numbers that are slow. */
function addPack(module: ModuleBuilder, lines: 4 | 8): Callee {
  const params = Array.from({ length: 6 }, () => "i32" as const);
  return module.add({ params, results: [] }, (f) => {
    const [to, base, offsets, ks, left, count] = f.params as readonly Local<"i32">[];
    const k = f.local("i32");
    const adjoin = f.local("i32");
    f.if(f.op("i32.le_s", f.get(left!), f.i32(0)), () => f.return());
    f.if(f.op("i32.gt_s", f.get(count!), f.i32(lines)), () => f.set(count!, f.i32(lines)));
    emitAdjoins(f, offsets!, count!, adjoin);
    const pointers = Array.from({ length: lines }, (_, line) => {
      const offset = f.load("i32.load", f.get(offsets!), 4 * line);
      return f.keep("i32", f.op("i32.add", offset, f.get(base!)));
    });
    const pack: Pack = { f, to: to!, ks: ks!, left: left!, k, pointers, lines };
    f.if(f.get(adjoin), () => {
      f.if(
        f.op("i32.eq", f.get(count!), f.i32(lines)),
        () => packAdjoining(pack),
        () => packFewer(pack, count!),
      );
      f.return();
    });
    packLines(pack);
  });
}

interface Pack {
  readonly f: FunctionBuilder;
  readonly to: Local<"i32">;
  /** Address of the next k offset. */
  readonly ks: Local<"i32">;
  readonly left: Local<"i32">;
  readonly k: Local<"i32">;
  readonly pointers: readonly Local<"i32">[];
  readonly lines: 4 | 8;
}

function step({ f, to, ks, left, lines }: Pack, positions: number): void {
  f.increase(to, () => f.i32(4 * lines * positions));
  f.increase(ks, () => f.i32(4 * positions));
  f.set(left, f.op("i32.sub", f.get(left), f.i32(positions)));
}

function packAdjoining(pack: Pack): void {
  packVectors(pack, (vector) => vector);
}

/** What is read beyond the last line is blanked: it could be denormal numbers, a hundred times as slow as others. */
function packFewer(pack: Pack, count: Local<"i32">): void {
  const { f, lines } = pack;
  const masks = Array.from({ length: lines / 4 }, (_, i) => {
    const numbers = f.wordsOf([4 * i, 4 * i + 1, 4 * i + 2, 4 * i + 3]);
    return f.keep("v128", f.op("i32x4.lt_s", numbers, f.op("i32x4.splat", f.get(count))));
  });
  packVectors(pack, (vector, i) => f.op("v128.and", vector, f.get(masks[i]!)));
}

function packVectors(pack: Pack, change: (vector: V128, i: number) => V128): void {
  const { f, ks, to, k, left, pointers, lines } = pack;
  f.loop((again) => {
    f.set(k, f.op("i32.add", f.get(pointers[0]!), f.load("i32.load", f.get(ks))));
    for (let i = 0; i < lines / 4; i++) {
      f.store("v128.store", f.get(to), change(f.load("v128.load", f.get(k), 16 * i), i), 16 * i);
    }
    step(pack, 1);
    f.branchIf(again, f.get(left));
  });
}

/** Four k at once where they are neighbours in memory, else one by one. */
function packLines(pack: Pack): void {
  const { f, ks, left, k } = pack;
  const after = (n: number): I32 =>
    f.op("i32.eq", f.load("i32.load", f.get(ks), 4 * n), f.op("i32.add", f.get(k), f.i32(4 * n)));
  const four = f.local("i32");
  f.loop((again) => {
    f.set(k, f.load("i32.load", f.get(ks)));
    f.set(four, f.op("i32.ge_s", f.get(left), f.i32(4)));
    f.if(f.get(four), () =>
      f.set(four, f.op("i32.and", f.op("i32.and", after(1), after(2)), after(3))),
    );
    f.if(
      f.get(four),
      () => {
        packFour(pack);
        step(pack, 4);
      },
      () => {
        packOne(pack);
        step(pack, 1);
      },
    );
    f.branchIf(again, f.get(left));
  });
}

function packOne({ f, to, k, pointers, lines }: Pack): void {
  for (let first = 0; first < lines; first += 4) {
    const at = (line: number) => f.op("i32.add", f.get(pointers[first + line]!), f.get(k));
    const vector = f.keep("v128", f.load("v128.load32_zero", at(0)));
    for (let line = 1; line < 4; line++) {
      f.set(vector, f.loadLane("v128.load32_lane", at(line), f.get(vector), line));
    }
    f.store("v128.store", f.get(to), f.get(vector), 4 * first);
  }
}

function packFour({ f, to, k, pointers, lines }: Pack): void {
  for (let first = 0; first < lines; first += 4) {
    const vectors = [0, 1, 2, 3].map((line) => {
      const address = f.op("i32.add", f.get(pointers[first + line]!), f.get(k));
      return f.keep("v128", f.load("v128.load", address));
    });
    transpose(f, vectors).forEach((vector, position) => {
      f.store("v128.store", f.get(to), f.get(vector), 4 * lines * position + 4 * first);
    });
  }
}

/** Four vectors of four words, rows for columns. */
export function transpose(
  f: FunctionBuilder,
  rows: readonly Local<"v128">[],
): readonly Local<"v128">[] {
  const mix = (
    a: Local<"v128">,
    b: Local<"v128">,
    lanes: readonly [number, number, number, number],
  ): V128 => f.shuffleWords(f.get(a), f.get(b), lanes);
  const [a, b, c, d] = rows as readonly [
    Local<"v128">,
    Local<"v128">,
    Local<"v128">,
    Local<"v128">,
  ];
  const lowAB = f.keep("v128", mix(a, b, [0, 4, 1, 5]));
  const highAB = f.keep("v128", mix(a, b, [2, 6, 3, 7]));
  const lowCD = f.keep("v128", mix(c, d, [0, 4, 1, 5]));
  const highCD = f.keep("v128", mix(c, d, [2, 6, 3, 7]));
  return [
    f.keep("v128", mix(lowAB, lowCD, [0, 1, 4, 5])),
    f.keep("v128", mix(lowAB, lowCD, [2, 3, 6, 7])),
    f.keep("v128", mix(highAB, highCD, [0, 1, 4, 5])),
    f.keep("v128", mix(highAB, highCD, [2, 3, 6, 7])),
  ];
}
