/** Layers whose channels are the last axis, by those whose channels are the second: the axes move, no code differs. */
import type { Value } from "../ir/graph.js";
import { range, withInputs } from "./helpers.js";
import type { LowerContext } from "./record.js";

/** `lower` with the inputs that `moved` lists as [n, channels, ...]; its result as [n, ..., channels]. */
export function channelsLast(
  c: LowerContext,
  moved: readonly number[],
  lower: (c: LowerContext) => Value,
): Value {
  const given = moved.flatMap((i) => {
    const x = c.inputs[i];
    return x === undefined ? [] : [[i, channelsSecond(c, x)] as const];
  });
  const result = lower(withInputs(c, Object.fromEntries(given)));
  const rank = result.shape.length;
  return c.b.transpose(result, [0, ...range(2, rank), 1]);
}

/** [n, ..., channels] as [n, channels, ...]. */
export function channelsSecond(c: LowerContext, x: Value): Value {
  const last = x.shape.length - 1;
  return c.b.transpose(x, [0, last, ...range(1, last)]);
}
