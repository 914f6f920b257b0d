/** The state of a kernel over tiles that is being written: one for each group. What it becomes is for its writers to say. */
import type { Node, Value } from "../../ir/graph.js";
import type { DeviceMachine } from "../../target/machine.js";
import { KernelWriter, type Position, type Tile } from "./kernel-writer.js";
import { nodeLevels, orderedNodes } from "./levels.js";
import type { RowsPlan, SplitChoice, TilePlan } from "./plan.js";
import type { PlanChooser } from "./plan-choice.js";
import { iotaAxes, type Leaf, type PreparedGroup } from "./prepare.js";
import { variesAlongRow } from "./space.js";

export interface TileContext {
  readonly name: string;
  readonly machine: DeviceMachine;
  readonly chooser: PlanChooser;
  /** Plans chosen so far, by the kernels that they were chosen for. */
  readonly known: Map<string, TilePlan>;
  readonly producers: ReadonlyMap<Value, Node>;
}

export interface TileState {
  readonly prepared: PreparedGroup;
  readonly plan: TilePlan & Pick<RowsPlan, "rowChunk">;
  readonly context: TileContext;
  readonly writer: KernelWriter;
  readonly positions: Position[];
  readonly tiles: Map<Leaf, Tile>;
  readonly computed: Map<Value, Tile>;
  readonly levels: ReadonlyMap<Node, number>;
  readonly lastLevel: number;
  readonly nodes: readonly Node[];
  readonly iotaAxes: ReadonlySet<number>;
  readonly role: number;
  /** Axes whose temporal loop is still to be opened. */
  loopsAhead: readonly number[];
  insideTime: boolean;
  /** Inside a loop over chunks of a row: what a statement reads of the row is loaded just before it. */
  loadsChunks: boolean;
  spatial: { axis: number; loop: number }[];
  /** The loop around the whole group whose index its lanes read. */
  trip: number | undefined;
  /** The tile that the result is written to, where there is one before it is computed. */
  resultTile: number | undefined;
  /** Tiles that the result is written to as well. */
  readonly copies: number[];
}

export function startState(
  prepared: PreparedGroup,
  plan: TileState["plan"],
  context: TileContext,
  writer = new KernelWriter(context.name, gridOf(plan.split, context.machine.tile)),
): TileState {
  const nodes = orderedNodes(prepared, context.producers);
  const levels = nodeLevels(prepared, nodes, context.producers);
  const origins = nodes.flatMap((node) => node.origins);
  return {
    prepared,
    plan,
    context,
    writer,
    positions: prepared.axes.map((axis) => writer.whole(axis.extent)),
    tiles: new Map(),
    computed: new Map(),
    levels,
    lastLevel: levels.get(prepared.group.root)!,
    nodes,
    iotaAxes: iotaAxes(prepared.space, context.producers),
    role: writer.role("compute", [...new Set(origins)]),
    loopsAhead: prepared.order.filter((axis) => prepared.axes[axis]!.role !== "row"),
    insideTime: false,
    loadsChunks: false,
    spatial: [],
    trip: undefined,
    resultTile: undefined,
    copies: [],
  };
}

/** Rows and columns that take part: those that something is shared out over. */
function gridOf(
  split: readonly SplitChoice[],
  { rows, columns }: DeviceMachine["tile"],
): DeviceMachine["tile"] {
  const overAll = split.some((s) => s.over === "members");
  return {
    rows: overAll || split.some((s) => s.over === "rows") ? rows : 1,
    columns: overAll || split.some((s) => s.over === "columns") ? columns : 1,
  };
}

/** Row axes that vary, in their natural order: that in which a reduction takes its elements. */
export function rowAxes(state: TileState): number[] {
  const rows = state.prepared.order.filter((axis) => state.prepared.axes[axis]!.role === "row");
  return rows.sort((a, b) => a - b);
}

export function rowAxesOf(state: TileState): number[] {
  return [...state.prepared.axes.keys()].filter(
    (axis) => state.prepared.axes[axis]!.role === "row",
  );
}

/** Whether a value varies along the row axes. */
export function fullValue(state: TileState, value: Value): boolean {
  return variesAlongRow(state.prepared.space, value);
}

/** The layout of a tile over some of the axes, dense in the group's order, of so many elements per point. */
export function denseTile(
  { prepared, positions }: TileState,
  varies: (axis: number) => boolean,
  scale = 1,
): { strides: number[]; elements: number } {
  const strides = positions.map(() => 0);
  let elements = scale;
  for (const axis of prepared.order.filter(varies).reverse()) {
    strides[axis] = elements;
    elements *= Math.max(1, positions[axis]!.max);
  }
  return { strides, elements };
}
