/**
 * Makes a WebAssembly function of a loop nest (spec.ts). One text of the loop body serves full chunks and
 * the rest: the chunk loop runs first over chunks of four lanes, then, with other increments, over the up to three
 * positions left, in which only lane 0 counts. Reads may then touch memory up to 16 bytes past an operand.
 */
import { emitRead } from "../lanes/access.js";
import { elementBytes } from "../lanes/format.js";
import type { Callee, FunctionBuilder, I32, Local } from "../wasm/function.js";
import type { ModuleBuilder } from "../wasm/module.js";
import {
  beginCells,
  createText,
  type Cursors,
  emitPosition,
  endCells,
  type NestCode,
  placeOf,
  readVectors,
} from "./body.js";
import { nestParams, type NestParam, type NestSpec } from "./spec.js";

export function emitNest(module: ModuleBuilder, spec: NestSpec, exported: string): Callee {
  const params = nestParams(spec);
  const signature = { params: params.map(() => "i32" as const), results: [], exported };
  return module.add(signature, (f) => emitBody(f, spec, params));
}

function emitBody(f: FunctionBuilder, spec: NestSpec, params: readonly NestParam[]): void {
  const keys = params.map((param) => JSON.stringify(param));
  const param = (wanted: NestParam): Local<"i32"> =>
    f.param("i32", keys.indexOf(JSON.stringify(wanted)));
  const full = spec.chunk === undefined ? undefined : f.keep("i32", f.i32(0));
  const code: NestCode = {
    f,
    spec,
    param,
    full,
    laneStrides: new Map(),
    indices: new Map(),
    hoisted: new Map(),
    carries: spec.carries.map(() => f.local("v128")),
    text: createText({ f, spec, param, full }, 1),
    hit: undefined,
  };
  for (const wanted of params) {
    if (wanted.kind === "base") {
      code.indices.set(wanted.axis, f.keep("i32", f.get(param(wanted))));
    }
  }
  const cursors = spec.operands.map((operand, number) =>
    param({ kind: operand.packed ? "element" : "address", operand: number }),
  );
  emitLevel(code, 0, cursors);
}

/** Everything inside the first `level` levels. */
function emitLevel(code: NestCode, level: number, outer: Cursors): void {
  if (code.spec.gather?.level === level) return emitGather(code, level, outer);
  enterLevel(code, level, outer);
}

function enterLevel(code: NestCode, level: number, cursors: Cursors): void {
  const { spec } = code;
  if (!spec.rereads) hoistInputs(code, level, cursors);
  if (level === spec.parallel) beginCells(code, cursors);
  if (level === spec.levels.length) emitPosition(code, cursors);
  else if (level === spec.chunk) emitChunks(code, level, cursors);
  else emitLoop(code, level, cursors);
  if (level === spec.parallel) endCells(code, cursors);
}

/** Reads the index and moves the gathered operands there. */
function emitGather(code: NestCode, level: number, cursors: Cursors): void {
  const { f, spec, param } = code;
  const gather = spec.gather!;
  const at = f.keep(
    "i32",
    f.laneOp("i32x4.extract_lane", 0, emitRead(f, placeOf(code, gather.index, cursors), "one")),
  );
  const hit = f.keep("i32", f.op("i32.lt_u", f.get(at), f.get(param({ kind: "gatherExtent" }))));
  f.if(f.op("i32.eqz", f.get(hit)), () => {
    f.store("i32.store8", f.get(param({ kind: "fault" })), f.i32(1));
    f.set(at, f.i32(0));
  });
  const moved = cursors.map((cursor, number) => {
    if (!gather.operands.includes(number)) return cursor;
    const offset = f.op("i32.mul", f.get(at), f.get(param({ kind: "gatherStride" })));
    return f.keep("i32", f.op("i32.add", offset, f.get(cursor)));
  });
  if (gather.miss.kind === "skip") f.if(f.get(hit), () => enterLevel(code, level, moved));
  else {
    const mask = f.op("i32x4.splat", f.op("i32.sub", f.i32(0), f.get(hit)));
    code.hit = f.keep("v128", mask);
    enterLevel(code, level, moved);
  }
}

function hoistInputs(code: NestCode, level: number, cursors: Cursors): void {
  const { spec } = code;
  const reads = new Set(
    spec.program.instructions.flatMap((i) => (i.op === "input" ? [i.imm!] : [])),
  );
  for (const input of reads) {
    const operand = spec.inputs[input]!;
    const lastMove = spec.operands[operand]!.moves.lastIndexOf(true);
    const gathered = spec.gather?.operands.includes(operand) ? spec.gather.level - 1 : -1;
    if (Math.max(lastMove, gathered) !== level - 1 || code.hoisted.has(input)) continue;
    code.hoisted.set(input, readVectors(code, operand, cursors));
  }
}

function emitLoop(code: NestCode, level: number, outer: Cursors): void {
  const { f, param } = code;
  const inner = ownCursors(code, level, outer);
  const left = f.keep("i32", f.get(param({ kind: "count", level })));
  f.block((done) => {
    f.branchIf(done, f.op("i32.le_s", f.get(left), f.i32(0)));
    resetIndex(code, level);
    f.loop((again) => {
      emitLevel(code, level + 1, inner);
      advance(code, level, inner, (operand) => f.get(param({ kind: "stride", operand, level })));
      moveIndex(code, level, () => f.i32(1));
      f.set(left, f.op("i32.sub", f.get(left), f.i32(1)));
      f.branchIf(again, f.get(left));
    });
  });
}

/** Several chunks at once as long as there are so many, where the spec says so; then the others. */
function emitChunks(code: NestCode, level: number, outer: Cursors): void {
  const { f, spec, param } = code;
  const inner = ownCursors(code, level, outer);
  const count = f.keep("i32", f.get(param({ kind: "count", level })));
  resetIndex(code, level);
  if (spec.vectors !== undefined) emitWideChunks(code, level, inner, count, spec.vectors);
  emitNarrowChunks(code, level, inner, count);
}

function emitWideChunks(
  code: NestCode,
  level: number,
  inner: Cursors,
  count: Local<"i32">,
  vectors: number,
): void {
  const { f, spec } = code;
  const lanes = 4 * vectors;
  const { text } = code;
  const hoisted = [...code.hoisted];
  code.text = createText(code, vectors);
  // What does not move from chunk to chunk is the same vector for all that are handled at once.
  for (const [input, [vector]] of hoisted) {
    code.hoisted.set(input, new Array<Local<"v128">>(vectors).fill(vector!));
  }
  f.block((done) => {
    f.loop((again) => {
      f.branchIf(done, f.op("i32.lt_s", f.get(count), f.i32(lanes)));
      emitLevel(code, level + 1, inner);
      advance(code, level, inner, (operand) =>
        f.i32(lanes * elementBytes[spec.operands[operand]!.dtype]),
      );
      moveIndex(code, level, () => f.i32(lanes));
      f.set(count, f.op("i32.sub", f.get(count), f.i32(lanes)));
      f.branch(again);
    });
  });
  code.text = text;
  // What was read inside the loop has to be read again in the other text.
  code.hoisted.clear();
  for (const [input, one] of hoisted) code.hoisted.set(input, one);
}

/** The loop over chunks stands in a loop of two rounds: full chunks, then single positions. `full` says which. */
function emitNarrowChunks(
  code: NestCode,
  level: number,
  inner: Cursors,
  count: Local<"i32">,
): void {
  const { f, spec } = code;
  const full = code.full!;
  const left = f.local("i32");
  const lanes = f.keep("i32", f.i32(4));
  const steps = chunkSteps(code, level);
  f.block((done) => {
    f.branchIf(done, f.op("i32.le_s", f.get(count), f.i32(0)));
    f.set(full, f.i32(1));
    f.set(left, f.op("i32.shr_u", f.get(count), f.i32(2)));
    f.loop((nextRound) => {
      f.if(f.get(left), () => {
        f.loop((again) => {
          emitLevel(code, level + 1, inner);
          advance(code, level, inner, (operand) => f.get(steps[operand]!));
          moveIndex(code, level, () => f.get(lanes));
          f.set(left, f.op("i32.sub", f.get(left), f.i32(1)));
          f.branchIf(again, f.get(left));
        });
      });
      f.branchIf(done, f.op("i32.eqz", f.get(full)));
      f.set(full, f.i32(0));
      f.set(lanes, f.i32(1));
      f.set(left, f.op("i32.and", f.get(count), f.i32(3)));
      spec.operands.forEach((_, number) => {
        const step = steps[number];
        if (step === undefined) return;
        f.set(step, f.op("i32.shr_s", f.get(step), f.i32(2)));
        const stride = code.laneStrides.get(number);
        if (stride !== undefined) f.set(stride, f.i32(0));
      });
      f.branchIf(nextRound, f.get(left));
    });
  });
  code.laneStrides.clear();
}

/** Per operand that moves along the chunk level: a local that holds four times its stride. */
function chunkSteps(code: NestCode, level: number): (Local<"i32"> | undefined)[] {
  const { f, spec, param } = code;
  return spec.operands.map(({ dtype, moves, step }, operand) => {
    if (!moves[level]) return undefined;
    if (step === "side") return f.keep("i32", f.i32(4 * elementBytes[dtype]));
    const stride = param({ kind: "stride", operand, level });
    code.laneStrides.set(operand, f.keep("i32", f.get(stride)));
    return f.keep("i32", f.op("i32.shl", f.get(stride), f.i32(2)));
  });
}

function ownCursors(code: NestCode, level: number, outer: Cursors): Local<"i32">[] {
  const { f, spec } = code;
  return outer.map((cursor, operand) =>
    spec.operands[operand]!.moves[level] ? f.keep("i32", f.get(cursor)) : cursor,
  );
}

function advance(
  code: NestCode,
  level: number,
  cursors: Cursors,
  by: (operand: number) => I32,
): void {
  code.spec.operands.forEach(({ moves }, operand) => {
    if (moves[level]) code.f.increase(cursors[operand]!, () => by(operand));
  });
}

function moveIndex(code: NestCode, level: number, by: () => I32): void {
  const index = code.indices.get(code.spec.levels[level]!.axis);
  if (index !== undefined) code.f.increase(index, by);
}

function resetIndex(code: NestCode, level: number): void {
  const { f, param } = code;
  const { axis } = code.spec.levels[level]!;
  const index = code.indices.get(axis);
  if (index !== undefined) f.set(index, f.get(param({ kind: "base", axis })));
}
