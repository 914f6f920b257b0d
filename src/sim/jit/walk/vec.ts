/** Vec instructions as walks over slots. */
import type { VecBody, VecOutput } from "../../../ir/tile.js";
import type { Condition, SlotDest, SlotSource } from "../../../isa/program.js";
import { isInjective } from "../transfer/boxes.js";
import { emitAffine, emitCondition, emitCount } from "./environment.js";
import type { WalkAxis, WalkCarry, WalkOperand, WalkOutput } from "../nest/plan.js";
import { emitWalk } from "../nest/run.js";
import { translateStride } from "../slots/slot-map.js";
import { memoryOperand } from "../transfer/transfer.js";
import { placeOf, scratchAt, type Site, strideIn } from "./site.js";

type Vec = VecBody<SlotSource, SlotDest, Condition>;

export function emitVec(site: Site, body: Vec): void {
  const { f, environment } = site;
  const operands: WalkOperand[] = [];
  const operandOf = (slot: SlotSource | SlotDest, strides: readonly number[]): number => {
    const { stored } = site.layout.queues[slot.queue]!;
    if (stored !== undefined) {
      const inMemory = strides.map((stride) => translateStride(stored.map, stride));
      return operands.push(memoryOperand(site, stored.store.memory, inMemory)) - 1;
    }
    const place = placeOf(site, slot);
    const { dtype, rounding, address } = place;
    return (
      operands.push({
        ...{ dtype, address, packed: false, boolForm: "mask" },
        ...(rounding === undefined ? {} : { rounding }),
        strides: strides.map((stride) => strideIn(place, stride)),
      }) - 1
    );
  };
  const inputs = body.inputs.map((input) => operandOf(input.source, input.strides));
  const outputs = body.outputs.map((output, result): WalkOutput => {
    const operand = operandOf(output.dest, output.strides);
    return { operand, result, ...reduceOf(site, body, output, result) };
  });
  const carries = body.carries.map(({ next, initial, type, state }): WalkCarry => {
    if (state === undefined) return { next, initial, type };
    const init = emitCondition(f, state.init, environment);
    return { next, initial, type, state: operandOf(state.dest, state.strides), init };
  });
  const axes = body.axes.map(
    ({ kind, count, base }): WalkAxis => ({
      kind,
      count: emitCount(f, count, environment),
      base: emitAffine(f, base, environment),
    }),
  );
  const overwrites = overwritesInputs(body);
  emitWalk(site, {
    axes,
    operands,
    program: body.program,
    inputs,
    outputs,
    carries,
    scalars: environment.scalars,
    ordered: overwrites === "elsewhere" || !writesApart(axes, body, operands),
    rereads: overwrites !== "nothing",
    scratch: scratchAt(site, site.layout.nestOffset),
  });
}

function reduceOf(
  site: Site,
  body: Vec,
  { reduce }: VecOutput<SlotDest, Condition>,
  result: number,
): Omit<WalkOutput, "operand" | "result"> {
  if (reduce === undefined) return {};
  const { type } = body.program.instructions[body.program.results[result]!]!;
  const { reduction, partialStride } = reduce;
  return {
    reduce: { reduction, type, raw: partialStride !== undefined },
    init: emitCondition(site.f, reduce.init, site.environment),
    phase: emitAffine(site.f, reduce.phase, site.environment),
    ...(partialStride === undefined ? {} : { partialStride }),
  };
}

/**
 * Whether outputs overwrite what inputs read: with `update` they share slots. "here" where a position overwrites
 * only what it read itself.
 */
function overwritesInputs(body: Vec): "nothing" | "here" | "elsewhere" {
  const written = [
    ...body.outputs.map(({ dest, strides, reduce }) => ({
      dest,
      strides,
      isCell: reduce === undefined,
    })),
    ...body.carries.flatMap(({ state }) =>
      state === undefined ? [] : [{ dest: state.dest, strides: state.strides, isCell: false }],
    ),
  ].filter(({ dest }) => dest.update);
  let result: "nothing" | "here" | "elsewhere" = "nothing";
  body.inputs.forEach(({ source, strides }, number) => {
    for (const output of written) {
      if (output.dest.queue !== source.queue) continue;
      const isLookedUp = body.program.instructions.some(
        (i) => i.op === "lookup" && i.imm === number,
      );
      const isSame =
        output.isCell &&
        !isLookedUp &&
        output.strides.join() === strides.join() &&
        JSON.stringify(output.dest.offset) === JSON.stringify(source.offset);
      if (!isSame) result = "elsewhere";
      else if (result === "nothing") result = "here";
    }
  });
  return result;
}

/** No element is written at two positions, but by the positions of reduce and scan axes. */
function writesApart(
  axes: readonly WalkAxis[],
  body: Vec,
  operands: readonly WalkOperand[],
): boolean {
  const parallel = axes.filter((axis) => axis.kind === "parallel");
  const written = operands.slice(body.inputs.length);
  return written.every(({ strides }) =>
    isInjective(
      parallel.filter((_, i) => strides[i] !== 0),
      strides.slice(0, parallel.length).filter((stride) => stride !== 0),
    ),
  );
}
