/**
 * What one instruction costs: cycles that it keeps its engine busy, bytes that it asks of memory, and what it counts
 * towards work and energy. One formula per body, in cost-transfer.ts, cost-mma.ts and cost-vec.ts; every figure in
 * them is a field of the machine. Costs follow from counts and clips alone, never from data or addresses.
 */
import type { TransferAxis } from "../../ir/tile.js";
import { evaluateAffine, evaluateCount, type Environment } from "../../ir/semantics/semantics.js";
import type { Instruction, Program } from "../../isa/program.js";
import type { DeviceMachine } from "../../target/machine.js";
import { mmaCost } from "./cost-mma.js";
import { transferCost } from "./cost-transfer.js";
import { vecCost } from "./cost-vec.js";
import type { Cost } from "./cost.js";

/** How many positions each axis has now; on transfers the positions inside the clip follow. */
export function extentsOf({ body }: Instruction, environment: Environment): number[] {
  const extents = body.axes.map(({ count }) => evaluateCount(count, environment));
  if (body.op !== "load" && body.op !== "store") return extents;
  const inside = body.axes.map((axis, i) => insideClip(axis, extents[i]!, environment));
  return [...extents, ...inside];
}

/** Positions i of [0, count) with 0 <= origin + i * step < limit. */
function insideClip({ clip }: TransferAxis, count: number, environment: Environment): number {
  if (clip === undefined) return count;
  const origin = evaluateAffine(clip.origin, environment);
  const limit = evaluateCount(clip.limit, environment);
  const { step } = clip;
  if (step === 0) return origin >= 0 && origin < limit ? count : 0;
  const [from, to] =
    step > 0
      ? [Math.ceil(-origin / step), Math.ceil((limit - origin) / step)]
      : [Math.floor((origin - limit) / -step) + 1, Math.floor(origin / -step) + 1];
  return Math.max(0, Math.min(to, count) - Math.max(from, 0));
}

export function costOf(
  { body }: Instruction,
  extents: readonly number[],
  program: Program,
  machine: DeviceMachine,
): Cost {
  switch (body.op) {
    case "load":
    case "store":
      return transferCost(body, extents, program, machine);
    case "mma":
      return mmaCost(body, extents, program, machine);
    case "vec":
      return vecCost(body, extents, program, machine);
    default:
      return body satisfies never;
  }
}
