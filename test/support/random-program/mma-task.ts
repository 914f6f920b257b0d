/** Random matrix products: all forms of axes, windows, zero points, segments over one or two loops. */
import {
  staticCount,
  tileLimits,
  type Affine,
  type Count,
  type MmaAxis,
  type MmaBody,
} from "../../../src/ir/tile.js";
import {
  always,
  never,
  type Condition,
  type SlotDest,
  type SlotSource,
} from "../../../src/isa/program.js";
import type { DeviceDType } from "../../../src/numerics/dtype.js";
import {
  edges,
  favour,
  floatTypes,
  integerTypes,
  loadEngine,
  tensor,
  vector,
  type Context,
  type LoopInfo,
  type Nodes,
} from "./context.js";
import { temporalLoop } from "./loops.js";
import {
  addTile,
  destOf,
  randomAxis,
  randomLayout,
  sourceOf,
  stridesAlong,
  type Axis,
  type Tile,
} from "./tiles.js";
import { instruction, randomLoad } from "./transfers.js";
import { parallelVec } from "./vec-task.js";

type Mma = MmaBody<SlotSource, SlotDest, Condition>;

interface Product {
  readonly isFloat: boolean;
  readonly g: readonly Axis[];
  readonly m: readonly Axis[];
  readonly n: readonly Axis[];
  readonly acc: Tile;
}

export function mmaTask(context: Context): Nodes {
  const { random } = context;
  const some = (least: number, most: number): Axis[] =>
    Array.from({ length: random.int(least, most) }, () =>
      randomAxis(context, { max: random.int(2, 6), loops: context.loops }),
    );
  const g = some(0, random.chance(0.3) ? 1 : 0);
  const m = some(random.chance(0.9) ? 1 : 0, random.chance(0.3) ? 2 : 1);
  const n = some(random.chance(0.9) ? 1 : 0, random.chance(0.3) ? 2 : 1);
  const isFloat = random.chance(0.5);
  const outer = [...g, ...m, ...n];
  const acc = addTile(context, randomLayout(context, outer), {
    dtype: isFloat ? "f32" : "i32",
    space: "accumulator",
    producer: tensor,
    consumers: [vector],
  });
  const product: Product = { isFloat, g, m, n, acc };
  const after = (): Nodes => parallelVec(context, outer, [{ tile: acc, pop: always }]);
  if (random.chance(0.3)) return [...multiply(context, product, []), ...after()];
  const loop = temporalLoop(context, { isEntered: true }, (outerLoop) => {
    if (random.chance(0.6)) return multiply(context, product, [outerLoop]);
    return [
      temporalLoop(context, { isEntered: true }, (innerLoop) =>
        multiply(context, product, [outerLoop, innerLoop]),
      ),
    ];
  });
  return [loop, ...after()];
}

/** The loads of both operands and the mma, or two of them on one accumulator. */
function multiply(context: Context, product: Product, spans: readonly LoopInfo[]): Nodes {
  const { random } = context;
  const begin = edges(spans, "first");
  const end = edges(spans, "last");
  if (context.form === "kernel" || random.chance(0.85))
    return product1(context, product, { spans, clear: begin, publish: end });
  return [
    ...product1(context, product, { spans, clear: begin, publish: never }),
    ...product1(context, product, { spans, clear: never, publish: end }),
  ];
}

interface Accumulation {
  readonly spans: readonly LoopInfo[];
  readonly clear: Condition;
  readonly publish: Condition;
}

function product1(
  context: Context,
  { isFloat, g, m, n, acc }: Product,
  { spans, clear, publish }: Accumulation,
): Nodes {
  const { random } = context;
  const k = Array.from({ length: random.int(random.chance(0.95) ? 1 : 0, 3) }, () =>
    randomAxis(context, { max: random.int(2, random.chance(0.2) ? 24 : 5), loops: context.loops }),
  );
  const nodes: Nodes = [];
  const a = operand(context, { isFloat, outer: [...g, ...m], k, place: "slot" }, nodes);
  const b = operand(context, { isFloat, outer: [...g, ...n], k, place: "memory" }, nodes);
  const axes = [
    ...g.map((axis) => ({ role: "g" as const, axis })),
    ...m.map((axis) => ({ role: "m" as const, axis })),
    ...n.map((axis) => ({ role: "n" as const, axis })),
    ...k.map((axis) => ({ role: "k" as const, axis })),
  ];
  const strides = stridesAlong(
    acc,
    axes.map(({ axis }) => axis),
  );
  const body: Mma = {
    op: "mma",
    axes: axes.map(
      ({ role, axis }, i): MmaAxis => ({
        role,
        count: axis.count,
        strideA: a.strides.get(axis) ?? 0,
        strideB: b.strides.get(axis) ?? 0,
        strideC: role === "k" ? 0 : strides[i]!,
      }),
    ),
    a: sourceOf(a.tile, always),
    b: sourceOf(b.tile, always),
    ...(!isFloat &&
      random.chance(0.5) && { zeroA: zeroPoint(context, [...g, ...m, ...k], axes, nodes) }),
    ...(!isFloat &&
      random.chance(0.5) && { zeroB: zeroPoint(context, [...g, ...n, ...k], axes, nodes) }),
    dest: destOf(acc, publish),
    clear,
    fold: randomFold(context, spans),
  };
  return [...nodes, instruction(body)];
}

/** Folding at other times than at the end of a segment is odd but defined. */
function randomFold(context: Context, spans: readonly LoopInfo[]): Condition {
  const { random } = context;
  if (context.form === "kernel" || random.chance(0.6))
    return edges(spans.slice(random.int(0, spans.length)), "last");
  if (spans.length === 0 || random.chance(0.3)) return random.pick([never, always]);
  const terms = spans.map(({ head }) => ({
    loop: head.id,
    edge: random.pick(["first", "last"] as const),
    negated: random.chance(0.6),
  }));
  return { kind: "all", terms };
}

interface OperandShape {
  readonly isFloat: boolean;
  readonly outer: readonly Axis[];
  readonly k: readonly Axis[];
  /** Whose favourite type it has. */
  readonly place: "slot" | "memory";
}

interface LoadedOperand {
  readonly tile: Tile;
  readonly strides: ReadonlyMap<Axis, number>;
}

/** A loaded operand; an outer and a k axis may slide over one axis of it, as in a convolution. */
function operand(
  context: Context,
  { isFloat, outer, k, place }: OperandShape,
  nodes: Nodes,
): LoadedOperand {
  const { random } = context;
  const present = [...outer, ...k]
    .filter(() => random.chance(0.93))
    .slice(0, tileLimits.transferAxes);
  const slides = present.find((axis) => outer.includes(axis));
  const kernel = present.find((axis) => k.includes(axis) && axis.count.value.terms.length === 0);
  const window =
    slides !== undefined && kernel !== undefined && random.chance(0.2)
      ? { slides, kernel, step: random.int(1, 2) }
      : undefined;
  const own = present.filter((axis) => axis !== window?.slides && axis !== window?.kernel);
  const axes = window === undefined ? own : [...own, windowAxis(window)];
  const channel = random.int(0, 3);
  const tile = addTile(context, randomLayout(context, axes), {
    dtype: favour<DeviceDType>(context, isFloat ? floatTypes : integerTypes, place),
    producer: loadEngine(channel),
    consumers: [tensor],
  });
  nodes.push(...randomLoad(context, { tile, channel }));
  const strides = new Map(own.map((axis, i) => [axis, tile.strides[i]!]));
  if (window !== undefined) {
    const stride = tile.strides.at(-1)!;
    strides.set(window.slides, stride * window.step);
    strides.set(window.kernel, stride);
  }
  return { tile, strides };
}

interface Window {
  readonly slides: Axis;
  /** Of a fixed count. */
  readonly kernel: Axis;
  readonly step: number;
}

/** (count - 1) * step + kernel elements. */
function windowAxis({ slides, kernel, step }: Window): Axis {
  const size = kernel.count.max;
  const { value, max } = slides.count;
  const windowed: Affine = {
    constant: value.constant * step + size - step,
    terms: value.terms.map((term) => ({ ...term, coefficient: term.coefficient * step })),
  };
  const count: Count = { value: windowed, max: max * step + size - step };
  const isFixed = value.terms.length === 0;
  return { count: isFixed ? staticCount(count.max) : count, isUniform: slides.isUniform };
}

function zeroPoint(
  context: Context,
  axes: readonly Axis[],
  all: readonly { readonly axis: Axis }[],
  nodes: Nodes,
): NonNullable<Mma["zeroA"]> {
  const { random } = context;
  const own = axes.filter(() => random.chance(0.25));
  const channel = random.int(0, 3);
  const tile = addTile(context, randomLayout(context, own), {
    dtype: favour(context, integerTypes, "slot"),
    producer: loadEngine(channel),
    consumers: [tensor],
  });
  nodes.push(...randomLoad(context, { tile, channel }));
  return {
    source: sourceOf(tile, always),
    strides: stridesAlong(
      tile,
      all.map(({ axis }) => axis),
    ),
  };
}
