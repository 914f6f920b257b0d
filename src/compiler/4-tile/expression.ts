/**
 * Turns the maps of a group into lane programs: the function of every map that is not already in a tile is
 * written out in place, rounded where its own result would have been. So fusing changes no bit.
 */
import { decodeElement } from "../../numerics/convert.js";
import type { DType } from "../../numerics/dtype.js";
import { isFloat } from "../../numerics/dtype.js";
import type { LaneProgram } from "../../numerics/lane.js";
import { type Lane, laneProgramBuilder, type LaneProgramBuilder } from "../../numerics/lanes.js";
import type { Affine } from "../../ir/tile.js";
import type { Dim } from "../../ir/dim.js";
import type { IotaOperation, Node, Value } from "../../ir/graph.js";
import { InternalError } from "../../support/diagnostic.js";
import type { Tile } from "./kernel-writer.js";
import { laneNumber, type Operand, type Space } from "./space.js";

export interface ExpressionSources {
  readonly space: Space;
  readonly producers: ReadonlyMap<Value, Node>;
  /** Tiles of values that an earlier statement of the kernel computed. */
  readonly computed: ReadonlyMap<Value, Tile>;
  /** Tile that an operand from memory was loaded to. */
  loaded(operand: Operand): Tile;
  /** Number of the vec axis that iterates over a space axis. */
  vecAxis(spaceAxis: number): number;
  /** Number of the vec axis of one position that is at the index of a loop around the vec. */
  indexAxis(loop: number): number;
  affine(dim: Dim): Affine;
}

export interface VecExpression {
  readonly program: LaneProgram;
  readonly inputs: readonly Tile[];
}

/** A lane program whose results are the targets: values, or `input` operands of a reduction. */
export function buildExpression(
  targets: readonly Target[],
  sources: ExpressionSources,
): VecExpression {
  const state: State = { sources, builder: laneProgramBuilder(), inputs: [], known: new Map() };
  const results = targets.map((target) =>
    target.kind === "value" ? valueLane(state, target.value) : operandLane(state, target.operand),
  );
  return { program: state.builder.finish(results), inputs: state.inputs };
}

export type Target =
  | { readonly kind: "value"; readonly value: Value }
  | { readonly kind: "operand"; readonly operand: Operand };

interface State {
  readonly sources: ExpressionSources;
  readonly builder: LaneProgramBuilder;
  readonly inputs: Tile[];
  readonly known: Map<Value, Lane>;
}

/** A value of the group at the point: from its tile, or by its map. */
function valueLane(state: State, value: Value): Lane {
  const known = state.known.get(value);
  if (known !== undefined) return known;
  const tile = state.sources.computed.get(value);
  const lane = tile === undefined ? mapLane(state, value) : tileLane(state, tile, value.dtype);
  state.known.set(value, lane);
  return lane;
}

function operandLane(state: State, operand: Operand): Lane {
  const { value } = operand;
  if (operand.inside)
    return roundedLane(state, valueLane(state, value), value, state.sources.computed.has(value));
  const { producers } = state.sources;
  switch (laneNumber(operand, producers)) {
    case "constant":
      return constantLane(state, value);
    case "dim":
      return dimLane(state, state.sources.affine(value.dims![0]!)) ?? state.builder.l.constI(0);
    case "iota":
      return iotaLane(state, operand, (producers.get(value)!.op as IotaOperation).axis);
    case undefined:
      return tileLane(state, state.sources.loaded(operand), value.dtype);
  }
}

function mapLane(state: State, value: Value): Lane {
  const node = state.sources.producers.get(value);
  if (node?.op.kind !== "map") throw new InternalError(`${value.name} has no tile and is no map`);
  const operands = state.sources.space.operands.get(node)!;
  const { program } = node.op;
  const lanes: Lane[] = [];
  for (const instruction of program.instructions) {
    const args = instruction.args.map((arg) => lanes[arg]!);
    lanes.push(
      instruction.op === "input"
        ? operandLane(state, operands[instruction.imm!]!)
        : emitInstruction(state.builder, instruction.op, args, instruction.imm),
    );
  }
  return lanes[program.results[0]!]!;
}

function emitInstruction(
  { l }: LaneProgramBuilder,
  op: LaneProgram["instructions"][number]["op"],
  args: readonly Lane[],
  imm: number | undefined,
): Lane {
  if (op === "constF" || op === "constI") return l[op](imm!);
  if (op === "input" || op === "index" || op === "scalar" || op === "carry" || op === "lookup") {
    throw new InternalError(`lane operation ${op} in a map`);
  }
  return l[op](...args);
}

/** The lane as it reads back from a tensor of the value's type. A tile has been rounded by being written. */
function roundedLane(state: State, lane: Lane, value: Value, fromTile: boolean): Lane {
  const { l } = state.builder;
  if (fromTile) return lane;
  const shifted = (bits: number): Lane =>
    l.shrS(l.shl(lane, l.constI(32 - bits)), l.constI(32 - bits));
  switch (value.dtype) {
    case "f32":
    case "i32":
      return lane;
    case "f16":
      return l.roundF16(lane);
    case "bf16":
      return l.roundBF16(lane);
    case "f8e4m3fn":
      return l.roundE4M3(lane);
    case "f8e5m2":
      return l.roundE5M2(lane);
    case "bool":
      return l.xor(l.eqI(lane, l.constI(0)), l.constI(-1));
    case "i16":
      return shifted(16);
    case "u16":
      return l.and(lane, l.constI(0xffff));
    case "i8":
      return shifted(8);
    case "u8":
      return l.and(lane, l.constI(255));
    case "i4":
      return shifted(4);
    case "u4":
      return l.and(lane, l.constI(15));
    default:
      throw new InternalError(`${value.name}: ${value.dtype} inside a kernel`);
  }
}

function constantLane(state: State, value: Value): Lane {
  const { l } = state.builder;
  const number = Number(value.data!.data[0]);
  if (value.dtype === "bool") return l.constI(number === 0 ? 0 : -1);
  if (!isFloat(value.dtype)) return l.constI(number);
  return l.constF(decodeElement(value.dtype, value.data!.data, 0));
}

function iotaLane(state: State, operand: Operand, axis: number): Lane {
  const { builder, sources } = state;
  const { l } = builder;
  const expression = operand.map.expressions[axis]!;
  let sum = dimLane(state, sources.affine(expression.origin));
  for (const term of expression.terms) {
    const index = builder.source("index", sources.vecAxis(term.axis), "i32");
    const scaled = term.coefficient === 1 ? index : l.mulI(index, l.constI(term.coefficient));
    sum = sum === undefined ? scaled : l.addI(sum, scaled);
  }
  return sum ?? l.constI(0);
}

function dimLane({ builder, sources }: State, { constant, terms }: Affine): Lane | undefined {
  const { l } = builder;
  let sum = constant === 0 ? undefined : l.constI(constant);
  for (const { coefficient, of, id } of terms) {
    const number =
      of === "scalar"
        ? builder.source("scalar", id, "i32")
        : builder.source("index", sources.indexAxis(id), "i32");
    const scaled = coefficient === 1 ? number : l.mulI(number, l.constI(coefficient));
    sum = sum === undefined ? scaled : l.addI(sum, scaled);
  }
  return sum;
}

function tileLane(state: State, tile: Tile, dtype: DType): Lane {
  let index = state.inputs.findIndex(
    (t) =>
      t.value === tile.value &&
      JSON.stringify(t.base) === JSON.stringify(tile.base) &&
      t.strides.every((s, i) => s === tile.strides[i]),
  );
  if (index < 0) {
    index = state.inputs.length;
    state.inputs.push(tile);
  }
  return state.builder.source("input", index, isFloat(dtype) ? "f32" : "i32");
}
