/**
 * Plans of a vector group: which axes the members share out, how large a tile is, whether rows stay in L1, and how
 * much is under way at once.
 */
import { tileLimits } from "../../ir/tile.js";
import { latencyCycles } from "./kernel-cost.js";
import type { RowsPlan, SplitChoice } from "./plan.js";
import {
  type ChosenKernel,
  choosePlan,
  hasTimeLoop,
  splitCandidates,
  stageVariants,
} from "./plan-choice.js";
import { axisMax, iotaAxes, type PreparedGroup } from "./prepare.js";
import { rowsSteps, writeRowsKernel } from "./rows-kernel.js";
import type { TileContext } from "./tile-state.js";

/** Points of a tile. A long one hides a transfer's latency, several short ones overlap. */
const tilePoints = [16_384, 131_072, 65_536, 32_768, 8_192, 4_096, 2_048, 512, 16, 1] as const;
/** Points of a tile to compare ways of sharing out with; smaller ones where that does not fit. */
const firstPoints = [16_384, 512, 1] as const;
const rowChunks = [8_192, 1_024, 128, 16] as const;
const depths = [3, 4, 1] as const;

export function planRows(
  prepared: PreparedGroup,
  context: TileContext,
): ChosenKernel<RowsPlan> | undefined {
  const steps = rowsSteps(prepared, context.producers);
  const splits = splitCandidates(parallelAxes(prepared), prepared, context.machine);
  const tileFor = (split: readonly SplitChoice[], points: number): number[] =>
    tileOf(prepared, split, points, context);
  const base = (split: readonly SplitChoice[], points: number): RowsPlan => ({
    kind: "rows",
    split,
    tile: tileFor(split, points),
    depthIn: 2,
    depthOut: 2,
    multicast: true,
    stages: Array.from({ length: steps }, () => 0),
  });
  const hasRows = prepared.order.some((axis) => prepared.axes[axis]!.role === "row");
  const inChunks = (split: readonly SplitChoice[]): RowsPlan[] =>
    hasRows ? rowChunks.map((rowChunk) => ({ ...base(split, 1), rowChunk })) : [];
  const first = function* (): Generator<RowsPlan> {
    for (const points of firstPoints) for (const split of splits) yield base(split, points);
    for (const split of splits) yield* inChunks(split);
  };
  return choosePlan<RowsPlan>(
    {
      candidates: first,
      refinements: [
        ({ split }) => [...tilePoints.map((points) => base(split, points)), ...inChunks(split)],
        (plan, { kernel }) =>
          hasTimeLoop(kernel) ? depths.map((depthIn) => ({ ...plan, depthIn })) : [],
        (plan, { kernel }) => (hasTimeLoop(kernel) ? resultVariants(plan) : []),
      ],
      least: latencyCycles(["vector"], context.machine),
      write: (plan) => writeRowsKernel(prepared, plan, context),
    },
    prepared,
    context,
  );
}

function resultVariants(plan: RowsPlan): RowsPlan[] {
  return [2, 3, 1].flatMap((depthOut) =>
    stageVariants(plan.stages.length).map((stages) => ({ ...plan, stages, depthOut })),
  );
}

function parallelAxes(prepared: PreparedGroup): number[] {
  return prepared.order.filter((axis) => prepared.axes[axis]!.role === "parallel");
}

function tileOf(
  prepared: PreparedGroup,
  split: readonly SplitChoice[],
  points: number,
  context: TileContext,
): number[] {
  const tile = prepared.axes.map(() => 1);
  const rows = prepared.order.filter((axis) => prepared.axes[axis]!.role === "row");
  let left = Math.max(
    1,
    Math.floor(points / rows.reduce((n, a) => n * axisMax(prepared.axes[a]!), 1)),
  );
  for (const axis of rows) tile[axis] = axisMax(prepared.axes[axis]!);
  const varyingRows = rows.filter((a) => axisMax(prepared.axes[a]!) > 1).length;
  const counted = iotaAxes(prepared.space, context.producers);
  let room = tileLimits.vecAxes - Math.max(varyingRows, rows.length > 0 ? 1 : 0);
  room -= [...counted].filter((a) => prepared.axes[a]!.role === "parallel").length;
  for (const axis of parallelAxes(prepared).toReversed()) {
    const share = split.find((s) => s.axis === axis)?.step ?? axisMax(prepared.axes[axis]!);
    const isFree = counted.has(axis);
    if (share <= 1 || (room <= 0 && !isFree)) continue;
    tile[axis] = Math.max(1, Math.min(share, left));
    if (tile[axis]! > 1 && !isFree) room--;
    left = Math.max(1, Math.floor(left / tile[axis]!));
    if (tile[axis]! < share) break;
  }
  return tile;
}
