/** How far results may lie apart whose sums were rounded otherwise. */
import { decodeNumbers } from "../../src/numerics/convert.js";
import { isFloat } from "../../src/numerics/dtype.js";
import { isTensor } from "../../src/ops/context.js";
import type { HostValue } from "../../src/ops/record.js";
import type { Tolerance } from "../../src/runtime/compare.js";

/** Of fp32, with two bits for what a sum piles up. */
const roundingOfSums = 2 ** -22;

/** With room for what rounding leaves where terms as large as the largest result cancel out. */
export function allowingCancellation({ rtol, atol }: Tolerance, value: HostValue): Tolerance {
  return { rtol, atol: Math.max(atol, largestOf(value) * roundingOfSums) };
}

function largestOf(value: HostValue): number {
  if (!isTensor(value) || !isFloat(value.dtype)) return 0;
  const finite = Array.from(decodeNumbers(value.dtype, value.data)).filter(Number.isFinite);
  return finite.reduce((largest, element) => Math.max(largest, Math.abs(element)), 0);
}
