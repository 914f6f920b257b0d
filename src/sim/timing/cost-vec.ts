/** What a vec costs: see {@link vecCost}. */
import type { VecBody } from "../../ir/tile.js";
import type { Condition, Program, SlotDest, SlotSource } from "../../isa/program.js";
import { byteLength } from "../../numerics/dtype.js";
import { type LaneOpName, laneOps } from "../../numerics/lane.js";
import type { DeviceMachine } from "../../target/machine.js";
import { type Cost, product } from "./cost.js";
import { emptyRow, type Tally, tallyRow } from "./tally.js";

type Vec = VecBody<SlotSource, SlotDest, Condition>;

/**
 * Lane operations one after the other, each on all lanes at once, for as many vectors of positions as there are; at
 * the end of a reduction its partial results are folded, halves onto halves. The port carries in what inputs read
 * (an input that stands still on the innermost axes is read once) and out what outputs write.
 */
export function vecCost(
  body: Vec,
  extents: readonly number[],
  { queues }: Program,
  { vector, l1, accumulators }: DeviceMachine,
): Cost {
  const shape = shapeOf(body, extents, vector.lanes);
  const work = laneWork(body, vector);
  const traffic = vecTraffic(body, extents, queues, shape);
  const compute = shape.vectors * work.cycles + shape.folds * vector.simpleCycles;
  const cycles = Math.max(
    compute,
    Math.ceil(traffic.l1ReadBytes / l1.portBytesPerCycle),
    Math.ceil(traffic.l1WriteBytes / l1.portBytesPerCycle),
    Math.ceil(traffic.accumulatorReadBytes / accumulators.portBytesPerCycle),
    vector.issueCycles,
  );
  return {
    cycles,
    memoryBytes: 0,
    slotBytes: 0,
    shared: emptyRow,
    own: tallyRow({
      instructions: 1,
      laneOperations: shape.positions * work.simple,
      transcendentals: shape.positions * work.transcendental,
      ...traffic,
    }),
  };
}

interface Shape {
  readonly positions: number;
  readonly parallel: number;
  /** Times that all lanes run the lane program. */
  readonly vectors: number;
  /** Vectors that are combined at the end of the reductions. */
  readonly folds: number;
}

/** Partial results of a floating sum or product. */
const partials = 16;

/**
 * How the positions fill the lanes: parallel positions first; lanes that are left over take as many positions of
 * the reduce axes side by side as the order of the result allows.
 */
function shapeOf(body: Vec, extents: readonly number[], lanes: number): Shape {
  const positions = product(extents);
  if (positions === 0) return { positions, parallel: 0, vectors: 0, folds: 0 };
  const parallel = product(extents.filter((_, i) => body.axes[i]!.kind === "parallel"));
  const reduced = positions / parallel;
  const kinds = body.outputs.map((_, i) => reductionKind(body, i));
  const limits = { none: reduced, any: reduced, partial: partials, sequential: 1 };
  const isScan = body.axes.some((axis) => axis.kind === "scan");
  const limit = Math.min(isScan ? 1 : reduced, ...kinds.map((kind) => limits[kind]));
  const width = Math.max(1, Math.min(limit, Math.floor(lanes / parallel)));
  let folds = 0;
  body.outputs.forEach(({ reduce }, i) => {
    if (reduce === undefined || reduce.partialStride !== undefined) return;
    const kind = kinds[i]!;
    let left = kind === "partial" ? Math.min(partials, reduced) : kind === "any" ? width : 1;
    while (left > 1) {
      folds += Math.ceil((parallel * Math.floor(left / 2)) / lanes);
      left = Math.ceil(left / 2);
    }
  });
  const vectors = Math.ceil((parallel * width) / lanes) * Math.ceil(reduced / width);
  return { positions, parallel, vectors, folds };
}

/** any: elements may be combined in any order; partial: into 16 sums; sequential: one after the other. */
function reductionKind(
  { outputs, program }: Vec,
  output: number,
): "none" | "any" | "partial" | "sequential" {
  const { reduce } = outputs[output]!;
  if (reduce === undefined) return "none";
  if (program.instructions[program.results[output]!]!.type === "i32") return "any";
  if (reduce.reduction === "seqsum") return "sequential";
  return reduce.reduction === "sum" || reduce.reduction === "prod" ? "partial" : "any";
}

type LaneClass = "free" | "simple" | "transcendental" | "lookup";

function laneClass(op: LaneOpName): LaneClass {
  switch (op) {
    case "input":
    case "constF":
    case "constI":
    case "index":
    case "scalar":
    case "carry":
      return "free";
    case "lookup":
      return "lookup";
    case "div":
    case "divI":
    case "remI":
    case "sqrt":
      return "transcendental";
    default:
      return "function" in laneOps[op] ? "transcendental" : "simple";
  }
}

interface LaneWork {
  /** Per vector of positions. */
  readonly cycles: number;
  /** Per position. */
  readonly simple: number;
  readonly transcendental: number;
}

/** A reduced output takes an operation per position; moving a value without any takes one. */
function laneWork({ program, outputs }: Vec, vector: DeviceMachine["vector"]): LaneWork {
  const count = { free: 0, simple: 0, transcendental: 0, lookup: 0 };
  for (const { op } of program.instructions) count[laneClass(op)]++;
  const reductions = outputs.filter(({ reduce }) => reduce !== undefined).length;
  const isMove = count.simple + count.transcendental + count.lookup + reductions === 0;
  const simple = count.simple + reductions + (isMove ? 1 : 0);
  const cycles =
    simple * vector.simpleCycles +
    count.transcendental * vector.transcendentalCycles +
    count.lookup * vector.lookupCycles;
  return { cycles, simple: simple + count.lookup, transcendental: count.transcendental };
}

type VecTraffic = Pick<Tally, "l1ReadBytes" | "l1WriteBytes" | "accumulatorReadBytes">;

function vecTraffic(
  body: Vec,
  extents: readonly number[],
  queues: Program["queues"],
  { positions, parallel }: Shape,
): VecTraffic {
  const traffic = { l1ReadBytes: 0, l1WriteBytes: 0, accumulatorReadBytes: 0 };
  if (positions === 0) return traffic;
  body.inputs.forEach(({ source, strides }, i) => {
    const { dtype, space } = queues[source.queue]!;
    const reads = body.program.instructions.filter(({ imm }) => imm === i).map(({ op }) => op);
    const moving = strides.findLastIndex((stride, axis) => stride !== 0 && extents[axis]! > 1);
    const once = reads.includes("input") ? product(extents.slice(0, moving + 1)) : 0;
    const elements = once + reads.filter((op) => op === "lookup").length * positions;
    if (space === "accumulator") traffic.accumulatorReadBytes += elements * 4;
    else traffic.l1ReadBytes += byteLength(dtype, elements);
  });
  for (const { dest, reduce } of body.outputs) {
    const cells = reduce?.partialStride === undefined ? 1 : partials;
    const elements = reduce === undefined ? positions : parallel * cells;
    const bytes = byteLength(queues[dest.queue]!.dtype, elements);
    traffic.l1WriteBytes += bytes;
    if (reduce !== undefined && reduce.init.kind !== "always") traffic.l1ReadBytes += bytes;
  }
  for (const { state } of body.carries) {
    if (state === undefined) continue;
    const bytes = byteLength(queues[state.dest.queue]!.dtype, parallel);
    traffic.l1WriteBytes += bytes;
    if (state.init.kind !== "always") traffic.l1ReadBytes += bytes;
  }
  return traffic;
}
