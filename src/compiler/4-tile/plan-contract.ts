/**
 * Plans of a contraction: how the members share out the result, the tile of the result, the tile of the contraction,
 * which operand stays resident, and how much is under way at once.
 */
import { writeContractKernel } from "./contract-kernel.js";
import { latencyCycles } from "./kernel-cost.js";
import type { ContractPlan, SplitChoice } from "./plan.js";
import {
  type ChosenKernel,
  choosePlan,
  hasTimeLoop,
  splitCandidates,
  stageVariants,
} from "./plan-choice.js";
import { axisMax } from "./prepare.js";
import { contractionShape, type PreparedContract } from "./prepare-contract.js";
import type { TileContext } from "./tile-state.js";

/** Result tiles to try: rows (m) by columns (n). */
const resultTiles = [
  [1024, 256],
  [512, 256],
  [512, 128],
  [256, 128],
  [128, 128],
  [128, 64],
  [64, 64],
  [32, 32],
  [16, 16],
  [4, 8],
  [1, 1],
] as const;
/** Tiles to compare ways of sharing out with; smaller ones where that does not fit. */
const firstTiles = [
  [256, 128],
  [64, 64],
  [16, 16],
  [1, 1],
] as const;
const contractionTiles = [256, 128, 512, 64, 1024, 2048] as const;
const streamed = { panelA: false, panelB: false } as const;
const panels = [
  { panelA: false, panelB: true },
  { panelA: true, panelB: false },
  streamed,
] as const;

export function planContract(
  prepared: PreparedContract,
  context: TileContext,
): ChosenKernel<ContractPlan> | undefined {
  const result = prepared.order.filter((axis) => prepared.role(axis) !== "k");
  const splits = splitCandidates(result, prepared, context.machine, contracted(prepared));
  const kTiles = kTilesOf(prepared);
  const first = function* (): Generator<ContractPlan> {
    for (const [rows, columns] of firstTiles) {
      for (const panel of panels) {
        for (const split of splits) {
          yield makePlan(prepared, split, { rows, columns, kTile: kTiles[0]!, ...panel });
        }
      }
    }
  };
  return choosePlan<ContractPlan>(
    {
      candidates: first,
      refinements: [
        (plan) => {
          const { split, tile, panelA, panelB } = plan;
          const kTile = tile[prepared.blocked]!;
          return resultTiles.map(([rows, columns]) =>
            makePlan(prepared, split, { rows, columns, kTile, panelA, panelB }),
          );
        },
        (plan) => [
          ...kTiles.slice(1).map((kTile) => resident(prepared, plan, { kTile, ...streamed })),
          ...panels.map((panel) => resident(prepared, plan, { kTile: kTiles[0]!, ...panel })),
        ],
        (plan) => kTiles.map((kTile) => resident(prepared, plan, { ...plan, kTile })),
        (plan) => [{ ...plan, multicast: false }],
        (plan, { kernel }) => (hasTimeLoop(kernel) ? operandDepths(plan) : []),
        (plan, { kernel }) => (hasTimeLoop(kernel) ? resultDepths(plan) : []),
      ],
      least: latencyCycles(["tensor", "vector"], context.machine),
      write: (plan) => writeContractKernel(prepared, plan, context),
    },
    prepared,
    context,
  );
}

/** Tiles of the blocked axis: exactly a block where other axes vary inside one, else divisors and multiples of a segment. */
function kTilesOf(prepared: PreparedContract): number[] {
  const extent = axisMax(prepared.axes[prepared.blocked]!);
  const { innerPositions } = contractionShape(prepared);
  if (innerPositions > 1) return [Math.min(extent, 64)];
  const tiles = contractionTiles.filter((t) => t < extent);
  return extent <= Math.max(...contractionTiles) ? [extent, ...tiles] : [...tiles];
}

interface TileTarget {
  readonly rows: number;
  readonly columns: number;
  readonly kTile: number;
  readonly panelA: boolean;
  readonly panelB: boolean;
}

function makePlan(
  prepared: PreparedContract,
  split: readonly SplitChoice[],
  target: TileTarget,
): ContractPlan {
  const share = (axis: number): number =>
    split.find((s) => s.axis === axis)?.step ?? axisMax(prepared.axes[axis]!);
  const tile = prepared.axes.map((axis) => (axis.role === "k" ? axisMax(axis) : 1));
  tile[prepared.blocked] = target.kTile;
  const fill = (role: "m" | "n" | "g", most: number, axesMost: number): void => {
    let left = most;
    let room = axesMost;
    for (const axis of prepared.order.toReversed()) {
      if (prepared.role(axis) !== role || share(axis) <= 1 || room === 0) continue;
      tile[axis] = balancedTile(share(axis), left);
      left = Math.floor(left / tile[axis]!);
      room--;
      if (left <= 1) break;
    }
  };
  fill("m", target.rows, 2);
  fill("n", target.columns, 2);
  fill("g", target.rows >= 64 ? 16 : 1, 1);
  return {
    kind: "contract",
    split,
    tile,
    panelA: target.panelA,
    panelB: target.panelB,
    depthA: 2,
    depthB: 2,
    depthAccumulator: 2,
    depthIn: 2,
    depthOut: 2,
    multicast: true,
    stages: [0, 0],
    order: loopOrder(prepared, target.panelA),
  };
}

function resident(
  prepared: PreparedContract,
  plan: ContractPlan,
  { kTile, panelA, panelB }: Pick<TileTarget, "kTile" | "panelA" | "panelB">,
): ContractPlan {
  const tile = plan.tile.with(prepared.blocked, kTile);
  return { ...plan, tile, panelA, panelB, order: loopOrder(prepared, panelA) };
}

/** What stays resident is loaded in the outer loops. */
function loopOrder(prepared: PreparedContract, panelA: boolean): number[] {
  const roles = panelA ? ["g", "m", "n"] : ["g", "n", "m"];
  return roles.flatMap((role) => prepared.order.filter((axis) => prepared.role(axis) === role));
}

function operandDepths(plan: ContractPlan): ContractPlan[] {
  return [3, 4, 1].flatMap((depth) => [
    { ...plan, depthA: depth, depthB: depth },
    { ...plan, depthA: depth },
    { ...plan, depthB: depth },
  ]);
}

function resultDepths(plan: ContractPlan): ContractPlan[] {
  return [2, 3, 1].flatMap((depth) =>
    stageVariants(plan.stages.length).flatMap((stages) => [
      { ...plan, stages, depthAccumulator: depth, depthIn: depth, depthOut: depth },
      { ...plan, stages, depthAccumulator: depth },
    ]),
  );
}

/** The share in equal tiles of at most `most`, rather than full ones and a remnant. */
function balancedTile(share: number, most: number): number {
  const limit = Math.max(1, most);
  const tiles = Math.ceil(share / limit);
  const even = Math.ceil(share / tiles);
  const rounded = Math.ceil(even / 8) * 8;
  return Math.min(share, rounded <= limit ? rounded : even);
}

/** Positions that one element of the result sums over. */
function contracted(prepared: PreparedContract): number {
  return prepared.axes
    .filter((axis) => axis.role === "k")
    .reduce((n, axis) => n * axisMax(axis), 1);
}
