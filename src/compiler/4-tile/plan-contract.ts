/**
 * Chooses the plan of a contraction: how the members share out the result, the tile of the result, the tile of the
 * contraction, and which operand stays resident. A small analytical cost model ranks the candidates by the
 * busiest member's time, the larger of tensor time and memory time; the best that fits is taken.
 */
import type { WrittenKernel } from "../tiled.js";
import { type DeviceMachine, tensorTypeOf } from "../../target/machine.js";
import { byteLength } from "../../numerics/dtype.js";
import { contractSegment } from "../../ir/graph.js";
import { contractionShape, type PreparedContract, writeContractKernel } from "./contract-kernel.js";
import { usesAxis } from "./kernel-writer.js";
import type { ContractPlan, SplitChoice } from "./plan.js";
import {
  bestPlan,
  type ChosenKernel,
  firstThatFits,
  fitsMachine,
  type PlanChooser,
  splitCandidates,
} from "./plan-rows.js";
import { axisMax } from "./prepare.js";
import { PlanDoesNotFit, type TileContext } from "./tile-writer.js";

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
const contractionTiles = [2048, 1024, 512, 256, 128, 64] as const;
/** Ranked candidates that are written out before giving up. */
const splitsTried = 6;

export function planContract(
  prepared: PreparedContract,
  machine: DeviceMachine,
  context: TileContext,
  chooser: PlanChooser,
): ChosenKernel<ContractPlan> | undefined {
  const ranked = rankedPlans(
    prepared,
    machine,
    chooser === bestPlan ? splitsTried : Number.POSITIVE_INFINITY,
  );
  return firstThatFits(ranked, chooser, (plan) => tryPlan(prepared, plan, machine, context));
}

function tryPlan(
  prepared: PreparedContract,
  plan: ContractPlan,
  machine: DeviceMachine,
  context: TileContext,
): WrittenKernel | undefined {
  if (l1Estimate(prepared, plan) > machine.l1.bytes) return undefined;
  try {
    const written = writeContractKernel(prepared, plan, context);
    return fitsMachine(written, machine) ? written : undefined;
  } catch (error) {
    if (error instanceof PlanDoesNotFit) return undefined;
    throw error;
  }
}

function rankedPlans(
  prepared: PreparedContract,
  machine: DeviceMachine,
  splits: number,
): ContractPlan[] {
  const result = prepared.order.filter((axis) => prepared.role(axis) !== "k");
  const candidates: { plan: ContractPlan; cost: number; rank: number }[] = [];
  for (const split of splitCandidates(result, prepared, machine, contracted(prepared)).slice(
    0,
    splits,
  )) {
    for (const [rows, columns] of resultTiles) {
      for (const [panelA, panelB] of [
        [false, true],
        [true, false],
        [false, false],
      ] as const) {
        for (const kTile of kTiles(prepared, panelA && panelB)) {
          const plan = makePlan(prepared, split, { rows, columns, kTile, panelA, panelB });
          candidates.push({
            plan,
            cost: planCost(prepared, plan, machine),
            rank: candidates.length,
          });
        }
      }
    }
  }
  const distinct = new Map<string, { plan: ContractPlan; cost: number; rank: number }>();
  for (const c of candidates) {
    const key = JSON.stringify(c.plan);
    if (!distinct.has(key)) distinct.set(key, c);
  }
  return [...distinct.values()]
    .sort((x, y) => x.cost - y.cost || x.rank - y.rank)
    .map((c) => c.plan);
}

/** Tiles of the blocked axis: exactly a block where other axes vary inside one, else any divisor of a segment. */
function kTiles(prepared: PreparedContract, _whole: boolean): number[] {
  const extent = axisMax(prepared.axes[prepared.blocked]!);
  const { innerPositions } = contractionShape(prepared);
  if (innerPositions > 1) return [Math.min(extent, 64)];
  const tiles = contractionTiles.filter((t) => t < extent);
  return extent <= contractSegment ? [extent, ...tiles] : [...tiles];
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
  const byRole = (role: string): number[] =>
    prepared.order.filter((axis) => prepared.role(axis) === role);
  const order = target.panelA
    ? [...byRole("g"), ...byRole("m"), ...byRole("n")]
    : [...byRole("g"), ...byRole("n"), ...byRole("m")];
  return {
    kind: "contract",
    split,
    tile,
    panelA: target.panelA,
    panelB: target.panelB,
    depthA: 2,
    depthB: 2,
    depthAccumulator: 2,
    order,
  };
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

interface Shares {
  readonly tiles: number;
  readonly rows: number;
  readonly columns: number;
  readonly groups: number;
}

function planCost(prepared: PreparedContract, plan: ContractPlan, machine: DeviceMachine): number {
  const share = (axis: number): number =>
    plan.split.find((s) => s.axis === axis)?.step ?? axisMax(prepared.axes[axis]!);
  const product = (of: (axis: number) => number, roles: string): number =>
    prepared.order
      .filter((axis) => roles.includes(prepared.role(axis)))
      .reduce((n, axis) => n * of(axis), 1);
  const trips = (axis: number): number => Math.ceil(share(axis) / plan.tile[axis]!);
  const k = contracted(prepared);
  const shares: Shares = {
    tiles: product(trips, "gmn"),
    rows: product((axis) => plan.tile[axis]!, "m"),
    columns: product((axis) => plan.tile[axis]!, "n"),
    groups: product((axis) => plan.tile[axis]!, "g"),
  };
  const tensor = tensorCycles(shares, k, prepared, machine);
  const memory = memoryCycles(prepared, plan, machine, { share, trips, k });
  const overhead = shares.tiles * (machine.tensor.startCycles + machine.channels.issueCycles);
  return Math.max(tensor, memory) + overhead;
}

function tensorCycles(
  shares: Shares,
  k: number,
  prepared: PreparedContract,
  machine: DeviceMachine,
): number {
  const { tensor } = machine;
  const rate = tensor.rate[tensorTypeOf(prepared.a.access.storage.root.dtype)];
  const passes = Math.ceil(k / tensor.rows) * Math.ceil(shares.columns / tensor.columns);
  const pass = Math.max(shares.rows / rate, tensor.passCyclesMin);
  return shares.tiles * shares.groups * passes * pass;
}

interface Walked {
  share(axis: number): number;
  trips(axis: number): number;
  readonly k: number;
}

/** Bytes that the busiest member moves, each operand once per trip of the loops that it is loaded inside. */
function memoryCycles(
  prepared: PreparedContract,
  plan: ContractPlan,
  machine: DeviceMachine,
  walked: Walked,
): number {
  const bytesPerCycle = machine.hbm.bytesPerSecond / machine.clock.frequencyHz;
  const members = machine.tile.rows * machine.tile.columns;
  const perMember = bytesPerCycle / members;
  let cycles = 0;
  for (const [leaf, panel] of [
    [prepared.a, plan.panelA],
    [prepared.b, plan.panelB],
  ] as const) {
    const own = plan.order.filter((axis) => usesAxis(leaf.access, axis));
    const elements = own.reduce((n, axis) => n * walked.share(axis), 1) * walked.k;
    // Without a panel it is loaded again for every tile of the other operand's axes.
    const last = plan.order.findLastIndex((axis) => own.includes(axis) && walked.trips(axis) > 1);
    const again = plan.order
      .filter((axis, i) => !own.includes(axis) && (!panel || i < last))
      .reduce((n, axis) => n * walked.trips(axis), 1);
    const shared = plan.split.filter((s) => !usesAxis(leaf.access, s.axis));
    const reuse = shared.length > 0 && (panel || again === 1) ? Math.sqrt(members) : 1;
    const bits = byteLength(leaf.access.storage.root.dtype, 8) / 8;
    cycles += (elements * bits * again) / (perMember * reuse);
  }
  return cycles;
}

/** Lower bound of the operands' slots, to spare writing kernels that cannot fit. */
function l1Estimate(prepared: PreparedContract, plan: ContractPlan): number {
  let bytes = 0;
  for (const [leaf, panel] of [
    [prepared.a, plan.panelA],
    [prepared.b, plan.panelB],
  ] as const) {
    const elements = prepared.axes.reduce((n, axis, i) => {
      if (!usesAxis(leaf.access, i)) return n;
      const isWhole = axis.role === "k" && panel;
      return n * (isWhole ? axisMax(axis) : Math.min(plan.tile[i]!, axisMax(axis)));
    }, 1);
    // Windows overlap, so that a box is smaller than the product of its axes.
    const overlap =
      prepared.inner.length > 0 && leaf === prepared.a ? prepared.inner.length * 4 : 1;
    bytes += byteLength(leaf.access.storage.root.dtype, elements) / overlap;
  }
  return bytes;
}
