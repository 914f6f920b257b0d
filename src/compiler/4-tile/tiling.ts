/** A tiling under way: what is known of the values of a graph, or of a body in one, and the steps so far. */
import type { Graph, Node, Origin, Value } from "../../ir/graph.js";
import { isKnown } from "../../ir/build/loop-builder.js";
import type { DecisionRecord } from "../../isa/executable.js";
import { fail } from "../../support/diagnostic.js";
import type { DeviceMachine } from "../../target/machine.js";
import type { TiledStep } from "../tiled.js";
import type { Group } from "./groups.js";
import { type Plan, printPlan } from "./plan.js";
import { bestPlan, type ChosenKernel, type PlanChooser } from "./plan-choice.js";
import type { PreparedGroup } from "./prepare.js";
import type { StorageMap } from "./storage.js";
import type { TileContext } from "./tile-state.js";

export interface TileOptions {
  readonly machine: DeviceMachine;
  readonly chooser?: PlanChooser;
  /** False: every node a kernel of its own, no loop in a kernel (a test of the numbers). */
  readonly fuse?: boolean;
}

export interface Tiling {
  readonly graph: Graph;
  readonly options: TileOptions;
  readonly producers: ReadonlyMap<Value, Node>;
  readonly storages: StorageMap;
  readonly steps: TiledStep[];
  /** Values that are on the host. */
  readonly hostValues: Set<Value>;
  readonly names: Map<string, number>;
  readonly plans: TileContext["known"];
  /** Inputs of bodies that are values outside. */
  readonly sources: Map<Value, Value>;
  readonly records: DecisionRecord[];
  /** The tiling of the graph around a body. */
  readonly outer: Tiling | undefined;
}

/** Kernel names are the operators they hold, numbered where they repeat. */
export function kernelName(tiling: Tiling, root: Node, nodes: Iterable<Node> = [root]): string {
  const operators = [...nodes].flatMap((n) => n.origins.map((o) => o.operator));
  const distinct = [...new Set(operators)].slice(0, 4).join("_").toLowerCase();
  const base = distinct === "" ? root.op.kind : distinct.replace(/[^a-z0-9_]+/g, "_");
  const count = (tiling.names.get(base) ?? 0) + 1;
  tiling.names.set(base, count);
  return count === 1 ? base : `${base}.${count}`;
}

export function contextOf(
  tiling: Tiling,
  producers: TileContext["producers"],
  name: string,
): TileContext {
  const { machine, chooser = bestPlan } = tiling.options;
  return { name, machine, chooser, known: tiling.plans, producers };
}

export function pushPlanned(
  tiling: Tiling,
  { group, axes }: PreparedGroup,
  chosen: ChosenKernel<Plan> | undefined,
  origins: readonly Origin[],
): void {
  if (chosen === undefined) return doesNotFit(group, tiling.options.machine);
  const plan = printPlan(
    chosen.plan,
    axes.map((axis) => axis.name),
  );
  tiling.steps.push({ kind: "launch", written: chosen.written, plan, origins });
}

function doesNotFit(group: Group, machine: DeviceMachine): never {
  const [origin] = group.root.origins;
  return fail("L0401", `no tile plan fits machine "${machine.name}"`, {
    ...(origin === undefined ? {} : { place: { node: origin.node, operator: origin.operator } }),
    notes: [
      `each tile has ${machine.l1.bytes} bytes of L1 and ${machine.accumulators.bytes} of accumulators`,
    ],
    hint: "use a machine with a larger L1, or a smaller maximum for symbolic dimensions",
  });
}

export function isOnHost(tiling: Tiling, value: Value): boolean {
  const source = tiling.sources.get(value);
  if (source !== undefined) return isOnHost(tiling.outer!, source);
  return isKnown(value) || tiling.hostValues.has(value);
}
