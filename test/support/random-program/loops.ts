/** Random loops: static, ragged, bounded by scalars, triangular, tiles of tiles, without trips. */
import { constantAffine, type Affine, type LoopHead } from "../../../src/ir/tile.js";
import type { ProgramNode } from "../../../src/isa/program.js";
import { addScalar, isSpatial, type Context, type LoopInfo, type Nodes } from "./context.js";

export interface LoopOptions {
  /** At least one trip whatever the scalars are. */
  readonly isEntered?: boolean;
  /** Bounds that are the same on all members. */
  readonly isUniform?: boolean;
}

/** A temporal loop around what `write` gives. */
export function temporalLoop(
  context: Context,
  options: LoopOptions,
  write: (loop: LoopInfo) => Nodes,
): ProgramNode {
  return around(context, temporalHead(context, options), write);
}

export function around(
  context: Context,
  loop: LoopInfo,
  write: (loop: LoopInfo) => Nodes,
): ProgramNode {
  context.loops.push(loop);
  const body = write(loop);
  context.loops.pop();
  return { kind: "loop", head: loop.head, body };
}

interface Bounds {
  readonly start: Affine;
  readonly total: readonly Affine[];
  readonly minTotal: number;
  readonly maxTotal: number;
  readonly isUniform: boolean;
}

function temporalHead(context: Context, options: LoopOptions): LoopInfo {
  const { random } = context;
  const { isUniform, ...bounds } = temporalBounds(context, options);
  const id = context.ids.loop++;
  const step = random.pick([1, 1, 2, 2, 3, 4]);
  return { head: { id, name: `t${id}`, over: "time", step, ...bounds }, isUniform };
}

function temporalBounds(context: Context, options: LoopOptions): Bounds {
  const { random, loops } = context;
  const outer = loops.filter(
    (loop) => options.isUniform !== true || (loop.isUniform && !isSpatial(loop)),
  );
  const kinds = ["static", "static", "scalar", "least"];
  if (outer.length > 0) {
    kinds.push("least");
    if (options.isEntered !== true) kinds.push("triangle", "tile", "extent");
  }
  const minTotal = options.isEntered === true ? 1 : 0;
  const maxTotal = random.int(Math.max(1, minTotal), 6);
  const zero = constantAffine(0);
  const free = { start: zero, minTotal, maxTotal, isUniform: true };
  switch (random.pick(kinds)) {
    case "static": {
      const end = options.isEntered === true ? maxTotal : random.int(0, maxTotal);
      const start = options.isEntered === true ? 0 : random.int(0, 1);
      return {
        start: constantAffine(start),
        total: [constantAffine(end)],
        minTotal: end,
        maxTotal: end,
        isUniform: true,
      };
    }
    case "scalar":
      return { ...free, total: [scalarBound(context, maxTotal)] };
    case "least": {
      const other = outer.length === 0 ? constantAffine(maxTotal) : extentOf(random.pick(outer), 2);
      const isUniform = outer.length === 0 || allUniform(outer, other);
      return { ...free, total: [scalarBound(context, maxTotal), other], isUniform };
    }
    case "triangle": {
      const loop = random.pick(outer);
      const total = sumOf(loop, ["index", "extent"]);
      return { ...free, total: [total], isUniform: loop.isUniform && !isSpatial(loop) };
    }
    case "tile": {
      const loop = random.pick(outer);
      return {
        start: sumOf(loop, ["index"]),
        total: [sumOf(loop, ["index", "extent"])],
        minTotal: 0,
        maxTotal: loop.head.maxTotal,
        isUniform: loop.isUniform && !isSpatial(loop),
      };
    }
    default: {
      const loop = random.pick(outer);
      const total = [extentOf(loop, 1)];
      const isUniform = loop.isUniform && !isSpatial(loop);
      return { ...free, total, maxTotal: loop.head.step, isUniform };
    }
  }
}

function scalarBound(context: Context, max: number): Affine {
  const id = addScalar(context, 0, max, true);
  return { constant: 0, terms: [{ coefficient: 1, of: "scalar", id }] };
}

function extentOf(loop: LoopInfo, coefficient: number): Affine {
  return { constant: 0, terms: [{ coefficient, of: "extent", id: loop.head.id }] };
}

function sumOf(loop: LoopInfo, parts: readonly ("index" | "extent")[]): Affine {
  return { constant: 0, terms: parts.map((of) => ({ coefficient: 1, of, id: loop.head.id })) };
}

function allUniform(loops: readonly LoopInfo[], affine: Affine): boolean {
  return affine.terms.every(({ id }) => {
    const loop = loops.find(({ head }) => head.id === id)!;
    return loop.isUniform && !isSpatial(loop);
  });
}

/** Spatial loops over all of the grid, so that members differ in an index; what `write` gives inside them. */
export function spatialLoops(context: Context, write: () => Nodes): Nodes {
  const { random, grid } = context;
  const members = grid.rows * grid.columns;
  const split: { over: LoopHead["over"]; places: number }[] = random.chance(0.2)
    ? [{ over: "members", places: members }]
    : random.shuffled([
        { over: "rows" as const, places: grid.rows },
        { over: "columns" as const, places: grid.columns },
      ]);
  const needed = split.filter(({ places }) => places > 1 || random.chance(0.3));
  const open = (rest: readonly { over: LoopHead["over"]; places: number }[]): Nodes => {
    const [next, ...inner] = rest;
    if (next === undefined) return write();
    return [around(context, spatialHead(context, next.over, next.places), () => open(inner))];
  };
  return open(needed);
}

function spatialHead(context: Context, over: LoopHead["over"], places: number): LoopInfo {
  const { random } = context;
  const id = context.ids.loop++;
  const step = random.int(1, 4);
  const maxTotal = step * places - random.int(0, Math.min(step - 1, 2));
  const isDynamic = random.chance(0.25);
  const total = isDynamic ? scalarBound(context, maxTotal) : constantAffine(maxTotal);
  const minTotal = isDynamic ? 0 : maxTotal;
  const head: LoopHead = {
    id,
    name: `${over}${id}`,
    over,
    start: constantAffine(0),
    total: [total],
    minTotal,
    maxTotal,
    step,
  };
  return { head, isUniform: true };
}
