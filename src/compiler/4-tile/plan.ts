/**
 * Tile plans: what is free in how a group becomes a kernel. Plain data, printable and overridable. No plan changes a
 * bit of the result; plan-rows.ts and plan-contract.ts propose and choose them.
 */
export type Plan = RowsPlan | ContractPlan | MovePlan;

export interface SplitChoice {
  readonly axis: number;
  readonly over: "rows" | "columns" | "members";
  /** Elements per member. */
  readonly step: number;
}

export interface RowsPlan {
  readonly kind: "rows";
  readonly split: readonly SplitChoice[];
  /** Per axis. */
  readonly tile: readonly number[];
  /** Length of a chunk of the outermost row axis; absent: rows are resident. */
  readonly rowChunk?: number;
}

export interface ContractPlan {
  readonly kind: "contract";
  readonly split: readonly SplitChoice[];
  readonly tile: readonly number[];
  /** Load all of k of an operand at once, outside the loops that it does not vary along. */
  readonly panelA: boolean;
  readonly panelB: boolean;
  readonly depthA: number;
  readonly depthB: number;
  readonly depthAccumulator: number;
  /** Temporal loops of the result's axes, outermost first. */
  readonly order: readonly number[];
}

/** Gather, scatter and scan. */
export interface MovePlan {
  readonly kind: "move";
  readonly split: readonly SplitChoice[];
  readonly tile: readonly number[];
}

export function printPlan(plan: Plan, axisNames: readonly string[]): string {
  const name = (axis: number): string => axisNames[axis] ?? String(axis);
  const split = plan.split.map((s) => `${name(s.axis)}/${s.over}:${s.step}`).join(" ");
  const tile = plan.tile
    .map((t, i) => (t > 1 ? `${name(i)}:${t}` : ""))
    .filter((t) => t !== "")
    .join(" ");
  const rest =
    plan.kind === "contract"
      ? ` order ${plan.order.map(name).join(",")} panel ${plan.panelA ? "a" : ""}${plan.panelB ? "b" : "-"} depth ${plan.depthA},${plan.depthB},${plan.depthAccumulator}`
      : plan.kind === "rows" && plan.rowChunk !== undefined
        ? ` chunk ${plan.rowChunk}`
        : "";
  return `${plan.kind} split [${split}] tile [${tile}]${rest}`;
}
