/**
 * Tile plans: what is free in how a group becomes a kernel. Plain data, printable and overridable. No plan changes a
 * bit of the result; plan-rows.ts and plan-contract.ts propose them, plan-choice.ts chooses.
 */
export type Plan = RowsPlan | ContractPlan;

export interface SplitChoice {
  readonly axis: number;
  readonly over: "rows" | "columns" | "members";
  /** Elements per member. */
  readonly step: number;
}

/** The part of a plan that all kernels have. */
export interface TilePlan {
  readonly split: readonly SplitChoice[];
  /** Per axis. */
  readonly tile: readonly number[];
  /** Slots of a tile that is loaded in a loop: with 1 it is used up before the next is moved, 2 is double buffering. */
  readonly depthIn: number;
  /** Slots of the result, where it is computed in a loop. */
  readonly depthOut: number;
  /** What members read alike is read from memory once; else each reads it for itself, at its own pace. */
  readonly multicast: boolean;
  /**
   * Software pipelining: by how many trips of the innermost loop over the result each step of a tile is late, so that
   * what waits for the step before does not hold up its engine.
   */
  readonly stages: readonly number[];
}

/** Steps: what can be computed before one more reduction is known. */
export interface RowsPlan extends TilePlan {
  readonly kind: "rows";
  /** Length of a chunk of the outermost row axis; absent: rows are resident. */
  readonly rowChunk?: number;
}

/** Steps: the contraction, its epilogue. */
export interface ContractPlan extends TilePlan {
  readonly kind: "contract";
  /** Load all of k of an operand at once, outside the loops that it does not vary along. */
  readonly panelA: boolean;
  readonly panelB: boolean;
  readonly depthA: number;
  readonly depthB: number;
  readonly depthAccumulator: number;
  /** Temporal loops of the result's axes, outermost first. */
  readonly order: readonly number[];
}

export function printPlan(plan: Plan, axisNames: readonly string[]): string {
  const name = (axis: number): string => axisNames[axis] ?? String(axis);
  const split = plan.split.map((s) => `${name(s.axis)}/${s.over}:${s.step}`).join(" ");
  const tile = plan.tile.flatMap((t, i) => (t > 1 ? [`${name(i)}:${t}`] : [])).join(" ");
  const { depthIn, depthOut, stages } = plan;
  const multicast = plan.multicast ? "" : " without multicast";
  const own = plan.kind === "contract" ? contractText(plan, name) : rowsText(plan);
  return `${plan.kind} split [${split}] tile [${tile}]${own} in:${depthIn} out:${depthOut} stages ${stages.join(",")}${multicast}`;
}

function rowsText({ rowChunk }: RowsPlan): string {
  return `${rowChunk === undefined ? "" : ` chunk ${rowChunk}`} depth`;
}

function contractText(plan: ContractPlan, name: (axis: number) => string): string {
  const panels = `${plan.panelA ? "a" : ""}${plan.panelB ? "b" : ""}`;
  const order = plan.order.map(name).join(",");
  const depths = `a:${plan.depthA} b:${plan.depthB} acc:${plan.depthAccumulator}`;
  return ` order ${order} panel ${panels === "" ? "-" : panels} depth ${depths}`;
}
