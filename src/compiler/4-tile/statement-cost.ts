/**
 * What one statement of a kernel takes of its engine and of memory, by the machine's figures: the planner's own
 * estimate, close enough to rank plans. What statements do to each other is in kernel-cost.ts.
 */
import type { KernelBody, TileValue, TileOperand, Spanned } from "../../ir/kernel/kernel.js";
import type { Affine, Count, LoadBody, MmaBody, StoreBody, VecBody } from "../../ir/tile.js";
import { byteLength, type DeviceDType } from "../../numerics/dtype.js";
import { laneOps } from "../../numerics/lane.js";
import { reducePartials } from "../../ir/graph.js";
import { type DeviceMachine, tensorTypeOf } from "../../target/machine.js";

export interface StatementCost {
  /** Of the engine; of a transfer: of the slot's side alone. */
  readonly cycles: number;
  /** Bandwidth of device memory that a transfer takes, short runs rounded up. */
  readonly memoryBytes: number;
  readonly slotBytes: number;
}

export interface CostContext {
  readonly machine: DeviceMachine;
  readonly values: readonly TileValue[];
  /** Types of the bindings. */
  readonly dtypes: readonly DeviceDType[];
  /** Extents of the open loops at the current trip, by loop. */
  readonly extents: readonly number[];
}

export function statementCost(body: KernelBody, context: CostContext): StatementCost {
  switch (body.op) {
    case "load":
    case "store":
      return transferCost(body, context);
    case "mma":
      return { cycles: mmaCycles(body, context), memoryBytes: 0, slotBytes: 0 };
    case "vec":
      return { cycles: vecCycles(body, context), memoryBytes: 0, slotBytes: 0 };
    default:
      return body satisfies never;
  }
}

/** The value at the current trip; what depends on runtime scalars is at its maximum. */
export function extentOf({ value, max }: Count, { extents }: Pick<CostContext, "extents">): number {
  if (value.terms.some((term) => term.of !== "extent")) return max;
  return Math.min(max, Math.max(0, affineOf(value, extents)));
}

function affineOf(affine: Affine, extents: readonly number[]): number {
  return affine.terms.reduce(
    (sum, { coefficient, id }) => sum + coefficient * extents[id]!,
    affine.constant,
  );
}

interface Walked {
  readonly count: number;
  readonly memoryStride: number;
  readonly slotStride: number;
}

type Transfer = LoadBody<TileOperand, TileOperand> | StoreBody<TileOperand>;

function transferCost(body: Transfer, context: CostContext): StatementCost {
  const { channels, l1 } = context.machine;
  const axes = body.axes.map((axis) => ({ ...axis, count: extentOf(axis.count, context) }));
  const elements = axes.reduce((n, axis) => n * axis.count, 1);
  const slot = body.op === "load" ? body.dest : body.source;
  const slotBytes = byteLength(context.values[slot.value]!.dtype, elements);
  const indexed = body.index?.axis;
  const { runs, length } = memoryRuns(axes, indexed);
  const runBytes = byteLength(context.dtypes[body.memory.binding]!, length);
  const accesses = Math.ceil(runBytes / channels.accessBytes) * channels.accessBytes;
  const pieces = elements / pieceLength(axes, indexed);
  return {
    cycles: Math.max(slotBytes / l1.portBytesPerCycle, pieces / channels.elementsPerCycle),
    memoryBytes: elements === 0 ? 0 : runs * (accesses + channels.runOverheadBytes),
    slotBytes,
  };
}

/** Runs without gaps, from the smallest stride up; an indexed axis begins a new one at each position. */
function memoryRuns(
  axes: readonly Walked[],
  indexed: number | undefined,
): { runs: number; length: number } {
  let length = 1;
  let runs = 1;
  const others = axes.filter((_, i) => i !== indexed);
  const moving = others.filter((axis) => axis.count > 1 && axis.memoryStride !== 0);
  for (const { count, memoryStride } of moving.sort(
    (x, y) => Math.abs(x.memoryStride) - Math.abs(y.memoryStride),
  )) {
    const stride = Math.abs(memoryStride);
    if (runs === 1 && stride <= length) length += (count - 1) * stride;
    else runs *= count;
  }
  return { runs, length };
}

/** Elements that lie together both in memory and in the slot. */
function pieceLength(axes: readonly Walked[], indexed: number | undefined): number {
  let piece = 1;
  const moving = axes.filter((axis, i) => i !== indexed && axis.count > 1);
  for (const { count, memoryStride, slotStride } of moving.sort(
    (x, y) => Math.abs(x.slotStride) - Math.abs(y.slotStride),
  )) {
    if (slotStride !== piece || (memoryStride !== piece && memoryStride !== 0)) break;
    piece *= count;
  }
  return piece;
}

function mmaCycles(body: MmaBody<TileOperand, TileOperand, Spanned>, context: CostContext): number {
  const { tensor } = context.machine;
  const along = (role: "g" | "m" | "n" | "k"): number =>
    body.axes
      .filter((axis) => axis.role === role)
      .reduce((n, axis) => n * extentOf(axis.count, context), 1);
  const rate = Math.min(
    ...[body.a, body.b].map(({ value }) => tensor.rate[tensorTypeOf(context.values[value]!.dtype)]),
  );
  const passes = along("g") * Math.ceil(along("k") / tensor.rows);
  const held = (still: number, moving: number): number =>
    passes *
    Math.ceil(still / tensor.columns) *
    Math.max(Math.ceil(moving / rate), tensor.passCyclesMin);
  const [m, n] = [along("m"), along("n")];
  return Math.max(tensor.issueCycles, Math.min(held(m, n), held(n, m)));
}

function vecCycles(body: VecBody<TileOperand, TileOperand, Spanned>, context: CostContext): number {
  const { vector, l1 } = context.machine;
  const counts = body.axes.map((axis) => extentOf(axis.count, context));
  const positions = counts.reduce((n, count) => n * count, 1);
  const parallel = counts
    .filter((_, i) => body.axes[i]!.kind === "parallel")
    .reduce((n, count) => n * count, 1);
  if (positions === 0) return vector.issueCycles;
  const reduced = positions / parallel;
  const width = Math.max(1, Math.min(reducedTogether(body, reduced), vector.lanes / parallel));
  const vectors = Math.ceil((parallel * width) / vector.lanes) * Math.ceil(reduced / width);
  const read = body.inputs.reduce((bytes, { source, strides }) => {
    const moving = strides.findLastIndex((stride, i) => stride !== 0 && counts[i]! > 1);
    const elements = counts.slice(0, moving + 1).reduce((n, count) => n * count, 1);
    return bytes + byteLength(context.values[source.value]!.dtype, elements);
  }, 0);
  const port = read / l1.portBytesPerCycle;
  return Math.max(vectors * laneCycles(body, context.machine), port, vector.issueCycles);
}

/** Positions of the reduce axes that lanes may take side by side. */
function reducedTogether(
  { axes, outputs, program }: VecBody<TileOperand, TileOperand, Spanned>,
  reduced: number,
): number {
  if (axes.some((axis) => axis.kind === "scan")) return 1;
  const limits = outputs.map(({ reduce }, i) => {
    if (reduce === undefined) return reduced;
    if (reduce.reduction === "seqsum") return 1;
    const isSum = reduce.reduction === "sum" || reduce.reduction === "prod";
    const isFloating = program.instructions[program.results[i]!]!.type === "f32";
    return isSum && isFloating ? reducePartials : reduced;
  });
  return Math.min(reduced, ...limits);
}

const free: ReadonlySet<string> = new Set([
  "input",
  "constF",
  "constI",
  "index",
  "scalar",
  "carry",
]);
const slow: ReadonlySet<string> = new Set(["div", "divI", "remI", "sqrt"]);

/** Cycles for one vector of positions. */
function laneCycles(
  { program, outputs }: VecBody<TileOperand, TileOperand, Spanned>,
  { vector }: DeviceMachine,
): number {
  let cycles = 0;
  for (const { op } of program.instructions) {
    if (free.has(op)) continue;
    const isFunction = slow.has(op) || "function" in laneOps[op];
    if (op === "lookup") cycles += vector.lookupCycles;
    else cycles += isFunction ? vector.transcendentalCycles : vector.simpleCycles;
  }
  cycles += outputs.filter(({ reduce }) => reduce !== undefined).length * vector.simpleCycles;
  return Math.max(cycles, vector.simpleCycles);
}
