/** Programs of one tile each, as a compiler would write them: load, compute, store. */
import { laneProgramBuilder, type LaneProgramBuilder, type Lane } from "../src/numerics/lanes.js";
import { constantAffine, staticCount, type MmaAxis, type VecOutput } from "../src/ir/tile.js";
import {
  always,
  type Condition,
  type EngineRef,
  type InstructionBody,
  never,
  type Program,
  type ProgramNode,
  type SlotDest,
  type SlotSource,
} from "../src/isa/program.js";
import type { DeviceDType } from "../src/numerics/dtype.js";
import type { LaneProgram } from "../src/numerics/lane.js";

export interface KernelBench {
  readonly name: string;
  readonly program: Program;
  /** Multiplications and additions, or lane operations. */
  readonly operations: number;
}

const at = constantAffine;
const vector: EngineRef = { engine: "vector" };
const tensor: EngineRef = { engine: "tensor" };
const load: EngineRef = { engine: "load", channel: 0 };
const store: EngineRef = { engine: "store", channel: 0 };

interface Draft {
  readonly bindings: Program["bindings"][number][];
  readonly queues: Program["queues"][number][];
  readonly body: ProgramNode[];
}

function add(draft: Draft, body: InstructionBody): void {
  draft.body.push({ kind: "instruction", instruction: { body, channel: 0, role: 0 } });
}

function queue(
  draft: Draft,
  dtype: DeviceDType,
  elements: number,
  producer: EngineRef,
  consumer: EngineRef,
): number {
  const space = producer === tensor ? "accumulator" : "l1";
  const number = draft.queues.length;
  return (
    draft.queues.push({
      ...{ name: `q${number}`, space, dtype, elements, depth: 1, offsetBytes: 0 },
      ...{ producer, consumers: [consumer] },
    }) - 1
  );
}

const source = (queue: number, pop: Condition = always): SlotSource => ({
  queue,
  offset: at(0),
  pop,
});
const dest = (queue: number): SlotDest => ({
  queue,
  offset: at(0),
  publish: always,
  update: false,
});

function loaded(draft: Draft, dtype: DeviceDType, elements: number, consumer: EngineRef): number {
  const binding = draft.bindings.push({ name: "in", dtype, elements, access: "read" }) - 1;
  const number = queue(draft, dtype, elements, load, consumer);
  add(draft, {
    op: "load",
    axes: [{ count: staticCount(elements), memoryStride: 1, slotStride: 1 }],
    memory: { binding, offset: at(0) },
    dest: dest(number),
    fill: 0,
  });
  return number;
}

/** An input with a border of zeros, as convolutions read it. */
function padded(draft: Draft, shape: readonly [number, number, number], border: number): number {
  const [c, h, w] = shape;
  const [hp, wp] = [h + 2 * border, w + 2 * border];
  const elements = c * h * w;
  const binding = draft.bindings.push({ name: "x", dtype: "f32", elements, access: "read" }) - 1;
  const number = queue(draft, "f32", c * hp * wp, load, tensor);
  const clip = (limit: number) => ({ origin: at(-border), step: 1, limit: staticCount(limit) });
  add(draft, {
    op: "load",
    axes: [
      { count: staticCount(c), memoryStride: h * w, slotStride: hp * wp },
      { count: staticCount(hp), memoryStride: w, slotStride: wp, clip: clip(h) },
      { count: staticCount(wp), memoryStride: 1, slotStride: 1, clip: clip(w) },
    ],
    memory: { binding, offset: at(-border * w - border) },
    dest: dest(number),
    fill: 0,
  });
  return number;
}

function stored(draft: Draft, number: number, elements: number): void {
  const { dtype } = draft.queues[number]!;
  const binding = draft.bindings.push({ name: "out", dtype, elements, access: "write" }) - 1;
  add(draft, {
    op: "store",
    axes: [{ count: staticCount(elements), memoryStride: 1, slotStride: 1 }],
    memory: { binding, offset: at(0) },
    source: source(number),
  });
}

function lanes(write: (b: LaneProgramBuilder, x: (i: number) => Lane) => Lane[]): LaneProgram {
  const b = laneProgramBuilder();
  return b.finish(write(b, (i) => b.source("input", i, "f32")));
}

function finish(name: string, draft: Draft): Program {
  return { name, grid: { rows: 1, columns: 1 }, scalarCount: 0, roles: ["work"], ...draft };
}

const empty = (): Draft => ({ bindings: [], queues: [], body: [] });

const parallel = (count: number) => ({
  kind: "parallel" as const,
  count: staticCount(count),
  base: at(0),
});
const reduced = (count: number) => ({ ...parallel(count), kind: "reduce" as const });

function vec(
  draft: Draft,
  axes: ReturnType<typeof reduced | typeof parallel>[],
  inputs: readonly (readonly [number, readonly number[], Condition?])[],
  program: LaneProgram,
  outputs: VecOutput<SlotDest, Condition>[],
): void {
  add(draft, {
    op: "vec",
    axes,
    inputs: inputs.map(([q, strides, pop]) => ({ source: source(q, pop), strides })),
    program,
    carries: [],
    outputs,
  });
}

const identity = lanes((_, x) => [x(0)]);

interface MmaShape {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly axes: readonly (readonly [MmaAxis["role"], number, number, number, number])[];
  readonly dtype?: DeviceDType;
}

function mma(draft: Draft, a: number, b: number, shape: MmaShape): void {
  const isInt = shape.dtype !== undefined && shape.dtype !== "f32";
  const acc = queue(draft, isInt ? "i32" : "f32", shape.c, tensor, vector);
  add(draft, {
    op: "mma",
    axes: shape.axes.map(([role, count, strideA, strideB, strideC]) => ({
      ...{ role, count: staticCount(count), strideA, strideB, strideC },
    })),
    a: source(a),
    b: source(b),
    dest: dest(acc),
    clear: always,
    fold: always,
  });
  const out = queue(draft, isInt ? "i32" : "f32", shape.c, vector, store);
  const b0 = laneProgramBuilder();
  const copy = b0.finish([b0.source("input", 0, isInt ? "i32" : "f32")]);
  vec(draft, [parallel(shape.c)], [[acc, [1]]], copy, [{ dest: dest(out), strides: [1] }]);
  stored(draft, out, shape.c);
}

function gemm(m: number, n: number, k: number, dtype: DeviceDType = "f32"): KernelBench {
  const draft = empty();
  const a = loaded(draft, dtype, m * k, tensor);
  const b = loaded(draft, dtype, k * n, tensor);
  const axes = [
    ["m", m, k, 0, n],
    ["n", n, 0, 1, 1],
    ["k", k, 1, n, 0],
  ] as const;
  mma(draft, a, b, { a: m * k, b: k * n, c: m * n, axes, dtype });
  const name = `gemm ${dtype} ${m}x${n}x${k}`;
  return { name, program: finish(name, draft), operations: 2 * m * n * k };
}

/** B with k fastest, as weights of a fully connected layer lie. */
function gemmTransposed(m: number, n: number, k: number): KernelBench {
  const draft = empty();
  const a = loaded(draft, "f32", m * k, tensor);
  const b = loaded(draft, "f32", k * n, tensor);
  const axes = [
    ["m", m, k, 0, n],
    ["n", n, 0, k, 1],
    ["k", k, 1, 1, 0],
  ] as const;
  mma(draft, a, b, { a: m * k, b: k * n, c: m * n, axes });
  const name = `gemm B^T ${m}x${n}x${k}`;
  return { name, program: finish(name, draft), operations: 2 * m * n * k };
}

function conv(ci: number, co: number, size: number, kernel: number): KernelBench {
  const draft = empty();
  const border = (kernel - 1) / 2;
  const x = padded(draft, [ci, size, size], border);
  const w = loaded(draft, "f32", co * ci * kernel * kernel, tensor);
  const pitch = size + 2 * border;
  const axes = [
    ["m", co, ci * kernel * kernel, 0, size * size],
    ["n", size, 0, pitch, size],
    ["n", size, 0, 1, 1],
    ["k", kernel, kernel, pitch, 0],
    ["k", kernel, 1, 1, 0],
    ["k", ci, kernel * kernel, pitch * pitch, 0],
  ] as const;
  mma(draft, w, x, { a: 0, b: 0, c: co * size * size, axes });
  const name = `conv ${kernel}x${kernel} ${ci}->${co} @${size}`;
  const operations = 2 * co * size * size * ci * kernel * kernel;
  return { name, program: finish(name, draft), operations };
}

/** Pixels are rows, output channels columns; the input's channels lie apart (NCHW) or side by side (NHWC). */
function convRows(
  ci: number,
  co: number,
  size: number,
  kernel: number,
  layout: Layout,
): KernelBench {
  const draft = empty();
  const pitch = size + kernel - 1;
  const [row, column, channel] =
    layout === "nchw" ? [pitch, 1, pitch * pitch] : [pitch * ci, ci, 1];
  const x = loaded(draft, "f32", ci * pitch * pitch, tensor);
  const w = loaded(draft, "f32", co * ci * kernel * kernel, tensor);
  const axes = [
    ["m", size, row, 0, size * co],
    ["m", size, column, 0, co],
    ["n", co, 0, 1, 1],
    ["k", kernel, row, kernel * ci * co, 0],
    ["k", kernel, column, ci * co, 0],
    ["k", ci, channel, co, 0],
  ] as const;
  mma(draft, x, w, { a: 0, b: 0, c: co * size * size, axes });
  const name = `conv rows ${layout} ${kernel}x${kernel} ${ci}->${co} @${size}`;
  const operations = 2 * co * size * size * ci * kernel * kernel;
  return { name, program: finish(name, draft), operations };
}

type Layout = "nchw" | "nhwc";

function depthwise(c: number, size: number, layout: Layout): KernelBench {
  const draft = empty();
  const pitch = size + 2;
  const x = loaded(draft, "f32", c * pitch * pitch, vector);
  const w = loaded(draft, "f32", c * 9, vector);
  const out = queue(draft, "f32", c * size * size, vector, store);
  const product = lanes((b, x) => [b.l.mul(x(0), x(1))]);
  const reduce = { reduction: "seqsum", phase: at(0), init: always } as const;
  const [axes, xs, ws, ys] =
    layout === "nchw"
      ? [
          [parallel(c), parallel(size), parallel(size), reduced(3), reduced(3)],
          [pitch * pitch, pitch, 1, pitch, 1],
          [9, 0, 0, 3, 1],
          [size * size, size, 1, 0, 0],
        ]
      : [
          [parallel(size), parallel(size), parallel(c), reduced(3), reduced(3)],
          [pitch * c, c, 1, pitch * c, c],
          [0, 0, 1, 3 * c, c],
          [size * c, c, 1, 0, 0],
        ];
  vec(
    draft,
    axes,
    [
      [x, xs],
      [w, ws],
    ],
    product,
    [{ dest: dest(out), strides: ys, reduce }],
  );
  stored(draft, out, c * size * size);
  const name = `depthwise 3x3 ${c} @${size} ${layout}`;
  return { name, program: finish(name, draft), operations: 2 * 9 * c * size * size };
}

function elementwise(name: string, n: number, program: LaneProgram): KernelBench {
  const draft = empty();
  const x = loaded(draft, "f32", n, vector);
  const y = queue(draft, "f32", n, vector, store);
  vec(draft, [parallel(n)], [[x, [1]]], program, [{ dest: dest(y), strides: [1] }]);
  stored(draft, y, n);
  return { name: `${name} ${n}`, program: finish(name, draft), operations: n };
}

function softmax(rows: number, n: number): KernelBench {
  const draft = empty();
  const x = loaded(draft, "f32", rows * n, vector);
  const m = queue(draft, "f32", rows, vector, vector);
  const e = queue(draft, "f32", rows * n, vector, vector);
  const s = queue(draft, "f32", rows, vector, vector);
  const y = queue(draft, "f32", rows * n, vector, store);
  const reduce = (reduction: "max" | "sum") => ({ reduction, phase: at(0), init: always });
  vec(draft, [parallel(rows), reduced(n)], [[x, [n, 1], never]], identity, [
    { dest: dest(m), strides: [1, 0], reduce: reduce("max") },
  ]);
  const axes = [parallel(rows), reduced(n)];
  const exp = lanes((b, x) => {
    const value = b.l.exp(b.l.sub(x(0), x(1)));
    return [value, value];
  });
  vec(
    draft,
    axes,
    [
      [x, [n, 1]],
      [m, [1, 0]],
    ],
    exp,
    [
      { dest: dest(e), strides: [n, 1] },
      { dest: dest(s), strides: [1, 0], reduce: reduce("sum") },
    ],
  );
  const divide = lanes((b, x) => [b.l.div(x(0), x(1))]);
  vec(
    draft,
    [parallel(rows), parallel(n)],
    [
      [e, [n, 1]],
      [s, [1, 0]],
    ],
    divide,
    [{ dest: dest(y), strides: [n, 1] }],
  );
  stored(draft, y, rows * n);
  const name = `softmax ${rows}x${n}`;
  return { name, program: finish(name, draft), operations: rows * n };
}

function maxPool(c: number, size: number, kernel: number): KernelBench {
  const draft = empty();
  const pitch = size + kernel - 1;
  const x = loaded(draft, "f32", c * pitch * pitch, vector);
  const y = queue(draft, "f32", c * size * size, vector, store);
  vec(
    draft,
    [parallel(c), parallel(size), parallel(size), reduced(kernel), reduced(kernel)],
    [[x, [pitch * pitch, pitch, 1, pitch, 1]]],
    identity,
    [
      {
        dest: dest(y),
        strides: [size * size, size, 1, 0, 0],
        reduce: { reduction: "max", phase: at(0), init: always },
      },
    ],
  );
  stored(draft, y, c * size * size);
  const name = `maxpool ${kernel}x${kernel} ${c} @${size}`;
  return { name, program: finish(name, draft), operations: c * size * size * kernel * kernel };
}

function transposed(rows: number, columns: number): KernelBench {
  const draft = empty();
  const elements = rows * columns;
  const binding = draft.bindings.push({ name: "in", dtype: "f32", elements, access: "read" }) - 1;
  const q = queue(draft, "f32", elements, load, store);
  add(draft, {
    op: "load",
    axes: [
      { count: staticCount(rows), memoryStride: columns, slotStride: 1 },
      { count: staticCount(columns), memoryStride: 1, slotStride: rows },
    ],
    memory: { binding, offset: at(0) },
    dest: dest(q),
    fill: 0,
  });
  stored(draft, q, elements);
  const name = `transpose ${rows}x${columns}`;
  return { name, program: finish(name, draft), operations: elements };
}

export const kernelBenches: readonly KernelBench[] = [
  gemm(64, 64, 64),
  gemm(256, 256, 256),
  gemm(512, 512, 512),
  gemm(1024, 1024, 512),
  gemm(4, 512, 512),
  gemm(1, 1024, 512),
  gemmTransposed(128, 512, 512),
  gemmTransposed(1, 512, 1024),
  gemm(256, 256, 256, "i8"),
  conv(64, 64, 56, 3),
  conv(256, 64, 56, 1),
  conv(3, 16, 112, 3),
  conv(96, 96, 13, 3),
  convRows(12, 16, 52, 3, "nchw"),
  convRows(12, 16, 13, 3, "nchw"),
  convRows(12, 16, 52, 3, "nhwc"),
  convRows(64, 64, 26, 3, "nhwc"),
  convRows(64, 64, 26, 1, "nhwc"),
  convRows(32, 32, 52, 1, "nhwc"),
  depthwise(64, 56, "nchw"),
  depthwise(64, 56, "nhwc"),
  elementwise(
    "relu",
    1 << 18,
    lanes((b, x) => [b.l.max(x(0), b.l.constF(0))]),
  ),
  elementwise("copy", 1 << 18, identity),
  elementwise(
    "sigmoid",
    1 << 18,
    lanes((b, x) => [b.l.sigmoid(x(0))]),
  ),
  elementwise(
    "silu",
    1 << 18,
    lanes((b, x) => [b.l.mul(x(0), b.l.sigmoid(x(0)))]),
  ),
  elementwise(
    "tanh",
    1 << 18,
    lanes((b, x) => [b.l.tanh(x(0))]),
  ),
  elementwise(
    "erf",
    1 << 18,
    lanes((b, x) => [b.l.erf(x(0))]),
  ),
  softmax(256, 512),
  maxPool(32, 56, 5),
  transposed(512, 512),
];
