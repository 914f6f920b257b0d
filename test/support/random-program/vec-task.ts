/** Random vecs with everything around them: loads of their inputs, chunks, folds, stores of their outputs. */
import {
  constantAffine,
  staticCount,
  type Affine,
  type VecBody,
  type VecCarry,
  type VecOutput,
} from "../../../src/ir/tile.js";
import {
  always,
  type Condition,
  type SlotDest,
  type SlotSource,
} from "../../../src/isa/program.js";
import type { DeviceDType } from "../../../src/numerics/dtype.js";
import type { RegisterType } from "../../../src/numerics/lane.js";
import { laneProgramBuilder } from "../../../src/numerics/lanes.js";
import {
  allTypes,
  edges,
  favour,
  floatTypes,
  integerTypes,
  loadEngine,
  storeEngine,
  vector,
  type Context,
  type LoopInfo,
  type Nodes,
} from "./context.js";
import { randomLanes, registerOf, type LaneInput } from "./lanes.js";
import { temporalLoop } from "./loops.js";
import {
  addTile,
  destOf,
  randomAxes,
  randomAxis,
  randomLayout,
  sourceOf,
  stridesAlong,
  type Axis,
  type Tile,
} from "./tiles.js";
import { instruction, randomLoad, randomStore } from "./transfers.js";

type Vec = VecBody<SlotSource, SlotDest, Condition>;
type Output = VecOutput<SlotDest, Condition>;
type Reduction = NonNullable<Output["reduce"]>["reduction"];

/** A tile that a vec reads besides inputs of its own, popping it as said. */
export interface Given {
  readonly tile: Tile;
  readonly pop: Condition;
  /** In place of the tile's own place and strides. */
  readonly source?: SlotSource;
  readonly strides?: readonly number[];
}

/** Axes of a vec: the parallel ones stay the same over all chunks. */
export interface Space {
  readonly parallel: readonly Axis[];
  readonly inner: readonly Axis[];
  readonly kind: "reduce" | "scan";
  /** Loops over the chunks of the inner axes. */
  readonly chunks: readonly LoopInfo[];
}

export function vecTask(context: Context): Nodes {
  const { random } = context;
  const parallel = random.chance(0.1) ? [] : randomAxes(context, 4);
  const kind = random.pick(["none", "reduce", "reduce", "scan", "scan"] as const);
  if (kind === "none") {
    const space: Space = { parallel, inner: [], kind: "reduce", chunks: [] };
    const { nodes, after } = vecIn(context, space);
    return [...nodes, ...after];
  }
  const innerMost = Math.min(kind === "scan" ? 1 : 2, 5 - parallel.length);
  const innerOf = (): Axis[] =>
    Array.from({ length: random.int(1, innerMost) }, () =>
      randomAxis(context, { max: random.int(2, 20), loops: context.loops }),
    );
  if (random.chance(0.4)) {
    const { nodes, after } = vecIn(context, { parallel, inner: innerOf(), kind, chunks: [] });
    return [...nodes, ...after];
  }
  let after: Nodes = [];
  const loop = temporalLoop(context, { isEntered: true }, (chunk) => {
    const write = (chunks: readonly LoopInfo[]): Nodes => {
      const inChunks = vecIn(context, { parallel, inner: innerOf(), kind, chunks });
      after = inChunks.after;
      return inChunks.nodes;
    };
    if (random.chance(0.8)) return write([chunk]);
    return [temporalLoop(context, { isEntered: true }, (inner) => write([chunk, inner]))];
  });
  return [loop, ...after];
}

interface Written {
  readonly nodes: Nodes;
  /** What reads the results that are complete after the last chunk. */
  readonly after: Nodes;
}

/** A vec over the axes with inputs and outputs of its own, and what is given. */
export function parallelVec(
  context: Context,
  axes: readonly Axis[],
  given: readonly Given[],
): Nodes {
  const space: Space = { parallel: axes, inner: [], kind: "reduce", chunks: [] };
  const { nodes, after } = vecIn(context, space, given);
  return [...nodes, ...after];
}

function vecIn(context: Context, space: Space, given: readonly Given[] = []): Written {
  const { random } = context;
  const axes = [...space.parallel, ...space.inner];
  const loads: Nodes = [];
  const inputs: Input[] = given.map(({ tile, pop, source, strides }) => ({
    source: source ?? sourceOf(tile, pop),
    lane: { dtype: tile.dtype },
    strides: strides ?? stridesAlong(tile, axes),
  }));
  const more = random.pick([1, 1, 1, 2, 2, 3, 4, 8]) - (given.length === 0 ? 0 : 1);
  while (inputs.length < Math.min(8, more + given.length)) {
    inputs.push(randomInput(context, axes, loads));
  }
  const { outputs, types, nodes, after } = randomOutputs(context, space);
  const carries = space.kind === "scan" ? randomCarries(context, space) : [];
  const results = [...types, ...carries.map(({ carry }) => carry.type)];
  const body: Vec = {
    op: "vec",
    axes: axes.map((axis, i) => ({
      kind: i < space.parallel.length ? "parallel" : space.kind,
      count: axis.count,
      base:
        random.chance(0.3) && context.loops.length > 0
          ? {
              constant: random.int(-2, 9),
              terms: [{ coefficient: 1, of: "index", id: random.pick(context.loops).head.id }],
            }
          : constantAffine(0),
    })),
    inputs: inputs.map(({ source, strides }) => ({ source, strides })),
    program: randomLanes(context, {
      inputs: inputs.map(({ lane }) => lane),
      axes: axes.length,
      carries: carries.map(({ carry }) => carry.type),
      results,
    }),
    carries: carries.map(({ carry }, i) => ({ ...carry, next: types.length + i })),
    outputs,
  };
  return {
    nodes: [...loads, instruction(body), ...nodes],
    after: [...after, ...carries.flatMap((carry) => carry.after)],
  };
}

interface Input {
  readonly source: SlotSource;
  readonly lane: LaneInput;
  readonly strides: readonly number[];
}

function randomInput(context: Context, axes: readonly Axis[], loads: Nodes): Input {
  const { random } = context;
  const dtype = random.chance(0.4) ? "f32" : favour(context, allTypes, "slot");
  const channel = random.int(0, 3);
  const options = { dtype, producer: loadEngine(channel), consumers: [vector] };
  if (random.chance(0.15)) {
    const tableSize = random.int(1, 8);
    const axis: Axis = { count: staticCount(tableSize), isUniform: true };
    const tile = addTile(
      context,
      { axes: [axis], strides: [1], offset: 0, elements: tableSize },
      options,
    );
    loads.push(...randomLoad(context, { tile, channel, isPlain: true }));
    return {
      source: sourceOf(tile, always),
      lane: { dtype, tableSize },
      strides: axes.map(() => 0),
    };
  }
  const kept = axes.filter(() => random.chance(0.8));
  const tile = addTile(context, randomLayout(context, kept), options);
  loads.push(...randomLoad(context, { tile, channel }));
  return { source: sourceOf(tile, always), lane: { dtype }, strides: stridesAlong(tile, axes) };
}

interface Outputs extends Written {
  readonly outputs: Output[];
  readonly types: RegisterType[];
}

function randomOutputs(context: Context, space: Space): Outputs {
  const { random } = context;
  const result: Outputs = { outputs: [], types: [], nodes: [], after: [] };
  for (let i = random.pick([1, 1, 1, 2, 3]); i > 0; i--) {
    const reduces = space.kind === "reduce" && space.inner.length > 0 && random.chance(0.75);
    if (reduces) addReduced(context, space, result);
    else addPlain(context, space, result);
  }
  return result;
}

function addPlain(context: Context, space: Space, result: Outputs): void {
  const { random } = context;
  const all = [...space.parallel, ...space.inner];
  // A scan may leave its last value only: a stride of 0 keeps what is written last.
  const axes =
    space.kind === "scan" && random.chance(0.2) && isNeverEmpty(space.inner) ? space.parallel : all;
  const dtype = favour(context, allTypes, "slot");
  const channel = random.int(0, 1);
  const tile = addTile(context, randomLayout(context, axes), {
    dtype,
    producer: vector,
    consumers: [storeEngine(channel)],
  });
  result.outputs.push({ dest: destOf(tile, always), strides: stridesAlong(tile, all) });
  result.types.push(registerOf(dtype));
  result.nodes.push(...randomStore(context, { tile, source: sourceOf(tile, always), channel }));
}

function isNeverEmpty(axes: readonly Axis[]): boolean {
  return axes.every(({ count }) => count.value.terms.every(({ of }) => of === "extent"));
}

const reductions = {
  f32: ["sum", "sum", "prod", "seqsum", "max", "min"],
  i32: ["sum", "prod", "seqsum", "max", "min", "and", "or"],
} as const satisfies { readonly [T in RegisterType]: readonly Reduction[] };

function addReduced(context: Context, space: Space, result: Outputs): void {
  const { random } = context;
  const type = random.pick(["f32", "f32", "i32"] as const);
  const reduction: Reduction = favour<Reduction>(context, reductions[type], "memory");
  const all = [...space.parallel, ...space.inner];
  const isSum = type === "f32" && (reduction === "sum" || reduction === "prod");
  const goesOn = space.chunks.length > 0;
  const hasPartials = isSum && (goesOn || random.chance(0.3));
  const dtype = reducedType(context, type, hasPartials);
  const partialAxis: Axis = { count: staticCount(16), isUniform: true };
  const layout = randomLayout(
    context,
    hasPartials ? [...space.parallel, partialAxis] : space.parallel,
  );
  const channel = random.int(0, 1);
  const engine = hasPartials ? vector : storeEngine(channel);
  const tile = addTile(context, layout, { dtype, producer: vector, consumers: [engine] });
  const phase = random.chance(0.5) ? constantAffine(random.int(0, 20)) : phaseOf(space.chunks);
  result.outputs.push({
    dest: destOf(tile, edges(space.chunks, "last")),
    strides: stridesAlong(tile, all),
    reduce: {
      reduction,
      phase,
      init: edges(space.chunks, "first"),
      ...(hasPartials && { partialStride: tile.strides.at(-1)! }),
    },
  });
  result.types.push(type);
  const into = goesOn ? result.after : result.nodes;
  const keep = context.loops.splice(context.loops.length - space.chunks.length);
  if (hasPartials)
    into.push(...foldTask(context, { tile, parallel: space.parallel, reduction, channel }));
  else into.push(...randomStore(context, { tile, source: sourceOf(tile, always), channel }));
  context.loops.push(...keep);
}

function reducedType(context: Context, type: RegisterType, hasPartials: boolean): DeviceDType {
  const { random } = context;
  if (hasPartials) return "f32";
  if (type === "f32") return random.chance(0.6) ? "f32" : favour(context, floatTypes, "slot");
  return random.chance(0.6) ? "i32" : favour(context, [...integerTypes, "bool"] as const, "slot");
}

function phaseOf(chunks: readonly LoopInfo[]): Affine {
  return {
    constant: 0,
    terms: chunks.map(({ head }) => ({ coefficient: 3, of: "index" as const, id: head.id })),
  };
}

interface FoldOptions {
  readonly tile: Tile;
  readonly parallel: readonly Axis[];
  readonly reduction: Reduction;
  readonly channel: number;
}

/** Reduces 16 partials to the result and stores it. */
function foldTask(context: Context, { tile, parallel, reduction, channel }: FoldOptions): Nodes {
  const partials = tile.axes.at(-1)!;
  const axes = [...parallel, partials];
  const folded = addTile(context, randomLayout(context, parallel), {
    dtype: favour(context, floatTypes, "slot"),
    producer: vector,
    consumers: [storeEngine(channel)],
  });
  const builder = laneProgramBuilder();
  const body: Vec = {
    op: "vec",
    axes: axes.map((axis, i) => ({
      kind: i < parallel.length ? "parallel" : "reduce",
      count: axis.count,
      base: constantAffine(0),
    })),
    inputs: [{ source: sourceOf(tile, always), strides: stridesAlong(tile, axes) }],
    program: builder.finish([builder.source("input", 0, "f32")]),
    carries: [],
    outputs: [
      {
        dest: destOf(folded, always),
        strides: stridesAlong(folded, axes),
        reduce: { reduction, phase: constantAffine(0), init: always },
      },
    ],
  };
  return [
    instruction(body),
    ...randomStore(context, { tile: folded, source: sourceOf(folded, always), channel }),
  ];
}

interface Carried {
  readonly carry: Omit<VecCarry<SlotDest, Condition>, "next">;
  readonly after: Nodes;
}

function randomCarries(context: Context, space: Space): Carried[] {
  const { random } = context;
  return Array.from({ length: random.int(1, random.chance(0.2) ? 4 : 2) }, () => {
    const type = random.pick(["f32", "i32"] as const);
    const initial = type === "f32" ? random.pick([0, 1, -Infinity, 0.25]) : random.int(-3, 3);
    if (random.chance(0.3)) return { carry: { initial, type }, after: [] };
    return keptCarry(context, space, { type, initial });
  });
}

function keptCarry(
  context: Context,
  space: Space,
  { type, initial }: { readonly type: RegisterType; readonly initial: number },
): Carried {
  const { random } = context;
  const all = [...space.parallel, ...space.inner];
  const dtype = reducedType(context, type, false);
  const channel = random.int(0, 1);
  const tile = addTile(context, randomLayout(context, space.parallel), {
    dtype,
    producer: vector,
    consumers: [storeEngine(channel)],
  });
  const state = {
    dest: destOf(tile, edges(space.chunks, "last")),
    strides: stridesAlong(tile, all),
    init: edges(space.chunks, "first"),
  };
  const keep = context.loops.splice(context.loops.length - space.chunks.length);
  const after = randomStore(context, { tile, source: sourceOf(tile, always), channel });
  context.loops.push(...keep);
  return { carry: { initial, type, state }, after };
}
