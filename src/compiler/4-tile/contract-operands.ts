/** A contraction being written, and the loads of its operands: panels before the loops that move them no more, tiles inside. */
import type { Affine } from "../../ir/tile.js";
import { usesAxis } from "./access.js";
import type { Box } from "./box.js";
import type { ContractPlan } from "./plan.js";
import { type Leaf, memoryOrder } from "./prepare.js";
import type { PreparedContract } from "./prepare-contract.js";
import { emitLoad } from "./tile-loads.js";
import type { TileState } from "./tile-state.js";

export interface Contraction {
  readonly state: TileState;
  readonly prepared: PreparedContract;
  readonly plan: ContractPlan;
  /** Tiles of the operands, with the contraction positions that they hold. */
  readonly operands: Map<Leaf, LoadedOperand>;
  /** Open contraction loops, outermost first. */
  readonly loops: number[];
}

export interface LoadedOperand {
  readonly value: number;
  readonly box: Box;
  /** Where the tile begins along every axis. */
  readonly start: readonly Affine[];
}

export function startContraction(
  state: TileState,
  prepared: PreparedContract,
  plan: ContractPlan,
): Contraction {
  return { state, prepared, plan, operands: new Map(), loops: [] };
}

interface Factor {
  readonly leaf: Leaf;
  /** All of it along the contraction, loaded outside of the contraction's loops. */
  readonly isPanel: boolean;
  readonly depth: number;
}

/** What a contraction reads, in the order of its loads. */
export function factorsOf({ prepared, plan }: Pick<Contraction, "prepared" | "plan">): Factor[] {
  const { a, b, zeroA, zeroB } = prepared;
  const zeros = [zeroA, zeroB].filter((leaf) => leaf !== undefined);
  return [
    { leaf: b, isPanel: plan.panelB, depth: plan.depthB },
    { leaf: a, isPanel: plan.panelA, depth: plan.depthA },
    ...zeros.map((leaf) => ({ leaf, isPanel: true, depth: 1 })),
  ];
}

/** Loads a panel (all of k) before the first loop that moves it no more. */
export function loadReadyOperands(contraction: Contraction, next: number | undefined): void {
  const { plan, state } = contraction;
  const ahead = plan.order.slice(next === undefined ? plan.order.length : plan.order.indexOf(next));
  const moving = ahead.filter((axis) => plan.tile[axis]! < state.positions[axis]!.max);
  // What is loaded before a loop without trips would stay in its queue.
  if (moving.some((axis) => state.positions[axis]!.min < 1)) return;
  for (const { leaf, isPanel, depth } of factorsOf(contraction)) {
    if (!isPanel || contraction.operands.has(leaf)) continue;
    if (moving.some((axis) => usesAxis(leaf.access, axis))) continue;
    loadOperand(contraction, leaf, state.insideTime ? depth : 1);
  }
}

export function loadOperand(contraction: Contraction, leaf: Leaf, depth: number): void {
  const { state, prepared, operands } = contraction;
  const loaded = emitLoad(state, leaf, {
    order: memoryOrder([...prepared.axes.keys()], [leaf.access]),
    depth,
    isShared: !state.insideTime || timeLoopsUniform(state),
    channel: leaf === prepared.b ? 1 % state.context.machine.channels.load : 0,
  });
  operands.set(leaf, { ...loaded, start: state.positions.map(({ index }) => index) });
}

/** All members make the same trips through the open loops over the result. */
function timeLoopsUniform(state: TileState): boolean {
  return state.spatial.every(({ axis, loop }) =>
    state.positions[axis]!.index.terms.every((t) => t.id === loop),
  );
}
