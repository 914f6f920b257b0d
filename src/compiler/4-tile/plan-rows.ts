/**
 * Chooses the plan of a vector group: which axes the members share out, how large a tile is, and whether rows
 * stay in L1. Candidates come in order of preference; the first that fits the machine is taken (a test may pick
 * others: no choice changes a bit).
 */
import type { WrittenKernel } from "../tiled.js";
import type { DeviceMachine } from "../../target/machine.js";
import type { KernelNode } from "../../ir/kernel.js";
import { byteLength } from "../../numerics/dtype.js";
import { tileLimits } from "../../ir/tile.js";

import type { RowsPlan, SplitChoice } from "./plan.js";
import { axisMax, type PreparedGroup } from "./prepare.js";
import { writeRowsKernel } from "./rows-kernel.js";
import { iotaAxes, PlanDoesNotFit, type TileContext } from "./tile-writer.js";

/** Picks one of several candidates, the first being the best by the cost model. */
export interface PlanChooser {
  pick<T>(candidates: readonly T[]): T;
}

export const bestPlan: PlanChooser = { pick: (candidates) => candidates[0]! };

/** Points of a tile to start from: long enough to hide a transfer's latency, short enough to overlap. */
const tilePoints = [32_768, 8_192, 2_048, 256, 16, 1] as const;
const rowChunks = [8_192, 1_024, 128, 16] as const;
/** Below this many points sharing out costs more than it gains. */
const pointsPerMemberMin = 512;
const innermostSplitPenalty = 1.5;

export interface ChosenKernel<P> {
  readonly plan: P;
  readonly written: WrittenKernel;
}

export function planRows(
  prepared: PreparedGroup,
  machine: DeviceMachine,
  context: TileContext,
  chooser: PlanChooser,
): ChosenKernel<RowsPlan> | undefined {
  const split = chooser.pick(splitCandidates(parallelAxes(prepared), prepared, machine));
  return firstThatFits(candidatePlans(prepared, context, split), chooser, (plan) =>
    tryPlan(prepared, plan, machine, context),
  );
}

/** Writes the kernel of one picked candidate after the other until one fits. */
export function firstThatFits<P>(
  candidates: readonly P[],
  chooser: PlanChooser,
  write: (plan: P) => WrittenKernel | undefined,
): ChosenKernel<P> | undefined {
  const left = [...candidates];
  while (left.length > 0) {
    const plan = chooser.pick(left);
    const written = write(plan);
    if (written !== undefined) return { plan, written };
    left.splice(left.indexOf(plan), 1);
  }
  return undefined;
}

function candidatePlans(
  prepared: PreparedGroup,
  context: TileContext,
  split: readonly SplitChoice[],
): RowsPlan[] {
  const rows = prepared.order.some((axis) => prepared.axes[axis]!.role === "row");
  const whole = tilePoints.map((points): RowsPlan => {
    return { kind: "rows", split, tile: tileOf(prepared, split, points, context) };
  });
  if (!rows) return whole;
  const tile = tileOf(prepared, split, 1, context);
  const chunked = rowChunks.map((rowChunk): RowsPlan => ({ kind: "rows", split, tile, rowChunk }));
  return [...whole, ...chunked];
}

function tryPlan(
  prepared: PreparedGroup,
  plan: RowsPlan,
  machine: DeviceMachine,
  context: TileContext,
): WrittenKernel | undefined {
  try {
    const written = writeRowsKernel(prepared, plan, context);
    return fitsMachine(written, machine) ? written : undefined;
  } catch (error) {
    if (error instanceof PlanDoesNotFit) return undefined;
    throw error;
  }
}

/** L1 and accumulators hold all slots of all values; no transfer or vec has more axes than the machine. */
export function fitsMachine(written: WrittenKernel, machine: DeviceMachine): boolean {
  let l1 = 0;
  let accumulators = 0;
  for (const value of written.kernel.values) {
    const cell = value.dtype === "i32" ? 4 : 8;
    if (value.space === "accumulator") accumulators += value.elements * value.depth * cell;
    else l1 += align(byteLength(value.dtype, value.elements)) * value.depth;
  }
  if (l1 > machine.l1.bytes || accumulators > machine.accumulators.bytes) return false;
  return written.scalars.length <= tileLimits.scalars && transfersFit(written.kernel.body);
}

/** Slots begin on 64-byte boundaries. */
export function align(bytes: number): number {
  return Math.ceil(bytes / 64) * 64;
}

function transfersFit(nodes: readonly KernelNode[]): boolean {
  return nodes.every((node) => {
    if (node.kind === "loop") return transfersFit(node.body);
    const { body } = node;
    return (
      (body.op !== "load" && body.op !== "store") || body.axes.length <= tileLimits.transferAxes
    );
  });
}

function parallelAxes(prepared: PreparedGroup): number[] {
  return prepared.order.filter((axis) => prepared.axes[axis]!.role === "parallel");
}

/**
 * Ways to share axes out over the members, the least work of the busiest member first; among equals the one that
 * splits further out, where runs of memory stay long. `pointsPerResult`: how much work a point of the axes is.
 */
export function splitCandidates(
  axes: readonly number[],
  prepared: Pick<PreparedGroup, "axes" | "order">,
  machine: DeviceMachine,
  pointsPerResult = 1,
): SplitChoice[][] {
  const { rows, columns } = machine.tile;
  const points = prepared.order.reduce(
    (n, axis) => n * axisMax(prepared.axes[axis]!),
    pointsPerResult,
  );
  const max = (axis: number): number => axisMax(prepared.axes[axis]!);
  const choice = (axis: number, over: SplitChoice["over"], parts: number): SplitChoice => ({
    axis,
    over,
    step: roundStep(Math.ceil(max(axis) / parts), axis === prepared.order.at(-1)),
  });
  const candidates: SplitChoice[][] = [];
  if (points >= pointsPerMemberMin * 2) {
    for (const axis of axes) candidates.push([choice(axis, "members", rows * columns)]);
    for (const a of axes) {
      for (const b of axes) {
        if (a !== b) candidates.push([choice(a, "rows", rows), choice(b, "columns", columns)]);
      }
    }
  }
  // Sharing out the innermost axis cuts every run of memory short.
  const cut = (s: SplitChoice): number =>
    s.axis === prepared.order.at(-1) && prepared.order.length > 1 ? innermostSplitPenalty : 1;
  const share = (split: readonly SplitChoice[]): number =>
    split.reduce((part, s) => (part * s.step * cut(s)) / max(s.axis), 1);
  const sorted = candidates
    .map((split, i) => ({ split, share: share(split), i }))
    .sort((x, y) => x.share - y.share || x.i - y.i);
  return [...sorted.map((c) => c.split), []];
}

/** Shares of the innermost axis are whole vectors. */
function roundStep(step: number, innermost: boolean): number {
  return innermost && step > 16 ? Math.ceil(step / 16) * 16 : step;
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
  const counted = iotaAxes(prepared, context.producers);
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
